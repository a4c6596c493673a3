"""Why a network says what it says: maps sum up to what they explain, point at what differs, and know when they do not."""

from copy import deepcopy

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain import expected_ratio
from sqwirrel.explain import networks as explained
from sqwirrel.explain.networks import Contrast, Heard, Unit, attribution, spoken
from sqwirrel.explain.networks.places import Seen, averaged, blurred, usual
from sqwirrel.lattice import Lattice
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.rivals import Classifier, Committee, Contest
from sqwirrel.learn.rivals.embedding import PooledEmbedding
from sqwirrel.learn.strange import Familiar, Jury
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QGrid, QPath, QPoints, Spectrum

CHAIN = library.load("fm_chain")
NUISANCES = {"fwhm": {"uniform": [0.5, 0.8]}, "scale": {"loguniform": [15, 50]}, "background": {"uniform": [0.2, 0.6]}}
METHODS = list(explained.METHODS)
EFFORT = Effort(steps=60, batch=32, every=30, seed=3)


def chain():
    q = torch.zeros(10, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, 10)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, 19), 1.0)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=Poisson()), samples=1)


EXPERIMENT = chain()


def pairs_of(low, high, seed):
    prior = Prior.from_mapping({"J": {"uniform": [low, high]}, **NUISANCES})
    return Pairs(simulations(EXPERIMENT, prior, 256, seed=seed))


@pytest.fixture(scope="module")
def contest():
    """Couplings of two rivals that do not overlap: what differs is where the mode is."""
    return Contest.of({"strong": pairs_of(-1.8, -1.4, 1), "weak": pairs_of(-1.1, -0.7, 2)})


@pytest.fixture(scope="module")
def network(contest):
    classifier = Classifier.sized_for(contest, 0)
    train(classifier, contest, EFFORT)
    classifier.temperature.fill_(1.7)
    return classifier


@pytest.fixture(scope="module")
def batch(contest):
    return contest.batch(160, 7, "looked at")


@pytest.fixture(scope="module")
def strong(batch):
    return batch.x[batch.rival == 0][:16]


@pytest.fixture(scope="module")
def expected():
    """The physical map: the mean over pairs of draws of the log likelihood ratio that each bin should bring."""
    theta = [EXPERIMENT.pack(J=J, fwhm=0.65, scale=27, background=0.4) for J in (-1.5, -1.6, -1.7, -0.8, -0.9, -1.0)]
    with torch.no_grad():
        each = [EXPERIMENT(one)[0] for one in theta]
    counting = EXPERIMENT.instrument.counting
    observed = counting.observe(EXPERIMENT.sample(theta[0], 1))
    return torch.stack([expected_ratio(counting, a, b, observed) for a in each[:3] for b in each[3:]]).mean(0)


def tiles_of(network):
    return explained.tiles(network.embed, EXPERIMENT.measurement.shape, (2, 3))


def test_class_activation_maps_sum_up_to_the_log_odds(network, strong) -> None:
    odds = network(strong)
    found = attribution(network, strong, 0, 1, "cam")
    assert torch.allclose(found.sum((1, 2)), odds[:, 0] - odds[:, 1], atol=1e-4)
    assert torch.allclose(attribution(network, strong, 1, 0, "cam"), -found)


def test_integrated_gradients_are_complete(network, strong) -> None:
    score = Contrast(network, 0, 1)
    with torch.no_grad():
        change = score(strong) - score(usual(network.embed, strong))
    found = attribution(network, strong, 0, 1, "integrated_gradients").sum((1, 2))
    assert torch.allclose(found, change, atol=0.01 * float(change.abs().max()))  # 64 points on the way


@pytest.mark.parametrize("method", METHODS)
def test_attributions_point_at_what_differs(network, strong, expected, method) -> None:
    """And those of networks with random weights do not: some correlate by chance, but not on the mean."""
    tiles = tiles_of(network)
    found = attribution(network, strong, 0, 1, method).mean(0)
    assert explained.rank_correlation(found, expected, tiles) > 0.35
    chance = 5 / (int(tiles.max()) + 1)
    assert explained.top_overlap(found, expected, tiles) >= 2 * chance

    def score(other: Classifier) -> float:
        return explained.rank_correlation(attribution(other, strong[:4], 0, 1, method).mean(0), expected, tiles)

    assert abs(float(explained.by_chance(network, score, 8, seed=10).mean())) < 0.3  # each scatters by .4


