"""Scans of one sample and set-up as one spectrum."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isclose, radians, sin

import torch
from jaxtyping import Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QPoints
from sqwirrel.spectra.spectrum import Spectrum

EDGE, ANGLE = 1e-4, 0.02
"""By how much two cells may differ: share of an edge, degrees of an angle."""
ENERGY = 0.005
"""Share by which the energy that was held may differ: what a motor does not resolve."""
TILT = 0.5
"""Degrees by which two scattering planes may differ."""
CONTENT = ("intensity", "error", "valid")


def join(spectra: Iterable[Spectrum]) -> Spectrum:
    """The points of several spectra of scans as one, in their order.

    All must be of one lattice, one fixed energy, one scattering plane, one field and temperature (within 1 K or 5 %;
    the mean over points is kept), all counts or all reduced, with exposures in one unit. A scan number that is taken
    is replaced by the next free one; the same scan given twice is refused.
    """
    parts = list(spectra)
    if not parts:
        raise InputError("there is no spectrum to join; give at least one")
    points = [_points(part) for part in parts]
    for part in parts[1:]:
        _check_alike(parts[0], part)
    _check_no_twins(parts, points)
    measurements = [part.measurement for part in parts]
    exposures = [each.exposure for each in measurements if each.exposure is not None]
    measurement = replace(
        measurements[0],
        points=QPoints(
            points[0].lattice,
            torch.cat([each.q for each in points]),
            torch.cat(_distinct([each.scan for each in points])),
            points[0].plane,
        ),
        energy=torch.cat([each.energy for each in measurements]),
        temperature=_temperature(measurements),
        exposure=torch.cat(exposures) if exposures else None,
    )
    intensity, error, valid = (torch.cat([getattr(part, name) for part in parts]) for name in CONTENT)
    return Spectrum.from_arrays(intensity, error, measurement, valid=valid, is_counts=parts[0].is_counts)


def _points(part: Spectrum) -> QPoints:
    points = part.measurement.points
    if not isinstance(points, QPoints):
        raise InputError("only points of scans are joined; a powder map, a path or a grid stays by itself")
    return points


def _check_alike(first: Spectrum, other: Spectrum) -> None:
    """Refuses a spectrum of another sample or set-up, with the name of both scans and what differs."""
    one, two = first.measurement, other.measurement
    differences = {
        "the lattices": _cells(_points(first).lattice, _points(other).lattice),
        "the incident energies (meV)": _energies(one.incident_energy, two.incident_energy),
        "the final energies (meV)": _energies(one.final_energy, two.final_energy),
        "the scattering planes": _planes(_points(first), _points(other)),
        "the fields (T)": ""
        if torch.allclose(one.field, two.field, atol=1e-3)
        else f"{one.field.tolist()} and {two.field.tolist()}",
        "the temperatures (K)": _temperatures(one.temperature, two.temperature),
        "the units": "" if first.is_counts == other.is_counts else "counts and reduced data",
        "the exposures": _exposures(one, two),
    }
    for what, difference in differences.items():
        if difference:
            names = " and ".join(str(int(_points(part).scan[0])) for part in (first, other))
            raise InputError(f"scans {names} cannot be joined: {what} differ, {difference}")


def _cells(one: Lattice, two: Lattice) -> str:
    edges, angles = (one.a, one.b, one.c), (one.alpha, one.beta, one.gamma)
    others, turned = (two.a, two.b, two.c), (two.alpha, two.beta, two.gamma)
    alike = all(isclose(a, b, rel_tol=EDGE) for a, b in zip(edges, others, strict=True))
    alike = alike and all(isclose(a, b, abs_tol=ANGLE) for a, b in zip(angles, turned, strict=True))
    return "" if alike else " and ".join(" ".join(f"{x:g}" for x in cell) for cell in (edges + angles, others + turned))


def _energies(one: float | None, two: float | None) -> str:
    if one == two or (one is not None and two is not None and isclose(one, two, rel_tol=ENERGY)):
        return ""
    return " and ".join("not held" if energy is None else f"{energy:g}" for energy in (one, two))


def _temperatures(one: float | None, two: float | None) -> str:
    if one is None or two is None or isclose(one, two, rel_tol=0.05, abs_tol=1.0):
        return ""
    return f"{one:g} and {two:g}"


def _planes(one: QPoints, two: QPoints) -> str:
    if one.plane is None or two.plane is None:
        return "" if one.plane is two.plane else "one file does not tell its plane"
    normals = [
        torch.linalg.cross(*each.lattice.to_cartesian(each.plane)) for each in (one, two) if each.plane is not None
    ]
    first, second = (torch.nn.functional.normalize(normal, dim=0) for normal in normals)
    if float(torch.linalg.cross(first, second).norm()) < sin(radians(TILT)):
        return ""
    return f"{one.plane.tolist()} and {two.plane.tolist()}"


def _exposures(one: Measurement, two: Measurement) -> str:
    if (one.exposure is None) != (two.exposure is None):
        return "one has them, the other has none"
    units = [each.exposure_unit or "what is not said" for each in (one, two)]
    return "" if units[0] == units[1] else f"counted by {units[0]} and by {units[1]}"


def _check_no_twins(parts: Sequence[Spectrum], points: Sequence[QPoints]) -> None:
    """Refuses a scan that is there twice: its counts would weigh double."""
    seen = set()
    for part, each in zip(parts, points, strict=True):
        for number in sorted(set(each.scan.tolist())):
            here = each.scan == number
            content = (each.q[here], part.measurement.energy[here], part.intensity[here])
            key = tuple(values.numpy().tobytes() for values in content)
            if key in seen:
                raise InputError(f"scan {number} is given twice; leave out one of them")
            seen.add(key)


def _distinct(numbers: Sequence[Int64[Tensor, " _"]]) -> list[Int64[Tensor, " _"]]:
    """Scan numbers of the parts such that no two parts share one."""
    taken: set[int] = set()
    renamed = []
    for scan in numbers:
        new = scan.clone()
        for number in sorted(set(scan.tolist())):
            free = number if number not in taken else max(taken | set(scan.tolist())) + 1
            new[scan == number] = free
            taken.add(free)
        renamed.append(new)
    return renamed


def _temperature(parts: Sequence[Measurement]) -> float | None:
    """Mean over the points of the parts that know theirs, K."""
    known = [(part.temperature, len(part.points)) for part in parts if part.temperature is not None]
    return sum(t * n for t, n in known) / sum(n for _, n in known) if known else None
