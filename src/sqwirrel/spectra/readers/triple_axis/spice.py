"""SPICE: the ASCII files of the triple-axis spectrometers at Oak Ridge National Laboratory.

`# key = value` above and below a table whose columns are named in the line after `# col_headers =`; complaints of the
control program, also behind `#`, may stand between the rows. Energies are E_i - E_f in meV, h k l in rlu. `ubmatrix`
holds rows, without 2 pi; `plane_normal` is in the frame that it leads to. The column of counts is `def_y`. A point that
was never counted has time, detector and monitor 0, but may show the preset in `mcu`. Format: M. D. Lumsden,
J. L. Robertson, M. Yethiraj, Physica B 385-386 (2006) 1336, and the files themselves.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.limits import head, text_lines
from sqwirrel.spectra.readers import plain
from sqwirrel.spectra.readers.triple_axis.plane import plane_of
from sqwirrel.spectra.readers.triple_axis.scan import Scan, held, spectrum, trailing_number
from sqwirrel.spectra.spectrum import Spectrum

SENSORS = ("tsample", "sample", "coldtip", "vti", "temp")
"""`temp` comes last: it is often the set point."""
FIXED_INCIDENT = "HB1A"
"""How SPICE begins the names of files of the one instrument whose incident energy cannot be changed."""


def sniff(path: Path) -> bool:
    """Whether the file begins with the number of a scan, as SPICE writes it."""
    start = head(path)
    return bool(start) and start[0].startswith("# scan = ") and any(x.startswith("# builtin_command") for x in start)


def read(path: Path) -> Spectrum:
    """The scan in the file."""
    text = text_lines(path)
    header = _header(text)
    if header.get("preset_type", "").strip() == "countfile":
        raise InputError(
            f"{path.name} counts each point several times (a countfile, as for polarised neutrons), which is not read; "
            "write one table a state"
        )
    table = _table(text, path)
    names = {"temperature": SENSORS, "counts": (header.get("def_y", "detector").strip().lower(),)}
    scan = Scan(table, _number(header, path), _lattice(header, path), _plane(header, path), names=names)
    incident, final = (held(scan.find(what)) for what in ("incident_energy", "final_energy"))
    if incident is not None and final is not None:
        # both stand still at one energy transfer: name the one that all other scans of the instrument hold
        incident, final = (incident, None) if path.name.startswith(FIXED_INCIDENT) else (None, final)
    return spectrum(replace(scan, incident_energy=incident, final_energy=final))


def _header(text: list[str]) -> Mapping[str, str]:
    parts = (line[1:].partition(" = ") for line in text if line.startswith("#"))
    found: dict[str, str] = {}
    for key, equals, word in parts:
        if equals:
            found.setdefault(key.strip(), word)
    return found


def _table(text: list[str], path: Path) -> plain.Table:
    start = 1 + next((n for n, line in enumerate(text) if line.startswith("# col_headers")), len(text))
    names = text[start].removeprefix("#").split() if start < len(text) else []
    if not names:
        raise InputError(f"{path.name} ends before the names of its columns (col_headers); fetch a complete copy")
    after = enumerate(text[start + 1 :], start + 2)
    return plain.Table.of(path, names, [(n, line) for n, line in after if line.strip() and not line.startswith("#")])


def _number(header: Mapping[str, str], path: Path) -> int:
    word = header.get("scan", "").strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else trailing_number(path.name)


def _numbers(header: Mapping[str, str], key: str, count: int, path: Path) -> list[float]:
    if key not in header:
        raise InputError(f"{path.name} has no '{key}' in its header; it is needed to place the points")
    return plain.values(header[key].split(","), count, key, path)


def _lattice(header: Mapping[str, str], path: Path) -> Lattice:
    return Lattice(*_numbers(header, "latticeconstants", 6, path))


def _plane(header: Mapping[str, str], path: Path) -> Float64[np.ndarray, "2 3"] | None:
    if not {"ubmatrix", "plane_normal"} <= header.keys():
        return None
    matrix = np.array(_numbers(header, "ubmatrix", 9, path)).reshape(3, 3)
    return plane_of(matrix, np.array(_numbers(header, "plane_normal", 3, path)))
