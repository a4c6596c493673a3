"""Readings of the dispersion, and what parameters do to them, against closed forms."""

import math

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.paths import (
    Dispersion,
    ReadingEdge,
    band_top,
    boundary,
    gap,
    reading_edges,
    splitting,
    stiffness,
    velocity,
)
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.model.prior import Prior
from sqwirrel.model.spin import SpinModel
from sqwirrel.units import E2_PER_SPRING, MU_B
from tests.cases import build, neighbours

SQUARE, A = library.load("rb2mnf4"), 4.215
ROWS = torch.tensor([[0.657, 0.006, -0.00615], [0.4, -0.03, -0.04], [0.9, 0.05, -0.001]], dtype=torch.float64)
CHAIN = np.diag([3.0, 8.0, 9.0])


def ferromagnet(spin: float = 1.5) -> SpinModel:
    return build(
        CHAIN,
        [[0, 0, 0]],
        [[0, 0, 1]],
        {"J": (neighbours(CHAIN, [[0, 0, 0]], 3.0), 1.0)},
        anisotropies={"D": np.diag([0.0, 0, 1])},
        spin=spin,
    )


def atoms(masses: tuple[float, ...], length: float = 4.0) -> PhononModel:
    """A simple cubic crystal of chains along a: longitudinal springs K, and weak ones L that hold all directions."""
    n = len(masses)
    ends = ([0], [0], [[1, 0, 0]]) if n == 1 else ([0, 1], [1, 0], [[0, 0, 0], [1, 0, 0]])
    along, every = torch.diag(torch.tensor([1.0, 0, 0]).double()), torch.eye(3).double()
    across = torch.tensor([[0, 1, 0], [0, 0, 1]]).repeat(n, 1)
    sites = torch.arange(n).repeat_interleave(2)
    springs = (
        Springs("K", *ends, along),
        Springs("L", sites, sites, across, every),
        Springs("M", *ends, every - along),
    )
    return PhononModel(
        name="chain",
        title="a test's crystal",
        lattice=Lattice.from_vectors(torch.diag(torch.tensor([length, 3.0, 3.0]).double())),
        positions=torch.tensor([[0.5 * k, 0, 0] for k in range(n)]),
        elements=("Al",) * n,
        springs=springs,
        masses=torch.tensor(masses).double(),
        defaults={"K": 20.0, "L": 2.0, "M": 3.0},
    )


def values(model, readings, theta, **options):
    found = Dispersion(model, readings, **options)(theta)
    assert bool(found.stable.all())
    return found.values.T


def test_square_lattice_antiferromagnet() -> None:
    """E = 2 S (A^2 - (2 J1 g)^2)^1/2 with the A of rb2mnf4.toml; c from its expansion about q = 0."""
    J1, J2, D = ROWS.T
    S = 2.5
    read = [gap(), boundary((0.25, 0.25, 0)), boundary((0.5, 0, 0), 0), band_top(), splitting((0.1, 0.23, 0.4))]
    read += [velocity(SQUARE, way, branch) for way in ((1, 0, 0), (1, 1, 0)) for branch in (0, 1)]
    low, node, corner, top, split, *speeds = values(SQUARE, read, ROWS)
    assert torch.allclose(low, 2 * S * (D**2 - 4 * J1 * D).sqrt(), rtol=1e-6)
    assert torch.allclose(node, 2 * S * (2 * J1 - 2 * J2 - D), rtol=1e-9)
    assert torch.allclose(corner, 2 * S * (2 * J1 - 4 * J2 - D), rtol=1e-9)
    assert torch.allclose(top, torch.maximum(node, corner), rtol=1e-9)
    assert float(split.abs().max()) < 1e-9
    # A^2 - B^2 with A = A0 - J2 (qa)^2, B = 2 J1 (1 - (qa)^2 / 4)
    c = 2 * S * A * (2 * J1**2 - 2 * (2 * J1 - D) * J2).sqrt()
    assert all(torch.allclose(each, c, rtol=1e-5) for each in speeds)


def test_isotropic_square_lattice_has_no_gap_and_the_velocity_of_anderson() -> None:
    theta = torch.tensor([[0.657, 0.0, 0.0]], dtype=torch.float64)
    low, c = values(SQUARE, [gap(), velocity(SQUARE, (1, 0, 0))], theta)
    assert float(low) == 0
    assert float(c) == pytest.approx(math.sqrt(8) * 0.657 * 2.5 * A, rel=1e-5)


