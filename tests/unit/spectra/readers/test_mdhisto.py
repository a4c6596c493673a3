import h5py
import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.spectra import QGrid, QShells, read

AXES = {
    "[H,H,0]": [-0.3, -0.1, 0.1, 0.3],
    "[-K,K,0]": [0.0, 0.5, 1.0],
    "[0,0,L]": [-0.2, 0.2],
    "DeltaE": [-1.0, 0.0, 1.0, 2.0, 3.0],
}
CELL = (4.0, 4.0, 9.0, 90.0, 90.0, 90.0)


def values(axes=AXES):
    """Different in every bin, by the axes in their order."""
    shape = [len(edges) - 1 for edges in axes.values()]
    return np.arange(1.0, 1 + np.prod(shape)).reshape(shape)


def save(path, axes=AXES, *, cell=CELL, convention="Inelastic", logs=None, **arrays):
    """An MDHistoWorkspace as Mantid's SaveMD lays it out: arrays by the axes in reversed order."""
    held = {"signal": values(axes), "errors_squared": values(axes) / 4, **arrays}
    with h5py.File(path, "w") as file:
        entry = file.create_group("MDHistoWorkspace")
        entry.attrs["QConvention"] = convention
        for name, array in held.items():
            entry[f"data/{name}"] = array.T
        for n, (name, edges) in enumerate(axes.items()):
            entry[f"data/D{n}"] = np.array(edges, dtype=float)
            entry[f"data/D{n}"].attrs["long_name"] = np.bytes_(name)
        if cell:
            for name, value in zip(("a", "b", "c", "alpha", "beta", "gamma"), cell, strict=True):
                entry[f"experiment0/sample/oriented_lattice/unit_cell_{name}"] = [value]
        for name, log in (logs or {}).items():
            entry[f"experiment0/logs/{name}/value"] = log
    return path


def test_axes_and_arrays_are_turned_the_right_way(tmp_path):
    spectrum = read(save(tmp_path / "a.nxs", logs={"SampleTemp": [4.9, 5.1], "Ei": [25.0]}))
    grid = spectrum.measurement.points
    assert grid.axes.tolist() == [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]
    assert [edges.tolist() for edges in grid.edges] == [AXES["[H,H,0]"], AXES["[-K,K,0]"], AXES["[0,0,L]"]]
    assert spectrum.measurement.energy.tolist() == AXES["DeltaE"]
    np.testing.assert_array_equal(spectrum.intensity, values().reshape(6, 4))
    np.testing.assert_allclose(spectrum.error**2, values().reshape(6, 4) / 4, rtol=1e-14)
    assert (grid.lattice.a, grid.lattice.c) == (4.0, 9.0)
    assert (spectrum.measurement.temperature, spectrum.measurement.incident_energy) == (5.0, 25.0)


@pytest.mark.parametrize("order", [(3, 0, 1, 2), (0, 3, 1, 2), (2, 1, 3, 0)])
def test_energy_may_stand_anywhere(tmp_path, order):
    names = [list(AXES)[n] for n in order]
    turned = {name: AXES[name] for name in names}
    arrays = {"signal": values().transpose(order), "errors_squared": values().transpose(order) / 4}
    spectrum = read(save(tmp_path / "a.nxs", turned, **arrays))
    grid, energy = spectrum.measurement.points, spectrum.measurement.energy_centres
    found = {
        (*(round(x, 6) for x in q), e): float(v)
        for q, row in zip(grid.q.tolist(), spectrum.intensity, strict=True)
        for e, v in zip(energy.tolist(), row, strict=True)
    }
    reference = read(save(tmp_path / "b.nxs"))
    for q, row in zip(reference.measurement.points.q.tolist(), reference.intensity, strict=True):
        for e, v in zip(energy.tolist(), row, strict=True):
            assert found[(*(round(x, 6) for x in q), e)] == float(v)