@pytest.mark.parametrize("method", METHODS)
def test_deletion_and_insertion_know_a_right_map(network, strong, method) -> None:
    score = Contrast(network, 0, 1)
    found = attribution(network, strong, 0, 1, method)
    random = torch.rand(found.shape, generator=stream(1, "order"))
    away, there = (explained.deletion(score, strong, each) for each in (found, random))
    assert float((there.area - away.area).min()) > 0
    assert torch.allclose(away.score[:, 0], score(strong), atol=1e-5)
    assert torch.allclose(away.score[:, -1], score(usual(network.embed, strong)), atol=1e-5)
    better, worse = (explained.insertion(score, strong, each).area for each in (found, random))
    assert float((better - worse).min()) > 0


def test_networks_that_learnt_the_same_agree_and_those_that_learnt_nothing_do_not(network, contest, strong) -> None:
    other, nothing = Classifier.sized_for(contest, 1), Classifier.sized_for(contest, 2)
    train(other, contest, EFFORT)
    train(nothing, explained.Mislabelled(contest), Effort(steps=10, batch=32, every=10))
    same = explained.kinship((network, other), strong[:6], 0, 1, "integrated_gradients")
    assert float(same.min()) > 0.4  # those of two trained apart
    for stranger in (nothing, explained.untrained(network, 20), explained.untrained(network, 21)):
        assert float(explained.kinship((network, stranger), strong[:6], 0, 1, "cam").mean()) < 0.35


def jury_of(contest, *members) -> Jury:
    """Nobody asks this one what is strange."""
    return Jury(Committee(list(members)), contest, Familiar({}, torch.zeros(1, 0).double()))


def test_what_a_jury_finds_comes_with_how_far_to_trust_it(network, contest, expected) -> None:
    spectrum = EXPERIMENT.sample(EXPERIMENT.pack(J=-1.6, fwhm=0.65, scale=27, background=0.4), 2)
    tiles, rivals = tiles_of(network), ("strong", "weak")
    alone = explained.heard(jury_of(contest, network), spectrum, rivals, {"": expected}, {"": tiles})
    x = contest.pairs["strong"].image(spectrum)
    assert torch.allclose(alone.maps[""].sum(), Contrast(network, 0, 1)(x)[0], atol=1e-4)
    assert alone.members is None
    assert alone.evidence == explained.rank_correlation(alone.maps[""], expected, tiles) == alone.by_label[""]
    assert (len(alone.chance_evidence), alone.chance_members) == (8, ())
    right = explained.heard(jury_of(contest, network, network), spectrum, rivals, alone.maps, {"": tiles})
    assert (right.evidence, right.members) == (pytest.approx(1), pytest.approx(1))
    assert right.doubts == []

    noise = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).double()
    apart = explained.heard(
        jury_of(contest, network, explained.untrained(network, 5)), spectrum, rivals, {"": noise}, {"": tiles}
    )
    assert apart.members < 0.7
    assert len(apart.chance_members) == 8
    assert apart.doubts[0].startswith("it agrees with where the evidence is decided no better than random networks may")
    assert apart.mapping()["trust"]["doubts"] == apart.doubts
    with pytest.raises(InputError, match="the networks see the measurement '', of which no ratio is given"):
        explained.heard(jury_of(contest, network), spectrum, rivals, {}, {})


def test_members_are_held_against_members_of_random_committees(network, contest, expected, monkeypatch) -> None:
    """Random networks that all say one thing agree wholly, whatever those that were trained say."""
    same = explained.untrained(network, 5)
    monkeypatch.setattr(spoken, "untrained", lambda *_: same)
    spectrum = EXPERIMENT.sample(EXPERIMENT.pack(J=-1.6, fwhm=0.65, scale=27, background=0.4), 2)
    jury, maps, windows = jury_of(contest, network, same), {"": expected}, {"": tiles_of(network)}
    found = explained.heard(jury, spectrum, ("strong", "weak"), maps, windows)
    assert found.members < 0.9
    assert found.chance_members == pytest.approx([1.0] * 8)
    assert found.doubts[-1].startswith("its members agree no better than random networks may")


