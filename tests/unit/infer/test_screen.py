"""Screening: linear nuisances by weighted least squares, best draws first, one sentence when nothing is stable."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.screen import profile, screen
from sqwirrel.infer.target import Target
from sqwirrel.model.laws import Fixed, Normal, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Gaussian, Poisson
from sqwirrel.spectra import Spectrum
from tests.unit.infer.toy import Toy, noise, spectrum

TIMES = torch.arange(25, dtype=torch.float64) / 5


def decay(**options: object) -> Toy:
    return Toy(("a",), lambda theta: torch.exp(-theta * TIMES), 25, **options)


def data(experiment: Toy) -> Spectrum:
    return spectrum(experiment, 5 * torch.exp(-1.3 * TIMES) + 2 + 0.1 * noise(25, 4), 0.1)


WIDE = Prior(a=Uniform(0.1, 5), scale=Uniform(0, 50), background=Uniform(-10, 10))


def test_profile_is_weighted_least_squares() -> None:
    experiment = decay(counting=Gaussian(1e-3))
    y = data(experiment).intensity
    error = 0.05 + torch.rand(1, 25, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target = Target.of(experiment, WIDE, Spectrum.from_arrays(y, error, experiment.measurement))
    theta, value = profile(target, torch.tensor([[1.0, 7.0, 7.0], [2.0, 1.0, 0.0]], dtype=torch.float64))
    root = target.terms[0].observed.variance.sqrt().numpy()
    for row, start in zip(theta, (1.0, 2.0), strict=True):
        design = np.stack((np.exp(-start * TIMES.numpy()), np.ones(25)), -1) / root[:, None]
        solution, residual, *_ = np.linalg.lstsq(design, y[0].numpy() / root, rcond=None)
        assert float(row[0]) == start
        assert row[1:].tolist() == pytest.approx(solution.tolist(), rel=1e-6)
        away = -0.5 * float(residual[0]) + float(WIDE.log_prob(row))
        assert float(value[theta[:, 0] == start]) == pytest.approx(away, rel=1e-9)


def test_fixed_nuisances_are_held() -> None:
    experiment = decay()
    prior = Prior(a=Uniform(0.1, 5), scale=Normal(3, 10), background=Fixed(2.5))
    target = Target.of(experiment, prior, data(experiment))
    theta, _ = profile(target, torch.tensor([[1.3, 9.0]], dtype=torch.float64))
    shape = torch.exp(-1.3 * TIMES)
    expected = float(shape @ (target.terms[0].observed.intensity - 2.5) / (shape @ shape))
    assert float(theta[0, 1]) == pytest.approx(expected, rel=1e-6)
    every = Prior(a=Uniform(0.1, 5), scale=Fixed(5), background=Fixed(2))
    theta, value = profile(Target.of(experiment, every, data(experiment)), torch.tensor([[1.3]], dtype=torch.float64))
    assert theta.tolist() == [[1.3]]
    assert bool(value.isfinite().all())


def test_solution_is_clipped_to_the_prior() -> None:
    experiment = decay()
    prior = Prior(a=Uniform(0.1, 5), scale=Uniform(0, 3), background=Uniform(-10, 1))
    theta, value = profile(Target.of(experiment, prior, data(experiment)), prior.sample(20, 1))
    assert float(theta[:, 1].max()) == 3
    assert float(theta[:, 2].max()) == 1
    assert bool(value.isfinite().all())


def test_draws_given_are_not_changed() -> None:
    experiment = decay()
    before = WIDE.sample(4, 1)
    given = before.clone()
    profile(Target.of(experiment, WIDE, data(experiment)), given)
    assert torch.equal(before, given)


def test_poisson_counts_are_screened_too() -> None:
    experiment = decay(counting=Poisson())
    counts = torch.poisson(50 * torch.exp(-1.3 * TIMES) + 5, generator=torch.Generator().manual_seed(2))
    prior = Prior(a=Uniform(0.1, 5), scale=Uniform(0, 500), background=Uniform(0, 100))
    best = screen(Target.of(experiment, prior, spectrum(experiment, counts)), draws=200, keep=3, seed=1)
    assert best.shape == (3, 3)
    assert float((best[:, 0] - 1.3).abs().max()) < 0.3


def test_best_come_first_and_unstable_draws_never() -> None:
    def stable(theta: Tensor) -> Tensor:
        return theta[:, 0] > 2

    experiment = decay(stable=stable)
    target = Target.of(experiment, WIDE, data(experiment))
    best = screen(target, draws=100, keep=5, seed=1)
    _, value = profile(target, best)
    assert float(best[:, 0].min()) > 2
    assert torch.equal(value, value.sort(descending=True).values)
    assert float(best[0, 0]) == float(best[:, 0].min())  # the truth is at 1.3
    assert len(screen(target, draws=8, keep=100, seed=1)) < 8


def test_screening_tells_how_far_it_is() -> None:
    experiment, told = decay(), []
    target = Target.of(experiment, WIDE, data(experiment))
    best = screen(target, draws=40, keep=3, seed=1, progress=lambda *step: told.append(step))
    assert told == [(0, 40), (16, 40), (32, 40)]
    _, value = profile(target, WIDE.sample(40, 1))
    assert torch.equal(profile(target, best)[1], value.sort(descending=True).values[:3])


def test_a_prior_that_is_never_stable_is_one_sentence() -> None:
    experiment = decay(stable=lambda theta: theta[:, 0] > 99)
    target = Target.of(experiment, WIDE, data(experiment))
    with pytest.raises(
        InputError, match="never gives a stable order in 20 draws; for the first of them the toy is unst"
    ):
        screen(target, draws=20, keep=5, seed=1)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior(a=Uniform(0, 1), scale=Fixed(1)), "says nothing about 'background'"),
        (Prior(a=Uniform(0, 1), scale=Fixed(1), background=Fixed(0), J=Fixed(1)), "names 'J'"),
        (Prior(a=Fixed(1), scale=Fixed(1), background=Fixed(0)), "every parameter of the prior is fixed"),
    ],
)
def test_a_prior_that_does_not_fit_the_experiment_is_one_sentence(prior: Prior, message: str) -> None:
    experiment = decay()
    with pytest.raises(InputError, match=message):
        Target.of(experiment, prior, data(experiment))


def test_a_spectrum_without_a_measured_bin_is_one_sentence() -> None:
    experiment = decay()
    with pytest.raises(InputError, match="no bin of this spectrum was measured"):
        Target.of(experiment, WIDE, data(experiment).exclude(-1, 99))


def test_parameters_are_matched_by_name() -> None:
    experiment = decay()
    prior = Prior(background=Normal(0, 1), a=Uniform(0, 1), scale=Fixed(7))
    target = Target.of(experiment, prior, data(experiment))
    assert target.names == ("background", "a")
    assert target.full(torch.tensor([[2.0, 0.5]]).double()).tolist() == [[0.5, 7, 2]]
    assert target.free == [2, 0]
