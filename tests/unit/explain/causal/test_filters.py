"""Filters of causal regions: generalised least squares in a linear system, and what a network sees through them."""

import pytest
import torch

from sqwirrel import Experiment, Instrument, Joint, Measurement, Poisson, Prior, QPath, SlopedBackground, library
from sqwirrel.errors import InputError
from sqwirrel.explain.causal.causal_map import CausalMap, causal_map
from sqwirrel.explain.causal.predict.filters import TOGETHER, filters
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.learn import checkpoint
from sqwirrel.learn.npe import NPE, Ensemble
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.parts import in_a_row
from sqwirrel.learn.train import Effort, train
from sqwirrel.record import Record
from tests.unit.explain.causal.linear import BLOCK, MATRIX, NAMES, Linear

COLUMNS = {name: MATRIX[:, k] for k, name in enumerate(NAMES)}


class Mixed(Linear):
    """Cells that a, b and c all move, none of them alike."""

    matrix = MATRIX + 5 * torch.sin(torch.arange(4 * BLOCK)[:, None] * torch.tensor([0.1, 0.23, 0.31, 0.0]).double())

    def _cells(self, theta: torch.Tensor) -> torch.Tensor:
        return (theta[:, None] * self.matrix).sum(-1)


@pytest.fixture(scope="module")
def found() -> CausalMap:
    return causal_map(Linear(), 64, 3, width=0.4)


def blocks(found: CausalMap, of: tuple[tuple[str, str], ...]) -> list[int]:
    """Which block the region of each filter is, -1 for all together."""
    return [
        -1 if place == TOGETHER else int((found.regions.of == int(place[1:]) - 1).nonzero()[0, 0]) // BLOCK
        for place, _ in of
    ]


