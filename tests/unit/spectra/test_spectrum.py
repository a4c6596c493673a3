import numpy as np
import pytest
import scipp as sc
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum

NAN = float("nan")


def matrix(rows):
    return torch.tensor(rows, dtype=torch.float64)


def measurement(n=2, m=3):
    return Measurement(QShells(np.arange(n + 1.0)), np.arange(m + 1.0), 5.0)


def spectrum(values=((1.0, 2.0, 3.0), (0.0, NAN, 6.0)), **kwargs):
    values = matrix(values)
    return Spectrum.from_arrays(values, torch.full_like(values, 2.0), measurement(*values.shape), **kwargs)


def test_nan_is_unmeasured_and_zero_is_not():
    view = spectrum()
    assert view.valid.tolist() == [[True, True, True], [True, False, True]]
    assert view.intensity.tolist() == [[1, 2, 3], [0, 0, 6]]
    assert view.error.tolist() == [[2, 2, 2], [2, 0, 2]]


def test_intensity_shares_memory_with_the_array_it_came_from():
    variable = sc.array(dims=["Q", "energy"], values=np.ones((2, 3)), variances=np.ones((2, 3)))
    view = Spectrum(sc.DataArray(variable), measurement())
    variable.values[0, 0] = 7.0
    assert view.intensity[0, 0] == 7.0


def test_axes_are_put_in_order_and_masks_joined():
    variable = sc.array(dims=["energy", "Q"], values=np.arange(6.0).reshape(3, 2), variances=np.ones((3, 2)))
    mask = sc.array(dims=["energy"], values=[True, False, False])
    view = Spectrum(sc.DataArray(variable, masks={"beam": mask}), measurement())
    assert view.data.dims == ("Q", "energy")
    assert view.intensity.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert view.valid.tolist() == [[False, True, True]] * 2
    assert set(view.data.masks) == {"unmeasured"}


def test_axes_carry_units():
    coords = spectrum().data.coords
    assert (str(coords["Q"].unit), str(coords["energy"].unit)) == ("1/Å", "meV")


def test_slicing_keeps_bins_wholly_inside():
    part = spectrum().slice_energy(0.5, 3.0)
    assert part.measurement.energy.tolist() == [1, 2, 3]
    assert part.intensity.tolist() == [[2, 3], [0, 6]]


def test_slicing_outside_says_what_is_covered():
    with pytest.raises(InputError) as caught:
        spectrum().slice_energy(8, 9)
    assert str(caught.value) == "no energy bin lies between 8 and 9 meV; the spectrum covers 0 to 3 meV"


def test_a_range_of_energies_has_its_lower_end_first() -> None:
    with pytest.raises(InputError, match=r"lower end first, got \[3, 1\] meV"):
        spectrum().slice_energy(3, 1)


def test_excluding_marks_every_bin_it_touches_and_leaves_the_original():
    original = spectrum()
    assert original.exclude(1.0, 1.5).valid.tolist() == [[True, False, True], [True, False, True]]
    assert original.valid.sum() == 5


def test_rebinned_counts_are_summed():
    merged = spectrum(is_counts=True).rebin(q=2, energy=2)
    assert merged.is_counts
    assert merged.intensity.tolist() == [[3, 9]]
    assert (merged.error**2)[0].tolist() == pytest.approx([12, 8])
    assert merged.measurement.energy.tolist() == [0, 2, 3]


def test_mean_counts_keep_their_scale():
    merged = spectrum(is_counts=True).rebin(q=2, energy=2, mean=True)
    assert merged.is_counts
    assert merged.intensity.tolist() == [[1, 4.5]]


def test_rebinned_intensity_is_averaged_over_what_was_measured():
    merged = spectrum().rebin(q=2, energy=2)
    assert merged.intensity.tolist() == [[1, 4.5]]
    assert (merged.error**2)[0].tolist() == pytest.approx([12 / 9, 8 / 4])


