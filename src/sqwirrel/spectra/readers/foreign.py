"""What a file is that no reader takes: said in words, with what to do about it."""

import re
from collections.abc import Iterable
from pathlib import Path

import h5py

from sqwirrel import limits
from sqwirrel.spectra.readers.nexus.hdf5 import is_hdf5, opened, text

EXPECTED = "expected one of the formats that `sqwirrel list` names"

TABLES = (
    "expected, between commas, Q [1/angstrom],energy [meV],intensity,error (powder map), h [rlu],k [rlu],l [rlu],"
    "energy [meV],intensity,error (crystal) or h,k,l,energy,error (peaks)"
)
BETWEEN = {",": "commas", ";": "semicolons", "\t": "tabs", None: "blanks"}

_STARTS = {
    b"MATLAB 7.3": "a MATLAB 7.3 file; save it with the option -v7",
    b"PK": "a zip archive (perhaps a torch or numpy file); unpack it or write the table as CSV",
    b"\x93NUMPY": "a numpy array without axes; write it as CSV with Q, energy, intensity and error",
}


def describe(path: Path) -> str:
    """One sentence: what the file seems to be, what was expected."""
    if is_hdf5(path):
        return f"{path.name} is {_hdf5(path)}; {EXPECTED}"
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return f"{path.name} is empty; {EXPECTED}"
    for start, what in _STARTS.items():
        if head.startswith(start):
            return f"{path.name} is {what}"
    if found := _columns(limits.head(path)):
        names, between = found
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        return f"{path.name} has the columns {shown} (between {between}), which no reader knows; {TABLES}"
    kind = "a binary file" if b"\0" in head else f"a text file that begins with '{_first_line(head)}'"
    return f"{path.name} is {kind}, which no reader knows; {EXPECTED}"


def _columns(lines: Iterable[str]) -> tuple[list[str], str] | None:
    """Names of the columns of a table, from the line above its first row of numbers, and what stands between them."""
    content = [line.strip() for line in lines if line.strip()]
    row = next((k for k, line in enumerate(content) if _is_row(line)), 0)
    if not row:
        return None
    bare = re.sub(r"[\[(][^\])]*[\])]", "", content[row - 1][:1000].lstrip("#"))
    sign = next(sign for sign in (",", ";", "\t", None) if sign is None or sign in content[row])
    names = [name.strip(' "') for name in bare.split(sign)]
    return (names, BETWEEN[sign]) if len(names) == len(content[row].split(sign)) else None


def _is_row(line: str) -> bool:
    try:
        return len([float(word) for word in re.split(r"[,;\s]+", line.strip(",; "))]) > 2
    except ValueError:
        return False


def _first_line(head: bytes) -> str:
    lines = head.decode("utf-8", "replace").split("\n")
    return lines[0].strip()[:40]


def _hdf5(path: Path) -> str:
    with opened(path) as file:
        if "MDEventWorkspace" in file:
            return "a Mantid MDEventWorkspace; bin it first (BinMD or MDNorm) and save that"
        if _has_time_of_flight(file):
            return (
                "raw time-of-flight data, not yet in energy transfer; reduce it first (for example with Mantid's "
                "DgsReduction) and save NXSPE"
            )
        return f"an HDF5 file that no reader knows, with the groups {sorted(file)[:5]}"


def _has_time_of_flight(file: h5py.File) -> bool:
    """Whether any of the first levels holds a time-of-flight axis or events."""
    names: list[str] = []
    file.visit(lambda name: names.append(text(name)))
    leaves = {name.rpartition("/")[2] for name in names if name.count("/") < 5}
    return not {"time_of_flight", "event_time_offset", "event_time_zero"}.isdisjoint(leaves)
