"""The search for the classical order: closed forms, and orders that come back as model files."""

import math
import tomllib
from typing import Any

import pytest

from sqwirrel.model import library
from sqwirrel.model.parse import parse
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.classical.luttinger_tisza import luttinger_tisza
from sqwirrel.simulate.classical.search import energy_of, ground_states, is_plain
from sqwirrel.simulate.spinwave import SpinWaves
from sqwirrel.simulate.stability import stability
from sqwirrel.simulate.terms import turned
from sqwirrel.units import MU_B
from tests.cases import tensor

Z = [0.0, 0.0, 1.0]
SQUARE = ([3.0, 3, 9, 90, 90, 90], "P 4/m m m", [[0.0, 0, 0]])
TRIANGLE = ([3.0, 3, 9, 90, 90, 120], "P 6/m m m", [[0.0, 0, 0]])
CHAIN = ([3.0, 8, 8.5, 90, 90, 90], "P m m m", [[0.0, 0, 0]])
KAGOME = ([6.0, 6, 10, 90, 90, 120], "P 6/m m m", [[0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0]])
FCC = ([4.0, 4, 4, 90, 90, 90], "F m -3 m", [[0.0, 0, 0]])
PRIMITIVE = [[0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]]


def table(structure: tuple[Any, ...], defaults: dict[str, float], **order: object) -> dict[str, Any]:
    """A model file with ferromagnetic order unless `order` says more; J1, J2 on the shells, D along z."""
    cell, group, at = structure
    return {
        "name": "case",
        "crystal": {"cell": cell, "spacegroup": group, "sites": [{"label": "A", "position": at[0], "spin": 1.0}]},
        "couplings": [{"name": name, "bond": name[1]} for name in defaults if name[0] == "J"],
        "anisotropies": [{"name": "D", "site": "A", "axis": Z}] if "D" in defaults else [],
        "order": {"spins": [{"position": p, "direction": Z} for p in at], **order},
        "defaults": defaults,
    }


def again(mapping: dict[str, Any], model: SpinModel) -> SpinModel:
    """The model with the order that was found for it, through the text of a model file."""
    arrangement = luttinger_tisza(model, model.pack()).arrangement
    assert arrangement is not None
    return parse({**mapping, **tomllib.loads(arrangement.to_toml())})


CASES = {
    "square lattice, J2 = 0.3": (table(SQUARE, {"J1": 1, "J2": 0.3}), [0.5, 0.5, 0], -2 + 0.6),
    "square lattice, J2 = 0.49": (table(SQUARE, {"J1": 1, "J2": 0.49}), [0.5, 0.5, 0], -2 + 0.98),
    "square lattice, J2 = 0.51": (table(SQUARE, {"J1": 1, "J2": 0.51}), [0.5, 0, 0], -1.02),
    "triangular lattice": (table(TRIANGLE, {"J1": 1}), [1 / 3, 1 / 3, 0], -1.5),
    "triangular lattice, easy plane": (table(TRIANGLE, {"J1": 1, "D": 0.2}), [1 / 3, 1 / 3, 0], -1.5),
    "ferromagnet": (table(SQUARE, {"J1": -1}), [0, 0, 0], -2),
    "fcc type I": (table(FCC, {"J1": 1, "J2": -0.2}, supercell=PRIMITIVE), [1, 0, 0], -2 - 0.6),
    "fcc type II": (table(FCC, {"J1": 1, "J2": 1}, supercell=PRIMITIVE), [0.5, 0.5, 0.5], -3),
    "fcc type III": (table(FCC, {"J1": 1, "J2": 0.2}, supercell=PRIMITIVE), [1, 0.5, 0], -2 + 0.2),
}


@pytest.mark.parametrize(("mapping", "k", "energy"), CASES.values(), ids=CASES)
def test_the_order_of_lowest_energy_is_the_known_one_and_its_model_file_has_that_energy(
    mapping: dict[str, Any], k: list[float], energy: float
) -> None:
    """Known phases of Heisenberg models; the table is parsed again, has the bound's energy and is a minimum."""
    model = parse(mapping)
    found = luttinger_tisza(model, model.pack())
    assert found.k[0].tolist() == pytest.approx(k, abs=1e-6)
    assert found.energy == pytest.approx(energy, abs=1e-9)
    assert found.flat == 0
    new = again(mapping, model)
    assert float(energy_of(new, new.pack()).value(turned(new)[None])) / len(new.spins) == pytest.approx(
        energy, abs=1e-6
    )
    assert stability(new, new.pack()).is_minimum