@pytest.mark.parametrize(
    ("evidence", "members", "doubts"),
    [
        (0.41, 0.63, []),
        (0.39, 0.63, ["0.39, of which chance reaches 0.40"]),
        (-0.9, None, ["-0.90, of which chance reaches 0.40"]),
        (0.41, 0.62, ["0.62, of which chance reaches 0.62"]),
        (0.4, -0.7, ["0.40, of which chance reaches 0.40", "-0.70, of which chance reaches 0.62"]),
    ],
)
def test_a_map_is_doubted_if_chance_reaches_it(evidence, members, doubts) -> None:
    """Of either sign."""
    chance = () if members is None else (0.62, -0.1)
    found = Heard("strong", "weak", {}, evidence, {}, members, (0.2, -0.4), chance, 6).doubts
    assert len(found) == len(doubts)
    assert all(words in each for words, each in zip(doubts, found, strict=True))


@pytest.mark.parametrize("windows", [4, 5])
def test_a_rank_correlation_of_few_windows_is_doubted(windows, network, contest, expected) -> None:
    """A map that agrees wholly with the evidence, in windows of whole columns."""
    spectrum = EXPERIMENT.sample(EXPERIMENT.pack(J=-1.6, fwhm=0.65, scale=27, background=0.4), 2)
    columns = torch.arange(expected.shape[1]) * windows // expected.shape[1]
    tiles, rivals, jury = columns.expand(expected.shape).clone(), ("strong", "weak"), jury_of(contest, network)
    map_ = explained.heard(jury, spectrum, rivals, {"": expected}, {"": tiles}).maps
    found = explained.heard(jury, spectrum, rivals, map_, {"": tiles})
    words = "the data have 4 windows, too few for a rank correlation, which needs 5"
    assert found.windows == windows
    assert (words in found.doubts) == (windows == 4)
    assert list(found.by_label) == ([] if windows == 4 else [""])


def test_windows_without_a_measured_bin_do_not_count(network, contest, expected) -> None:
    """Both maps are 0 there: that is no agreement."""
    valid = torch.ones(expected.shape, dtype=torch.bool)
    valid[:, 9:] = False
    spectrum = EXPERIMENT.sample(EXPERIMENT.pack(J=-1.6, fwhm=0.65, scale=27, background=0.4), 2)
    some = Spectrum.from_arrays(spectrum.intensity, spectrum.error, spectrum.measurement, valid=valid, is_counts=True)
    seen = Contest.of({name: Pairs(each.simulations, some) for name, each in contest.pairs.items()})
    tiles, ratio = tiles_of(network), torch.where(valid, expected, 0.0)
    found = explained.heard(jury_of(seen, network), some, ("strong", "weak"), {"": ratio}, {"": tiles})
    near, far = (each[:, :9] for each in (found.maps[""], tiles))
    assert found.evidence == pytest.approx(
        explained.rank_correlation(near, ratio[:, :9], far.unique(return_inverse=True)[1])
    )
    assert found.by_label[""] == pytest.approx(found.evidence)


def test_labels_drawn_at_random_leave_the_images(contest) -> None:
    wrong, right = explained.Mislabelled(contest).batch(64, 1, "a"), contest.batch(64, 1, "a")
    assert torch.equal(wrong.x, right.x)
    assert torch.equal(wrong.rival.sort().values, right.rival.sort().values)
    assert 10 < int((wrong.rival != right.rival).sum()) < 54


def test_dead_and_untrained_filters_are_found(network, batch) -> None:
    sick = deepcopy(network)
    before = explained.untrained(network, 0)
    sick.embed.first.weight.data[3] = 0  # a filter without weights
    sick.embed.rest[3].weight.data[:4], sick.embed.rest[3].bias.data[:4] = 0.1, -30  # normalised, then far below 0
    sick.embed.first.weight.data[5] = 3 * before.embed.first.weight[5]  # the length says nothing
    found = explained.health(sick, batch.x[:32], 0)
    assert found["layer 1"].dead.nonzero()[:, 0].tolist() == [3]
    assert found["layer 2"].dead.nonzero()[:, 0].tolist() == list(range(4))
    assert bool(found["layer 1"].untrained[5])
    assert not bool(found["layer 2"].untrained.any())
    assert all(bool(each.untrained.all()) for each in explained.health(before, batch.x[:32], 0).values())
    assert not any(bool(each.untrained.any()) for each in explained.health(before, batch.x[:32], 1).values())


