"""Zero-point motion, two magnons and their interaction: closed forms, sum rules and published numbers."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.parse import parse
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import zone
from sqwirrel.simulate.quantum.mean_field import interacting
from sqwirrel.simulate.quantum.two_magnon import two_magnon
from sqwirrel.simulate.quantum.zero_point import energy, expanded, moments, vacuum
from tests.cases import build, neighbours, random_q, tensor

Z, X = [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]
CELLS: dict[str, Any] = {
    "square": ([3.0, 3, 9, 90, 90, 90], "P 4/m m m"),
    "triangle": ([3.0, 3, 9, 90, 90, 120], "P 6/m m m"),
    "chain": ([3.0, 8, 8.5, 90, 90, 90], "P m m m"),
    "cubic": ([3.0, 3, 3, 90, 90, 90], "P m -3 m"),
}
NEEL = {
    "square": {"supercell": [[1, -1, 0], [1, 1, 0], [0, 0, 1]], "propagation": [0.5, 0.5, 0]},
    "chain": {"supercell": [[2, 0, 0], [0, 1, 0], [0, 0, 1]], "propagation": [0.5, 0, 0]},
    "cubic": {"supercell": [[1, 1, 0], [0, 1, 1], [1, 0, 1]], "propagation": [0.5, 0.5, 0.5]},
}
SPIRAL = {"propagation": [1 / 3, 1 / 3, 0], "axis": Z, "spins": [{"position": [0, 0, 0], "direction": X}]}


def heisenberg(lattice: str, spin: float, J: float = 1.0, D: Any = None, **order: object) -> SpinModel:
    cell, group = CELLS[lattice]
    site = {"label": "A", "position": [0.0, 0, 0], "spin": spin}
    return parse(
        {
            "name": "case",
            "crystal": {"cell": cell, "spacegroup": group, "sites": [site]},
            "couplings": [{"name": "J", "bond": "1"}],
            "anisotropies": [] if D is None else [{"name": "D", "site": "A", "matrix": D}],
            "order": {"spins": [{"position": [0, 0, 0], "direction": Z}], **order},
            "defaults": {"J": J, **({} if D is None else {"D": 1.0})},
        }
    )


def huberman(d: float = 0.0048) -> SpinModel:
    """The square lattice of Phys. Rev. B 72, 014413: J = 0.648 meV, s = 5/2, exchange anisotropy d, two sublattices."""
    cell, places = np.array([[1.0, 1, 0], [1, -1, 0], [0, 0, -2]]), [[0, 0, 0], [0.5, 0.5, 0]]
    bonds = neighbours(cell, places, 1)
    return build(cell, places, [[0, 0, 1], [0, 0, -1]], {"J": (bonds, 0.648 * np.diag([1, 1, 1 + d]))}, spin=2.5)


@pytest.mark.parametrize(
    ("lattice", "order", "reduction"),
    [("square", NEEL["square"], 0.196602), ("triangle", SPIRAL, 0.261302), ("cubic", NEEL["cubic"], 0.078)],
)
def test_zero_point_motion_takes_the_known_part_of_the_moment(
    lattice: str, order: dict[str, Any], reduction: float
) -> None:
    """Antiferromagnets, s = 1/2: square 0.1966, triangular (in the turning frame) 0.261302, simple cubic 0.078."""
    found = moments(heisenberg(lattice, 0.5, **order), tensor([[1.0]]))
    # The stated error of the average; the cubic number is known to three decimals.
    allowed = max(5e-5, 5e-4 * (lattice == "cubic"))
    assert float(found.error.max()) < allowed
    assert (0.5 - found.value).tolist() == pytest.approx([reduction] * len(found.value), abs=allowed)


def test_zero_point_motion_leaves_a_ferromagnet_alone_and_a_chain_without_order() -> None:
    ferro = heisenberg("square", 0.5, J=-1.0)
    assert moments(ferro, ferro.pack()).value.tolist() == pytest.approx([0.5], abs=1e-9)
    assert float(energy(ferro, ferro.pack()).value) == pytest.approx(-0.5, abs=1e-8)
    chain = heisenberg("chain", 0.5, **NEEL["chain"])
    assert bool(moments(chain, chain.pack()).error.isinf().all())


@pytest.mark.parametrize(("lattice", "number"), [("square", 0.157947), ("cubic", 0.097158)])
@pytest.mark.parametrize("spin", [0.5, 2.5])
def test_ground_state_energy_of_antiferromagnets_is_that_of_anderson(lattice: str, number: float, spin: float) -> None:
    """E = -z J s^2 / 2 (1 + r / s), z neighbours: r = 0.158 on the square, 0.097 on the simple cubic lattice."""
    model = heisenberg(lattice, spin, **NEEL[lattice])
    z = {"square": 4, "cubic": 6}[lattice]
    found = energy(model, model.pack())
    assert float(found.value) == pytest.approx(-z / 2 * spin**2 * (1 + number / spin), abs=2e-5 * spin)


def test_ground_state_energy_of_the_chain_is_minus_0_4317() -> None:
    """-s^2 - s (1 - 2 / pi), s = 1/2."""
    chain = heisenberg("chain", 0.5, **NEEL["chain"])
    assert float(energy(chain, chain.pack()).value) == pytest.approx(-0.25 - 0.5 * (1 - 2 / math.pi), abs=1e-6)


def test_isotropic_anisotropy_is_s_times_s_plus_one() -> None:
    model = heisenberg("square", 1.5, J=-1.0, D=1.0)
    assert float(energy(model, model.pack()).value) == pytest.approx(-2 * 2.25 + 1.5 * 2.5, abs=1e-7)


@pytest.mark.parametrize(("lattice", "number"), [("chain", 1 - 2 / math.pi), ("square", 0.157947), ("cubic", 0.097158)])
@pytest.mark.parametrize("spin", [0.5, 1.0])
def test_interaction_stiffens_antiferromagnets_by_the_factor_of_oguchi(
    lattice: str, number: float, spin: float
) -> None:
    """Every energy is multiplied by 1 + r / 2s: 1.158 for the square lattice, s = 1/2."""
    model = heisenberg(lattice, spin, **NEEL[lattice])
    found = interacting(model, model.pack(), random_q(5))
    factor = found.shift / found.energy
    assert torch.allclose(factor, torch.full_like(factor, number / (2 * spin)), atol=1e-4)


def test_interaction_does_nothing_to_a_ferromagnet_and_removes_the_anisotropy_of_spin_one_half() -> None:
    """(S^z)^2 of s = 1/2 is a number, so the gap 2 s |D| of linear theory must go."""
    q = random_q(5)
    ferro = heisenberg("square", 1.5, J=-1.0)
    assert float(interacting(ferro, ferro.pack(), q).shift.abs().max()) < 1e-12
    half = heisenberg("square", 0.5, J=-1.0, D=np.diag([0, 0, -0.3]).tolist())
    assert torch.allclose(interacting(half, half.pack(), q).shift, tensor([[-0.3]] * 5), atol=1e-12)


@pytest.mark.parametrize("spin", [1.0, 2.5])
def test_interaction_of_an_easy_axis_antiferromagnet_is_that_of_its_averages(spin: float) -> None:
    """H = A a'a + B ab: dA = -4 J (n + m) - |D| (1 + 4 n), dB = -4 J g (n + m), n = <a'a>, m = <ab> of neighbours."""
    D = 0.4
    model, q = heisenberg("square", spin, D=np.diag([0, 0, -D]).tolist(), **NEEL["square"]), random_q(5)

    def linear(q: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gamma = torch.cos(math.tau * q[:, :2]).mean(-1)
        A, B = 4 * spin + 2 * spin * D, 4 * spin * gamma
        return gamma, A / (A**2 - B**2).sqrt(), B / (A**2 - B**2).sqrt()

    g, a, b = linear(zone.grid(torch.tensor([True, True, False]), 200, 0.5))
    n, both = 0.5 * float(a.mean()) - 0.5, 0.5 * float((a - g * b).mean()) - 0.5
    g, a, b = linear(q)
    shift = a * (-4 * both - D * (1 + 4 * n)) + 4 * b * g * both
    assert torch.allclose(interacting(model, model.pack(), q).shift, shift[:, None].expand(-1, 2), atol=1e-6)


def test_interaction_in_orders_with_three_magnon_terms_is_refused() -> None:
    model = heisenberg("triangle", 0.5, **SPIRAL)
    with pytest.raises(InputError, match="three-magnon terms"):
        interacting(model, model.pack(), random_q(1))


def test_rb2mnf4_sum_rule_of_elastic_one_magnon_and_two_magnon_scattering() -> None:
    """Published: 5.443 + 3.112 + 0.195 = S (S + 1) = 8.75, the one-magnon part with <S^z> in place of S.

    The published elastic part corresponds to <S^z> = 2.3330; here it is 2.3326, whence the tolerance.
    """
    model = huberman()
    left = float(moments(model, tensor([[1.0]])).value[0])
    n = 2.5 - left
    assert [left**2, left * (1 + 2 * n), n * (n + 1)] == pytest.approx([5.443, 3.112, 0.195], abs=2.5e-3)
    assert left**2 + left * (1 + 2 * n) + n * (n + 1) == pytest.approx(8.75, abs=1e-12)


def test_two_magnon_scattering_summed_over_energy_and_the_zone_is_the_variance_of_the_spin() -> None:
    """<n^2> - <n>^2 = n (n + 1), exact on one mesh for k and q; nothing across the moments."""
    model, theta, points = huberman(), tensor([[1.0]]), 12
    q = zone.grid(torch.tensor([True, True, False]), 2 * points) * 2  # every atom's own zone: two of the magnetic cell
    S = two_magnon(model, theta, q, tensor([0.0, 20.0]), points=points)[:, 0].mean(0) * 20
    n = float(vacuum(expanded(model, theta), zone.midpoints(model, points)).mean(0)[2, 2].real)
    assert torch.allclose(S, torch.diag(tensor([0, 0, n * (n + 1)])) + 0j, atol=1e-10)


def test_two_magnon_continuum_runs_from_twice_the_gap_to_twice_the_top() -> None:
    """1.27 to 13.0 meV of Rb2MnF4, in bins of 0.02 meV."""
    edges = torch.linspace(0, 14, 701, dtype=torch.float64)
    q = tensor([[1.0, 0, 0], [0.5, 0.5, 0], [0.9, 0.1, 0]])
    weight = two_magnon(huberman(), tensor([[1.0]]), q, edges, points=192)[..., 2, 2].real.sum(0)
    seen = edges[:-1][weight > 1e-9]
    assert float(seen.min()) == pytest.approx(1.27, abs=0.05)
    assert float(seen.max()) == pytest.approx(13.0, abs=0.05)


def test_two_magnon_intensity_is_the_published_sum_over_pairs() -> None:
    """S^zz(q) = 1/(2N) sum_k (u_k v_(q-k) - u_(q-k) v_k)^2 of the two-sublattice antiferromagnet; zero at q = 0."""
    d, points = 0.0048, 24
    model = huberman(d)
    q = tensor([[0.0, 0, 0], [0.25, 0.5, 0], [1 / 6, 0.125, 0]])
    S = two_magnon(model, tensor([[1.0]]), q, tensor([0.0, 20.0]), points=points)[:, 0, 2, 2].real * 20

    def uv(k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gamma = torch.cos(torch.pi * k[..., 0]) * torch.cos(torch.pi * k[..., 1])
        A, B = 1 + d, gamma
        e = (A**2 - B**2).sqrt()
        return ((A + e) / (2 * e)).sqrt(), B.sign() * ((A - e) / (2 * e)).sqrt()

    k = zone.midpoints(model, points)
    k = torch.cat((k, k + tensor([1, 0, 0])))  # the chemical zone
    (u1, v1), (u2, v2) = uv(k), uv(q[:, None] - k)
    closed = 0.5 * ((u1 * v2 - u2 * v1) ** 2).mean(1)
    assert torch.allclose(S, closed, atol=1e-7)
    assert float(S[0]) < 1e-7


def test_two_magnon_scattering_of_a_spiral_is_that_of_its_supercell() -> None:
    """The turning frame at q and q +- k against nine sublattices, on one mesh of k; chirality included."""
    D, q, edges = 0.3 * np.diag([0, 0, 1.0]), tensor([[0.21, 0.4, 0]]), tensor([0.0, 3.0, 100.0])
    one = heisenberg("triangle", 1.5, D=D.tolist(), **SPIRAL)
    angles = [(x, y, math.tau * (x + y) / 3) for x in range(3) for y in range(3)]
    spins = [{"position": [x, y, 0], "direction": [math.cos(a), math.sin(a), 0]} for x, y, a in angles]
    nine = heisenberg("triangle", 1.5, D=D.tolist(), supercell=np.diag([3, 3, 1]).tolist(), spins=spins)
    turning = two_magnon(one, one.pack(), q, edges, points=24)
    still = two_magnon(nine, nine.pack(), q, edges, points=8)
    assert torch.allclose(turning, still, atol=1e-6 * float(still.abs().max()))
    assert float(still[0, 1, 0, 1].imag.abs()) > 1e-4


@pytest.mark.parametrize("name", ["rb2mnf4", "mnf2"])
def test_corrections_of_library_models_are_small_and_known_well(name: str) -> None:
    """Large spins: moments lose less than a tenth, and the mean is known to 0.001."""
    model = library.load(name)
    found = moments(model, model.pack())
    assert bool((found.value > 0.9 * model.spins).all())
    assert float(found.error.max()) < 1e-3
