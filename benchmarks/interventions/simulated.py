"""Kinds of systems made of spin waves, on a path and of a powder, with a cause that nothing in them knows of."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.interventions.known import DUMMY, Draw
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.model import library
from sqwirrel.model.laws import Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum


@dataclass(frozen=True, eq=False)
class Simulated:
    """Spectra of an experiment, its causes after one that does nothing."""

    spectra: Spectra
    prior: Prior
    reach: Mapping[str, Tensor]
    confounder: str = "scale"

    @property
    def neighbours(self) -> Tensor:
        """Bins next to each other."""
        return self.spectra.neighbours

    def see(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Bins in standard deviations."""
        return self.spectra.see(theta[:, 1:])

    def slope(self, theta: Tensor) -> Tensor:
        """Their derivatives."""
        slope = self.spectra.slope(theta[:, 1:])
        return torch.cat((torch.zeros_like(slope[:1]), slope))


def ferromagnetic_chain(draw: Draw) -> Simulated:
    """A ferromagnetic chain at a quarter of the path at the zone centre, where exchange moves nothing."""
    model = library.load("fm_chain")
    h = torch.cat((torch.zeros(10), torch.linspace(0.06, 0.5, 30))).double()
    q = torch.stack((h, torch.zeros_like(h), torch.zeros_like(h)), -1)
    where = Measurement(QPath(model.lattice, q, torch.zeros(3, 3)), torch.linspace(-1, 6, 57).double(), 5.0)
    laws = {"J": draw.law(-1.3, -0.7), "fwhm": draw.law(0.3, 0.7), "background": draw.law(1, 5)}
    beyond = torch.ones(40, 56, dtype=torch.bool)
    beyond[:10] = False
    return _simulated(Experiment(model, where, Instrument(counting=Poisson())), laws, {"J": beyond}, draw)


def square_powder(draw: Draw) -> Simulated:
    """A powder of Rb2MnF4-like layers."""
    model = library.load("rb2mnf4")
    shells = QShells(torch.linspace(0.3, 2.2, 31).double())
    where = Measurement(shells, torch.linspace(0.5, 8, 46).double(), 5.0, incident_energy=20)
    laws = {
        "J1": draw.law(0.5, 0.8),
        "J2": draw.law(-0.1, 0.1),
        "D": draw.law(-0.05, -0.002),
        "fwhm": draw.law(0.3, 0.7),
    }
    laws["fwhm_q"], laws["background"] = draw.law(0.02, 0.1), draw.law(1, 10)
    return _simulated(Experiment(model, where, Instrument(counting=Poisson()), samples=32), laws, {}, draw)


def _simulated(
    experiment: Experiment, laws: Mapping[str, Uniform], reach: Mapping[str, Tensor], draw: Draw
) -> Simulated:
    """With counts as in the closed forms."""
    prior = Prior(**laws, scale=draw.area())
    shape = experiment.measurement.shape
    one = torch.ones(shape, dtype=torch.float64)
    spectra = Spectra.of(experiment, prior, Spectrum.from_arrays(one, one, experiment.measurement, is_counts=True))
    whole = Prior(**{DUMMY: Uniform(0.0, 1.0)}, **prior.free)
    return Simulated(spectra, whole, {DUMMY: torch.zeros(shape, dtype=torch.bool), **reach})


KINDS = (ferromagnetic_chain, square_powder)
