"""NXSPE files made here: versions, masks, and what is missing."""

import h5py
import numpy as np
import pytest

from sqwirrel.errors import InputError
from sqwirrel.spectra import read

POLAR = np.arange(10.0, 100.0, 2.0)


def save(path, **changes):
    shape = (len(POLAR), 4)
    entry = {
        "definition": np.array([b"NXSPE"]),
        "NXSPE_info/fixed_energy": np.array([20.0]),
        "data/data": np.full(shape, 3.0),
        "data/error": np.full(shape, 1.0),
        "data/energy": np.linspace(-2.0, 10.0, 5),
        "data/polar": POLAR,
        "data/polar_width": np.full(len(POLAR), 2.0),
    } | changes
    with h5py.File(path, "w") as file:
        for name, values in entry.items():
            if values is not None:
                file[f"any name/{name}"] = values
    return path


def test_energies_may_be_edges_or_centres(tmp_path):
    edges = read(save(tmp_path / "a"))
    centres = read(save(tmp_path / "b", **{"data/energy": np.array([-0.5, 2.5, 5.5, 8.5])}))
    np.testing.assert_allclose(centres.measurement.energy, edges.measurement.energy)
    np.testing.assert_array_equal(centres.intensity, edges.intensity)


@pytest.mark.parametrize("mask", [-1e30, -1e20, np.nan])
def test_masked_detectors_are_unmeasured(mask, tmp_path):
    values = np.full((len(POLAR), 4), 3.0)
    values[20:] = mask
    spectrum = read(save(tmp_path / "a", **{"data/data": values}))
    whole = read(save(tmp_path / "b"))
    assert 0 < spectrum.valid.sum() < whole.valid.sum()
    assert spectrum.intensity[spectrum.valid].tolist() == pytest.approx([3.0] * int(spectrum.valid.sum()))


def test_zero_counts_are_measured(tmp_path):
    values = np.zeros((len(POLAR), 4))
    values[0, 0] = 1.0
    zero = read(save(tmp_path / "a", **{"data/data": values, "data/error": values}))
    assert zero.valid.sum() == read(save(tmp_path / "b")).valid.sum()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data/error": None}, "a.nxspe has no 'data/error' in '/any name', which its format requires"),
        ({"data/energy": np.arange(9.0)}, "a.nxspe has 9 energies for 4 energy bins; expected 5 edges"),
        ({"NXSPE_info/fixed_energy": np.array([1.0, 2.0])}, "'NXSPE_info/fixed_energy' of a.nxspe should be one number; it holds 2"),
        ({"data/data": np.full((len(POLAR), 4), np.nan)}, "a.nxspe has no measured bin"),
        ({"data/polar": np.arange(3.0)}, "a.nxspe holds data of shape (45, 4), errors (45, 4), polar angles (3,) and widths (45,)"),
        ({"NXSPE_info/fixed_energy": np.array([-5.0])}, "a.nxspe: the incident energy is -5 meV; it must be positive"),
        ({"NXSPE_info/fixed_energy": np.array([np.nan])}, "a.nxspe: the incident energy is nan meV; it must be positive"),
        ({"data/polar": np.full(len(POLAR), np.nan)}, "a.nxspe: some scattering angles do not lie between 0 and 180 degrees"),
        ({"data/energy": np.array([0.0, 2.0, 1.0, 3.0, 4.0])}, "a.nxspe: energy bin edges must be finite and ascending (meV)"),
    ],
)  # fmt: skip
def test_a_bad_file_gets_one_sentence(changes, message, tmp_path):
    with pytest.raises(InputError) as caught:
        read(save(tmp_path / "a.nxspe", **changes))
    assert str(caught.value).startswith(message)
