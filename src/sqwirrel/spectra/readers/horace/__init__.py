"""Horace sqw and dnd files, versions 2 to 4: the binned data; pixels are passed over without being read.

A file starts with int32 6, 'horace', float64 version, int32 type (1 sqw, 0 dnd), int32 number of dimensions, all
little-endian. The rest is one stream up to version 3 (`stream`) and a table of blocks in version 4 (`blocks`).
"""

from pathlib import Path

from sqwirrel.errors import InputError
from sqwirrel.spectra.readers import cut as cuts
from sqwirrel.spectra.readers.beside import Known
from sqwirrel.spectra.readers.horace import blocks, stream
from sqwirrel.spectra.readers.horace.binary import Binary
from sqwirrel.spectra.spectrum import Spectrum

SIGNATURE = b"\x06\x00\x00\x00horace"


def sniff(path: Path) -> bool:
    """Whether the file starts as those of Horace do."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def read(path: Path, known: Known) -> Spectrum:
    """The binned data; what they do not hold was `known`, or is asked for."""
    with path.open("rb") as file:
        held = Binary(file, path)
        held.seek(len(SIGNATURE))
        version = float(held.take("<f8", 1)[0])
        is_sqw = held.integer() != 0
        if not 2 <= version < 5:
            raise InputError(f"{path.name} has the Horace version {version:g}; versions 2 to 4 are read")
        cut, lattice = stream.cut(held, is_sqw=is_sqw) if version < 4 else blocks.cut(held)
        return cuts.to_spectrum(cut, known, lattice)
