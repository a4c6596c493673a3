"""Simulations on disk: shards of a few hundred rows, each written whole or not at all, and checked when read.

Shard k of a folder has its own seed: it holds the same numbers whoever makes it, and an interrupted job loses at most
the shard it was at.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.whole import put_text

Rows = dict[str, Tensor]
MANIFEST = "simulations.json"


def filled(
    folder: Path, shards: int, purpose: dict[str, object], make: Callable[[int], Rows]
) -> Iterator[tuple[int, Rows]]:
    """Shards 0, 1, ... of a folder, read where they are there and whole, otherwise made and written.

    `purpose` says what the simulations are of; a folder that was begun for another one is refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_purpose(folder / MANIFEST, purpose)
    for k in range(shards):
        file = folder / f"shard-{k:05d}.safetensors"
        rows = read_shard(file)
        if rows is None:
            rows = make(k)
            write_shard(file, rows)
        yield k, rows


def write_shard(file: Path, rows: Rows) -> None:
    """The rows with the checksum of their bytes, whole or not at all."""
    part = file.with_suffix(".part")
    save_file({name: each.contiguous() for name, each in rows.items()}, part, {"sha256": checksum(rows)})
    part.replace(file)


def read_shard(file: Path) -> Rows | None:
    """The rows; None where the file is not there or not what was written."""
    try:
        rows = load_file(file)
    except (FileNotFoundError, SafetensorError):
        return None
    return rows if _told(file) == checksum(rows) else None


def checksum(rows: Rows) -> str:
    """SHA-256 of names, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(rows):
        digest.update(f"{name} {tuple(rows[name].shape)} {rows[name].dtype}".encode())
        digest.update(rows[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def together(parts: list[Rows]) -> Rows:
    """The rows of several shards, one after the other."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _told(file: Path) -> str:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        head = json.loads(stream.read(length))
    return str(head.get("__metadata__", {}).get("sha256", ""))


def _check_purpose(manifest: Path, purpose: dict[str, object]) -> None:
    if not manifest.exists():
        put_text(manifest, json.dumps(purpose, indent=1, sort_keys=True) + "\n")
        return
    known = json.loads(manifest.read_text(encoding="utf-8"))
    if different := [key for key, value in purpose.items() if known.get(key) != value]:
        raise InputError(
            f"{manifest.parent} holds simulations with another {different[0]} ({known.get(different[0])}, now "
            f"{purpose[different[0]]}); choose another folder"
        )
