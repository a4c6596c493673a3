"""Background: templates are one, the distance from the middle in energy, and that in |Q|."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.observe import ConstantBackground, PlanarBackground, SlopedBackground
from sqwirrel.spectra import Measurement, QPath, QShells

ENERGY = [0.0, 1.0, 2.0, 4.0]
MAP = Measurement(QShells([1.0, 1.5, 2.0]), ENERGY, 5.0)
PATH = Measurement(QPath(Lattice(4, 4, 4, 90, 90, 90), [[0.1, 0, 0], [0.2, 0, 0]], torch.zeros(3, 3)), ENERGY, 5.0)
AWAY = [[-1.5, -0.5, 1.0]] * 2


@pytest.mark.parametrize("measurement", [MAP, PATH], ids=["map", "path"])
def test_constant_and_slope(measurement: Measurement) -> None:
    assert ConstantBackground().templates(measurement).tolist() == [[[1.0] * 3] * 2]
    assert SlopedBackground().templates(measurement).tolist() == [[[1.0] * 3] * 2, AWAY]


def test_plane_has_a_slope_along_momentum() -> None:
    assert PlanarBackground().templates(MAP).tolist() == [[[1.0] * 3] * 2, AWAY, [[-0.25] * 3, [0.25] * 3]]


def test_plane_is_refused_on_a_path() -> None:
    with pytest.raises(InputError, match="needs a powder map"):
        PlanarBackground().templates(PATH)


@pytest.mark.parametrize("background", [ConstantBackground(), SlopedBackground(), PlanarBackground()])
def test_every_template_has_a_name_and_a_unit(background: PlanarBackground) -> None:
    assert len(background.templates(MAP)) == len(background.names)
    assert tuple(background.units) == background.names
