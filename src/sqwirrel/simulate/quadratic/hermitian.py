"""Eigenvectors of many Hermitian matrices at once, on any device."""

import importlib
from types import ModuleType

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

BATCHED = 32
"""On CUDA torch solves larger matrices one after another (pytorch issues 174674, 175585)."""

Solved = tuple[Float[Tensor, "*batch n"], Inexact[Tensor, "*batch n n"]]


def eigh(matrix: Inexact[Tensor, "*batch n n"]) -> Solved:
    """Ascending eigenvalues, and eigenvectors as columns, as `torch.linalg.eigh`.

    On CUDA, above `BATCHED` rows, by the batched solver of cuSOLVER, if CuPy is installed: the package for the version
    of CUDA that torch has, `cupy-cuda12x` for instance.
    """
    if matrix.is_cuda and matrix.shape[-1] > BATCHED and (cupy := _cupy()) is not None:
        return solved_by(cupy, matrix)
    value, vector = torch.linalg.eigh(matrix)
    return value, vector


def solved_by(library: ModuleType, matrix: Inexact[Tensor, "*batch n n"]) -> Solved:
    """The same by a library of arrays like NumPy, which shares memory with torch."""
    value, vector = library.linalg.eigh(library.from_dlpack(matrix.detach().resolve_conj().contiguous()))
    return torch.utils.dlpack.from_dlpack(value), torch.utils.dlpack.from_dlpack(vector)


def _cupy() -> ModuleType | None:
    try:
        return importlib.import_module("cupy")
    except ImportError:
        return None
