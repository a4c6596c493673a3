"""Generators, critics, and what they see of images."""

import pytest
import torch

from sqwirrel.learn.npe import initialise
from sqwirrel.learn.translate import networks
from sqwirrel.learn.translate.networks import Critic, Generator, Shape, apart, numbers, together
from sqwirrel.seeds import stream

SIDES = {2: (13, 9), 3: (5, 8, 6)}


def images(axes, rows=3, label="x"):
    x = torch.randn(rows, 3, *SIDES[axes], generator=stream(0, label))
    x[:, 2] = (x[:, 2] > -1).float()
    return torch.where(x[:, 2:] > 0, x, 0.0)


def generator(axes, *, makes_error=True, conditions=2):
    network = Generator(Shape(axes, conditions, 8, 2), makes_error=makes_error)
    initialise(network, 1)
    return network


@pytest.mark.parametrize("axes", [2, 3])
def test_cells_come_apart_to_the_pixels_they_were_made_of(axes):
    x = images(axes)
    cells = together(x)
    assert cells.shape[1] == 3 * 4**axes
    assert torch.equal(apart(cells, SIDES[axes]), x)


def test_a_cell_holds_neighbours():
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert together(x)[0, :, 0, 1].tolist() == [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31]


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("makes_error", [True, False])
def test_a_generator_that_learnt_nothing_changes_nothing(axes, makes_error):
    network, x = generator(axes, makes_error=makes_error), images(axes)
    network.begin(1)
    found = network(x, torch.zeros(3, 2))
    assert torch.allclose(found[:, 0], x[:, 0], atol=1e-6)
    assert torch.equal(found[:, 1], x[:, 1] if makes_error else torch.zeros_like(x[:, 1]))
    assert bool((found[:, 2] == 1).all())


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("kind", ["generator", "critic"])
def test_every_weight_has_a_gradient_and_the_condition_counts(axes, kind):
    network = generator(axes) if kind == "generator" else Critic(Shape(axes, 2, 8, 2))
    x = images(axes)
    (network(x, torch.ones(3, 2)) ** 2).mean().backward()
    assert all(each.grad is not None and bool((each.grad != 0).any()) for each in network.parameters())
    assert not torch.equal(network(x, torch.zeros(3, 2)), network(x, torch.ones(3, 2)))


@pytest.mark.parametrize("axes", [2, 3])
def test_one_image_by_itself_is_as_in_a_batch(axes):
    network, x, known = generator(axes), images(axes), torch.randn(3, 2, generator=stream(0, "k"))
    each = torch.cat([network(x[k : k + 1], known[k : k + 1]) for k in range(3)])
    assert torch.allclose(network(x, known), each, atol=1e-5)


def test_what_happens_far_away_does_not_matter():
    network, x = generator(2), torch.zeros(1, 3, 120, 8)
    other = x.clone()
    other[..., 100:, :] = 1.0
    one, two = (network(each, torch.zeros(1, 2)) for each in (x, other))
    assert torch.equal(one[..., :60, :], two[..., :60, :])
    assert not torch.equal(one[:, 0, 90:100], two[:, 0, 90:100])


def test_levels_and_errors_come_back_in_their_unit():
    x = images(2)
    x[:, 0] *= 100
    assert torch.allclose(
        networks.made(networks.seen(x, 3.0, has_errors=True), 3.0, has_errors=True).level, x[:, 0], rtol=1e-4, atol=1e-4
    )
    error = networks.made(networks.seen(x, 3.0, has_errors=True), 3.0, has_errors=True).error
    assert torch.allclose(error[x[:, 2] > 0], x[:, 1].exp()[x[:, 2] > 0], rtol=1e-4)
    assert bool((networks.made(networks.seen(x, 3.0, has_errors=False), 3.0, has_errors=False).error == 0).all())


def test_noise_has_the_error_that_was_made_and_gaps_are_empty():
    x = torch.zeros(4000, 3, 4, 4)
    x[:, 0], x[:, 1] = 2.0, torch.tensor(0.5).log()
    valid = torch.ones(4000, 4, 4)
    valid[:, 0] = 0
    found = networks.noisy(x, valid, torch.randn(4000, 4, 4, generator=stream(0, "n")))
    assert bool((found[:, :, 0] == 0).all())
    level = torch.sinh(found[:, 0, 1:])
    assert float(level.std()) == pytest.approx(0.5, rel=0.02)
    assert float(level.mean()) == pytest.approx(float(torch.sinh(torch.tensor(2.0))), abs=0.02)


def test_numbers_are_those_of_the_weights():
    assert numbers(torch.nn.Linear(3, 2)) == 8


def test_weights_are_those_of_the_seed():
    one, same, other = (Critic(Shape(2, 0, 8, 2)) for _ in range(3))
    for network, seed in ((one, 1), (same, 1), (other, 2)):
        network.begin(seed)
    assert torch.equal(one.last.conv.weight, same.last.conv.weight)
    assert not torch.equal(one.last.conv.weight, other.last.conv.weight)
    block = one.body.blocks[0]
    assert bool(block.two.conv.weight.std() < 0.2 * block.one.conv.weight.std())


@pytest.mark.parametrize("axes", [2, 3])
def test_an_image_that_is_smoothed_keeps_its_sum_and_is_as_wide_as_said(axes):
    x = torch.zeros(1, *[41] * axes)
    x[(0, *[20] * axes)] = 1.0
    found = networks.smoother(x, torch.ones_like(x))
    assert len(found) == 2 + axes
    at = torch.arange(41.0) - 20
    for each, widths in zip(found, [(1.0, 1.0), (2.5, 2.5), (2.5, 0.0), (0.0, 2.5)], strict=False):
        assert float(each.sum()) == pytest.approx(1, abs=1e-3)
        for axis in (0, 1) if axes == 2 else ():
            profile = each[0].sum(1 - axis)
            assert float((profile * at**2).sum()) ** 0.5 == pytest.approx(widths[axis], abs=0.05)


def test_gaps_are_filled_from_around_and_do_not_dim_what_is_beside_them():
    level, valid = torch.full((1, 20, 20), 3.0), torch.ones(1, 20, 20)
    valid[:, 8:10] = 0
    assert all(torch.allclose(each, level, rtol=1e-3) for each in networks.smoother(level, valid)[:2])


def test_no_generator_gets_beyond_its_largest_weights():
    network, x = generator(2), images(2)
    with torch.no_grad():
        for each in network.last.parameters():
            each.mul_(1e4)
    level = torch.sinh(x[:, 0]).abs().amax()
    found = torch.sinh(network(x, torch.zeros(3, 2))[:, 0]).abs().amax()
    assert bool(found < networks.FARTHEST * (1 + 6 * level))
