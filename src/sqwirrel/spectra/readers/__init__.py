"""Files to spectra and back. A reader is chosen by a file's content, never by its name.

To add a format: one module here with `sniff` and `read`, and one entry in READERS, or in ASKING if its files leave
open what a spectrum needs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.limits import check_file
from sqwirrel.spectra.peaks import Peaks
from sqwirrel.spectra.readers import euphonic, horace, mat, peaks
from sqwirrel.spectra.readers.beside import Known, known
from sqwirrel.spectra.readers.foreign import describe
from sqwirrel.spectra.readers.nexus import iqe, mantid, mdhisto, native, nxspe
from sqwirrel.spectra.readers.peaks import write as write_table
from sqwirrel.spectra.readers.text import dave, spe, table
from sqwirrel.spectra.readers.triple_axis import SCANS
from sqwirrel.spectra.spectrum import Spectrum
from sqwirrel.whole import put


@runtime_checkable
class Reader(Protocol):
    """A file format: `sniff` says whether a file is of it, `read` makes a spectrum of one that is."""

    @property
    def sniff(self) -> Callable[[Path], bool]:
        """Whether the content of a file is of this format."""

    @property
    def read(self) -> Callable[[Path], Spectrum]:
        """The spectrum in a file of this format."""


@runtime_checkable
class Asking(Protocol):
    """A format that leaves something open: its `read` also takes what the user knows of the file."""

    @property
    def sniff(self) -> Callable[[Path], bool]:
        """Whether the content of a file is of this format."""

    @property
    def read(self) -> Callable[[Path, Known], Spectrum]:
        """The spectrum in a file of this format; asks by name for what it lacks."""


READERS: dict[str, Reader] = {
    "sqwirrel": native,
    "nxspe": nxspe,
    "mantid": mantid,
    "mat": mat,
    "csv": table,
    "iqe": iqe,
    "euphonic": euphonic,
    **SCANS,
}

ASKING: dict[str, Asking] = {"mdhisto": mdhisto, "horace": horace, "spe": spe, "dave": dave}

WRITERS: Mapping[str, Callable[[Path, Spectrum], None]] = {".h5": native.write, ".csv": table.write}


def read(path: Path | str, incident_energy: float | None = None) -> Spectrum:
    """The spectrum in a file of any format that is known; refuses one in which nothing was measured.

    Energies are E_i - E_f in meV, |Q| in 1/angstrom, errors one standard deviation, whatever the file holds. What the
    file leaves open is taken from FILE.toml beside it (`beside`), or from `incident_energy` (meV).
    """
    path = Path(path)
    check_file(path)
    if is_peaks(path):
        raise InputError(
            f"{path.name} is a table of peaks and no spectrum; in a config it goes into [measurements.NAME] with "
            'kind = "peaks", in Python read it with read_peaks(path, lattice)'
        )
    name = _reader_of(path)
    if name is None and peaks.has_numbers_only(path):
        raise InputError(
            f"{path.name} is a table of numbers that does not name its columns; if they are peaks, it goes into "
            '[measurements.NAME] of a config with kind = "peaks" and columns = [...]; in Python read it with '
            "read_peaks(path, lattice, columns=...)"
        )
    if name is None:
        raise InputError(describe(path))
    told = known(path, incident_energy)
    spectrum = told.filled(_read_with(name, path, told))
    if not spectrum.valid.any():
        raise InputError(
            f"{path.name} has no measured bin: all {spectrum.valid.numel()} are NaN or masked; "
            "check the reduction that made it"
        )
    return spectrum


def is_peaks(path: Path | str) -> bool:
    """Whether a file is a table of peaks that names its columns: one for `read_peaks`, not for `read`."""
    check_file(Path(path))
    return peaks.sniff(Path(path))


def read_peaks(
    path: Path | str,
    lattice: Lattice | Sequence[float] | None = None,
    *,
    columns: Sequence[str] | None = None,
    lines: peaks.Lines | None = None,
) -> Peaks:
    """The peaks in a table, in the order of its rows; a row that is there twice is one peak.

    A line `# lattice [angstrom, degrees]: a b c alpha beta gamma` of the file comes first; `lattice` is for a file that
    has none. Units that the file gives are converted: of that line, of `# temperature [K]: 5`, of `energy [meV]`.
    `columns` names those of a table that does not (or not as we do): h, k, l, energy, error, intensity, fwhm, ...;
    any other name is not used. With the columns `x` and `direction` in place of h, k, l the wavevector is that on one
    of `lines`: for each direction q at x = 0 and what x = 1 adds to it (rlu); `x_error` is then the error of x.

    Six numbers (angstrom, degrees) stand for a `lattice`; a lattice and a temperature may also be told in FILE.toml
    beside the table (`beside`).
    """
    path = Path(path)
    if not is_peaks(path) and (name := _reader_of(path)):
        raise InputError(
            f"{path.name} is a spectrum ({name}) and no table of peaks, which has an error beside each energy; "
            "read it with read(path)"
        )
    told = known(path)
    cell = told.lattice if lattice is None else lattice if isinstance(lattice, Lattice) else _cell(lattice)
    with np.errstate(all="ignore"):
        found = peaks.read(path, cell, columns, lines)
    return found if found.temperature is not None else replace(found, temperature=told.temperature)


def _cell(numbers: Sequence[float]) -> Lattice:
    if len(numbers) != 6:
        raise InputError(f"a lattice has six numbers, a, b, c (angstrom) and three angles (degrees), got {numbers}")
    return Lattice(*numbers)


def write(path: Path | str, spectrum: Spectrum) -> None:
    """Write a spectrum as .h5 (exact) or .csv (powder maps, even bins); the file appears whole or not at all."""
    path = Path(path)
    if path.suffix not in WRITERS:
        raise InputError(f"cannot write '{path.name}': the name must end in {' or '.join(WRITERS)}")
    put(path, lambda part: WRITERS[path.suffix](part, spectrum))


def write_peaks(path: Path | str, peaks: Peaks) -> None:
    """Write a table of peaks as .csv; the file appears whole or not at all."""
    path = Path(path)
    if path.suffix != ".csv":
        raise InputError(f"cannot write '{path.name}': the name of a table of peaks must end in .csv")
    put(path, lambda part: write_table(part, peaks))


def _reader_of(path: Path) -> str | None:
    """The name of the reader that takes a file."""
    readers: dict[str, Reader | Asking] = {**READERS, **ASKING}
    return next((name for name, reader in readers.items() if reader.sniff(path)), None)


def _read_with(name: str, path: Path, told: Known) -> Spectrum:
    """The spectrum in the file; what is wrong with it is said with the file's name."""
    try:
        # damage makes any number of any other; what is no lattice, axis or intensity is refused where they are made
        with np.errstate(all="ignore"):
            return ASKING[name].read(path, told) if name in ASKING else READERS[name].read(path)
    except InputError as error:
        if path.name in str(error):
            raise
        raise InputError(f"{path.name}: {error}") from error
