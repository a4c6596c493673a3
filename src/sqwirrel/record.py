"""Record: what a result came from. Versions, seeds, input files, timings, and the papers behind the methods."""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count
from pathlib import Path

from sqwirrel.errors import InputError

_PACKAGES = ("sqwirrel", "torch", "numpy", "scipp", "numba")


@dataclass(frozen=True)
class Record:
    """The provenance of a result: `files` maps a name to its SHA-256, `seconds` a stage to its wall time, `errors` a
    step of the calculation to its relative error.
    """

    versions: Mapping[str, str]
    seeds: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    papers: tuple[str, ...] = ()
    created: str = ""
    machine: str = ""

    @classmethod
    def start(
        cls, *, seeds: Mapping[str, int] | None = None, files: Iterable[Path] = (), papers: Iterable[str] = ()
    ) -> "Record":
        """A record of here and now; `files` are hashed as they are at this moment."""
        return cls(
            versions={"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
            seeds=dict(seeds or {}),
            files={name: sha256(path) for path, name in short_names(files).items()},
            papers=tuple(dict.fromkeys(papers)),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=f"{platform.system()} {platform.machine()}, {cpu_count()} cores",
        )

    def with_seconds(self, **seconds: float) -> "Record":
        """The same record with the wall time of one or more stages added."""
        return replace(self, seconds={**self.seconds, **seconds})

    def with_errors(self, **errors: float) -> "Record":
        """The same record with the relative error of one or more steps added."""
        return replace(self, errors={**self.errors, **errors})

    def with_papers(self, *papers: str) -> "Record":
        """The same record with more papers, each listed once."""
        return replace(self, papers=tuple(dict.fromkeys((*self.papers, *papers))))

    def to_json(self) -> str:
        """The record as a JSON object with sorted keys."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """The record that `to_json` wrote."""
        try:
            fields = json.loads(text)
            return cls(**{**fields, "papers": tuple(fields["papers"])})
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise InputError(f"not a record written by sqwirrel: {error}") from error


def short_names(paths: Iterable[Path]) -> dict[Path, str]:
    """What each file is called: its name, with as many of its folders before it as tell it from the others."""
    every = list(dict.fromkeys(paths))
    names = {path: path.name for path in every}
    for depth in range(2, max((len(path.parts) for path in every), default=0) + 1):
        taken = Counter(names.values())
        names = {p: "/".join(p.parts[-depth:]) if taken[name] > 1 else name for p, name in names.items()}
    return names


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
