"""The anchored fine average: what the coarse search and the fine basins hand on, and targets that follow the fit."""

from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Settings
from sqwirrel.infer.anchor import MARGIN, _refined, anchor
from sqwirrel.infer.averages import Averages
from sqwirrel.infer.refine import Optimum, refine
from sqwirrel.infer.target import Target
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, Normal, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, Instrument, Poisson
from sqwirrel.observe.experiment import Anchored, Linearised
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum
from tests.unit.infer.toy import Toy, spectrum

CHAIN = library.load("fm_chain")
MAP = Measurement(
    QShells(torch.linspace(0.3, 1.5, 13, dtype=torch.float64)), torch.linspace(0.5, 5, 161, dtype=torch.float64), 5.0
)
PRIOR = Prior(
    J=Uniform(-1.5, -0.6, "meV"),
    fwhm=Uniform(0.2, 1, "meV"),
    fwhm_q=Uniform(0.01, 0.2),
    scale=Uniform(2, 50),
    background=Uniform(0, 10),
)
COUNTS = Instrument(counting=Poisson())
EXPERIMENT = Experiment(CHAIN, MAP, COUNTS, samples=32, cell=0.1)
TRUTH = EXPERIMENT.pack(J=-1.0, fwhm=0.4, fwhm_q=0.05, scale=10, background=2)
DATA = EXPERIMENT.anchored(TRUTH).experiment.sample(TRUTH, 1)
BRIGHT = EXPERIMENT.pack(J=-1.0, fwhm=0.4, fwhm_q=0.05, scale=45, background=2)
COUNTED = EXPERIMENT.anchored(BRIGHT).experiment.sample(BRIGHT, 1)


def silent(stage: str, done: int, total: int) -> None:
    del stage, done, total


def test_merged_counts_weigh_basins_as_all_counts_do() -> None:
    """Two bins are merged, lines are 13 wide: a wrong J costs the same log posterior on the merged and on all bins."""
    q = [[h, 0, 0] for h in (0.15, 0.25, 0.35, 0.5)]
    path = Experiment(
        CHAIN, Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), MAP.energy, 5.0), COUNTS, samples=1
    )
    prior = Prior(**{name: law for name, law in PRIOR.free.items() if name != "fwhm_q"})
    truth = path.pack(J=-1.0, fwhm=0.4, scale=30, background=2)
    data, z = (
        path.sample(truth, 1),
        prior.unconstrain(torch.cat((truth, path.pack(J=-1.02, fwhm=0.4, scale=30, background=2)))),
    )
    averages = Averages.of(path, data)
    assert averages.merge == {"": (1, 2)}
    coarse, fine = averages.rough(prior, data).log_posterior(z), Target.of(path, prior, data).log_posterior(z)
    assert 2 * float(coarse[0] - coarse[1]) == pytest.approx(float(fine[0] - fine[1]), rel=0.1)
    (found, *_) = averages.search(prior, data, Settings(screen=32, starts=2), silent)
    raw = averages.rough(prior, data).log_posterior(found.z[None])
    assert found.log_posterior == pytest.approx(2 * float(raw), rel=1e-9)


def test_poor_basins_are_reported_on_the_scale_of_the_fine_average() -> None:
    target = Target.of(Experiment(CHAIN, MAP, COUNTS, samples=8, cell=0.1), PRIOR, COUNTED)
    (best,) = refine(target, BRIGHT)
    far = Optimum(best.z + 3, best.log_posterior - MARGIN - 100, best.information, best.precision)
    fine = anchor(target, [best, far], silent)
    assert len(fine.basins) == 1
    assert fine.basins[0].log_posterior - fine.poor[0].log_posterior == pytest.approx(MARGIN + 100, abs=30)
    # 100 times 8 points a cell are too few for these counts.
    assert fine.finer[""] in (4, 16)
    assert [(check.name, check.passed) for check in fine.checks] == [("quadrature", True), ("stable_order", True)]


