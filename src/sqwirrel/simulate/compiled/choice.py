"""Which compiled kernel finds the modes."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Complex, Float, Inexact, Int
from numpy.typing import NDArray
from torch import Tensor

from sqwirrel.simulate.compiled.broadened import broadened_modes
from sqwirrel.simulate.compiled.kernels import Problem, bosonic_modes
from sqwirrel.simulate.compiled.real import RealForm, real_modes
from sqwirrel.simulate.quadratic.bosons import Bosons, Elements
from sqwirrel.simulate.quadratic.quadratures import Quadratures

LARGE = 128
"""Operators from which on Lanczos is faster than diagonalisation, for a width of 2 % of the highest energy."""


def compiled(
    bosons: Bosons,
    elements: Elements,
    form: Quadratures | None,
    kind: Int[Tensor, " boson"],
    value: Inexact[Tensor, "batch element"],
    moment: Complex[Tensor, "..."],
    seen: Sequence[Tensor],
    fwhm: float | None,
    thermal: float,
) -> tuple[Float[Tensor, "batch q mode"], Float[Tensor, "batch q mode"], Bool[Tensor, "batch q"]]:
    """Energies, intensities and stability; `seen` are phases, form factors, unit vectors and weights at every q.

    In a real form if there is one, else, with `fwhm` (meV), as finely as that resolution sees them at
    k_B T = `thermal` (meV).
    """
    if form is not None:
        table = torch.view_as_real(seen[0]).flatten(1)
        arrays = value, *form[3:6], table, form.seen, moment, kind, *seen[1:3]
        solved = real_modes(RealForm(form.firsts, form.apart, *map(_array, arrays)))
    else:
        parts = value, elements.row, elements.column, elements.source, seen[0], moment, kind, *seen[1:]
        problem = Problem(bosons.positive, bosons.mirrored, *map(_array, parts))
        solved = bosonic_modes(problem) if fwhm is None else broadened_modes(problem, fwhm, thermal)
    energy, intensity, stable = map(torch.from_numpy, solved)
    return energy, intensity, stable


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.resolve_conj().numpy()
    return array
