"""Tables of peaks as text: one peak a row, or one wavevector a row with several modes.

    # lattice [angstrom, degrees]: 5.19 5.56 7.54 90 90 90
    # temperature [K]: 5
    h,k,l,energy,error,intensity
    0,1,2.1,27.95,0.18,185.5

Columns stand between commas (a name may then end in a unit, `energy [THz]`) or between blanks; their names are in the
first line, or in a comment above the first row. Energies without a unit have that of the peak. `QH QK QL minE maxE I1
E1 s1 I2 E2 s2 ...` is SpinW's table (https://spinw.org/sw_readspec), also with EMIN EMAX or ENlim1 ENlim2, EN1 and
sigma1: s is the standard deviation of E, the range is the one that was searched, and a mode whose intensity or energy
is 0 is not there. The error of the energy stands next to the energy: that tells a table of peaks from one of
intensities. Errors of q are `h_error`, `k_error`, `l_error`; those that move q as a whole are vectors `h_shift1`,
`k_shift1`, `l_shift1`, `h_shift2`, ... A comment may end a row. A row that is there twice, with the same q, energy and
error, is one peak.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, repeat
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.limits import head, text_lines
from sqwirrel.spectra.peaks import Peaks
from sqwirrel.spectra.readers import plain
from sqwirrel.units import to_internal

ALONE, SHIFTS = ("h_error", "k_error", "l_error"), ("h_shift", "k_shift", "l_shift")
NAMES = {
    **dict.fromkeys(("h", "qh"), "h"),
    **dict.fromkeys(("k", "qk"), "k"),
    **dict.fromkeys(("l", "ql"), "l"),
    **dict.fromkeys(("energy", "en", "e"), "energy"),
    **dict.fromkeys(("error", "sigma", "s", "energy_error"), "error"),
    **dict.fromkeys(("intensity", "i"), "intensity"),
    **{name: name for name in ("intensity_error", "fwhm", *ALONE, *SHIFTS, "x", "x_error", "direction")},
}
SEARCHED = {"emin": "from", "emax": "to", "mine": "from", "maxe": "to", "enlim1": "from", "enlim2": "to"}
ENERGIES = ("energy", "error", "fwhm", "from", "to")
WAVEVECTORS = ("h", "k", "l", *ALONE, *SHIFTS)
EXPECTED = "expected columns such as h,k,l,energy,error or QH QK QL EMIN EMAX I1 EN1 sigma1"
LATTICE = "# lattice [angstrom, degrees]: a b c alpha beta gamma"
Vector = Sequence[float]
Lines = Mapping[int, tuple[Vector, Vector]]
"""For each number of a direction the q at x = 0 and what x = 1 adds to it, rlu."""


@dataclass(frozen=True)
class _Text:
    """Comments, names of columns as they stand there (none: the table has none), and numbered rows."""

    comments: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[int, str], ...]


def sniff(path: Path) -> bool:
    """Whether the file names a column of energies and, next to it, one of their errors."""
    words = [_canonical(name)[0] for name in _parse(head(path)).names]
    return any(pair == ("energy", "error") for pair in pairwise(words))


def has_numbers_only(path: Path) -> bool:
    """Whether the file begins with a row of at least four numbers and names no columns."""
    text = _parse(head(path))
    words = _words(text.rows[0][1]) if text.rows else []
    return not text.names and len(words) > 3 and all(map(_is_number, words))


def read(path: Path, lattice: Lattice | None, columns: Sequence[str] | None, lines: Lines | None) -> Peaks:
    """The peaks in the table; see `read_peaks`."""
    text = _parse(text_lines(path))
    names = text.names if columns is None else tuple(columns)
    if not names:
        raise InputError(f"{path.name} does not name its columns; give them as columns=(...), {EXPECTED}")
    rows = _untagged(text.rows, path)
    table = plain.Table.of(path, names, rows, "," if "," in rows[0][1] else None)
    scale = _scales(names, path)
    found = {_canonical(name): table.column(name.lower()) * scale[name] for name in names if _canonical(name)[0]}
    q, q_error = _wavevectors(found, lines, path)
    content = _modes(found, q, q_error, path)
    if not len(content["q"]):
        raise InputError(f"{path.name} holds no peak: all intensities are 0")
    cell = _lattice(text.comments, path) or lattice
    if cell is None:
        raise InputError(f"{path.name} does not tell its lattice; give one, or add the line '{LATTICE}'")
    return Peaks(cell, **_once(content), temperature=_temperature(text.comments, path))


def write(path: Path, peaks: Peaks) -> None:
    """The table as CSV, to be read back as it is: all but the field, which a table does not tell."""
    columns = {name: peaks.q[:, k] for k, name in enumerate("hkl")} | {"energy": peaks.energy, "error": peaks.error}
    known = {name: getattr(peaks, name) for name in ("intensity", "intensity_error", "fwhm")}
    columns |= {name: values for name, values in known.items() if values is not None}
    if peaks.search is not None:
        columns |= {name: peaks.search[:, k] for k, name in enumerate(("EMIN", "EMAX"))}
    shifts = {f"{name}_shift": peaks.q_error[..., k] for k, name in enumerate("hkl")}
    columns |= {f"{name}{n}": part for name, parts in shifts.items() for n, part in enumerate(parts.T, 1) if part.any()}
    cell = peaks.lattice
    head = [LATTICE.partition(":")[0] + f": {cell.a} {cell.b} {cell.c} {cell.alpha} {cell.beta} {cell.gamma}"]
    head += [] if peaks.temperature is None else [f"# temperature [K]: {peaks.temperature}"]
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    lines = (*head, ",".join(columns), *(",".join(map(repr, row)) for row in rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _untagged(rows: Iterable[tuple[int, str]], path: Path) -> list[tuple[int, str]]:
    """The rows without the tags of SpinW, which say what correlation the rows below them are peaks of."""
    kept = [(number, row) for number, row in rows if row != "[Sperp]"]
    if tag := next((row for _, row in kept if row.startswith("[")), None):
        raise InputError(f"{path.name} has peaks of the correlation {tag[:20]}; only those of S_perp are read")
    if not kept:
        raise InputError(f"{path.name} has no rows; {EXPECTED}")
    return kept


def _parse(text: Iterable[str]) -> _Text:
    comments: list[str] = []
    rows: list[tuple[int, str]] = []
    head = ""
    for number, line in enumerate(text, 1):
        row, _, comment = line.partition("#")
        if not row.strip():
            if not rows:
                comments.append(comment.strip())
        elif not rows and not head and not any(map(_is_number, _words(row))):
            head = row
        else:
            rows.append((number, row.strip().rstrip(",")))
    above = next((each for each in reversed(comments) if _names_peaks(each)), "")
    return _Text(tuple(comments), tuple(_words(head or above)), tuple(rows))


def _words(line: str) -> list[str]:
    """Cells of a line; a remark in brackets behind them is none."""
    cells = line.partition("(")[0].strip()
    return [cell.strip() for cell in (cells.split(",") if "," in cells else cells.split())]


def _names_peaks(comment: str) -> bool:
    return {"energy", "error"} <= {_canonical(word)[0] for word in _words(comment)}


def _canonical(name: str) -> tuple[str, int]:
    """What a column is ('' for what we do not use), and the number of the mode it belongs to (0: of all)."""
    word = name.partition("[")[0].strip(' "').lower()
    if word in SEARCHED:
        return SEARCHED[word], 0
    base = word.rstrip("0123456789")
    return NAMES.get(base, ""), int(word[len(base) :][-6:] or 0)


def _scales(names: Iterable[str], path: Path) -> dict[str, float]:
    """One unit of each column, as in `energy [THz]`, in ours; energies without one have that of their mode's energy."""
    units = {name: name.partition("[")[2].rstrip(' "]') for name in names}
    of_mode = {_canonical(name)[1]: unit for name, unit in units.items() if _canonical(name)[0] == "energy" and unit}
    scales = dict.fromkeys(units, 1.0)
    for name, unit in units.items():
        what, mode = _canonical(name)
        if what in ENERGIES and (known := unit or of_mode.get(mode) or next(iter(of_mode.values()), "")):
            scales[name] = _unit(known, "meV", f"column '{name}'", path)
        if what in WAVEVECTORS and unit not in ("", "rlu", "r.l.u."):
            raise InputError(f"column '{name}' of {path.name} is not in rlu; give h, k, l of the lattice")
    return scales


