"""Filters: what a causal map says an estimator should look at, region by region.

Interventions on a cause move a region along a few directions: the right singular vectors v_k of what they change;
s_k is by how many standard deviations a matched filter along v_k tells an intervention. In a linear system there is
one, its derivative. What lies along the first direction of each nuisance in the same region is taken off,

    w = v - N (N^T N)^-1 N^T v,

so that w does not move with the nuisance to first order: generalised least squares with the nuisances free, as in J.
Neyman's C(alpha), in U. Grenander (ed.), Probability and Statistics, Almqvist & Wiksell 1959. A nuisance then has a
strength of its own in each region, which costs information; filters of all regions together have one strength of it.
Further directions of a nuisance are left: it is held where interventions on it do much the same everywhere in the
prior (a background), and on average where they do not (the scale of a band that moves).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.causal_map import CausalMap
from sqwirrel.explain.causal.edges import ABSENT, PRESENT, TOLD
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.learn.embed import Projection

SLIGHT = 0.01
"""What a nuisance moves by less than so many standard deviations is not taken off: its direction is not known."""
TOGETHER = "all"
"""What the regions are called where they are taken together."""


@dataclass(frozen=True, eq=False)
class Filters:
    """Filters of length 1 over the cells of a system; `of` says of which region and which cause each is, and `told` by
    how many standard deviations it tells an intervention on that cause.
    """

    of: tuple[tuple[str, str], ...]
    told: Float[Tensor, " filter"]
    weight: Float[Tensor, "filter cell"]

    def projection(self, system: Spectra) -> Projection:
        """The embedding of images on the bins of a system."""
        valid = torch.cat([each.spread(torch.ones(each.term.size)).isfinite().flatten() for each in system.cells])
        weight = torch.zeros(len(self.of), len(valid))
        weight[:, valid] = self.weight.float()
        return Projection(weight)


def filters(
    found: CausalMap, causes: Sequence[str], *, nuisances: Sequence[str] = (), suspects: Sequence[str] = ()
) -> Filters:
    """Those of `causes` (parameters to be estimated) in every region that they move.

    They do not move with `nuisances` to first order. Regions that one of the `suspects` moves, or may move, are left
    out. Both must be causes of the map. Make it over the whole prior of the estimator (`width` 1), or a filter knows
    less of the directions than the estimator will meet.
    """
    _check(found, causes, nuisances, suspects)
    state, columns = found.edges.state, [found.names.index(name) for name in suspects]
    left = (state[:, columns] == ABSENT).all(1)
    if not bool(left.any()):
        raise InputError(
            f"the suspects {', '.join(suspects)} may move every region; name those whose shape is known as nuisances"
        )
    of, every = found.regions.of, torch.ones_like(state[0], dtype=torch.bool)
    parts = [(f"R{k + 1}", of == k, state[k] == PRESENT) for k in left.nonzero()[:, 0].tolist()]
    made = [
        _made(found, name, place, cells, nuisances)
        for place, cells, moved in (*parts, (TOGETHER, left[of], every))
        for name in causes
        if moved[found.names.index(name)]
    ]
    places = tuple(of for each in made for of in each.of)
    if not places:
        raise InputError(
            f"no region tells of {', '.join(causes)} once the nuisances are projected out and regions of suspects left "
            "out; name fewer, or measure longer"
        )
    return Filters(places, torch.cat([each.told for each in made]), torch.cat([each.weight for each in made]))


def _check(found: CausalMap, causes: Sequence[str], nuisances: Sequence[str], suspects: Sequence[str]) -> None:
    named = [*causes, *nuisances, *suspects]
    if not causes or len(set(named)) < len(named):
        raise InputError(f"filters need causes, and every name once; got {', '.join(named) or 'none'}")
    if unknown := [name for name in named if name not in found.names]:
        raise InputError(f"the causal map has no cause '{unknown[0]}'; it has {', '.join(found.names)}")


def _made(found: CausalMap, name: str, place: str, cells: Bool[Tensor, " cell"], nuisances: Sequence[str]) -> Filters:
    """Of one cause in one region."""
    size, direction = _directions(found, name, cells)
    first = [strength[:1, None] * along[:1] for strength, along in (_directions(found, x, cells) for x in nuisances)]
    _, strength, basis = torch.linalg.svd(torch.cat((direction[:0], *first)), full_matrices=False)
    basis = basis[strength > SLIGHT]
    rest = direction - direction @ basis.T @ basis
    length = rest.norm(dim=1)
    kept = size * length > TOLD
    weight = torch.zeros(int(kept.sum()), len(cells), dtype=torch.float64)
    weight[:, cells] = rest[kept] / length[kept, None]
    return Filters(((place, name),) * len(weight), (size * length)[kept], weight)


def _directions(
    found: CausalMap, name: str, cells: Bool[Tensor, " cell"]
) -> tuple[Float[Tensor, " direction"], Float[Tensor, "direction inside"]]:
    """What interventions on a cause move some cells along, and by how many standard deviations (root of half the mean
    square), the largest first.
    """
    k = found.names.index(name)
    change: Float32[Tensor, "pair inside"] = torch.from_numpy(found.changes.change[:, k][:, cells.numpy()])
    change = change[found.changes.good[:, k]].double()
    _, size, direction = torch.linalg.svd(change / (2 * len(change)) ** 0.5, full_matrices=False)
    return size, direction
