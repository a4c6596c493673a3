"""What spin-wave spectra must not depend on: choice of zone, cell, order of sites, direction of bonds, frame, batch, chunks."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import Modes, SpinWaves, spinwave
from sqwirrel.simulate.quadratic import choice
from tests.cases import Bonds, build, from_peers, neighbours, peers, random_q, repeated, rotated, tensor

Q = random_q(10, seed=5)
FIELD = tensor([0.4, -0.7, 1.1])
CELL = np.array([[4.0, 0, 0], [0.5, 4.2, 0], [0.3, -0.2, 6.0]])
PLACES = np.array([[0, 0, 0], [0.45, 0.5, 0.1]])


def generic() -> SpinModel:
    """A low-symmetry two-sublattice model with every kind of term: relaxed, so that it is stationary in any field."""
    rng = np.random.default_rng(0)
    near = neighbours(CELL, PLACES, float(np.linalg.norm((PLACES[1] - PLACES[0]) @ CELL)))
    tensors = np.eye(3) + 0.1 * rng.normal(size=(len(near[0]), 3, 3))
    terms: dict[str, tuple[Bonds, object]] = {"J": (near, tensors), "A": (neighbours(CELL, PLACES, 4.0), -0.3)}
    return build(
        CELL,
        PLACES,
        [[0, 0.1, 1], [0.1, 0, -1]],
        terms,
        anisotropies={"D": np.diag([0.1, 0, -0.5])},
        g=2.0 * np.eye(3) + 0.1 * rng.normal(size=(2, 3, 3)),
        spin=1.5,
        relaxed=True,
    )


def chain(dm: float = 0.3) -> SpinModel:
    """A ferromagnetic chain with a Dzyaloshinskii-Moriya vector along its moments: E(q) is not E(-q)."""
    cell = np.diag([3.0, 8, 8])
    matrix = np.array([[-1, dm, 0], [-dm, -1, 0], [0, 0, -1.2]])
    return build(cell, [[0, 0, 0]], [[0, 0, 1]], {"J": (([0], [0], [[1, 0, 0]]), matrix)})


THETA = tensor([[1.0, 0.8, 0.9]])


def solve(model: SpinModel, q: Tensor = Q, theta: Tensor = THETA, field: Tensor = FIELD, **sample: object) -> Modes:
    with torch.no_grad():
        return SpinWaves(model, q, field=field, **sample)(theta)


def assert_same(a: Modes, b: Modes) -> None:
    """Equal energies, and equal intensities below every energy (degenerate modes may share theirs otherwise)."""
    assert bool(a.stable.all())
    assert bool(b.stable.all())
    assert torch.allclose(a.energy, b.energy, atol=1e-8)
    assert torch.allclose(below(a), below(b), atol=1e-8)


def below(modes: Modes) -> Tensor:
    edge = torch.linspace(-15, 15, 31, dtype=torch.float64)
    return (modes.intensity[..., None] * torch.sigmoid((edge - modes.energy[..., None]) / 0.5)).sum(-2)


def test_energies_repeat_with_the_reciprocal_lattice() -> None:
    moved = solve(generic(), Q + tensor([1, -2, 3]))
    assert torch.allclose(moved.energy, solve(generic()).energy, atol=1e-8)


def test_time_reversal_maps_q_to_minus_q() -> None:
    model = generic()
    reversed_model = dataclasses.replace(model, directions=-model.directions)
    assert_same(solve(model), solve(reversed_model, -Q, field=-FIELD))


def test_dzyaloshinskii_moriya_ferromagnet_is_not_reciprocal_until_its_moments_are_reversed() -> None:
    model, theta, none = chain(), tensor([[1.0]]), torch.zeros(3, dtype=torch.float64)
    there, back = solve(model, Q, theta, none), solve(model, -Q, theta, none)
    assert float((there.energy[..., 0] - back.energy[..., 0]).abs().max()) > 0.1
    assert_same(there, solve(dataclasses.replace(model, directions=-model.directions), -Q, theta, none))


def test_common_factor_on_parameters_and_field_scales_energies_and_leaves_intensities() -> None:
    one, three = solve(generic()), solve(generic(), theta=3 * THETA, field=3 * FIELD)
    assert torch.allclose(three.energy, 3 * one.energy, atol=1e-7)
    assert torch.allclose(three.intensity, one.intensity, atol=1e-7)


def test_order_of_sites_does_not_matter() -> None:
    model = generic()
    swapped = dataclasses.replace(
        model,
        positions=model.positions.flip(0),
        directions=model.directions.flip(0),
        spins=model.spins.flip(0),
        g=model.g.flip(0),
        couplings=tuple(dataclasses.replace(c, i=1 - c.i, j=1 - c.j) for c in model.couplings),
        anisotropies=tuple(dataclasses.replace(a, site=1 - a.site) for a in model.anisotropies),
    )
    assert_same(solve(model), solve(swapped))


def test_direction_of_bonds_does_not_matter() -> None:
    model = generic()
    turned = tuple(Coupling(c.name, c.j, c.i, -c.offset, c.matrix.mT) for c in model.couplings)
    assert_same(solve(model), solve(dataclasses.replace(model, couplings=turned)))


def test_rotating_spins_field_matrices_and_crystal_together_changes_nothing() -> None:
    model = generic()
    turn = tensor(np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0])
    turn = turn * torch.linalg.det(turn)
    assert_same(solve(model), solve(rotated(model, turn), field=turn @ FIELD))


def test_supercell_has_the_intensity_of_the_primitive_cell_at_every_energy() -> None:
    def chain_of(cells: int) -> SpinModel:
        places, _ = repeated([[0, 0, 0]], (cells, 1, 1))
        bonds = neighbours(np.diag([3.0 * cells, 8, 8]), places, 3)
        return build(np.diag([3.0, 8, 8]), places, [[0, 0, 1]] * cells, {"J": (bonds, 1)}, supercell=(cells, 1, 1))

    one, four = (solve(chain_of(cells), theta=tensor([[-1.0]])) for cells in (1, 4))
    assert torch.allclose(below(one), below(four), atol=1e-8)


def test_batch_gives_what_its_rows_give_alone() -> None:
    theta = THETA * torch.linspace(0.9, 1.1, 4, dtype=torch.float64)[:, None]
    together = solve(generic(), theta=theta)
    for row in range(4):
        alone = solve(generic(), theta=theta[row : row + 1])
        assert torch.allclose(together.energy[row], alone.energy[0], atol=1e-10)
        assert torch.allclose(together.intensity[row], alone.intensity[0], atol=1e-10)


@pytest.mark.parametrize("name", ["canted", "N8"])
@pytest.mark.parametrize("relaxed", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_chunks_and_a_basis_made_anew_give_the_same_modes(
    name: str, relaxed: bool, gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = dataclasses.replace(from_peers(peers("cases").CASES[name]()), relaxed=relaxed)
    theta = tensor([[1.0, 1.0], [1.2, 0.7]])
    with torch.set_grad_enabled(gradients):
        whole = SpinWaves(model, Q)(theta)
        monkeypatch.setattr(spinwave, "CHUNK_BYTES", 3 * len(theta) * 16 * (2 * len(model.spins)) ** 2)
        monkeypatch.setattr(spinwave, "BASIS_BYTES", 0)
        chunked = SpinWaves(model, Q)(theta)
    assert_same(whole, chunked)


def ferrimagnet(turn: NDArray[np.float64]) -> SpinModel:
    """Spins 5/2 against 1 and 1, Fe3+ and Ni2+, with g-factors of their own: conserves the spin along them."""
    cell, places = np.diag([5.0, 6, 7]), [[0, 0, 0], [0.4, 0.1, 0], [0.1, 0.5, 0.4]]
    near = [0, 0, 0], [1, 1, 2], [[0, 0, 0], [-1, 0, 0], [0, 0, 0]]
    far = [0, 1, 1], [0, 1, 2], [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    along = np.outer(turn[:, 2], turn[:, 2])
    axial = np.eye(3) + 0.2 * along
    model = build(
        cell,
        places,
        [turn[:, 2], -turn[:, 2], -turn[:, 2]],
        {"J": (near, axial), "F": (far, np.array([-0.3, -0.2, -0.4])[:, None, None] * np.eye(3))},
        anisotropies={"D": -0.1 * along},
        spin=[2.5, 1.0, 1.0],
        g=np.array([2.1, 1.9, 2.3])[:, None, None] * np.eye(3),
    )
    return dataclasses.replace(model, ions=("Fe3+", "Ni2+", "Ni2+"))


def helix(cells: int = 1) -> SpinModel:
    """Two spins a cell, turned by a fifth from cell to cell by Dzyaloshinskii-Moriya exchange; some is biquadratic."""
    cell, (places, at) = np.diag([5.0, 6, 7]), repeated([[0, 0, 0], [0.3, 0.2, 0.1]], (cells, 1, 1))
    i, j = np.arange(2 * cells), (np.arange(2 * cells) + 1) % (2 * cells)
    offset = np.stack(((j == 0), 0 * j, 0 * j), -1).astype(int)
    matrix = np.array([[-1, np.tan(0.2 * np.pi), 0], [-np.tan(0.2 * np.pi), -1, 0], [0, 0, -0.9]])
    strong = np.where(np.arange(2 * cells) % 2, 1.0, 0.8)[:, None, None] * matrix
    side = (i, i, np.tile([0, 1, 0], (2 * cells, 1)))
    turns = -2 * np.pi * (at[:, 0] / 5 + np.arange(2 * cells) % 2 / 10)
    directions = np.stack((np.cos(turns), np.sin(turns), 0 * turns), -1)
    model = build(
        cell,
        places,
        directions,
        {"J": ((i, j, offset), strong), "F": (side, -0.3)},
        squared={"B": ((i, j, offset), -0.05)},
        anisotropies={"D": np.diag([0, 0, 0.1])},
        spin=1.5,
        g=np.diag([1.9, 2.1, 2.2]),
        supercell=(cells, 1, 1),
    )
    return model if cells > 1 else dataclasses.replace(model, spiral=Spiral(tensor([-0.2, 0, 0]), tensor([0, 0, 1])))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_a_block_of_half_the_operators_gives_what_all_of_them_give(
    turned: bool, gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = np.linalg.qr([[1.0, 2, 3], [0, 1, 4], [5, 6, 0]])[0] if turned else np.eye(3)
    model, theta = ferrimagnet(turn), tensor([[1.0, 0.8, 0.9], [1.3, 0.2, 2.0]])
    made = {"field": tensor(1.5 * turn[:, 2]), "temperature": 40.0}
    with torch.set_grad_enabled(gradients):
        half = SpinWaves(model, Q, **made)
        monkeypatch.setattr(choice, "one_sided", lambda *_: None)
        whole = SpinWaves(model, Q, **made)
        assert (half.bosons.size, whole.bosons.size) == (3, 6)
        assert_same(half(theta), whole(theta))


@pytest.mark.parametrize("model", [ferrimagnet(np.eye(3)), generic(), helix()])
def test_waves_can_be_copied_after_they_were_differentiated(model: SpinModel) -> None:
    theta = torch.cat((THETA, THETA), 1)[:, : len(model.names)]
    waves = SpinWaves(model, Q, field=FIELD if model.relaxed else torch.zeros(3))
    torch.func.vmap(lambda x: torch.func.jvp(lambda y: waves(y).energy, (theta,), (x,))[1])(
        torch.eye(theta.shape[1])[:, None].double()
    )
    again = pickle.loads(pickle.dumps(waves))
    assert torch.equal(again(theta).energy, waves(theta).energy)


def test_what_is_not_one_block_is_solved_whole() -> None:
    """A Dzyaloshinskii-Moriya vector along the moments, g-tensors that differ, an anisotropy that is not axial."""
    dm, g, plane = chain(0.3), ferrimagnet(np.eye(3)), ferrimagnet(np.eye(3))
    g = dataclasses.replace(g, g=torch.diag_embed(tensor([[1, 2, 3], [2, 1, 3], [1, 1, 1]])))
    across = Anisotropy("D", torch.arange(3), torch.diag(tensor([-0.1, 0, -0.3])))
    plane = dataclasses.replace(plane, anisotropies=(across,))
    assert [SpinWaves(model, Q).bosons.mirrored for model in (dm, g, plane, chain(0.0))] == [False, False, False, True]


@pytest.mark.parametrize("field", [0.0, 3.0])
@pytest.mark.parametrize("gradients", [False, True])
def test_a_spiral_in_its_rotating_frame_is_that_of_a_supercell(gradients: bool, field: float) -> None:
    """Ten sublattices against two, at q and q +- k, with g-tensors across; energies at q and -q differ.

    In a field the moments lean towards it, into a cone (without biquadratic exchange: its order is not relaxed).
    """
    theta, made = tensor([[1.0, 0.8, 0.9, 0.9], [1.1, 0.5, 0.3, 0.2]]), {"temperature": 20.0}
    models = [helix(n) for n in (1, 5)]
    if field:
        models = [dataclasses.replace(each, relaxed=True, couplings=each.couplings[:2]) for each in models]
        theta, made = theta[:, [0, 1, 3]], {**made, "field": tensor([0, 0, field])}
    with torch.set_grad_enabled(gradients):
        one, five = (SpinWaves(each, Q, **made)(theta) for each in models)
    assert one.energy.shape[-1] == 12
    assert bool((one.stable & five.stable).all())
    assert torch.allclose(below(one), below(five), atol=1e-7)


def test_correlations_of_a_spiral_are_those_of_its_supercell() -> None:
    theta, S = tensor([[1.0, 0.8, 0.9, 0.9]]), []
    for cells in (1, 5):
        energy, each, _ = SpinWaves(helix(cells), Q).correlations(theta)
        weight = torch.sigmoid((torch.linspace(0, 8, 21).double()[:, None, None, None] - energy) / 0.1)
        S.append((weight[..., None, None] * each).sum(-3))
    assert torch.allclose(S[0], S[1], atol=1e-7)


def test_what_breaks_the_rotating_frame_is_refused() -> None:
    with pytest.raises(InputError, match=r"'D' of model 'case' changes when turned about the axis of the spiral"):
        dataclasses.replace(helix(), anisotropies=(Anisotropy("D", [0], np.diag([0.1, 0, 0])),))
    with pytest.raises(InputError, match="does not act along the axis of the spiral"):
        SpinWaves(helix(), Q, field=tensor([1.0, 0, 0]))
    g = tensor([[2, 0, 0.6], [0, 2, 0], [0.6, 0, 2]]).expand(2, 3, 3)
    with pytest.raises(InputError, match="does not act along the axis of the spiral"):
        SpinWaves(dataclasses.replace(helix(), g=g), Q, field=tensor([0, 0, 3.0]))
    for k in ([0, 0, 0], [0.5, 0, 0], [1, 0.5, 0]):
        with pytest.raises(InputError, match="one or two magnetic cells"):
            dataclasses.replace(helix(), spiral=Spiral(tensor(k), tensor([0, 0, 1])))
    with pytest.raises(InputError, match="moments lie along its axis"):
        dataclasses.replace(helix(), directions=tensor([[0, 0, 1], [0, 0, -1]]))


@pytest.mark.parametrize("name", ["fm_chain", "rb2mnf4", "N8", "tri120", "canted"])
def test_path_without_gradients_equals_the_differentiable_one(name: str) -> None:
    model = from_peers(peers("cases").CASES[name]())
    theta = torch.ones(1, len(model.names), dtype=torch.float64)
    waves = SpinWaves(model, random_q(50), temperature=30.0)
    with torch.no_grad():
        fast = waves(theta)
    assert_same(fast, waves(theta))


def test_order_that_is_not_stationary_is_flagged() -> None:
    i, j, offset = neighbours(np.diag([4.0, 8, 8]), [[0, 0, 0], [0.5, 0, 0]], 2)
    matrix = np.array([[1, 0.3, 0], [-0.3, 1, 0], [0, 0, 1]])
    model = build(
        np.diag([4.0, 8, 8]),
        [[0, 0, 0], [0.5, 0, 0]],
        [[1, 0, 0], [-1, 0, 0]],
        {"J": (([0], [1], [[0, 0, 0]]), matrix)},
    )
    assert len(i) == len(j) == len(offset) == 2
    waves = SpinWaves(model, Q)
    assert not bool(waves.is_stationary(tensor([[1.0]])).any())
    assert not bool(waves(tensor([[1.0]])).stable.any())


def test_unstable_hamiltonian_is_a_flag_and_never_nan() -> None:
    answer = solve(chain(0.0), theta=tensor([[1.0], [-1.0], [0.5]]), field=torch.zeros(3, dtype=torch.float64))
    assert answer.stable.all(-1).tolist() == [True, False, True]
    assert bool(torch.isfinite(answer.energy).all())
    assert bool(torch.isfinite(answer.intensity).all())
