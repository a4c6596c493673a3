"""What an instrument does: it keeps the intensity and the place of lines, adds a background, and counts."""

import pytest
import torch

from sqwirrel.learn.npe import initialise
from sqwirrel.learn.train import Effort, train
from sqwirrel.learn.translate import losses
from sqwirrel.learn.translate.domain import Domain, Unpaired
from sqwirrel.learn.translate.networks import Shape, seen
from sqwirrel.learn.translate.networks.instrument import (
    Instrument,
    counts,
    exposure,
    hats,
    spread,
)
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.seeds import stream

SIDES = {2: (48, 40), 3: (40, 36, 40)}


def instrument(axes=2, conditions=0):
    network = Instrument(Shape(axes, conditions, 8, 2), makes_error=True)
    initialise(network, 1)
    return network


def as_seen(level):
    return torch.stack((torch.asinh(level), torch.zeros_like(level), torch.ones_like(level)), dim=1)


def noise(shape, label="x"):
    return torch.rand(shape, generator=stream(0, label))


def test_bins_that_an_image_does_not_have_are_not_learnt_from():
    x = torch.stack(
        (torch.rand(3, 8, 12, generator=stream(3, "x")), torch.zeros(3, 8, 12), torch.ones(3, 8, 12)), dim=1
    )
    x[:, :, 2:4] = 0
    made = x + torch.tensor([0.5, 0, 0])[:, None, None] * (x[:, 2:3] == 0)
    assert float(losses.away(made, x)) == 0
    assert float(losses.away(made + 0.1, x)) > 0


@pytest.mark.parametrize("axes", [2, 3])
def test_whatever_the_weights_what_is_spread_keeps_its_sum(axes):
    network, level = instrument(axes), torch.zeros(2, *SIDES[axes])
    level[(slice(None), *[slice(18, 22)] * axes)] = 5 * noise((2, *[4] * axes))
    with torch.no_grad():
        for each in network.last.parameters():
            each.mul_(30)
        network.breadth.copy_(torch.tensor([[0.7, 1.2, 1.8]] * axes).log() / 5)
    made = torch.sinh(network(as_seen(level), torch.zeros(2, 0))[:, 0])
    assert torch.allclose(made.flatten(1).sum(1), level.flatten(1).sum(1), rtol=1e-3)
    assert bool((made > -1e-5).all())
    assert not torch.allclose(made, level, atol=0.1)


@pytest.mark.parametrize(("sides", "least"), [((10, 12), 0.35), ((48, 64), 0.8), ((40, 40, 40), 0.7)])
def test_no_gaussian_is_so_wide_that_it_throws_most_intensity_away(sides, least):
    network, even = Instrument(Shape(len(sides), 0, 8, 1), makes_error=False), torch.ones(1, *sides)
    network.begin(0)
    with torch.no_grad():
        network.breadth.fill_(100.0)
        network.share.fill_(1.0)
        network.share[:, 0] = -1.0
        made = torch.sinh(network(as_seen(even), torch.zeros(1, 0))[:, 0])
    assert least < float(made.sum() / even.sum()) < 1


def test_what_is_spread_beyond_the_window_is_lost():
    level = torch.zeros(1, 9, 30)
    level[:, :, 0] = 1.0
    assert float(spread(level, 2, torch.tensor(2.0)).sum()) == pytest.approx(9 * 0.6, abs=0.1)
    assert torch.allclose(spread(level, 1, torch.tensor(2.0))[:, 4], level[:, 4], atol=0.05)


def test_a_gaussian_is_as_wide_as_said():
    level, at = torch.zeros(1, 61, 3), torch.arange(61.0) - 30
    level[:, 30] = 1.0
    found = spread(level, 1, torch.tensor(3.0))[0, :, 0]
    assert float((found * at**2).sum()) ** 0.5 == pytest.approx((9 + 1 / 12) ** 0.5, rel=1e-3)


def test_counts_are_those_of_poisson_and_say_their_errors():
    made, exposures = as_seen(torch.full((400, 6, 5), 2.0)), torch.full((400,), 7.0)
    valid = torch.ones(400, 6, 5)
    valid[:, 0] = 0
    x = counts(made, valid, exposures, stream(0, "n"))
    assert bool((x[:, :, 0] == 0).all())
    n = 7 * torch.sinh(x[:, 0, 1:])
    assert torch.allclose(n, n.round(), atol=1e-3)
    assert float(n.mean()) == pytest.approx(14, rel=0.01)
    assert float(n.var()) == pytest.approx(14, rel=0.05)
    assert torch.allclose(x[:, 1, 1:].exp(), n.clamp(min=1).sqrt() / 7, rtol=1e-3)
    assert torch.allclose(exposure(x), exposures, rtol=1e-3)


