"""Horace files of version 2 to 3.x: one stream of headers, then axes, s, e (variance) and npix in Fortran order.

After the first header (`horace`) a sqw file has: file name, path, title and the number of runs; for each run names,
efix (meV), emode (1 direct, 2 indirect geometry), 3 alatt, 3 angdeg, 3 u, 3 v, 5 angles, the energy edges, 4 uoffset,
16 u_to_rlu, 4 ulen and labels; then detectors, 6 numbers each. Both kinds of file have then: names, title, 3 alatt
(angstrom), 3 angdeg, 4 uoffset, 16 u_to_rlu (by columns: rlu of a unit along each axis, the fourth energy), 4 ulen
(1/angstrom), labels; the number of axes with bins; `iax` and `iint`, numbers and ranges of the integrated axes; `pax`
and for each its edges `p`; `dax`; s, e, npix (int64). Numbers are int32 and float32. A sqw file goes on with pixels.
The layout was read off files and agrees with Mantid's documentation of LoadSQW.
"""

from math import prod

import numpy as np

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.readers.cut import Axis, Cut, meant, named
from sqwirrel.spectra.readers.horace.binary import Binary

Run = tuple[float, int]
"""efix (meV) and emode."""


def cut(held: Binary, *, is_sqw: bool) -> tuple[Cut, Lattice]:
    """The binned data, and the lattice."""
    held.integer()  # number of dimensions, said again below
    runs = _runs(held) if is_sqw else []
    for _ in range(3):
        held.text()
    lattice = Lattice(*meant(held.floats(6)).tolist())
    offset = meant(held.floats(4))
    directions = meant(held.floats(16)).reshape(4, 4)
    held.take("<f4", 4)
    _labels(held)
    edges = _edges(held)
    shape = [len(each) - 1 for each in edges]
    count = prod(shape)
    values, variances = (held.floats(count) for _ in range(2))
    return assembled(edges, directions, offset, (values, variances, held.take("<i8", count)), runs), lattice


def assembled(
    edges: list[np.ndarray],
    directions: np.ndarray,
    offset: np.ndarray,
    bins: tuple[np.ndarray, np.ndarray, np.ndarray],
    runs: list[Run],
) -> Cut:
    """A cut of edges along four axes, whose `directions` are rows (rlu, the last energy); `bins` are s, e and npix."""
    shape = [len(each) - 1 for each in edges]
    s, e, npix = (each.reshape(shape, order="F") for each in bins)
    valid = (npix > 0) & np.isfinite(s) & np.isfinite(e)
    # seven digits are those of float32; below is rounding, such as 1.6e-16 where 0 was meant
    q = [Axis(named(d[:3]), each, np.round(d[:3], 7) + 0.0) for d, each in zip(directions[:3], edges[:3], strict=True)]
    return Cut(
        (*q, Axis("energy", edges[3] + offset[3])),
        np.where(valid, s, 0.0),
        np.sqrt(np.where(valid, e, 0.0).clip(min=0)),
        valid,
        offset[:3].tolist(),
        incident_energy=_fixed(runs, 1),
        final_energy=_fixed(runs, 2),
    )


def _fixed(runs: list[Run], emode: int) -> float | None:
    """The energy that all runs held, if they are of this geometry; runs of several energies have none."""
    energies = [efix for efix, kind in runs if kind == emode]
    if not energies or len(energies) < len(runs) or max(energies) - min(energies) > 1e-3 * max(energies):
        return None
    return float(np.mean(energies))


def _runs(held: Binary) -> list[Run]:
    """The runs of a sqw file, and past its detectors."""
    for _ in range(3):
        held.text()
    runs = []
    for _ in range(held.integer()):
        held.text(), held.text()
        efix = float(held.floats(1)[0])
        runs.append((efix, held.integer()))
        held.skip(4 * (3 + 3 + 3 + 3 + 5))
        held.take("<f4", held.integer())
        held.skip(4 * (4 + 16 + 4))
        _labels(held)
    held.text(), held.text()
    held.take("<f4", 6 * held.integer())
    return runs


def _labels(held: Binary) -> None:
    rows, columns = held.integer(), held.integer()
    held.text(rows * columns)


def _edges(held: Binary) -> list[np.ndarray]:
    """Edges along all four axes; two where it was integrated."""
    number = held.integer()
    if not 0 <= number <= 4:
        raise InputError(f"{held.path.name} is damaged: it has {number} axes")
    edges: dict[int, np.ndarray] = {}
    if number < 4:
        integrated = held.take("<i4", 4 - number)
        bounds = meant(held.floats(2 * (4 - number))).reshape(-1, 2)
        edges.update(zip(integrated.tolist(), bounds, strict=True))
    axes = held.take("<i4", number).tolist() if number else []
    edges.update({k: meant(held.floats(held.integer())) for k in axes})
    if number:
        held.take("<i4", number)
    if sorted(edges) != [1, 2, 3, 4] or axes != sorted(axes) or min(map(len, edges.values())) < 2:
        raise InputError(f"{held.path.name} is damaged: its axes are {axes} and {sorted(set(edges) - set(axes))}")
    return [edges[k] for k in (1, 2, 3, 4)]
