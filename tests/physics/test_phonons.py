"""Phonons: closed forms, sum rules, symmetry, and a crystal taken apart atom by atom."""

import math

import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.phonon.thermal import ThermalMotion
from sqwirrel.units import E2_PER_SPRING, K_B, MB_PER_FM2, RECOIL

AL = {"K1xx": 10.4578, "K1xy": 10.3657, "K1zz": -2.6322, "K2xx": 2.4314, "K2yy": -0.1351}
CELLS = {
    "fcc": ([4.04] * 3 + [90] * 3, 225, {"Al": [0, 0, 0]}, 4.2),
    "hcp": ([2.95, 2.95, 4.68, 90, 90, 120], 194, {"Ti": [1 / 3, 2 / 3, 0.25]}, 3.0),
    "diamond": ([5.43] * 3 + [90] * 3, "Fd-3m:1", {"Si": [0, 0, 0]}, 4.0),
    "rock salt": ([5.64] * 3 + [90] * 3, 225, {"Na": [0, 0, 0], "Cl": [0.5, 0.5, 0.5]}, 4.1),
    "calcite": (
        [4.99, 4.99, 17.06, 90, 90, 120],
        167,
        {"Ca": [0, 0, 0], "C": [0, 0, 0.25], "O": [0.257, 0, 0.25]},
        2.6,
    ),
    "triclinic": ([4.1, 4.7, 5.2, 80, 95, 102], 2, {"Na": [0.21, 0.12, 0.3], "Cl": [0.7, 0.64, 0.2]}, 3.9),
    "rutile": ([4.59, 4.59, 2.96, 90, 90, 90], 136, {"Ti": [0, 0, 0], "O": [0.305, 0.305, 0]}, 2.6),
}