def _unit(unit: str, expected: str, what: str, path: Path) -> float:
    """One of a stated unit in ours."""
    try:
        return to_internal(1.0, unit, expected)
    except InputError as error:
        raise InputError(f"{what} of {path.name}: {error}") from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


Columns = Mapping[tuple[str, int], Float64[np.ndarray, " row"]]


def _wavevectors(
    found: Columns, lines: Lines | None, path: Path
) -> tuple[Float64[np.ndarray, "row 3"], Float64[np.ndarray, "row vector 3"]]:
    """q of each row and its errors, from h, k, l or from the coordinate along a line."""
    if lines is not None:
        return _along(found, lines, path)
    missing = [name for name in "hkl" if (name, 0) not in found]
    if missing:
        raise InputError(
            f"{path.name} has no column of {' or '.join(missing)}; if its wavevectors lie on lines, give columns with "
            "'x' and 'direction', and lines={1: (q at x = 0, step of q)}"
        )
    q = np.stack([found[name, 0] for name in "hkl"], axis=1)
    numbers = sorted({number for name, number in found if name in SHIFTS})
    alone, *shifts = (
        np.stack([found.get((f"{name}_{what}", number), np.zeros(len(q))) for name in "hkl"], axis=1)
        for what, number in [("error", 0), *(("shift", number) for number in numbers)]
    )
    if (alone < 0).any():
        raise InputError(f"{path.name} has a negative error of h, k or l; give one standard deviation, rlu")
    return q, np.concatenate((alone[:, None] * np.eye(3), *(shift[:, None] for shift in shifts)), axis=1)