def test_q_of_crystallography_changes_sign_and_the_energy_does_not(tmp_path):
    ours = read(save(tmp_path / "a.nxs"))
    theirs = read(save(tmp_path / "b.nxs", convention="Crystallography"))
    assert theirs.measurement.points.edges[1].tolist() == [-1.0, -0.5, 0.0]
    assert torch.equal(theirs.measurement.energy, ours.measurement.energy)
    places = {tuple(np.round(-q, 6)): n for n, q in enumerate(theirs.measurement.points.q.numpy())}
    for n, q in enumerate(ours.measurement.points.q.numpy()):
        assert torch.equal(theirs.intensity[places[tuple(np.round(q, 6))]], ours.intensity[n])


def empty_bins():
    """Two bins without events, of which a normalisation makes 0, and NaN where nothing could be measured."""
    signal, events = values(), np.ones_like(values())
    for n in ((1, 0, 0, 1), (2, 0, 0, 0)):
        signal[n], events[n] = 0, 0
    return signal, events


def unmeasured(spectrum):
    return [tuple(each) for each in (~spectrum.valid).nonzero().tolist()]


def test_what_is_masked_or_nan_is_unmeasured(tmp_path):
    signal, mask = values(), np.zeros(values().shape, dtype=np.int8)
    signal[0, 0, 0, 0], mask[2, 1, 0, 3] = np.nan, 1
    arrays = {"signal": signal, "mask": mask, "num_events": np.ones_like(signal)}
    assert unmeasured(read(save(tmp_path / "a.nxs", **arrays))) == [(0, 0), (5, 3)]


def test_a_normalisation_tells_zeros_from_what_was_not_measured(tmp_path):
    """0 / 0 is NaN: a bin that was normalised and got no event was measured, and its zero is data."""
    signal, events = empty_bins()
    signal[2, 0, 0, 0] = np.nan
    spectrum = read(save(tmp_path / "a.nxs", signal=signal, num_events=events))
    assert unmeasured(spectrum) == [(4, 0)]
    assert float(spectrum.intensity[2, 1]) == 0


def test_what_bins_without_events_are_is_asked_for(tmp_path):
    """A NaN under the mask tells nothing of the others."""
    (signal, events), mask = empty_bins(), np.zeros(values().shape, dtype=np.int8)
    signal[0, 0, 0, 0], events[0, 0, 0, 0], mask[0, 0, 0, 0] = np.nan, 0, 1
    path, told = save(tmp_path / "a.nxs", signal=signal, num_events=events, mask=mask), tmp_path / "a.nxs.toml"
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value) == (
        'a.nxs does not hold whether its 2 bins without events were measured; write empty_bins = "measured" (neutron '
        'events, of which they got none) or empty_bins = "unmeasured" (reduced data, each bin of which is an event: '
        "none of them lies there) into a.nxs.toml beside it"
    )
    told.write_text('empty_bins = "measured"')
    assert unmeasured(read(path)) == [(0, 0)]
    told.write_text('empty_bins = "unmeasured"')
    assert unmeasured(read(path)) == [(0, 0), (2, 1), (4, 0)]


def test_a_file_that_counts_no_events_anywhere_says_nothing_by_it(tmp_path):
    assert read(save(tmp_path / "a.nxs", num_events=np.zeros_like(values()))).valid.all()


def test_a_powder_has_shells(tmp_path):
    spectrum = read(save(tmp_path / "a.nxs", {"|Q|": [0.0, 0.5, 1.0], "DeltaE": [0.0, 1.0, 2.0, 3.0]}, cell=None))
    assert isinstance(spectrum.measurement.points, QShells)
    np.testing.assert_array_equal(spectrum.intensity, [[1, 2, 3], [4, 5, 6]])


