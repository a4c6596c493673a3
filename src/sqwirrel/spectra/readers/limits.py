"""How much a file may make us hold: a header is somebody else's claim, so it is checked before memory is taken."""

from pathlib import Path

from sqwirrel.errors import InputError

LARGEST = 2**28
"""Bytes of one array as float64: 33 million bins, twenty times what the largest cut that is fitted has."""

LONGEST = 2**27
"""Bytes of one text file; as numbers it takes several times its own size."""


def check_count(numbers: int, what: str, path: Path) -> None:
    """Refuses an array of so many numbers (float64)."""
    if not 0 <= 8 * numbers <= LARGEST:
        raise InputError(
            f"{path.name} says that '{what}' has {numbers} numbers; at most {LARGEST // 8} are read. Make a smaller "
            "cut, or fetch the file again if it should not be so large"
        )


def check_promise(needed: int, what: str, path: Path) -> None:
    """Refuses a file whose header promises more bytes, up to `what`, than it has."""
    if not 0 <= needed <= path.stat().st_size:
        raise InputError(
            f"{path.name} is truncated or damaged: {what} would end at byte {needed}, but the file has "
            f"{path.stat().st_size}; fetch a complete copy"
        )


def text_lines(path: Path) -> list[str]:
    """The lines of a text file that is not too long (UTF-8, with or without a byte order mark)."""
    size = path.stat().st_size
    if size > LONGEST:
        raise InputError(f"{path.name} is a text file of {size} bytes; at most {LONGEST} are read, use HDF5 for more")
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not text in UTF-8 ({error.reason} at byte {error.start})") from None


def first_lines(path: Path, count: int) -> list[str]:
    """The first lines, each of at most 4096 characters; none if this is no text."""
    with path.open("rb") as file:
        head = [file.readline(4096) for _ in range(count)]
    if any(b"\0" in line for line in head):
        return []
    try:
        return [line.decode("utf-8-sig") for line in head if line]
    except UnicodeDecodeError:
        return []
