"""Bulk numbers against closed forms, exact diagonalisation and published numbers."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.phonon import library as crystals
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.spectra.bulk import UNITS, Bulk, BulkNumber
from sqwirrel.units import K_B, MOLAR_GAS
from tests.cases import build
from tests.physics.test_quantum import NEEL, SPIRAL, heisenberg

Z = [0.0, 0.0, 1.0]


def found(model, *numbers, theta=None):
    """Bulk numbers of a model; each is (kind, temperature) or more."""
    rows = [BulkNumber(kind, 0.0, 1.0, *more) for kind, *more in numbers]
    return BulkExperiment(model, Bulk(tuple(rows))).predict(model.pack() if theta is None else theta)


def test_curie_weiss_of_one_ion_is_the_mean_field_of_its_neighbours():
    """-S (S + 1) / 3 z J: four neighbours of the square lattice, positive where the coupling is ferromagnetic."""
    model = heisenberg("square", 1.5, J=0.7, **NEEL["square"])
    assert float(found(model, ("curie_weiss",)).value) == pytest.approx(-1.5 * 2.5 / 3 * 4 * 0.7 / K_B)
    ferro = heisenberg("square", 1.5, J=-0.7)
    assert float(found(ferro, ("curie_weiss",)).value) == pytest.approx(1.5 * 2.5 / 3 * 4 * 0.7 / K_B)


def test_curie_weiss_of_mnf2_is_near_the_measured_one():
    """-79.6 K from the couplings of neutrons; the textbook has 82 K (C. Kittel, Introduction to Solid State Physics)."""
    value = float(found(library.load("mnf2"), ("curie_weiss",)).value)
    assert value == pytest.approx(-8.75 / 3 / K_B * (2 * -0.056 + 8 * 0.304 + 4 * 0.008))
    assert value == pytest.approx(-82, rel=0.05)


def spin_matrices(s):
    m = np.arange(s, -s - 1, -1)
    up = np.diag(np.sqrt(s * (s + 1) - m[1:] * (m[1:] + 1)), 1)
    return np.array([(up + up.T) / 2, (up - up.T) / 2j, np.diag(m)])


def susceptibility(H, moment, temperature):
    """Kubo's, exact, of the moments along x, y and z together, 1 / meV."""
    energy, state = np.linalg.eigh(H)
    weight = np.exp(-(energy - energy.min()) / (K_B * temperature))
    weight /= weight.sum()
    gap = energy[:, None] - energy
    same = np.abs(gap) < 1e-9
    kernel = np.where(same, weight[:, None] / (K_B * temperature), 0.0)
    kernel += np.where(same, 0.0, -(weight[:, None] - weight) / np.where(same, 1.0, gap))
    seen = state.conj().T @ moment @ state
    mean = np.einsum("n,ann->a", weight, seen).real
    return float((np.abs(seen) ** 2 * kernel).sum() - (mean**2).sum() / (K_B * temperature))


def test_curie_weiss_is_the_exact_expansion_for_anisotropic_couplings_and_g():
    """A pair of spins 1, diagonalised: T chi (T) / C goes as 1 + theta_CW / T where T is large."""
    g = np.array([[2.1, 0.1, 0], [0, 1.7, 0], [0.2, 0, 2.6]])
    M, A = np.array([[0.3, 0.1, 0], [-0.1, 0.5, 0], [0, 0.2, 0.9]]), np.diag([0.0, 0.1, -0.4])
    cell = np.diag([4.0, 9, 9])
    model = build(cell, [[0, 0, 0], [0.5, 0, 0]], [Z, [0, 0, -1]], {"J": (([0], [1], [[0, 0, 0]]), M)},
                  anisotropies={"D": A}, g=g)  # fmt: skip
    S, one = spin_matrices(1.0), np.eye(3)
    first, second = (
        np.array([np.kron(*pair) for pair in pairs]) for pairs in ([(x, one) for x in S], [(one, x) for x in S])
    )
    H = np.einsum("axy,ab,byz->xz", first, M, second)
    H = H + sum(np.einsum("axy,ab,byz->xz", each, A, each) for each in (first, second))
    moment = np.einsum("ab,bxy->axy", g, first + second)
    curie = 2 * 2 / 3 * (g**2).sum()
    # the next term of the expansion is (1 / T)^2: two temperatures take it off
    near, far = (t * (susceptibility(H, moment, t) * K_B * t / curie - 1) for t in (2000.0, 4000.0))
    theta = torch.ones(1, 2, dtype=torch.float64)
    assert float(found(model, ("curie_weiss",), theta=theta).value) == pytest.approx(2 * far - near, rel=1e-5)


def test_curie_weiss_refuses_what_it_does_not_know():
    with pytest.raises(InputError, match="a squared coupling, whose share of the Curie-Weiss temperature is not known"):
        found(library.load("fcc_biquadratic"), ("curie_weiss",))