def test_maximised_images_are_answered_to_more_than_noise_and_than_any_spectrum(network, batch) -> None:
    embed, like = network.embed, usual(network.embed, batch.x[:2])
    noise = torch.randn(2, *EXPERIMENT.measurement.shape, generator=stream(2, "noise"))
    smooth = blurred(embed, noise)
    smooth = smooth / (smooth**2).mean((1, 2), keepdim=True).sqrt()
    with torch.no_grad():
        for answer in (Unit(network, "layer 2", 7), Unit(network, "features", 3), Contrast(network, 1, 0)):
            found = explained.maximised(embed, answer, like, 1, explained.Ascent(steps=40))
            assert float((found**2).mean((1, 2)).sqrt().max()) <= 1 + 1e-5
            best = answer(explained.as_image(embed, found, like))
            for other in (noise, smooth):
                assert float(best.min()) > 1.2 * float(answer(explained.as_image(embed, other, like)).max())
            if isinstance(answer, Unit):  # odds know how a spectrum looks, relative to its mean
                assert float(best.min()) > float(answer(batch.x).max())


def ungated(network):
    """With features that all places have the same part in: what a layer answers, averaged."""
    found = deepcopy(network)
    torch.nn.init.ones_(found.embed.gate[0])
    return found


def test_images_that_a_unit_answers_to_most_come_first(network, batch) -> None:
    network = ungated(network)
    unit = Unit(network, "features", 5)
    with torch.no_grad():
        features, answers = network.embed(batch.x), unit(batch.x)
    assert torch.allclose(answers, features[:, network.embed.components + 5], atol=1e-5)
    best = explained.most_active(unit, batch.x, 3)
    assert answers[best].tolist() == sorted(answers.tolist(), reverse=True)[:3]
    there = explained.from_mean(network.embed, batch.x[:3])
    assert torch.allclose(explained.as_image(network.embed, there, batch.x[:3]), batch.x[:3], atol=1e-5)


def test_activations_lie_on_the_bins(network, strong) -> None:
    network = ungated(network)
    found = explained.activations(network, strong)
    assert {name: each.shape[1] for name, each in found.items()} == {"layer 1": 8, "layer 2": 16, "features": 32}
    assert all(each.shape[2:] == EXPERIMENT.measurement.shape for each in found.values())
    convolved = network.embed(strong)[:, network.embed.components :]
    assert torch.allclose(found["features"].mean((2, 3)), convolved, atol=1e-5)
    assert explained.first_filters(network).shape == (8, 5, 3, 3)
    known = explained.components(network, strong)
    away = network.embed.projections.away(strong).reshape(strong[:, 0].shape)
    summed = torch.einsum("bpe,cpe->bc", away, known)
    assert torch.allclose(summed, network.embed(strong)[:, : len(known)], atol=1e-4)


def test_a_chart_separates_rivals_and_takes_others(network, batch) -> None:
    features = explained.features_of(network, batch.x)
    chart = explained.Chart.of(features[:120], 3)
    near = torch.cdist(chart.transform(features[120:]), chart.places).topk(5, largest=False).indices
    vote = batch.rival[:120][near].float().mean(1) > 0.5
    assert float((vote == batch.rival[120:].bool()).float().mean()) > 0.9
    assert torch.equal(explained.Chart.of(features[:120], 3).places, chart.places)
    found = explained.atlas(network, batch.x[:120], chart, sides=4)
    assert int(found.count.sum()) == 120
    odds, weight = network(batch.x[:120]), found.count[:, None] / 120
    assert torch.allclose((found.odds * weight).sum(0), odds.mean(0), atol=1e-4)
    assert torch.allclose((found.images * weight[..., None, None]).sum(0), batch.x[:120].mean(0), atol=1e-4)


def test_maps_know_what_was_not_measured() -> None:
    """A grid in planes, partly measured: exact sums, nothing elsewhere, and unmeasured places do not count."""
    edges = [torch.linspace(0, 1, n + 1).double() for n in (36, 33, 1)]
    grid = Measurement(QGrid(Lattice(4.0, 4.0, 6.0), torch.eye(3), edges), torch.linspace(0, 3, 4).double(), 1.0)
    classifier = Classifier(PooledEmbedding([grid]), 3, seed=1)
    x = torch.rand(2, 3, 36 * 33, 3, generator=stream(1, "grid"))
    x[:, 2] = 1
    x[:, :, :135] = 0
    for method in METHODS:
        found = attribution(classifier, x, 2, 0, method)
        assert float(found[:, :135].abs().max()) == 0
        if method == "cam":
            odds = classifier(x)
            assert torch.allclose(found.sum((1, 2)), odds[:, 2] - odds[:, 0], atol=1e-5)


