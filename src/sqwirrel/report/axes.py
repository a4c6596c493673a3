"""Axes of a spectrum for drawing: |Q| or the length along a path, with the corners of the path by name."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.spectra import Measurement, QGrid, QShells
from sqwirrel.spectra.measurement import Crystal

SIDE_BY_SIDE, CLOSE = 4, 0.03
"""Names of so many corners fit under a map in one line each; those closer than this share of it would overlap."""


@dataclass(frozen=True, eq=False)
class Across:
    """The horizontal axis: bin edges (1/angstrom), its label, and named ticks (none: numbers)."""

    edges: Float[Tensor, " edge"]
    label: str
    ticks: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


def across(measurement: Measurement) -> Across:
    """The axis of shells or of a path."""
    match measurement.points:
        case QShells(edges):
            return Across(edges, "|Q| (Å⁻¹)")
        case path:
            return _along(path)


def place(measurement: Measurement, start: int, stop: int) -> str:
    """Bins `start` to `stop` of the axis as a title."""
    match measurement.points:
        case QShells(edges):
            return f"|Q| = {float(edges[start]):.2f} to {float(edges[stop]):.2f} Å⁻¹"
        case QGrid() as grid if stop > start + 1:
            return f"q = ({_hkl(grid.q[start])}) to ({_hkl(grid.q[stop - 1])})"
        case path:
            return f"q = ({_hkl(path.q[(start + stop - 1) // 2])})"


def _along(path: Crystal) -> Across:
    step = path.lattice.to_cartesian(path.q.diff(dim=0)).norm(dim=1)
    centre = torch.cat((step.new_zeros(1), step.cumsum(0)))
    middle = (centre[1:] + centre[:-1]) / 2
    ends = (2 * centre[:1] - middle[:1], 2 * centre[-1:] - middle[-1:]) if len(middle) else (centre - 0.5, centre + 0.5)
    edges = torch.cat((ends[0], middle, ends[1]))
    names = corners(path) if len(corners(path)) <= SIDE_BY_SIDE else tuple(c.replace(" ", "\n") for c in corners(path))
    apart, at = float(CLOSE * (edges[-1] - edges[0])), centre[_corners(path)].tolist()
    shown = [k for k, x in enumerate(at) if k == 0 or x - at[k - 1] > apart]  # of two that would overlap, the first
    return Across(edges, "q along the path (rlu)", tuple(at[k] for k in shown), tuple(names[k] for k in shown))


def corners(path: Crystal) -> tuple[str, ...]:
    """The corners of a path, h k l each."""
    return tuple(_hkl(path.q[k]) for k in _corners(path))


def _corners(path: Crystal) -> list[int]:
    """Ends of the path and bins where it changes direction; of a point that is listed twice, the first."""
    step = torch.nn.functional.normalize(path.lattice.to_cartesian(path.q.diff(dim=0)), dim=1)
    turns = ((step[1:] * step[:-1]).sum(1) < 0.999) & step[:-1].any(dim=1)
    return sorted({0, *(turns.nonzero()[:, 0] + 1).tolist(), len(path) - 1})


def _hkl(q: Float[Tensor, "3"]) -> str:
    return " ".join(f"{x:.3g}" for x in (q + 0.0).tolist())