def _along(
    found: Columns, lines: Lines, path: Path
) -> tuple[Float64[np.ndarray, "row 3"], Float64[np.ndarray, "row 1 3"]]:
    if ("x", 0) not in found or (("direction", 0) not in found and len(lines) != 1):
        raise InputError(f"{path.name} is to be read along lines but has no columns 'x' and 'direction'; name them")
    x = found["x", 0]
    direction = found.get(("direction", 0), np.full(len(x), float(next(iter(lines), 0))))
    unknown = sorted(set(direction.tolist()) - {float(number) for number in lines})
    if unknown:
        raise InputError(f"{path.name} has the direction {unknown[0]:g}, for which lines gives no q")
    origin, step = (np.array([lines[int(d)][k] for d in direction], dtype=np.float64) for k in (0, 1))
    spread = found.get(("x_error", 0), np.zeros(len(x)))
    return origin + x[:, None] * step, (spread[:, None] * step)[:, None]


def _modes(
    found: Columns, q: Float64[np.ndarray, "row 3"], q_error: Float64[np.ndarray, "row vector 3"], path: Path
) -> dict[str, np.ndarray]:
    """One peak for every row and mode that is there, by row."""
    numbers = sorted(number for name, number in found if name == "energy")
    if not numbers:
        raise InputError(f"{path.name} has no column of energies; {EXPECTED}")
    own = [name for name in ("energy", "error", "intensity", "intensity_error", "fwhm") if (name, numbers[0]) in found]
    lacking = [(name, m) for m in numbers for name in {*own, "error"} if (name, m) not in found]
    if lacking:
        name, mode = lacking[0]
        raise InputError(f"{path.name} has no column of {name} for the energy {mode or ''}".rstrip() + f"; {EXPECTED}")
    columns = {name: np.stack([found[name, m] for m in numbers], axis=1) for name in own}
    there = np.ones_like(columns["energy"], dtype=bool)
    if numbers != [0] and "intensity" in columns:
        there = (columns["intensity"] != 0) & (columns["energy"] != 0)
    row = np.nonzero(there)[0]
    content = {name: column[there] for name, column in columns.items()} | {"q": q[row], "q_error": q_error[row]}
    if {("from", 0), ("to", 0)} <= found.keys():
        content["search"] = np.stack([found["from", 0], found["to", 0]], axis=1)[row]
    return content


def _once(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without the repetitions of a peak."""
    names = ("q", "energy", "error", "q_error")
    parts = [content[name].reshape(len(content["q"]), -1) for name in names]
    first = np.sort(np.unique(np.concatenate(parts, axis=1), axis=0, return_index=True)[1])
    return {name: values[first] for name, values in content.items()}


def _lattice(comments: Iterable[str], path: Path) -> Lattice | None:
    """The lattice that the file tells, if it does."""
    found = _stated(comments, "lattice", ("angstrom", "degrees"), path)
    if found is None:
        return None
    values = plain.values(found[0], 6, "the lattice", path)
    return Lattice(*(value * found[1][k // 3] for k, value in enumerate(values)))


def _temperature(comments: Iterable[str], path: Path) -> float | None:
    found = _stated(comments, "temperature", ("K",), path)
    return None if found is None else plain.values(found[0], 1, "the temperature", path)[0] * found[1][0]


def _stated(
    comments: Iterable[str], name: str, ours: Sequence[str], path: Path
) -> tuple[list[str], list[float]] | None:
    """The words behind a comment such as `temperature [mK]: 50`, and one of each of its units in ours."""
    for comment in comments:
        key, colon, rest = comment.partition(":")
        told, _, units = key.partition("[")
        if colon and told.strip().lower() == name:
            given = chain((unit.strip() for unit in units.rstrip("] ").split(",")), repeat(""))
            scales = [_unit(unit or own, own, f"the {name}", path) for own, unit in zip(ours, given, strict=False)]
            return rest.replace(",", " ").split(), scales
    return None