def test_an_order_that_the_fine_average_finds_unstable_is_one_sentence() -> None:
    model = library.load("rb2mnf4")
    line = Measurement(QPath(model.lattice, [[0.5, 0.45, 0.0]], torch.zeros(3, 3)), torch.linspace(0.5, 8, 31), 5.0)
    experiment = Experiment(model, line, Instrument(counting=Poisson()), samples=1)
    prior = Prior(
        J1=Uniform(0.3, 1, "meV"),
        J2=Uniform(-0.1, 0.1, "meV"),
        D=Uniform(-0.05, 0.1, "meV"),
        fwhm=Uniform(0.1, 1, "meV"),
        scale=Uniform(1, 100),
        background=Uniform(0, 5),
    )
    theta = experiment.pack(D=0.09, fwhm=0.5, scale=20, background=1)
    data = experiment.sample(experiment.pack(fwhm=0.5, scale=20, background=1), 1)
    eye = torch.eye(6, dtype=torch.float64)
    start = Optimum(prior.unconstrain(theta)[0], 0.0, eye, eye)
    with pytest.raises(InputError, match="not a minimum"):
        anchor(Target.of(experiment, prior, data), [start], silent)


def test_reweighed_targets_have_the_variance_of_the_fit_and_push_is_the_change_of_the_gradient() -> None:
    experiment = Experiment(CHAIN, MAP, Instrument(counting=Gaussian()), samples=8, cell=0.2)
    data = Spectrum.from_arrays(COUNTED.intensity, COUNTED.error, MAP)
    z = PRIOR.unconstrain(BRIGHT)
    target = Target.of(experiment, PRIOR, data)
    expected = experiment(BRIGHT)[0]
    again = target.reweighed(z[0])
    (term,), (before,) = again.terms, target.terms
    assert torch.allclose(term.observed.variance, Gaussian().observe(data, expected).variance)
    assert not torch.allclose(term.observed.variance, before.observed.variance)
    generator = torch.Generator().manual_seed(1)
    scatter = 0.01 * torch.randn(3, *MAP.shape, generator=generator, dtype=torch.float64)
    rise = 0.01 * torch.randn(3, 5, *MAP.shape, generator=generator, dtype=torch.float64)
    pushed = again.push(z[0], replace(term, average=Anchored(experiment, scatter, rise, torch.zeros(0, 3))))
    for change, slope, push in zip(scatter, rise, pushed, strict=True):
        moved = again.with_terms([replace(term, experiment=Moved(experiment, change, slope))])
        both = again.with_terms([replace(term, experiment=Moved(experiment, -change, -slope))])
        assert torch.allclose((moved.slope(z).gradient[0] - both.slope(z).gradient[0]) / 2, push, rtol=1e-6, atol=1e-6)
    assert not bool((pushed == 0).all())


class Moved(Experiment):
    """An experiment whose average and derivatives are others."""

    def __init__(self, like: Experiment, change: torch.Tensor, slope: torch.Tensor) -> None:
        super().__init__(like.model, like.measurement, like.instrument, samples=like.samples, cell=like.cell)
        self.change, self.slope = change, slope

    def linearise(self, theta: torch.Tensor) -> Linearised:
        expected, slope, stable = super().linearise(theta)
        return Linearised(expected + self.change, slope + self.slope, stable)


def test_a_start_at_the_edge_of_stability_is_moved_inside() -> None:
    """The fine average is stable below 1.0 alone, where the coarse one ended at 1.05 with a best fit at 0.9."""
    A = torch.ones(40, 1, dtype=torch.float64)
    toy = Toy(("a",), lambda theta: theta @ A.T, 40, stable=lambda theta: theta[:, 0] < 1.0)
    prior = Prior(a=Normal(0.0, 2.0), scale=Fixed(1), background=Fixed(0))
    target = Target.of(toy, prior, spectrum(toy, torch.full((40,), 0.9, dtype=torch.float64)))
    edge, one = torch.tensor([0.525], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    (found,) = _refined(target, [Optimum(edge, 0.0, one, one, 3)], silent)
    assert float(prior.constrain(found.z[None])) == pytest.approx(0.9, abs=0.01)
    assert found.starts == 3
    nowhere = Toy(("a",), lambda theta: theta @ A.T, 40, stable=lambda theta: theta[:, 0] < -9.0)
    with pytest.raises(InputError, match=r"the toy is unstable at 1\.[01]"):
        _refined(Target.of(nowhere, prior, target.terms[0].spectrum), [Optimum(edge, 0.0, one, one, 3)], silent)