def test_ferromagnetic_chain_in_a_field() -> None:
    model, S, B = ferromagnet(), 1.5, 5.0
    theta = torch.tensor([[-1.0, -0.1], [-0.3, -0.4]], dtype=torch.float64)
    J, D = theta.T
    read = [gap(), band_top(), stiffness(model, (1, 0, 0)), stiffness(model, (0, 1, 0)), gap((0, 0.3, 0))]
    low, top, along, across, side = values(model, read, theta, field=(0.0, 0.0, B))
    # field (0, 0, B): spins along +z are low in energy
    assert torch.allclose(low, 2 * S * D.abs() + 2 * MU_B * B, rtol=1e-8)
    assert torch.allclose(side, low, rtol=1e-12)
    assert torch.allclose(top - low, 4 * J.abs() * S, rtol=1e-9)
    assert torch.allclose(along, J.abs() * S * 3.0**2, rtol=1e-6)
    assert float(across.abs().max()) < 1e-6
    assert float(values(model, [velocity(model, (1, 0, 0))], torch.tensor([[-1.0, 0.0]]).double())[0]) == 0


def test_field_splits_the_modes_of_an_antiferromagnet() -> None:
    (split,) = values(SQUARE, [splitting((0, 0, 0))], ROWS[1:2], field=(0.0, 0.0, 3.0))
    assert float(split) == pytest.approx(4 * MU_B * 3.0, rel=1e-6)


def test_monatomic_and_diatomic_chains() -> None:
    theta = torch.tensor([[20.0, 2.0, 3.0], [35.0, 1.0, 2.0]], dtype=torch.float64)
    K, L, _ = theta.T
    one, m, length = atoms((27.0,)), 27.0, 4.0
    sound, top, low, sides = values(
        one, [velocity(one, (1, 0, 0), 2), band_top(), gap(), velocity(one, (0, 1, 0), 0)], theta
    )
    assert torch.allclose(sound, (E2_PER_SPRING * K / m).sqrt() * length, rtol=1e-5)
    # across, M and K do not act: x moves are held by L alone
    assert torch.allclose(sides, (E2_PER_SPRING * L / m).sqrt() * 3.0, rtol=1e-5)
    assert low.tolist() == [0, 0]
    assert torch.allclose(top, (E2_PER_SPRING * (4 * K + 8 * L) / m).sqrt(), rtol=1e-9)
    two, M = atoms((27.0, 60.0)), 60.0
    sound, edge = values(two, [velocity(two, (1, 0, 0), 2), splitting((0.5, 0, 0), (4, 5))], theta)
    assert torch.allclose(sound, length * (E2_PER_SPRING * K / (2 * (m + M))).sqrt(), rtol=1e-5)
    assert torch.allclose(edge, (2 * E2_PER_SPRING * K).sqrt() * (m**-0.5 - M**-0.5), rtol=1e-6)


def test_derivatives_are_those_of_differences() -> None:
    read = [gap(), band_top(), velocity(SQUARE, (1, 0, 0)), boundary((0.5, 0, 0)), splitting((0, 0, 0))]
    dispersion, theta = Dispersion(SQUARE, read, field=(0.0, 0.0, 2.0)), ROWS[:1].clone().requires_grad_()
    found = dispersion(theta)
    for k in range(len(read)):
        (slope,) = torch.autograd.grad(found.values[0, k], theta, retain_graph=True)
        for p in range(3):
            step = torch.zeros(1, 3, dtype=torch.float64)
            step[0, p] = 1e-6
            with torch.no_grad():
                rise = (dispersion(ROWS[:1] + step).values - dispersion(ROWS[:1] - step).values)[0, k] / 2e-6
            assert float(slope[0, p]) == pytest.approx(float(rise), rel=1e-4, abs=1e-5)


def edges(model, prior, readings, **options) -> dict[tuple[str, str], ReadingEdge]:
    found = reading_edges(model, Prior.from_mapping(prior), readings, 96, 4, **options)
    return {(each.cause, each.reading.split()[0]): each for each in found}


