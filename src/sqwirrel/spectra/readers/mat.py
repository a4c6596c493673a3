"""A MATLAB (v5 to v7) powder struct: `x` (two axes), `y` (|Q|, energy), `e` (one standard deviation), `labels`.

`x` holds the two axes in the order (energy, |Q|) or the other way round: `labels.x` and `labels.y` say which, in words.
An axis as long as the data are holds bin centres, one longer holds edges. NaN is unmeasured; a bin with y = e = 0 was
measured and counted nothing. The file knows neither temperature nor incident energy.
"""

import warnings
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from sqwirrel.errors import InputError
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QShells
from sqwirrel.spectra.readers.limits import check_count
from sqwirrel.spectra.rebin import edges_of
from sqwirrel.spectra.spectrum import Spectrum

SIGNATURE = b"MATLAB 5.0 MAT-file"


def sniff(path: Path) -> bool:
    """Whether the file starts as MATLAB files of version 5 to 7 do."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def read(path: Path) -> Spectrum:
    """The powder map in the file."""
    content = _load(path)
    missing = [name for name in ("x", "y", "e") if name not in content]
    if missing or len(content["x"]) != 2:
        raise InputError(
            f"{path.name} is a MATLAB file without {' and '.join(missing) or 'two axes in x'}; expected the variables "
            "x (two axes), y (intensity), e (standard deviation) and labels"
        )
    values, errors = _numbers(content, "y", path), _numbers(content, "e", path)
    if values.ndim != 2 or values.shape != errors.shape:
        raise InputError(f"{path.name} has y of shape {values.shape} and e of {errors.shape}; expected one 2-D shape")
    energy, shells = _axes(content, path)
    shell_edges, energy_edges = edges_of(shells, values.shape[0]), edges_of(energy, values.shape[1])
    if shell_edges is None or energy_edges is None:
        raise InputError(
            f"{path.name} has {len(shells)} |Q| values and {len(energy)} energies for y of shape {values.shape}; "
            "expected y as (|Q|, energy)"
        )
    points = QShells(torch.from_numpy(np.maximum(shell_edges, 0.0)))
    measurement = Measurement(points, torch.from_numpy(energy_edges), temperature=None)
    return Spectrum.from_arrays(torch.from_numpy(values), torch.from_numpy(errors), measurement)


def _load(path: Path) -> dict[str, Any]:
    check_count(path.stat().st_size // 8, "the file", path)
    try:
        for name, shape, _ in whosmat(path):
            check_count(prod(shape), name, path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return dict(loadmat(path, simplify_cells=True))
    except (MatReadError, ValueError, TypeError, OSError, EOFError, Warning, KeyError, IndexError) as error:
        raise InputError(
            f"{path.name} is a MATLAB file that is truncated or damaged ({error}); fetch a complete copy"
        ) from error


def _axes(content: dict[str, Any], path: Path) -> tuple[Float64[np.ndarray, " e"], Float64[np.ndarray, " q"]]:
    """(energy, |Q|) as the labels tell them apart."""
    labels = content.get("labels")
    words = [str(labels.get(key, "")) for key in ("x", "y")] if isinstance(labels, dict) else ["", ""]
    is_energy = ["energy" in word.lower() for word in words]
    is_shell = ["|q|" in word.lower() for word in words]
    first, second = (np.atleast_1d(np.asarray(axis, dtype=np.float64)) for axis in content["x"])
    if is_energy[0] and is_shell[1]:
        return first, second
    if is_energy[1] and is_shell[0]:
        return second, first
    raise InputError(
        f"{path.name} labels its axes {words}; expected one with 'Energy' (meV) and one with '|Q|' (1/angstrom)"
    )


def _numbers(content: dict[str, Any], name: str, path: Path) -> Float64[np.ndarray, "..."]:
    try:
        return np.ascontiguousarray(content[name], dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the variable {name} of {path.name} does not hold numbers") from None
