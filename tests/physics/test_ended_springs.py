"""What springs that end somewhere are off by: nothing if none are left out, less the further they reach."""

import pytest

from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.phonon import ended
from sqwirrel.simulate.phonon.ended import astray


def metal(element: str, spacegroup: int, reach: float) -> PhononModel:
    """Springs to so many edges of a cubic cell."""
    crystal = Crystal.from_spacegroup([4.0, 4.0, 4.0, 90, 90, 90], spacegroup, {element: [0, 0, 0]})
    return born_von_karman(crystal, max_distance=4.0 * reach)


def test_the_further_springs_reach_the_nearer_they_are() -> None:
    shares = [astray(metal("Al", 225, reach)) for reach in (0.8, 1.1, 1.3, 1.5)]
    assert None not in shares
    assert shares == sorted(shares, reverse=True)
    assert shares[1] == pytest.approx(0.056, abs=0.005)
    assert 0.05 < (astray(metal("Fe", 229, 1.1)) or 0) < 0.1


def test_springs_that_are_all_there_are_off_by_nothing() -> None:
    name = "cu_80k"
    assert float(ended._missed(name, max(ended._lengths(library.published(name)))).max()) < 1e-6


def test_nine_in_ten_points_of_an_element_that_was_left_out_are_within() -> None:
    """On average over elements: some have longer springs than others."""
    near = {"Ag": "ag_296k", "Al": "al_80k", "Au": "au_295k", "Cu": "cu_296k", "Ni": "ni_296k", "Pd": "pd_296k"}
    far = {"Ce": "ce_295k", "Pb": "pb_80k", "Pt": "pt_90k", "Th": "th_296k"}
    held = []
    for element, name in (near | far).items():
        second = ended._lengths(library.published(name))[1]
        held.append(float((ended._missed(name, second) <= ended._share("fcc", 2, element)).double().mean()))
    assert 0.8 < sum(held) / len(held) < 0.97


def test_others_have_no_such_share() -> None:
    assert astray(library.load("al_80k")) is None  # reaches as far as published ones do
    diamond = Crystal.from_spacegroup([5.4, 5.4, 5.4, 90, 90, 90], 227, {"Si": [0.125, 0.125, 0.125]})
    assert astray(born_von_karman(diamond, max_distance=4.0)) is None
    assert astray(metal("Mn", 221, 1.1)) is None
