"""The canvas of a broad family: scales drop out, springs hold, coverage obeys energy and momentum."""

import pytest
import torch

from sqwirrel.learn.latent.canvas import ENERGY, SHAPE, Canvas, Q, kinematic
from sqwirrel.learn.latent.family import CRYSTALS, PAIRS, material, rows_of
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.seeds import stream


def aluminium(a, **values):
    crystal = Crystal.from_spacegroup([a] * 3 + [90] * 3, 225, {"Al": (0, 0, 0)})
    return born_von_karman(crystal, 0.8 * a, values=values)


def test_lattice_constant_and_stiffness_drop_out():
    one, other = aluminium(4.0), aluminium(5.2)
    theta = torch.tensor([[1.0, 1.1, -0.2]]).double()
    first, _ = Canvas.of(one).maps(theta, stream(0, "w"))
    second, _ = Canvas.of(other).maps(37 * theta, stream(0, "w"))
    assert torch.allclose(first, second, atol=1e-5)


def test_the_highest_energy_is_where_it_was_said_to_be():
    model, theta = aluminium(4.0), torch.tensor([[10.0, 11.0, -2.0]]).double()
    generous, _ = Canvas.of(model).maps(theta, stream(0, "w"), top=100.0)
    exact, _ = Canvas.of(model).maps(theta, stream(0, "w"), top=40.0)
    middle = (ENERGY[1:] + ENERGY[:-1]) / 2
    means = [float((each[0].double() * middle).sum() / each.sum()) for each in (generous, exact)]
    assert means[1] > 1.5 * means[0]


@pytest.mark.parametrize("structure", CRYSTALS)
def test_springs_of_a_family_hold_and_are_the_same_for_the_same_seed(structure):
    theta, level = rows_of(structure, 8, seed=3)
    assert level.shape == (8, *SHAPE)
    assert bool(level.isfinite().all())
    assert bool((level.amax((1, 2)) == 1).all())
    assert theta.shape == (8, len(material(structure).model.names))
    again = rows_of(structure, 8, seed=3)
    assert torch.equal(theta, again[0])


def test_rock_salt_has_its_pairs():
    masses = {tuple(material("rock salt", k).model.masses.tolist()) for k in range(len(PAIRS))}
    assert masses == {(a, b) for a, _, b, _ in PAIRS}


def test_springs_along_and_across_bonds_add_up():
    own = material("fcc")
    both = own.axial[0] + own.axial[1]
    assert dict(zip(own.model.names, both.tolist(), strict=True)) == pytest.approx(
        {"K1xx": 1, "K1xy": 0, "K1zz": 1, "K2xx": 0, "K2yy": 0}, abs=1e-9
    )


def test_coverage_is_what_some_spectrometer_sees():
    seen = kinematic(200, stream(0, "k"))
    assert seen.shape == (200, *SHAPE)
    lines = seen.sum(1)
    assert bool((lines.diff(dim=1) <= 0).double().mean() > 0.9)
    assert 0.2 < float(seen.double().mean()) < 0.95
    assert not bool(seen[:, 0].any())
    assert Q[0] == 0
