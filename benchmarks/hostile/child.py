"""The process that reads: it answers with what became of a file, and with the memory that this took."""

import resource
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.hostile.hdf5 import CANARY
from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.files import exchange, mcif
from sqwirrel.observe import read_covariance
from sqwirrel.observe.covariance import read_spectrometer
from sqwirrel.spectra import Spectrum, read, read_peaks
from sqwirrel.spectra.readers import is_peaks

ADDRESSES = 12 * 2**30
"""Bytes of address space: far above what is resident, but an end to what a bomb may ask for."""
LONGEST = 400
"""Characters of a sentence that says what is wrong."""
Answer = tuple[str, str, float]
"""Kind (read, refused, traceback, executed), what was said, peak of the resident memory in MB."""


def serve(pipe: Connection) -> None:
    """Reads what it is told to, until it is told no more."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    # a parser in C that dies of nesting should die here as it would for a user
    while (order := pipe.recv()) is not None:
        job, path = order
        _forget_peak()
        kind, said = judged(job, Path(path))
        pipe.send((kind, said, _peak()))


def judged(job: str, path: Path) -> tuple[str, str]:
    """What became of one file, and what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            JOBS[job](path)
            kind, said = "read", ""
        except InputError as error:
            kind, said = "refused", str(error)
        except BaseException:
            kind, said = "traceback", traceback.format_exc(limit=-4)
    if kind == "refused" and (why := _unclear(said)):
        return "traceback", f"{why}: {said[:600]!r}"
    if caught and kind != "traceback":
        first = caught[0]
        return "traceback", f"warns: {first.category.__name__} {first.message} at {first.filename}:{first.lineno}"
    return kind, said


def _unclear(sentence: str) -> str:
    """Why a refusal is none that a user can read."""
    if len(sentence) >= LONGEST:
        return f"{len(sentence)} characters"
    if not sentence.isprintable():
        return "control characters or several lines"
    return "" if sentence.strip() else "no words"


def _spectrum(path: Path) -> None:
    if is_peaks(path):
        _peaks(path)
        return
    spectrum = read(path)
    assert isinstance(spectrum, Spectrum)
    values = spectrum.intensity[spectrum.valid].numpy()
    assert np.isfinite(values).all(), "an intensity is not finite where it is valid"
    assert np.isfinite(spectrum.error.numpy()).all(), "an error is not finite"
    assert not np.isclose(values, CANARY, rtol=1e-9).any(), "was read from another file"


def _peaks(path: Path) -> None:
    read_peaks(path)


def _exchange(path: Path) -> None:
    exchange.read(path, library.crystal("mnf2"))


JOBS: Mapping[str, Callable[[Path], object]] = {
    "spectrum": _spectrum,
    "peaks": _peaks,
    "covariance": read_covariance,
    "spectrometer": read_spectrometer,
    "cif": Crystal.from_cif,
    "mcif": mcif.read,
    "exchange": _exchange,
    "tb2j": _exchange,
    "model": lambda path: library.load(path),
}


def _forget_peak() -> None:
    """Starts the peak of the resident memory afresh, where the system can."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak() -> float:
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
