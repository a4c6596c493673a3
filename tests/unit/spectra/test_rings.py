import numpy as np
import pytest

from sqwirrel.errors import InputError
from sqwirrel.spectra.rings import Rings, momentum_transfer, own_widths, to_shells, to_spectrum
from sqwirrel.units import E_PER_K2

ANGLES = np.arange(5.0, 135.0, 0.6)


def rings(*, energy=(-10.0, -2.0, 2.0, 10.0, 28.0), incident_energy=30.0, seed=1):
    rng = np.random.default_rng(seed)
    shape = (len(ANGLES), len(energy) - 1)
    values = rng.poisson(3.0, shape).astype(float)
    valid = rng.random(shape) > 0.1
    return Rings(ANGLES, np.full(len(ANGLES), 0.6), np.array(energy), incident_energy, values, np.sqrt(values), valid)


def test_what_the_detectors_held_is_conserved_at_every_energy():
    source = rings()
    shells = to_shells(source)
    held = np.where(source.valid, source.values, 0.0).sum(axis=0)
    variance = np.where(source.valid, source.errors, 0.0) ** 2
    np.testing.assert_allclose((shells.values * shells.weights).sum(axis=0), held, rtol=1e-12)
    np.testing.assert_allclose((shells.variances * shells.weights**2).sum(axis=0), variance.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(shells.weights.sum(axis=0), source.valid.sum(axis=0), rtol=1e-12)


def test_an_even_field_stays_even():
    source = rings()
    source.values[:] = 7.0
    shells = to_shells(source)
    np.testing.assert_allclose(shells.values[shells.weights > 0], 7.0, rtol=1e-12)


def test_nothing_lies_outside_the_kinematic_limits():
    source = rings()
    shells = to_shells(source)
    ki = np.sqrt(30.0 / E_PER_K2)
    for m, energy in enumerate((source.energy[1:] + source.energy[:-1]) / 2):
        kf = np.sqrt((30.0 - energy) / E_PER_K2)
        covered = shells.weights[:, m] > 0
        assert (shells.edges[1:][covered] > abs(ki - kf)).all()
        assert (shells.edges[:-1][covered] < ki + kf).all()


def test_one_detector_lands_where_the_cosine_rule_says():
    # k_i = 2, k_f = 1, at a right angle: Q^2 = 5
    source = Rings(
        np.array([90.0]), np.array([0.01]), np.array([5.9, 6.1]) * E_PER_K2 / 2, 4 * E_PER_K2,
        np.array([[1.0]]), np.array([[1.0]]), np.array([[True]]),
    )  # fmt: skip
    shells = to_shells(source)
    hit = shells.weights[:, 0] > 0
    assert shells.edges[:-1][hit].min() <= np.sqrt(5) <= shells.edges[1:][hit].max()
    assert momentum_transfer(np.array([90.0]), 2.0, np.array([1.0]))[0, 0] == pytest.approx(np.sqrt(5))


def test_energies_above_the_incident_one_are_unmeasured():
    spectrum = to_spectrum(rings(energy=(0.0, 20.0, 40.0, 60.0)))
    assert spectrum.valid.any(dim=0).tolist() == [True, False, False]


def test_only_impossible_energies_are_refused():
    with pytest.raises(InputError) as caught:
        to_spectrum(rings(energy=(40.0, 50.0, 60.0)))
    assert str(caught.value) == (
        "all energy transfers (45 to 55 meV) are above the incident energy 30 meV; no neutron can lose that much"
    )


def test_a_masked_detector_does_not_dilute_its_neighbours():
    source = rings()
    source.values[:] = 7.0
    source.values[~source.valid] = -1e30
    shells = to_shells(source)
    np.testing.assert_allclose(shells.values[shells.weights > 0], 7.0, rtol=1e-12)


def test_a_ring_reaches_half_way_to_its_neighbours_at_most():
    widths = own_widths(np.array([3.0, 1.0, 2.0, 2.0]), np.array([5.0, 0.2, 5.0, 5.0]))
    assert widths.tolist() == [1.0, 0.2, 1.0, 1.0]


def test_a_width_that_is_no_number_is_made_up_for_by_the_neighbours():
    widths = own_widths(np.array([1.0, 2.0, 3.0]), np.array([0.5, np.nan, np.inf]))
    assert widths.tolist() == [0.5, 1.0, 1.0]