def test_groups_of_pictures_lie_side_by_side() -> None:
    """Two measurements in one row of bins, of other shapes: each place goes back to its own bins."""
    orders = [torch.arange(24).reshape(1, 4, 6), 24 + torch.arange(10).reshape(2, 1, 5)]
    shapes = [(1, 2, 3), (2, 1, 5)]
    blank = torch.zeros(1, 4, 16)
    seen = Seen(blank, blank[:, 0], blank, torch.nn.Identity(), shapes, orders)
    values = torch.arange(16.0)[None]
    valid = torch.ones(1, 34, 1, dtype=torch.bool)
    valid[0, 0] = False
    laid = seen.laid(values + 1, valid)[0, :, 0]
    assert laid[24:].tolist() == list(range(7, 17))
    assert laid[:8].tolist() == pytest.approx([0, 1 / 3, 0.5, 0.5, 0.75, 0.75, 1 / 3, 1 / 3])
    assert float(laid.sum()) == pytest.approx(sum(range(1, 17)))


def test_means_over_a_layer_are_those_of_what_was_measured() -> None:
    embed = PooledEmbedding([EXPERIMENT.measurement])
    x = torch.ones(1, 3, *EXPERIMENT.measurement.shape)
    x[:, :, 5:] = 0
    answers = torch.zeros(1, 1, 1, 10, 18)
    answers[:, :, :, :5] = 2.0
    assert float(averaged(embed, x, [answers])) == pytest.approx(2.0)


def test_networks_of_single_points_are_asked_bin_by_bin() -> None:
    q = [[h, 0, 0] for h in (0.15, 0.25, 0.35, 0.5)]
    scan = Measurement(QPoints(CHAIN.lattice, q), torch.tensor([[0.5, 1.5]]).double().expand(4, -1), 1.0)
    from sqwirrel.learn.embed import ScatteredEmbedding

    classifier = Classifier(ScatteredEmbedding(scan), 2, seed=1)
    x = torch.rand(3, 3, 4, 1, generator=stream(1, "scan"))
    x[:, 2] = 1
    score = Contrast(classifier, 0, 1)
    found = attribution(classifier, x, 0, 1, "integrated_gradients")
    with torch.no_grad():
        change = score(x) - score(usual(classifier.embed, x))
    assert torch.allclose(found.sum((1, 2)), change, atol=0.02 * float(change.abs().max()) + 1e-4)
    away = x.clone()
    away[:, :2, 2] = usual(classifier.embed, x)[:, :2, 2]
    lost = attribution(classifier, x, 0, 1, "occlusion")[:, 2, 0]
    assert torch.allclose(lost, (score(x) - score(away)).detach(), atol=1e-5)
    with pytest.raises(InputError, match="a network of single points sees no pictures"):
        attribution(classifier, x, 0, 1, "cam")


def test_what_cannot_be_asked_is_refused(network, strong) -> None:
    with pytest.raises(InputError, match="there is no method 'magic'; choose one of cam, grad_cam"):
        attribution(network, strong, 0, 1, "magic")
    with pytest.raises(InputError, match="two rivals from 0 to 1 are needed, got 1 and 1"):
        Contrast(network, 1, 1)
    with pytest.raises(InputError, match="one network is asked at a time"):
        attribution(Committee([network]), strong, 0, 1)
    with pytest.raises(InputError, match="there is no layer 'layer 9'"):
        Unit(network, "layer 9", 0)
    with pytest.raises(InputError, match="has units 0 to 31, got 32"):
        Unit(network, "features", 32)
    with pytest.raises(InputError, match="a chart needs 10 images or more, got 4"):
        explained.Chart.of(torch.rand(4, 64), 1)
    with pytest.raises(InputError, match="12 cannot be the top"):
        explained.top_overlap(torch.rand(1, 4).double(), torch.rand(1, 4).double(), torch.arange(4)[None], 12)
