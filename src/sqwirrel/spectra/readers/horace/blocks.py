"""Horace files of version 4: a table of blocks, of which the axes, the binned data and the runs are read.

After the first header (`horace`, number of dimensions): uint32 size of the table, uint32 number of blocks, and for each
its type, two names, uint64 place, uint32 size, uint32 lock. `data_block` is one object: a tag (uint8: 0 logical,
1 text, 3 float64, 4 float32, 5 to 12 int8 to uint64, 23 cell, 24 struct, 32 an object that writes itself), the number
of its dimensions (uint8), each (uint32), and the content, by columns. A struct has its number of fields, their lengths,
their names, and one cell of values. `dnd_data_block` is uint32 number of dimensions, each, then s, e (variance) as
float64 and npix as uint64. (Documentation of scippneutron.io.sqw, "SQW file format".)
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.readers.cut import Axis, Cut, meant
from sqwirrel.spectra.readers.horace.binary import Binary
from sqwirrel.spectra.readers.horace.stream import Run, assembled

NUMBERS = {0: "u1", 3: "<f8", 4: "<f4", 5: "i1", 6: "u1", 7: "<i2", 8: "<u2", 9: "<i4", 10: "<u4", 11: "<i8", 12: "<u8"}
TEXT, CELL, STRUCT, OBJECT = 1, 23, 24, 32
DEEPEST = 30


def cut(held: Binary) -> tuple[Cut, Lattice | None]:
    """The binned data, and the lattice (none of a powder)."""
    places = _table(held)
    metadata = _object(held, places, ("data", "metadata"))
    axes, projection = Struct(metadata.get("axes"), held.path), Struct(metadata.get("proj"), held.path)
    counts = axes.numbers("nbins_all_dims", 4)
    if not ((counts >= 1) & (counts < 1e9)).all():
        raise InputError(f"{held.path.name} is damaged: its axes have {counts.tolist()} bins")
    shape = counts.astype(int).tolist()
    bins = _bins(held, places, shape)
    bounds = zip(meant(axes.numbers("img_range", 8)).reshape(4, 2), shape, strict=True)
    edges = [np.linspace(lo, hi, n + 1) if n > 1 else np.array([lo, hi]) for (lo, hi), n in bounds]
    runs = _runs(held, places)
    kind = axes.text("serial_name")
    if not kind.startswith(("sphere", "spher", "cylinder", "kf_sphere")):
        lattice = Lattice(*(x for name in ("alatt", "angdeg") for x in meant(projection.numbers(name, 3)).tolist()))
        directions = _directions(projection, axes, lattice)
        return assembled(edges, directions, projection.numbers("offset", 4), bins, runs), lattice
    if not kind.startswith("spher") or shape[1:3] != [1, 1]:
        raise InputError(f"{held.path.name} is binned in {kind}; only |Q| and energy of these is read")
    return _powder(assembled(edges, np.eye(4), np.zeros(4), bins, runs)), None


@dataclass(frozen=True, eq=False)
class Struct:
    """Fields of a struct; those that are not there, or not as they should be, are refused."""

    fields: object
    path: Path

    def numbers(self, name: str, *counts: int) -> np.ndarray:
        """So many numbers; at least one where it is not said how many."""
        value = self.fields.get(name) if isinstance(self.fields, dict) else None
        if not isinstance(value, np.ndarray) or (len(value) not in counts if counts else not len(value)):
            raise InputError(f"{self.path.name} is damaged: '{name}' should have {counts[0] if counts else 1} numbers")
        return value.astype(np.float64)

    def text(self, name: str) -> str:
        """A word."""
        return str(self.fields.get(name, "")) if isinstance(self.fields, dict) else ""

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        return isinstance(self.fields, dict) and name in self.fields


def _powder(flat: Cut) -> Cut:
    """|Q| and energy of spherical axes whose angles were integrated over."""
    values, errors, valid = (each[:, 0, 0, :] for each in (flat.values, flat.errors, flat.valid))
    axes = (Axis("|Q|", flat.axes[0].edges), flat.axes[3])
    return Cut(axes, values, errors, valid, incident_energy=flat.incident_energy, final_energy=flat.final_energy)


def _directions(projection: Struct, axes: Struct, lattice: Lattice) -> np.ndarray:
    """Rows: one unit along each axis, rlu. u is along the first and v in the plane of the first two; orthogonal axes
    are made of them, others are u, v and w themselves. Their lengths (1/angstrom) are the scales of the axes.
    """
    scale = axes.numbers("ulen" if axes.has("ulen") else "img_scales", 4)
    given = [projection.numbers("u", 3), projection.numbers("v", 3)]
    if projection.has("w") and len(w := projection.numbers("w", 3, 0)):
        given.append(w)
    wave = lattice.to_cartesian(torch.tensor(np.array(given))).numpy()
    first, second = wave[0] / np.linalg.norm(wave[0]), wave[1]
    is_oblique = bool(projection.numbers("nonorthogonal", 1)[0])
    if not is_oblique:
        second = second - (second @ first) * first
    third = wave[2] if is_oblique and len(wave) == 3 else np.cross(first, second)
    unit = np.array([each / np.linalg.norm(each) for each in (first, second, third)])
    rows = lattice.to_rlu(torch.from_numpy(unit * scale[:3, None])).numpy()
    return np.vstack([np.pad(rows, ((0, 0), (0, 1))), [0.0, 0.0, 0.0, 1.0]])


def _bins(
    held: Binary, places: dict[tuple[str, str], int], counts: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    held.seek(_place(held, places, ("data", "nd_data")))
    shape = held.take("<u4", held.integer()).tolist()
    count = prod(shape)
    if count != prod(counts):
        raise InputError(f"{held.path.name} is damaged: its data have the shape {shape}, its axes {counts}")
    return held.take("<f8", count), held.take("<f8", count), held.take("<u8", count)


def _runs(held: Binary, places: dict[tuple[str, str], int]) -> list[Run]:
    if ("experiment_info", "expdata") not in places:
        return []
    held_runs = _object(held, places, ("experiment_info", "expdata")).get("array_dat")
    runs = [Struct(run, held.path) for run in (held_runs if isinstance(held_runs, list) else [held_runs])]
    return [(float(run.numbers("efix").mean()), round(float(run.numbers("emode", 1)[0]))) for run in runs]


def _table(held: Binary) -> dict[tuple[str, str], int]:
    held.integer(), held.integer()
    places = {}
    for _ in range(held.integer()):
        held.text()
        name = (held.text(), held.text())
        places[name] = int(held.take("<u8", 1)[0])
        held.skip(8)
    return places


def _place(held: Binary, places: dict[tuple[str, str], int], name: tuple[str, str]) -> int:
    if name not in places:
        raise InputError(f"{held.path.name} has no block '{'/'.join(name)}', which Horace files of version 4 have")
    return places[name]


def _object(held: Binary, places: dict[tuple[str, str], int], name: tuple[str, str]) -> dict[str, Any]:
    held.seek(_place(held, places, name))
    found = _value(held, 0)
    if not isinstance(found, dict):
        raise InputError(f"{held.path.name} is damaged: '{'/'.join(name)}' is no struct")
    return found


def _value(held: Binary, depth: int) -> Any:
    """The next object: an array (flat, by columns), text, a list, a struct as a dict, or a list of them."""
    tag, dimensions = held.take("u1", 2).tolist()
    if tag == OBJECT:
        held.skip(-1)
        return _value(held, depth + 1)
    count = prod(held.take("<u4", dimensions).tolist()) if dimensions else 0
    if depth > DEEPEST:
        raise InputError(f"{held.path.name} is damaged: its objects do not end")
    if tag in NUMBERS:
        return held.take(NUMBERS[tag], count)
    if tag == TEXT:
        return held.text(count)
    if tag == CELL:
        return [_value(held, depth + 1) for _ in range(count)]
    if tag == STRUCT:
        return _structs(held, count, depth)
    raise InputError(f"{held.path.name} holds an object of the kind {tag}, which is not known")


def _structs(held: Binary, count: int, depth: int) -> dict[str, Any] | list[dict[str, Any]]:
    if not count:
        return []
    lengths = held.take("<u4", held.integer()).tolist()
    names = [held.text(length) for length in lengths]
    values = _value(held, depth + 1)
    if not names or not isinstance(values, list) or len(values) != count * len(names):
        raise InputError(f"{held.path.name} is damaged: a struct has {len(names)} names and other values")
    found = [dict(zip(names, values[k * len(names) :], strict=False)) for k in range(count)]
    return found[0] if count == 1 else found
