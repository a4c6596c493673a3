"""Where in reciprocal space a bin looks: quadrature points for powder shells and for single-crystal boxes.

Points come from an additive recurrence (an R-sequence: powers of the generalised golden ratio), shifted at random from
cell to cell, so that they are spread evenly within a cell and independently between cells.

`concentrate` then keeps the points that matter: a steep cone near a Bragg point fills an energy bin with a few strong
modes out of thousands of points, and would be noisy where the flat top of the band is not.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.observe.views.crystal.blur import Ellipsoids
from sqwirrel.observe.views.lines import Blur
from sqwirrel.observe.views.places import places
from sqwirrel.seeds import sphere, spread, stream
from sqwirrel.spectra import Measurement, QShells

BINS = 20
"""Energy bins between which `concentrate` shares the points of a cell."""
SPREAD = 0.3
"""Share of the points that `concentrate` leaves evenly spread, so that no mode is missed."""
SIMPLE, CELLS_DIFFER = 6, 0.03
"""Cells are one crystal's if rlu convert by multiples of 1 / 6, to this accuracy."""
TAIL = 1e-6
"""A resolution is cut where this much of it is left on either side."""
PAD = 3
"""Powder cells beyond the measured range on either side, so that smearing has something to bring in."""


class Folding(NamedTuple):
    """Points as q = zone[place] + shift[number] (rlu), shifts being reciprocal vectors of the cell that repeats."""

    zone: Float[Tensor, "zone 3"]
    shift: Float[Tensor, "shift 3"]
    place: Int[Tensor, " sample"]
    number: Int[Tensor, " sample"]


@dataclass(frozen=True, eq=False)
class Sampling:
    """Quadrature points `q` (rlu) with their cell and weight, which sums to one in each cell if the points are even.

    `edges` are the |Q| cell edges of a powder, None for a path; `folding` is how points share modes, if they do.
    """

    q: Float[Tensor, "sample 3"]
    cell: Int[Tensor, " sample"]
    weight: Float[Tensor, " sample"]
    edges: Float[Tensor, " edge"] | None
    folding: Folding | None = None

    def pieces(self, some: int) -> Iterator["Sampling"]:
        """Points that share modes, for so many points of the zone at a time, cell by cell; else all as they are."""
        if self.folding is None:
            yield self
            return
        zone, shift, place, number = self.folding
        for start in range(0, len(zone), some):
            mine = (place >= start) & (place < start + some)
            if bool(mine.any()):
                part = Folding(zone[start : start + some], shift, place[mine] - start, number[mine])
                yield replace(self, q=self.q[mine], cell=self.cell[mine], weight=self.weight[mine], folding=part)


def sampling(
    measurement: Measurement,
    lattice: Lattice,
    *,
    samples: int,
    width: float,
    seed: int,
) -> Sampling:
    """About `samples` points for each |Q| cell of at least `width` (1/angstrom), or `samples` for a point of a path."""
    if samples < 1:
        raise InputError(f"samples = {samples}; at least one quadrature point per cell is needed")
    if isinstance(measurement.points, QShells):
        return shells(measurement.points, lattice, samples, width, seed)
    return drawn(measurement, lattice, samples, seed)[0]


def drawn(
    measurement: Measurement,
    lattice: Lattice,
    samples: int,
    seed: int,
    ellipsoids: Ellipsoids | None = None,
    stretch: float = 1.0,
) -> tuple[Sampling, Blur | None]:
    """Points spread over the box of each bin (rlu of `lattice`), and over the resolution in q if there is one.

    The latter is stretched by a factor along all q: how likely points are, and how energies go with them, is then that
    of the points of the resolution itself (`Ellipsoids.draw`), as (q / stretch, E) has its law.
    The cells are the `places` of the measurement.
    """
    where, points = places(measurement), measurement.points
    assert not isinstance(points, QShells)
    n = len(where.q)
    box = points.box.expand(n, 3, 3)
    u = spread(samples, 3 if ellipsoids is None else 5, n, seed, "sampling")
    q, blur = where.q[:, None] + torch.einsum("psa,pab->psb", u[..., :3] - 0.5, box), None
    if ellipsoids is not None:
        shift = torch.rand(n, 1, 1, generator=stream(seed, "tilt"), dtype=torch.float64)
        even = (torch.arange(samples, dtype=torch.float64)[:, None] + shift) / samples
        away, blur = ellipsoids.draw(torch.special.ndtri(torch.cat((even, u[..., 3:]), -1).clamp(TAIL, 1 - TAIL)))
        q = q + stretch * away
    turn = same_cell(points.lattice, lattice)
    return Sampling(q.flatten(0, 1) @ turn, *_equal(n, samples), None), blur


