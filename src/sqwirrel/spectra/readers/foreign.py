"""What a file is that no reader takes: said in words, with what to do about it."""

from pathlib import Path

import h5py

from sqwirrel.spectra.readers.hdf5 import is_hdf5, opened

EXPECTED = (
    "expected a powder .mat struct, NXSPE, a Mantid workspace of energy transfer, triple-axis scans (SPICE, ILL, PSI, "
    "ICE, ICP), or sqwirrel's own .h5 or .csv"
)

_STARTS = {
    b"MATLAB 7.3": "a MATLAB 7.3 file; save it with the option -v7",
    b"\x06\x00\x00\x00horace": "a Horace sqw or dnd file, which is not read yet; save a powder map as NXSPE or CSV",
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
    kind = "a binary file" if b"\0" in head else f"a text file that begins with '{_first_line(head)}'"
    return f"{path.name} is {kind}, which no reader knows; {EXPECTED}"


def _first_line(head: bytes) -> str:
    lines = head.decode("utf-8", "replace").split("\n")
    return lines[0].strip()[:40]


def _hdf5(path: Path) -> str:
    with opened(path) as file:
        if "MDHistoWorkspace" in file:
            return "a Mantid MDHistoWorkspace (SaveMD), which is not read yet"
        if _has_time_of_flight(file):
            return (
                "raw time-of-flight data, not yet in energy transfer; reduce it first (for example with Mantid's "
                "DgsReduction) and save NXSPE"
            )
        return f"an HDF5 file that no reader knows, with the groups {sorted(file)[:5]}"


def _has_time_of_flight(file: h5py.File) -> bool:
    """Whether any of the first levels holds a time-of-flight axis or events."""
    names: list[str] = []
    file.visit(lambda name: names.append(name.rpartition("/")[2]) if name.count("/") < 5 else None)
    return not {"time_of_flight", "event_time_offset", "event_time_zero"}.isdisjoint(names)
