"""A linear system, whose regions, edges and inverse map follow from its matrix."""

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.averages import KNOWN, averaged, controls
from sqwirrel.explain.causal.causal_map import CausalMap, causal_map
from sqwirrel.explain.causal.design import Changes, intervene
from sqwirrel.explain.causal.edges import ABSENT, PRESENT, TOLD
from sqwirrel.explain.causal.regimes import regimes
from sqwirrel.explain.causal.regions import _absorbed, _components, _longest
from sqwirrel.model.laws import Uniform
from sqwirrel.model.prior import Prior
from tests.unit.explain.causal.linear import BLOCK, MATRIX, NAMES, Linear, Stepped

WIDTH = 0.4
BLOCKS = MATRIX.reshape(4, BLOCK, 4)
MEAN_SQUARE = WIDTH**2 / 6
"""Of the distance of two even numbers in the window."""


@pytest.fixture(scope="module")
def found() -> CausalMap:
    return causal_map(Linear(), 64, 3, width=WIDTH)


@pytest.fixture(scope="module")
def block(found) -> torch.Tensor:
    """Which block each region is."""
    return torch.stack([(found.regions.of == k).nonzero()[0, 0] // BLOCK for k in range(4)])


def test_regions_are_the_blocks_and_parents_the_causes_that_move_them(found, block):
    assert found.regions.sizes.tolist() == [BLOCK] * 4
    assert torch.equal(found.regions.of.reshape(4, BLOCK), found.regions.of[::BLOCK, None].expand(4, BLOCK))
    assert torch.equal(found.regions.parents, (BLOCKS[block] != 0).any(1))


def test_borders_are_sure_between_blocks_and_nowhere_else(found):
    at = (torch.arange(1, 4 * BLOCK) % BLOCK == 0).double()
    assert torch.equal(found.regions.border, at)


def test_a_small_region_goes_to_a_neighbour_with_all_parents_that_it_tells_and_stays_where_there_is_none():
    """Every block is small; the first and third go to the second, which a and b move; no other answers to c."""
    regions = causal_map(Linear(), 16, 3, width=WIDTH, least=0.5).regions
    assert torch.equal(regions.of, (torch.arange(4 * BLOCK) >= 3 * BLOCK).long())
    assert [[NAMES[k] for k in each.nonzero()[:, 0]] for each in regions.parents] == [["a", "b"], ["c"]]


@pytest.mark.parametrize("seed", range(6))
def test_every_region_is_in_one_piece_has_its_own_parents_and_touches_none_of_the_same(seed):
    """Noise on a square, small regions absorbed."""
    wide, draw = 24, torch.Generator().manual_seed(seed)
    cell = torch.arange(wide**2).reshape(wide, wide)
    pairs = ((cell[1:], cell[:-1]), (cell[:, 1:], cell[:, :-1]))
    neighbours = torch.cat([torch.stack((a.flatten(), b.flatten()), -1) for a, b in pairs])
    moved = torch.rand(3, wide**2, generator=draw, dtype=torch.float64)
    of, parents = _absorbed(moved > 0.5, moved, neighbours, 12)
    ends = of[neighbours]
    own = (parents[of] == (moved > 0.5).T).all(1)
    assert torch.equal(of[own].unique(), of.unique())
    assert len(parents) == len(of.unique()) < wide**2 / 2
    assert len(_components(of, neighbours).unique()) == len(parents)
    assert not (parents[ends[:, 0]] == parents[ends[:, 1]]).all(1)[ends[:, 0] != ends[:, 1]].any()


def test_a_region_that_goes_itself_takes_none_in():
    """Each of a chain would go to the next: the first stays, and the last takes in the one before it."""
    ends = torch.tensor([[0, 1], [1, 2], [1, 2], [2, 3], [2, 3], [2, 3]])
    assert _longest(ends, torch.tensor([1, 1, 1, 5])).tolist() == [0, 1, 3, 3]


def test_effects_are_known_and_not_cancelled_by_opposite_lobes(found, block):
    """d'^2 = sum of slopes^2 over the region times E[distance^2] / 2; a square of the distance is all there is."""
    expected = (BLOCKS[block].square().sum(1) * MEAN_SQUARE / 2).sqrt()
    torch.testing.assert_close(found.edges.effect, expected, rtol=1e-5, atol=1e-6)
    low, high = found.edges.interval95.unbind(-1)
    torch.testing.assert_close(high, low, rtol=1e-4, atol=1e-6)


def test_what_moves_nothing_has_an_effect_of_exactly_0(found, block):
    nothing = (BLOCKS[block] == 0).all(1)
    assert nothing[:, NAMES.index("dummy")].all()
    assert not found.edges.effect[nothing].any()
    assert torch.equal(found.edges.state == ABSENT, nothing)
    assert torch.equal(found.edges.state == PRESENT, ~nothing)
    assert found.edges.score == 1
    assert found.edges.relevance == pytest.approx(5 / 16)


def test_the_inverse_map_is_that_of_linear_regression(found, block):
    prior = torch.diag(torch.full((4,), 12.0, dtype=torch.float64))
    each = torch.einsum("bci,bcj->bij", BLOCKS[block], BLOCKS[block])
    sigma = torch.linalg.inv(each.sum(0) + prior).diagonal().sqrt()
    torch.testing.assert_close(found.inverse.sigma, sigma)
    alone = torch.stack([torch.linalg.inv(one + prior).diagonal().sqrt() for one in each])
    torch.testing.assert_close(found.inverse.alone, alone)
    without = torch.stack([torch.linalg.inv(each.sum(0) - one + prior).diagonal().sqrt() for one in each])
    torch.testing.assert_close(found.inverse.inflation, without / sigma)
    assert found.inverse.known[0] == pytest.approx((20**2 * 2 * BLOCK + 12) ** -0.5)


def test_the_graph_has_causes_regions_and_the_edges_that_are_there(found, block):
    graph = found.graph
    assert [node for node, kind in graph.nodes(data="kind") if kind == "cause"] == list(NAMES)
    wanted = {(NAMES[k], f"R{region + 1}") for region, k in (BLOCKS[block] != 0).any(1).nonzero().tolist()}
    assert set(graph.edges) == wanted
    assert {state for *_, state in graph.edges(data="state")} == {"present"}
    assert graph.nodes["R1"]["bins"] == BLOCK


def test_a_simulator_that_misses_something_is_worth_less(found):
    other = causal_map(Linear(), 64, 3, width=WIDTH, excess=2.0)
    torch.testing.assert_close(other.edges.effect, found.edges.effect / 2)


def test_regimes_of_a_cause_that_acts_above_a_threshold():
    """Pairs whose middle is in the lowest quarter, below 0.354, end below 0.708, and the others may pass 0.75."""
    found = causal_map(Stepped(), 128, 3, width=1.0)
    below, above = found.regimes["c"]
    assert not below.active.any()
    assert above.active.sum() == 1
    assert 0.3 < below.high <= above.low < 0.4
    assert [len(found.regimes[name]) for name in ("a", "b", "dummy")] == [1, 1, 1]


def test_a_region_with_d_prime_3_is_hardly_ever_sure():
    """Changes that are as long as their interventions, whose d' is 3 everywhere: said to be sure in a few per cent."""
    sure = []
    for seed in range(60):
        even = torch.rand(64, 2, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        chance = torch.rand(64, 1, generator=torch.Generator().manual_seed(900 + seed), dtype=torch.float64)
        length = (even[:, 0] - even[:, 1]).abs()
        energy = (length**2 * TOLD**2 / KNOWN[1] * 2 * chance)[None]
        prior = Prior(a=Uniform(0, 1))
        changes = Changes(even[:, 0], even[:, 1], even, np.zeros((64, 1, 1), np.float32), torch.ones(64, 1).bool())
        sure += [each.probability[0] for each in regimes(prior, changes, energy)["a"]]
    outside = [not 0.025 < float(each) < 0.975 for each in sure]
    assert sum(outside) / len(outside) < 0.15


def test_causes_go_between_two_values_whatever_their_prior():
    system, between = Linear(), torch.tensor([[0.2, 0.3], [0.5, 0.9], [0.0, 1.0], [0.4, 0.6]], dtype=torch.float64)
    between = between[: len(system.prior.names)]
    found = causal_map(system, 64, 3, middle=between.mean(1), between=between)
    torch.testing.assert_close(found.between, between, rtol=1e-6, atol=1e-6)
    ends = torch.stack((found.changes.base.amin(0), found.changes.base.amax(0)))
    assert bool((ends[0] >= between[:, 0] - 1e-9).all() & (ends[1] <= between[:, 1] + 1e-9).all())


@pytest.mark.parametrize(
    ("middle", "words"), [([0.5], "has 1 values; its causes are a, b"), ([9.0] * 4, "has a = 9, which the prior")]
)
def test_middles_that_are_none_are_refused(middle, words):
    with pytest.raises(InputError, match=words):
        causal_map(Linear(), 64, 3, middle=torch.tensor(middle, dtype=torch.float64))


def test_terms_of_regression_are_0_on_average():
    """The law of large numbers: 200 000 pairs, terms at most 1 in size."""
    even = torch.rand(200_000, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    terms = controls(even, 1, len(even))
    assert terms.shape[1] == 2 + 3 + 3 + 3 + 2
    assert terms.mean(0).abs().max() < 0.002
    assert controls(even[:64], 1, 64).shape[1] == 5
    assert controls(even[:32], 1, 32).shape[1] == 2


def test_a_mean_and_its_spread_over_designs():
    """Squares of the distance times 1 + place of another cause, and noise that nothing explains."""
    generator = torch.Generator().manual_seed(2)
    even = torch.rand(400, 256, 2, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(400, 256, generator=generator, dtype=torch.float64)
    values = (even[..., 0, 0] - even[..., 1, 0]) ** 2 * (1 + even[..., 0, 2] - 0.5) + 0.1 * noise
    good = torch.ones(256, dtype=torch.bool)
    means = [averaged(v[:, None], controls(e, 0, 256), good) for v, e in zip(values, even, strict=True)]
    mean = torch.stack([each.mean for each in means])
    assert mean.mean() == pytest.approx(1 / 6, abs=4 * 0.1 / (400 * 256) ** 0.5)
    drawn = torch.stack([each.resampled(200, k)[:, 0].std() for k, each in enumerate(means)])
    assert drawn.mean() == pytest.approx(float(mean.std()), rel=0.15)


def test_other_designs_have_other_rows_and_the_same_seed_the_same():
    one, same, other = (intervene(Linear(), 16, seed) for seed in (1, 1, 2))
    assert (one.change == same.change).all()
    assert not (one.base == other.base).any()
