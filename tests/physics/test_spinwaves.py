"""Spin waves against closed forms and independently computed numbers (physics.md section 4).

Left out: the fcc MnO-like spectrum, whose quartic single-ion term no quadratic model holds.
"""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel.model.ions import form_factor
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import Modes, SpinWaves
from sqwirrel.units import MU_B
from tests.cases import build, from_peers, neighbours, peers, random_q, tensor

NEEL = np.array([[1.0, 1, 0], [1, -1, 0], [0, 0, -2]])
"""Magnetic cell of a square-lattice antiferromagnet, in units of the chemical one."""
PLACES = [[0, 0, 0], [0.5, 0.5, 0]]
EASY_AXIS = np.diag([0, 0, -1.0])
CELL_Q = tensor([[0.1, 0.2, 0.3], [0.25, 0.5, 0], [0.37, -0.61, 0.12]])


def modes(model: SpinModel, q: Tensor, theta: list[float], **sample: object) -> Modes:
    with torch.no_grad():
        return SpinWaves(model, q, **sample)(tensor([theta]))


def square(matrix: object = 1.0, **options: object) -> SpinModel:
    bonds = neighbours(NEEL, PLACES, 1)
    return build(NEEL, PLACES, [[0, 0, 1], [0, 0, -1]], {"J": (bonds, matrix)}, **options)


def test_ferromagnetic_chain_has_energy_2js_one_minus_cosine() -> None:
    cell = np.diag([3.0, 8, 8])
    chain = build(cell, [[0, 0, 0]], [[0, 0, 1]], {"J": (neighbours(cell, [[0, 0, 0]], 3), 1)})
    q = tensor([[h, 0, 0] for h in (0, 0.25, 0.5, 0.75, 1)])
    energy = modes(chain, q, [-1.0]).energy[0, :, 0]
    assert torch.allclose(energy, tensor([0, 2, 4, 2, 0]), atol=1e-8)


def test_canted_square_antiferromagnet_in_a_field_meets_its_closed_form() -> None:
    J, D, h, S, q = 1.0, 0.54, 0.76, 1.5, (0.12, 0.23, 0.34)
    start = [[0.9, 0, 0.2], [-0.9, 0, 0.1]]
    model = build(
        NEEL,
        PLACES,
        start,
        {"J": (neighbours(NEEL, PLACES, 1), 1)},
        anisotropies={"D": -EASY_AXIS},
        spin=S,
        relaxed=True,
    )
    waves = SpinWaves(model, tensor([NEEL @ q]), field=(0, 0, h / (2 * MU_B)))
    energy = waves(tensor([[J, D]])).energy[0, 0, :2]
    assert energy.tolist() == pytest.approx([6.5876319156, 5.9099419915], abs=1e-8)
    cosine, jq = (h / (2 * S * (4 * J + D))) ** 2, 2 * J * S * (math.cos(math.tau * q[0]) + math.cos(math.tau * q[1]))
    onsite, mixed = 4 * J * S + D * S * (1 - cosine), D * S * (1 - cosine)
    closed = [
        math.sqrt((onsite + sign * jq * cosine) ** 2 - (mixed - sign * jq * (1 - cosine)) ** 2) for sign in (1, -1)
    ]
    assert energy.tolist() == pytest.approx(sorted(closed, reverse=True), abs=1e-8)


def test_exchange_anisotropy_gives_the_one_magnon_formula_of_rb2mnf4() -> None:
    J, d, S = 0.648, 0.0048, 2.5
    q = random_q(200)
    energy = modes(square(np.diag([1, 1, 1 + d]), spin=S), q @ tensor(NEEL).T, [J]).energy[0, :, :2]
    g = torch.cos(torch.pi * (q[:, 0] + q[:, 1])) * torch.cos(torch.pi * (q[:, 0] - q[:, 1]))
    closed = 4 * J * S * ((1 + d) ** 2 - g**2).sqrt()
    assert torch.allclose(energy, closed[:, None].expand(-1, 2), atol=1e-7)


def test_easy_axis_opens_the_gap_2s_sqrt_of_d_times_d_plus_4j() -> None:
    J, D, S = 0.7, 0.03, 2.5
    energy = modes(square(spin=S, anisotropies={"D": EASY_AXIS}), tensor([[0, 0, 0]]), [J, D]).energy[0, 0, :2]
    assert energy.tolist() == pytest.approx([2 * S * math.sqrt(D * (D + 4 * J))] * 2, abs=1e-8)


def test_field_along_the_moments_of_an_antiferromagnet_splits_its_modes_by_2_g_mu_b_b() -> None:
    model = square(spin=2.5, g=1.9, anisotropies={"D": EASY_AXIS})
    at_rest = modes(model, CELL_Q, [0.7, 0.1]).energy[0, :, 0]
    split = modes(model, CELL_Q, [0.7, 0.1], field=(0.0, 0.0, 3.0)).energy[0, :, :2]
    shift = 1.9 * MU_B * 3
    assert torch.allclose(split, torch.stack((at_rest + shift, at_rest - shift), -1), atol=1e-8)


