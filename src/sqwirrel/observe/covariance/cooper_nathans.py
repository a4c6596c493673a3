"""Resolution of a triple-axis spectrometer after Cooper and Nathans: covariance of (h, k, l, E), and its volume.

M. J. Cooper, R. Nathans, Acta Cryst. 23, 357 (1967), doi:10.1107/S0365110X67002816; normalisation: N. J. Chesser,
J. D. Axe, Acta Cryst. A29, 160 (1973), doi:10.1107/S0567739473000422, and B. Dorner, Acta Cryst. A28, 319 (1972);
mosaic of the sample: S. A. Werner, R. Pynn, J. Appl. Phys. 42, 4736 (1971).

Collimators and mosaics are Gaussian, deviations from the nominal path small. Each side of the sample has a horizontal
and a vertical pair of angles: g of the far collimator (towards the source or the detector) and n of the near one. A
neutron of nominal wavevector k that a crystal with the signed Bragg angle t reflects has the deviations

    along k: k (g - n) / (2 tan t)       across: k n       vertical: k n

and passes with exp(-g^2 / 2a^2 - n^2 / 2b^2) times the share of mosaic blocks that lie right: horizontally turned by
(g + n) / 2, vertically by (g - n) / (2 sin t). What follows is linear: dQ = dk_i - dk_f and
dE = 2 c (k_i . dk_i - k_f . dk_f), c = hbar^2 / 2 m_n.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.covariance.spectrometer import Reflector, Spectrometer
from sqwirrel.spectra import Measurement
from sqwirrel.spectra.points import QPoints
from sqwirrel.units import E_PER_K2, SIGMA

MINUTE = SIGMA * math.pi / 180 / 60
"""Standard deviation (radian) of a Gaussian with a FWHM of one minute of arc."""
TILT = 0.05
"""Sine of the largest angle between a wavevector and the scattering plane; a goniometer makes up for such tilts."""


class Volumes(NamedTuple):
    """Integrals over d^3k (1/angstrom^3) of what the monochromator side and the analyser side let through.

    Mosaic distributions have unit area, so V = k^3 / tan(t) times angles. The volume of the resolution function is
    `initial * final`. Counts of S(q, E), spread by a resolution of unit volume, go with

    * `final` for the same counts of a monitor of efficiency 1 / k_i behind the second collimator,
    * `initial * final / k_i` for the same time, times the flux of the source per d^3k_i.

    Both hold k_f / k_i of the cross-section and 1 / k_f of dOmega dE_f = 2 c d^3k_f / k_f.
    """

    initial: Float[Tensor, "*batch point"]
    final: Float[Tensor, "*batch point"]


class Triangle(NamedTuple):
    """Wavevectors (1/angstrom) and signed angles (radian) at each point; `frame` rows: along q, across, up."""

    initial: Float[Tensor, " point"]
    final: Float[Tensor, " point"]
    modulus: Float[Tensor, " point"]
    monochromator: Float[Tensor, " point"]
    sample: Float[Tensor, " point"]
    analyser: Float[Tensor, " point"]
    frame: Float[Tensor, "point 3 3"]

    @property
    def turn(self) -> Float[Tensor, " point"]:
        """Angle from k_i to q."""
        return torch.atan2(-self.final * self.sample.sin(), self.initial - self.final * self.sample.cos())

    def elastic(self, length: Float[Tensor, " point"]) -> Float[Tensor, "point 3"]:
        """The wavevector (1/angstrom, Cartesian) if k_i and k_f both had this length."""
        along = (-self.turn).cos() - (self.sample - self.turn).cos()
        across = (-self.turn).sin() - (self.sample - self.turn).sin()
        return length[:, None] * (along[:, None] * self.frame[:, 0] + across[:, None] * self.frame[:, 1])


class Pair(NamedTuple):
    """Covariance of the angles at two collimators (radian^2), and the root of its determinant."""

    far: Tensor
    near: Tensor
    mixed: Tensor
    area: Tensor


class Beam(NamedTuple):
    """Covariance of a wavevector (along, across, up; 1/angstrom^2), and the volume it fills."""

    covariance: Float[Tensor, "*batch point 3 3"]
    volume: Float[Tensor, "*batch point"]


def covariance(spectrometer: Spectrometer, measurement: Measurement) -> Float[Tensor, "*batch point 4 4"]:
    """Covariance of (h, k, l, E) in rlu and meV at every point of a triple-axis measurement.

    The plane of the points is seen from above where its first vector turns to the second anticlockwise. Mosaic of the
    sample is in it. `InputError` names the first point that the spectrometer cannot reach.
    """
    triangle = triangle_of(spectrometer, measurement)
    turn, (initial, final) = triangle.turn, _beams(spectrometer, triangle)
    before = _to_momentum_and_energy(triangle.initial, -turn)
    after = _to_momentum_and_energy(triangle.final, triangle.sample - turn)
    spread = (triangle.modulus[:, None] * spectrometer.sample_mosaic[..., None, :] * MINUTE) ** 2
    mosaic = torch.diag_embed(torch.nn.functional.pad(spread, (1, 1)))
    total = before @ initial.covariance @ before.mT + after @ final.covariance @ after.mT + mosaic
    axes = _to_rlu(triangle.frame, points_of(measurement))
    return axes.mT @ total @ axes


def volumes(spectrometer: Spectrometer, measurement: Measurement) -> Volumes:
    """Volumes in wavevector space at every point, which normalise the resolution.

    rescalculator, after ResLib, gives the peak, initial * final * (k_f / k_i) sqrt(det M) / (2 pi)^2, where M is the
    inverse of our covariance in 1/angstrom and meV, or k_f * final * sqrt(det M) / (2 pi)^2 for a monitor: it leaves
    out the 1 / k_f of `Volumes`, which only matters where the final energy changes.
    """
    initial, final = _beams(spectrometer, triangle_of(spectrometer, measurement))
    return Volumes(initial.volume, final.volume)


def _beams(spectrometer: Spectrometer, triangle: Triangle) -> tuple[Beam, Beam]:
    """Before the sample, and behind it, where time runs backwards."""
    flat, upright = (MINUTE * widths[..., None] for widths in (spectrometer.horizontal, spectrometer.vertical))
    ways = ((flat[..., [0, 1], :], upright[..., [0, 1], :]), (flat[..., [3, 2], :], upright[..., [3, 2], :]))
    return (
        _beam(triangle.initial, triangle.monochromator, ways[0], spectrometer.monochromator),
        _beam(triangle.final, -triangle.analyser, ways[1], spectrometer.analyser),
    )


def _beam(k: Tensor, bragg: Tensor, angles: tuple[Tensor, Tensor], reflector: Reflector) -> Beam:
    """The Gaussian of one side.

    `k` and `bragg` are (point,), `angles` the horizontal and vertical collimators, (*batch, far or near, 1), radian.
    """
    mosaic, lever = MINUTE * reflector.mosaic[..., None], 1 / (2 * bragg.tan())
    flat = _inverse(angles[0], (2 * mosaic[..., 0, :]) ** -2)
    upright = _inverse(angles[1], (2 * bragg.sin() * mosaic[..., 1, :]) ** -2)
    along = lever**2 * (flat.far + flat.near - 2 * flat.mixed)
    across = lever * (flat.mixed - flat.near)
    one = torch.ones_like(along * upright.near)
    rows = (along, across, 0, across, flat.near, 0, 0, 0, upright.near)
    covariance = k[:, None, None] ** 2 * torch.stack([one * x for x in rows], dim=-1).reshape(*one.shape, 3, 3)
    passed = math.pi * flat.area * upright.area / (2 * mosaic[..., 0, :] * mosaic[..., 1, :] * bragg.sin().abs())
    return Beam(covariance, k**3 / bragg.tan().abs() * passed)


def _inverse(angles: Tensor, mosaic: Tensor) -> Pair:
    """Of diag(1/g^2, 1/n^2) + mosaic (1, 1)(1, 1)^T, for the widths (far, near) of two collimators.

    With (1, -1), as it is vertically, only `mixed` would differ.
    """
    far, near = angles[..., 0, :] ** -2, angles[..., 1, :] ** -2
    determinant = far * near + mosaic * (far + near)
    return Pair((near + mosaic) / determinant, (far + mosaic) / determinant, -mosaic / determinant, determinant**-0.5)


def _to_momentum_and_energy(k: Float[Tensor, " point"], angle: Float[Tensor, " point"]) -> Float[Tensor, "point 4 3"]:
    """(along q, across, up, E) of a deviation from a wavevector that points `angle` away from q."""
    c, s, none, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = (c, -s, none, s, c, none, none, none, one, 2 * E_PER_K2 * k, none, none)
    return torch.stack(rows, dim=-1).reshape(-1, 4, 3)


def _to_rlu(frame: Float[Tensor, "point 3 3"], points: QPoints) -> Float[Tensor, "point 4 4"]:
    """(h, k, l, E) of each axis of the frame and of energy, a row each."""
    axes = torch.zeros(len(frame), 4, 4, dtype=frame.dtype)
    axes[:, :3, :3] = points.lattice.to_rlu(frame)
    axes[:, 3, 3] = 1
    return axes


def triangle_of(spectrometer: Spectrometer, measurement: Measurement) -> Triangle:
    """The scattering triangle and the Bragg angles; refuses what cannot be."""
    points = points_of(measurement)
    initial, final = _wavevectors(spectrometer, measurement)
    q = points.lattice.to_cartesian(points.q)
    modulus = q.norm(dim=-1)
    along = q / modulus.clamp(min=1e-300)[:, None]
    across = torch.linalg.cross(_up(points).expand_as(along), along)
    cosine = (initial**2 + final**2 - modulus**2) / (2 * initial * final)
    bragg = [
        torch.asin(math.pi / (reflector.spacing * k)) * reflector.sense
        for reflector, k in ((spectrometer.monochromator, initial), (spectrometer.analyser, final))
    ]
    fine = (
        (initial > 0) & (final > 0),
        (cosine.abs() <= 1) & (modulus > 1e-9),
        across.norm(dim=-1) >= math.sqrt(1 - TILT**2),
        bragg[0].isfinite(),
        bragg[1].isfinite(),
    )
    _refuse_the_first(measurement, (initial, final, modulus), fine)
    across = across / across.norm(dim=-1, keepdim=True)
    frame = torch.stack((along, across, torch.linalg.cross(along, across)), dim=-2)
    return Triangle(initial, final, modulus, bragg[0], spectrometer.sample_sense * cosine.acos(), bragg[1], frame)


def points_of(measurement: Measurement) -> QPoints:
    """The points of scans; nothing else is measured by a triple-axis spectrometer."""
    if not isinstance(measurement.points, QPoints):
        raise InputError("a triple-axis resolution needs the points of scans, which have one energy each")
    return measurement.points


def _up(points: QPoints) -> Float[Tensor, "3"]:
    """Normal of the scattering plane, from which the first of its vectors turns to the second anticlockwise."""
    if points.plane is None:
        raise InputError("a triple-axis resolution needs the scattering plane of the scans; give two (h, k, l) in it")
    normal = torch.linalg.cross(*points.lattice.to_cartesian(points.plane))
    unit: Tensor = normal / normal.norm()
    return unit


def _wavevectors(spectrometer: Spectrometer, measurement: Measurement) -> tuple[Tensor, Tensor]:
    """k_i and k_f at each point, 1/angstrom; NaN where the energy would be negative."""
    energy = measurement.energy_centres[:, 0]
    is_final = spectrometer.fixed == "final"
    fixed = measurement.final_energy if is_final else measurement.incident_energy
    if fixed is None:
        name = "final" if is_final else "incident"
        raise InputError(f"the {name} energy is held fixed but the measurement does not say what it is; give it in meV")
    held = torch.full_like(energy, fixed)
    pair = (held + energy, held) if is_final else (held, held - energy)
    initial, final = ((each / E_PER_K2).sqrt() for each in pair)
    return initial, final


def _refuse_the_first(measurement: Measurement, sides: tuple[Tensor, ...], fine: tuple[Tensor, ...]) -> None:
    """Names the first point that one of the conditions does not hold at."""
    bad = ~torch.stack(fine).all(0)
    if not bool(bad.any()):
        return
    n = int(bad.nonzero()[0, 0])
    initial, final, modulus = (float(side[n]) for side in sides)
    reasons = (
        "its incident or its final energy would be below zero",
        f"k_i = {initial:.4g}, k_f = {final:.4g} and |Q| = {modulus:.4g} 1/angstrom do not close a triangle",
        "it lies outside the scattering plane",
        f"the monochromator does not reflect k_i = {initial:.4g} 1/angstrom",
        f"the analyser does not reflect k_f = {final:.4g} 1/angstrom",
    )
    why = next(reason for reason, holds in zip(reasons, fine, strict=True) if not bool(holds[n]))
    q = ", ".join(f"{x:.4g}" for x in points_of(measurement).q[n].tolist())
    energy = float(measurement.energy_centres[n, 0])
    raise InputError(f"the spectrometer does not reach point {n}, q = ({q}) at {energy:.4g} meV: {why}")
