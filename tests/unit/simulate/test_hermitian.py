import numpy as np
import torch

from sqwirrel.simulate.quadratic.hermitian import eigh, solved_by


def hermitian(n: int) -> torch.Tensor:
    A = torch.randn(3, 2, n, n, dtype=torch.complex128, generator=torch.Generator().manual_seed(n))
    return A + A.mH


def test_another_library_solves_the_same_matrices_without_copying_them() -> None:
    """NumPy stands for CuPy, whose interface it has: there is no GPU here."""
    A = hermitian(5)
    for matrix in (A, A.real.contiguous(), A.mT, A.conj()):
        value, vector = solved_by(np, matrix)
        assert torch.allclose(value, eigh(matrix)[0], atol=1e-12)
        assert torch.allclose(vector @ (value[..., None] * vector.mH), matrix.resolve_conj(), atol=1e-12)
        assert value.dtype == torch.float64
