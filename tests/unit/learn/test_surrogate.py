"""Emulators: what is cut and laid out again, what is learnt, what is refused, and what a posterior says of it."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.checks.emulation import DRAWS, emulation_checks
from sqwirrel.infer.refine import refine
from sqwirrel.infer.sampling.importance import Weighted
from sqwirrel.infer.target import Target
from sqwirrel.learn import checkpoint
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.surrogate import Emulator, emulate
from sqwirrel.learn.train import Effort
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, GaussianResolution, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.spectra import Measurement, QShells, Spectrum

CHAIN = library.load("fm_chain")
FREE = {
    "J": {"uniform": [-1.5, -0.7]},
    "fwhm": {"uniform": [0.3, 0.6]},
    "fwhm_q": 0.05,
    "scale": {"loguniform": [200.0, 2000.0]},
    "background": {"uniform": [0.5, 2.0]},
}
TRUTH = {"J": -1.1, "fwhm": 0.4, "fwhm_q": 0.05, "scale": 500.0, "background": 1.0}
EFFORT = Effort(steps=300, batch=32, every=50)


def powder(counting=Poisson):
    where = Measurement(QShells(torch.linspace(0.4, 2.0, 13)), torch.linspace(1.0, 7.0, 25), 1.0)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=counting()), samples=16)


def prior(**changed):
    return Prior.from_mapping({**FREE, **changed})


@pytest.fixture(scope="module")
def pairs():
    return Pairs(simulations(powder(), prior(), 256, seed=1))


@pytest.fixture(scope="module")
def emulator(pairs):
    return emulate(pairs, EFFORT)


@pytest.fixture(scope="module")
def quick(pairs, emulator):
    return pairs.simulations.experiment.seen_by(emulator)


def test_it_says_what_it_lacks_and_that_is_little(emulator) -> None:
    rms, worst = emulator.error.tolist()
    assert 0 < rms < 0.5
    assert rms < worst < 1.5


def test_it_predicts_what_the_simulator_does(pairs, quick) -> None:
    experiment = pairs.simulations.experiment
    theta = torch.cat([experiment.pack(**{**TRUTH, "J": J}) for J in (-1.4, -1.1, -0.8)])
    with torch.no_grad():
        right, found = experiment.predict(theta), quick.predict(theta)
    assert bool(found.stable.all())
    assert float(((found.expected - right.expected) ** 2 / right.expected).mean()) < 0.3


def test_derivatives_are_those_of_what_it_predicts(quick) -> None:
    """Central differences; in J through the network, in widths through what an experiment does to it."""
    theta = quick.pack(**TRUTH)
    slope = quick.linearise(theta).slope[0]
    for k, name in enumerate(quick.names):
        step = torch.zeros_like(theta)
        step[0, k] = 1e-5 * float(theta[0, k].abs())
        there = (quick(theta + step) - quick(theta - step))[0] / (2 * step[0, k])
        assert torch.allclose(slope[k], there, rtol=1e-4, atol=1e-5 * float(there.abs().max())), name


def test_it_has_the_interface_of_the_experiment(pairs, quick) -> None:
    experiment = pairs.simulations.experiment
    assert quick.is_emulated
    assert not experiment.is_emulated
    assert (quick.names, quick.units, quick.linear) == (experiment.names, experiment.units, experiment.linear)
    assert quick.measurement is experiment.measurement
    assert not quick.modelled_again().is_emulated


def test_outside_of_what_it_has_learnt_nothing_is_stable(quick) -> None:
    theta = torch.cat([quick.pack(**{**TRUTH, "J": J}) for J in (-1.6, -1.1, -0.6)])
    assert quick.predict(theta).stable.tolist() == [False, True, False]
    assert "has not learnt these parameters" in quick.why_unstable(theta[:1])
    with pytest.raises(InputError, match="has not learnt these parameters"):
        quick.sample(theta[:1], seed=1)


def test_an_emulator_of_other_energies_is_refused(quick) -> None:
    where = Measurement(QShells(torch.linspace(0.4, 2.0, 13)), torch.linspace(1.5, 7.5, 25), 1.0)
    other = Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=Poisson()), samples=16)
    with pytest.raises(InputError, match="other energies than this spectrum"):
        other.seen_by(quick.view)


def test_what_is_unstable_is_known_from_the_model() -> None:
    """A chain whose J may have both signs is a ferromagnet for one of them."""
    both = Pairs(simulations(powder(), prior(J={"uniform": [-1.0, 1.0]}), 64, seed=1))
    assert 0.3 < both.simulations.stable < 0.7
    quick = powder().seen_by(Emulator.sized_for(both))
    theta = torch.cat([quick.pack(**{**TRUTH, "J": J}) for J in (-0.5, 0.5)])
    assert quick.predict(theta).stable.tolist() == [True, False]
    assert quick.linearise(theta).stable.tolist() == [True, False]


def test_an_anchor_is_that_of_the_simulator(pairs, quick) -> None:
    """Where it is anchored, the emulated average is the dense one, with its derivatives."""
    experiment = pairs.simulations.experiment
    theta = experiment.pack(**TRUTH)
    spread = torch.full((len(experiment.names),), 0.02).double()
    ours, right = (each.anchored(theta, spread).experiment.linearise(theta) for each in (quick, experiment))
    assert torch.allclose(ours.expected, right.expected)
    assert torch.allclose(ours.slope, right.slope)


def test_what_stands_for_it_keeps_the_anchor(quick) -> None:
    theta = quick.pack(**TRUTH)
    anchored = quick.anchored(theta, torch.full((len(quick.names),), 0.02).double()).experiment
    model, ours = (each.linearise(theta) for each in (anchored.modelled_again(), anchored))
    assert torch.allclose(model.expected, ours.expected)
    assert torch.allclose(model.slope, ours.slope)


SETTINGS = Settings(screen=16, starts=1, draws=100, rounds=1)


@pytest.fixture(scope="module")
def spectrum():
    experiment = powder()
    theta = experiment.pack(**TRUTH)
    return experiment.anchored(theta).experiment.sample(theta, seed=3)


def test_its_posterior_is_that_of_the_simulator(pairs, quick, spectrum) -> None:
    ours, right = (infer(each, prior(), spectrum, SETTINGS) for each in (quick, pairs.simulations.experiment))
    check = {each.name: each for each in ours.checks}["emulation"]
    assert check.passed
    assert "emulation" not in {each.name for each in right.checks}
    for mine, theirs in zip(ours.summary(), right.summary(), strict=True):
        sd = (theirs.interval68[1] - theirs.interval68[0]) / 2
        assert abs(mine.median - theirs.median) < 0.5 * sd, mine.name


def bare(emulator, spectrum):
    """The posterior of an emulator that nothing has anchored, its optimum, and that of the simulator."""
    theta = powder().pack(**{**TRUTH})[:, [0, 1, 3, 4]]
    target, right = (Target.of(each, prior(), spectrum) for each in (powder().seen_by(emulator), powder()))
    return target, refine(target, theta)[0], refine(right, theta)[0]


def emulation(target, optimum):
    z = optimum.z.expand(DRAWS, -1)
    return emulation_checks(target, optimum, Weighted(z, torch.full((DRAWS,), 1 / DRAWS).double().log(), 0.0, 0.0))[0]


def test_the_check_says_how_far_the_answer_is_off(emulator, spectrum) -> None:
    target, ours, right = bare(emulator, spectrum)
    shift = ((right.z - ours.z) / right.covariance.diagonal().sqrt()).abs().max()
    assert emulation(target, ours).value == pytest.approx(float(shift), rel=0.3, abs=0.02)


def test_an_emulator_that_knows_little_is_found_out(pairs, spectrum) -> None:
    poor = emulate(pairs, Effort(steps=3, batch=8, every=1))
    target, ours, right = bare(poor, spectrum)
    assert float(((right.z - ours.z) / right.covariance.diagonal().sqrt()).abs().max()) > 1
    assert not emulation(target, ours).passed


def test_a_prior_that_it_has_not_learnt_is_found_out(quick, spectrum) -> None:
    wide = prior(J={"uniform": [-3.0, -0.5]})
    posterior = infer(quick, wide, spectrum, SETTINGS)
    check = {each.name: each for each in posterior.checks}["emulation"]
    assert not check.passed
    assert "of the prior" in check.meaning


def test_a_checkpoint_is_the_emulator(pairs, emulator, tmp_path) -> None:
    checkpoint.save(tmp_path, emulator, pairs, Record.start())
    few = Pairs(simulations(powder(), prior(), 16, seed=2))
    found = checkpoint.load(tmp_path, few)
    assert isinstance(found, Emulator)
    theta = torch.tensor([[-1.0], [-1.2]]).double()
    assert torch.equal(found(theta).grid, emulator(theta).grid)
    assert not found(theta).grid.requires_grad
    assert torch.equal(found.error, emulator.error)
    with pytest.raises(InputError, match="trained for another prior"):
        checkpoint.load(tmp_path, Pairs(simulations(powder(), prior(J={"uniform": [-1.6, -0.7]}), 16, seed=2)))


def test_errors_of_reduced_data_are_those_of_the_measurement() -> None:
    experiment = powder(Gaussian)
    like = Spectrum.from_arrays(torch.ones(12, 24).double(), torch.full((12, 24), 5.0).double(), experiment.measurement)
    pairs = Pairs(simulations(experiment, prior(), 64, seed=1), like)
    found = emulate(pairs, Effort(steps=4, batch=16, every=2)).error
    other = Spectrum.from_arrays(like.intensity, 2 * like.error, experiment.measurement)
    twice = Pairs(pairs.simulations, other)
    again = emulate(twice, Effort(steps=4, batch=16, every=2)).error
    assert torch.allclose(found, 2 * again)


def test_an_emulator_does_not_learn_from_another(quick) -> None:
    with pytest.raises(InputError, match="the model itself"):
        Emulator.sized_for(Pairs(simulations(quick, prior(), 16, seed=1)))
