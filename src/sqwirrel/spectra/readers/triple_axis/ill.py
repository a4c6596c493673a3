"""The ASCII format of triple-axis scans of the Institut Laue-Langevin, and of PSI (.scn), which follows it.

After the line VV...V stand sections `PARAM: AS= 7.965, BS= 8.448`, then `DATA_:` and a table. AS BS CS AA BB CC are the
cell, AX..BZ two wavevectors in the scattering plane, FX = 1 says that k_i is held at KFIX (1/angstrom), FX = 2 that k_f
is. POSQE is where the last command stood, STEPS what moves. QH QK QL in rlu, EN = E_i - E_f in the unit UN of POSQE. M1
is the monitor before the sample. PSI writes `#` before some sections and D before the names in STEPS. Format: the files
of IN20 and EIGER themselves, checked on their columns of k_i and k_f.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.limits import head, text_lines
from sqwirrel.spectra.readers import plain
from sqwirrel.spectra.readers.triple_axis.scan import COLUMNS, Scan, spectrum, trailing_number
from sqwirrel.spectra.spectrum import Spectrum
from sqwirrel.units import E_PER_K2

MARK = "ILL TAS data in the new ASCII format"
NAMES = {"monitor": ("m1",)}
PLACES = {"h": "QH", "k": "QK", "l": "QL", "energy": "EN"}
Header = Mapping[str, Mapping[str, str]]


def sniff(path: Path) -> bool:
    """Whether the file says that it holds ILL TAS data."""
    return any(MARK in line for line in head(path))


def read(path: Path) -> Spectrum:
    """The scan in the file."""
    text = text_lines(path)
    start = next((n for n, line in enumerate(text) if line.startswith("DATA_:")), None)
    if start is None:
        raise InputError(f"{path.name} ends before its data (DATA_:); fetch a complete copy")
    header = _header(text[:start])
    _check(header, path)
    table = _table(text, start, path)
    plane = np.array([[_param(header, f"{a}{x}", path) for x in "XYZ"] for a in "AB"])
    cell = [_param(header, key, path) for key in ("AS", "BS", "CS", "AA", "BB", "CC")]
    energy = E_PER_K2 * _param(header, "KFIX", path) ** 2
    incident = _param(header, "FX", path) == 1
    number = trailing_number(header.get("FILE_", {}).get("", path.name))
    stated = {**_missing(header, table, plane, path), **_temperature(header, path)}
    fixed = {"incident_energy" if incident else "final_energy": energy}
    return spectrum(Scan(table, number, Lattice(*cell), plane, **fixed, names=NAMES, stated=stated))


def _header(text: Sequence[str]) -> Header:
    """Section to key to word; text without keys stands under the key ''."""
    sections: dict[str, dict[str, str]] = {}
    for line in text:
        section, colon, rest = line.lstrip("#").partition(":")
        if colon and len(section) == 5:
            found = sections.setdefault(section, {})
            for part in rest.split(","):
                key, equals, word = part.partition("=")
                found[key.strip() if equals else ""] = (word if equals else part).strip()
    return sections


def _check(header: Header, path: Path) -> None:
    unit = header.get("POSQE", {}).get("UN", "meV")
    if unit.lower() != "mev":
        raise InputError(f"{path.name} gives energies in {unit[:10]}; only meV is read: convert its EN column")
    if _param(header, "FX", path) not in {1, 2}:
        raise InputError(f"{path.name} does not say by FX = 1 or 2 whether k_i or k_f was held")


def _param(header: Header, key: str, path: Path) -> float:
    words = header.get("PARAM", {})
    if key not in words:
        raise InputError(f"{path.name} has no {key} in its header (PARAM); fetch a complete copy")
    return plain.value(words[key], key, path)


def _table(text: Sequence[str], start: int, path: Path) -> plain.Table:
    names = text[start + 1].lstrip("#").split() if start + 1 < len(text) else []
    if not names or names[0] != "PNT":
        raise InputError(f"{path.name} does not name its columns after DATA_:; fetch a complete copy")
    if "PAL" in names:
        raise InputError(f"{path.name} mixes states of polarisation (PAL), which is not read; write one table a state")
    rows = []
    for n, line in enumerate(text[start + 2 :], start + 3):
        if line.rstrip().endswith(":"):
            break  # counts of a multidetector follow
        if line.strip():
            rows.append((n, line))
    return plain.Table.of(path, names, rows)


def _temperature(header: Header, path: Path) -> dict[str, float]:
    word = header.get("PARAM", {}).get("TT")
    return {} if word is None else {"temperature": plain.value(word, "TT", path)}


def _missing(
    header: Header, table: plain.Table, plane: Float64[np.ndarray, "2 3"], path: Path
) -> dict[str, float | Float64[np.ndarray, " row"]]:
    """What no column holds but the header fixes exactly: coordinates that stand still, the energy while the crystal
    turns (A3), and a third component of q in the scattering plane.
    """
    steps = {key.removeprefix("D"): word for key, word in header.get("STEPS", {}).items() if key}
    absent = [what for what in PLACES if table.first(COLUMNS[what]) is None]
    known: dict[str, float | Float64[np.ndarray, " row"]] = {}
    for what in absent:
        place = PLACES[what]
        if steps.keys() <= set(PLACES.values()) and plain.value(steps.get(place, "0"), place, path) == 0:
            known[what] = _posqe(header, place, path)
    if set(steps) == {"A3"}:
        if "energy" in absent:
            known["energy"] = _posqe(header, "EN", path)
        if len(third := [what for what in "hkl" if what in absent]) == 1:
            known.update(_in_plane(third[0], table, plane))
    return known


def _posqe(header: Header, place: str, path: Path) -> float:
    word = header.get("POSQE", {}).get(place)
    if word is None:
        raise InputError(f"{path.name} has neither a column {place} nor {place} in POSQE; fetch a complete copy")
    return plain.value(word, place, path)


def _in_plane(
    third: str, table: plain.Table, plane: Float64[np.ndarray, "2 3"]
) -> dict[str, Float64[np.ndarray, " row"]]:
    """The component of q that makes it lie in the plane, where the other two say so."""
    normal = np.cross(*plane)
    at = "hkl".index(third)
    if abs(normal[at]) < 1e-9:
        return {}
    rest = [k for k in range(3) if k != at]
    columns = [table.column(str(table.first(COLUMNS["hkl"[k]]))) for k in rest]
    return {third: -sum(normal[k] * column for k, column in zip(rest, columns, strict=True)) / normal[at] + 0.0}
