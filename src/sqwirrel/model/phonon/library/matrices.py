"""Published force constants as matrices: elements, axially symmetric, or modified axially symmetric.

Elements ("xx", "xz") are those of -Phi in the axes of the paper; what is not stated follows by symmetry. Axially
symmetric forces are f_r along the bond and f_t across (G. W. Lehman, T. Wolfram and R. E. DeWames, Phys. Rev. 128, 1593
(1962)); modified ones are K along the bond beside C_Bx across and C_Bz along the hexagonal axis (R. E. DeWames,
T. Wolfram and G. W. Lehman, Phys. Rev. 138, A717 (1965)).
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry

AXES = "xyz"
ROUNDING = 1e-9
"""Misfit, N/m, of stated elements to a matrix of the right symmetry: where symmetry makes two equal, one is stated."""


def matrix_of(
    numbers: Mapping[str, float], along: Float[Tensor, "3"], allowed: Float[Tensor, "basis 3 3"], what: str
) -> Float[Tensor, "3 3"]:
    """-Phi of a bond `along` a direction, whose symmetry permits combinations of `allowed`; refused if it does not."""
    r = along / along.norm()
    forms = {("f_r", "f_t"): _axial, ("C_Bx", "C_Bz", "K"): _modified}
    make = forms.get(tuple(sorted(numbers)))
    matrix = make(numbers, torch.outer(r, r)) if make else _completed(numbers, allowed, what)
    if not symmetry.contains(allowed, matrix):
        raise InputError(f"symmetry forbids {dict(numbers)} for {what}; it allows {symmetry.pattern(allowed)}")
    return matrix


def _axial(numbers: Mapping[str, float], along: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    return numbers["f_t"] * torch.eye(3).to(along) + (numbers["f_r"] - numbers["f_t"]) * along


def _modified(numbers: Mapping[str, float], along: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    across, axis = numbers["C_Bx"], numbers["C_Bz"]
    return numbers["K"] * along + torch.diag(torch.tensor([across, across, axis], dtype=torch.float64))


def _completed(numbers: Mapping[str, float], allowed: Float[Tensor, "basis 3 3"], what: str) -> Float[Tensor, "3 3"]:
    """The one permitted matrix that has these elements."""
    if strange := [key for key in numbers if len(key) != 2 or not set(key) <= set(AXES)]:
        raise InputError(f"{what} has '{strange[0]}'; write elements xx to zz, f_r and f_t, or K, C_Bx and C_Bz")
    places = [3 * AXES.index(row) + AXES.index(column) for row, column in map(tuple, numbers)]
    A = allowed.flatten(1)[:, places].T
    b = torch.tensor(list(numbers.values()), dtype=torch.float64)[:, None]
    weights = torch.linalg.lstsq(A, b, driver="gelsd").solution
    if int(torch.linalg.matrix_rank(A)) < len(allowed):
        raise InputError(f"{dict(numbers)} do not say all that is free in {what}: {symmetry.pattern(allowed)}")
    if float((A @ weights - b).abs().max()) > ROUNDING:
        raise InputError(f"symmetry forbids {dict(numbers)} for {what}; it allows {symmetry.pattern(allowed)}")
    return torch.einsum("b,bij->ij", weights[:, 0], allowed)
