"""The tree of regions: of a system whose losses are known, of pieces that touch nothing, of any map."""

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, is_monotonic, is_valid_linkage

from sqwirrel.explain.causal.causal_map import CausalMap, causal_map
from sqwirrel.explain.causal.edges import TOLD
from sqwirrel.explain.causal.regions import Regions
from sqwirrel.explain.causal.zoom import coarse, linkage, pieces
from tests.unit.explain.causal.linear import BLOCK, Linear

WIDTH = 0.4
UNIT = WIDTH / 12**0.5
"""Root of half the mean squared distance of two even numbers in the window."""


@pytest.fixture(scope="module")
def found() -> CausalMap:
    return causal_map(Linear(), 64, 3, width=WIDTH)


def regions_of(of: list[int], touching: list[tuple[int, int]]) -> Regions:
    neighbours = torch.tensor(touching)
    none = torch.zeros(max(of) + 1, 1).bool()
    return Regions(torch.tensor(of), none, neighbours, torch.zeros(len(neighbours)), torch.ones(1))


def is_sound(joins: np.ndarray) -> bool:
    return is_valid_linkage(joins) and is_monotonic(joins)


def test_what_one_cause_moves_is_one_before_what_nothing_else_moves_joins(found):
    """Blocks are moved by a, a and b, b, c: s is (20, 0, 0), (20, 30, 0), (0, 30, 0), (0, 0, 25)."""
    assert is_sound(found.linkage)
    assert found.linkage[:, 3].tolist() == [2, 3, 4]
    share = np.sqrt([1 / 2, 2 / 3, 2 / 4])  # blocks that a moves, of those joined; b, of the last two
    a, b = 20 * share, 30 * share
    losses = (
        (20 - a[0]) ** 2 + a[0] ** 2,
        (20 - a[1]) ** 2 + 2 * (a[0] - a[1]) ** 2 + b[1] ** 2 + 2 * (30 - b[1]) ** 2,
        3 * (a[1] - a[2]) ** 2 + a[2] ** 2 + 3 * (b[1] - b[2]) ** 2 + b[2] ** 2 + (25 - 12.5) ** 2 + 3 * 12.5**2,
    )
    np.testing.assert_allclose(found.linkage[:, 2], UNIT * np.sqrt(BLOCK * np.array(losses)), rtol=1e-5)
    for count, wanted in ((2, {(0, 1, 2), (3,)}), (3, {(0,), (1, 2), (3,)})):
        blocks = found.coarse(count).of[found.regions.of].reshape(4, BLOCK)[:, 0].tolist()
        assert {tuple(k for k, each in enumerate(blocks) if each == one) for one in set(blocks)} == wanted


def test_effects_of_joined_regions_add_up_and_parents_are_told_from_all_their_cells(found):
    both = found.coarse(2)
    expected = UNIT * BLOCK**0.5 * torch.tensor([[20 * 2**0.5, 30 * 2**0.5, 0, 0], [0, 0, 25, 0]]).double()
    torch.testing.assert_close(both.effect, expected, rtol=1e-5, atol=1e-6)
    assert both.parents.tolist() == [[True, True, False, False], [False, False, True, False]]
    weak = regions_of([0, 1], [(0, 1)])
    effect = torch.tensor([[0.9 * TOLD], [0.9 * TOLD]])
    assert not coarse(linkage(weak, effect), weak.sizes, effect, 2).parents.any()
    assert coarse(linkage(weak, effect), weak.sizes, effect, 1).parents.all()


def test_a_map_has_no_more_regions_than_it_has(found):
    assert torch.equal(found.coarse(9).effect, found.edges.effect)
    assert torch.equal(found.coarse(4).of, torch.arange(4))
    alone = regions_of([0, 0], [(0, 1)])
    assert linkage(alone, torch.ones(1, 1)).shape == (0, 4)


def test_pieces_that_touch_nothing_join_last_however_alike_they_are():
    """Two of three cells in a row, one peak; the peak is moved as the first cell of the first piece is."""
    regions = regions_of([0, 1, 2, 3, 4, 5, 6], [(0, 1), (1, 2), (3, 4), (4, 5)])
    effect = torch.tensor([[1.0], [9.0], [40.0], [2.0], [8.0], [50.0], [1.0]])
    joins = linkage(regions, effect)
    assert is_sound(joins)
    of = coarse(joins, regions.sizes, effect, 3).of.tolist()
    assert len(set(of[:3])) == len(set(of[3:6])) == 1
    assert len(set(of)) == pieces(regions) == 3
    assert (joins[-2:, 2] >= joins[:-2, 2].max()).all()


@pytest.mark.parametrize("seed", range(5))
def test_regions_of_any_map_stay_in_one_piece_and_heights_never_fall(seed):
    """Patches of a square of cells; those that are joined touch, and SciPy cuts the tree alike."""
    generator = torch.Generator().manual_seed(seed)
    side, patches = 18, 40
    place = torch.rand(patches, 2, generator=generator) * side
    cells = torch.cartesian_prod(torch.arange(side), torch.arange(side))
    near = torch.cdist(cells + 0.5, place).argmin(1)
    number = torch.arange(side * side).reshape(side, side)
    upright, level = (number[1:], number[:-1]), (number[:, 1:], number[:, :-1])
    neighbours = torch.cat([torch.stack([a.flatten(), b.flatten()], -1) for a, b in (upright, level)])
    of = torch.unique(near, return_inverse=True)[1]
    regions = regions_of(of.tolist(), neighbours.tolist())
    effect = (2 * torch.randn(len(regions.sizes), 3, generator=generator)).exp()
    joins = linkage(regions, effect)
    assert is_sound(joins)
    graph = nx.Graph(of[neighbours].tolist())
    for count in range(1, len(effect) + 1):
        few = coarse(joins, regions.sizes, effect, count)
        assert len(few.effect) == count
        for k in range(count):
            assert nx.is_connected(graph.subgraph((few.of == k).nonzero()[:, 0].tolist()))
        cut = torch.from_numpy(fcluster(joins, count, "maxclust"))
        if len(cut.unique()) == count:  # not of joins with one height
            assert len(torch.unique(torch.stack((cut, few.of)), dim=1).T) == count
        torch.testing.assert_close(few.effect.square().sum(0), effect.square().sum(0))
    assert (np.diff(joins[:, 2]) > 0).sum() > len(joins) / 2