def test_what_is_missing_is_asked_for_and_can_be_told_beside_the_file(tmp_path):
    two = {name: AXES[name] for name in ("[H,H,0]", "[-K,K,0]")}
    path = save(tmp_path / "a.nxs", two, cell=None)
    told = tmp_path / "a.nxs.toml"
    for lines, message in (
        ("", r"does not hold an energy axis; write ranges = \{ \"energy\" = \[lo, hi\] \}"),
        ('ranges = { energy = [1, 2] }', r"does not hold three directions of Q \(it has \[H,H,0\], \[-K,K,0\]\); write ranges"),
        ('ranges = { energy = [1, 2], "[0,0,L]" = [-1, 1] }', r"does not hold the lattice; write lattice = \[a, b, c"),
    ):  # fmt: skip
        told.write_text(lines)
        with pytest.raises(InputError, match=message):
            read(path)
    told.write_text(
        'ranges = { energy = [1, 2], "[0,0,L]" = [-1, 1] }\nlattice = [4, 4, 9, 90, 90, 90]\ntemperature = 3.0'
    )
    spectrum = read(path)
    assert isinstance(spectrum.measurement.points, QGrid)
    assert spectrum.measurement.points.shape == (3, 2, 1)
    assert spectrum.measurement.energy.tolist() == [1.0, 2.0]
    assert spectrum.measurement.temperature == 3.0
    np.testing.assert_array_equal(spectrum.intensity[:, 0], np.arange(1.0, 7.0))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "incident_enrgy = 3",
            "a.nxs.toml has the key 'incident_enrgy'; expected some of axes, beam, empty_bins, incident_energy",
        ),
        ("lattice = [1, 2]", r"lattice in a.nxs.toml should be 6 numbers, got \[1, 2\]"),
        ("incident_energy = 'much'", r"incident_energy in a.nxs.toml should be a number, got \['much'\]"),
        ("= 3", "a.nxs.toml is not TOML"),
        ("empty_bins = 3", "empty_bins in a.nxs.toml should be 'measured' or 'unmeasured', got 3"),
        ("axes = 3", "axes in a.nxs.toml should be a list of names, got 3"),
        ("ranges = 3", "ranges in a.nxs.toml should be a table such as"),
    ],
)
def test_a_wrong_file_beside_is_said_to_be(tmp_path, lines, message):
    path = save(tmp_path / "a.nxs")
    (tmp_path / "a.nxs.toml").write_text(lines)
    with pytest.raises(InputError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("axes", "arrays", "message"),
    [
        ({**AXES, "Q_sample_x": [0.0, 1.0]}, {}, "has the axis 'Q_sample_x'; expected energy, |Q|, or a direction"),
        (AXES, {"errors_squared": np.ones((2, 2))}, "has signal of shape (4, 1, 2, 3) and errors_squared of (2, 2)"),
        (AXES, {"signal": np.ones((2, 2)), "errors_squared": np.ones((2, 2))}, "which is not that of its axes D, reversed"),
        (AXES, {"num_events": np.ones(3)}, "has signal of shape (4, 1, 2, 3) and num_events of (3,)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path, axes, arrays, message):
    with pytest.raises(InputError) as caught:
        read(save(tmp_path / "a.nxs", axes, **arrays))
    assert message in str(caught.value)


def test_a_header_cannot_take_memory(tmp_path):
    path = save(tmp_path / "a.nxs")
    with h5py.File(path, "r+") as file:
        del file["MDHistoWorkspace/data/signal"]
        file.create_dataset("MDHistoWorkspace/data/signal", shape=(10**6, 10**6), dtype="f8", chunks=(100, 100))
    with pytest.raises(InputError, match="says that 'data/signal' has 1000000000000 numbers; at most 6291456 are read"):
        read(path)


def test_directions_in_inverse_angstrom_are_not_taken_for_rlu(tmp_path):
    path = save(tmp_path / "a.nxs")
    with h5py.File(path, "r+") as file:
        file["MDHistoWorkspace/data/D0"].attrs["units"] = np.bytes_("Angstrom^-1")
    with pytest.raises(InputError, match=r"has the axis \[H,H,0\] in Angstrom\^-1; save it in r\.l\.u\."):
        read(path)


def test_a_range_along_no_axis_is_refused(tmp_path):
    path = save(tmp_path / "a.nxs")
    (tmp_path / "a.nxs.toml").write_text("ranges = { sideways = [0, 1] }")
    with pytest.raises(InputError, match=r"has the axis 'sideways'; expected energy, \|Q\|, or a direction"):
        read(path)
