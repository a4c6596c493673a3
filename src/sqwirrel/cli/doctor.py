"""What is here, what is missing, and what is slow."""

import os
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from sqwirrel import simulate
from sqwirrel.model import library
from sqwirrel.simulate import SpinWaves

PACKAGES = (
    "sqwirrel",
    "torch",
    "numpy",
    "scipy",
    "scipp",
    "h5py",
    "numba",
    "gemmi",
    "spglib",
    "pydantic",
    "matplotlib",
)
SLOW = 200.0
"""Microseconds for the modes of one wavevector of a two-site model; ten times what one core of a laptop takes."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `advice` says what to do where it is not fine."""

    name: str
    value: str
    fine: bool = True
    advice: str = ""


def examine() -> list[Finding]:
    """Versions, threads, cache, accelerator and speed."""
    return [*map(_package, PACKAGES), _threads(), _cache(), _folder(), _accelerator(), _speed()]


def _package(name: str) -> Finding:
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        return Finding(name, "missing", fine=False, advice=f"pip install {name}")


def _threads() -> Finding:
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    return Finding(
        "threads", f"{threads} on {cores} cores", threads <= cores, "more threads than cores: set OMP_NUM_THREADS"
    )


def _cache() -> Finding:
    """Compiled kernels are kept here between runs."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(simulate.__file__).parent / "__pycache__")
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return Finding(
        "kernel cache",
        str(folder),
        os.access(there, os.W_OK),
        "not writable, so every start compiles: set NUMBA_CACHE_DIR",
    )


def _folder() -> Finding:
    return Finding("this folder", str(Path.cwd()), os.access(Path.cwd(), os.W_OK), "not writable: give --out")


def _accelerator() -> Finding:
    return Finding("GPU", torch.cuda.get_device_name() if torch.cuda.is_available() else "none, and none is needed")


def _speed() -> Finding:
    model = library.load("rb2mnf4")
    q = torch.rand(2000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    waves, theta = SpinWaves(model, q), model.pack()
    with torch.no_grad():
        waves(theta)
        start = time.perf_counter()
        waves(theta)
    each = (time.perf_counter() - start) / len(q) * 1e6
    return Finding(
        "modes", f"{each:.1f} microseconds a wavevector", each < SLOW, "slow: is another program using the cores?"
    )
