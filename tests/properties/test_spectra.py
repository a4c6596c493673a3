"""What must hold for any spectrum and any lattice."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Measurement, QShells, Spectrum, read, write

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7)


@st.composite
def spectra(draw, is_counts=None):
    shape = draw(SHAPES)
    values = draw(arrays(float, shape, elements=st.integers(0, 50).map(float)))
    valid = draw(arrays(bool, shape))
    valid[0, 0] = True
    measurement = Measurement(
        QShells(draw(st.floats(0, 2)) + draw(st.floats(0.01, 1)) * np.arange(shape[0] + 1)),
        draw(st.floats(-5, 5)) + draw(st.floats(0.01, 3)) * np.arange(shape[1] + 1),
        draw(st.none() | st.floats(0, 300)),
        incident_energy=draw(st.none() | st.floats(1, 500)),
    )
    counts = draw(st.booleans()) if is_counts is None else is_counts
    error = torch.from_numpy(np.sqrt(values))
    return Spectrum.from_arrays(
        torch.from_numpy(values), error, measurement, valid=torch.from_numpy(valid), is_counts=counts
    )


@given(spectra(is_counts=True), st.integers(1, 4), st.integers(1, 4))
def test_rebinning_conserves_counts_and_their_variance(spectrum, q, energy):
    """Of the bins that were measured as a whole."""
    merged = spectrum.rebin(q=q, energy=energy)
    whole = merged.valid.repeat_interleave(q, 0).repeat_interleave(energy, 1)
    whole = whole[: spectrum.valid.shape[0], : spectrum.valid.shape[1]]
    assert bool(spectrum.valid[whole].all())
    assert merged.intensity[merged.valid].sum() == spectrum.intensity[whole].sum()
    torch.testing.assert_close((merged.error**2)[merged.valid].sum(), (spectrum.error**2)[whole].sum())


@given(spectra(is_counts=False), st.integers(1, 4), st.integers(1, 4))
def test_rebinning_keeps_intensity_between_its_extremes(spectrum, q, energy):
    merged = spectrum.rebin(q=q, energy=energy)
    before, after = spectrum.intensity[spectrum.valid], merged.intensity[merged.valid]
    assume(len(after) > 0)
    assert before.min() - 1e-9 <= after.min()
    assert after.max() <= before.max() + 1e-9


@given(spectra())
def test_rebinning_by_one_changes_nothing(spectrum):
    merged = spectrum.rebin()
    assert torch.equal(merged.intensity[spectrum.valid], spectrum.intensity[spectrum.valid])
    assert torch.equal(merged.valid, spectrum.valid)


@pytest.mark.parametrize("name", ["a.h5", "a.csv"])
@given(spectrum=spectra())
def test_files_give_back_values_errors_and_coverage(name, spectrum):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name, spectrum)
        again = read(Path(folder) / name)
    assert torch.equal(again.valid, spectrum.valid)
    assert torch.equal(again.intensity[again.valid], spectrum.intensity[spectrum.valid])
    assert torch.equal(again.error[again.valid], spectrum.error[spectrum.valid])
    assert again.is_counts == spectrum.is_counts
    assert again.measurement.temperature == spectrum.measurement.temperature
    torch.testing.assert_close(again.measurement.energy, spectrum.measurement.energy)
    torch.testing.assert_close(again.measurement.points.edges, spectrum.measurement.points.edges)


@st.composite
def lattices(draw):
    edges = [draw(st.floats(1, 30)) for _ in range(3)]
    angles = [draw(st.floats(70, 115)) for _ in range(3)]
    return Lattice(*edges, *angles)


@given(lattices(), arrays(float, (4, 3), elements=st.floats(-5, 5)))
def test_rlu_to_cartesian_and_back(lattice, q):
    q = torch.from_numpy(q)
    torch.testing.assert_close(lattice.to_rlu(lattice.to_cartesian(q)), q, atol=1e-9, rtol=1e-9)


@given(
    lattices(),
    arrays(float, 3, elements=st.integers(-3, 3).map(float)),
    arrays(float, 3, elements=st.integers(-3, 3).map(float)),
)
def test_a_lattice_translation_changes_no_phase(lattice, g, n):
    phase = lattice.to_cartesian(torch.from_numpy(g)) @ (torch.from_numpy(n) @ lattice.vectors)
    assert torch.exp(1j * phase).real.item() == pytest.approx(1.0, abs=1e-9)


@given(lattices())
def test_volumes_of_a_cell_and_its_reciprocal_are_inverse(lattice):
    reciprocal = float(torch.linalg.det(lattice.reciprocal))
    assert lattice.volume * reciprocal == pytest.approx((2 * np.pi) ** 3)
