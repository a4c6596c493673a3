"""Damaged and malicious files of every format, each read in a process of its own kind, with limits.

    python -m benchmarks.hostile_files --json FILE [--quick] [--n 2000] [--seed S]

Whole files are those of ../shared/data and some that our own writers make. Each case takes one and damages it: cuts,
flipped bits, spans overwritten, numbers replaced by nan, inf, 1e308 or -1, lines gone, repeated or very long, other
encodings; HDF5 objects with other shapes, types, attributes and links, also out of the file; headers that promise
gigabytes, compressed bombs; folders, loops, pipes, devices, and pickles under our names. A case is fine if the file is
read, or refused by an InputError of one printable line below 400 characters, within `SECONDS` and `MEMORY`, without a
warning, without executing anything, and without reading another file.
"""

import argparse
import collections
import json
import multiprocessing
import multiprocessing.connection
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile import child, damage, hdf5, traps
from benchmarks.hostile.specimens import Specimen, collect
from sqwirrel.record import Record

SECONDS, MEMORY = 5.0, 1024.0
"""Above these (s, MB resident) a file has done harm."""
LARGE = 2_000_000
"""Bytes above which a file is only cut, flipped and overwritten."""
FRESH = 250
"""Files that one process reads."""
TEXTS = {"csv", "spe", "dave", "euphonic", "spice", "ill", "ice", "icp", "peaks", "covariance", "spectrometer"}
TEXTS |= {"cif", "mcif", "exchange", "tb2j", "model", "foreign"}
HDF5 = {"sqwirrel", "nxspe", "mantid", "mdhisto", "iqe"}


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Damaged and malicious files of every format.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="150 files")
    parser.add_argument("--n", type=int, default=2000, help="number of files")
    parser.add_argument("--seed", type=int, default=1, help="chooses files and damage")
    options = parser.parse_args()
    result = measure(150 if options.quick else options.n, options.seed, quick=options.quick)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if result["tracebacks"] or result["hangs"] or result["peak_mb"] > MEMORY:
        raise SystemExit("hostile_files: some files did harm, see the examples")


def measure(n: int, seed: int, *, quick: bool = False, shared: bool = True) -> dict[str, Any]:
    """What became of `n` damaged files."""
    record, start = Record.start(seeds={"files": seed}), time.perf_counter()
    specimens, reader = collect(shared=shared), Reader()
    tally: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    examples, peak = [], 0.0
    for case in range(n):
        with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
            specimen, done, path = made(specimens, seed, case, Path(folder))
            kind, said, used = reader.read(specimen.job, path)
            if (Path(folder) / traps.MARK).exists():
                kind, said = "traceback", "executed what it holds"
        peak = max(peak, used)
        tally[specimen.format].update([kind])
        if kind not in ("read", "refused") or used > MEMORY:
            example = {"file": specimen.name, "mutation": done, "case": case, "seed": seed, "kind": kind}
            examples.append({**example, "peak_mb": round(used), "message": said.replace(folder, "")[-900:]})
    reader.close()
    took = time.perf_counter() - start
    total = sum(tally.values(), collections.Counter[str]())
    return {
        "benchmark": "hostile_files",
        "quick": quick,
        "n": n,
        "tracebacks": total["traceback"],
        "hangs": total["hang"],
        "peak_mb": round(peak),
        "by_format": {
            name: {"n": count.total(), "read": count["read"], "refused": count["refused"]}
            for name, count in sorted(tally.items())
        },
        "examples": examples,
        "seconds": round(took, 1),
        "record": json.loads(record.with_seconds(total=took).to_json()),
    }


