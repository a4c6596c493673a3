"""The crystal side of our CSV: bins of a full grid by (h, k, l) and energy, and the comments that say which grid.

# lattice [angstrom, deg]: 5 5 14 90 90 120
# axes [rlu]: 1 1 0 -1 1 0 0 0 1      (three directions; h, k and l where it is left out)
# origin [rlu]: 0 0 0                 (what the coordinates along the axes are counted from)
# widths [axis]: 0.1 0.2 0.4          (of a bin along the axes; for those with one bin only)
# energy_width [meV]: 0.5             (for a single energy)
h [rlu],k [rlu],l [rlu],energy [meV],intensity,error
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.grid import QGrid
from sqwirrel.spectra.rebin import edges_from_centres
from sqwirrel.spectra.spectrum import Spectrum

Column = Float64[np.ndarray, " row"]
SIZES = {"lattice": 6, "axes": 9, "origin": 3, "widths": 3, "energy_width": 1}
CLOSE = 1e-6
"""Coordinates closer than this (units of the axis) are one: they were written as decimals of (h, k, l)."""


def grid(
    columns: Mapping[str, Column], comments: list[str], path: Path
) -> tuple[QGrid, Float64[np.ndarray, " edge"], Int64[np.ndarray, " row"]]:
    """The grid, the energy edges (meV) and the order of rows by bin; refuses rows that are no full grid."""
    told = _told(comments, path)
    if "lattice" not in told:
        raise InputError(f"{path.name} has h, k, l but no '# lattice [angstrom, deg]: a b c alpha beta gamma'")
    axes = told.get("axes", np.eye(3).ravel()).reshape(3, 3)
    if abs(np.linalg.det(axes)) < 1e-9:
        raise InputError(f"the axes of {path.name} are not three independent directions: {axes.tolist()}")
    origin = told.get("origin", np.zeros(3))
    q = np.stack([columns[name] for name in ("h", "k", "l")], axis=-1)
    along = [*((q - origin) @ np.linalg.inv(axes)).T, columns["energy"]]
    if not all(np.isfinite(each).all() for each in along):
        raise InputError(f"{path.name} has a row without h, k, l or energy; leave only intensity and error empty")
    bins = [_bins(each) for each in along]
    shape = [len(centres) for centres, _ in bins]
    place = np.ravel_multi_index([index for _, index in bins], shape)
    if len(np.unique(place)) != len(q) or np.prod(shape) != len(q):
        raise InputError(
            f"{path.name} has {len(q)} rows for {' x '.join(map(str, shape))} bins along its axes and energy; expected "
            "each once (leave intensity empty where unmeasured)"
        )
    widths = [*told.get("widths", np.full(3, np.nan)), *told.get("energy_width", [np.nan])]
    edges = [_edges(centres, width, path) for (centres, _), width in zip(bins, widths, strict=True)]
    return QGrid(Lattice(*told["lattice"].tolist()), axes, edges[:3], origin), edges[3], np.argsort(place)


def comments(spectrum: Spectrum, path: Path) -> str:
    """The comment lines that keep the grid of a spectrum."""
    points, energy = spectrum.measurement.points, spectrum.measurement.energy
    if not isinstance(points, QGrid) or points.beam is not None:
        raise InputError(f"{path.name}: CSV holds powder maps and full grids only; write this spectrum as .h5")
    cell = points.lattice
    if not np.allclose(cell.vectors, Lattice(cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma).vectors):
        raise InputError(f"{path.name}: CSV does not keep the orientation of a lattice; write this spectrum as .h5")
    values = {
        "lattice [angstrom, deg]": [cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma],
        "axes [rlu]": points.axes.flatten().tolist(),
        "origin [rlu]": points.origin.tolist(),
        "widths [axis]": [float(edges[1] - edges[0]) for edges in points.edges],
        "energy_width [meV]": [float(energy[1] - energy[0])],
    }
    return "".join(f"# {name}: {' '.join(map(repr, row))}\n" for name, row in values.items())


def _told(comments: list[str], path: Path) -> dict[str, np.ndarray]:
    found = {}
    for line in comments:
        match = re.match(r"#\s*(\w+)\s*\[(.*)\]\s*:(.*)$", line)
        if match and match[1] in SIZES:
            try:
                found[match[1]] = np.array(match[3].replace(",", " ").split(), dtype=np.float64)
            except ValueError:
                raise InputError(f"the {match[1]} of {path.name} is '{match[3].strip()}'; expected numbers") from None
            if len(found[match[1]]) != (size := SIZES[match[1]]):
                raise InputError(f"the {match[1]} of {path.name} should have {size} numbers, got '{match[3].strip()}'")
    return found


def _bins(values: Column) -> tuple[np.ndarray, np.ndarray]:
    """Different values, ascending, and which of them each is."""
    order = np.argsort(values)
    number = np.concatenate([[0], np.cumsum(np.diff(values[order]) > CLOSE)])
    index = np.empty(len(values), dtype=np.int64)
    index[order] = number
    return np.bincount(index, weights=values) / np.bincount(index), index


def _edges(centres: np.ndarray, width: float, path: Path) -> np.ndarray:
    if len(centres) > 1:
        return edges_from_centres(centres)
    if not width > 0:
        raise InputError(
            f"{path.name} has one value along an axis, whose width it does not say; add the comment "
            "'# widths [axis]: 0.1 0.1 0.2' (of a bin along each axis) or '# energy_width [meV]: 0.5'"
        )
    return np.array([centres[0] - width / 2, centres[0] + width / 2])
