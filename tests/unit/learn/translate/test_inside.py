"""The domain of application: what is like the images of a domain, and what is not."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from sqwirrel.errors import InputError
from sqwirrel.learn.translate.domain import Domain, Images, Unpaired
from sqwirrel.learn.translate.inside import Inside, Matcher
from sqwirrel.learn.translate.kept import USUAL, load_matcher, save_matcher
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.record import Record
from sqwirrel.seeds import stream

SIDES = (16, 20)


def lines(n, seed, height=(0.5, 2.0)):
    """Bumps at random places along the second axis, on noise of the size 0.1."""
    generator = stream(seed, "lines")
    at = 5 + 10 * torch.rand(n, 1, 1, generator=generator)
    tall = height[0] + (height[1] - height[0]) * torch.rand(n, 1, 1, generator=generator)
    level = tall * torch.exp(-0.5 * (torch.arange(SIDES[1]) - at) ** 2 / 2).expand(-1, SIDES[0], -1)
    return level + 0.1 * torch.randn(n, *SIDES, generator=generator)


def domain(n, seed, **how):
    level = lines(n, seed, **how)
    return Domain.of(level, torch.full_like(level, 0.1))


@pytest.fixture(scope="module")
def matcher():
    both = Unpaired(Domain.of(lines(600, 1)), domain(800, 2))
    return Matcher.of(Translator.sized_for(both, channels=4, blocks=1), both)


def images(source):
    return source.every(stream(0, "all"))


def test_images_of_the_domain_are_rarely_outside(matcher):
    inside = matcher.inside[1]
    assert len(inside.held) == 400
    assert inside.least == pytest.approx(4.5 / 401)
    distance, share = matcher.share(images(domain(1000, 3)), 1)
    assert distance.shape == (1000, 3)
    assert int((share < inside.least).sum()) <= 17  # 7.5 expected; more in one of 1000 by Poisson's law
    assert float(share.median()) > 0.3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda level: level.mT.reshape(len(level), *SIDES), id="across"),
        pytest.param(lambda level: level[:, :, torch.randperm(20, generator=stream(0, "p"))], id="shuffled"),
        pytest.param(lambda level: 100 * level, id="a hundred times higher"),
        pytest.param(lambda level: 0.1 * torch.randn(level.shape, generator=stream(0, "n")), id="noise alone"),
    ],
)
def test_others_are_outside(matcher, change):
    level = change(lines(200, 4))
    share = matcher.share(images(Domain.of(level, torch.full_like(level, 0.1))), 1)[1]
    assert float((share < matcher.inside[1].least).double().mean()) > 0.99


def test_the_size_alone_is_told_where_the_shape_is_the_same(matcher):
    source = images(Domain.of(lines(50, 5), torch.full((50, *SIDES), 0.1)))
    higher = Images(torch.cat((30 * source.x[:, :1], source.x[:, 1:]), 1), source.condition)
    (one, other), usual = (matcher.share(each, 1)[0] for each in (source, higher)), matcher.inside[1].held
    assert torch.allclose(one[:, 0], other[:, 0], rtol=1e-3)
    assert bool((other[:, 1] > usual[-1, 1]).all())


def test_the_share_counts_the_image_itself_and_all_looks(matcher):
    inside = matcher.inside[1]
    assert inside.share(inside.held[-1:] + 1).item() == pytest.approx(3 / 401)
    assert inside.share(inside.held[:1] - 1).item() == 1
    one = torch.stack((inside.held[0, 0] - 1, inside.held[-1, 1] + 1, inside.held[0, 2] - 1))[None]
    assert inside.share(one).item() == pytest.approx(3 / 401)


def test_structure_that_no_component_has_is_told_by_what_is_left(matcher):
    level = lines(50, 8)
    level[:, 4:8, :] += 0.3  # a faint stripe along the other axis
    there, usual = torch.full_like(level, 0.1), matcher.inside[1].held
    own, other = (matcher.share(images(Domain.of(each, there)), 1)[0][:, 2] for each in (lines(50, 8), level))
    assert bool((own <= usual[-1, 2] * 1.2).all())
    assert bool((other > 2 * usual[-1, 2]).all())


def test_what_components_leave_of_noise_alone_is_near_that_of_smoothed_noise():
    from sqwirrel.learn.translate.rest import SMOOTH, Rest

    rest, (n, side) = Rest((32, 32)), (400, 32)
    noise = torch.randn(2 * n, side, side, generator=stream(9, "rest"))
    one = torch.ones_like(noise)
    x = torch.stack((noise, one, one), dim=1)
    rest.fit(x[:n])
    kernel = torch.exp(-0.5 * (torch.arange(-16, 17) / SMOOTH) ** 2) / (SMOOTH * (2 * torch.pi) ** 0.5)
    usual = float((kernel**2).sum()) ** 2
    assert float(rest(x[n:]).mean()) == pytest.approx(usual, rel=0.2)
    x[n:, 2, :, 20:] = 0  # what was not measured is not counted
    x[n:, 0, :, 20:] = 100
    assert float(rest(x[n:]).mean()) == pytest.approx(usual, rel=0.2)


@pytest.mark.parametrize(("held", "outside"), [(1199, [False, True]), (1200, [True, True]), (3999, [True, True])])
def test_the_second_furthest_of_many_is_outside_too(matcher, held, outside):
    inside = replace(matcher.inside[1], held=torch.arange(held).double()[:, None].expand(-1, 3))
    far = torch.tensor([[held - 1.5], [held - 0.5]]).double().expand(-1, 3)
    assert (inside.share(far) < inside.least).tolist() == outside


def test_conditions_are_known_near_those_of_the_domain():
    level = lines(60, 1)
    under = torch.tensor([[35.0, 0.0], [70.0, 0.0]]).repeat(30, 1)
    both = Unpaired(Domain.of(level, condition=under), Domain.of(level, condition=under))
    translator = Translator.sized_for(both, kind="cycle", channels=4, blocks=1)
    inside = Matcher.of(translator, both).inside[0]
    in_turn = Unpaired(*(replace(each, condition=under.sort(0).values) for each in (both.first, both.second)))
    assert bool(Matcher.of(translator, in_turn).inside[1].knows(under).all())
    asked = torch.tensor([[35.0, 0.0], [72.0, 0.0], [50.0, 0.0], [25.0, 1.0], [-4.0, 0.0]])
    assert inside.knows(asked).tolist() == [[True, True], [True, True], [False, True], [False, False], [False, True]]


def test_bins_that_no_image_of_the_domain_has_tell_nothing():
    from sqwirrel.learn.translate.rest import Rest

    rest, level = Rest(SIDES), lines(300, 1)
    x = torch.stack((level, torch.full_like(level, 0.01), torch.ones_like(level)), dim=1)
    fewer = x.clone()
    fewer[:, :, 3:5] = 0
    rest.fit(fewer[:200])
    assert torch.allclose(rest(x[200:]), rest(fewer[200:]), rtol=0.3)


def test_images_of_three_axes_have_a_domain_too():
    level = lines(120, 1)[:, :, :12].reshape(120, 16, 3, 4) + 2.0
    both = Unpaired(Domain.of(level), Domain.of(level, torch.full_like(level, 0.1)))
    inside = Matcher.of(Translator.sized_for(both, kind="cycle", channels=4, blocks=1), both).inside[1]
    assert inside.held.shape == (60, 3)
    assert bool(torch.isfinite(inside.held).all())


def test_no_more_rows_are_kept_or_held_out_than_asked_for(matcher, monkeypatch):
    from sqwirrel.learn.translate import inside

    def sizes():
        found = inside.Inside.of(matcher.translator, 1, domain(800, 2))
        return len(found.features), len(found.held)

    monkeypatch.setattr(inside, "HELD", 300)
    assert sizes() == (400, 300)
    monkeypatch.setattr(inside, "ROWS", 200)
    assert sizes() == (200, 300)
    monkeypatch.setattr(inside, "BINS", 70 * SIDES[0] * SIDES[1])
    assert sizes() == (70, 300)
    monkeypatch.setattr(inside, "BINS", 1)
    assert sizes() == (inside.FEWEST, 300)


def test_distances_are_energy_distances(matcher):
    from sqwirrel.learn.translate.judge import energy_distance

    inside, source = matcher.inside[1], images(domain(3, 6))
    found = inside.distance(matcher.translator, 1, source)
    size = source.x[:, 0].square().mean((1, 2)).sqrt() / matcher.translator.size
    for row, each in enumerate(size.log().double()):
        assert float(found[row, 1]) == pytest.approx(energy_distance(each.reshape(1, 1), inside.sizes), abs=1e-4)


def test_a_matcher_is_kept_whole(matcher, tmp_path):
    save_matcher(tmp_path, matcher, Record.start())
    again, source = load_matcher(tmp_path), images(domain(5, 7))
    for one, other in zip(matcher.share(source, 1), again.share(source, 1), strict=True):
        assert torch.allclose(one, other)
    kept = load_file(tmp_path / USUAL)
    save_file({name: x for name, x in kept.items() if "rest" not in name}, tmp_path / USUAL)  # as before the third look
    with pytest.raises(InputError, match=r"of another version .*into another folder"):
        load_matcher(tmp_path)
    (tmp_path / USUAL).write_bytes(b"nothing")
    with pytest.raises(InputError, match="missing, damaged"):
        load_matcher(tmp_path)


def test_too_few_images_say_nothing(matcher):
    with pytest.raises(InputError, match="give some thousands"):
        Inside.of(matcher.translator, 1, domain(40, 1))
