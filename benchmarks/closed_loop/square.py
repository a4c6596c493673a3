"""The problem: a square-lattice antiferromagnet with J1, J2 and D on a triple-axis spectrometer.

The kind of problem is that of W. Ratcliff, arXiv:2604.23821; every number here is ours: the crystal and order of
Rb2MnF4 (S = 5/2), priors, grid of candidates, resolution, count rates, counting time, and speeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch

from sqwirrel.infer.advise import Speeds
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QPath, QPoints, Spectrum

LAWS = {
    "J1": {"uniform": [0.4, 0.9]},
    "J2": {"uniform": [0.02, 0.12]},
    "D": {"uniform": [-0.06, -0.01]},
    "scale": {"loguniform": [5.0, 20.0]},
    "background": {"uniform": [0.5, 2.0]},
}
"""meV, and counts in `COUNTING` minutes: about 20 on top of a mode at the zone boundary for a scale of 10."""
FIXED = {"fwhm": 0.4}
CORNERS = ((0.5, 0.5, 0.0), (0.75, 0.25, 0.0), (0.5, 0.0, 0.0))
"""From the ordering vector to two places of the zone boundary, whose energies differ by J2."""
COUNTING = 0.25
Q_SPEED, ENERGY_SPEED, SETTLE = 3.0, 30.0, 0.03
"""1/angstrom and meV a minute, and minutes: the longest way takes 20 s."""
START = (0.5, 0.5, 0.0, 0.0)
"""Aligned on the magnetic Bragg peak."""
NEAREST, FURTHER = "J1", "J1 and J2"
PRIORS = {NEAREST: Prior.from_mapping({**LAWS, "J2": 0.0, **FIXED}), FURTHER: Prior.from_mapping({**LAWS, **FIXED})}
"""The rivals, with one prior for what they share."""
KNOWN = {name: dict(prior.fixed) for name, prior in PRIORS.items()}


@dataclass(frozen=True)
class Log:
    """The candidates measured so far, with their counts, and the minutes that took."""

    candidates: tuple[int, ...] = ()
    counts: tuple[float, ...] = ()
    minutes: float = 0.0

    def scan(self) -> Experiment:
        """What predicts the points measured so far."""
        return scan(self.candidates)

    def spectrum(self) -> Spectrum:
        """The counts as a spectrum of a scan."""
        counts = torch.tensor(self.counts, dtype=torch.float64)[:, None]
        return Spectrum.from_arrays(counts, counts.sqrt(), self.scan().measurement, is_counts=True)

    @property
    def here(self) -> tuple[float, float, float, float]:
        """Where the spectrometer stands."""
        return tuple(spots()[self.candidates[-1]].tolist()) if self.candidates else START  # type: ignore[return-value]


def moving(log: Log) -> Speeds:
    """Minutes to move from where the spectrometer stands."""
    return Speeds(candidates().model.lattice, Q_SPEED, ENERGY_SPEED, SETTLE, log.here)


def measured(log: Log, candidate: int, truth: torch.Tensor, seed: int, name: str) -> Log:
    """The log with one more point, counted with the noise of its own stream."""
    way = float(moving(log)(None, spots()[candidate : candidate + 1])[0])
    generator = stream(seed, f"{name}/{len(log.candidates)}")
    counts = float(torch.poisson(scan((candidate,))(truth)[0, 0, 0], generator=generator))
    return Log((*log.candidates, candidate), (*log.counts, counts), log.minutes + way + COUNTING)


def true_parameters(seed: int, model: str) -> torch.Tensor:
    """One draw of a prior, as the experiment has its parameters."""
    prior = PRIORS[model]
    drawn = dict(zip(prior.names, prior.sample(1, seed)[0].tolist(), strict=True))
    return candidates().pack(**drawn, **prior.fixed)


@cache
def candidates() -> Experiment:
    """21 wavevectors with 39 energies each, 0.5 to 10 meV; a point counts neutrons of 0.25 meV."""
    corner = torch.tensor(CORNERS, dtype=torch.float64)
    line = torch.linspace(0, 1, 11, dtype=torch.float64)[:, None]
    q = torch.cat((corner[0] + (corner[1] - corner[0]) * line, corner[1] + (corner[2] - corner[1]) * line[1:]))
    model = library.load("rb2mnf4")
    energy = torch.linspace(0.375, 10.125, 40, dtype=torch.float64)
    return Experiment(
        model, Measurement(QPath(model.lattice, q, torch.zeros(3, 3)), energy, 5.0), INSTRUMENT, samples=1
    )


INSTRUMENT = Instrument(GaussianResolution(), counting=Poisson())


@cache
def spots() -> torch.Tensor:
    """(h, k, l, E) of the candidates."""
    measurement = candidates().measurement
    q, energy = measurement.points.q, measurement.energy_centres  # type: ignore[union-attr]
    return torch.cat((q.repeat_interleave(len(energy), 0), energy.repeat(len(q))[:, None]), dim=1)


def scan(chosen: Sequence[int]) -> Experiment:
    """The chosen candidates as points of a scan."""
    every = candidates().measurement
    point, bin_ = (torch.tensor(each) for each in zip(*(divmod(k, every.shape[1]) for k in chosen), strict=True))
    edges = torch.stack((every.energy[bin_], every.energy[bin_ + 1]), dim=1)
    points = QPoints(candidates().model.lattice, every.points.q[point])  # type: ignore[union-attr]
    return Experiment(candidates().model, Measurement(points, edges, 5.0), INSTRUMENT, samples=1)
