"""Points drawn from a resolution in q, and what else it does to the modes there.

The resolution of a point is a normal law of (q, E). Points are drawn from its part in q, averaged over energies; a mode
at a drawn point is weighed by how much likelier the law at its own energy makes that point, and seen where the law
expects it: at the energy less slope . dq of the law. What is left is a width in energy, the same at all drawn points.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.covariance.cooper_nathans import covariance
from sqwirrel.observe.covariance.ellipsoid import split
from sqwirrel.observe.covariance.resolution import Source
from sqwirrel.observe.covariance.table import CovarianceTable
from sqwirrel.observe.views.lines import Blur
from sqwirrel.observe.views.places import Places, places
from sqwirrel.spectra import Measurement, QPoints
from sqwirrel.units import SIGMA

NODES = 8
"""Energies at which a table is evaluated; linear between them."""


class Ellipsoids(NamedTuple):
    """Covariances of (h, k, l, E), rlu and meV, of every place at even `nodes` of energy (meV).

    A component of q without variance is not blurred.
    """

    nodes: Float[Tensor, " node"]
    covariance: Float[Tensor, "place node 4 4"]
    where: Places

    @classmethod
    def of(cls, source: Source, measurement: Measurement) -> "Ellipsoids":
        """Those of a spectrometer for scans, or of a table for any crystal.

        Beyond the energies that a place was looked at, those at their end.
        """
        where, (low, high) = places(measurement), measurement.range
        nodes = torch.linspace(low, high, NODES if high > low else 1, dtype=torch.float64)
        energy = torch.minimum(torch.maximum(nodes, where.low[:, None]), where.high[:, None])
        q = where.q[:, None].expand(*energy.shape, 3)
        if isinstance(source, CovarianceTable):
            return cls(nodes, _embedded(source.at(q, energy)), where)
        if not isinstance(measurement.points, QPoints):
            raise InputError("the resolution of a triple-axis spectrometer needs points of scans, not a grid")
        points = QPoints(measurement.points.lattice, q.flatten(0, 1), plane=measurement.points.plane)
        every = replace(measurement, points=points, energy=energy.reshape(-1, 1).expand(-1, 2), exposure=None)
        return cls(nodes, covariance(source, every).reshape(*energy.shape, 4, 4), where)

    @property
    def seen(self) -> list[int]:
        """Components of q with a variance."""
        return (self.covariance[0, 0].diagonal()[:3] > 0).nonzero()[:, 0].tolist()

    @property
    def _law(self) -> Float[Tensor, "place node n n"]:
        kept = [*self.seen, 3]
        return self.covariance[..., kept, :][..., kept]

    @property
    def fwhm(self) -> Float[Tensor, "place node"]:
        """Full width in energy (meV) of what is sharp in q: that at a given dq."""
        return split(self._law).sd / SIGMA

    def fwhm_of(self, energy: Float[Tensor, " point"]) -> Float[Tensor, " point"]:
        """The same of points of scans at their energies (meV)."""
        widths = self.fwhm[self.where.of]
        if len(self.nodes) == 1:
            return widths[:, 0]
        place = ((energy - self.nodes[0]) / (self.nodes[1] - self.nodes[0])).clamp(0, len(self.nodes) - 1)
        low, point = place.floor().long().clamp(max=len(self.nodes) - 2), torch.arange(len(energy))
        return torch.lerp(widths[point, low], widths[point, low + 1], place - low)

    @property
    def range(self) -> tuple[float, float]:
        """The least width in energy of what is sharp in q, and the largest of what is not (FWHM, meV)."""
        return float(self.fwhm.min()), float(self.covariance[..., 3, 3].max()) ** 0.5 / SIGMA

    def draw(self, normal: Float[Tensor, "place sample 3"]) -> tuple[Float[Tensor, "place sample 3"], Blur]:
        """Deviations from the points (rlu) for independent standard normal numbers, and what happens there.

        The first number moves along the tilt of the law, so that energies are spread as evenly as these numbers are.
        """
        parts, z = split(self._law), normal[..., self.seen]
        root = torch.linalg.cholesky(parts.q.mean(1))
        root = root @ _reflection((parts.slope.mean(1)[:, None] @ root)[:, 0])
        dq = torch.einsum("pab,psb->psa", root, z)
        inside = torch.einsum("psa,pnab,psb->psn", dq, torch.linalg.inv(parts.q), dq) - (z**2).sum(-1, keepdim=True)
        factor = torch.exp(-inside / 2)
        factor = factor / factor.mean(dim=1, keepdim=True)
        shift = -torch.einsum("psa,pna->psn", dq, parts.slope)
        away = torch.zeros_like(normal)
        away[..., self.seen] = dq
        return away, Blur(self.nodes, factor.flatten(0, 1), shift.flatten(0, 1))


def _reflection(direction: Float[Tensor, "point axis"]) -> Float[Tensor, "point axis axis"]:
    """An orthogonal matrix whose first column is along `direction`; the unit matrix where that is 0."""
    size, one = direction.norm(dim=1, keepdim=True), torch.eye(direction.shape[1]).to(direction)
    unit = torch.where(size > 0, direction / size.clamp(min=1e-300), one[0])
    sign = torch.where(unit[:, :1] > 0, 1.0, -1.0)
    v = torch.nn.functional.normalize(unit + sign * one[0], dim=1)
    return -sign[..., None] * (one - 2 * v[:, :, None] * v[:, None, :])


def _embedded(covariance: Float[Tensor, "*shape n n"]) -> Float[Tensor, "*shape 4 4"]:
    """Covariances of (h, k, E) with a component l that is sharp."""
    if covariance.shape[-1] == 4:
        return covariance
    whole = covariance.new_zeros(*covariance.shape[:-2], 4, 4)
    kept = torch.tensor([0, 1, 3])
    whole[..., kept[:, None], kept] = covariance
    return whole
