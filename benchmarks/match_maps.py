"""Two domains of maps whose truth is known: spin waves of Rb2MnF4 as they are, and as a spectrometer sees them.

48 points from (0.56, 0.5) to (1, 0.5) and (1, 0.06), 64 energies from 0.5 to 8.5 meV; J1, J2, D, scale are drawn.
Clean maps have lines of 0.25 meV and nothing else. Maps with artefacts have lines of 0.9 meV, a background that slopes,
Poisson's noise of some tens of counts at the peaks, a kinematic corner and dead detectors. Rows of the two have nothing
to do with each other, except in the held-out pairs.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.learn.pairs import simulations
from sqwirrel.learn.translate.domain import Domain
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QPath

CORNERS = [[0.56, 0.5, 0.0], [1.0, 0.5, 0.0], [1.0, 0.06, 0.0]]
POINTS, ENERGIES = 48, 64
ENERGY = torch.linspace(0.5, 8.5, ENERGIES + 1, dtype=torch.float64)
SHARP, WIDE = 0.25, 0.9
"""Full widths at half maximum, meV."""
PRIOR = {
    "J1": {"uniform": [0.45, 0.75]},
    "J2": {"uniform": [-0.02, 0.05]},
    "D": {"uniform": [-0.03, -0.002]},
    "scale": {"uniform": [0.7, 1.4]},
    "background": 0.0,
}
COUNTS = 15.0
"""Counts of a bin of unit level; at the boundary of the zone lines with artefacts are about as high."""
SLOPE, FLAT = (0.1, 0.3), (0.05, 0.2)
"""Backgrounds, in units of the level: one that falls with energy, and one that does not. In the middle of these
limits, or anywhere between them.
"""
DECAY = 2.5
"""Energy over which the one that falls does so, meV."""
GAPS, WIDEST = 2, 3
"""Dead detectors of a map, and the points that one takes at most."""


@dataclass(frozen=True, eq=False)
class Artefacts:
    """Maps with artefacts: what is expected of the lines and of all, what was counted, its errors, and where."""

    signal: Float[Tensor, "row point energy"]
    expected: Float[Tensor, "row point energy"]
    level: Float[Tensor, "row point energy"]
    error: Float[Tensor, "row point energy"]
    valid: Float[Tensor, "row point energy"]

    def domain(self) -> Domain:
        """To learn from."""
        return Domain.of(self.level, self.error, self.valid.bool())


def experiment(fwhm: float, **held: float) -> tuple[Experiment, Prior]:
    """What sees them, and what is drawn; some parameters may be held."""
    model = library.load("rb2mnf4")
    corner = torch.tensor(CORNERS, dtype=torch.float64)
    steps = torch.linspace(0, 1, POINTS // 2 + 1, dtype=torch.float64)[:-1, None]
    q = torch.cat([torch.lerp(a, b, steps) for a, b in pairwise(corner)])
    where = Measurement(QPath(model.lattice, q, torch.zeros(3, 3)), ENERGY, 5.0)
    made = Experiment(model, where, Instrument(GaussianResolution()), samples=1)
    return made, Prior.from_mapping({**PRIOR, **held, "fwhm": fwhm})


def signals(fwhm: float, rows: int, seed: int, **held: float) -> Float[Tensor, "row point energy"]:
    """Maps of lines of a width, of a scale of their own."""
    return drawn(fwhm, rows, seed, **held)[1]


def drawn(
    fwhm: float, rows: int, seed: int, **held: float
) -> tuple[Float[Tensor, "row parameter"], Float[Tensor, "row point energy"]]:
    """What the simulations of a seed were drawn with (free parameters), and their maps."""
    made, beliefs = experiment(fwhm, **held)
    found = simulations(made, beliefs, rows, seed)
    theta = found.theta[:rows]
    return theta, found.signal[:rows].double() * theta[:, list(beliefs.names).index("scale"), None, None]


def artefacts(rows: int, seed: int, *, varied: bool = False, **held: float) -> Artefacts:
    """Maps of the simulations of a seed, as they are measured; with a background of its own in each, if `varied`."""
    generator = stream(seed, "artefacts")

    def even(low: float, high: float) -> float | Tensor:
        if not varied:
            return (low + high) / 2
        return low + (high - low) * torch.rand(rows, 1, 1, generator=generator, dtype=torch.float64)

    centre = (ENERGY[1:] + ENERGY[:-1]) / 2
    signal = signals(WIDE, rows, seed, **held)
    expected = signal + even(*SLOPE) * torch.exp(-centre / DECAY) + even(*FLAT)
    counts = torch.poisson(COUNTS * expected, generator=generator)
    level, error = counts / COUNTS, counts.clamp(min=1).sqrt() / COUNTS
    return Artefacts(signal, expected, level, error, coverage(rows, generator).double())


def coverage(rows: int, generator: torch.Generator) -> Tensor:
    """Where a spectrometer measured: not high energies at the first points, and not where detectors are dead."""
    point, energy = torch.arange(POINTS)[:, None], torch.arange(ENERGIES)
    start = torch.randint(ENERGIES // 2, ENERGIES, (rows, 1, 1), generator=generator)
    found = energy < start + 3 * point
    for _ in range(GAPS):
        first = torch.randint(POINTS, (rows, 1, 1), generator=generator)
        wide = torch.randint(1, WIDEST + 1, (rows, 1, 1), generator=generator)
        found = found & ~((point >= first) & (point < first + wide))
    return found
