"""The standard path: corners where textbooks have them, whichever cell a model is written in."""

import dataclasses
import itertools

import pytest
import torch

from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.path import standard_path
from tests.physics.test_polar_phonons import salt

SIZES = {"Γ": [0, 0, 0], "X": [0, 0, 1], "U": [0.25, 0.25, 1], "K": [0, 0.75, 0.75], "L": [0.5] * 3, "W": [0, 0.5, 1]}
"""Corners of the zone of a face-centred cube: h, k and l without signs, in order of size."""


def corners(model):
    """Names of the lines, and the ends of each by name."""
    lines = standard_path(model, 60)
    ends = [end for line in lines for end in zip(line.names, line.q[[0, -1]], strict=True)]
    return lines, ends


def test_face_centred_cubic():
    lines, ends = corners(library.load("al_80k"))
    assert " ".join("-".join(line.names) for line in lines) == "Γ-X X-U K-Γ Γ-L L-W W-X"
    assert [line.is_joined for line in lines] == [False, True, False, True, True, True]
    for name, q in ends:
        assert q.abs().sort().values.tolist() == pytest.approx(SIZES[name], abs=1e-9)


def test_lengths_go_on_along_the_path_and_are_those_of_q():
    model = library.load("mg_290k")
    lines = standard_path(model, 200)
    assert sum(len(line.q) for line in lines) == pytest.approx(200, abs=10)
    for line, after in itertools.pairwise(lines):
        assert float(line.along[-1]) == float(after.along[0])
    for line in lines:
        step = model.lattice.to_cartesian(line.q.diff(dim=0)).norm(dim=1)
        assert torch.allclose(step, line.along.diff(), rtol=1e-9)


@pytest.mark.parametrize("turn", [[[-1, 0, 0], [0, -1, 0], [0, 0, -1]], [[1, 1, 0], [0, 1, 0], [2, 0, 1]]])
def test_another_cell_of_the_same_crystal_has_the_same_corners(turn):
    """A left-handed one, too."""
    model, turn = library.load("al_80k"), torch.tensor(turn, dtype=torch.float64)
    other = dataclasses.replace(model, primitive=turn @ model.primitive, springs=model.springs)
    _, ends = corners(other)
    for name, q in ends:
        assert q.abs().sort().values.tolist() == pytest.approx(SIZES[name], abs=1e-9)


def test_of_a_polar_crystal_lines_end_beside_the_bragg_point():
    """Where it is known from which side q comes."""
    for line in standard_path(salt(), 60):
        for name, q in zip(line.names, line.q[[0, -1]], strict=True):
            assert (0 < float(q.norm()) < 1e-3) == (name == "Γ")
