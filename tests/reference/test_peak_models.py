"""Models of the library against the tables of peaks that their published parameters were fitted to."""

import pytest
import torch

from sqwirrel.model import library
from sqwirrel.simulate import SpinWaves
from sqwirrel.spectra.readers import read_peaks
from tests.reference.test_scans import JAROSITE

SCAN = ("x", "energy", "error", "branch", "direction")
ALPHA = {1: ((0, 1.75, 0), (1, 0, 0)), 2: ((0, 0, 0), (0, 1, 0)), 3: ((0, 2, 0), (0, 0, 1))}
DOPED = {1: ((0, 0, 0), (0, 1, 0)), 2: ((0, 2, 0), (1, 0, 0))}


@pytest.mark.parametrize(
    ("name", "file", "options", "median", "largest"),
    [
        ("kfe3j", "sw_KFe3J.txt", JAROSITE, 0.15, 0.7),
        ("cu2v2o7", "sw_aCVO.txt", {"columns": SCAN, "lines": ALPHA}, 0.25, 1.1),
        ("zncu2v2o7", "sw_ZnCVO.txt", {"columns": SCAN, "lines": DOPED}, 0.25, 1.1),
        ("luvo3", "LuVO3_modes.txt", {}, 0.5, 4.0),
    ],
)
def test_published_parameters_meet_the_measured_energies(name, file, options, median, largest, measured):
    """Distances (meV) to the nearest mode; one peak of LuVO3, at (0, 1.5, 3.5), lies 3.8 meV above all of them."""
    model = library.load(name)
    peaks = read_peaks(measured(f"peaks/{file}"), model.lattice, **options)
    with torch.no_grad():
        modes = SpinWaves(model, peaks.q)(model.pack())
    away = (modes.energy[0] - peaks.energy[:, None]).abs().amin(-1)
    assert bool(modes.stable.all())
    assert float(away.median()) < median
    assert float(away.max()) < largest
