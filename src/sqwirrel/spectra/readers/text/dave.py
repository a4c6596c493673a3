"""Maps as DAVE writes them: .iexy, .xyie and .grp. Bin centres, one standard deviation; -1e20 with error -1 unmeasured.

    .iexy    rows of intensity, error, x, y; x slowest
    .xyie    the numbers of x and y; x, one a line; y; intensity, one row a y; error
    .grp     comments that say what follows: the number of x, of y, their values with unit, then for each y
             (`# Group`) rows of intensity and error

Only .grp names its axes; for the others the user is asked which is energy. (DAVE, "ASCII file formats", NIST.)
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.limits import check_count, head, text_lines
from sqwirrel.spectra.readers import cut as cuts
from sqwirrel.spectra.readers.beside import Known
from sqwirrel.spectra.readers.cut import Axis, Cut
from sqwirrel.spectra.readers.text.numbers import block, floats, measured, whole
from sqwirrel.spectra.rebin import edges_from_centres
from sqwirrel.spectra.spectrum import Spectrum
from sqwirrel.units import to_internal

Array = Float64[np.ndarray, "..."]
Table = tuple[Array, Array, Array, Array]
"""x, y, and intensity and error by (x, y)."""


def sniff(path: Path) -> bool:
    """Whether the file starts as one of the three does."""
    first = head(path)[:8]
    return bool(first) and (_is_grp(first) or _is_xyie(first) or _is_iexy(first, path))


def read(path: Path, known: Known) -> Spectrum:
    """The map; the axes of .iexy and .xyie are those `known`, or asked for."""
    lines = text_lines(path)
    if _is_grp(lines):
        table, names = _grp(lines, path)
    else:
        table, names = _xyie(lines, path) if _is_xyie(lines) else _iexy(lines, path), known.axes
    if len(names) != 2:
        raise known.asks("which of its two axes is energy", 'axes = ["[H,H,0]", "energy"] (or "|Q|"), in their order,')
    x, y, values, errors = table
    axes = [Axis(name, _edges(along, path), cuts.direction(name)) for name, along in zip(names, (x, y), strict=True)]
    return cuts.to_spectrum(Cut(tuple(axes), values, errors, measured(values, errors)), known)


def _is_grp(lines: list[str]) -> bool:
    return re.match(r"#\s*Number of .* values", lines[0], re.IGNORECASE) is not None


def _is_xyie(lines: list[str]) -> bool:
    return len(lines) > 2 and len(floats(lines[0])) == 2 and not lines[1].strip() and len(floats(lines[2])) == 1


def _is_iexy(first: list[str], path: Path) -> bool:
    """Whether there are four numbers in each row, and the last two make a full grid."""
    if not all(len(floats(line)) == 4 for line in first):
        return False
    rows = [floats(line) for line in text_lines(path) if line.strip()]
    if {len(each) for each in rows} != {4}:
        return False
    x, y = np.array(rows)[:, 2:].T
    return min(len(np.unique(x)), len(np.unique(y))) > 1 and len(np.unique(x)) * len(np.unique(y)) == len(rows)


def _iexy(lines: list[str], path: Path) -> Table:
    rows = block(lines, 4 * sum(bool(line.strip()) for line in lines), "rows", path).reshape(-1, 4)
    rows = rows[np.lexsort((rows[:, 3], rows[:, 2]))]
    x, y = np.unique(rows[:, 2]), np.unique(rows[:, 3])
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    if grid.shape != rows[:, 2:].shape or (grid != rows[:, 2:]).any():
        raise InputError(f"{path.name} has {len(rows)} rows for {len(x)} x and {len(y)} y; expected each pair once")
    shape = (len(x), len(y))
    return x, y, rows[:, 0].reshape(shape), rows[:, 1].reshape(shape)


def _xyie(lines: list[str], path: Path) -> Table:
    number_x, number_y = whole(floats(lines[0]), "x and y", path)
    if min(number_x, number_y) < 1:
        raise InputError(f"{path.name} says that it has {number_x} x and {number_y} y")
    check_count(number_x * number_y, "intensity", path)
    numbers = block(lines[1:], number_x + number_y + 2 * number_x * number_y, "x, y, intensity and error", path)
    x, y, rest = np.split(numbers, [number_x, number_x + number_y])
    values, errors = (half.T.copy() for half in rest.reshape(2, number_y, number_x))
    return x, y, values, errors


def _grp(lines: list[str], path: Path) -> tuple[Table, tuple[str, ...]]:
    starts = [n for n, line in enumerate(lines) if line.startswith("#")]
    parts = [lines[n + 1 : stop] for n, stop in zip(starts, [*starts[1:], len(lines)], strict=True)]
    titles = [lines[n].strip("# \n") for n in starts]
    counts = [
        whole(block(part, 1, title, path).tolist(), "values", path)[0]
        for title, part in zip(titles[:2], parts[:2], strict=False)
    ]
    if len(counts) < 2 or min(counts) < 1 or len(parts) != 4 + counts[1]:
        raise InputError(f"{path.name} says that it has {counts} values, but has {len(parts)} sections")
    x, y = (block(parts[2 + k], counts[k], titles[2 + k], path) for k in (0, 1))
    rows = np.array(
        [block(part, 2 * counts[0], title, path) for title, part in zip(titles[4:], parts[4:], strict=True)]
    )
    values, errors = np.moveaxis(rows.reshape(counts[1], counts[0], 2), (0, 1), (1, 0)).transpose(2, 0, 1)
    names, scales = zip(*(_caption(title) for title in titles[2:4]), strict=True)
    return (x * scales[0], y * scales[1], values.copy(), errors.copy()), names


def _caption(title: str) -> tuple[str, float]:
    """Name and scale of an axis from 'Energy transfer (meV) values'."""
    match = re.match(r"(.*?)\s*(?:\(([^)]*)\))?\s*values$", title)
    name, unit = (match[1], match[2]) if match else (title, None)
    expected = "meV" if cuts.is_energy(name) else "1/angstrom"
    if unit is None or not (cuts.is_energy(name) or cuts.is_modulus(name)):
        return name, 1.0
    return name, to_internal(1.0, unit.replace("micro eV", "ueV").replace("Angstroms", "angstrom"), expected)


def _edges(centres: Array, path: Path) -> Array:
    if len(centres) < 2 or not (np.diff(centres) > 0).all():
        raise InputError(f"{path.name} has an axis of {len(centres)} values; expected at least two that ascend")
    return edges_from_centres(centres)
