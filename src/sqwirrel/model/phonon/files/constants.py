"""Force constants of phonopy in a file of their own, FORCE_CONSTANTS or force_constants.hdf5; in the unit they have."""

import math
from pathlib import Path

import h5py
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.limits import check_count, check_file, text
from sqwirrel.model.phonon.files.crystal import numbers


def read_text(path: Path) -> Float[Tensor, "row site 3 3"]:
    """FORCE_CONSTANTS: how many atoms, then for each pair a line with its numbers and three lines of its matrix."""
    check_file(path)
    words = text(path).split("\n", 1)
    size = words[0].split()
    if len(size) not in {1, 2} or not all(each.isdecimal() and len(each) < 8 for each in size):
        raise InputError(f"{path.name} starts with '{words[0][:40]}'; expected one or two numbers of atoms")
    rows, sites = int(size[0]), int(size[-1])
    check_count(11 * rows * sites, "force constants", path)
    found = numbers("".join(words[1:]).split(), (11 * rows * sites,), f"the {rows} x {sites} force constants", path)
    return found.reshape(rows, sites, 11)[:, :, 2:].reshape(rows, sites, 3, 3)


def read_hdf5(path: Path) -> Float[Tensor, "row site 3 3"]:
    """force_constants.hdf5."""
    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            return _held(file, path)
    except (OSError, RuntimeError, KeyError) as error:  # h5py raises all three where its library fails
        raise InputError(
            f"{path.name} is an HDF5 file that is truncated or damaged ({error}); fetch a complete copy"
        ) from error


def _held(file: h5py.File, path: Path) -> Float[Tensor, "row site 3 3"]:
    name = next((name for name in ("force_constants", "fc2") if name in file), "")
    link = file.get(name, getlink=True) if name else None
    if not isinstance(link, h5py.HardLink) or not isinstance(held := file[name], h5py.Dataset):
        raise InputError(f"{path.name} has no 'force_constants' of its own; let phonopy write it again")
    if held.external or held.is_virtual or held.dtype.kind not in "iuf" or held.ndim != 4:
        raise InputError(f"'{name}' of {path.name} must be numbers of atoms x atoms x 3 x 3, kept in the file")
    check_count(held.size, name, path)
    check_count(math.prod(held.chunks or ()) * held.dtype.itemsize // 8, name, path)
    found = numbers(np.asarray(held[()]), (-1, -1, 3, 3), f"'{name}'", path)
    return found.to(torch.float64)
