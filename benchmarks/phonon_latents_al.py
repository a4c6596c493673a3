"""Maps of aluminium as Su and Li measured and simulated them: axes, coverage, simulations, measured maps.

Their axes are not shipped: edges of the mask fit E_i = 51 meV, |Q| = 0.10 k / A and E = 7.94 + 0.547 j meV.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from sqwirrel.learn.latent.maps import evened
from sqwirrel.learn.pairs import simulations
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.laws import Fixed, Uniform
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument
from sqwirrel.simulate.crosssection import bose
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.spectra import Measurement, QShells

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "al_temperature"
CELLS = {50: 4.0331, 280: 4.0480, 540: 4.0740}
"""Lattice constants, A, of aluminium at the temperatures (K) of the measured maps."""
LEARNT = 280
"""Temperature, K, of the Debye-Waller factors of simulations."""
ENERGY, Q = 7.94 + 0.547 * (torch.arange(71).double() - 0.5), (0.10 * (torch.arange(102).double() - 0.5)).clamp(min=0)
SHAPE = (101, 70)
WIDTHS = {"fwhm": 2.0, "fwhm_q": 0.1}
"""meV and 1/A, where they are known."""
FREE = {"fwhm": Uniform(1.0, 6.0, "meV"), "fwhm_q": Uniform(0.03, 0.4, "1/angstrom")}
"""What they are between for measured maps."""
SAMPLES, FEWEST = 16, 500
"""Quadrature points a cell; fewer for fewer simulations, which only show that all runs."""
ZONE = 12


@dataclass(frozen=True)
class Smooth:
    """What lies under a map of chi'': level, slope in energy, rise with Q^2, as scattering at a temperature."""

    temperature: float
    names = ("background", "background_slope", "background_rise")
    units: ClassVar[dict[str, str]] = {"background": "", "background_slope": "1/meV", "background_rise": "angstrom^2"}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """Each times n + 1."""
        E, points = measurement.energy_centres, measurement.points
        assert isinstance(points, QShells)
        each = (torch.ones_like(E), E - E.mean(), (points.centres**2)[:, None])
        weight = bose(E, self.temperature)
        return torch.stack([(part * weight).expand(measurement.shape) for part in each])

    def rebinned(self, q: int, energy: int) -> "Smooth":  # noqa: ARG002 (a shape has no bins)
        """The same."""
        return self


def model(temperature: int = LEARNT) -> PhononModel:
    """Aluminium with five force constants."""
    cell = [CELLS[temperature]] * 3 + [90.0] * 3
    return born_von_karman(Crystal.from_spacegroup(cell, 225, {"Al": (0, 0, 0)}), 1.01 * cell[0], name="aluminium")


def published() -> dict[str, float]:
    """Those of R. A. Cowley (1974), 80 K, to second neighbours."""
    return {name: library.load("al_80k").defaults[name] for name in model().names}


def prior(*, wide: bool = False, nuisances: bool = False) -> Prior:
    """Within 50 % of the published constants; for measured maps `wide`: a tenth of the largest further, either way."""
    values = published()
    more = 0.1 * max(map(abs, values.values())) if wide else 0.0
    springs = {name: Uniform(x - abs(x) / 2 - more, x + abs(x) / 2 + more, "N/m") for name, x in values.items()}
    return Prior(**springs, **(FREE if nuisances else {name: Fixed(x) for name, x in WIDTHS.items()}))


def experiment(temperature: int = LEARNT, samples: int = SAMPLES) -> Experiment:
    """What the spectrometer sees, without what is linear."""
    where = Measurement(QShells(Q), ENERGY, temperature=float(temperature))
    instrument = Instrument(GaussianResolution(), Smooth(float(temperature)), multiphonon=False)
    return Experiment(model(temperature), where, instrument, samples=samples)


def simulated(
    folder: Path, rows: int, seed: int, beliefs: Prior, samples: int | None = None
) -> tuple[Float[Tensor, "row parameter"], Tensor]:
    """Parameters, and maps of chi'' without noise, in the units of their own range (row, point, energy)."""
    simulator = experiment(samples=samples or (SAMPLES if rows >= FEWEST else 2))
    linear = {name: Fixed(1.0 if name == "scale" else 0.0) for name in simulator.linear}
    whole = Prior(**beliefs.free, **{name: Fixed(x) for name, x in beliefs.fixed.items()}, **linear)
    made = simulations(simulator, whole, rows, seed, folder)
    weight = bose(simulator.measurement.energy_centres, float(LEARNT)).float()
    level = made.signal[:rows] / weight
    return made.theta[:rows], level / (level.amax((1, 2), keepdim=True))


def measured() -> dict[int, Float32[Tensor, "1 point energy"]]:
    """Measured maps by temperature, NaN where there is none."""
    return {t: _load(f"exp_chi_{t}K_mean.pt") for t in CELLS}


def coverage() -> Tensor:
    """Where they were measured."""
    return ~measured()[LEARNT][0].isnan()


def _load(name: str) -> Tensor:
    found: Tensor = torch.load(FOLDER / name, weights_only=True)
    return found.float().mT


def own_noise(level: Tensor, valid: Tensor) -> float:
    """Standard deviation of the noise of a map, from how far a bin is from the middle of its neighbours in energy."""
    inner = valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:]
    second = level[:, 1:-1] - (level[:, :-2] + level[:, 2:]) / 2
    return float((second[inner] ** 2 / 1.5).mean().sqrt())


def mean_energy(theta: Float[Tensor, "row parameter"]) -> Float[Tensor, " row"]:
    """Mean energy of all modes of the zone, meV."""
    crystal = model()
    axis = (torch.arange(ZONE).double() + 0.5) / ZONE
    q = torch.cartesian_prod(axis, axis, axis[: ZONE // 2]) @ torch.linalg.inv(crystal.primitive).T
    return torch.cat([Phonons(crystal, q).energies(rows).mean((1, 2)) for rows in torch.split(theta, 64)])


def even(level: Tensor, valid: Tensor) -> Any:
    """A measured map in the units of its range."""
    return evened(torch.where(valid, level, 0.0), valid.expand(len(level), -1, -1))
