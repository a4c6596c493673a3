"""ICE: the ASCII files of the triple-axis spectrometers of the NIST Center for Neutron Research (.bt7 and others).

Lines `#Key words`, the last of which is `#Columns` with the names of the table below. `#FixedE Ef 14.7` says which
energy was held (meV), `#Lattice` the cell, `#Orient` two wavevectors in the scattering plane, `#Signal 9 Detector` and
`#Reference 8 Monitor` the columns of counts and of the monitor. QX QY QZ are h k l in rlu, E is E_i - E_f in meV.
Columns may hold words (`N/A`, `OUT`). Format: NCNR, Instrument Control Environment, and the files themselves.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.limits import head, text_lines
from sqwirrel.spectra.readers import plain
from sqwirrel.spectra.readers.triple_axis.scan import Scan, spectrum, trailing_number
from sqwirrel.spectra.spectrum import Spectrum


def sniff(path: Path) -> bool:
    """Whether the file begins with the version of ICE."""
    return any(line.startswith("#ICE ") for line in head(path)[:1])


def read(path: Path) -> Spectrum:
    """The scan in the file."""
    text = text_lines(path)
    header = _header(text)
    names = header.get("Columns")
    if not names:
        raise InputError(f"{path.name} ends before the names of its columns (#Columns); fetch a complete copy")
    rows = [(n, line) for n, line in enumerate(text, 1) if line.strip() and not line.startswith("#")]
    incident, final = _fixed(header, path)
    scan = Scan(
        plain.Table.of(path, names, rows),
        trailing_number((header.get("Filename") or [path.name])[0]),
        Lattice(*_numbers(header, "Lattice", 6, path)),
        _plane(header, path),
        incident,
        final,
        names={"counts": _named(header, "Signal"), "monitor": _named(header, "Reference")},
    )
    return spectrum(scan)


def _header(text: list[str]) -> Mapping[str, list[str]]:
    words = (line[1:].split() for line in text if line.startswith("#"))
    return {first: rest for first, *rest in filter(None, words)}


def _numbers(header: Mapping[str, list[str]], key: str, count: int, path: Path) -> list[float]:
    if key not in header:
        raise InputError(f"{path.name} has no '#{key}' in its header; it is needed to place the points")
    return plain.values(header[key], count, key, path)


def _plane(header: Mapping[str, list[str]], path: Path) -> Float64[np.ndarray, "2 3"] | None:
    return np.array(_numbers(header, "Orient", 6, path)).reshape(2, 3) if "Orient" in header else None


def _named(header: Mapping[str, list[str]], key: str) -> tuple[str, ...]:
    """The column that a line like `#Signal 9 Detector` names."""
    return tuple(word.lower() for word in header.get(key, [])[1:2])


def _fixed(header: Mapping[str, list[str]], path: Path) -> tuple[float | None, float | None]:
    """E_i and E_f, the one that was held."""
    match header.get("FixedE"):
        case ["Ef", word]:
            return None, plain.value(word, "FixedE", path)
        case ["Ei", word]:
            return plain.value(word, "FixedE", path), None
        case _:
            raise InputError(f"{path.name} does not say by '#FixedE Ef 14.7' or Ei which energy was held")
