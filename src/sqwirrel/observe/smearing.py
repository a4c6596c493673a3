"""Smearing: from modes on cells and lines to the bins of a spectrum, by the resolution in energy and along |Q|."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.observe.background import along, legendre
from sqwirrel.observe.covariance.cooper_nathans import volumes
from sqwirrel.observe.covariance.resolution import EllipsoidResolution
from sqwirrel.observe.covariance.spectrometer import Spectrometer
from sqwirrel.observe.instrument import Instrument
from sqwirrel.observe.momentum import shell_kernels, smear_momentum
from sqwirrel.observe.resolution import TableResolution, gaussian_kernel
from sqwirrel.observe.views.crystal.blur import Ellipsoids
from sqwirrel.observe.views.places import places
from sqwirrel.observe.views.sampling import Sampling
from sqwirrel.observe.views.view import sphere
from sqwirrel.spectra import Measurement, QShells

Kernel = Float[Tensor, "#batch line bin"] | Float[Tensor, "#batch point near bin"]


class Smearing(nn.Module):
    """The kernels of an instrument on the bins of a measurement.

    `factor` (point, energy) multiplies the signal: the time each bin was counted for, relative to the median, and how
    the transmission of the instrument changes with energy, where that was not corrected for.
    """

    line: Tensor
    energy: Tensor
    nodes: Tensor
    sphere: Tensor
    response: Tensor
    factor: Tensor
    cell_edges: Tensor | None
    widths: Tensor | None
    place: Tensor | None
    near: Tensor | None

    def __init__(
        self,
        measurement: Measurement,
        instrument: Instrument,
        where: Sampling,
        line: Float[Tensor, " line"],
        ellipsoids: Ellipsoids | None,
    ) -> None:
        super().__init__()
        self.measurement, self.instrument = measurement, instrument
        self.register_buffer("line", line)
        self.register_buffer("energy", _seen(measurement, line))
        self.register_buffer("cell_edges", where.edges)
        self.register_buffer("response", _response(measurement, instrument.q_response))
        self.register_buffer("nodes", instrument.q_width.nodes(measurement))
        self.register_buffer("sphere", sphere(where, measurement))
        self.register_buffer("factor", exposure(measurement) * transmission(measurement, instrument))
        self.register_buffer("widths", _widths(measurement, ellipsoids))
        self.register_buffer("place", places(measurement).of[:, None] if measurement.is_scan else None)
        self.register_buffer("near", _near(measurement, line, self.widths) if measurement.is_scan else None)
        self.ellipsoids = ellipsoids

    @property
    def bytes_per_row(self) -> int:
        """Memory that the kernels of one row of parameters take: those of scans are one a point."""
        return 0 if self.near is None else 32 * self.near.numel()

    def in_energy(self, theta: Float[Tensor, "batch parameter"]) -> Kernel:
        """Density of a line at each energy of the fine grid (those near a point of a scan), averaged over each bin."""
        resolution = self.instrument.resolution
        if isinstance(resolution, EllipsoidResolution):
            return self._of_ellipsoids(theta)
        if self.near is None:
            return resolution.kernel(self.line, theta, self.energy)
        each = torch.vmap(lambda line, edges: resolution.kernel(line, theta, edges), out_dims=1)
        return each(self.line[self.near], self.energy)

    def _of_ellipsoids(self, theta: Float[Tensor, "batch 1"]) -> Kernel:
        """Widths of every point of a scan at its energy, or mean widths of all points of a map at any."""
        widths = self.get_buffer("widths")
        if self.near is not None:
            fwhm = (theta * widths)[..., None].expand(-1, -1, self.near.shape[1])
            each = torch.vmap(gaussian_kernel, in_dims=(0, 1, 0), out_dims=1)
            return each(self.line[self.near], fwhm, self.energy)
        mean = (widths**2).mean(0).sqrt().tolist()
        assert self.ellipsoids is not None
        return TableResolution(self.ellipsoids.nodes.tolist(), mean).kernel(self.line, theta, self.energy)

    def in_momentum(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch node seen source"]:
        """Resolution along |Q| at the nodes of the width, multiple scattering, response; empty where there is none."""
        points, width, cells = self.measurement.points, self.instrument.q_width, self.cell_edges
        if isinstance(points, QShells) and cells is not None:
            centres = (cells[1:] + cells[:-1]) / 2
            fwhm = width.fwhm(centres, self.nodes, self.measurement, theta[:, : len(width.names)])
            kernel = shell_kernels(cells, points.edges, fwhm)
        else:
            n = len(self.sphere[0]) if self.instrument.multiple_scattering else 0
            kernel = torch.eye(n, dtype=theta.dtype, device=theta.device).expand(len(theta), 1, -1, -1)
        if self.instrument.multiple_scattering:
            multiple = theta[:, -1 - self.instrument.q_response, None, None, None]
            kernel = kernel + multiple * kernel.sum(-1, keepdim=True) * self.sphere
        if self.instrument.q_response:
            bends = theta[:, -self.instrument.q_response :] @ self.response[1:]
            kernel = torch.exp(bends)[:, None, :, None] * kernel
        return kernel

    def forward(
        self,
        deposit: Float[Tensor, "batch cell line"],
        energy: Kernel,
        momentum: Float[Tensor, "#batch node seen source"],
    ) -> Float[Tensor, "batch point energy"]:
        """Resolution in energy, and what is mixed along |Q| or between the places of scans, as the instrument lets it
        through.
        """
        if self.near is not None:
            mixed = momentum[:, 0] @ deposit if momentum.shape[-1] > 0 else deposit
            return self.factor * (mixed[:, self.place, self.near][..., None, :] @ energy)[..., 0, :]
        blurred = deposit @ energy
        if momentum.shape[-1] > 0:
            blurred = smear_momentum(blurred, momentum, self.nodes, self.measurement.energy_centres)
        return self.factor * blurred


def ellipsoids_of(instrument: Instrument, measurement: Measurement) -> Ellipsoids | None:
    """The resolution in (q, E), where the instrument has one."""
    resolution = instrument.resolution
    return Ellipsoids.of(resolution.source, measurement) if isinstance(resolution, EllipsoidResolution) else None


def exposure(measurement: Measurement) -> Float[Tensor, "#point #energy"]:
    """How long each bin was counted, relative to the median."""
    known = measurement.exposure
    return torch.ones(1, 1, dtype=torch.float64) if known is None else known / usual_exposure(measurement)


def usual_exposure(measurement: Measurement) -> float:
    """The median exposure, 1 where none is known."""
    return 1.0 if measurement.exposure is None else float(measurement.exposure.median())


def transmission(measurement: Measurement, instrument: Instrument) -> Float[Tensor, "#point #energy"]:
    """k_f / k_i where that was left in the data; what an analyser takes in, where its energy changes."""
    source = instrument.resolution.source if isinstance(instrument.resolution, EllipsoidResolution) else None
    if isinstance(source, Spectrometer) and source.fixed == "initial":
        taken = volumes(source, measurement).final
        return (taken / taken.median())[:, None]
    if not instrument.flux_factor:
        return torch.ones(1, 1, dtype=torch.float64)
    if measurement.incident_energy is None:
        raise InputError("k_f / k_i needs the incident energy; give it in meV, [measurement] incident_energy = 20")
    left = 1 - measurement.energy_centres / measurement.incident_energy
    return left.clamp(min=0).sqrt().expand(measurement.shape)


def _response(measurement: Measurement, order: int) -> Float[Tensor, "degree point"]:
    """Legendre polynomials over the measured |Q|; none where no response is asked for."""
    if order == 0:
        return torch.zeros(0, 0, dtype=torch.float64)
    if not isinstance(measurement.points, QShells):
        raise InputError("a response along |Q| is that of a powder map, and this is none; leave q_response out")
    return legendre(along(measurement), order)


def _widths(measurement: Measurement, ellipsoids: Ellipsoids | None) -> Tensor | None:
    """Widths in energy (FWHM, meV) of what is sharp in q: of points of scans, or at the nodes of every bin of a map."""
    if ellipsoids is None:
        return None
    return ellipsoids.fwhm_of(measurement.energy_centres[:, 0]) if measurement.is_scan else ellipsoids.fwhm


def _near(
    measurement: Measurement, line: Float[Tensor, " line"], widths: Float[Tensor, " point"] | None
) -> Int[Tensor, "point near"]:
    """The lines that a point of a scan sees: within `FAR` of the largest width, or all where widths are not known."""
    step, count = float(line[1] - line[0]), len(line)
    if widths is not None:
        count = min(count, 2 * math.ceil(FAR * float(widths.max()) / step) + 2)
    middle = (measurement.energy_centres[:, :1] - line[0]) / step
    first = (middle - count / 2).round().long().clamp(0, len(line) - count)
    return first + torch.arange(count)


FAR = 4.0
"""In full widths at half maximum: a factor of 2 on the widths still loses nothing."""


def _seen(measurement: Measurement, line: Float[Tensor, " line"]) -> Float[Tensor, "*point edge"]:
    """Energy edges of the bins; points of scans are at least as wide as the fine grid."""
    if not measurement.is_scan:
        return measurement.energy
    centre, half = measurement.energy_centres, measurement.energy.diff() / 2
    half = half.clamp(min=float(line[1] - line[0]) / 2)
    return torch.cat((centre - half, centre + half), dim=1)
