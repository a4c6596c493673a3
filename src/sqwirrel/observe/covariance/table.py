"""Covariances of q and E on a grid, as a facility computes them, and between its nodes."""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.spectra.points import Numbers, as_tensor

SPARSE = 20
"""A grid may have this many nodes for each one that is given."""


@dataclass(frozen=True, eq=False)
class CovarianceTable:
    """Covariances of (h, k, E) or (h, k, l, E), rlu and meV, at points that lie on a grid with gaps.

    `axes` are the ascending values along h, k, (l,) and E; a node that was not given has the covariance of the nearest
    one that was, counted in steps of the grid.
    """

    axes: tuple[Float64[Tensor, " node"], ...]
    covariance: Float64[Tensor, "*grid n n"]

    def __init__(self, points: Numbers, covariance: Numbers) -> None:
        rows, matrices = as_tensor(points), as_tensor(covariance)
        _check(rows, matrices)
        pairs = [np.unique(column.round(8), return_inverse=True) for column in rows.numpy().T]
        shape = tuple(len(values) for values, _ in pairs)
        if np.prod(shape) > SPARSE * len(rows):
            raise InputError(
                f"{len(rows)} covariances do not lie on a grid: there are {' x '.join(map(str, shape))} different "
                "values along the axes; compute them on a regular grid"
            )
        place = tuple(index for _, index in pairs)
        gaps = np.ones(shape, dtype=bool)
        gaps[place] = False
        grid = np.zeros((*shape, *matrices.shape[1:]))
        grid[place] = matrices.numpy()
        if gaps.any():
            grid = grid[tuple(distance_transform_edt(gaps, return_distances=False, return_indices=True))]
        object.__setattr__(self, "axes", tuple(torch.from_numpy(values) for values, _ in pairs))
        object.__setattr__(self, "covariance", torch.from_numpy(grid))

    def at(self, q: Float64[Tensor, "*shape 3"], energy: Float64[Tensor, "*shape"]) -> Float64[Tensor, "*shape n n"]:
        """Covariances of (h, k, E), or of (h, k, l, E) if the table has l, at `q` (rlu) and `energy` (meV).

        Linear between nodes along each axis, the nearest value beyond them; so the matrices stay positive definite.
        """
        n = len(self.axes)
        x = torch.cat((q[..., : n - 1], energy[..., None]), dim=-1).reshape(-1, n)
        places = [_between(axis, column) for axis, column in zip(self.axes, x.T, strict=True)]
        flat, strides = self.covariance.reshape(-1, n * n), self._strides()
        total = torch.zeros(len(x), n * n, dtype=flat.dtype)
        for corner in itertools.product((0, 1), repeat=n):
            index = sum(pair[side] * stride for (pair, _), side, stride in zip(places, corner, strides, strict=True))
            weight = torch.ones(len(x), dtype=flat.dtype)
            for (_, share), side in zip(places, corner, strict=True):
                weight = weight * (share if side else 1 - share)
            total += weight[:, None] * flat[index]
        return total.reshape(*energy.shape, n, n)

    def _strides(self) -> tuple[int, ...]:
        shape = [len(axis) for axis in self.axes]
        return tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))


def _between(axis: Tensor, x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The nodes below and above each x, and the share of the upper one."""
    below = (torch.searchsorted(axis, x.contiguous()) - 1).clamp(0, max(len(axis) - 2, 0))
    above = (below + 1).clamp(max=len(axis) - 1)
    step = (axis[above] - axis[below]).clamp(min=1e-300)
    return (below, above), ((x - axis[below]) / step).clamp(0, 1)


def _check(rows: Tensor, matrices: Tensor) -> None:
    """Refuses shapes that do not fit, points given twice, and matrices that are no covariances."""
    n = rows.shape[-1] if rows.ndim == 2 else 0
    if n not in (3, 4) or not len(rows) or matrices.shape != (len(rows), n, n):
        raise InputError(
            "a table of covariances needs points (h, k, E) with 3 x 3 or (h, k, l, E) with 4 x 4 matrices, one for "
            f"each; got the shapes {tuple(rows.shape)} and {tuple(matrices.shape)}"
        )
    if not (rows.isfinite().all() and matrices.isfinite().all()):
        raise InputError("a table of covariances holds numbers that are not finite")
    if len(np.unique(rows.numpy().round(8), axis=0)) != len(rows):
        raise InputError("a table of covariances gives one of its points twice; keep one row for each")
    skew = (matrices - matrices.mT).abs().amax((-1, -2)) > 1e-6 * matrices.abs().amax((-1, -2))
    bad = skew | (torch.linalg.cholesky_ex(matrices).info != 0)
    if bool(bad.any()):
        n = int(bad.nonzero()[0, 0])
        raise InputError(
            f"the covariance at {[round(x, 6) for x in rows[n].tolist()]} (rlu, meV) is not symmetric and positive "
            "definite; expected covariances, not resolution matrices or widths"
        )
