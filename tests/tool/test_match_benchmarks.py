"""Pieces of the benchmarks of translators that their results hang on."""

import torch

from benchmarks.match_limit import limit
from benchmarks.match_maps import SHARP, artefacts, drawn
from benchmarks.match_networks import Covered
from benchmarks.pcsmo_translated import PARTS, SHAPE, planes
from sqwirrel.learn.pairs import Batch


class Ones:
    """Batches of ones."""

    def __len__(self):
        return 8

    def batch(self, rows, seed, label):
        del seed, label
        return Batch(torch.zeros(rows, 1), torch.ones(rows, 3, 48, 64), torch.ones(rows, 3, 48, 64))


def test_what_was_not_measured_is_empty_in_all_channels():
    source = Covered(Ones())
    one, same, other = (source.batch(4, 1, label).x for label in ("a", "a", "b"))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert bool(((one == 0) | (one == 1)).all())
    assert torch.equal(one[:, 0], one[:, 2])
    assert 0.5 < float(one.mean()) < 0.99


def test_modes_are_told_better_from_more_of_the_map():
    (theta, clean), seen = drawn(SHARP, 4, 7), artefacts(4, 7)
    whole = limit(theta, clean, seen)
    half = seen.valid.clone()
    half[:, 16:] = 0
    fewer = limit(theta, clean, type(seen)(seen.signal, seen.expected, seen.level, seen.error, half))
    assert 0 < whole["mode_error_median"] < 0.05
    assert whole["mode_shift_below_a_tenth"] > 0.99
    assert 1.2 * whole["mode_error_median"] < fewer["mode_error_median"] < 0.5


def test_planes_are_frames_by_incident_energy():
    bins = torch.arange(PARTS * SHAPE[0] * SHAPE[1] * SHAPE[2]).float()
    x = torch.stack((bins, -bins, torch.ones_like(bins)))[None, :, :, None].repeat(2, 1, 1, 1)
    found = planes(x)
    assert found.shape == (2, PARTS, 3, *SHAPE)
    assert torch.equal(found[1, :, 0].reshape(-1), bins)
    assert torch.equal(found[0, 2, 1], -found[0, 2, 0])
