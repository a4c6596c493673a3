"""A file appears whole or not at all, and nothing else is left beside it."""

from pathlib import Path

import pytest

from sqwirrel.errors import InputError
from sqwirrel.whole import put, put_text


def test_text_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    for text in ("first", "Å⁻¹\n"):
        put_text(tmp_path / "a.txt", text)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == "Å⁻¹\n".encode()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_whatever_stops_the_writing_leaves_what_was_there(tmp_path: Path, stop: type[BaseException]) -> None:
    put_text(tmp_path / "a.txt", "before")

    def write(part: Path) -> None:
        part.write_text("half")
        raise stop

    with pytest.raises(stop):
        put(tmp_path / "a.txt", write)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        put_text(tmp_path / "nowhere" / "a.txt", "text")
