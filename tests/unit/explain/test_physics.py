"""Why, without a network: sensitivities, influences that refits confirm, divergences that draws confirm."""

from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain import expected_ratio, influence, sensitivity
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, Instrument, Poisson
from sqwirrel.observe.counting import Robust
from sqwirrel.spectra import Measurement, QPath, Spectrum

CHAIN = library.load("fm_chain")
POINTS = torch.tensor([[h, 0, 0] for h in (0.15, 0.25, 0.35, 0.5)], dtype=torch.float64)
WHERE = Measurement(
    QPath(CHAIN.lattice, POINTS, torch.zeros(3, 3)), torch.linspace(0.5, 5.5, 26, dtype=torch.float64), 5.0
)
EXPERIMENT = Experiment(CHAIN, WHERE, Instrument(counting=Poisson()), samples=1)
THETA = EXPERIMENT.pack(J=-1.0, fwhm=0.5, scale=200, background=4)
DATA = EXPERIMENT.sample(THETA, 1)
PRIOR = Prior(J=Uniform(-2, -0.2, "meV"), fwhm=Fixed(0.5), scale=LogUniform(1, 1e4), background=Uniform(0, 50))


def test_sensitivities_are_differences_of_spectra() -> None:
    found = sensitivity(EXPERIMENT, THETA)
    step = EXPERIMENT.pack(J=-1.0 + 1e-5, fwhm=0.5, scale=200, background=4)
    with torch.no_grad():
        slope = (EXPERIMENT(step) - EXPERIMENT(THETA))[0] / 1e-5
    assert set(found) == {"J", "fwhm", "scale", "background"}
    assert torch.allclose(found["J"], slope, atol=1e-3 * float(slope.abs().max()))
    assert torch.allclose(found["background"], torch.ones(4, 25).double())


def refitted(k: int, change: torch.Tensor, start: torch.Tensor) -> float:
    """J of the best fit with one bin changed."""
    counts = DATA.intensity.clone()
    counts.view(-1)[k] += change
    spectrum = Spectrum.from_arrays(counts, counts.sqrt(), WHERE, is_counts=True)
    target = Target.of(EXPERIMENT, PRIOR, spectrum)
    return float(target.prior.constrain(refine(target, start)[0].z[None])[0, 0])


def test_an_influence_is_what_a_refit_makes_of_a_changed_bin() -> None:
    rival = Hypothesis(EXPERIMENT, PRIOR)
    posterior = infer(EXPERIMENT, PRIOR, DATA, Settings(screen=64, starts=2, draws=100, seed=2))
    found = influence(rival, posterior, DATA)
    assert float(found.share("J").sum()) == pytest.approx(1, abs=0.01)  # the prior is wide
    share, pull, moved = found.share("J"), found.of("J"), []
    largest = share.flatten().argsort(descending=True)[:6].tolist()
    start = posterior.basins[0].theta[None]
    J, scale, background = start[0].tolist()
    with torch.no_grad():
        expectation = EXPERIMENT(EXPERIMENT.pack(J=J, fwhm=0.5, scale=scale, background=background)).flatten()
    for k in largest:
        error = expectation[k].sqrt()
        high, low = (refitted(k, sign * 3 * error, start) for sign in (1, -1))
        moved.append((high - low) / 6)
    expected = [float(pull.flatten()[k]) for k in largest]
    assert moved == pytest.approx(expected, rel=0.2)  # weights follow the fit
    with pytest.raises(InputError, match="nothing about 'D'"):
        found.of("D")


def test_shares_sum_up_to_one_for_data_with_outliers() -> None:
    """A law with tails knows less than a normal one of its width: both, shares and errors, know that."""
    instrument = Instrument(counting=Robust(4))
    reduced = Experiment(CHAIN, WHERE, instrument, samples=1)
    data = Spectrum.from_arrays(DATA.intensity, DATA.intensity.clamp(min=1).sqrt(), WHERE)
    posterior = infer(reduced, PRIOR, data, Settings(screen=64, starts=2, draws=100, seed=2))
    assert float(influence(Hypothesis(reduced, PRIOR), posterior, data).share("J").sum()) == pytest.approx(1, abs=0.02)


def test_nothing_is_told_by_bins_that_were_not_measured() -> None:
    valid = torch.ones(4, 25, dtype=torch.bool)
    valid[1] = False
    part = Spectrum.from_arrays(DATA.intensity, DATA.error, WHERE, valid=valid, is_counts=True)
    posterior = infer(EXPERIMENT, PRIOR, part, Settings(screen=64, starts=2, draws=100, seed=2))
    share = influence(Hypothesis(EXPERIMENT, PRIOR), posterior, part).share("J")
    assert float(share[1].abs().max()) == 0
    assert float(share.min()) >= 0


@pytest.mark.parametrize("kind", [Poisson(), Gaussian(), Robust(4)], ids=lambda kind: type(kind).__name__)
def test_expected_ratios_are_means_over_draws(kind) -> None:
    """Of log p(one) - log p(other) for what the first model makes; zero for bins that were not measured."""
    n = 4000
    one, other = torch.tensor([[3.0, 8.0, 30.0, 5.0]]).double(), torch.tensor([[3.0, 5.0, 33.0, 9.0]]).double()
    valid = torch.tensor([[True, True, True, False]])
    where = Measurement(QPath(CHAIN.lattice, POINTS[:1], torch.zeros(3, 3)), torch.arange(5).double(), 5.0)
    spectrum = Spectrum.from_arrays(one, 2 * torch.ones_like(one), where, valid=valid, is_counts=kind.is_poisson)
    observed = kind.observe(spectrum)
    found = expected_ratio(kind, one, other, observed)
    assert float(found[0, 3]) == 0
    assert float(found[0, 0]) == pytest.approx(0, abs=1e-6)
    generator, total = torch.Generator().manual_seed(1), []
    for _ in range(n):
        seen = replace(observed, intensity=kind.sample(one[valid], observed, generator))
        total.append((kind.deviance(other[:, valid[0]], seen) - kind.deviance(one[:, valid[0]], seen))[0] / 2)
    each = torch.stack(total)
    error = each.std(0) / n**0.5
    assert float(((each.mean(0) - found[valid]).abs() / error.clamp(min=1e-9))[1:].max()) < 4


def test_expectations_on_other_bins_are_refused() -> None:
    observed = Poisson().observe(DATA)
    with pytest.raises(InputError, match="two expectations on the same bins are needed"):
        expected_ratio(Poisson(), torch.ones(4, 24).double(), torch.ones(4, 24).double(), observed)