def test_errors_that_are_not_those_of_counts_have_no_exposure():
    x = seen(Domain.of(1 + noise((5, 8, 8)), torch.full((5, 8, 8), 0.1)).every(stream(0, "")).x, 1.0, has_errors=True)
    assert exposure(x).tolist() == [0.0] * 5


@pytest.mark.parametrize("axes", [2, 3])
def test_hats_make_lines_and_the_background_settles_on_what_is_there(axes):
    assert torch.allclose(hats(37).sum(1), torch.ones(37))
    network, sides = instrument(axes), SIDES[axes]
    slope = torch.linspace(1, 2, sides[0]).reshape(-1, *[1] * (axes - 1)).expand(sides)
    own, there = as_seen(slope.expand(2, *sides)), 0
    own[:, 2] = (noise((2, *sides)) > 0.3).float()
    for _ in range(60):
        there = network.background(sides)
        network.settle(as_seen(there.expand(2, *sides)), own)
    assert torch.allclose(there, slope, atol=0.02)


def test_images_without_a_count_have_the_usual_exposure():
    x = counts(as_seen(torch.full((5, 6, 5), 2.0)), torch.ones(5, 6, 5), torch.full((5,), 7.0), stream(0, "n"))
    x[0, 0] = 0
    assert exposure(x)[0] == 0
    network = instrument()
    network.expose(x)
    assert float(network.exposure) == pytest.approx(7, rel=1e-3)


def blurred(rows, seed, height):
    """Spots, or these widened, on a background, in counts."""
    level = torch.zeros(rows, 24, 24)
    spots = stream(seed, "spots")
    for row in range(rows):
        x, y = torch.randint(5, 19, (2,), generator=spots)
        level[row, x, y] = 20 * (1 + torch.rand((), generator=spots))
    if not height:
        return Domain.of(level)
    wide = spread(spread(level, 1, torch.tensor(1.5)), 2, torch.tensor(1.5)) + height
    n = torch.poisson(20 * wide, generator=spots)
    return Domain.of(n / 20, n.clamp(min=1).sqrt() / 20)


def test_images_are_drawn_as_counts_where_errors_are_those_of_counts():
    both = Unpaired(blurred(40, 1, 0.0), blurred(40, 2, 0.5))
    one = Translator.sized_for(both, channels=8, blocks=1)
    valid = torch.ones(40, 24, 24)
    valid[:, :2] = 0
    x = one.drawn(both.first.every(stream(0, "")), "measured", valid, seed=3)
    assert bool((x[:, :, :2] == 0).all())
    n = 20 * x[:, 0, 2:]
    assert torch.allclose(n, n.round(), atol=1e-2)
    assert torch.allclose(x[:, 1, 2:].exp(), n.clamp(min=1).sqrt() / 20, rtol=1e-3)


@pytest.mark.slow
def test_it_learns_a_background_that_nobody_told_it():
    both = Unpaired(blurred(300, 1, 0.0), blurred(300, 2, 0.5))
    one = Translator.sized_for(both, kind="instrument", channels=8, blocks=1)
    assert float(one.average(1).exposure) == pytest.approx(20 * float(one.size), rel=1e-3)
    train(one, both, Effort(steps=400, batch=8, every=400))
    images = blurred(64, 3, 0.0).every(stream(0, ""))
    made, truth = one.translate(images, "measured"), images.x[:, 0].sum((1, 2)) + 0.5 * 24 * 24
    assert float((made.level.sum((1, 2)) / truth - 1).abs().median()) < 0.03
    assert torch.allclose(made.error, (made.level / 20).sqrt(), rtol=0.1)


def test_what_is_lost_in_an_image_is_missed_in_its_sum():
    x = as_seen(noise((3, 24, 24)))
    same, dim, moved = (float(losses.away(as_seen(each), x)) for each in (
        torch.sinh(x[:, 0]), 0.8 * torch.sinh(x[:, 0]), torch.sinh(x[:, 0]).roll(1, 2)))  # fmt: skip
    assert same == pytest.approx(0, abs=1e-6)
    assert dim == pytest.approx(0.2 * 4, rel=0.02)
    assert 0 < moved < 2
