"""Joining scans: what is kept, and what tells two set-ups apart."""

import dataclasses

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Measurement, QPoints, QShells, Spectrum, join, read, write


def scan(number=1, *, start=0.0, cell=(4.0, 4.0, 6.0), plane=((1, 0, 0), (0, 1, 0)), counts=(3.0, 0.0, 5.0), is_counts=True, **conditions):  # fmt: skip
    """Three points along h at 2, 3, 4 meV, the second of them not counted."""
    q = [[start + 0.1 * k, 0.0, 0.0] for k in range(3)]
    energy = torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64)[:, None].expand(3, 2)
    given = {"temperature": 1.5, "final_energy": 5.0, "exposure": [[10.0], [1.0], [20.0]], **conditions}
    measurement = Measurement(QPoints(Lattice(*cell), q, [number] * 3, plane), energy, **given)
    values = torch.tensor(counts, dtype=torch.float64)[:, None]
    valid = torch.tensor([[True], [False], [True]])
    return Spectrum.from_arrays(values, values.sqrt(), measurement, valid=valid, is_counts=is_counts)


def test_points_follow_each_other():
    whole = join([scan(4), scan(2, start=1.0, counts=(7.0, 0.0, 9.0), temperature=2.1)])
    assert whole.is_counts
    assert whole.intensity[:, 0].tolist() == [3, 0, 5, 7, 0, 9]
    assert whole.valid[:, 0].tolist() == [True, False, True] * 2
    measurement = whole.measurement
    assert measurement.points.scan.tolist() == [4, 4, 4, 2, 2, 2]
    assert measurement.points.q[:, 0].tolist() == pytest.approx([0, 0.1, 0.2, 1, 1.1, 1.2])
    assert measurement.energy[:, 0].tolist() == [2, 3, 4] * 2
    assert measurement.exposure[:, 0].tolist() == [10, 1, 20] * 2
    assert measurement.temperature == pytest.approx(1.8)
    assert measurement.final_energy == 5.0


def test_a_joined_spectrum_can_be_joined_again():
    once = join([scan(1), scan(2, start=1.0)])
    twice = join([once, join([scan(1, start=2.0), scan(7, start=3.0)])])
    assert twice.measurement.points.scan.tolist() == [1] * 3 + [2] * 3 + [8] * 3 + [7] * 3


def test_no_two_scans_share_a_number():
    whole = join([scan(5), scan(5, start=1.0), scan(6, start=2.0), scan(5, start=3.0)])
    numbers = whole.measurement.points.scan.reshape(4, 3)
    assert len(set(numbers[:, 0].tolist())) == 4
    assert (numbers == numbers[:, :1]).all()
    assert numbers[0, 0] == 5


def test_one_spectrum_stays_as_it_is():
    whole = join([scan()])
    assert torch.equal(whole.intensity, scan().intensity)
    assert whole.measurement.temperature == 1.5


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (scan(2, cell=(4.0, 4.01, 6.0)), "scans 1 and 2 cannot be joined: the lattices differ, 4 4 6 90 90 90 and 4 4.01 6 90 90 90"),
        (scan(2, final_energy=5.1), "scans 1 and 2 cannot be joined: the final energies (meV) differ, 5 and 5.1"),
        (scan(2, final_energy=None, incident_energy=5.0), "scans 1 and 2 cannot be joined: the incident energies (meV) differ, not held and 5"),
        (scan(2, plane=((1, 0, 0), (0, 0, 1))), "scans 1 and 2 cannot be joined: the scattering planes differ, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] and"),
        (scan(2, plane=None), "scans 1 and 2 cannot be joined: the scattering planes differ, one file does not tell its plane"),
        (scan(2, field=(0.0, 0.0, 7.0)), "scans 1 and 2 cannot be joined: the fields (T) differ, [0.0, 0.0, 0.0] and [0.0, 0.0, 7.0]"),
        (scan(2, temperature=20.0), "scans 1 and 2 cannot be joined: the temperatures (K) differ, 1.5 and 20"),
        (scan(2, is_counts=False), "scans 1 and 2 cannot be joined: the units differ, counts and reduced data"),
        (scan(2, exposure=None), "scans 1 and 2 cannot be joined: the exposures differ, one has them, the other has none"),
        (scan(2, exposure_unit="time"), "scans 1 and 2 cannot be joined: the exposures differ, counted by what is not said and by time"),
        (scan(2), "scan 2 is given twice; leave out one of them"),
    ],
)  # fmt: skip
def test_what_is_of_another_set_up_is_refused(other, message):
    with pytest.raises(InputError) as caught:
        join([scan(1), other])
    assert str(caught.value).startswith(message)


def test_planes_given_by_other_wavevectors_are_the_same():
    join([scan(1), scan(2, start=1.0, plane=((1, 1, 0), (1, -1, 0)))])
    with pytest.raises(InputError, match="scattering planes"):
        join([scan(1), scan(2, start=1.0, plane=((1, 1, 0), (1, -1, 0.1)))])


def test_only_scans_are_joined():
    measurement = Measurement(QShells([0.1, 0.2]), [0.0, 1.0], 5.0)
    powder = Spectrum.from_arrays(torch.ones(1, 1).double(), torch.ones(1, 1).double(), measurement)
    with pytest.raises(InputError, match="only points of scans are joined"):
        join([powder, powder])
    with pytest.raises(InputError, match="there is no spectrum to join"):
        join([])


def test_an_unknown_temperature_does_not_stand_in_the_way():
    unknown = dataclasses.replace(scan(2, start=1.0).measurement, temperature=None)
    whole = join([scan(1), Spectrum(scan(2).data, unknown)])
    assert whole.measurement.temperature == 1.5


def test_seconds_are_not_joined_with_counts_of_a_monitor(tmp_path):
    """Kept by our HDF5, too; scans of one unit keep it."""
    one, two = scan(1, exposure_unit="monitor"), scan(2, start=1.0, exposure_unit="time")
    write(tmp_path / "two.h5", two)
    for other in (two, read(tmp_path / "two.h5")):
        with pytest.raises(InputError) as caught:
            join([one, other])
        message = "scans 1 and 2 cannot be joined: the exposures differ, counted by monitor and by time"
        assert str(caught.value) == message
    assert join([one, scan(2, start=1.0, exposure_unit="monitor")]).measurement.exposure_unit == "monitor"
    write(tmp_path / "one.h5", scan(1))
    assert read(tmp_path / "one.h5").measurement.exposure_unit is None