@pytest.mark.parametrize(
    ("lattice", "order", "reduction"),
    [("square", NEEL["square"], 0.196602), ("triangle", SPIRAL, 0.261302), ("cubic", NEEL["cubic"], 0.0783)],
)
def test_zero_point_motion_takes_its_part_of_the_moment(lattice, order, reduction):
    """S = 1/2; the meshes are coarser than those of `zero_point.moments`, and good to 2e-4."""
    value = found(heisenberg(lattice, 0.5, **order), ("ordered_moment", 0.0)).value
    assert float(value) == pytest.approx(2 * (0.5 - reduction), abs=4e-4)


def test_a_plane_with_goldstone_modes_has_no_moment_above_zero_temperature():
    """Mermin and Wagner: there is no limit, and the answer says so."""
    assert math.isinf(float(found(heisenberg("square", 0.5, **NEEL["square"]), ("ordered_moment", 5.0)).rough))


def gapped_chain(k):
    """J = -1 meV, S = 1, D = -0.2 meV along the moments."""
    return 2 * (1 - np.cos(k)) + 0.4


def test_heat_and_magnetisation_of_a_ferromagnetic_chain():
    model, warm = heisenberg("chain", 1.0, J=-1.0, D=np.diag([0, 0, -0.2]).tolist()), K_B * 5.0

    def heat(k):
        x = gapped_chain(k) / warm
        return (x / 2 / np.sinh(x / 2)) ** 2

    expected = (
        MOLAR_GAS * quad(heat, 0, np.pi)[0] / np.pi,
        2 - 2 * quad(lambda k: 1 / np.expm1(gapped_chain(k) / warm), 0, np.pi)[0] / np.pi,
    )
    value = found(model, ("specific_heat", 5.0), ("ordered_moment", 5.0)).value[0]
    assert value.tolist() == pytest.approx(expected, rel=1e-8)


def test_heat_of_a_cubic_ferromagnet():
    """The integral over the zone; and at low temperature Bloch's 15 zeta(5/2) / 4 R (k T / 4 pi J S)^3/2."""
    model, warm = heisenberg("cubic", 1.0, J=-1.0), np.array([0.9, 0.15])
    value = found(model, *(("specific_heat", each) for each in (warm / K_B).tolist())).value[0]
    c = np.cos(2 * np.pi * (np.arange(160) + 0.5) / 160)
    x = 2 * (3 - c[:, None, None] - c[:, None] - c) / warm[0]
    assert float(value[0]) == pytest.approx(MOLAR_GAS * ((x / 2 / np.sinh(x / 2)) ** 2).mean(), rel=1e-3)
    assert float(value[1]) == pytest.approx(15 / 4 * 1.341487 * MOLAR_GAS * (warm[1] / (4 * np.pi)) ** 1.5, rel=0.1)


def test_the_heat_of_many_magnons_is_that_of_as_many_oscillators():
    assert float(found(library.load("rb2mnf4"), ("specific_heat", 1e5)).value) == pytest.approx(MOLAR_GAS, rel=1e-4)


def test_a_spiral_has_the_heat_of_its_modes():
    """Three copies of each mode are seen by neutrons, one is there: E = 3 J S ((1 - g) (1 + 2 g))^1/2."""
    a = 2 * np.pi * (np.arange(600) + 0.5) / 600
    g = (np.cos(a) + np.cos(a[:, None]) + np.cos(a + a[:, None])) / 3
    x = 3 * np.sqrt((1 - g) * (1 + 2 * g)) / (20 * K_B)
    value = found(heisenberg("triangle", 1.0, **SPIRAL), ("specific_heat", 20.0)).value
    assert float(value) == pytest.approx(MOLAR_GAS * ((x / 2 / np.sinh(x / 2)) ** 2).mean(), rel=1e-4)


@pytest.fixture(scope="module")
def aluminium():
    return crystals.load("al_80k")


def test_heat_of_a_crystal_at_both_ends(aluminium):
    """Dulong and Petit; and Debye's law, from the velocities of sound in many directions."""
    generator = torch.Generator().manual_seed(3)
    way = torch.nn.functional.normalize(torch.randn(200, 3, dtype=torch.float64, generator=generator), dim=1)
    sound = [("sound_velocity", 0.0, (0.0, 0.0, 0.0), tuple(each), b) for each in way.tolist() for b in (1, 2, 3)]
    velocity = found(aluminium, *sound).value[0]
    slow = float((velocity**-3).mean()) ** (-1 / 3) / 151.9267448  # meV angstrom
    volume = float(torch.linalg.det(aluminium.cell.vectors).abs())
    debye = slow * (6 * math.pi**2 / volume) ** (1 / 3) / K_B
    cold, hot = found(aluminium, ("specific_heat", 6.0), ("specific_heat", 3000.0)).value[0].tolist()
    assert cold == pytest.approx(12 * math.pi**4 / 5 * MOLAR_GAS * (6.0 / debye) ** 3, rel=0.03)
    assert hot == pytest.approx(3 * MOLAR_GAS, rel=2e-3)