def test_chain_with_next_neighbours_turns_by_minus_j1_over_4_j2() -> None:
    """cos 2 pi k = -J1 / (4 J2); the energy per ion is -J2 - J1^2 / (8 J2)."""
    mapping = table(CHAIN, {"J1": -1.0, "J2": 0.6})
    model = parse(mapping)
    found = luttinger_tisza(model, model.pack())
    assert math.cos(math.tau * float(found.k[0, 0])) == pytest.approx(1 / 2.4, abs=1e-6)
    assert found.energy == pytest.approx(-0.6 - 1 / 4.8, abs=1e-9)
    spiral = again(mapping, model)
    assert spiral.spiral is not None
    assert stability(spiral, spiral.pack()).is_minimum


def test_dzyaloshinskii_moriya_chain_turns_by_a_quarter_about_its_vector() -> None:
    """S_i . (D x S_j) alone: k = 1/4 and energy -D; handedness follows the sign of D."""
    cell, _, at = CHAIN
    mapping = table((cell, "P 1", at), {"J1": 0.7})
    mapping["couplings"] = [{"name": "J1", "bond": "1", "matrix": [[0, 1, 0], [-1, 0, 0], [0, 0, 0]]}]
    model = parse(mapping)
    found = luttinger_tisza(model, model.pack())
    assert found.k.tolist() == [[0.25, 0, 0]]
    assert found.energy == pytest.approx(-0.7, abs=1e-9)
    new = again(mapping, model)
    assert float(energy_of(new, new.pack()).value(turned(new)[None])) / len(new.spins) == pytest.approx(-0.7, abs=1e-8)
    other = luttinger_tisza(model, -model.pack()).arrangement
    assert new.spiral is not None
    assert other is not None
    assert other.spiral is not None
    assert float(new.spiral.axis @ other.spiral.axis) == pytest.approx(-1, abs=1e-6)


def test_dzyaloshinskii_moriya_chain_in_a_field_is_the_published_cone() -> None:
    """Energy -5/4 with the propagation 3/4 held and the field along D; modes at (0, 0, -1/3)."""
    mapping = table(([8.5, 8.0, 3, 90, 90, 90], "P 1", [[0.0, 0, 0]]), {"J1": 1.0})
    mapping["couplings"] = [{"name": "J1", "bond": "1", "matrix": [[0, 1, 0], [-1, 0, 0], [0, 0, 0]]}]
    start = [{"position": [0, 0, 0], "direction": [1, 0, 0.2]}]
    mapping["order"] = {"propagation": [0, 0, 0.75], "axis": Z, "spins": start, "relaxed": True}
    model, field = parse(mapping), (0.0, 0.0, 0.5 / MU_B)
    (cone,) = ground_states(model, model.pack(), field=field, starts=8)
    assert cone.energy == pytest.approx(-1.25, abs=1e-9)
    assert float(cone.directions[0, 2]) == pytest.approx(0.5, abs=1e-9)
    assert stability(model, model.pack(), field=field).is_minimum
    waves = SpinWaves(model, tensor([[0, 0, -1 / 3]]), field=field)
    energy = waves(model.pack()).energy[0, 0, :3]
    assert energy.tolist() == pytest.approx([3.0133249314, 2.5980762316, 0.6479760935], abs=1e-7)
    # With the other handedness the cone is a saddle: an order with the difference of the two wavevectors is lower.
    mapping["order"]["propagation"] = [0, 0, 0.25]
    wrong = parse(mapping)
    found = stability(wrong, wrong.pack(), field=field)
    assert found.is_stationary
    assert not found.is_minimum
    assert abs(float(found.q[2])) == pytest.approx(0.5, abs=1e-5)


def test_kagome_antiferromagnet_is_flat_in_its_plane_and_has_a_120_degree_order() -> None:
    """The lowest band is flat; triangles with zero total spin have -J S^2 per ion."""
    model = parse(table(KAGOME, {"J1": 1}))
    found = luttinger_tisza(model, model.pack())
    assert found.flat == 2
    assert found.energy == pytest.approx(-1, abs=1e-9)
    assert found.k.tolist() == [[0, 0, 0]]
    assert found.arrangement is not None
    assert float(found.arrangement.directions.sum(0).norm()) < 1e-6


