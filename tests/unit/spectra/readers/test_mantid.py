"""Mantid workspaces made here, so that each trap is there on its own."""

import h5py
import numpy as np
import pytest

from sqwirrel.errors import InputError
from sqwirrel.spectra import read

ANGLES = (20.0, 40.0, 60.0, 80.0)


def save(path, **changes):
    """Four spectra of two detectors each, at ANGLES +- 1 degree, detector numbers out of order."""
    numbers = np.array([12, 11, 22, 21, 32, 31, 42, 41])
    entry = {
        "workspace/values": np.full((4, 3), 5.0),
        "workspace/errors": np.full((4, 3), 2.0),
        "workspace/axis1": np.array([-3.0, -1.0, 1.0, 3.0]),
        "workspace/axis2": np.array([1.0, 2.0, 3.0, 4.0]),
        "instrument/detector/detector_count": np.array([2, 2, 2, 2]),
        "instrument/detector/detector_list": np.array([11, 12, 21, 22, 31, 32, 41, 42]),
        "instrument/physical_detectors/detector_number": numbers,
        "instrument/physical_detectors/polar_angle": np.array(
            [20.0 * (n // 10) + (1 if n % 10 == 2 else -1) for n in numbers]
        ),
        "logs/Ei/value": np.array([30.0]),
        "logs/deltaE-mode/value": np.array([b"Direct"]),
    } | changes
    units = entry.pop("units", ("DeltaE", "spectraNumber"))
    with h5py.File(path, "w") as file:
        for name, values in entry.items():
            if values is not None:
                file[f"mantid_workspace_1/{name}"] = values
        for axis, unit in zip(("axis1", "axis2"), units, strict=True):
            file[f"mantid_workspace_1/workspace/{axis}"].attrs["units"] = unit
    return path


def ki():
    return np.sqrt(30.0 / 2.0721248)


def test_rings_lie_at_the_mean_angle_of_their_detectors(tmp_path):
    spectrum = read(save(tmp_path / "a.nxs"))
    edges = spectrum.measurement.points.edges.numpy()
    for angle in ANGLES:  # elastic: Q = 2 k sin(theta)
        shell = np.searchsorted(edges, 2 * ki() * np.sin(np.radians(angle / 2))) - 1
        assert spectrum.valid[shell, 1]
        assert spectrum.intensity[shell, 1] == pytest.approx(5.0)
    assert spectrum.measurement.incident_energy == 30.0


def test_a_spectrum_of_masked_detectors_only_is_unmeasured(tmp_path):
    masks = {"instrument/instrument_parameter_map/data": b"detID:41;bool;masked;1|detID:42;bool;masked;1|"}
    masked, whole = read(save(tmp_path / "a.nxs", **masks)), read(save(tmp_path / "b.nxs"))
    border = 2 * ki() * np.sin(np.radians(70 / 2))  # half way between the last two rings
    assert masked.measurement.points.edges[:-1][masked.valid[:, 1]].max() < border
    assert whole.measurement.points.edges[:-1][whole.valid[:, 1]].max() > border


def test_a_masked_detector_does_not_move_its_ring(tmp_path):
    masks = {"instrument/instrument_parameter_map/data": b"detID:11;bool;masked;1|"}
    unmasked, masked = read(save(tmp_path / "a.nxs")), read(save(tmp_path / "b.nxs", **masks))
    assert masked.valid.any()
    assert not np.array_equal(masked.intensity, unmasked.intensity)


def test_a_last_bin_without_width_is_dropped(tmp_path):
    spectrum = read(save(tmp_path / "a.nxs", **{"workspace/axis1": np.array([-3.0, -1.0, 1.0, 1.0])}))
    assert spectrum.measurement.energy.tolist() == [-3.0, -1.0, 1.0]


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_map_of_q_and_energy_is_taken_as_it_is(is_turned, tmp_path):
    values = np.arange(12.0).reshape(4, 3)
    values[1, 1] = np.nan
    shells, energy = np.array([0.5, 1.0, 1.5, 2.0, 2.5]), np.array([-3.0, -1.0, 1.0, 3.0])
    axes, units = (energy, shells), ("DeltaE", "MomentumTransfer")
    if is_turned:
        values, axes, units = values.T, axes[::-1], units[::-1]
    changes = {
        "workspace/values": values,
        "workspace/errors": values,
        "workspace/axis1": axes[0],
        "workspace/axis2": axes[1],
    }
    spectrum = read(save(tmp_path / "a.nxs", units=units, **changes))
    assert spectrum.measurement.points.edges.tolist() == shells.tolist()
    assert spectrum.intensity.tolist() == [[0, 1, 2], [3, 0, 5], [6, 7, 8], [9, 10, 11]]
    assert spectrum.valid.sum() == 11


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": ("TOF", "spectraNumber")}, "a.nxs is a Mantid workspace 'a' with axes of TOF and spectraNumber; expected DeltaE by spectrum or by MomentumTransfer. Reduce it to energy transfer first (DgsReduction)"),
        ({"logs/Ei/value": None}, "a.nxs is a Mantid workspace 'a' by spectrum number, without 'logs/Ei/value', so its scattering angles or incident energy are unknown; save it as NXSPE or after SofQW"),
        ({"logs/deltaE-mode/value": np.array([b"Indirect"])}, "a.nxs was measured in Indirect geometry; only direct geometry (fixed E_i) is read"),
        ({"instrument/detector/detector_list": np.arange(8)}, "a.nxs names detectors whose place it does not say; save it as NXSPE instead"),
        ({"workspace/values": np.ones((3, 3))}, "a.nxs has values of shape (3, 3) for 4 spectra with angles and 4 energies; expected one angle a spectrum and one energy more than bins"),
        ({"workspace/values": np.full((4, 3), np.nan)}, "a.nxs has no measured bin"),
        ({"workspace/errors": np.array([b"x"])}, "'workspace/errors' of a.nxs does not hold numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_derived_is_said(changes, message, tmp_path):
    with pytest.raises(InputError) as caught:
        read(save(tmp_path / "a.nxs", **changes))
    assert str(caught.value).startswith(message)
