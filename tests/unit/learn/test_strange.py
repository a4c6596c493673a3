"""How unlike anything simulated some data are: every score on a toy of two rivals, and what a denoiser makes of it."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.learn.embed import FEATURES
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.rivals import Classifier, Committee, Contest
from sqwirrel.learn.rivals.centroids import Centroids
from sqwirrel.learn.rivals.embedding import pictures
from sqwirrel.learn.strange import Components, Denoiser, Familiar, Gaps, auroc, like_any
from sqwirrel.learn.strange.familiar import Levelled
from sqwirrel.learn.strange.pixels import beyond_noise, brightness, noisier, squares
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QPath, QPoints, Spectrum

CHAIN = library.load("fm_chain")
NUISANCES = {
    "fwhm": {"uniform": [0.3, 0.6]},
    "scale": {"loguniform": [20, 2000]},
    "background": {"uniform": [0.2, 1.0]},
}
SHAPE = (8, 16)
VALID = torch.ones(SHAPE, dtype=torch.bool)
VALID[2:4, 3:6] = False
VALID[:, 13] = False


def chain(temperature=1.0, model=CHAIN, along=0):
    q = torch.zeros(SHAPE[0], 3).double()
    q[:, along] = torch.linspace(0.05, 0.5, SHAPE[0])
    where = Measurement(QPath(model.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, SHAPE[1] + 1), temperature)
    return Experiment(model, where, Instrument(GaussianResolution(), counting=Poisson()), samples=1)


LIKE = Spectrum.from_arrays(
    torch.ones(SHAPE).double(), torch.ones(SHAPE).double(), chain().measurement, valid=VALID, is_counts=True
)
PLANES = pictures([chain().measurement])


def pairs_of(low, high, seed, experiment=None, name="J", rows=512):
    experiment = chain() if experiment is None else experiment
    return Pairs(
        simulations(experiment, Prior.from_mapping({name: {"uniform": [low, high]}, **NUISANCES}), rows, seed), LIKE
    )


@pytest.fixture(scope="module")
def contest():
    return Contest.of({"strong": pairs_of(-1.8, -1.0, 1), "weak": pairs_of(-1.4, -0.6, 2)})


@pytest.fixture(scope="module")
def committee(contest):
    member = Classifier.sized_for(contest)
    train(member, contest, Effort(steps=160, batch=64, every=40))
    return Committee([member])


@pytest.fixture(scope="module")
def denoiser(contest):
    network = Denoiser.sized_for(contest, [chain().measurement], Gaps(pixels=0.2, blocks=0.2))
    train(network, contest, Effort(steps=240, batch=64, every=60))
    return network


@pytest.fixture(scope="module")
def familiar(committee, contest, denoiser):
    return like_any(committee, contest, denoiser)


@pytest.fixture(scope="module")
def unseen():
    """Images of other draws than those that were learnt from."""
    other = Contest.of({"strong": pairs_of(-1.8, -1.0, 11), "weak": pairs_of(-1.4, -0.6, 12)})
    return other.every(stream(9, "unseen"))


def test_restored_images_hold_what_few_numbers_do_not(denoiser, contest, unseen):
    """In units of the noise: as good as the denoised ones where noise rules, better where these are worst."""
    left = denoiser.left(contest)
    images = {"noisy": unseen.x[:, 0], "made": denoiser.denoised(unseen.x), "both": denoiser.restored(unseen.x, left)}
    weight = torch.exp(-unseen.x[:, 1]) * unseen.x[:, 2]
    error = {name: (((x - unseen.clean[:, 0]) * weight) ** 2).mean((1, 2)) for name, x in images.items()}
    worst = error["made"].argsort()[-50:]
    assert float(error["both"].mean()) < 0.25 * float(error["noisy"].mean())
    assert float(error["both"].mean()) < 1.1 * float(error["made"].mean())
    assert float(error["both"][worst].mean()) < 0.97 * float(error["made"][worst].mean())
    hidden = unseen.x[:, 2] == 0
    assert torch.equal(images["both"][hidden], images["made"][hidden])


def with_level(x, level):
    return torch.stack((torch.where(x[:, 2] > 0, level, 0.0), x[:, 1], x[:, 2]), dim=1)


def drawn(pairs):
    return pairs.every(stream(7, "other")).x


def strange_ones(x):
    """Images unlike all of the rivals."""
    generator = stream(3, "strange")
    counts = (x[:, 0] / 2) ** 2 - 0.375
    mean = (counts * x[:, 2]).sum((1, 2), keepdim=True) / x[:, 2].sum((1, 2), keepdim=True)
    places = VALID.flatten().nonzero()[:, 0]
    scrambled = x[:, 0].flatten(1).clone()
    scrambled[:, places] = scrambled[:, places[torch.randperm(len(places), generator=generator)]]
    half = x[:, 0].clone()
    half[:, 4:] = 2 * 0.375**0.5
    spiral = chain(model=library.load("dm_chain"), along=2)
    return {
        "noise alone": with_level(
            x, 2 * (torch.poisson(mean.clamp(min=0).expand(-1, *SHAPE), generator) + 0.375).sqrt()
        ),
        "scrambled": with_level(x, scrambled.unflatten(1, SHAPE)),
        "half without counts": with_level(x, half),
        "another model": drawn(pairs_of(0.6, 1.8, 21, spiral, "D")),
        "another temperature": drawn(pairs_of(-1.8, -0.6, 22, chain(temperature=30.0))),
        "couplings beyond the priors": drawn(pairs_of(-3.0, -2.2, 23)),
    }


def error(guess, batch, valid=None):
    valid = batch.x[:, 2] if valid is None else valid
    return float((((guess - batch.clean[:, 0]) ** 2 * valid).sum((1, 2)) / valid.sum((1, 2))).mean())


def test_the_denoiser_is_nearer_to_the_truth_than_components_and_than_the_best_linear_guess(
    contest, denoiser, unseen
) -> None:
    components = Components.of(contest.batch(1024, 5, "components").x, PLANES)
    untrained = Denoiser.sized_for(contest, [chain().measurement])
    found = error(denoiser.denoised(unseen.x), unseen)
    assert found < 0.2 * error(unseen.x[:, 0], unseen)
    assert found < 0.7 * error(components.denoised(unseen.x), unseen)
    assert found < 0.95 * error(untrained.denoised(unseen.x), unseen)
    assert error(components.denoised(unseen.x), unseen) < 0.5 * error(unseen.x[:, 0], unseen)


def test_the_denoiser_fills_gaps(denoiser, unseen) -> None:
    """Bins that it does not see are nearer to the truth than their own noise is."""
    cut = Gaps(pixels=0.3, blocks=0.5).cut(unseen.x, PLANES)
    lost = unseen.x[:, 2] - cut[:, 2]
    assert 0.1 < float(lost.sum() / unseen.x[:, 2].sum()) < 0.3
    some = lost.sum((1, 2)) > 0
    batch = unseen._replace(x=unseen.x[some], clean=unseen.clean[some])
    assert error(denoiser.denoised(cut[some]), batch, lost[some]) < 0.8 * error(batch.x[:, 0], batch, lost[some])


def test_gaps_are_a_function_of_the_images(unseen) -> None:
    gaps = Gaps(pixels=0.3, blocks=0.5)
    one, two = gaps.cut(unseen.x, PLANES), gaps.cut(unseen.x, PLANES)
    assert torch.equal(one, two)
    assert bool((one[:, :2][(one[:, 2:] == 0).expand(-1, 2, -1, -1)] == 0).all())
    assert Gaps().cut(unseen.x, PLANES) is unseen.x
    with pytest.raises(InputError, match="a share of pixels below 1"):
        Gaps(pixels=1.0)


def test_what_was_not_measured_does_not_count(familiar, unseen) -> None:
    x = unseen.x[:64]
    filled = torch.where(x[:, 2:3] > 0, x, torch.tensor([7.0, 3.0, 0.0])[:, None, None])
    assert torch.equal(familiar.far(filled), familiar.far(x))


def test_components_of_another_coverage_are_least_squares(contest, unseen) -> None:
    components = Components.of(contest.batch(1024, 5, "components").x, PLANES)
    made = (components.mean + torch.randn(4, 32, generator=stream(1, "a")) @ components.axes.T).unflatten(1, SHAPE)
    x = with_level(unseen.x[:4], made)
    x[:2, :, 6] = 0
    assert torch.allclose(components.denoised(x) * VALID, made * VALID, atol=1e-2)
    assert float(components.rest(x).max()) < 1e-6


def test_strange_images_are_told(familiar, unseen) -> None:
    """Areas under the curve of each score, and of the worst (with networks before they saw components):

    | | features | components | centroids | autoencoder | worst |
    |---|---|---|---|---|---|
    | noise alone | 1.000 | .660 | .941 | .985 | .997 |
    | scrambled | 1.000 | .999 | .753 | 1.000 | .998 |
    | half without counts | 1.000 | .988 | .718 | 1.000 | .998 |
    | another model | 1.000 | 1.000 | 1.000 | 1.000 | .998 |
    | another temperature | .825 | .992 | .534 | 1.000 | .998 |
    | couplings beyond the priors | 1.000 | .979 | .221 | .997 | .997 |

    The worst of all is a rank among 1024 images, and cannot be better than .998. At 1 % it calls 98 % or more of each
    kind strange. The centroids alone are no judge: features that lie beyond a rival on its own side look certain.
    """
    usual, inside = familiar.likelier(unseen.x), familiar.far(unseen.x)
    assert 0.02 < float((usual < 0.05).double().mean()) < 0.09
    for name, share in familiar.each(unseen.x).items():
        assert 0.02 < float((share < 0.05).double().mean()) < 0.09, name
    sharp = familiar.names.index("autoencoder")
    for name, x in strange_ones(unseen.x).items():
        far, likelier = familiar.far(x), familiar.likelier(x)
        assert auroc(-usual, -likelier) > 0.99, name
        assert auroc(inside[:, sharp], far[:, sharp]) > 0.97, name
        assert float((likelier < 0.05).double().mean()) > 0.98, name


def test_noise_that_is_a_little_more_than_stated_is_not_strange(familiar, denoiser, unseen) -> None:
    """Variances a fifth larger than stated: by the plain square of what the denoiser leaves 35 % of the images are
    strange, by all scores together 6 %.
    """
    more = 0.2**0.5 * torch.randn(unseen.x[:, 0].shape, generator=stream(4, "more"))
    x = with_level(unseen.x, unseen.x[:, 0] + more)
    assert float((familiar.likelier(x) < 0.05).double().mean()) < 0.12
    plain = Familiar.of({"plain": lambda each: squares(each, denoiser.denoised(each)).double()}, unseen.x)
    assert float((plain.likelier(x) < 0.05).double().mean()) > 0.25


def test_noise_alone_is_explained_and_structure_is_not() -> None:
    """Von Neumann's ratio is 1 for white noise of any size within the tolerance, more for what extends over bins."""
    x = torch.zeros(600, 3, 20, 20)
    x[:, 2] = 1
    white = torch.randn(600, 20, 20, generator=stream(1, "white"))
    planes = [torch.arange(400).reshape(1, 20, 20)]
    zero = torch.zeros(600, 20, 20)
    for size in (0.6, 1.0, 1.2):
        assert float(beyond_noise(with_level(x, size * white), zero, planes).mean()) == pytest.approx(1, abs=0.03)
    assert float(beyond_noise(with_level(x, 3 * white), zero, planes).mean()) == pytest.approx(9 / 1.5, rel=0.02)
    wave = torch.linspace(0, 6, 20).sin()[:, None]
    assert float(beyond_noise(with_level(x, white + wave), zero, planes).mean()) == pytest.approx(1.5, abs=0.1)
    rough = noisier(with_level(x, white), stream(2, "rough"))
    assert float(squares(rough, zero).mean()) == pytest.approx(1.25, abs=0.03)


