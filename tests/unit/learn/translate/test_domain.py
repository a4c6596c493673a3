"""Domains of images: arrays, simulations, a few measured frames; two of them unpaired."""

import numpy as np
import pytest
import torch
from PIL import Image

from sqwirrel.errors import InputError
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.translate.domain import Domain, Unpaired
from sqwirrel.learn.translate.few import Augment, augmented
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QGrid, QPath, QPoints, QShells, Spectrum

CHAIN = library.load("fm_chain")
LEVEL = 3 + torch.rand(20, 6, 5, generator=stream(0, "level"))
ENERGY = torch.linspace(0, 5, 6).double()


def shells(points=6):
    return Measurement(QShells(torch.linspace(0.5, 3, points + 1).double()), ENERGY, 5.0)


def spectrum(level, where=None, *, is_counts=False, error=None):
    level = level.double()
    error = level.clamp(min=0).sqrt() if error is None else error
    return Spectrum.from_arrays(level, error, where or shells(len(level)), is_counts=is_counts)


@pytest.fixture(scope="module")
def pairs():
    q = torch.zeros(8, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, 8)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, 13), 1.0)
    experiment = Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=Poisson()), samples=1)
    beliefs = {"J": {"uniform": [-2.0, -0.5]}, "fwhm": {"uniform": [0.2, 0.6]}, "scale": {"uniform": [50.0, 60.0]}}
    return Pairs(simulations(experiment, Prior.from_mapping({**beliefs, "background": 0.5}), 32, seed=1))


def test_arrays_keep_their_levels_errors_and_gaps():
    valid = torch.ones_like(LEVEL, dtype=torch.bool)
    valid[:, 2] = False
    level = LEVEL.clone()
    level[:, 2], level[0, 0, 0] = torch.nan, torch.inf
    x = Domain.of(level, 0.5 * LEVEL, valid).every(stream(0, "")).x
    assert torch.equal(x[1, 0, :2], LEVEL[1, :2])
    assert torch.allclose(x[1, 1, :2].exp(), 0.5 * LEVEL[1, :2])
    assert bool((x[:, :, 2] == 0).all())
    assert x[0, :, 0, 0].tolist() == [0, 0, 0]
    assert bool(torch.isfinite(x).all())


def test_arrays_without_errors_have_none():
    clean = Domain.of(LEVEL)
    assert not clean.has_errors
    assert bool((clean.every(stream(0, "")).x[:, 1] == 0).all())
    assert bool((Domain.of(LEVEL, torch.zeros_like(LEVEL)).every(stream(0, "")).x == 0).all())


def test_batches_are_a_function_of_seed_and_label_and_conditions_go_with_rows():
    domain = Domain.of(LEVEL, condition=LEVEL[:, 0, :2])
    one, same, other = (domain.batch(7, 1, label) for label in ("a", "a", "b"))
    assert torch.equal(one.x, same.x)
    assert not torch.equal(one.x, other.x)
    first, last = domain.split(4)
    assert (len(first), len(last)) == (16, 4)
    for each in (one, last.every(stream(0, ""))):
        assert torch.equal(each.condition, each.x[:, 0, 0, :2])
    assert torch.equal(last.every(stream(0, "")).x[:, 0], LEVEL[-4:])


def test_three_axes_are_an_image_and_one_or_four_are_not():
    assert Domain.of(torch.ones(3, 4, 5, 6)).shape == (4, 5, 6)
    for wrong in (torch.ones(3, 4), torch.ones(3, 4, 5, 6, 7)):
        with pytest.raises(InputError, match="2 or 3 axes"):
            Domain.of(wrong)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="their errors"):
        Domain.of(LEVEL, LEVEL[:, :3])
    with pytest.raises(InputError, match="one for each image"):
        Domain.of(LEVEL, condition=torch.zeros(3, 1))
    with pytest.raises(InputError, match="finite numbers"):
        Domain.of(LEVEL, condition=torch.full((20, 1), torch.nan))


def test_simulations_come_without_noise_and_with_it(pairs):
    signals, expected, noisy = Domain.signals(pairs.simulations), Domain.expected(pairs), Domain.noisy(pairs)
    assert signals.shape == expected.shape == noisy.shape == (8, 12)
    bare = signals.every(stream(0, "")).x[:, 0]
    assert torch.equal(bare, pairs.simulations.signal.float())
    whole = expected.every(stream(0, "same")).x[:, 0]
    scale = (whole.sum((1, 2)) - 0.5 * whole[0].numel()) / bare.sum((1, 2))
    assert bool(((scale > 45) & (scale < 65)).all())
    counts = noisy.every(stream(0, "same")).x
    assert torch.equal(counts[:, 0], counts[:, 0].round())
    assert torch.allclose(counts[:, 1].exp(), counts[:, 0].clamp(min=1).sqrt())
    assert noisy.has_errors
    assert not expected.has_errors
    assert not torch.equal(noisy.batch(4, 1, "a").x, noisy.batch(4, 1, "b").x)


