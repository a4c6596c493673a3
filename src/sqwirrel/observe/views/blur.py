"""Points drawn from a resolution in q, and what else it does to the modes there.

The resolution of a point is a normal law of (q, E). Points are drawn from its part in q, averaged over energies; a mode
at a drawn point is weighed by how much likelier the law at its own energy makes that point, and seen where the law
expects it: at the energy less slope . dq of the law. What is left is a width in energy, the same at all drawn points.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.covariance.cooper_nathans import covariance
from sqwirrel.observe.covariance.ellipsoid import split
from sqwirrel.observe.covariance.resolution import Source
from sqwirrel.observe.covariance.spectrometer import Spectrometer
from sqwirrel.observe.resolution import SIGMA
from sqwirrel.observe.views.lines import Blur
from sqwirrel.spectra import Measurement, QPoints, QShells

NODES = 8
"""Energies at which a table is evaluated; linear between them."""


class Ellipsoids(NamedTuple):
    """Covariances of (h, k, l, E), rlu and meV, of every point at even `nodes` of energy (meV).

    A component of q without variance is not blurred.
    """

    nodes: Float[Tensor, " node"]
    covariance: Float[Tensor, "point node 4 4"]

    @classmethod
    def of(cls, source: Source, measurement: Measurement) -> "Ellipsoids":
        """Those of a spectrometer at the points of scans, or of a table at the bins of a crystal."""
        if isinstance(measurement.points, QShells):
            raise InputError("a resolution in (q, E) needs a crystal; for a powder use q_width and an energy width")
        if isinstance(source, Spectrometer):
            if not isinstance(measurement.points, QPoints):
                raise InputError("the resolution of a triple-axis spectrometer needs points of scans, not a grid")
            return cls(torch.zeros(1, dtype=torch.float64), covariance(source, measurement)[:, None])
        if isinstance(measurement.points, QPoints):
            energy, nodes = measurement.energy_centres, torch.zeros(1, dtype=torch.float64)
        else:
            nodes = torch.linspace(*measurement.range, NODES, dtype=torch.float64)
            energy = nodes.expand(len(measurement.points), -1)
        found = source.at(measurement.points.q[:, None].expand(*energy.shape, 3), energy)
        return cls(nodes, _embedded(found))

    @property
    def seen(self) -> list[int]:
        """Components of q with a variance."""
        return (self.covariance[0, 0].diagonal()[:3] > 0).nonzero()[:, 0].tolist()

    @property
    def _law(self) -> Float[Tensor, "point node n n"]:
        kept = [*self.seen, 3]
        return self.covariance[..., kept, :][..., kept]

    @property
    def fwhm(self) -> Float[Tensor, "point node"]:
        """Full width in energy (meV) of what is sharp in q: that at a given dq."""
        return split(self._law).sd / SIGMA

    @property
    def range(self) -> tuple[float, float]:
        """The least width in energy of what is sharp in q, and the largest of what is not (FWHM, meV)."""
        return float(self.fwhm.min()), float(self.covariance[..., 3, 3].max()) ** 0.5 / SIGMA

    def draw(self, normal: Float[Tensor, "point sample 3"]) -> tuple[Float[Tensor, "point sample 3"], Blur]:
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
