"""Rival models on the frame of Pr(Ca0.9Sr0.1)2Mn2O7: what two benchmarks share.

Six incident energies, ten energy windows each, 20 x 20 pixels in (h, k) from 0 to 1: the frame of `pcsmo_frame` folded
by its mirrors h and k, which every rival here has too. Under independent normal errors the mean of the four images
tells as much as they do, so nothing is lost. Free besides the constants of a model: weight of the second twin, a factor
on the tabulated resolution, and, of each incident energy, scale, flat background and phonons.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.pcsmo_frame import CELL, DATA, ENERGIES, PIXELS, TEMPERATURE, TWIN, WINDOWS, frame
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.learn.pairs import Pairs, Simulations, simulations
from sqwirrel.learn.parts import apart, measurements_of
from sqwirrel.learn.rivals import Contest
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed
from sqwirrel.model.prior import Prior
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe import (
    EllipsoidResolution,
    Experiment,
    Instrument,
    Joint,
    Poisson,
    Robust,
    TemplateBackground,
    read_covariance,
)
from sqwirrel.spectra import Beam, Measurement, QGrid, Spectrum

RIVALS = ("goodenough", "dimer", "zener")
SIDE, SAMPLES = PIXELS // 2, 8
SHARED = ("twin_2", "fwhm_scale")
NUISANCES = {"twin_2": {"uniform": [0.5, 2.0]}, "fwhm_scale": {"uniform": [0.8, 1.3]}}
LABELS = {f"ei{energy:g}": energy for energy in ENERGIES}
LEVELS, MEDIAN = 8, 0.789
"""Levels of intensity that the errors of the measured frame are found at, and the median of chi^2 / 3 for 3 degrees."""
LEAST, MOST = 0.02, 20.0
"""Magnetic counts a bin that networks learn from, on average over a frame."""
FURTHER = ("JF2", "JF3")
HYPOTHESES = (*RIVALS, "goodenough_nearest", "dimer_further")
Law = dict[str, list[float]] | float
Linear = Callable[[str, str], Law]
"""The law of a kind of amplitude (scale, background, background_measured) at an incident energy."""
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
    found, parts = of or model(name), dict[str, Experiment]()
    for label, energy in LABELS.items():
        where = measurement(energy)
        resolution = EllipsoidResolution(read_covariance(DATA / f"resolution/PCSMO_ei{energy:g}_resolution.txt.gz"))
        instrument = Instrument(
            resolution,
            flux_factor=True,
            background=TemplateBackground(phonons(where)),
            counting=Poisson() if counts else Robust(),
        )
        shared = next(iter(parts.values())).amplitudes if parts else None
        parts[label] = Experiment(found, where, instrument, samples=SAMPLES, twins=TWIN, shared=shared)
    return Joint(parts, shared=SHARED)


def prior(name: str, linear: Linear, of: SpinModel | None = None) -> Prior:
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


def levels(made: Simulations) -> dict[str, float]:
    """Usual mean signal of each incident energy, at unit scale."""
    pieces = apart(made.signal, measurements_of(made.simulator))
    return {k: float(x.double().mean((1, 2)).median()) for k, x in zip(LABELS, pieces, strict=True)}


def counted(kind: str, label: str, level: Mapping[str, float], mean: float | None = None) -> Law:
    """Magnetic counts a bin from `LEAST` to `MOST`, or with this mean and backgrounds of up to as much."""
    if kind == "scale":
        return {"loguniform": [LEAST / level[label], MOST / level[label]]} if mean is None else mean / level[label]
    return {"loguniform": [0.01, 1.0]} if mean is None else {"loguniform": [0.01, min(mean, 1.0)]}


def as_measured(kind: str, label: str, level: Mapping[str, float], data: Mapping[str, Spectrum]) -> Law:
    """Scales and backgrounds round what the measured frame has of each incident energy."""
    spectrum = data[label]
    mean = float(spectrum.intensity[spectrum.valid].mean())
    if kind == "scale":
        return {"loguniform": [0.3 * mean / level[label], 1.5 * mean / level[label]]}
    return {"uniform": [0.0, 0.5 * mean]}


def wide(kind: str, label: str, data: Mapping[str, Spectrum]) -> Law:
    """The same for inference, three decades of scale."""
    spectrum = data[label]
    mean = float(spectrum.intensity[spectrum.valid].mean())
    return {"loguniform": [3.0 * mean, 3000.0 * mean]} if kind == "scale" else {"uniform": [-0.5 * mean, 1.0 * mean]}


def contest(made: Mapping[str, Simulations], law: Linear, like: Mapping[str, Spectrum] | None = None) -> Contest:
    """A contest of simulations with other laws of their amplitudes: counts, or spectra measured like some."""
    return Contest.of({name: pairs(name, each, law, like) for name, each in made.items()})


def pairs(name: str, made: Simulations, law: Linear, like: Mapping[str, Spectrum] | None) -> Pairs:
    """Those of one rival."""
    seen = made.simulator if like is None else simulator(name, counts=False)
    return Pairs(replace(made, simulator=seen, prior=prior(name, law)), like)


def published(name: str) -> dict[str, float]:
    """The constants that the search looks at, too; Zener polarons have no stable order with JA below 0.2 meV."""
    known = dict((library.load("pcsmo_goodenough") if name == "goodenough_nearest" else model(name)).defaults)
    held = FURTHER if name == "goodenough_nearest" else ()
    return {k: {"JA": 0.4}.get(k, x) if name == "zener" else x for k, x in known.items() if k not in held}


def hypothesis(name: str, data: Mapping[str, Spectrum]) -> Hypothesis:
    """A rival for data that were measured; Goodenough also without JF2 and JF3, dimers also with them."""
    of = library.load("pcsmo_goodenough") if name == "goodenough_nearest" else None
    own = prior(name, lambda kind, label: wide(kind, label, data), of)
    if of is not None:
        own = Prior(**{k: x for k, x in own.free.items() if k not in FURTHER}, **dict.fromkeys(FURTHER, Fixed(0.0)))
    return Hypothesis(simulator(name, counts=False, of=of), own)


def measured() -> dict[str, Spectrum]:
    """The measured frame without hot pixels, folded, with errors from the scatter of its mirror images."""
    return {label: folded(each.despiked()) for label, each in zip(LABELS, frame(), strict=True)}


def folded(spectrum: Spectrum) -> Spectrum:
    """The mean of the mirror images of every pixel that has two or more; the frame came without errors.

    Scatter of so few says little of one pixel. So the law of the variance, as a function of the mean over 3 x 3 pixels,
    is taken from medians of all pixels with four images (median of chi^2 of 3 degrees of freedom); where that mean is
    less than half of what is usual, as where negative intensities were cut off, from there.
    """
    values, valid = (
        torch.stack([x.reshape(PIXELS, PIXELS, -1).flip(axes) for axes in MIRRORS])[:, SIDE:, SIDE:]
        for x in (spectrum.intensity, spectrum.valid.double())
    )
    n = valid.sum(0)
    mean = (values * valid).sum(0) / n.clamp(min=1)
    scatter = (((values - mean) * valid) ** 2).sum(0) / (n - 1).clamp(min=1)
    near = smoothed(mean * n) / smoothed(n).clamp(min=1e-9)
    usual = near[n > 1].median()
    all_four = (n == len(MIRRORS)) & (near > usual / 2)
    edges = near[all_four].quantile(torch.linspace(0, 1, LEVELS + 1, dtype=torch.float64))
    level = torch.bucketize(near.contiguous(), edges[1:-1].contiguous())
    law = torch.stack([scatter[all_four & (level == k)].median() for k in range(LEVELS)]) / MEDIAN
    error = (law[level] / n.clamp(min=1)).sqrt()
    where, ok = measurement(float(spectrum.measurement.incident_energy or 0.0)), n > 1
    flat = [x.reshape(SIDE * SIDE, WINDOWS) for x in (torch.where(ok, mean, 0.0), error, ok)]
    return Spectrum.from_arrays(flat[0], flat[1], where, valid=flat[2])


def smoothed(x: Float[Tensor, "row column window"]) -> Float[Tensor, "row column window"]:
    """Mean over 3 x 3 pixels of a window."""
    mean = torch.nn.functional.avg_pool2d(x.movedim(-1, 0)[:, None], 3, 1, 1, count_include_pad=False)
    return mean[:, 0].movedim(0, -1)


def told(words: str) -> None:
    """To the log."""
    print(time.strftime("%H:%M:%S"), words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    clock = time.perf_counter()
    for rival in sys.argv[3].split(","):
        made = simulated(rival, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4]))
        print(rival, len(made), made.stable, time.perf_counter() - clock, flush=True)