@pytest.mark.parametrize("is_counts", [True, False])
def test_thinning_moves_no_expectation_and_errors_say_its_scatter(is_counts):
    frame = spectrum(torch.full((6, 5), 400.0), is_counts=is_counts)
    domain = Domain.measured([frame], Augment(thin=0.25), copies=2000)
    x = domain.every(stream(3, "")).x
    away = (x[:, 0] - 400) / 400
    assert float(away.mean()) == pytest.approx(0, abs=1e-3)
    share = 400 / x[:, 1].exp() ** 2  # error^2 = 400 / share
    assert float(share.min()) > 0.15  # those of counts scatter as the counts do
    assert float(share.max()) < 1.5
    more = (x[:, 1].exp() ** 2).mean() - 400  # what thinning adds to the frame's own 400
    assert float((x[:, 0] - 400).var()) == pytest.approx(float(more), rel=0.05)


def test_a_frame_without_augmentation_is_itself():
    level = torch.arange(1.0, 31).reshape(6, 5)
    x = Domain.measured([spectrum(level)], copies=3).every(stream(0, "")).x
    assert torch.allclose(x[:, 0], level.expand(3, -1, -1))
    assert torch.allclose(x[:, 1].exp(), level.sqrt().expand(3, -1, -1))


def test_mirrors_and_windows_keep_channels_together():
    level = torch.arange(1.0, 31).reshape(6, 5)
    domain = Domain.measured([spectrum(level)], Augment(mirrors=(0,), crop=(4, 5)), copies=200)
    x = domain.every(stream(0, "")).x
    assert domain.shape == (4, 5)
    assert torch.allclose(x[:, 1].exp(), x[:, 0].sqrt(), rtol=1e-4)
    rising = x[:, 0, 1, 0] > x[:, 0, 0, 0]
    assert 60 < int(rising.sum()) < 140
    assert bool((x[:, 0, :, 1] > x[:, 0, :, 0]).all())
    assert {float(each) for each in x[rising][:, 0, 0, 0]} == {1.0, 6.0, 11.0}


def test_frames_of_different_shapes_need_a_window():
    frames = [spectrum(torch.ones(6, 5)), spectrum(torch.ones(4, 5))]
    with pytest.raises(InputError, match="give a crop"):
        Domain.measured(frames)
    assert Domain.measured(frames, Augment(crop=(4, 4)), copies=5).batch(6, 0, "").x.shape == (6, 3, 4, 4)
    with pytest.raises(InputError, match="does not fit"):
        Domain.measured(frames, Augment(crop=(5, 4)))
    with pytest.raises(InputError, match="cannot be mirrored"):
        Domain.measured(frames[:1], Augment(mirrors=(2,)))
    with pytest.raises(InputError, match="above 0"):
        Augment(thin=0.0)


def test_conditions_of_frames_go_with_their_copies():
    frames = [spectrum(torch.full((6, 5), float(k))) for k in (4, 9)]
    each = Domain.measured(frames, condition=torch.tensor([[4.0], [9.0]]), copies=3).every(stream(0, ""))
    assert torch.equal(each.condition[:, 0], each.x[:, 0, 0, 0])
    with pytest.raises(InputError, match="one for each"):
        Domain.measured(frames, condition=torch.zeros(1, 1))
    with pytest.raises(InputError, match="needs spectra and copies"):
        Domain.measured([])


def test_scans_are_refused_and_grids_have_three_axes():
    scan = Measurement(QPoints(CHAIN.lattice, [[0.1, 0, 0], [0.2, 0, 0]]), [[1.0, 1.0], [2.0, 2.0]], 5.0)
    with pytest.raises(InputError, match="points of scans"):
        Domain.measured([spectrum(torch.ones(2, 1), scan)])
    grid = Measurement(QGrid(CHAIN.lattice, torch.eye(3), [range(5), range(2), range(4)]), ENERGY, 5.0)
    assert Domain.measured([spectrum(torch.ones(12, 5), grid)]).shape == (4, 3, 5)


