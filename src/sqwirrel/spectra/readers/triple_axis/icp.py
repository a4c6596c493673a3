"""ICP: the ASCII files of the NIST Center for Neutron Research before ICE (.ng5, .bt9 and others).

A line of quoted words with the monitor, a prefactor, what they count (NEUT: neutrons, TIME: seconds) and the number of
points; then header lines, each above the line that names its parts; then a line that names columns, `Q(x) Q(y) Q(z) E
T-act min Counts` for a scan of Q (h k l in rlu, meV). `EA fixed` (column 3 of its line, meV) says that E_f is held,
`EM fixed` that E_i is. Every point counts the monitor times the prefactor. Format: NCNR, and the files themselves.
"""

from collections.abc import Sequence
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
    """Whether the second line names the parts of the first, as ICP does."""
    second = head(path)[1:2]
    return bool(second) and {"Filename", "Prf", "Base", "#pts"} <= set(second[0].split())


def read(path: Path) -> Spectrum:
    """The scan in the file."""
    text = text_lines(path)
    first = text[0].split("'")
    if len(first) < 8 or len(first[6].split()) != 2:
        raise InputError(f"{path.name} has '{text[0][:40]}' for its first line; expected file, date, type and monitor")
    start = next((n for n, line in enumerate(text) if line.split()[-1:] == ["Counts"]), None)
    if start is None:
        raise InputError(f"{path.name} ends before the names of its columns; fetch a complete copy")
    rows = [(n, line) for n, line in enumerate(text[start + 1 :], start + 2) if line.strip()]
    cell = plain.values(_line(text, "Lattice Parameters", path), 6, "the lattice", path)
    incident, final = _fixed(text, path)
    scan = Scan(
        plain.Table.of(path, text[start].split(), rows),
        trailing_number(first[1]),
        Lattice(*cell),
        _plane(text, path),
        incident,
        final,
        stated={**_monitor(first, path), "field": plain.value(_line(text, "Q (hkl", path)[-1], "Hfield", path)},
    )
    return spectrum(scan)


def _line(text: Sequence[str], label: str, path: Path) -> list[str]:
    """The words of the line above the one that begins with a label."""
    at = next((n for n, line in enumerate(text) if line.strip().startswith(label)), 0)
    words = text[at - 1].split() if at else []
    if len(words) < 3:
        raise InputError(f"{path.name} has no line '{label}' in its header; fetch a complete copy")
    return words


def _monitor(first: Sequence[str], path: Path) -> dict[str, float]:
    """What every point counted, where that was not time."""
    monitor, prefactor = plain.values(first[6].split(), 2, "Mon and Prf", path)
    return {"monitor": monitor * prefactor} if first[7].strip() == "NEUT" else {}


def _plane(text: Sequence[str], path: Path) -> Float64[np.ndarray, "2 3"]:
    """Two wavevectors, on either side of an angle."""
    words = plain.values(_line(text, "Collimation", path)[-7:], 7, "the orientation", path)
    return np.array([words[:3], words[4:]])


def _fixed(text: Sequence[str], path: Path) -> tuple[float | None, float | None]:
    """E_i and E_f, the one that was held."""
    label = next((line for line in text if line.strip().startswith("E center")), "")
    energy = plain.value(_line(text, "E center", path)[2], "the fixed energy", path)
    if "EA fixed" in label:
        return None, energy
    if "EM fixed" in label:
        return energy, None
    raise InputError(f"{path.name} does not say by 'EA fixed' or 'EM fixed' which energy was held")