def test_what_moves_a_ferromagnet() -> None:
    model, S = ferromagnet(), 1.5
    found = edges(
        model,
        {"J": {"uniform": [-2.0, -1.0]}, "D": {"uniform": [-0.3, -0.1]}, "scale": {"uniform": [1, 2]}},
        [gap(), band_top(), stiffness(model, (1, 0, 0)), splitting((0.2, 0, 0), (0, 0))],
    )
    assert {cause for cause, _ in found} == {"J", "D"}
    assert {key for key, each in found.items() if each.is_zero} == {
        ("J", "gap"),
        ("D", "stiffness"),
        ("J", "splitting"),
        ("D", "splitting"),
    }
    none = found["J", "gap"]
    assert float(none.effect.high) < 1e-9
    assert float(none.slope.value) == pytest.approx(0, abs=1e-9)
    # the difference of two uniform draws over a width w has the mean square w^2 / 6
    moved = found["D", "gap"]
    assert float(moved.effect.low) < 2 * S * 0.2 / math.sqrt(12) < float(moved.effect.high)
    assert float(moved.slope.value) == pytest.approx(-2 * S, rel=1e-6)
    assert float(moved.log_slope.value) == pytest.approx(1, rel=1e-6)
    top = found["J", "band"]
    assert float(top.effect.low) < 4 * S / math.sqrt(12) < float(top.effect.high)
    assert (top.unit, top.kept, top.left_out) == ("meV", 96, 0)
    assert float(top.slope.value) == pytest.approx(-4 * S, rel=1e-9)


def test_what_moves_an_antiferromagnet() -> None:
    found = edges(
        SQUARE,
        {"J1": {"uniform": [0.5, 0.8]}, "J2": {"uniform": [-0.05, 0.05]}, "D": {"uniform": [-0.02, -0.01]}},
        [gap(), splitting((0.1, 0.2, 0)), velocity(SQUARE, (1, 0, 0))],
    )
    assert {key for key, each in found.items() if each.is_zero} == {
        ("J2", "gap"),
        *((cause, "splitting") for cause in SQUARE.names),
    }
    # gap = 2 S (D^2 - 4 J1 D)^1/2: logarithmic slopes near 1/2 that add up to 1
    logs = [float(found[cause, "gap"].log_slope.value) for cause in ("J1", "D")]
    assert sum(logs) == pytest.approx(1, abs=1e-6)
    assert logs[0] == pytest.approx(0.5, abs=0.01)
    assert math.isnan(float(found["J1", "splitting"].log_slope.value))


def test_sound_does_not_know_springs_across_it() -> None:
    model = atoms((27.0, 60.0))
    found = edges(
        model,
        {"K": {"uniform": [15, 25]}, "L": {"uniform": [1, 2]}, "M": {"uniform": [2, 4]}},
        [velocity(model, (1, 0, 0), 2), gap(), band_top()],
    )
    zero = {key for key, each in found.items() if each.is_zero}
    assert zero == {("L", "velocity"), ("M", "velocity"), *((cause, "gap") for cause in "KLM"), ("M", "band")}
    assert float(found["K", "velocity"].log_slope.value) == pytest.approx(0.5, abs=1e-4)
    assert found["K", "velocity"].unit == "meV A"


def test_pairs_without_an_order_are_left_out() -> None:
    """D > 0 turns the moments of the chain away from its axis: half of the rows, three quarters of the pairs for D."""
    model = ferromagnet()
    prior = Prior.from_mapping({"J": {"uniform": [-2.0, -1.0]}, "D": {"uniform": [-0.1, 0.1]}})
    found = {each.cause: each for each in reading_edges(model, prior, [gap()], 400, 1)}
    assert found["J"].left_out == pytest.approx(200, abs=40)
    assert found["D"].left_out == pytest.approx(300, abs=40)
    assert all(each.kept + each.left_out == 400 for each in found.values())
    assert float(found["D"].slope.value) == pytest.approx(-3, rel=1e-6)
    with pytest.raises(InputError, match="0 of 8 pairs for 'J' have a stable order; narrow the prior"):
        reading_edges(model, Prior.from_mapping({"J": {"uniform": [1, 2]}, "D": -0.1}), [gap()], 8, 1)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: Dispersion(SQUARE, [gap((0, 0))]), "a wavevector has three components h, k, l, got [0, 0]"),
        (lambda: Dispersion(SQUARE, []), "readings need one name each, got no reading"),
        (lambda: Dispersion(SQUARE, [gap(), gap()]), "readings need one name each, got gap at (0, 0, 0), gap at"),
        (lambda: Dispersion(SQUARE, [splitting((0, 0, 0), (0, 2))]), "asks for branch 2; the model has 2, numbered"),
        (lambda: velocity(SQUARE, (0, 0, 0)), "the direction [0, 0, 0] of a velocity has no length"),
        (lambda: edges(SQUARE, {"scale": {"uniform": [1, 2]}}, [gap()]), "the prior leaves no parameter of model"),
        (lambda: reading_edges(SQUARE, SQUARE.prior, [gap()], 1, 0), "1 pairs of rows; interventions need 2"),
    ],
)
def test_what_cannot_be_read_is_said(ask, message) -> None:
    with pytest.raises(InputError) as refused:
        ask()
    assert message in str(refused.value)
