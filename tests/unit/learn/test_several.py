"""Several measurements are one image: simulations, pairs, networks and contests of a joint experiment."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Settings, infer
from sqwirrel.learn import checkpoint
from sqwirrel.learn.npe import NPE
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.parts import apart, in_a_row
from sqwirrel.learn.proposal import Proposal
from sqwirrel.learn.rivals import Classifier, Contest
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, GaussianResolution, Instrument, Joint, PeakExperiment, Poisson
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, Peaks, QPath, Spectrum

CHAIN = library.load("fm_chain")
PRIOR = {
    "J": {"uniform": [-1.8, -0.6]},
    "fwhm_cold": {"uniform": [0.3, 0.6]},
    "fwhm_warm": {"uniform": [0.3, 0.6]},
    "scale": {"loguniform": [20, 80]},
    "background_cold": {"uniform": [0.2, 1.0]},
    "background_warm": {"uniform": [1.0, 2.0]},
}


def chain(points=8, energies=16, temperature=1.0, counting=Poisson):
    q = torch.zeros(points, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, points)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, energies + 1), temperature)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=counting()), samples=1)


def joint(counting=Poisson):
    parts = {"cold": chain(counting=counting), "warm": chain(6, 20, 20.0, counting)}
    return Joint(parts, shared=["scale"])


def prior(**changed):
    return Prior.from_mapping({**PRIOR, **changed})


@pytest.fixture(scope="module")
def pairs():
    return Pairs(simulations(joint(), prior(), 512, seed=1))


def test_an_image_has_the_bins_of_both(pairs) -> None:
    batch = pairs.batch(3, 1, "a")
    assert batch.x.shape == (3, 3, 8 * 16 + 6 * 20, 1)
    pieces = apart(batch.x, pairs.measurements)
    assert [tuple(piece.shape[2:]) for piece in pieces] == [(8, 16), (6, 20)]
    assert torch.equal(in_a_row(pieces), batch.x)


def test_expectations_are_those_of_each_experiment(pairs) -> None:
    simulator = pairs.simulations.simulator
    theta, expected = pairs.redrawn(torch.arange(4), stream(2, "a"))
    full = theta[:, [pairs.prior.names.index(name) for name in simulator.names]]
    for label, piece in zip(simulator.experiments, apart(expected, pairs.measurements), strict=True):
        right = simulator.experiments[label].predict(simulator.rows(label, full)).expected
        assert torch.allclose(piece, right, rtol=1e-5, atol=1e-5)


def test_clean_images_are_what_noisy_ones_scatter_round(pairs) -> None:
    batch = pairs.noisy(torch.zeros(1, dtype=torch.long).expand(400), stream(3, "a"))
    away = (batch.x[:, 0] - batch.clean[:, 0]).double()
    assert float(away.mean().abs()) < 0.2  # roots of few counts are a little low on average
    assert float(away.std()) == pytest.approx(0.9, abs=0.15)


def test_reduced_data_take_errors_of_every_measurement() -> None:
    simulator = joint(Gaussian)
    like = {
        label: Spectrum.from_arrays(
            torch.ones(each.measurement.shape).double(),
            torch.full(each.measurement.shape, 0.1 * k).double(),
            each.measurement,
        )
        for k, (label, each) in enumerate(simulator.experiments.items(), 1)
    }
    kept = simulations(simulator, prior(), 8, seed=1)
    error = apart(Pairs(kept, like).bins[1], Pairs(kept, like).measurements)
    assert [float(each.mean()) for each in error] == pytest.approx([0.1, 0.2], rel=0.2)
    with pytest.raises(InputError, match="no spectrum called 'warm'"):
        Pairs(kept, {"cold": like["cold"]}).batch(1, 1, "a")


def test_a_network_proposes_for_both(pairs, tmp_path) -> None:
    network = NPE.sized_for(pairs)
    train(network, pairs, Effort(steps=150, batch=64, every=50))
    truth = torch.tensor([[-1.2, *[{"scale": 40.0}.get(name, 0.5) for name in pairs.prior.names[1:]]]]).double()
    truth[:, pairs.prior.names.index("background_warm")] = 1.5
    simulator, data = joint(), {}
    full = truth[:, [pairs.prior.names.index(name) for name in simulator.names]]
    for k, (label, each) in enumerate(simulator.experiments.items()):
        expected = each.predict(simulator.rows(label, full)).expected[0]
        counts = torch.poisson(expected, generator=stream(5, f"{k}"))
        data[label] = Spectrum.from_arrays(counts, counts.sqrt(), each.measurement, is_counts=True)
    proposal = Proposal.of(network, pairs)
    assert float((proposal.draws(data, 200, 1)[:, 0] + 1.2).abs().mean()) < 0.15
    assert proposal.likelier(data) > 0.01
    posterior = infer(simulator, prior(), data, Settings(draws=100, screen=32, starts=2), proposal=proposal)
    assert float(posterior.summary()[0].median) == pytest.approx(-1.2, abs=0.05)
    checkpoint.save(tmp_path, network, pairs, Record.start(seeds={}))
    assert isinstance(checkpoint.load(tmp_path, pairs), NPE)


def test_a_network_for_other_conditions_of_one_of_them_is_refused(pairs, tmp_path) -> None:
    checkpoint.save(tmp_path, NPE.sized_for(pairs), pairs, Record.start(seeds={}))
    other = Joint({"cold": chain(), "warm": chain(6, 20, 30.0)}, shared=["scale"])
    with pytest.raises(InputError, match=r"another temperature \(warm\) \(20 K, now 30 K\)"):
        checkpoint.load(tmp_path, Pairs(simulations(other, prior(), 8, seed=1)))


def test_peaks_are_refused() -> None:
    table = Peaks(CHAIN.lattice, [[0.2, 0, 0]], [2.0], [0.1])
    both = Joint({"cold": chain(), "dots": PeakExperiment(CHAIN, table)})
    with pytest.raises(InputError, match="'dots' are peaks"):
        Pairs(simulations(both, prior(), 8, seed=1))


def test_a_classifier_sees_planes_of_both(pairs) -> None:
    weak = Pairs(simulations(joint(), prior(J={"uniform": [-0.9, -0.3]}), 512, seed=2))
    contest = Contest.of({"all": pairs, "weak": weak})
    network = Classifier.sized_for(contest)
    assert [tuple(group.shape) for group in network.embed.groups] == [(1, 8, 16), (1, 6, 20)]
    judged = contest.batch(256, 1, "judged")
    train(network, contest, Effort(steps=100, batch=64, every=50))
    with torch.no_grad():
        right = (network(judged.x).argmax(1) == judged.rival).double().mean()
    assert float(right) > 0.8  # three of four can be told
    share = sum(each.share.sum((1, 2, 3)) for each in network.embed.at(contest.batch(4, 1, "a").x))
    assert torch.allclose(share, torch.ones(4))


def test_measurements_that_share_a_scale_are_levelled_together(pairs) -> None:
    """Their ratio of intensities is what the model says; with a scale of each they are levelled apart."""
    contest = Contest.of({"one": pairs, "two": Pairs(simulations(joint(), prior(), 256, seed=3))})
    one = contest.pairs["two"].simulations.signal
    cold, warm = (piece.sum((1, 2)) for piece in apart(one, pairs.measurements))
    assert torch.allclose((cold + warm) / (cold + warm).mean(), torch.ones(len(cold)), rtol=1e-4)
    assert float((cold / cold.mean()).std()) > 0.01
