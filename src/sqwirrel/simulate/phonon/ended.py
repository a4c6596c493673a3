"""Springs that end: how far their branches are off at best, as published models of metals that reach further say.

Springs to some neighbour, fitted to branches that those beyond make, too, make up for them where they can. What is left
is no error of a measurement, and no band of counting holds it.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.library.structures import crystal_of, neighbours_of
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.seeds import spread
from sqwirrel.simulate.phonon.phonons import Phonons

LATTICES = {(12, 1.414): "fcc", (8, 1.155): "bcc"}
"""Structures by how many nearest neighbours there are, and how much further the next ones are."""
BEYOND, FEWEST, HELD = 2, 5, 0.9
"""Published models say something if they reach so many neighbours further, and there are so many elements of them; so
many of their branch points are within what is said."""
POINTS, STEPS = 64, 40
"""Wavevectors that branches are fitted at, and steps of the fit."""
LOW = 0.05
"""Points below this share of the highest energy are looked at as if they were there: shares of nothing say nothing."""


def astray(model: PhononModel) -> float | None:
    """The share of their energy that nine in ten points of the branches of the model are off by, at most, because its
    springs end: None for other crystals than fcc and bcc ones of one atom, for springs that reach so far that few
    published ones go further, and for those that another program found.

    >>> astray(library.load("al_80k")) is None
    True
    """
    shells = [int(found[1]) for name in model.names if (found := re.match(r"K(\d+)", name))]
    like = _lattice(model)
    if like is None or len(shells) < len(model.names):
        return None
    return _share(like, max(shells), model.elements[0])


def holding(
    middle: Float[Tensor, "*point"], band: Float[Tensor, "2 *point"], share: float
) -> Float[Tensor, "2 *point"]:
    """A band of energies round their medians with that share of them added to either side, in quadrature."""
    low, high = torch.hypot(band - middle, share * middle.clamp(min=0))
    return torch.stack((middle - low, middle + high))


@cache
def _share(like: str, shells: int, but: str) -> float | None:
    """Over published models of a structure, each element counting as one and one of them left out."""
    tables = {name: library.published(name) for name in library.names()}
    reach = {name: _lengths(table) for name, table in tables.items() if table["structure"] == like}
    of = {name: tables[name]["element"] for name, far in reach.items() if len(far) >= shells + BEYOND}
    models = Counter(element for element in of.values() if element != but)
    if len(models) < FEWEST:
        return None
    rows = [(_missed(name, reach[name][shells - 1]), 1 / models[of[name]]) for name in of if of[name] != but]
    share, order = torch.cat([each for each, _ in rows]).sort()
    weight = torch.cat([torch.full_like(each, one) for each, one in rows])[order].cumsum(0)
    return float(share[int(torch.searchsorted(weight, HELD * weight[-1]))])


def _missed(name: str, near: float) -> Float[Tensor, " point"]:
    """How far the best springs to `near` A are from each branch of a published model, over its energy."""
    model = library.load(name)
    q = 2 * spread(POINTS, 3, 1, 1, "ended")[0]
    with torch.no_grad():
        exact = Phonons(model, q).energies(model.pack())[0]
    cut = born_von_karman(crystal_of(library.published(name)), max_distance=1.01 * near)
    phonons = Phonons(cut, q)
    theta = torch.tensor([[model.defaults.get(each, 0.0) for each in cut.names]], dtype=torch.float64)
    theta.requires_grad_()
    search = torch.optim.LBFGS([theta], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        square: Tensor = ((phonons.energies(theta)[0] - exact) ** 2).mean()
        square.backward()  # type: ignore[no-untyped-call]
        return square

    with torch.enable_grad():
        search.step(loss)  # type: ignore[no-untyped-call]
    away = (phonons.energies(theta.detach())[0] - exact).abs()
    return (away / exact.clamp(min=LOW * float(exact.max()))).flatten()


def _lengths(table: dict[str, object]) -> list[float]:
    """Lengths of the bonds of a published model, the shortest first."""
    return _different(each.orbit.distance for each in neighbours_of(table, crystal_of(table)))


def _lattice(model: PhononModel) -> str | None:
    """Which structure a crystal has, if it has one of these."""
    if len(model.positions) > 1:
        return None
    steps = torch.cartesian_prod(*[torch.arange(-2.0, 3.0, dtype=torch.float64)] * 3)
    far = (steps @ model.primitive @ model.lattice.vectors).norm(dim=1)
    lengths = _different(far[far > 1e-6].tolist())
    nearest = int((far[far > 1e-6] < 1.001 * lengths[0]).sum())
    return LATTICES.get((nearest, round(lengths[1] / lengths[0], 3)))


def _different(lengths: Iterable[float]) -> list[float]:
    return sorted({round(each, 4) for each in lengths})
