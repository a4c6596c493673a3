"""Files that appear whole or not at all."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from sqwirrel.errors import InputError


def put(path: Path, write: Callable[[Path], object]) -> None:
    """The file that `write` makes; whatever stops it leaves what was there before."""
    if not path.parent.is_dir():
        raise InputError(f"cannot write '{path}': there is no folder '{path.parent}'")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".sqwirrel-") as folder:
        part = Path(folder) / path.name
        write(part)
        part.replace(path)  # atomic: same folder, so same file system


def put_text(path: Path, text: str) -> None:
    """A file of text, UTF-8."""
    put(path, lambda part: part.write_text(text, encoding="utf-8"))
