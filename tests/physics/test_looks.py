"""Many looks at few modes: they see what spin waves at each wavevector by itself see."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from sqwirrel.model import library
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.simulate.looks.folding import fold, is_free, unwrapped
from sqwirrel.simulate.looks.groups import groups
from sqwirrel.simulate.looks.standing import Held, Standing
from sqwirrel.simulate.modes import Modes
from sqwirrel.units import E_PER_K2
from tests.cases import random_q, tensor

C_AXIS = tensor([0, 0, 1])
PCSMO, DIMER, LAYER, CHAIN = (library.load(name) for name in ("pcsmo_goodenough", "pcsmo_dimer", "rb2mnf4", "dm_chain"))
NONE = (0, 0, 0)


def standing(
    model: SpinModel, q: Tensor, incident_energy: float, mesh: tuple[int, int, int] = NONE, temperature: float = 0.0
) -> tuple[Standing, Tensor]:
    """Looks of a beam along c, and the wavevectors that are meant."""
    few, meant = fold(model, q, C_AXIS, mesh)
    held = Held(model.lattice.to_cartesian(C_AXIS), model.lattice.to_cartesian(C_AXIS), incident_energy)
    amplitudes = Amplitudes(model, few.solved, groups(model, C_AXIS))
    return Standing(model, amplitudes, few, model.lattice.to_cartesian(meant), held, temperature), meant


def expected(model: SpinModel, meant: Tensor, modes: Modes, incident_energy: float, temperature: float = 0.0) -> Tensor:
    """Intensity of each mode at the wavevector where the beam sees it, from spin waves there."""
    flat = model.lattice.to_cartesian(meant)[:, :2]
    ki2, kf2 = incident_energy / E_PER_K2, (incident_energy - modes.energy[0]) / E_PER_K2
    along = model.lattice.c / (2 * math.pi) * (ki2**0.5 - (kf2 - (flat**2).sum(-1, keepdim=True)).sqrt())
    found = torch.zeros_like(along)
    for q, mode in along.isfinite().nonzero().tolist():
        at = torch.cat((meant[q, :2], along[q, mode][None]))
        with torch.no_grad():
            found[q, mode] = SpinWaves(model, at[None], temperature=temperature)(model.pack()).intensity[0, 0, mode]
    return found


@pytest.mark.parametrize("model", [PCSMO, DIMER, LAYER], ids=lambda model: model.name)
@pytest.mark.parametrize(("incident_energy", "temperature"), [(100.0, 0.0), (60.0, 40.0)])
def test_every_mode_is_seen_where_the_beam_can_excite_it(
    model: SpinModel, incident_energy: float, temperature: float
) -> None:
    solver, meant = standing(model, random_q(6), incident_energy, temperature=temperature)
    modes = solver(model.pack())
    right = expected(model, meant, modes, incident_energy, temperature)
    assert float(right.max()) > 0.1
    # the form factor is tabulated; two modes of one energy may share their intensity differently
    assert torch.allclose(modes.intensity[0].sum(-1), right.sum(-1), rtol=1e-4, atol=1e-5)


def test_modes_of_different_energies_have_the_intensity_of_spin_waves_each() -> None:
    solver, meant = standing(PCSMO, random_q(4), 100.0)
    modes = solver(PCSMO.pack())
    assert torch.allclose(modes.intensity[0], expected(PCSMO, meant, modes, 100.0), rtol=1e-4, atol=1e-5)


def test_wavevectors_on_a_mesh_share_their_modes_in_every_zone() -> None:
    q = random_q(40) * 6
    few, meant = fold(PCSMO, q, C_AXIS, (10, 10, 0))
    assert len(few.solved) == 100
    assert float((meant - q)[:, :2].abs().max()) <= 0.05
    solver, meant = standing(PCSMO, q, 70.0, (10, 10, 0))
    every, again = standing(PCSMO, meant, 70.0)
    assert torch.equal(meant, again)
    one, other = solver(PCSMO.pack()), every(PCSMO.pack())
    assert torch.allclose(one.energy, other.energy, atol=1e-8)
    assert torch.allclose(one.intensity.sum(-1), other.intensity.sum(-1), rtol=1e-7, atol=1e-9)


def test_energies_outside_of_the_window_stay_dark() -> None:
    few, meant = fold(PCSMO, random_q(5), C_AXIS, NONE)
    held = Held(PCSMO.lattice.to_cartesian(C_AXIS), PCSMO.lattice.to_cartesian(C_AXIS), 100.0)
    amplitudes = Amplitudes(PCSMO, few.solved, groups(PCSMO, C_AXIS))
    modes = Standing(PCSMO, amplitudes, few, PCSMO.lattice.to_cartesian(meant), held, 0.0, (20.0, 40.0))(PCSMO.pack())
    inside = (modes.energy >= 20) & (modes.energy <= 40)
    assert float(modes.intensity[~inside].abs().max()) == 0
    assert float(modes.intensity[inside].max()) > 0


@pytest.mark.parametrize(
    ("model", "direction", "free"),
    [
        (PCSMO, (0, 0, 1), True),
        (PCSMO, (1, 0, 0), False),
        (CHAIN, (0, 1, 0), True),
        (library.load("mnf2"), (0, 0, 1), False),
        (library.load("mnf2_dipole"), (0, 1, 0), False),
        (library.load("triangular"), (0, 0, 1), True),
    ],
    ids=lambda x: getattr(x, "name", str(x)),
)
def test_a_direction_is_free_where_nothing_is_coupled_along_it(model: SpinModel, direction, free: bool) -> None:
    assert is_free(model, tensor(direction)) is (free and model.spiral is None)
    q = random_q(3)
    with torch.no_grad():
        here, there = (SpinWaves(model, at)(model.pack()).energy for at in (q, q + 0.37 * tensor(direction)))
    assert torch.allclose(here, there, atol=1e-6) is free


def test_sites_are_reached_along_bonds() -> None:
    """The layers of a pair are bonded at 0.2 c from each other, wherever in the cell their coordinates put them."""
    far = dataclasses.replace(PCSMO, positions=PCSMO.positions + tensor([0, 0, 0.5]))
    for model in (PCSMO, far):
        height = unwrapped(model)[0][:, 2]
        assert float(height.max() - height.min()) == pytest.approx(0.2)


def test_whole_zones_add_up_sites_in_few_ways() -> None:
    found = groups(PCSMO, C_AXIS)
    assert (found.pattern.shape, len(found.height)) == ((4, 16), 4)
    shift = tensor([[1, 2, 0], [-3, 5, 0], [0, 0, 0]]) @ torch.linalg.inv(PCSMO.supercell).T
    pattern, angle = found.turned(shift)
    phase = found.pattern[pattern] * torch.exp(1j * angle)[:, found.member]
    assert torch.allclose(phase, torch.exp(2j * math.pi * (shift @ unwrapped(PCSMO)[0][found.order].T)))


def test_sites_at_any_places_are_groups_by_themselves() -> None:
    odd = dataclasses.replace(PCSMO, positions=PCSMO.positions + 0.01 * random_q(len(PCSMO.spins)))
    found = groups(odd, C_AXIS)
    assert (found.pattern.shape, len(found.height)) == ((1, 16), 16)
    solver, meant = standing(odd, random_q(4), 100.0)
    modes = solver(odd.pack())
    right = expected(odd, meant, modes, 100.0)
    assert torch.allclose(modes.intensity[0].sum(-1), right.sum(-1), rtol=1e-4, atol=1e-5)