def test_velocity_of_sound_of_aluminium(aluminium):
    """Along (1 1 0) and (1 0 0) the slowest and the fastest obey c11 - c12 + 2 c44 ... of a cubic crystal."""
    way = [((1.0, 0, 0), 1), ((1.0, 0, 0), 3), ((1.0, 1, 0), 1), ((1.0, 1, 0), 2), ((1.0, 1, 0), 3)]
    fast, slow, long, middle, last = (
        found(aluminium, *(("sound_velocity", 0.0, (0.0, 0.0, 0.0), q, branch) for q, branch in way))
        .value[0]
        .square()
        .tolist()
    )
    both = sorted([middle, last])
    assert min(abs(each - slow) for each in both) < 2e-3 * slow  # c44 in both directions
    rest = max(both, key=lambda each: abs(each - slow))
    assert long == pytest.approx(fast + slow - rest, rel=2e-3)  # (c11 + c12 + 2 c44) / 2, and (c11 - c12) / 2
    assert math.sqrt(fast) == pytest.approx(6400, rel=0.03)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("mnf2", [("curie_weiss",), ("ordered_moment", 0.0), ("ordered_moment", 20.0), ("specific_heat", 10.0)]),
        ("mnf2", [("specific_heat", 10.0, (0.0, 0.0, 2.0)), ("ordered_moment", 10.0, (0.0, 0.0, 2.0))]),
        ("al_80k", [("specific_heat", 40.0), ("sound_velocity", 0.0, (0.0, 0.0, 0.0), (1.0, 0.3, 0.0), 2)]),
    ],
)
def test_derivatives_are_those_of_differences(name, numbers):
    model = library.find(name)
    rows = [BulkNumber(kind, 0.0, 1.0, *more) for kind, *more in numbers]
    experiment = BulkExperiment(model, Bulk(tuple(rows)))
    theta = model.pack()
    slope, step = experiment.linearise(theta).slope[0], 1e-4
    for k in range(min(4, len(model.names))):
        way = torch.zeros_like(theta)
        way[0, k] = step
        expected = (experiment.predict(theta + way).value - experiment.predict(theta - way).value)[0] / (2 * step)
        torch.testing.assert_close(slope[k], expected, rtol=2e-5, atol=1e-7)


def test_a_batch_has_the_numbers_of_its_rows_and_rows_without_a_minimum_say_so():
    model = library.load("mnf2")
    theta = torch.cat((model.pack(), model.pack(J2=0.4), model.pack(J2=-0.3)))
    each = [("specific_heat", 10.0), ("curie_weiss",), ("specific_heat", 5.0), ("ordered_moment", 4.0)]
    every = found(model, *each, theta=theta)
    assert every.stable.tolist() == [True, True, False]
    for k in range(2):
        torch.testing.assert_close(every.value[k : k + 1], found(model, *each, theta=theta[k : k + 1]).value)
    assert bool(found(model, ("curie_weiss",), theta=theta).stable.all())


def test_an_order_that_is_no_minimum_at_the_zone_centre_alone_is_unstable():
    """Spins of MnF2 along z with an easy plane: only long waves are soft."""
    model = library.load("mnf2")
    for kind in (("specific_heat", 10.0), ("ordered_moment", 0.0)):
        experiment = BulkExperiment(model, Bulk((BulkNumber(kind[0], 1.0, 1.0, kind[1]),)))
        rows = torch.cat([model.pack(D=D) for D in (-0.02, 0.002)])
        assert experiment.predict(rows).stable.tolist() == [True, False]


def test_fields_that_differ_are_told_apart():
    along, across = (BulkNumber("specific_heat", 1.0, 1.0, 5.0, field) for field in ((0.0, 0.0, 5.0), (5.0, 0.0, 0.0)))
    assert along.name != across.name
    assert along.field == (0.0, 0.0, 5.0)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (("curieweiss", -80.0, 1.0), "'curieweiss' is no bulk number; there are curie_weiss"),
        (("curie_weiss", -80.0, 0.0), "both must be finite, the error positive"),
        (("specific_heat", 1.0, 1.0), "specific_heat lacks a temperature above 0"),
        (("ordered_moment", 1.0, 1.0, -3.0), "a temperature is finite and not negative"),
        (("ordered_moment", 1.0, 1.0, float("inf")), "a temperature is finite and not negative"),
        (("specific_heat", 1.0, 1.0, 5.0, (0.0, math.nan, 2.0)), "three finite numbers are expected"),
        (("curie_weiss", -80.0, 1.0, 5.0), "has neither a temperature nor a field"),
        (("sound_velocity", 1.0, 1.0), "a sound_velocity has a direction"),
    ],
)
def test_numbers_that_are_none_are_refused(number, words):
    with pytest.raises(InputError, match=words):
        BulkNumber(*number)


def test_every_kind_has_a_unit_and_no_number_is_no_data():
    assert set(UNITS) == {"curie_weiss", "specific_heat", "ordered_moment", "sound_velocity"}
    with pytest.raises(InputError, match="there is no bulk number; give one at least"):
        Bulk(())
    with pytest.raises(InputError, match="a model of springs has no curie_weiss"):
        BulkExperiment(crystals.load("al_80k"), Bulk((BulkNumber("curie_weiss", 1.0, 1.0),)))
