"""What is believed of springs to far neighbours."""

from typing import Any

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model.laws import Normal
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.library.far import REACH, _values, falling
from sqwirrel.model.phonon.parse import parse

CELL = {"cell": [4.05, 4.05, 4.05, 90, 90, 90], "spacegroup": 225, "sites": [{"label": "Al", "position": [0, 0, 0]}]}
FAR = {"max_distance": 4.2, "far": 6.0, "stiffest": 12.0}


def aluminium(**springs: object) -> Any:
    return parse({"name": "aluminium", "crystal": CELL, "springs": springs})


def test_nine_in_ten_force_constants_of_an_element_are_where_the_others_say() -> None:
    """Elements left out one by one; every element counts as one, and the square root of their number is the noise."""
    held = []
    for like in ("fcc", "bcc"):
        tables = {name: library.published(name) for name in library.names()}
        of = {t["element"]: name for name, t in tables.items() if t["structure"] == like}
        for element, name in of.items():
            share, power = falling(like, frozenset({element}))
            held.append(sum(x < REACH * share * d**-power for d, x in _values(name)) / len(_values(name)))
    assert len(held) > 15
    assert 0.8 < sum(held) / len(held) < 0.96


def test_an_element_does_not_tell_of_itself() -> None:
    assert falling("fcc", frozenset({"Pb"})) != falling("fcc") != falling("bcc") != falling()


def test_far_springs_get_a_prior_that_narrows_and_near_ones_none() -> None:
    model = aluminium(**FAR, like="fcc")
    assert model.names[:5] == ("K1xx", "K1xy", "K1zz", "K2xx", "K2yy")
    assert model.prior.names == model.names[5:]
    laws = list(model.prior.free.values())
    assert all(isinstance(law, Normal) and law.mean == 0 for law in laws)
    widths = [law.sd for law in laws]
    assert widths == sorted(widths, reverse=True)
    assert 0.1 < widths[-1] < widths[0] < 1.0
    twice = aluminium(**FAR | {"stiffest": 24.0}, like="fcc").prior.sd
    torch.testing.assert_close(twice, 2 * model.prior.sd)


def test_a_prior_of_ones_own_stands() -> None:
    own = {"K3xx": {"uniform": [-0.5, 0.5]}}
    model = parse({"name": "aluminium", "crystal": CELL, "springs": FAR, "prior": own})
    assert model.prior.free["K3xx"].bounds == (-0.5, 0.5)


@pytest.mark.parametrize(
    ("springs", "message"),
    [
        ({**FAR, "far": 4.5}, r"no bonds between max_distance = 4.2 A and far; give a longer far"),
        ({**FAR, "max_distance": 3.0}, r"bonds of 4.05 A would be far, .* below 4.3 A \(1.5 times the shortest\)"),
        ({**FAR, "far": 4.0}, r"far = 4 A is not beyond max_distance = 4.2 A"),
        ({**FAR, "stiffest": -1.0}, r"stiffest = -1 N/m; give about how large the largest force constant is"),
        ({**FAR, "like": "diamond"}, r"no structure 'diamond' has enough published models; use fcc, bcc, or leave"),
        ({"max_distance": 4.2, "far": 6.0}, r"\[springs\] with far lacks the key 'stiffest'"),
        ({"max_distance": 4.2, "stiffest": 12.0}, r"\[springs\] without far has the unknown key 'stiffest'"),
    ],
)
def test_what_is_wrong_is_said(springs: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        aluminium(**springs)
