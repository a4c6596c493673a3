"""How much a file may make us hold: a header is somebody else's claim, so it is checked before memory is taken.

All limits on files are here. They keep the reading of one below a gigabyte of memory and a few seconds.
"""

import json
import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

import yaml

from sqwirrel.errors import InputError

LARGEST = 6 * 2**23
"""Bytes of one array as float64: 6 million bins, four times what the largest cut that is fitted has."""
MOST_PIXELS = 5 * 10**7
"""Numbers of an array that is read some rows at a time: 50 000 detectors at 1000 energies; a few seconds."""
LONGEST = 2**24
"""Bytes of one text file, unpacked; as words or numbers it takes up to twenty times its own size."""
LONGEST_JSON = 2**22
"""Bytes of a file of JSON, which may hold two million lists."""
LONGEST_YAML = 2**22
"""Bytes of a file of YAML: some ten seconds, where libyaml is there."""
MOST_LINES = 10**6
SETTINGS, WIDEST = 2**16, 2000
"""Bytes of a file of settings and of one of its lines; the parser of TOML takes the square of a line's length."""
ANCHOR = re.compile(r"^[^#\n]*(?:^|[\s\[{,])[&*]\w", re.MULTILINE)
"""A name of a part of a file of YAML, or a reference to one."""
HEAD = 2**14
"""Bytes by which the format of a text is known."""


def check_file(path: Path) -> None:
    """Refuses what is no file that can be read: nothing at all, a folder, a pipe, a device."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # also a link to itself, and a name that no file can have
        raise InputError(f"there is no file '{path}'; check the path") from None
    if S_ISDIR(mode):
        raise InputError(f"'{path}' is a folder; give the file in it that holds what is to be read")
    if not S_ISREG(mode):
        raise InputError(f"'{path}' is a pipe or a device and no file; copy what comes out of it into a file")
    if not os.access(path, os.R_OK):
        raise InputError(f"'{path}' cannot be read; check its permissions")


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that is too long has none."""
    with suppress(OSError):
        return path.is_file()
    return False


def check_count(numbers: int, what: str, path: Path) -> None:
    """Refuses an array of so many numbers (float64)."""
    if not 0 <= 8 * numbers <= LARGEST:
        raise InputError(
            f"{path.name} says that '{what}' has {numbers} numbers; at most {LARGEST // 8} are read. Make a smaller "
            "cut, or fetch the file again if it should not be so large"
        )


def check_pixels(numbers: int, what: str, path: Path) -> None:
    """Refuses an array of so many numbers that is read some rows at a time."""
    if not 0 <= numbers <= MOST_PIXELS:
        raise InputError(
            f"{path.name} says that '{what}' has {numbers} numbers; at most {MOST_PIXELS} are read. Merge detectors or "
            "energies, or fetch the file again if it should not be so large"
        )


def check_promise(needed: int, what: str, path: Path) -> None:
    """Refuses a file whose header promises more bytes, up to `what`, than it has."""
    if not 0 <= needed <= path.stat().st_size:
        raise InputError(
            f"{path.name} is truncated or damaged: {what} would end at byte {needed}, but the file has "
            f"{path.stat().st_size}; fetch a complete copy"
        )


def text(path: Path, content: bytes | None = None) -> str:
    """The text of a file, or of its unpacked `content`; bytes that are not UTF-8, as in a name, become U+FFFD."""
    if content is None:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise InputError(
            f"{path.name} holds more than {LONGEST} bytes of text; no more are read: split it, or use HDF5"
        )
    if b"\0" in content:
        raise InputError(f"{path.name} is binary from byte {content.index(0)} on, and no text; fetch it again")
    return _decoded(content)


def text_lines(path: Path) -> list[str]:
    """The lines of a text file, whatever ends them."""
    whole = text(path)
    if whole.count("\n") > MOST_LINES:
        raise InputError(f"{path.name} has more than {MOST_LINES} lines; no more are read: split it, or use HDF5")
    return whole.removesuffix("\n").split("\n")


def head(path: Path) -> list[str]:
    """The first lines, by which a format is known; none where they are no text."""
    with path.open("rb") as file:
        content = file.read(HEAD)
    return [] if b"\0" in content else _decoded(content).split("\n")


def settings(path: Path) -> dict[str, Any]:
    """The tables of a file in TOML."""
    whole = text(path)
    if len(whole) > SETTINGS or any(len(line) > WIDEST for line in whole.split("\n")):
        raise InputError(
            f"{path.name} holds more than {SETTINGS} characters, or a line of more than {WIDEST}; expected settings"
        )
    try:
        return tomllib.loads(whole)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not TOML: {error}") from None


def json_of(path: Path) -> dict[str, Any]:
    """The object in a file of JSON."""
    if path.stat().st_size > LONGEST_JSON:
        raise InputError(f"{path.name} is JSON of more than {LONGEST_JSON} bytes; no more are read, use HDF5 for more")
    try:
        return dict(json.loads(text(path)))
    except (ValueError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name} is JSON that is damaged ({error}); write it again") from None


def yaml_of(path: Path) -> dict[str, Any]:
    """The mapping in a file of YAML; references in it (&, *), by which a short one may mean a huge one, are refused."""
    if path.stat().st_size > LONGEST_YAML:
        raise InputError(
            f"{path.name} is YAML of more than {LONGEST_YAML} bytes; no more are read: write force constants into a "
            "file of their own, force_constants.hdf5"
        )
    whole = text(path)
    if ANCHOR.search(whole):
        raise InputError(f"{path.name} has references (& or *) in its YAML, which are not read; write it without")
    try:
        return dict(yaml.load(whole, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path.name} is YAML that is damaged ({error}); write it again") from None


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