def test_a_levelled_score_is_as_usual_for_bright_images_as_for_dim_ones() -> None:
    generator = stream(1, "levels")
    x = torch.zeros(2000, 3, 4, 4)
    x[:, 2] = 1
    x[:, 0] = (5 * torch.rand(2000, 1, 1, generator=generator)).exp() * torch.ones(4, 4)
    size = torch.rand(2000, generator=generator).double() + 0.5

    def score(each):
        return brightness(each).double() ** 1.5 * size[: len(each)]

    found = Levelled.of(score, x)(x[:512])
    order = brightness(x[:512]).argsort()
    dim, bright = found[order[:256]], found[order[256:]]
    assert float(dim.mean() - bright.mean()) == pytest.approx(0, abs=0.3)
    assert float(dim.std() / bright.std()) == pytest.approx(1, abs=0.15)


def test_the_area_counts_ties_half() -> None:
    assert auroc(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])) == 1
    assert auroc(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 0.0])) == pytest.approx((1.5 + 0) / 4)
    one, other = torch.randint(5, (2, 40), generator=stream(1, "ties")).double()
    pairs = (other[None] > one[:, None]).double() + 0.5 * (other[None] == one[:, None]).double()
    assert auroc(one, other) == pytest.approx(float(pairs.mean()))


