"""Files of resolutions: tables of covariances, and descriptions of triple-axis spectrometers."""

import gzip
import io
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.limits import LONGEST, check_file, json_of, settings, text
from sqwirrel.observe.covariance.spectrometer import Spectrometer
from sqwirrel.observe.covariance.table import CovarianceTable

COLUMNS = {12: 3, 20: 4}
"""Columns of a table of covariances: a point and a matrix of this size."""


def read_covariance(path: Path | str) -> CovarianceTable:
    """The table in a text file, gzipped or not, of at most `limits.LONGEST` bytes.

    Rows are h k E and the 9 numbers of the covariance of (h, k, E), or h k l E and the 16 of (h, k, l, E), in rlu and
    meV, row by row; lines that begin with # are comments.
    """
    path = Path(path)
    check_file(path)
    rows = _rows(path)
    n = COLUMNS.get(rows.shape[1])
    if n is None:
        raise InputError(
            f"{path.name} has {rows.shape[1]} columns; expected 12 (h k E, 3 x 3 numbers) or 20 (h k l E, 4 x 4)"
        )
    try:
        return CovarianceTable(torch.from_numpy(rows[:, :n]), torch.from_numpy(rows[:, n:].reshape(-1, n, n)))
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def read_spectrometer(path: Path | str) -> Spectrometer:
    """The spectrometer that a file of JSON or TOML describes; see `Spectrometer.from_mapping`."""
    path = Path(path)
    check_file(path)
    mapping = json_of(path) if text(path).lstrip().startswith("{") else settings(path)
    try:
        return Spectrometer.from_mapping(mapping)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def _rows(path: Path) -> Float64[np.ndarray, "row column"]:
    """The numbers of a table, gzipped or not."""
    whole = text(path, _unpacked(path))
    if not any(line.strip() and not line.lstrip().startswith("#") for line in whole.split("\n")):
        raise InputError(f"{path.name} holds no rows; expected h k E and 9 numbers a row")
    try:
        return np.loadtxt(io.StringIO(whole), dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path.name} is no table of numbers: {_first_sentence(error)}") from None


def _unpacked(path: Path) -> bytes | None:
    """What is in a gzipped file, no more of it than is read; None of another."""
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return None
    try:
        with gzip.open(path) as file:
            return file.read(LONGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"'{path.name}' cannot be read: {error}") from None


def _first_sentence(error: ValueError) -> str:
    return str(error).partition(";")[0].rstrip(".")