def test_an_augmented_frame_has_the_same_gaps():
    x = Domain.of(LEVEL, LEVEL, LEVEL > 3.5).every(stream(0, "")).x[0]
    for is_counts in (True, False):
        found = augmented(x, Augment(thin=0.5), stream(1, ""), is_counts=is_counts)
        assert torch.equal(found[2], x[2])
        assert bool((found[:, x[2] == 0] == 0).all())


def test_two_domains_are_drawn_apart():
    both = Unpaired(Domain.of(LEVEL), Domain.of(LEVEL + 10))
    batch = both.batch(16, 1, "a")
    assert not torch.equal(batch.first.x[:, 0] + 10, batch.second.x[:, 0])
    assert batch.draw == both.batch(16, 1, "a").draw != both.batch(16, 1, "b").draw
    learn, held = both.split(5)
    assert (len(learn), len(held)) == (15, 5)
    assert torch.equal(held.every(stream(0, "")).second.x[:, 0], LEVEL[-5:] + 10)
    other = Unpaired(Domain.of(LEVEL), Domain.of(LEVEL[:8]))
    assert len(other.every(stream(0, "")).first.x) == len(other) == 8


def test_domains_that_differ_in_shape_or_conditions_are_refused():
    with pytest.raises(InputError, match="cut both to one shape"):
        Unpaired(Domain.of(LEVEL), Domain.of(LEVEL[:, :4]))
    with pytest.raises(InputError, match="give both the same"):
        Unpaired(Domain.of(LEVEL), Domain.of(LEVEL, condition=torch.zeros(20, 1)))


def test_what_is_held_out_of_a_few_frames_is_copies_of_one_that_nothing_learns_from():
    frames = [spectrum(torch.full((6, 5), float(k))) for k in (4, 9, 16)]
    domain = Domain.measured(frames, Augment(thin=0.5), copies=20)
    learn, held = domain.split(6)
    assert (len(learn), len(held)) == (40, 6)
    kept = [each.every(stream(0, "")).x[:, 0].mean((1, 2)) for each in (learn, held)]
    assert bool((kept[0] < 12).all())
    assert bool((kept[1] > 12).all())
    both, rest = Unpaired(Domain.of(LEVEL), domain).split(30)[0], domain.split(30)[1]
    assert len(both.second) == 20
    assert len(rest) == 30
    one, other = Domain.measured(frames[:1], copies=20).split(6)
    assert (len(one), len(other)) == (14, 6)


def test_a_folder_of_images_is_a_domain(tmp_path):
    for k in range(3):
        np.save(tmp_path / f"{k}.npy", (k + LEVEL[k]).numpy())
    (tmp_path / "notes.txt").write_text("no image")
    plain, counted = Domain.from_folder(tmp_path), Domain.from_folder(tmp_path, exposure=4.0)
    x = counted.every(stream(0, "")).x
    assert torch.allclose(x[:, 0], LEVEL[:3] + torch.arange(3.0)[:, None, None])
    assert torch.allclose(x[:, 1].exp(), (x[:, 0] / 4).sqrt())
    assert not plain.has_errors
    grey = np.arange(30, dtype=np.uint8).reshape(6, 5)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.stack((grey, grey + 3, grey + 6), 2)).save(tmp_path / "loud.png")
    found = Domain.from_folder(tmp_path).every(stream(0, "")).x[-2:, 0]
    assert torch.equal(found[0], torch.from_numpy(grey).float())
    assert torch.equal(found[1], found[0] + 3)


def test_folders_that_are_no_domain_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no image"):
        Domain.from_folder(tmp_path)
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    with pytest.raises(InputError, match="must be above 0"):
        Domain.from_folder(tmp_path, exposure=0.0)
    np.save(tmp_path / "b.npy", np.ones((4, 5)))
    with pytest.raises(InputError, match=r"b.npy has \(4, 5\) pixels and a.npy \(4, 4\)"):
        Domain.from_folder(tmp_path)
    (tmp_path / "b.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"b.npy cannot be read as an image"):
        Domain.from_folder(tmp_path)


def test_expected_maps_have_the_gaps_of_what_they_are_like(pairs):
    where = pairs.simulations.experiment.measurement
    valid = torch.rand(where.shape, generator=stream(0, "valid")) > 0.3
    like = Spectrum.from_arrays(valid.double(), valid.double(), where, valid=valid, is_counts=True)
    for make in (Domain.expected, Domain.noisy):
        x = make(Pairs(pairs.simulations, like)).every(stream(0, "all")).x
        assert bool(((x[:, 2] > 0) == valid.reshape(x.shape[2:])).all())
    assert bool((Domain.expected(pairs).every(stream(0, "all")).x[:, 2] == 1).all())