def test_centroids_move_with_the_features_when_they_are_trained(contest) -> None:
    member = Classifier.sized_for(contest)
    batch = contest.batch(64, 1, "a")
    member.loss("centroids", batch)
    before = member.centroids.places.clone()
    with torch.no_grad():
        member.loss("centroids", contest.batch(64, 1, "b"))
    assert torch.equal(member.centroids.places, before)
    train(member, contest, Effort(steps=20, batch=32, every=10))
    moved = (member.centroids.places - before).norm(dim=1)
    assert float(moved.min()) > 0.1 * float(before.norm(dim=1).mean())
    apart = {name: {id(each) for each in player.parameters()} for name, player in member.players.items()}
    assert not apart["classifier"] & apart["centroids"]
    member.zero_grad()
    torch.autograd.backward(member.loss("centroids", batch))
    assert all(each.grad is None for each in member.players["classifier"].parameters())


def test_centroids_follow_the_mean_of_their_own_rivals() -> None:
    centroids = Centroids(2, FEATURES)
    generator = stream(1, "features")
    rival = torch.randint(2, (400,), generator=generator)
    features = torch.randn(400, 64, generator=generator) + 3.0 * rival[:, None]
    centroids.follow(features, torch.nn.functional.one_hot(rival, 2).float())
    even = (features - centroids.mean) / centroids.spread
    wanted = torch.stack([even[rival == k].mean(0) @ centroids.weight[k] for k in (0, 1)])
    centroids.follow(features, torch.nn.functional.one_hot(rival, 2).float())
    assert torch.allclose(centroids.places, wanted, atol=1e-3)