def made(specimens: list[Specimen], seed: int, case: int, folder: Path) -> tuple[Specimen, str, Path]:
    """The file of a case: what it was, what was done to it, and where it lies in `folder`."""
    rng = np.random.default_rng([seed, case])
    formats = sorted({each.format for each in specimens})
    chosen = formats[rng.integers(len(formats))]
    same = [each for each in specimens if each.format == chosen]
    specimen = same[rng.integers(len(same))]
    for name, content in specimen.beside.items():
        (folder / name).write_bytes(content)
    path = folder / specimen.name
    kind = rng.random()
    if kind < 0.03:
        return specimen, "no_file", traps.no_file(path, rng)
    if kind < 0.06:
        return specimen, "archive", traps.archive(path, rng)
    if kind < 0.09:
        return specimen, "renamed", traps.renamed(path, specimen, rng)
    if kind < 0.12:
        return specimen, "told_wrongly", traps.told_wrongly(path, specimen, rng)
    if kind < 0.20 and chosen in HDF5:
        hdf5.large(path, chosen, rng)
        return specimen, "large", path
    if kind < 0.20:
        names = [chosen] if chosen in traps.BOMBS else (["text"] if chosen in TEXTS else [])
        if names:
            path.write_bytes(traps.BOMBS[names[0]](rng))
            return specimen, f"bomb {names[0]}", path
    return specimen, damaged(specimen, path, rng), path


def damaged(specimen: Specimen, path: Path, rng: np.random.Generator) -> str:
    """Writes a damaged copy of a file; returns how it was damaged."""
    if specimen.format in HDF5 and len(specimen.content) < LARGE and rng.random() < 0.7:
        path.write_bytes(specimen.content)
        return hdf5.changed(path, rng)
    changes = damage.ANY
    if len(specimen.content) < LARGE:
        changes += damage.TEXT if specimen.format in TEXTS else damage.BINARY
    beside = sorted(specimen.beside)
    content, done = specimen.content, []
    if beside and rng.random() < 0.15:
        other = path.parent / beside[rng.integers(len(beside))]
        change = (damage.ANY + damage.TEXT)[rng.integers(len(damage.ANY + damage.TEXT))]
        other.write_bytes(change(other.read_bytes(), rng))
        path.write_bytes(content)
        return f"{change.__name__} of {other.name}"
    for _ in range(int(rng.integers(1, 3))):
        change = changes[rng.integers(len(changes))]
        content = change(content, rng)
        done.append(change.__name__)
    path.write_bytes(content)
    return "+".join(done)


class Reader:
    """A child process that reads files, replaced by a new one when it hangs, dies or has read many."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.process: Any = None
        self.left = 0

    def read(self, job: str, path: Path) -> child.Answer:
        """What became of the file."""
        if not self.left:
            self.close()
            self._start()
        self.left -= 1
        self.pipe.send((job, os.fspath(path)))
        try:
            if self.pipe.poll(SECONDS):
                return self.pipe.recv()
            kind, said = "hang", f"not read after {SECONDS:g} s"
        except EOFError:
            self.process.join()
            kind, said = "traceback", f"the process ended with {self.process.exitcode}"
        self.process.kill()
        self.left = 0
        return kind, said, 0.0

    def close(self) -> None:
        """Ends the process."""
        if self.process is not None:
            if self.process.is_alive():
                self.pipe.send(None)
            self.process.join(timeout=SECONDS)
            self.process.kill()

    def _start(self) -> None:
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(target=child.serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.left = FRESH
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:  # the first file waits for the imports
            self.pipe.send(("spectrum", file.name))
            self.pipe.recv()


def table(result: dict[str, Any]) -> str:
    """The result for a reader."""
    rows = [f"{name:14}{row['n']:6}{row['read']:7}{row['refused']:9}" for name, row in result["by_format"].items()]
    failed = [
        f"{each['kind']:10}{each['peak_mb']:6} MB  {each['file']} case {each['case']} {each['mutation']}\n"
        + "\n".join(f"    {line}" for line in each["message"].splitlines()[-4:])
        for each in result["examples"]
    ]
    head = (
        f"{result['n']} files, {result['tracebacks']} tracebacks, {result['hangs']} hangs, "
        f"peak {result['peak_mb']} MB, {result['seconds']:.0f} s"
    )
    return "\n".join([head, f"{'format':14}{'n':>6}{'read':>7}{'refused':>9}", *rows, *failed])


if __name__ == "__main__":
    main()
