"""Simulations on disk: shards of a few hundred rows, each written whole or not at all, and checked when read.

Shard k of a folder has its own seed: it holds the same numbers whoever makes it, and an interrupted job loses at most
the shard it was at.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.kept.purpose import Purpose
from sqwirrel.whole import put_text

Rows = dict[str, Tensor]
MANIFEST = "simulations.json"


def filled(
    folder: Path, shards: int, purpose: Purpose, make: Callable[[int], Rows], *, keep: bool = True
) -> Iterator[tuple[int, Rows]]:
    """Shards 0, 1, ... of a folder, read where they are there and whole, otherwise made and, to `keep` them, written.

    `purpose` says what the simulations are of; a folder that was begun for another one is refused.
    """
    refuse_others(folder, purpose)
    if keep:
        folder.mkdir(parents=True, exist_ok=True)
        put_text(folder / MANIFEST, json.dumps(purpose.mapping(), indent=1, sort_keys=True) + "\n")
    told = keep
    for k in range(shards):
        file = folder / f"shard-{k:05d}.safetensors"
        rows = read_shard(file)
        if rows is None:
            if not told:
                logging.getLogger("sqwirrel").warning("%s lacks %s: it is simulated again, not kept", folder, file.name)
            told, rows = True, make(k)
            if keep:
                write_shard(file, rows)
        yield k, rows


def refuse_others(folder: Path, purpose: Purpose) -> None:
    """Refuses a folder with simulations of anything else."""
    file = folder / MANIFEST
    if not file.exists():
        return
    known = Purpose.from_mapping(_read(file), f"{folder} holds simulations")
    if different := known.otherwise(purpose):
        raise InputError(f"{folder} holds simulations of {different}; choose another folder")


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


def _read(file: Path) -> object:
    """What is in a file of JSON; None if it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return None
