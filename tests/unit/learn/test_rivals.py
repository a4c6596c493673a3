"""Contests and classifiers: nothing but the models tells rivals apart, probabilities are as sure as they are right."""

import dataclasses
import itertools

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.learn.pairs import Pairs, Simulations, simulations
from sqwirrel.learn.rivals import Classifier, Committee, Contest, Labelled, load_committee, save_committee
from sqwirrel.learn.rivals.embedding import MEDIAN, PooledEmbedding, pictures
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QGrid, QPath, QPoints

CHAIN = library.load("fm_chain")
NUISANCES = {"fwhm": {"uniform": [0.3, 0.6]}, "scale": {"loguniform": [5, 50]}, "background": {"uniform": [0.2, 1.0]}}


def chain(energies=16, points=8):
    q = torch.zeros(points, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, points)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, energies + 1), 1.0)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=Poisson()), samples=1)


EXPERIMENT = chain()


def pairs_of(low, high, seed, experiment=EXPERIMENT, **changed):
    prior = Prior.from_mapping({"J": {"uniform": [low, high]}, **NUISANCES, **changed})
    return Pairs(simulations(experiment, prior, 512, seed=seed))


@pytest.fixture(scope="module")
def contest():
    """Couplings of two rivals that overlap by a half: three of four spectra can be told."""
    return Contest.of({"strong": pairs_of(-1.8, -1.0, 1), "weak": pairs_of(-1.4, -0.6, 2)})


@pytest.fixture(scope="module")
def committee(contest):
    members = [Classifier.sized_for(contest, seed) for seed in (0, 1)]
    for k, member in enumerate(members):
        train(member, contest, Effort(steps=300, batch=64, every=50, seed=k))
        member.fit_temperature(contest, 5)
    return Committee(members)


def unseen() -> Labelled:
    """Spectra of other draws than those that were learnt from."""
    other = Contest.of({"strong": pairs_of(-1.8, -1.0, 11), "weak": pairs_of(-1.4, -0.6, 12)})
    return other.every(stream(9, "unseen"))


def test_batches_are_functions_of_seed_and_label(contest) -> None:
    one, two, other = (contest.batch(32, seed, "a") for seed in (1, 1, 2))
    assert torch.equal(one.x, two.x)
    assert torch.equal(one.rival, two.rival)
    assert not torch.equal(one.x, other.x)
    first, last = contest.split(100)
    assert len(last) == 100
    assert len(first) == len(contest) - 100