def test_far_from_all_centroids_nothing_is_certain(committee, unseen) -> None:
    """A strange image can be certain, where it has the features of a rival: .76 for usual images, .57 for another model."""
    (member,) = committee.members
    usual, strange = member.certainty(unseen.x).amax(1), strange_ones(unseen.x)
    assert float(usual.mean()) > 0.6
    for name in ("another model", "noise alone"):
        assert float(member.certainty(strange[name]).amax(1).mean()) < 0.85 * float(usual.mean())
    with torch.no_grad():
        far = member.head.context(10 * member.features(unseen.x))
        assert float(member.centroids(far).amax(1).mean()) < 0.1 * float(usual.mean())


def test_an_interrupted_training_of_both_players_ends_with_the_same_centroids(contest, tmp_path) -> None:
    effort = Effort(steps=12, batch=16, every=4)
    whole, again = Classifier.sized_for(contest), Classifier.sized_for(contest)
    train(whole, contest, effort)

    def stop(step, *_):
        if step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(again, contest, effort, tmp_path, stop)
    resumed = Classifier.sized_for(contest, seed=7)
    train(resumed, contest, effort, tmp_path)
    for name, weight in whole.state_dict().items():
        if "embed.mean" not in name:
            assert torch.equal(weight, resumed.state_dict()[name]), name


def test_several_planes_of_other_shapes_and_scattered_points_have_denoisers() -> None:
    planes = [torch.arange(3 * 35).reshape(3, 5, 7), 105 + torch.arange(2 * 180).reshape(2, 9, 20)]
    network = Denoiser(planes, Gaps(0.1, 0.5))
    x = torch.rand(4, 3, 105 + 360, 1)
    x[:, 2] = 1
    assert network(x).shape == (4, 465, 1)
    scan = Measurement(
        QPoints(CHAIN.lattice, torch.rand(12, 3).double()),
        torch.linspace(0, 4, 12)[:, None].expand(-1, 2).double(),
        1.0,
    )
    assert Denoiser(pictures([scan])).score(torch.ones(2, 3, 12, 1)).shape == (2,)
