"""Translators: losses, players, training, what they say of themselves, and on disk."""

import json
import math

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.learn.train import Effort, Judged, train
from sqwirrel.learn.translate import losses
from sqwirrel.learn.translate.domain import Domain, Unpaired
from sqwirrel.learn.translate.kept import load_translator, save_translator
from sqwirrel.learn.translate.networks import Shape
from sqwirrel.learn.translate.plan import KINDS, Plan
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.record import Record
from sqwirrel.seeds import stream

SIDES = {2: (16, 12), 3: (8, 8, 8)}


def blobs(rows, seed, axes=2, width=0.1):
    centre = torch.rand(rows, axes, generator=stream(seed, "blobs")) - 0.5
    far = torch.zeros(rows, *SIDES[axes])
    for axis, side in enumerate(SIDES[axes]):
        at = torch.linspace(-1, 1, side)
        far = far + ((at - centre[:, axis : axis + 1]) ** 2).reshape(
            rows, *[-1 if k == axis else 1 for k in range(axes)]
        )
    return torch.exp(-far / width)


def domains(rows=60, axes=2):
    level = blobs(rows, 2, axes) + 0.3
    noisy = level + 0.05 * torch.randn(level.shape, generator=stream(0, "noise"))
    valid = torch.ones_like(level, dtype=torch.bool)
    valid[:, :3] = False
    clean = Domain.of(blobs(rows, 1, axes), condition=torch.zeros(rows, 1))
    return Unpaired(clean, Domain.of(noisy, torch.full_like(level, 0.05), valid, torch.ones(rows, 1)))


def translator(kind="contrast", axes=2, seed=0):
    return Translator.sized_for(domains(axes=axes), kind=kind, channels=8, blocks=2, seed=seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [2, 3])
def test_losses_reach_the_weights_of_their_player_and_are_a_function_of_the_batch(kind, axes):
    one, batch = translator(kind, axes), domains(axes=axes).batch(4, 1, "a")
    for name, player in one.players.items():
        one.zero_grad()
        loss = one.loss(name, batch)
        loss.backward()
        assert math.isfinite(float(loss.detach()))
        heads = {id(each) for each in one.heads.parameters() if kind != "contrast"}
        trained = [each for each in player.parameters() if each.requires_grad and id(each) not in heads]
        assert all(each.grad is not None for each in trained)
    with torch.no_grad():
        assert one.loss("critics", batch) == one.loss("critics", batch)


def test_critics_do_not_move_generators():
    one = translator()
    one.loss("critics", domains().batch(4, 1, "a")).backward()
    assert all(each.grad is None for each in one.generators.parameters())


def test_images_without_conditions_are_translated():
    both = Unpaired(Domain.of(blobs(20, 1)), Domain.of(blobs(20, 2)))
    one = Translator.sized_for(both, channels=8, blocks=1)
    made = one.translate(both.first.batch(2, 0, "a"), "measured")
    assert made.level.shape == (2, *SIDES[2])
    assert bool((made.error == 0).all())


@pytest.mark.parametrize("axes", [2, 3])
def test_an_untrained_translator_changes_nothing_but_gaps(axes):
    one, both = translator(axes=axes), domains(axes=axes)
    images = both.second.batch(5, 0, "a")
    there = images.x[:, 2] > 0
    level, error = one.translate(images, "simulated")
    assert torch.allclose(level[there], images.x[:, 0][there], atol=1e-4)
    assert bool((error == 0).all())
    assert bool((one.translate(both.first.batch(5, 0, "a"), "measured").error > 0).all())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_training_brings_images_nearer_to_the_other_domain(kind):
    one, both = translator(kind), domains(400)
    history = train(one, both, Effort(steps=300, batch=8, every=50, patience=100))
    assert isinstance(one, Judged)
    assert float(one.marks.after.sum()) == pytest.approx(min(history.losses))
    assert float(one.marks.after.sum()) < float(one.marks.before.sum())


def test_a_training_that_was_interrupted_goes_on_to_the_same_numbers(tmp_path):
    def stop(step, *_):
        if step == 6:
            raise KeyboardInterrupt

    effort = Effort(steps=9, batch=2, every=3)
    whole, parts = translator(), translator()
    straight = train(whole, domains(), effort)
    with pytest.raises(KeyboardInterrupt):
        train(parts, domains(), effort, tmp_path, stop)
    parts = translator()
    assert train(parts, domains(), effort, tmp_path).losses == straight.losses
    assert isinstance(parts, Judged)
    assert float(parts.marks.after.sum()) == pytest.approx(min(straight.losses))
    images = domains().first.batch(3, 0, "a")
    assert torch.equal(parts.translate(images, "measured").level, whole.translate(images, "measured").level)


