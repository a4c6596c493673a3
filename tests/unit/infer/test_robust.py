"""Robust counting: one bad bin moves a fit by a normal law, and not one by Student's."""

import torch

from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.model import library
from sqwirrel.model.laws import LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, GaussianResolution, Instrument, Robust
from sqwirrel.observe.counting import Counting
from sqwirrel.spectra import Measurement, QPath, Spectrum

PRIOR = Prior(
    J=Uniform(-1.3, -0.7, "meV"), fwhm=Uniform(0.1, 1.0), scale=LogUniform(0.1, 100), background=Uniform(-10, 10)
)


def chain(counting: Counting) -> Experiment:
    model = library.load("fm_chain")
    q = [[0.05 * k, 0.0, 0.0] for k in range(11)]
    measurement = Measurement(QPath(model.lattice, q, torch.zeros(3, 3)), torch.linspace(0.5, 5, 46), 1.0)
    return Experiment(model, measurement, Instrument(GaussianResolution(), counting=counting), samples=1)


def fitted(counting: Counting, *, spoiled: bool) -> tuple[float, float]:
    """J (meV) and its standard deviation, from a noisy spectrum with or without one bin 60 errors too high."""
    experiment = chain(counting)
    known = {"fwhm": 0.4, "scale": 10.0, "background": 1.0}
    expected = experiment.predict(experiment.pack(J=-1.0, **known)).expected[0]
    noise = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = expected + noise
    if spoiled:
        k = int(experiment.measurement.energy_centres.sub(4.3).abs().argmin())  # above the top of the band
        values[-1, k] += 60
    data = Spectrum.from_arrays(values, torch.ones_like(values), experiment.measurement)
    target = Target.of(experiment, PRIOR, data)
    theta = torch.tensor([[-0.98, 0.5, 9.0, 0.5]], dtype=torch.float64)
    best = refine(target, theta)[0]
    error = best.covariance[0, 0].sqrt() * target.stretch(best.z[None])[0, 0]
    return float(PRIOR.constrain(best.z[None])[0, 0]), float(error)


def test_an_outlier_does_not_move_a_robust_fit() -> None:
    clean, error = fitted(Robust(), spoiled=False)
    assert abs(fitted(Robust(), spoiled=True)[0] - clean) < 0.4 * error
    normal, _ = fitted(Gaussian(), spoiled=False)
    assert abs(normal - clean) < error
    assert abs(fitted(Gaussian(), spoiled=True)[0] - normal) > 3 * error


def test_a_robust_fit_is_near_the_truth() -> None:
    found, error = fitted(Robust(), spoiled=True)
    assert abs(found + 1) < 4 * error
