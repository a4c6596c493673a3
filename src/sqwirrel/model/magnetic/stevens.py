"""Single-ion anisotropy as a function of the unit moment n: Stevens operators of rank 2, 4 and 6, turned and derived.

O_k^q is z^k and lower powers times the real (q >= 0) or imaginary part of (x + i y)^|q|, with whole coefficients that
have no common divisor (K. W. H. Stevens, Proc. Phys. Soc. A 65, 209 (1952)). Of a spin s in a coherent state along n it
is lambda_k s^k O_k^q(n) (D. Dahlbom et al., arXiv:2304.03874). Every function here is made homogeneous of degree 6 by
powers of |n|^2 = 1, and stored as its 28 coefficients.
"""

import math
import re
from collections.abc import Mapping
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.polynomial import legendre, polynomial
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry

ROUNDING = 1e-3
"""Relative part of an operator that symmetry may forbid: three digits in a file."""


def monomials(n: Float[Tensor, "*batch 3"], degree: int = 6) -> Float[Tensor, "*batch monomial"]:
    """All x^a y^b z^c with a + b + c = `degree`."""
    return math.prod((n[..., component] for component in _components(degree).T), start=torch.ones_like(n[..., :1]))


@cache
def _components(degree: int) -> Int64[Tensor, "monomial factor"]:
    """Monomials as products of components, 0 to 2."""
    return torch.tensor(list(combinations_with_replacement(range(3), degree)))


def _slopes(degree: int) -> Float[Tensor, "3 lower monomial"]:
    """From the coefficients of a homogeneous polynomial to those of its slopes."""
    lower = {tuple(each): k for k, each in enumerate(_components(degree - 1).tolist())}
    slopes = torch.zeros(3, len(lower), len(_components(degree)), dtype=torch.float64)
    for k, each in enumerate(_components(degree).tolist()):
        for place, axis in enumerate(each):
            slopes[axis, lower[(*each[:place], *each[place + 1 :])], k] += 1
    return slopes


_POINTS = torch.nn.functional.normalize(
    torch.cartesian_prod(*3 * (torch.arange(-2, 3, dtype=torch.float64),))[63:], dim=-1
)
"""Directions, one of each pair n and -n, that fix the coefficients many times over."""
_FIT = torch.linalg.pinv(monomials(_POINTS))
_BEND = torch.einsum("axy,byk->abxk", _slopes(5), _slopes(6))


def second_derivative(f: Float[Tensor, "*n 28"]) -> Float[Tensor, "*n 3 3 15"]:
    """Coefficients of d2f/dn dn, of degree 4; times n it is 5 df/dn."""
    return torch.einsum("abxk,...k->...abx", _BEND, f)


def operator(k: int, q: int) -> Float[Tensor, "28"]:
    """O_k^q(n), which is that of the operator without the factor lambda_k s^k."""
    whole = np.rint(2**k * legendre.leg2poly([0] * k + [1])).astype(int)
    along = np.rint(polynomial.polyder(whole, abs(q))).astype(int)
    x, y, z = _POINTS.T.numpy()
    across = (x + 1j * y) ** abs(q)
    value = polynomial.polyval(z, along // np.gcd.reduce(along)) * (across.imag if q < 0 else across.real)
    found: Tensor = (_FIT @ torch.from_numpy(value)).round() + 0.0
    return found


def quadratic(matrix: Float[Tensor, "*n 3 3"]) -> Float[Tensor, "*n 28"]:
    """n . matrix . n."""
    square = torch.einsum("pa,pb->pab", _POINTS, _POINTS)
    return torch.einsum("...ab,kab->...k", matrix, torch.einsum("kp,pab->kab", _FIT, square).round())


def turned(f: Float[Tensor, "*#n 28"], R: Float[Tensor, "*#n 3 3"]) -> Float[Tensor, "*n 28"]:
    """f(R^T n): what the rotation (or reflection) R makes of f."""
    found: Tensor = torch.einsum("kp,...pl,...l->...k", _FIT, monomials(_POINTS @ R), f)
    return found


def renormalisation(k: int, spin: float) -> float:
    """lambda_k = (1 - 1/2s) (1 - 2/2s) ... (1 - (k-1)/2s); zero if the spin is too small for the rank."""
    return math.prod(max(0.0, 1 - m / (2 * spin)) for m in range(1, k))


def combination(value: object, where: str) -> dict[tuple[int, int], float]:
    """Coefficient of each O_k^q, from the pair [k, q] or a table of numbers such as {"40" = 1, "4-3" = 28.28}."""
    found = dict(value) if isinstance(value, Mapping) else {}
    if isinstance(value, list | tuple) and len(value) == 2:
        found = {f"{value[0]}{value[1]}": 1.0}
    pairs = {key: re.fullmatch(r"([246])(-?[0-6])", str(key)) for key in found}
    known = {(int(m[1]), int(m[2])): found[key] for key, m in pairs.items() if m and abs(int(m[2])) <= int(m[1])}
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in known.values())
    if not known or len(known) < len(found) or not numbers or not any(known.values()):
        raise InputError(
            f"{where} must be the rank and the index of an operator, as [4, 0], or numbers for several, as "
            f'{{ "40" = 1, "4-3" = 28.28 }}, with rank 2, 4 or 6 and index from -rank to rank; got {value!r}'
        )
    return {pair: float(each) for pair, each in known.items()}


def symmetrised(
    operators: Mapping[tuple[int, int], float],
    axes: Float[Tensor, "3 3"],
    keeps: Float[Tensor, "keep 3 3"],
    where: str,
) -> dict[int, Float[Tensor, "28"]]:
    """By rank, the operators in the frame with these `axes` as rows, made exactly what `keeps` leaves unchanged."""
    given = {k: torch.zeros(28, dtype=torch.float64) for k, _ in operators}
    for (k, q), factor in operators.items():
        given[k] += factor * turned(operator(k, q), axes.T)
    allowed = {k: turned(f, keeps).mean(0) for k, f in given.items()}
    for k, f in given.items():
        if float((allowed[k] - f).abs().max()) > ROUNDING * float(f.abs().max()):
            raise InputError(f"symmetry forbids the {where}; of rank {k} it allows {invariants(k, axes, keeps)}")
    return allowed


def invariants(k: int, axes: Float[Tensor, "3 3"], keeps: Float[Tensor, "keep 3 3"]) -> str:
    """The combinations of O_k^q in the frame with these `axes` as rows that `keeps` leaves unchanged, in words."""
    indices = sorted(range(-k, k + 1), key=abs)
    basis = torch.stack([operator(k, q) for q in indices])
    mean = torch.stack([turned(turned(f, axes.T), keeps).mean(0) for f in basis])
    rows = symmetry.echelon(turned(mean, axes) @ torch.linalg.pinv(basis))
    return " and ".join(_spell(k, indices, row) for row in rows.tolist()) or "nothing"


def _spell(k: int, indices: list[int], row: list[float]) -> str:
    """As O40 - 2.5 O44."""
    terms = [(w, f"O{k}{q}") for w, q in zip(row, indices, strict=True) if abs(w) > 1e-6]
    text = "".join(
        f" {'-' if w < 0 else '+'} {'' if abs(abs(w) - 1) < 1e-6 else f'{abs(w):.6g} '}{name}" for w, name in terms
    )
    return text.removeprefix(" + ")