def model_of(kind: str, seed: int = 1) -> PhononModel:
    """Springs that mostly pull: a random matrix within symmetry beside a strong one along the bond."""
    cell, group, sites, reach = CELLS[kind]
    crystal = Crystal.from_spacegroup(cell, group, sites)
    made = born_von_karman(crystal, reach)
    noise = torch.randn(len(made.names), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    values = {
        name: (20 if name[-1] == name[-2] else 3) * (1 + 0.3 * float(x))
        for name, x in zip(made.names, noise, strict=True)
    }
    return born_von_karman(crystal, reach, values=values)


def somewhere(n: int, seed: int = 2) -> Tensor:
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 6 - 3


def test_fcc_along_100_by_hand() -> None:
    """m w^2 of neighbours 110 and 200, summed on paper."""
    cell, group, sites, reach = CELLS["fcc"]
    model = born_von_karman(Crystal.from_spacegroup(cell, group, sites), reach, values=AL)
    assert set(model.names) == set(AL)
    zeta = torch.linspace(0.1, 1, 10, dtype=torch.float64)
    one, two = 1 - (math.pi * zeta).cos(), 1 - (2 * math.pi * zeta).cos()
    along = 8 * AL["K1xx"] * one + 2 * AL["K2xx"] * two
    across = 4 * (AL["K1xx"] + AL["K1zz"]) * one + 2 * AL["K2yy"] * two
    q = torch.stack((zeta, 0 * zeta, 0 * zeta), dim=1)
    energy = Phonons(model, q).energies(model.pack())[0]
    expected = torch.stack((along, across, across), dim=1) * E2_PER_SPRING / float(model.masses[0])
    assert torch.allclose(energy, expected.sqrt(), rtol=1e-9)
    # 40.2 and 24.6 meV at X; Al at 80 K has 9.69 and 5.78 THz there (R. Stedman, G. Nilsson, Phys. Rev. 145, 492).
    assert (energy[-1] / 4.135667696).tolist() == pytest.approx([9.73, 5.95, 5.95], abs=0.01)


@pytest.mark.parametrize("kind", CELLS)
def test_moving_all_atoms_alike_costs_nothing(kind: str) -> None:
    model = model_of(kind)
    energy = Phonons(model, torch.zeros(1, 3)).energies(model.pack())[0, 0]
    assert energy[-3:].abs().tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert len(model.positions) == 1 or float(energy[0]) > 10


@pytest.mark.parametrize("kind", CELLS)
def test_energies_repeat_and_have_the_symmetry_of_the_crystal(kind: str) -> None:
    cell, group, sites, _ = CELLS[kind]
    model, q = model_of(kind), somewhere(5)
    rotations = Crystal.from_spacegroup(cell, group, sites).rotations.to(q)
    base = Phonons(model, q).energies(model.pack())
    for W in rotations[:: max(1, len(rotations) // 7)]:
        assert torch.allclose(Phonons(model, q @ W).energies(model.pack()), base, atol=1e-6)
    primitive = torch.linalg.inv(model.primitive).T
    assert torch.allclose(Phonons(model, q + primitive[0] - 2 * primitive[1]).energies(model.pack()), base, atol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_first_moment_is_the_recoil(kind: str) -> None:
    """sum E S = hbar^2 Q^2 / 2 N sum b^2 / m where no two atoms interfere: averaged over Q + G, here over origins."""
    model, q = model_of(kind), somewhere(4)
    modes = Phonons(model, q, temperature=100.0)(model.pack())
    moment = (modes.energy * modes.intensity)[0].sum(-1)
    wave, strength = model.lattice.to_cartesian(q), model.lengths**2 / model.masses
    # E_j drops out of E_j hbar^2 / 2 E_j, and polarisation vectors are complete: no cross terms.
    expected = MB_PER_FM2 * RECOIL / 2 * (wave**2).sum(1) * strength.mean()
    assert torch.allclose(moment, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["diamond", "rutile"])
def test_structure_factors_are_those_of_a_crystal_taken_apart(kind: str) -> None:
    """A supercell as one molecule: each atom by itself, no phase convention but exp(i Q . R)."""
    model, n = model_of(kind), 2
    A = model.cell.vectors
    cells = torch.cartesian_prod(*[torch.arange(n)] * 3)
    place = (cells[:, None].to(A) + model.positions).flatten(0, 1) @ A
    atoms, size = len(model.positions), len(place)
    number = {tuple(cell): k for k, cell in enumerate(cells.tolist())}
    Phi = torch.zeros(size, 3, size, 3, dtype=torch.float64)
    for springs in model.springs:
        for i, j, offset, M in zip(springs.i, springs.j, springs.offset, springs.matrix, strict=True):
            for c in cells:
                a = number[tuple(c.tolist())] * atoms + int(i)
                b = number[tuple(((c + offset) % n).tolist())] * atoms + int(j)
                K = model.defaults[springs.name] * M
                Phi[a, :, b] -= K
                Phi[b, :, a] -= K.T
                Phi[a, :, a] += (K + K.T) / 2
                Phi[b, :, b] += (K + K.T) / 2
    root = model.masses.repeat(len(cells)).sqrt().repeat_interleave(3)
    square, e = torch.linalg.eigh(E2_PER_SPRING * Phi.reshape(3 * size, -1) / root / root[:, None])
    rlu = torch.tensor([[1, 0, 0], [0, 1, 2], [3, 1, 1], [2, -1, 1]]).double() / n  # of the cell that repeats
    wave = model.cell.to_cartesian(rlu)
    b = model.lengths.repeat(len(cells)) / model.masses.repeat(len(cells)).sqrt()
    F = torch.einsum(
        "s,qc,qs,scm->qm", b + 0j, wave + 0j, torch.exp(1j * (wave @ place.T)), e.reshape(size, 3, -1) + 0j
    )
    energy = square.clamp(min=1e-6).sqrt()
    line = MB_PER_FM2 * RECOIL / (2 * energy) * F.abs() ** 2 / size
    modes = Phonons(model, model.lattice.to_rlu(wave))(model.pack())
    half = modes.energy.shape[-1] // 2
    edges = torch.linspace(0.5, float(energy.max()) * 1.01, 41, dtype=torch.float64)  # sums over degenerate sets
    for k in range(len(wave)):
        brute = torch.histogram(energy, edges, weight=line[k]).hist
        ours = torch.histogram(modes.energy[0, k, :half], edges, weight=modes.intensity[0, k, :half]).hist
        assert torch.allclose(ours, brute, atol=1e-8 * float(brute.max()))
        assert float(brute.max()) > 0


@pytest.mark.parametrize("q", [[1.0, 0, 0], [0.31, 0.22, 0.13], [2.5, 0.5, 0.5]])
@pytest.mark.parametrize("kind", ["fcc", "diamond"])
def test_derivatives_are_differences_at_degenerate_modes_too(kind: str, q: list[float]) -> None:
    """Of sum I f(E), with thermal motion: any smooth sum over modes."""
    model = model_of(kind)
    waves = Phonons(model, torch.tensor([q]), temperature=50.0, thermal=ThermalMotion(model, 50.0, 4))

    def seen(theta: Tensor) -> Tensor:
        modes = waves(theta[None])
        return (modes.intensity * torch.sin(modes.energy / 7)).sum()

    theta = model.pack()[0]
    slope = torch.func.jacfwd(seen)(theta)
    for k in range(len(theta)):
        step = torch.zeros_like(theta)
        step[k] = 1e-4
        difference = (seen(theta + step) - seen(theta - step)) / 2e-4
        assert float(slope[k]) == pytest.approx(float(difference), rel=1e-4, abs=1e-6)


def einstein(stiffness: float = 30.0) -> PhononModel:
    """Every atom on a spring of its own."""
    cell, group, sites, reach = CELLS["fcc"]
    base = born_von_karman(Crystal.from_spacegroup(cell, group, sites), reach)
    own = Springs("K", [], [], torch.zeros(0, 3), torch.eye(3), on_site=torch.eye(3)[None])
    return PhononModel(
        "e", "", base.lattice, base.positions, base.elements, (own,), base.primitive, defaults={"K": stiffness}
    )


@pytest.mark.parametrize("temperature", [0.0, 20.0, 1000.0])
def test_thermal_motion_of_an_oscillator(temperature: float) -> None:
    model = einstein()
    energy = math.sqrt(E2_PER_SPRING * 30 / float(model.masses[0]))
    heat = 1 / math.tanh(energy / (2 * K_B * temperature)) if temperature else 1.0
    U = ThermalMotion(model, temperature)(model.pack())[0, 0]
    assert torch.allclose(U, RECOIL / (2 * float(model.masses[0]) * energy) * heat * torch.eye(3).double(), rtol=1e-9)


@pytest.mark.parametrize("temperature", [0.0, 300.0])
def test_thermal_motion_has_converged(temperature: float) -> None:
    cell, group, sites, reach = CELLS["fcc"]
    model = born_von_karman(Crystal.from_spacegroup(cell, group, sites), reach, values=AL)
    usual, fine = (ThermalMotion(model, temperature, mesh)(model.pack())[0, 0] for mesh in (8, 24))
    assert float(usual.diagonal().mean()) == pytest.approx(float(fine.diagonal().mean()), rel=0.01)


def test_a_crystal_that_falls_apart_is_not_stable() -> None:
    cell, group, sites, reach = CELLS["fcc"]
    model = born_von_karman(Crystal.from_spacegroup(cell, group, sites), reach, values=AL)
    waves = Phonons(model, torch.tensor([[0.5, 0.5, 0.5], [1, 0, 0]]))
    modes = waves(torch.cat((model.pack(), -model.pack())))
    assert modes.stable.tolist() == [[True, True], [False, False]]
    assert bool(modes.energy.isfinite().all() & modes.intensity.isfinite().all())
    assert float(waves.energies(-model.pack()).max()) < 0


def test_detailed_balance() -> None:
    model = model_of("diamond")
    modes = Phonons(model, somewhere(3), temperature=77.0)(model.pack())
    gain, loss = modes.intensity[..., 6:].flip(-1), modes.intensity[..., :6]
    assert torch.allclose(gain, loss * torch.exp(-modes.energy[..., :6] / (K_B * 77.0)), rtol=1e-9)


def test_wrong_parameters_are_one_sentence() -> None:
    model = model_of("fcc")
    with pytest.raises(InputError, match=r"expected \(batch, 5\), K1xx"):
        Phonons(model, torch.zeros(1, 3))(torch.ones(1, 2).double())
    with pytest.raises(InputError, match="each bond counts once"):
        Springs("K", [0, 0], [0, 0], [[1, 0, 0], [-1, 0, 0]], torch.eye(3))
    crystal = Crystal.from_spacegroup(*CELLS["fcc"][:3])
    with pytest.raises(InputError, match="no two atoms"):
        born_von_karman(crystal, 1.0)