def test_square_lattice_at_its_boundary_and_fcc_without_j2_are_degenerate_along_lines() -> None:
    for mapping in (table(SQUARE, {"J1": 1, "J2": 0.5}), table(FCC, {"J1": 1, "J2": 0}, supercell=PRIMITIVE)):
        model = parse(mapping)
        assert luttinger_tisza(model, model.pack()).flat == 1


@pytest.mark.parametrize("name", [name for name in library.names() if name not in {"fcc_biquadratic", "pcsmo_zener"}])
def test_orders_of_the_library_are_minima_and_no_order_is_lower(name: str) -> None:
    """Relaxed where the model says so. The bound of inequivalent sites, as those of PCSMO, need not be reached."""
    model = library.load(name)
    theta = model.pack()
    directions = SpinWaves(model, tensor([[0, 0, 0]])).expansion(theta).directions
    energy = float(energy_of(model, theta).value(directions)[0]) / len(model.spins)
    assert stability(model, theta).is_minimum
    if is_plain(model):
        bound = luttinger_tisza(model, theta).energy
        assert energy > bound if name in {"pcsmo_goodenough", "bi2fe4o9"} else energy == pytest.approx(bound, rel=1e-9)
    minima = ground_states(model, theta, starts=16)
    assert minima[0].energy == pytest.approx(energy, rel=1e-9)
    lowest = [minimum.starts for minimum in minima if minimum.energy == pytest.approx(energy, rel=1e-9)]
    assert sum(lowest) >= (12 if name == "kitaev" else 16)  # bond-dependent exchange has other minima


def test_chains_of_zener_polarons_are_a_minimum_only_with_more_antiferromagnetic_exchange_than_published() -> None:
    model = library.load("pcsmo_zener")
    published = stability(model, model.pack())
    assert not published.is_minimum
    assert published.q[:2].abs().tolist() == pytest.approx([0, 0.489], abs=1e-3)
    assert stability(model, model.pack(JA=0.2)).is_minimum


def test_random_starts_find_the_canting_of_an_antiferromagnet_in_a_field() -> None:
    """sin of the canting angle is g mu_B B / (2 S (4 J + D)), easy plane across the field."""
    mapping = table(SQUARE, {"J1": 1, "D": 0.54}, supercell=[[1, -1, 0], [1, 1, 0], [0, 0, 1]])
    mapping["order"]["spins"] = [{"position": [x, 0, 0], "direction": Z} for x in (0, 1)]
    model, field = parse(mapping), 20.0
    best = ground_states(model, model.pack(), field=(0, 0, field))[0]
    sine = 2 * MU_B * field / (2 * (4 + 0.54))
    assert best.directions[:, 2].tolist() == pytest.approx([sine, sine], abs=1e-8)
    assert float(best.directions[0] @ best.directions[1]) == pytest.approx(2 * sine**2 - 1, abs=1e-8)


@pytest.mark.parametrize("name", ["pcsmo_goodenough", "pcsmo_zener"])
def test_bilayers_that_nothing_links_have_no_wavevector_across_them(name: str) -> None:
    """Energies do not depend on l, so that l is 0 and no direction of the zone is flat."""
    model = library.load(name)
    found = luttinger_tisza(model, model.pack())
    assert found.flat == 0
    assert found.k[:, 2].tolist() == [0.0] * len(found.k)


def test_order_softens_at_the_wavevector_of_the_one_that_takes_over() -> None:
    """Beyond J2 = J1 / 2 the Neel order is unstable at the stripes' (1/2, 0)."""
    order = {"supercell": [[1, -1, 0], [1, 1, 0], [0, 0, 1]], "propagation": [0.5, 0.5, 0]}
    model = parse(table(SQUARE, {"J1": 1, "J2": 0.5}, **order))
    assert stability(model, model.pack(J2=0.499)).is_minimum
    found = stability(model, model.pack(J2=0.52))
    assert found.is_stationary
    assert not found.is_minimum
    assert sorted(abs(x) for x in found.q.tolist()) == pytest.approx([0, 0, 0.5], abs=1e-5)
