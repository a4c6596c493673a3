"""A covariance of (q, E) taken apart: what it does to a dispersion, and the widths that scans show.

With energy last, E given a deviation dq is normal: E | dq ~ N(slope . dq, variance), slope = S_qq^-1 S_qE and
variance = S_EE - S_Eq S_qq^-1 S_qE.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.units import SIGMA


class Split(NamedTuple):
    """The part in q (rlu^2), the slope dE/dq of the conditional mean (meV/rlu), the conditional sd of E (meV)."""

    q: Float[Tensor, "*shape axis axis"]
    slope: Float[Tensor, "*shape axis"]
    sd: Float[Tensor, "*shape"]


def split(covariance: Float[Tensor, "*shape n n"]) -> Split:
    """Covariance of q, and the normal law of the energy (last) at a given deviation in q."""
    q, mixed = covariance[..., :-1, :-1], covariance[..., :-1, -1]
    slope = torch.linalg.solve(q, mixed)
    return Split(q, slope, (covariance[..., -1, -1] - (slope * mixed).sum(-1)).sqrt())


def bragg_fwhm(
    covariance: Float[Tensor, "*shape n n"], direction: Float[Tensor, "*shape n"]
) -> Float[Tensor, "*shape"]:
    """FWHM of a Bragg peak scanned along `direction`, in multiples of it: that of the section through the centre."""
    return 1 / (SIGMA * _quadratic(torch.linalg.inv(covariance), direction).sqrt())


def vanadium_fwhm(
    covariance: Float[Tensor, "*shape n n"], direction: Float[Tensor, "*shape n"] | None = None
) -> Float[Tensor, "*shape"]:
    """FWHM of what scatters at one place along `direction` and anywhere across it: that of the projection.

    In multiples of the direction divided by its squared length. By default along energy (meV): the elastic line of
    vanadium.
    """
    if direction is None:
        return covariance[..., -1, -1].sqrt() / SIGMA
    return _quadratic(covariance, direction).sqrt() / SIGMA


def _quadratic(form: Tensor, vector: Tensor) -> Tensor:
    return torch.einsum("...i,...ij,...j->...", vector, form, vector)
