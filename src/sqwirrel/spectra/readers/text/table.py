"""Our CSV: one bin a row, bin centres on a full grid.

    # temperature [K]: 5
    # incident_energy [meV]: 30
    Q [1/angstrom],energy [meV],intensity,error
    0.5,-1.0,12.1,0.4
    0.5,-0.5,,

The comment lines are optional, as is their order. `counts` in place of `intensity` says that these are raw counts.
An empty field or `nan` is an unmeasured bin. Other units of the same kind are converted (1/nm, THz). Bin edges lie
half way between centres, so only an axis that is recovered so can be written; uneven bins need .h5. A crystal has
`h [rlu],k [rlu],l [rlu]` in place of `Q`, and the comments that `crystal` describes.
"""

import re
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.limits import head, text_lines
from sqwirrel.spectra.grid import QGrid
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QShells
from sqwirrel.spectra.readers.text import crystal
from sqwirrel.spectra.rebin import edges_from_centres
from sqwirrel.spectra.spectrum import Spectrum
from sqwirrel.units import to_internal

AXES = {"Q": "1/angstrom", "energy": "meV"}
CRYSTAL = {"h": "rlu", "k": "rlu", "l": "rlu", "energy": "meV"}
CONDITIONS = {"temperature": "K", "incident_energy": "meV", "final_energy": "meV"}
_LABEL = re.compile(r"^\s*(\w+)\s*(?:\[(.*)\])?\s*$")


def sniff(path: Path) -> bool:
    """Whether the first line that is no comment names columns, separated by commas, of which one is an axis of ours."""
    first = next(filter(_is_content, head(path)), "")
    names = {name for name, _ in map(_label, first.split(","))}
    return len(names) > 2 and not names.isdisjoint(AXES)


def read(path: Path) -> Spectrum:
    """The powder map in the table."""
    lines = text_lines(path)
    start = next(n for n, line in enumerate(lines) if _is_content(line))
    labels = [_label(cell) for cell in lines[start].split(",")]
    names = [name for name, _ in labels]
    is_crystal = not {*CRYSTAL}.difference(AXES).isdisjoint(names)
    signal = _signal(names, CRYSTAL if is_crystal else AXES, path)
    columns = _columns(lines[start + 1 :], labels, path, first=start + 2)
    if (columns["error"] < 0).any():
        raise InputError(
            f"{path.name} has the error {np.nanmin(columns['error']):g}; an error is one standard deviation, not below "
            "0 (leave intensity and error empty where nothing was measured)"
        )
    points, energy, order = (crystal.grid if is_crystal else _powder)(columns, lines[:start], path)
    measurement = Measurement(points, torch.from_numpy(energy), **_conditions(lines[:start]))
    intensity, error = (torch.from_numpy(columns[name][order].reshape(measurement.shape)) for name in (signal, "error"))
    return Spectrum.from_arrays(intensity, error, measurement, is_counts=signal == "counts")


def write(path: Path, spectrum: Spectrum) -> None:
    """Write a powder map or a grid; refuses what a table of bin centres cannot hold."""
    measurement, points = spectrum.measurement, spectrum.measurement.points
    is_powder = isinstance(points, QShells)
    comments = "" if is_powder else crystal.comments(spectrum, path)
    for name, edges in _axes(measurement).items():
        _check_even(name, edges.numpy(), path, least=3 if is_powder else 2)
    signal = "counts" if spectrum.is_counts else "intensity"
    where = points.centres[:, None] if isinstance(points, QShells) else points.q
    energy = measurement.energy_centres
    place = torch.cat((where.repeat_interleave(len(energy), 0), energy.repeat(len(where))[:, None]), 1).numpy()
    values = (np.where(spectrum.valid, column, np.nan).ravel() for column in (spectrum.intensity, spectrum.error))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, unit in CONDITIONS.items():
            value = getattr(measurement, name)
            file.write("" if value is None else f"# {name} [{unit}]: {value!r}\n")
        file.write(comments + _header(AXES if is_powder else CRYSTAL).replace("intensity", signal) + "\n")
        rows = np.column_stack([place, *values])
        file.writelines(",".join("" if np.isnan(x) else repr(float(x)) for x in row) + "\n" for row in rows)


def _powder(
    columns: dict[str, Float64[np.ndarray, " row"]], comments: list[str], path: Path
) -> tuple[QShells, Float64[np.ndarray, " edge"], Int64[np.ndarray, " row"]]:
    """Shells, energy edges and the order of rows by bin."""
    del comments
    shells, energies = _grid(columns["Q"], columns["energy"], path)
    points = QShells.from_edges(edges_from_centres(shells))
    return points, edges_from_centres(energies), np.lexsort((columns["energy"], columns["Q"]))


def _axes(measurement: Measurement) -> dict[str, Tensor]:
    """Edges by name; those of a path or of scans are not needed, as they are refused."""
    match measurement.points:
        case QShells(edges):
            return {"|Q|": edges, "energy": measurement.energy}
        case QGrid(_, _, edges):
            return {**{f"axis {n}": each for n, each in enumerate(edges, 1)}, "energy": measurement.energy}
        case _:
            return {}


