"""A little-endian binary file, read from front to back; a length that goes beyond its end is refused."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from sqwirrel.errors import InputError
from sqwirrel.limits import check_count, check_promise


class Binary:
    """The file and its size; every read is checked against it first."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path

    def seek(self, place: int) -> None:
        """Goes to a byte of the file."""
        check_promise(place, "a block", self.path)
        self.file.seek(place)

    def skip(self, size: int) -> None:
        """Passes over `size` bytes."""
        self.seek(self.file.tell() + size)

    def take(self, kind: str, count: int) -> np.ndarray:
        """The next `count` numbers of a numpy dtype such as '<f4'."""
        dtype = np.dtype(kind)
        check_promise(self.file.tell() + count * dtype.itemsize, "an array", self.path)
        check_count(count, "an array", self.path)
        return np.frombuffer(self.file.read(count * dtype.itemsize), dtype).copy()

    def floats(self, count: int) -> np.ndarray:
        """The next `count` float32, as float64."""
        single = self.take("<f4", count)
        with np.errstate(invalid="ignore"):  # any bits are a float32, some a signalling NaN
            return single.astype(np.float64)

    def integer(self) -> int:
        """The next int32."""
        return int(self.take("<i4", 1)[0])

    def text(self, length: int | None = None) -> str:
        """The next string: its length (int32, unless given) and its bytes."""
        size = self.integer() if length is None else length
        if size < 0:
            raise InputError(f"{self.path.name} is damaged: it holds a text of {size} characters")
        return self.take("u1", size).tobytes().decode("latin-1")