def test_saved_and_loaded_it_translates_the_same(tmp_path):
    one, both = translator(seed=5), domains()
    train(one, both, Effort(steps=10, batch=4, every=10))
    save_translator(tmp_path, one, Record.start())
    again, images = load_translator(tmp_path), both.first.batch(3, 0, "a")
    assert again.plan == one.plan
    assert torch.equal(again.translate(images, "measured").level, one.translate(images, "measured").level)
    assert again.doubts == one.doubts
    told = json.loads((tmp_path / "translator.json").read_text())
    del told["plan"]["shape"]
    (tmp_path / "translator.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="damaged"):
        load_translator(tmp_path)
    with pytest.raises(InputError, match="holds no translator"):
        load_translator(tmp_path / "nowhere")


def test_collapse_and_no_progress_are_said():
    one = translator()
    one.marks.before.copy_(torch.tensor([10.0, 10.0]))
    one.marks.after.copy_(torch.tensor([2.0, 12.0]))
    one.marks.spread.copy_(torch.tensor([0.1, 0.9]))
    collapsed, stuck = one.doubts
    assert "'simulated' have collapsed: they scatter 0.1 times" in collapsed
    assert "'measured' are no more like its own than before" in stuck
    one.marks.after.copy_(torch.tensor([2.0, 2.0]))
    one.marks.spread.fill_(1.0)
    assert one.doubts == ()


def test_images_are_drawn_with_the_errors_that_were_made():
    one, images = translator(), domains().first.batch(40, 0, "a")
    valid = torch.ones(40, *SIDES[2])
    valid[:, :3] = 0
    made, x = one.translate(images, "measured"), one.drawn(images, "measured", valid, seed=3)
    assert bool((x[:, :, :3] == 0).all())
    away = ((x[:, 0] - made.level) / made.error)[:, 3:]
    assert float(away.std()) == pytest.approx(1, rel=0.05)
    assert torch.allclose(x[:, 1].exp()[:, 3:], made.error[:, 3:], rtol=1e-4)
    assert torch.equal(one.drawn(images, "measured", valid, seed=3), x)


def test_wrong_plans_are_refused():
    with pytest.raises(InputError, match="choose instrument, cycle or contrast"):
        Plan(Shape(2), kind="magic")
    with pytest.raises(InputError, match="both called 'a'"):
        Plan(Shape(2), names=("a", "a"))
    with pytest.raises(InputError, match="not to 'nowhere'"):
        translator().translate(domains().first.batch(3, 0, "a"), "nowhere")
    with pytest.raises(InputError, match="0 in all measured bins"):
        Translator.sized_for(Unpaired(Domain.of(torch.zeros(20, 8, 8)), Domain.of(torch.ones(20, 8, 8))))


def test_contrast_is_small_where_places_are_told_and_ignores_what_was_not_measured():
    key = torch.nn.functional.normalize(torch.randn(2, 10, 16, generator=stream(0, "k")), dim=-1)
    there = torch.ones(2, 10)
    assert float(losses.contrast(key, key, there)) < 0.1
    assert float(losses.contrast(key.roll(1, 1), key, there)) > 5
    there[:, 5:] = 0
    wild = torch.where(there[..., None] > 0, key, key.roll(1, 1))
    assert losses.contrast(wild, wild, there) == losses.contrast(key, key, there)


def test_noise_within_its_error_is_not_missed():
    x = torch.ones(1, 3, 4, 4)
    x[:, 0], x[:, 1] = 0.0, torch.tensor(0.1).log()
    made = x.clone()
    made[:, 0] += 0.09
    assert float(losses.missed(made, x, has_errors=True)) == 0
    assert float(losses.missed(made, x, has_errors=False)) == pytest.approx(0.09)
    made[:, 0] += 0.11
    assert float(losses.missed(made, x, has_errors=True)) == pytest.approx(0.1)
    x[:, 2, :2] = 0
    made[:, 0, :2] = 7.0
    assert float(losses.missed(made, x, has_errors=True)) == pytest.approx(0.1)


def test_an_instrument_is_refused_where_it_would_have_to_make_intensity():
    both = domains()
    level = blobs(60, 2, 2) * torch.linspace(10, 1000, 60)[:, None, None]
    counted = Domain.of(level, level.clamp(min=1).sqrt(), condition=torch.ones(60, 1))
    with pytest.raises(InputError, match="an instrument keeps them: bring both to one scale, or choose kind = 'cycle'"):
        Translator.sized_for(Unpaired(both.first, counted), kind="instrument", channels=8, blocks=1)
