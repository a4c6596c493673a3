"""A slice through a single crystal: bins along a path with corners, counts without errors, a smooth background.

    python examples/crystal_slice.py

The slice is simulated (La2NiO4, the path of Chitturi et al., Nat. Commun. 14, 5852 (2023)) so that nothing has to be
downloaded; the lines that would read a measured one stand beside it.
"""

import itertools

import numpy as np
import torch

import sqwirrel
from sqwirrel.observe import CovarianceTable, EllipsoidResolution, Robust, SmoothBackground
from sqwirrel.report.result import Result

TRUTH = {"J1": 32.0, "J2": 2.0, "fwhm_scale": 6.0, "scale": 20.0}
LEVELS = {"background_00": 1.0, "background_01": -1.0, "background_02": 0.5}
CORNERS = [[0.75, 0.25, 0], [0.5, 0.5, 0], [0.5, 0, 0], [0.75, 0.25, 0], [1, 0, 0], [0.5, 0, 0]]


def slice_of(model: sqwirrel.SpinModel) -> sqwirrel.Measurement:
    """Where the bins lie."""
    # A measured slice: q = torch.from_numpy(np.loadtxt("q.csv", delimiter=",")), one (h, k, l) a row.
    legs = [np.linspace(a, b, 13) for a, b in itertools.pairwise(CORNERS)]
    # Bins touch along each leg; the reduction took everything within 0.16 1/angstrom across it.
    path = sqwirrel.QPath.along(model.lattice, np.concatenate(legs), across=0.16)
    return sqwirrel.Measurement(path, np.arange(39.0, 142.0, 2.0), temperature=10.0)  # edges of energy bins, meV


def round_resolution(fwhm_q: float) -> EllipsoidResolution:
    """`fwhm_q` rlu in h and k; the width in energy, 1 meV in the table, is the free parameter `fwhm_scale`, in meV."""
    variance = np.diag([fwhm_q**2, fwhm_q**2, 1.0]) / (8 * np.log(2))
    return EllipsoidResolution(CovarianceTable([[0.5, 0.5, 80.0]], variance[None]))


def run() -> Result:
    """Simulates and infers."""
    model = sqwirrel.library.load("la2nio4")
    instrument = sqwirrel.Instrument(round_resolution(0.06), SmoothBackground(0, 2), Robust())
    experiment = sqwirrel.Experiment(model, slice_of(model), instrument, samples=16)

    # A measured slice: intensity = torch.from_numpy(np.loadtxt("slice.csv", delimiter=",")), (points, energies).
    expected = experiment(experiment.pack(**TRUTH, **LEVELS))[0].clamp(min=0)
    worth = 0.15  # of one count, in units of the slice
    intensity = worth * torch.poisson(expected / worth, generator=torch.Generator().manual_seed(1))

    bare = sqwirrel.Spectrum.from_arrays(intensity, torch.zeros_like(intensity), experiment.measurement)
    spectrum = bare.with_errors_from_scatter()
    levels = dict.fromkeys(SmoothBackground(0, 2).names, sqwirrel.Uniform(-5, 5))
    prior = sqwirrel.Prior(
        J1=sqwirrel.Uniform(20, 40, "meV"),
        J2=sqwirrel.Uniform(-5, 8, "meV"),
        fwhm_scale=sqwirrel.Uniform(1, 20),
        scale=sqwirrel.LogUniform(0.1, 100),
        **levels,
    )
    posterior = sqwirrel.infer(experiment, prior, spectrum)
    return Result(posterior, spectrum, experiment, prior)


if __name__ == "__main__":
    for row in run().posterior.summary():
        print(row.name, row.median, row.interval68)