def test_a_part_of_a_merged_bin_does_not_stand_for_all_of_it():
    """Reduced data: three in four; counts: all; of their mean for a search: one."""
    rows = ((1.0, NAN, 3.0, 3.0, NAN, NAN, 3.0, NAN),)
    assert spectrum(rows).rebin(energy=4).valid.tolist() == [[True, False]]
    assert spectrum(rows).rebin(energy=2).valid.tolist() == [[False, True, False, False]]
    assert spectrum(rows, is_counts=True).rebin(energy=4).valid.tolist() == [[False, False]]
    assert spectrum(rows).rebin(energy=4, mean=True).valid.tolist() == [[True, True]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (sc.DataArray(sc.zeros(dims=["Q", "energy"], shape=[2, 3])), "the data have no variances"),
        (sc.DataArray(sc.zeros(dims=["Q", "energy"], shape=[3, 2], with_variances=True)), "the data have the sizes"),
        (
            sc.DataArray(sc.zeros(dims=["Q", "energy"], shape=[2, 3], unit="m", with_variances=True)),
            "the data have the unit 'm'",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(data, message):
    with pytest.raises(InputError, match=message):
        Spectrum(data, measurement())


def test_a_path_has_points():
    path = QPath(Lattice(4.0, 4.0, 4.0), [[0.0, 0, 0], [0.5, 0, 0]], np.diag([0.5, 0.1, 0.1]))
    view = Spectrum.from_arrays(
        torch.ones(2, 3, dtype=torch.float64),
        torch.ones(2, 3, dtype=torch.float64),
        Measurement(path, [0, 1, 2, 3], 2.0),
    )
    assert view.data.dims == ("point", "energy")
    assert view.data.coords["q"].values[1].tolist() == [0.5, 0, 0]
    assert view.rebin(q=2).intensity.shape == (1, 3)


def counts_worth(worth, mean, seed=1):
    """A map of counts that are each worth `worth`, with these means (point, energy) in units of the map."""
    counts = torch.poisson(mean / worth, generator=torch.Generator().manual_seed(seed)) * worth
    return Spectrum.from_arrays(counts, torch.zeros_like(counts), measurement(*mean.shape))


def test_scatter_tells_what_a_count_is_worth():
    """A steep but straight background, two halves of different coverage: the variance is worth times mean.

    60 x 120 bins in either half: the mean ratio is known to 1.5 % (4 standard errors are 6 %).
    """
    mean = torch.linspace(30, 3, 120, dtype=torch.float64).expand(120, -1).contiguous()
    worth = torch.where(torch.arange(120) < 60, 0.15, 0.6)[:, None].expand(-1, 120)
    told = counts_worth(worth, mean).with_errors_from_scatter()
    ratio = told.error**2 / (worth * mean)
    for half in (ratio[:50], ratio[70:]):
        assert float(half[:, 10:-10].mean()) == pytest.approx(1, abs=0.06)
        assert float(half[:, 10:-10].std()) < 0.5


def test_scatter_leaves_intensities_and_gaps_as_they_are_and_zeros_without_errors():
    mean = torch.full((20, 20), 0.5, dtype=torch.float64)
    bare = counts_worth(1.0, mean).exclude(5, 7)
    told = bare.with_errors_from_scatter()
    assert torch.equal(told.intensity[told.valid], bare.intensity[bare.valid])
    assert torch.equal(told.valid, bare.valid)
    assert torch.equal((told.error == 0)[told.valid], (bare.intensity == 0)[bare.valid])


def test_scatter_needs_a_map():
    with pytest.raises(InputError, match="at least 3 x 3 bins"):
        spectrum().with_errors_from_scatter()


def test_scatter_does_not_see_what_is_not_valid():
    mean = torch.full((30, 30), 9.0, dtype=torch.float64)
    bare = counts_worth(1.0, mean)
    spoiled = bare.intensity.clone()
    spoiled[:, 11] = 1e6
    hole = Spectrum.from_arrays(spoiled, torch.zeros_like(spoiled), bare.measurement).exclude(11.2, 11.8)
    error = hole.with_errors_from_scatter().error[hole.valid]
    assert float(error.median()) == pytest.approx(3, rel=0.15)
    assert float(error.max()) < 9


PIXELS = matrix([[3.0, 100.0, 6.0, 1.0], [1.0, 2.0, 2.0, 9.0]])


def pixelled(pixels=PIXELS, **how):
    """Bins whose squared errors are 4 over their numbers of pixels."""
    return Spectrum.from_arrays(0 * pixels, 2 / pixels.sqrt(), measurement(*pixels.shape), pixels=pixels, **how)


def test_pixels_stay_with_their_bins():
    view = pixelled()
    assert torch.equal(view.pixels, PIXELS)
    assert torch.equal(view.slice_energy(1, 3).pixels, PIXELS[:, 1:3])
    hit = PIXELS == 100
    for part in (view.without(hit), pixelled(valid=~hit)):
        assert torch.equal(part.pixels, torch.where(hit, 1.0, PIXELS))
    assert view.exclude(0, 1).trim(0).pixels[1, 3] == 9
    assert spectrum().pixels is None
    assert [len(each.noise) for each in (spectrum(), view)] == [1, 2]


def test_merged_bins_have_the_pixels_that_their_errors_tell():
    for factors in ({"energy": 2}, {"q": 2}, {"q": 2, "energy": 3}):
        merged = pixelled(valid=PIXELS != 9).rebin(**factors)
        assert float(merged.pixels.max()) > 1
        np.testing.assert_allclose((merged.error**2 * merged.pixels)[merged.valid], 4, rtol=1e-12)


def test_numbers_of_pixels_are_at_least_one_and_of_reduced_data():
    for bad in (0.0, -1.0, NAN, float("inf")):
        with pytest.raises(InputError, match="are the mean of no pixel"):
            Spectrum.from_arrays(PIXELS, PIXELS, measurement(2, 4), pixels=torch.where(PIXELS == 9, bad, PIXELS))
    assert pixelled(is_counts=True).pixels is None
