"""A MATLAB (v5 to v7) powder struct: `x` (two axes), `y` (|Q|, energy), `e` (one standard deviation), `labels`.

`x` holds the two axes in the order (energy, |Q|) or the other way round: `labels.x` and `labels.y` say which, in words.
An axis as long as the data are holds bin centres, one longer holds edges. NaN is unmeasured; a bin with y = e = 0 was
measured and counted nothing. The file knows neither temperature nor incident energy.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from sqwirrel.errors import InputError
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QShells
from sqwirrel.spectra.readers import mat5
from sqwirrel.spectra.rebin import edges_of
from sqwirrel.spectra.spectrum import Spectrum


def sniff(path: Path) -> bool:
    """Whether the file starts as MATLAB files of version 5 to 7 do."""
    with path.open("rb") as file:
        return file.read(len(mat5.SIGNATURE)) == mat5.SIGNATURE


def read(path: Path) -> Spectrum:
    """The powder map in the file."""
    content = mat5.load(path, ("x", "y", "e", "labels"))
    missing = [name for name in ("x", "y", "e") if name not in content]
    if missing or not isinstance(content["x"], list | np.ndarray) or len(content["x"]) != 2:
        raise InputError(
            f"{path.name} is a MATLAB file without {' and '.join(missing) or 'two axes in x'}; expected the variables "
            "x (two axes), y (intensity), e (standard deviation) and labels"
        )
    values, errors = _numbers(content["y"], "y", path), _numbers(content["e"], "e", path)
    if values.ndim != 2 or values.shape != errors.shape:
        raise InputError(f"{path.name} has y of shape {values.shape} and e of {errors.shape}; expected one 2-D shape")
    energy, shells = _axes(content, path)
    shell_edges, energy_edges = edges_of(shells, values.shape[0]), edges_of(energy, values.shape[1])
    if shell_edges is None or energy_edges is None:
        raise InputError(
            f"{path.name} has {len(shells)} |Q| values and {len(energy)} energies for y of shape {values.shape}; "
            "expected y as (|Q|, energy)"
        )
    points = QShells.from_edges(shell_edges)
    measurement = Measurement(points, torch.from_numpy(energy_edges), temperature=None)
    return Spectrum.from_arrays(torch.from_numpy(values), torch.from_numpy(errors), measurement)


def _axes(content: dict[str, Any], path: Path) -> tuple[Float64[np.ndarray, " e"], Float64[np.ndarray, " q"]]:
    """(energy, |Q|) as the labels tell them apart."""
    labels = content.get("labels")
    words = [str(labels.get(key, "")) for key in ("x", "y")] if isinstance(labels, dict) else ["", ""]
    is_energy = ["energy" in word.lower() for word in words]
    is_shell = ["|q|" in word.lower() for word in words]
    first, second = (_numbers(axis, "x", path).ravel() for axis in content["x"])
    if is_energy[0] and is_shell[1]:
        return first, second
    if is_energy[1] and is_shell[0]:
        return second, first
    raise InputError(
        f"{path.name} labels its axes {words}; expected one with 'Energy' (meV) and one with '|Q|' (1/angstrom)"
    )


def _numbers(value: object, name: str, path: Path) -> Float64[np.ndarray, "..."]:
    if not isinstance(value, np.ndarray):
        raise InputError(f"the variable {name} of {path.name} does not hold numbers")
    return np.ascontiguousarray(value, dtype=np.float64)