def same_cell(lattice: Lattice, other: Lattice) -> Float[Tensor, "3 3"]:
    """What takes rlu of one lattice to those of another of the same crystal, which may be a multiple of it.

    Small differences of the cells are taken for errors of either, so that a Bragg point stays one.
    """
    raw = lattice.reciprocal @ other.vectors.T / (2 * math.pi)
    turn = (raw * SIMPLE).round() / SIMPLE
    if float((raw - turn).abs().max()) > CELLS_DIFFER or not float(torch.linalg.det(turn).abs()) > 0:
        cells = [", ".join(f"{x:g}" for x in (c.a, c.b, c.c, c.alpha, c.beta, c.gamma)) for c in (lattice, other)]
        raise InputError(
            f"the crystal of the measurement has the cell {cells[0]}, that of the model {cells[1]}, which is no simple "
            "multiple of it; use a model in the same axes"
        )
    return turn


def turned(field: Float[Tensor, "3"], rotation: Float[Tensor, "3 3"]) -> Float[Tensor, "3"]:
    """A field as a twin sees it that a `rotation` took there: an axial vector."""
    seen: Tensor = torch.linalg.det(rotation) * field @ rotation
    return seen


def concentrate(
    dense: Sampling,
    energy: Float[Tensor, "sample mode"],
    intensity: Float[Tensor, "sample mode"],
    span: tuple[float, float],
    *,
    samples: int,
    seed: int,
) -> Sampling:
    """`samples` points a cell out of many, an energy bin of `span` (meV) met by them as the root of its intensity.

    Importance sampling: a point is kept in proportion to the intensity of its modes over the root of all intensity in
    their bins (`SPREAD` of the points evenly), its weight is divided by that, and points are drawn systematically in
    the order of energy. That makes the error of the average the same share of the counting error in every bin.
    """
    cells = int(dense.cell[-1]) + 1
    place = ((energy - span[0]) / (span[1] - span[0]) * BINS).floor()
    inside = (place >= 0) & (place < BINS)
    index = dense.cell[:, None] * BINS + place.clamp(0, BINS - 1).long()
    strength = torch.where(inside, intensity * dense.weight[:, None], 0.0)
    total = torch.zeros(cells * BINS, dtype=strength.dtype).index_add(0, index.flatten(), strength.flatten())
    share = _normalised((strength / total.clamp(min=1e-300).sqrt()[index]).sum(1), dense, cells)
    share = (1 - SPREAD) * share + SPREAD * dense.weight
    key = dense.cell * 1e6 + torch.where(inside, energy, 0.0).amax(1)
    order = key.argsort()
    shift = torch.rand(cells, 1, generator=stream(seed, "concentrate"), dtype=torch.float64)
    mark = torch.arange(cells)[:, None] + (torch.arange(samples) + shift) / samples
    kept = order[torch.searchsorted(share[order].cumsum(0), mark.flatten()).clamp(max=len(order) - 1)].sort().values
    return Sampling(dense.q[kept], dense.cell[kept], dense.weight[kept] / (samples * share[kept]), dense.edges)


def _normalised(share: Tensor, dense: Sampling, cells: int) -> Tensor:
    """Shares that sum to one in each cell; even where no mode falls inside."""
    total = torch.zeros(cells, dtype=share.dtype).index_add(0, dense.cell, share)[dense.cell]
    return torch.where(total > 0, share / total.clamp(min=1e-300), dense.weight)


def shells(points: QShells, lattice: Lattice, samples: int, width: float, seed: int) -> Sampling:
    """Points in shells that cover the bins and a margin."""
    edges = cell_edges(points.edges, width)
    u = spread(samples, 3, len(edges) - 1, seed, "sampling")
    radius = edges[:-1, None] + edges.diff()[:, None] * u[..., 0]
    q = lattice.to_rlu((radius[..., None] * sphere(u[..., 1], u[..., 2])).flatten(0, 1))
    return Sampling(q, *_equal(len(edges) - 1, samples), edges)


def cell_edges(edges: Tensor, width: float) -> Tensor:
    """Cell edges about `width` apart: bins merged or split, and a margin on both sides."""
    ratio = float(edges.diff().median()) / width
    merge, split = max(1, round(1 / ratio)), max(1, round(ratio))
    inner = torch.cat((edges[:-1:merge], edges[-1:]))
    steps = torch.arange(split, dtype=edges.dtype) / split
    inner = torch.cat(((inner[:-1, None] + inner.diff()[:, None] * steps).flatten(), inner[-1:]))
    outside = torch.arange(1, PAD + 1, dtype=edges.dtype) * width
    below = (inner[0] - outside).flip(0).clamp(min=0)
    below = below[below < torch.cat((below[1:], inner[:1]))]
    return torch.cat((below, inner, inner[-1] + outside))


def _equal(cells: int, samples: int) -> tuple[Tensor, Tensor]:
    cell = torch.arange(cells).repeat_interleave(samples)
    return cell, torch.full((cells * samples,), 1 / samples, dtype=torch.float64)
