import hashlib

import pytest

from sqwirrel.errors import InputError
from sqwirrel.record import Record, short_names


def test_a_record_survives_json(tmp_path):
    file = tmp_path / "data.csv"
    file.write_bytes(b"1,2\n")
    record = Record.start(seeds={"noise": 3}, files=[file], papers=["a", "b", "a"]).with_seconds(infer=1.5)
    record = record.with_errors(average=0.01)
    again = Record.from_json(record.to_json())
    assert again == record
    assert again.files == {"data.csv": hashlib.sha256(b"1,2\n").hexdigest()}
    assert again.papers == ("a", "b")
    assert again.seconds == {"infer": 1.5}
    assert again.errors == {"average": 0.01}


def test_papers_are_listed_once():
    assert Record({}).with_papers("a").with_papers("a", "b").papers == ("a", "b")


@pytest.mark.parametrize("text", ["", "{}", '{"papers": [], "versions": {}, "colour": 1}'])
def test_what_is_not_a_record_is_refused(text):
    with pytest.raises(InputError, match="not a record written by sqwirrel"):
        Record.from_json(text)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    files = [tmp_path / name for name in ("a/x.h5", "b/x.h5", "y.h5", "c/a/x.h5")]
    assert list(short_names(files).values()) == [f"{tmp_path.name}/a/x.h5", "b/x.h5", "y.h5", "c/a/x.h5"]
    assert short_names(files[1:3]) == {files[1]: "x.h5", files[2]: "y.h5"}
    assert short_names([]) == {}