def test_filters_in_a_linear_system_are_the_derivatives_in_each_region_and_in_all(found):
    made = filters(found, ("a",))
    assert sorted(blocks(found, made.of)) == [-1, 0, 1]
    assert {name for _, name in made.of} == {"a"}
    for block, weight in zip(blocks(found, made.of), made.weight, strict=True):
        right = COLUMNS["a"] * (torch.arange(4 * BLOCK) // BLOCK == block) if block >= 0 else COLUMNS["a"]
        torch.testing.assert_close(weight * weight.sum().sign(), right / right.norm(), atol=1e-6, rtol=0)


def test_a_filter_tells_what_an_edge_tells_where_nothing_is_projected_out(found):
    """Up to what lengths of the interventions were by chance, which edges are made up for."""
    made = filters(found, ("a",))
    for (place, _), told in zip(made.of, made.told, strict=True):
        if place != TOGETHER:
            assert float(told) == pytest.approx(float(found.edges.effect[int(place[1:]) - 1, 0]), rel=0.1)


def test_where_a_nuisance_moves_a_region_alike_it_tells_nothing(found):
    """a and b move the second block in proportion."""
    assert sorted(blocks(found, filters(found, ("a",), nuisances=("b",)).of)) == [-1, 0]


def test_filters_of_all_regions_give_the_estimate_of_generalised_least_squares():
    system = Mixed()
    made = filters(causal_map(system, 64, 3, width=0.4), ("a", "b"), nuisances=("c",))
    weight = made.weight[torch.tensor([place == TOGETHER for place, _ in made.of])]
    matrix = system.matrix[:, :3]
    z = torch.randn(5, len(matrix), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    right = torch.linalg.lstsq(matrix, z.T).solution[:2]
    torch.testing.assert_close(torch.linalg.solve(weight @ matrix[:, :2], weight @ z.T), right, rtol=1e-4, atol=1e-6)


def test_filters_do_not_move_with_a_nuisance_in_any_region():
    system = Mixed()
    made = filters(causal_map(system, 64, 3, width=0.4), ("a", "b"), nuisances=("c",))
    assert len({place for place, _ in made.of}) > 1
    moved = made.weight @ system.matrix
    assert float(moved[:, 2].abs().max()) < 1e-4 * float(moved[:, :2].abs().max())
    torch.testing.assert_close(made.weight.norm(dim=1), torch.ones(len(made.of)).double())


def test_a_nuisance_that_moves_nothing_changes_no_filter(found):
    one, other = filters(found, ("a",)), filters(found, ("a",), nuisances=("dummy",))
    torch.testing.assert_close(one.weight, other.weight)


def test_regions_of_suspects_are_left_out(found):
    made = filters(found, ("a",), suspects=("b",))
    assert sorted(blocks(found, made.of)) == [-1, 0]
    assert not made.weight[:, BLOCK : 3 * BLOCK].any()


@pytest.mark.parametrize(
    ("causes", "more", "said"),
    [
        (("a", "J9"), {}, "the causal map has no cause 'J9'; it has a, b, c, dummy"),
        ((), {}, "filters need causes, and every name once; got none"),
        (("a",), {"nuisances": ("a",)}, "filters need causes, and every name once; got a, a"),
        (("dummy",), {}, "no region tells of dummy once the nuisances are projected out"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(found, causes, more, said):
    with pytest.raises(InputError, match=said):
        filters(found, causes, **more)


def test_suspects_that_move_everything_are_refused(found):
    with pytest.raises(InputError, match="the suspects a, b, c may move every region; name those whose shape is known"):
        filters(found, ("dummy",), suspects=("a", "b", "c"))


CHAIN = library.load("fm_chain")
KNOWN = {
    "J": {"uniform": [-1.5, -0.8]},
    "fwhm": 0.4,
    "scale": {"loguniform": [40, 80]},
    "background": {"uniform": [4, 8]},
}
TRUTH = {"J": -1.1, "fwhm": 0.4, "scale": 60.0, "background": 6.0, "background_slope": 0.0}


def path(points: int, energies: int) -> Experiment:
    q = torch.zeros(points, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, points)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, energies + 1), 1.0)
    return Experiment(CHAIN, where, Instrument(background=SlopedBackground(), counting=Poisson()), samples=1)


@pytest.fixture(scope="module")
def chain() -> Experiment:
    return path(10, 36)


@pytest.fixture(scope="module")
def system(chain) -> Spectra:
    """With two bins that were not measured, and a slope that may be there."""
    wide = Prior.from_mapping({**KNOWN, "background_slope": {"uniform": [-0.5, 0.5]}})
    hit = torch.zeros(chain.measurement.shape, dtype=torch.bool)
    hit[3, 5:7] = True
    return Spectra.of(chain, wide, chain.sample(chain.pack(**TRUTH), seed=1).without(hit))


@pytest.fixture(scope="module")
def mapped(system) -> CausalMap:
    return causal_map(system, 64, 3, width=1.0)


@pytest.fixture(scope="module")
def pairs(chain) -> Pairs:
    return Pairs(simulations(chain, Prior.from_mapping({**KNOWN, "background_slope": 0.0}), 300, seed=1))


def test_a_projection_sums_the_measured_bins_of_an_image(system, mapped, pairs):
    made, theta = filters(mapped, ("J",)), system.prior.sample(4, 1)
    x = pairs.see(system.target.terms[0].experiment.predict(system.target.full(theta))[0])
    found = made.projection(system).filtered(x).double()
    torch.testing.assert_close(found, system.see(theta)[0] @ made.weight.T, rtol=1e-4, atol=1e-3)


def test_a_projection_of_several_measurements_finds_the_bins_of_each(chain):
    names = ("fwhm", "scale", "background", "background_slope")
    both = Joint({"one": chain, "other": path(6, 24)}, shared=names)
    known = Prior.from_mapping({**KNOWN, "background_slope": 0.0})
    data = {label: each.sample(each.pack(**TRUTH), seed=1) for label, each in both.experiments.items()}
    system, pairs = Spectra.of(both, known, data), Pairs(simulations(both, known, 20, seed=1))
    made, theta = filters(causal_map(system, 64, 3, width=1.0), ("J",)), known.sample(3, 1)
    expected = [term.experiment.predict(system.target.own(term, system.target.full(theta)))[0] for term in system.terms]
    found = made.projection(system).filtered(pairs.see(in_a_row(expected))).double()
    torch.testing.assert_close(found, system.see(theta)[0] @ made.weight.T, rtol=1e-4, atol=1e-3)


def test_filters_of_a_narrow_prior_hardly_move_with_what_is_projected_out(chain):
    """Scale, 20 of 600, and background, 0.2 of 6: the one is spread over the band, the other over the rest."""
    wide = Prior.from_mapping({**KNOWN, "scale": {"loguniform": [400, 800]}, "background_slope": 0.0})
    system = Spectra.of(chain, wide, chain.sample(chain.pack(**{**TRUTH, "scale": 600.0}), seed=1))
    narrow = causal_map(system, 64, 3, width=0.1)
    rows = narrow.middle + torch.diag(torch.tensor([0.0, 20.0, 0.2], dtype=torch.float64))
    z, _ = system.see(rows)
    for cause in (1, 2):
        free, held = (
            float((filters(narrow, ("J",), nuisances=nuisances).weight @ (z[cause] - z[0])).abs().max())
            for nuisances in ((), ("scale", "background"))
        )
        assert held < 0.2 * free


@pytest.mark.parametrize("members", [0, 2])
def test_a_network_on_filters_learns_and_is_kept(system, mapped, pairs, tmp_path, members):
    embed = filters(mapped, ("J",), nuisances=("scale", "background")).projection(system)
    one = NPE.sized_for(pairs, 1, embed)
    if not members:
        history = train(one, pairs, Effort(steps=120, batch=64, every=40))
        assert history.losses[-1] < history.losses[0] - 0.3
    other = NPE.sized_for(pairs, 2, filters(mapped, ("J",), nuisances=("scale", "background")).projection(system))
    network = Ensemble([one, other]) if members else one
    checkpoint.save(tmp_path, network, pairs, Record.start())
    x = pairs.batch(3, 1, "kept").x
    assert torch.equal(checkpoint.load(tmp_path, pairs).features(x), network.features(x))


def test_filters_of_other_bins_are_refused(mapped, system):
    embed = filters(mapped, ("J",)).projection(system)
    with pytest.raises(InputError, match="the filters are of 360 bins, the images have 350; make the causal map on"):
        embed.filtered(torch.zeros(2, 3, 10, 35))