def test_ferromagnet_in_a_field_has_the_zeeman_gap() -> None:
    cell = np.diag([3.0, 8, 8])
    chain = build(cell, [[0, 0, 0]], [[0, 0, 1]], {"J": (neighbours(cell, [[0, 0, 0]], 3), 1)}, g=2.1)
    energy = modes(chain, tensor([[0, 0, 0]]), [-1.0], field=(0.0, 0.0, 5.0)).energy[0, 0, 0]
    assert float(energy) == pytest.approx(2.1 * MU_B * 5, abs=1e-8)


@pytest.mark.parametrize("q", [[0, 0, 0], [1, 0, 0], [0, 1, 2]])
def test_isotropic_antiferromagnet_has_a_goldstone_mode_at_its_ordering_vector(q: list[float]) -> None:
    answer = modes(square(spin=2.5), tensor([q]), [0.7])
    assert bool(answer.stable.all())
    assert float(answer.energy[0, 0, 1]) < 2e-4
    assert bool(torch.isfinite(answer.intensity).all())


@pytest.mark.parametrize(
    ("name", "top", "summed"),
    [
        ("rb2mnf4", [4.274556, 6.587500, 6.497420], [1.123999, 2.500000, 2.887557]),
        ("tri120", [3.842260, 4.929503, 4.926902], [1.294272, 4.107209, 2.933025]),
        ("canted", [2.819697, 4.128913, 4.104993], [0.528086, 1.891066, 1.199147]),
    ],
)
def test_energies_and_summed_s_perp_meet_the_cross_checked_numbers(
    name: str, top: list[float], summed: list[float]
) -> None:
    model = from_peers(peers("cases").CASES[name]())
    answer = modes(model, CELL_Q, [1.0] * len(model.names))
    assert answer.energy[0, :, 0].tolist() == pytest.approx(top, abs=1e-6)
    per_cell = len(model.spins) * answer.intensity[0].sum(-1)
    assert per_cell.tolist() == pytest.approx(summed, abs=1e-6)


def test_zero_point_reduction_of_the_square_lattice_moment_is_0_1966() -> None:
    n = 64
    axis = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    q = torch.cartesian_prod(axis, axis, tensor([0.0]))
    with torch.no_grad():
        _, correlation, _ = SpinWaves(square(), q).correlations(tensor([[1.0]]))
    transverse = correlation.diagonal(dim1=-2, dim2=-1).real[..., :2].sum((0, 2, 3)).mean()
    # S^xx + S^yy = S (1 + 2 <b^dagger b>) per ion, averaged over the zone. The sum over the midpoints of an n x n mesh
    # misses the integrable 1/q cusp by 0.6/n.
    assert float((transverse - 1) / 2) == pytest.approx(0.1966, abs=0.6 / n)


def test_energy_gain_and_loss_are_in_detailed_balance() -> None:
    model = from_peers_square()
    answer = modes(model, CELL_Q, [1.0, 1.0], temperature=20.0)
    loss, gain = answer.intensity[0, :, :2].sum(-1), answer.intensity[0, :, 2:].sum(-1)
    energy = answer.energy[0, :, 0]
    assert torch.allclose(gain, loss * torch.exp(-energy / (0.08617333262 * 20.0)), rtol=1e-9)


def from_peers_square() -> SpinModel:
    return square(0.673, spin=2.5, anisotropies={"D": 0.0075 * EASY_AXIS})


def test_s_perp_averaged_over_orientations_is_two_thirds_of_the_trace() -> None:
    q = random_q(5)
    total, trace = [], []
    for turn in tetrahedral_group():
        matrix = turn @ np.diag([1, 0.9, 1.1]) @ turn.T
        directions = [turn @ [0, 0, 1], turn @ [0, 0, -1]]
        model = build(NEEL, PLACES, directions, {"J": (neighbours(NEEL, PLACES, 1), matrix)})
        total.append(modes(model, q, [1.0]).intensity[0].sum(-1))
        correlation = SpinWaves(model, q).correlations(tensor([[1.0]]))[1]
        trace.append(correlation.diagonal(dim1=-2, dim2=-1).real.sum((-1, -2))[0])
    assert torch.allclose(torch.stack(total).mean(0), 2 / 3 * torch.stack(trace).mean(0), rtol=1e-8)


def tetrahedral_group() -> list[np.ndarray]:
    cyclic = [np.roll(np.eye(3), shift, axis=0) for shift in range(3)]
    halves = [np.diag(signs) for signs in ([1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1])]
    return [half @ turn for half in halves for turn in cyclic]


@pytest.mark.parametrize("gradients", [True, False])
def test_intensity_carries_the_form_factor_with_the_lande_factor_of_each_site(gradients: bool) -> None:
    model = dataclasses.replace(from_peers_square(), ions=("Yb3+",) * 2)
    q = random_q(5)
    with torch.set_grad_enabled(gradients):
        theta = tensor([[1.0, 1.0]])
        bare, spin, both = (
            SpinWaves(m, q)(theta).intensity
            for m in (from_peers_square(), model, dataclasses.replace(model, lande=tensor([8 / 7, 8 / 7])))
        )
    Q = model.lattice.to_cartesian(q).norm(dim=-1)[:, None]
    assert torch.allclose(spin[0], bare[0] * form_factor("Yb3+", Q) ** 2, rtol=1e-9)
    assert torch.allclose(both[0], bare[0] * form_factor("Yb3+", Q, 8 / 7) ** 2, rtol=1e-9)
