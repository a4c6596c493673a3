"""What must hold for any space group: matrices carried over an orbit obey all of its operations."""

import gemmi
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sqwirrel.errors import InputError
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal

CELLS = {
    "triclinic": [4.1, 5.2, 6.3, 81, 77, 95],
    "monoclinic": [4.1, 5.2, 6.3, 90, 77, 90],
    "orthorhombic": [4.1, 5.2, 6.3, 90, 90, 90],
    "tetragonal": [4.1, 4.1, 6.3, 90, 90, 90],
    "trigonal": [4.1, 4.1, 6.3, 90, 90, 120],
    "hexagonal": [4.1, 4.1, 6.3, 90, 90, 120],
    "cubic": [5.5, 5.5, 5.5, 90, 90, 90],
}
SITES = st.sampled_from([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.25, 0.25, 0.25], [0.13, 0.21, 0.37]])


def crystal_of(number, position):
    system = gemmi.find_spacegroup_by_number(number).crystal_system_str()
    try:
        return Crystal.from_spacegroup(CELLS[system], number, {"A": position})
    except InputError:  # a position nearer to its own copy than atoms are
        return Crystal.from_spacegroup(CELLS[system], number, {"A": [0.0, 0.0, 0.0]})


@settings(max_examples=25, deadline=None)
@given(number=st.integers(1, 230), position=SITES, seed=st.integers(0, 1000))
def test_matrices_on_an_orbit_obey_every_operation(number, position, seed):
    crystal = crystal_of(number, position)
    orbit = crystal.bonds(crystal.lattice.a)[0]  # one cell edge is a bond, so there is at least one
    weights = torch.randn(len(orbit.allowed), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    matrices = crystal.propagate_exchange(orbit, torch.einsum("k,kab->ab", weights, orbit.allowed))
    ends = zip(orbit.i.tolist(), orbit.j.tolist(), map(tuple, orbit.offset.tolist()), strict=True)
    on = dict(zip(ends, matrices, strict=True))
    both = on | {symmetry.reverse(bond): M.T for bond, M in on.items()}
    R = crystal.action.R
    for bond, M in on.items():
        images = torch.stack([both[image] for image in crystal.action.images(bond)])
        assert torch.allclose(images, R @ M @ R.mT, atol=1e-6 * float(M.abs().max() + 1))


@settings(max_examples=25, deadline=None)
@given(number=st.integers(1, 230), position=SITES)
def test_orbits_partition_the_bonds(number, position):
    crystal = crystal_of(number, position)
    vectors, positions = crystal.lattice.vectors, crystal.positions
    seen = set()
    for orbit in crystal.bonds(4.2):
        assert symmetry.contains(orbit.allowed, torch.eye(3, dtype=torch.float64))
        for i, j, n in zip(orbit.i.tolist(), orbit.j.tolist(), orbit.offset.tolist(), strict=True):
            length = torch.linalg.vector_norm((positions[j] + torch.tensor(n) - positions[i]) @ vectors)
            assert float(length) == pytest.approx(orbit.distance, abs=symmetry.SHELL_TOLERANCE)
            bond = (i, j, tuple(n))
            assert bond not in seen
            assert symmetry.reverse(bond) not in seen
            seen.add(bond)