def test_images_belong_to_their_rivals(contest) -> None:
    """The mean energy of a spectrum says which coupling made it."""
    batch = contest.every(stream(3, "every"))
    energy = EXPERIMENT.measurement.energy_centres.float()
    counts = ((batch.x[:, 0] / 2) ** 2).sum(1)
    mean = (counts * energy).sum(1) / counts.sum(1)
    assert float(mean[batch.rival == 0].mean()) > float(mean[batch.rival == 1].mean()) + 0.3
    assert batch.rival.bincount().tolist() == [len(contest) // 2] * 2


def test_total_intensity_stability_and_number_of_modes_tell_nothing() -> None:
    """Rivals of which one is twice as bright and half as often stable: the total says nothing about them."""
    bright = EXPERIMENT.model.g * 2**0.5
    brighter = Experiment(
        dataclasses.replace(CHAIN, g=bright), EXPERIMENT.measurement, EXPERIMENT.instrument, samples=1
    )
    half = Pairs(simulations(brighter, Prior.from_mapping({"J": {"uniform": [-1.4, 1.4]}, **NUISANCES}), 512, seed=2))
    assert half.simulations.stable == pytest.approx(0.5, abs=0.06)
    contest = Contest.of({"one": pairs_of(-1.4, 0.0, 1), "other": half})
    batch = contest.every(stream(3, "every"))
    total = ((batch.x[:, 0] / 2) ** 2 - 0.375).sum((1, 2)).log()
    one, other = (total[batch.rival == k] for k in (0, 1))
    for split in (0.25, 0.5, 0.75):
        at = total.quantile(split)
        share = float((one < at).float().mean() - (other < at).float().mean())
        assert abs(share) < 4 * (2 * split * (1 - split) / len(one)) ** 0.5
    means = [p.simulations.signal.mean((1, 2)) for p in contest.pairs.values()]
    assert torch.allclose(means[0].mean(), torch.cat(means), rtol=1e-4)


def test_probabilities_are_right_as_often_as_they_say(committee) -> None:
    """Where couplings overlap one of two is right; outside the better one always is: 75 % in all is the most."""
    batch = unseen()
    p = committee.probability(batch.x)
    right = (p.argmax(1) == batch.rival).double()
    assert 0.68 < float(right.mean()) < 0.80
    sure = p.amax(1)
    gap, bins = 0.0, torch.linspace(0.5, 1.0, 6).double()
    for low, high in itertools.pairwise(bins):
        here = (sure >= low) & (sure < high + (high == 1))
        if bool(here.any()):
            gap += float(here.double().mean()) * abs(float(right[here].mean() - sure[here].mean()))
    assert gap < 0.09  # 1024 spectra in five bins scatter by .03, and 102 simulations say the temperature
    assert float(right[sure > 0.95].mean()) > 0.93


def test_a_committee_disagrees_most_on_what_it_has_not_seen(committee) -> None:
    batch = unseen()
    usual = committee.disagreement(batch.x)
    assert float(usual.min()) > -1e-9
    assert float(usual.max()) < 0.7
    p = committee.probability(batch.x)
    assert torch.allclose(p.sum(1), torch.ones(len(p)).double())


def test_the_temperature_makes_an_overconfident_network_modest(committee, contest) -> None:
    member = Classifier.sized_for(contest, 0)
    member.load_state_dict(committee.members[0].state_dict())
    for layer in (member.head.base, member.head.turn):
        layer.weight.data *= 5
        layer.bias.data *= 5
    before = float(member.temperature)
    member.fit_temperature(contest, 5)
    assert float(member.temperature) == pytest.approx(5 * before, rel=0.01)


def test_the_decision_is_a_sum_over_places(committee) -> None:
    """The class activation map sums up to the log odds, but for the offset of the last layer."""
    batch = unseen()
    x, member = batch.x[:8], committee.members[0]
    ((features, share),) = member.embed.at(x)
    weight, known = member.head.weight(member.embed(x)), member.embed.projections
    n = member.embed.components
    by_bin = torch.einsum("brf,nf,bn->brn", weight[..., :n], known.axes, known.away(x))
    by_place = torch.einsum("brf,bpfhw->brphw", weight[..., n:], features) * share[:, None]
    found = by_bin.sum(2) + by_place.sum((2, 3, 4)) + member.head.base.bias
    assert torch.allclose(found, member(x) * member.temperature, atol=1e-4)
    assert float(weight.detach().std(0).max()) > 0.01  # the image says how features are weighed


def test_components_that_noise_hides_are_small(contest) -> None:
    """Those of variance 1 at most, the less the more of them is noise."""
    batches = [contest.batch(256, 3, f"fitted {k}") for k in range(2)]
    embed = PooledEmbedding([EXPERIMENT.measurement], [True])
    embed.fit_components((batch.clean, batch.x) for batch in batches)
    clean, noisy = (
        torch.cat([embed.projections(getattr(batch, name)) for batch in batches]) for name in ("clean", "x")
    )
    told, seen = clean.var(0), noisy.square().median(0).values / MEDIAN
    assert float(seen.max()) < 1.1
    assert float(told[-1]) < 0.1 * float(told[0])
    assert torch.allclose(clean.T @ clean, torch.diag((clean**2).sum(0)), atol=0.02 * len(clean))


def test_unmeasured_places_do_not_count() -> None:
    embed = PooledEmbedding([EXPERIMENT.measurement])
    x = torch.rand(2, 3, 8, 16)
    x[:, 2] = 1
    x[:, :, :4] = 0
    share = embed.at(x)[0].share
    assert float(share.sum()) == pytest.approx(2, rel=1e-5)
    assert float(share[:, :, : share.shape[2] // 2 - 1].abs().max()) == 0


def test_pictures_of_a_grid_are_along_its_longest_axes() -> None:
    lattice = Lattice(4.0, 4.0, 6.0)
    edges = [torch.linspace(0, 1, 9), torch.linspace(0, 1, 7), torch.tensor([-1.0, 1.0])]
    grid = Measurement(QGrid(lattice, torch.eye(3), edges), torch.linspace(0, 3, 4), 1.0)
    (order,) = pictures([grid])
    assert order.shape == (3, 8, 6)
    assert order[2, 0].tolist() == [2, 5, 8, 11, 14, 17]
    assert sorted(order.flatten().tolist()) == list(range(8 * 6 * 3))
    assert pictures([EXPERIMENT.measurement])[0].shape == (1, 8, 16)


def test_scattered_points_are_told_apart_too() -> None:
    q = [[h, 0, 0] for h in (0.15, 0.25, 0.35, 0.5) for _ in range(8)]
    energy = torch.linspace(0.5, 7.5, 8).double().repeat(4)
    scan = Measurement(QPoints(CHAIN.lattice, q), energy[:, None].expand(-1, 2), 1.0)
    experiment = Experiment(CHAIN, scan, Instrument(GaussianResolution(), counting=Poisson()), samples=1)
    contest = Contest.of({"a": pairs_of(-1.8, -1.4, 1, experiment), "b": pairs_of(-1.0, -0.6, 2, experiment)})
    network = Classifier.sized_for(contest)
    train(network, contest, Effort(steps=200, batch=64, every=50))
    batch = contest.split(200)[1].every(stream(4, "held"))
    assert float((network(batch.x).argmax(1) == batch.rival).float().mean()) > 0.9


def test_unfair_contests_are_refused() -> None:
    one = pairs_of(-1.8, -1.0, 1)
    with pytest.raises(InputError, match="a choice needs two models or more"):
        Contest.of({"one": one})
    with pytest.raises(InputError, match="the priors of 'scale' differ"):
        Contest.of({"one": one, "other": pairs_of(-1.4, -0.6, 2, scale={"loguniform": [10, 100]})})
    with pytest.raises(InputError, match="lie on other bins"):
        Contest.of({"one": one, "other": pairs_of(-1.4, -0.6, 2, chain(energies=12))})


def nothing_of(low, high, seed, experiment=EXPERIMENT):
    """Pairs that only say what they would be of."""
    prior = Prior.from_mapping({"J": {"uniform": [low, high]}, **NUISANCES})
    return Pairs(Simulations.none(experiment, prior, seed))


def test_a_committee_is_kept_and_only_given_to_the_same_rivals(tmp_path, contest, committee) -> None:
    save_committee(tmp_path, committee, contest, Record.start())
    rivals = {"strong": nothing_of(-1.8, -1.0, 1), "weak": nothing_of(-1.4, -0.6, 2)}
    known, again = load_committee(tmp_path, rivals)
    x = unseen().x
    assert torch.equal(known.logs(x), committee.logs(x))
    assert torch.equal(again.batch(9, 1, "x").x, contest.batch(9, 1, "x").x)
    assert not any(each.requires_grad for each in known.parameters())
    with pytest.raises(
        InputError, match=r"tells \['strong', 'weak'\] apart, not \['weak', 'strong'\]; train one for these"
    ):
        load_committee(tmp_path, dict(reversed(rivals.items())))
    with pytest.raises(InputError, match=r"another prior \(J: .*\) of 'weak'; train one for these"):
        load_committee(tmp_path, rivals | {"weak": nothing_of(-1.2, -0.6, 2)})
    with pytest.raises(InputError, match=r"was trained with .* of 'strong'; train one for these"):
        load_committee(tmp_path, {"strong": nothing_of(-1.8, -1.0, 1, chain(17)), "weak": rivals["weak"]})
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights\.safetensors is missing"):
        load_committee(tmp_path, rivals)
