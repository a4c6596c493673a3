"""infer(): from a spectrum to a posterior on a small chain, its promises on limit, basins and interruption."""

import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.infer.averages import Averages, random_starts
from sqwirrel.infer.target import Target
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson, TemplateBackground
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum

CHAIN = library.load("fm_chain")
POINTS = torch.tensor([[h, 0, 0] for h in (0.15, 0.25, 0.35, 0.5)], dtype=torch.float64)
WHERE = Measurement(
    QPath(CHAIN.lattice, POINTS, torch.zeros(3, 3)), torch.linspace(0.5, 5.5, 26, dtype=torch.float64), 5.0
)
EXPERIMENT = Experiment(CHAIN, WHERE, Instrument(counting=Poisson()), samples=1)
PRIOR = Prior(
    J=Uniform(-2, -0.2, "meV"), fwhm=Uniform(0.1, 1.5, "meV"), scale=LogUniform(1, 1e4), background=Uniform(0, 50)
)
TRUTH = EXPERIMENT.pack(J=-1.0, fwhm=0.5, scale=200, background=4)
DATA = EXPERIMENT.sample(TRUTH, 1)
AVERAGES = Averages.of(EXPERIMENT, DATA)
QUICK = Settings(screen=64, starts=3, draws=300, seed=2)


@pytest.fixture(scope="module")
def answer() -> Posterior:
    return infer(AVERAGES, PRIOR, DATA, QUICK)


def test_truth_is_found_and_checks_pass(answer: Posterior) -> None:
    away = (answer.median - TRUTH[0]) / answer.limit
    assert float(away.abs().max()) < 4
    assert answer.passed, [check for check in answer.checks if not check.passed]
    assert answer.names == ("J", "fwhm", "scale", "background")
    assert answer.units == ("meV", "meV", "", "")
    assert {check.name for check in answer.checks} == {
        "deviance_per_bin",
        "residual_structure",
        "predictive",
        "complete",
        "pareto_k",
        "effective_draws",
        "quadrature",
        "inside_prior",
        "identified",
        "one_basin",
        "stable_order",
    }


def test_draws_are_moved_where_weights_fail(answer: Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["sqwirrel.infer.inference"], "PARETO", -1.0)
    moved = infer(AVERAGES, PRIOR, DATA, replace(QUICK, moves=20))
    assert moved.passed, [check for check in moved.checks if not check.passed]
    assert "forgotten" in {check.name for check in moved.checks}
    assert len(moved.draws) >= QUICK.draws
    # Both know a median to about 0.08 of its error.
    assert float(((moved.median - answer.median) / answer.limit).abs().max()) < 0.3
    assert torch.allclose(moved.covariance.diagonal().sqrt(), answer.covariance.diagonal().sqrt(), rtol=0.25)
    unmoved = infer(AVERAGES, PRIOR, DATA, QUICK)
    assert torch.equal(unmoved.draws, answer.draws)


def test_limit_is_the_inverse_of_the_fisher_information(answer: Posterior) -> None:
    """F = sum_i d_a mu_i d_b mu_i / mu_i at the best fit, inverted with every nuisance in it."""
    best = answer.basins[0].theta[None]
    linear = EXPERIMENT.linearise(best)
    J = linear.slope[0].flatten(1)
    limit = torch.linalg.inv((J / linear.expected.flatten()) @ J.T).diagonal().sqrt()
    assert torch.allclose(answer.limit, limit, rtol=1e-6)
    # Little is added by the prior here, and nothing is lost: 300 draws give a width to 5 %.
    assert torch.allclose(answer.covariance.diagonal().sqrt() / limit, torch.ones(4, dtype=torch.float64), atol=0.2)


def test_probabilities_of_basins_sum_to_one_and_starts_are_counted(answer: Posterior) -> None:
    assert sum(basin.probability for basin in answer.basins) == pytest.approx(1)
    assert sum(basin.starts for basin in answer.basins) == QUICK.starts


def test_answer_repeats_and_may_take_the_experiment_itself(answer: Posterior) -> None:
    again = infer(EXPERIMENT, PRIOR, DATA, QUICK)
    assert torch.equal(again.draws, answer.draws)
    other = infer(AVERAGES, PRIOR, DATA, Settings(screen=64, starts=3, draws=300, seed=3))
    assert not torch.equal(other.draws, answer.draws)
    assert float(((other.median - answer.median) / answer.limit).abs().max()) < 0.4


def test_every_draw_lies_inside_the_prior(answer: Posterior) -> None:
    lo, hi = PRIOR.bounds.T
    assert bool(((answer.draws >= lo) & (answer.draws <= hi)).all())


def test_fixed_parameters_are_held() -> None:
    fixed = Prior(J=Uniform(-2, -0.2, "meV"), fwhm=Fixed(0.5), scale=Fixed(200), background=Fixed(4))
    answer = infer(AVERAGES, fixed, DATA, QUICK)
    assert answer.names == ("J",)
    assert float(answer.limit) < 0.01
    assert float((answer.median - TRUTH[0, :1]).abs()) < 4 * float(answer.limit)