def _header(axes: Mapping[str, str]) -> str:
    return ",".join([*(f"{name} [{unit}]" for name, unit in axes.items()), "intensity", "error"])


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _label(cell: str) -> tuple[str, str | None]:
    """Name and unit of a column, from `name [unit]`."""
    match = _LABEL.match(cell.strip().strip('"'))
    return (match[1], match[2]) if match else (cell.strip(), None)


def _signal(names: list[str], axes: Mapping[str, str], path: Path) -> str:
    """The column that holds the signal; refuses a table that lacks a column or has one twice."""
    signal = "counts" if "counts" in names else "intensity"
    required = {*axes, signal, "error"}
    if missing := required.difference(names):
        raise InputError(
            f"{path.name} has no column '{min(missing)}', only {', '.join(names[:8])}; expected, between commas, the "
            f"header {_header(axes)}"
        )
    if len(names) != len(set(names)):
        raise InputError(f"{path.name} names a column twice; expected the header {_header(axes)}")
    return signal


def _columns(
    lines: list[str], labels: list[tuple[str, str | None]], path: Path, *, first: int
) -> dict[str, Float64[np.ndarray, " row"]]:
    """The table by column, axes in internal units; `first` is the number of the first line in the file."""
    scales = [_scale(name, unit, path) if name in AXES else 1.0 for name, unit in labels]
    table = _numbers(lines, len(labels), path, first) * scales
    return {name: table[:, n] for n, (name, _) in enumerate(labels)}


def _scale(name: str, unit: str | None, path: Path) -> float:
    if unit is None:
        raise InputError(f"{path.name} gives no unit for '{name}'; write '{name} [{AXES[name]}]' in the header")
    try:
        return to_internal(1.0, unit, AXES[name])
    except InputError as error:
        raise InputError(f"column '{name}' of {path.name}: {error}") from None


def _numbers(lines: list[str], width: int, path: Path, first: int) -> Float64[np.ndarray, "row column"]:
    numbers = array("d")  # a list of them would take ten times the memory
    for n, line in enumerate(lines, start=first):
        if not _is_content(line):
            continue
        cells = line.split(",")
        try:
            numbers.extend([float(cell) if cell.strip() else np.nan for cell in cells])
        except ValueError:
            raise InputError(f"line {n} of {path.name} is '{line[:60]}'; expected {width} numbers") from None
        if len(cells) != width:
            raise InputError(f"line {n} of {path.name} has {len(cells)} fields; the header has {width}")
    if not numbers:
        raise InputError(f"{path.name} has a header but no rows")
    return np.frombuffer(numbers, dtype=np.float64).reshape(-1, width)


def _grid(
    q: Float64[np.ndarray, " row"], energy: Float64[np.ndarray, " row"], path: Path
) -> tuple[Float64[np.ndarray, " shell"], Float64[np.ndarray, " energy"]]:
    """The centres along each axis; every pair of them must be there once."""
    shells, energies = np.unique(q), np.unique(energy)
    if not (np.isfinite(shells).all() and np.isfinite(energies).all()):
        raise InputError(f"{path.name} has a row without Q or energy; leave only intensity and error empty")
    pairs = len(np.unique(np.stack([q, energy]), axis=1).T)
    if not len(shells) * len(energies) == len(q) == pairs:
        raise InputError(
            f"{path.name} has {len(q)} rows for {len(shells)} values of Q and {len(energies)} of energy; expected each "
            f"pair once ({len(shells) * len(energies)} rows; leave intensity empty where unmeasured)"
        )
    if min(len(shells), len(energies)) < 2:
        raise InputError(f"{path.name} has one value of Q or of energy only; bin widths need two along each axis")
    return shells, energies


def _conditions(lines: list[str]) -> dict[str, Any]:
    """Temperature and incident energy from comments such as `# temperature [K]: 5`; other comments are not ours."""
    found: dict[str, float | None] = {"temperature": None}
    for line in lines:
        match = re.match(r"#\s*(\w+)\s*\[(.*)\]\s*:\s*(\S+)\s*$", line)
        if match and match[1] in CONDITIONS:
            found[match[1]] = to_internal(_value(match[3], match[1]), match[2], CONDITIONS[match[1]])
    return found


def _value(word: str, name: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise InputError(f"the {name} is '{word}'; expected a number") from None


def _check_even(name: str, edges: Float64[np.ndarray, " edge"], path: Path, *, least: int) -> None:
    """Refuse an axis whose edges would not be found again from its centres, or with fewer than `least` of them."""
    if len(edges) == least == 2:
        return
    if len(edges) > 2:
        again = edges_from_centres((edges[1:] + edges[:-1]) / 2)
        if np.allclose(again, edges, rtol=0, atol=1e-6 * np.diff(edges).min()):
            return
    raise InputError(f"{path.name}: CSV holds even bins only and the {name} bins are not; write this spectrum as .h5")
