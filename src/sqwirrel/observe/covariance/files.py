"""Files of resolutions: tables of covariances, and descriptions of triple-axis spectrometers."""

import gzip
import io
import json
import tomllib
from pathlib import Path

import numpy as np
import torch

from sqwirrel.errors import InputError
from sqwirrel.observe.covariance.spectrometer import Spectrometer
from sqwirrel.observe.covariance.table import CovarianceTable

LARGEST = 64 * 2**20
"""Bytes that a file may hold, unpacked."""
COLUMNS = {12: 3, 20: 4}
"""Columns of a table of covariances: a point and a matrix of this size."""


def read_covariance(path: Path | str) -> CovarianceTable:
    """The table in a text file, gzipped or not, of at most `LARGEST` bytes.

    Rows are h k E and the 9 numbers of the covariance of (h, k, E), or h k l E and the 16 of (h, k, l, E), in rlu and
    meV, row by row; lines that begin with # are comments.
    """
    path = Path(path)
    text = _text(path)
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        raise InputError(f"{path.name} holds no rows; expected h k E and 9 numbers a row")
    try:
        rows = np.loadtxt(io.StringIO(text), dtype=np.float64, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path.name} is no table of numbers: {_first_sentence(error)}") from None
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
    text = _text(path)
    try:
        mapping = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path.name} is neither JSON nor TOML: {error}") from None
    try:
        return Spectrometer.from_mapping(mapping)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def _text(path: Path) -> str:
    """What a file says, unpacked if it is gzipped."""
    if not path.is_file():
        raise InputError(f"there is no file '{path}'; check the path")
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError) as error:
        raise InputError(f"'{path.name}' cannot be read: {error}") from None
    if len(content) > LARGEST:
        raise InputError(f"{path.name} holds more than {LARGEST // 2**20} MiB; give a coarser table")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not text in UTF-8 ({error.reason} at byte {error.start})") from None


def _first_sentence(error: ValueError) -> str:
    return str(error).partition(";")[0].rstrip(".")
