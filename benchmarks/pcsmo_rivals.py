"""Rival models on the frame of Pr(Ca0.9Sr0.1)2Mn2O7: what two benchmarks share.

Six incident energies, ten energy windows each, 20 x 20 pixels in (h, k) from 0 to 1: the frame of `pcsmo_frame` folded
by its mirrors h and k, which every rival here has too. Under independent normal errors the mean of the four images
tells as much as they do, so nothing is lost. Free besides the constants of a model: weight of the second twin, a factor
on the tabulated resolution, and, of each incident energy, scale, flat background and phonons.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.pcsmo_frame import CELL, DATA, ENERGIES, PIXELS, TEMPERATURE, TWIN, WINDOWS
from sqwirrel.learn.pairs import Simulations, simulations
from sqwirrel.model import library
from sqwirrel.model.prior import Fixed, Prior
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe import (
    EllipsoidResolution,
    Experiment,
    Gaussian,
    Instrument,
    Joint,
    Poisson,
    TemplateBackground,
    read_covariance,
)
from sqwirrel.spectra import Beam, Measurement, QGrid, Spectrum

RIVALS = ("goodenough", "dimer", "zener")
SIDE, SAMPLES = PIXELS // 2, 8
SHARED = ("twin_2", "fwhm_scale")
NUISANCES = {"twin_2": {"uniform": [0.5, 2.0]}, "fwhm_scale": {"uniform": [0.8, 1.3]}}
COUNTED = {"scale": {"loguniform": [0.1, 10.0]}, "background": {"uniform": [0.0, 1.0]}}
LABELS = {f"ei{energy:g}": energy for energy in ENERGIES}
MIRRORS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))


def model(name: str) -> SpinModel:
    """A rival in the cell of the frame; that of the library's Zener polarons has rounded edges."""
    found = library.load(f"pcsmo_{name}")
    return replace(found, lattice=library.load("pcsmo_dimer").lattice) if name == "zener" else found


def measurement(incident_energy: float) -> Measurement:
    """A quarter of the pixels of one incident energy."""
    edges = torch.arange(SIDE + 1, dtype=torch.float64) * 2 / (PIXELS - 1)
    beam = Beam((0, 0, 1), incident_energy)
    grid = QGrid(CELL, torch.eye(3, dtype=torch.float64), [edges, edges, [-50.0, 50.0]], beam=beam)
    energy = incident_energy * (0.10 + 0.06 * torch.arange(WINDOWS + 1, dtype=torch.float64))
    return Measurement(grid, energy, TEMPERATURE, incident_energy=incident_energy)


def phonons(where: Measurement) -> Spectrum:
    """An acoustic and an optic branch, 22 and 40 meV at most, as strong as (1 + h^2 + k^2) / E; mean 1."""
    axis = (torch.arange(SIDE, dtype=torch.float64) + 0.5) * 2 / (PIXELS - 1)
    q = torch.cartesian_prod(axis, axis)
    away = (torch.pi * q).sin().norm(dim=1)[:, None]
    branches = (22.0 * away / 2**0.5, 40.0 - 3.0 * away)
    energy = where.energy_centres
    width = 2.0 + 0.03 * float(where.incident_energy or 0.0)
    shape = sum(torch.exp(-0.5 * ((energy - each) / width) ** 2) / each.clamp(min=5.0) for each in branches)
    found = (shape + 1e-3) * (1 + (q**2).sum(1))[:, None]
    return Spectrum.from_arrays(found / found.mean(), torch.zeros_like(found), where)


def simulator(name: str, *, counts: bool = True, of: SpinModel | None = None) -> Joint:
    """What sees all incident energies, which share the modes that they look at."""
    parts: dict[str, Experiment] = {}
    for label, energy in LABELS.items():
        where = measurement(energy)
        resolution = EllipsoidResolution(read_covariance(DATA / f"resolution/PCSMO_ei{energy:g}_resolution.txt.gz"))
        instrument = Instrument(
            resolution,
            flux_factor=True,
            background=TemplateBackground(phonons(where)),
            counting=Poisson() if counts else Gaussian(),
        )
        shared = next(iter(parts.values())).amplitudes if parts else None
        parts[label] = Experiment(of or model(name), where, instrument, samples=SAMPLES, twins=TWIN, shared=shared)
    return Joint(parts, shared=SHARED)


def prior(
    name: str, linear: Callable[[str, str], dict[str, list[float]] | float], of: SpinModel | None = None
) -> Prior:
    """What is thought of a rival; `linear` says it of each kind of amplitude (scale, background, background_measured),
    and each incident energy.
    """
    kinds = ("scale", "background", "background_measured")
    amplitudes = {f"{kind}_{label}": linear(kind, label) for label in LABELS for kind in kinds}
    more = Prior.from_mapping({**NUISANCES, **amplitudes})
    held = {label: Fixed(value) for label, value in more.fixed.items()}
    return Prior(**(of or model(name)).prior.free, **more.free, **held)


def simulated(name: str, folder: Path, rows: int, seed: int) -> Simulations:
    """At least so many stable draws; kept in the folder. Amplitudes are for others to say: see `counted`, `like`."""
    everywhere = prior(name, lambda *_: {"uniform": [0.5, 1.5]})
    return simulations(simulator(name), everywhere, rows, seed, folder / f"{name}-{seed}")


if __name__ == "__main__":
    import sys
    import time

    clock = time.perf_counter()
    for rival in sys.argv[3].split(","):
        made = simulated(rival, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4]))
        print(rival, len(made), made.stable, time.perf_counter() - clock, flush=True)