def test_stages_are_told_in_order() -> None:
    told: list[tuple[str, int, int]] = []
    infer(AVERAGES, PRIOR, DATA, Settings(screen=32, starts=1, draws=60), progress=lambda *step: told.append(step))
    assert list(dict.fromkeys(stage for stage, _, _ in told)) == [
        "preparing",
        "screening",
        "searching",
        "refining",
        "averaging",
        "sampling",
    ]
    assert all(done <= total for _, done, total in told)
    assert told[-1] == ("sampling", 60, 60)


def test_interruption_while_sampling_leaves_a_posterior_that_says_so(answer: Posterior) -> None:
    def stop(stage: str, done: int, _: int) -> None:
        if stage == "sampling" and done > 100:
            raise KeyboardInterrupt

    part = infer(AVERAGES, PRIOR, DATA, QUICK, progress=stop)
    assert 100 < len(part.draws) < 300
    assert [check.name for check in part.checks if not check.passed and check.name != "effective_draws"] == ["complete"]
    assert float(((part.median - answer.median) / answer.limit).abs().max()) < 0.6


@pytest.mark.parametrize("stage", ["screening", "searching", "refining"])
def test_interruption_before_any_draw_is_one(stage: str) -> None:
    def stop(now: str, *_: int) -> None:
        if now == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infer(AVERAGES, PRIOR, DATA, QUICK, progress=stop)


def test_random_starts_end_in_the_basin_of_the_answer(answer: Posterior) -> None:
    found = random_starts(Target.of(AVERAGES.coarse, PRIOR, DATA), starts=10, seed=4)
    assert sum(basin.starts for basin in found) == 10
    best = PRIOR.constrain(found[0].z[None])[0]
    assert float(((best - answer.median) / answer.limit).abs().max()) < 1


def test_coarse_average_has_merged_bins_and_fewer_points() -> None:
    fine = Measurement(WHERE.points, torch.linspace(0.5, 5.5, 241, dtype=torch.float64), 5.0)
    experiment = Experiment(CHAIN, fine, Instrument(counting=Poisson()), samples=64)
    averages = Averages.of(experiment, experiment.sample(TRUTH, 1))
    assert averages.coarse.measurement.shape == (4, 80)
    assert averages.coarse.samples == 16


def test_bins_of_data_and_experiment_must_agree() -> None:
    def moved(energy: Tensor) -> Spectrum:
        return Spectrum.from_arrays(
            DATA.intensity, DATA.error, Measurement(WHERE.points, energy, 5.0), valid=DATA.valid, is_counts=True
        )

    infer(EXPERIMENT, PRIOR, moved(WHERE.energy), Settings(screen=8, starts=1, draws=50))
    with pytest.raises(InputError, match="bins"):
        infer(EXPERIMENT, PRIOR, moved(WHERE.energy + 0.5), Settings(screen=8, starts=1, draws=50))
    with pytest.raises(InputError, match="bins"):
        infer(EXPERIMENT, PRIOR, DATA.slice_energy(1, 5), Settings(screen=8, starts=1, draws=50))


@pytest.mark.parametrize("wrong", [{"draws": 49}, {"screen": 0}, {"starts": 0}, {"rounds": 0}])
def test_settings_have_lower_ends(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least"):
        Settings(**wrong)


def powder(exposure: Tensor | None = None) -> Measurement:
    """100 shells of 170 energies: more than a search looks at, and not a multiple of it."""
    edges = (torch.linspace(0.5, 2.5, 101).double(), torch.linspace(0.5, 5.5, 171).double())
    return Measurement(QShells(edges[0]), edges[1], 5.0, exposure=exposure)


def test_a_measured_background_is_merged_with_the_data() -> None:
    """Of a plane, the mean over merged bins is its value in their middle."""
    where = powder()
    plane = where.points.centres[:, None] + 3 * where.energy_centres
    gap = torch.ones(where.shape, dtype=torch.bool)
    gap[0] = False
    measured = Spectrum.from_arrays(plane, plane, where, valid=gap)
    experiment = Experiment(CHAIN, where, Instrument(background=TemplateBackground(measured)), samples=2)
    averages = Averages.of(experiment, measured)
    coarse = averages.coarse.measurement
    assert averages.merge[""] == (3, 3)
    assert coarse.shape == (34, 57)
    middle = coarse.points.centres[:, None] + 3 * coarse.energy_centres
    assert torch.allclose(averages.coarse.templates[1, 1:], middle[1:], atol=1e-12)
    assert bool((averages.coarse.templates[0] == 1).all())


def test_a_map_with_exposures_is_not_merged() -> None:
    where = powder(torch.ones(100, 170).double())
    experiment = Experiment(CHAIN, where, Instrument(counting=Poisson()), samples=2)
    counts = torch.ones(where.shape, dtype=torch.float64)
    averages = Averages.of(experiment, Spectrum.from_arrays(counts, counts, where, is_counts=True))
    assert averages.merge[""] == (1, 1)
    assert averages.coarse.measurement.shape == where.shape
