"""From simulations to an estimator: pairs, store, embeddings, flow, training, checkpoints, proposals."""

import json
import math

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.learn import checkpoint, store
from sqwirrel.learn.embed import FEATURES, MapEmbedding, ScatteredEmbedding, embedding
from sqwirrel.learn.npe import NPE, Ensemble, Regressor
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.proposal import Proposal
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, GaussianResolution, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QGrid, QPath, QPoints, QShells, Spectrum

CHAIN = library.load("fm_chain")
WIDTH = {"uniform": [0.2, 0.6]}
PRIOR = {
    "J": {"uniform": [-2.0, -0.5]},
    "fwhm": WIDTH,
    "scale": {"loguniform": [20.0, 200.0]},
    "background": {"uniform": [0.5, 2.0]},
}


def path(counting=Poisson, energies=24, points=16):
    q = torch.zeros(points, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, points)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, energies + 1), 1.0)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=counting()), samples=1)


def prior(**changed):
    return Prior.from_mapping({**PRIOR, **changed})


@pytest.fixture(scope="module")
def pairs():
    return Pairs(simulations(path(), prior(), 512, seed=1))


def test_simulations_are_a_function_of_the_seed() -> None:
    one, two, other = (simulations(path(), prior(), 10, seed) for seed in (1, 1, 2))
    assert torch.equal(one.signal, two.signal)
    assert not torch.equal(one.theta, other.theta)


def test_signals_are_those_of_the_experiment(pairs) -> None:
    kept = pairs.simulations
    experiment = kept.experiment
    with torch.no_grad():
        right = experiment.signal(kept.theta[:3]).expected
    assert torch.allclose(kept.signal[:3].double(), right, rtol=1e-6, atol=1e-6)


def test_draws_with_an_unstable_order_are_left_out() -> None:
    """The ferromagnet is stable for J < 0 only."""
    both = simulations(path(), prior(J={"uniform": [-1.0, 1.0]}), 100, seed=3)
    assert len(both) >= 100
    assert bool((both.theta[:, 0] < 0).all())


def test_a_prior_that_is_never_stable_is_refused() -> None:
    with pytest.raises(InputError, match="stable for 0 of"):
        simulations(path(), prior(J={"uniform": [0.5, 1.0]}), 100, seed=3)


def test_an_interrupted_store_goes_on_to_the_same_numbers(tmp_path) -> None:
    whole = simulations(path(), prior(), 600, seed=1, folder=tmp_path / "a")
    calls = []

    def stop(done, total):
        calls.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulations(path(), prior(), 600, seed=1, folder=tmp_path / "b", progress=stop)
    assert len(list((tmp_path / "b").glob("shard-*"))) == 1
    again = simulations(path(), prior(), 600, seed=1, folder=tmp_path / "b")
    assert torch.equal(whole.signal, again.signal)
    assert calls == [(256, 600)]


def test_a_damaged_shard_is_made_again(tmp_path) -> None:
    first = simulations(path(), prior(), 300, seed=1, folder=tmp_path)
    file = tmp_path / "shard-00001.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 255
    file.write_bytes(bytes(content))
    assert store.read_shard(file) is None
    assert torch.equal(simulations(path(), prior(), 300, seed=1, folder=tmp_path).signal, first.signal)
    assert store.read_shard(file) is not None


def test_a_folder_of_other_simulations_is_refused(tmp_path) -> None:
    simulations(path(), prior(), 10, seed=1, folder=tmp_path)
    with pytest.raises(InputError, match="another seed"):
        simulations(path(), prior(), 10, seed=2, folder=tmp_path)
    with pytest.raises(InputError, match="another prior"):
        simulations(path(), prior(fwhm={"uniform": [0.2, 0.9]}), 10, seed=1, folder=tmp_path)


def test_batches_are_fresh_and_reproducible(pairs) -> None:
    one, same, other = (pairs.batch(8, 1, label) for label in ("step 1", "step 1", "step 2"))
    assert torch.equal(one.x, same.x)
    assert not torch.equal(one.x, other.x)
    assert one.x.dtype == one.z.dtype == torch.float32


def test_the_same_simulation_gets_another_scale_each_time(pairs) -> None:
    rows = torch.zeros(2000, dtype=torch.long)
    theta = pairs.prior.constrain(pairs.noisy(rows, stream(1, "a")).z.double())
    J, scale = theta[:, 0], theta[:, 2]
    assert float(J.std()) < 1e-6
    assert float(scale.log().mean()) == pytest.approx(math.log(20 * 200) / 2, abs=0.05)


def test_noise_has_the_law_of_the_counting() -> None:
    """The root of counts has variance 1, where there are some."""
    rows = torch.zeros(400, dtype=torch.long)
    fixed = Pairs(simulations(path(), prior(scale={"fixed": 400.0}, background={"fixed": 20.0}), 5, seed=1))
    level = fixed.noisy(rows, stream(1, "a")).x[:, 0]
    assert float(level.var(0).mean()) == pytest.approx(1.0, abs=0.05)


def reduced(valid=None):
    experiment = path(Gaussian)
    shape = experiment.measurement.shape
    error = torch.full(shape, 0.5).double()
    return Spectrum.from_arrays(torch.ones(shape).double(), error, experiment.measurement, valid=valid)


def test_reduced_data_need_the_errors_of_a_measurement() -> None:
    made = simulations(path(Gaussian), prior(), 10, seed=1)
    with pytest.raises(InputError, match="like=spectrum"):
        Pairs(made).batch(4, 1, "a")
    valid = torch.ones(16, 24, dtype=torch.bool)
    valid[:, 3] = False
    x = Pairs(made, reduced(valid)).batch(4, 1, "a").x
    assert bool((x[..., 3] == 0).all())
    assert bool((x[:, 2][..., 4] == 1).all())


def measurements():
    lattice, energy = CHAIN.lattice, torch.linspace(0, 8, 11)
    grid = QGrid(lattice, torch.eye(3), [torch.linspace(0, 1, 9), torch.linspace(0, 1, 7), [-0.1, 0.1]])
    scan = torch.linspace(0, 4, 12)[:, None].expand(-1, 2).double()
    return {
        "shells": Measurement(QShells(torch.linspace(0.5, 3, 21)), energy, 5.0),
        "path": Measurement(QPath(lattice, torch.zeros(9, 3), torch.zeros(3, 3)), energy, 5.0),
        "grid": Measurement(grid, energy, 5.0),
        "scan": Measurement(QPoints(lattice, torch.rand(12, 3).double()), scan, 5.0),
    }


@pytest.mark.parametrize("kind", ["shells", "path", "grid", "scan"])
def test_every_kind_of_measurement_has_an_embedding(kind) -> None:
    measurement = measurements()[kind]
    network = embedding(measurement)
    assert isinstance(network, ScatteredEmbedding if kind == "scan" else MapEmbedding)
    x = torch.rand(5, 3, *measurement.shape)
    x[:, 2] = 1
    network.fit(x)
    assert network(x).shape == (5, FEATURES)


def test_the_order_of_points_of_scans_does_not_matter() -> None:
    measurement = measurements()["scan"]
    network = embedding(measurement)
    x = torch.rand(2, 3, *measurement.shape)
    x[:, 2] = 1
    turned = network(x)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    network.place.copy_(network.place[order])
    assert torch.allclose(network(x[:, :, order]), turned, atol=1e-5)


def test_points_that_were_not_measured_change_nothing() -> None:
    measurement = measurements()["scan"]
    network = embedding(measurement)
    x = torch.rand(1, 3, *measurement.shape)
    x[:, 2, 6:] = 0
    other = x.clone()
    other[:, :2, 6:] += 3
    assert torch.allclose(network(x), network(other), atol=1e-5)


def test_a_flow_is_a_density() -> None:
    """One parameter: it integrates to 1."""
    few = Pairs(simulations(path(), prior(fwhm={"fixed": 0.4}, scale={"fixed": 50}, background={"fixed": 1}), 64, 1))
    flow, x = NPE.sized_for(few), few.batch(1, 1, "a").x
    z = torch.linspace(-12, 12, 4001)[:, None]
    with torch.no_grad():
        mass = torch.trapezoid(flow.log_prob(z, x.expand(len(z), -1, -1, -1)).exp(), z[:, 0])
    assert float(mass) == pytest.approx(1.0, abs=2e-3)


def test_draws_are_a_function_of_the_seed_and_leave_the_global_stream_alone(pairs) -> None:
    flow, x = NPE.sized_for(pairs), pairs.batch(2, 1, "a").x
    before = torch.get_rng_state()
    one, same, other = (flow.sample(x, 5, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())
    assert one.shape == (2, 5, 4)


def test_training_finds_the_exchange_of_a_chain(pairs) -> None:
    flow = NPE.sized_for(pairs)
    history = train(flow, pairs, Effort(steps=150, batch=64, every=50))
    assert history.losses[-1] < history.losses[0]
    batch = pairs.batch(64, 9, "other")
    error = flow.sample(batch.x, 50, 1).median(1).values - batch.z
    assert float(error[:, 0].abs().median()) < 0.3 * float(batch.z[:, 0].std())


def test_an_interrupted_training_ends_with_the_same_weights(pairs, tmp_path) -> None:
    effort = Effort(steps=30, batch=16, every=10)
    whole, again = NPE.sized_for(pairs), NPE.sized_for(pairs)
    history = train(whole, pairs, effort)

    def stop(step, *_):
        if step == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(again, pairs, effort, tmp_path, stop)
    resumed = NPE.sized_for(pairs, seed=7)
    assert train(resumed, pairs, effort, tmp_path).losses == history.losses
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_training_ends_without_progress(pairs) -> None:
    history = train(Regressor.sized_for(pairs), pairs, Effort(steps=4000, batch=8, every=2, patience=2))
    assert history.steps[-1] - history.best == 4
    assert history.steps[-1] < 4000


def test_too_few_simulations_are_refused(pairs) -> None:
    with pytest.raises(InputError, match="too few"):
        train(NPE.sized_for(pairs), Pairs(pairs.simulations.part(slice(0, 9))), Effort(steps=2))


@pytest.mark.parametrize("kind", ["npe", "regressor", "ensemble"])
def test_a_checkpoint_is_the_estimator(pairs, tmp_path, kind) -> None:
    made = {
        "npe": lambda: NPE.sized_for(pairs, 3),
        "regressor": lambda: Regressor.sized_for(pairs, 3),
        "ensemble": lambda: Ensemble([NPE.sized_for(pairs, 3), NPE.sized_for(pairs, 4)]),
    }[kind]()
    checkpoint.save(tmp_path, made, pairs, Record.start())
    found = checkpoint.load(tmp_path, pairs)
    assert type(found) is type(made)
    x = pairs.batch(3, 1, "a").x
    if isinstance(made, Regressor):
        assert torch.equal(made(x), found(x))
    else:
        assert torch.equal(made.sample(x, 4, 1), found.sample(x, 4, 1))


def test_an_estimator_for_other_data_is_refused(pairs, tmp_path) -> None:
    checkpoint.save(tmp_path, NPE.sized_for(pairs), pairs, Record.start())
    for what, other in (
        ("prior", Pairs(simulations(path(), prior(fwhm={"uniform": [0.1, 0.6]}), 10, 1))),
        ("bins", Pairs(simulations(path(energies=20), prior(), 10, 1))),
        ("names", Pairs(simulations(path(), prior(fwhm={"fixed": 0.3}), 10, 1))),
    ):
        with pytest.raises(InputError, match=f"trained with other {what}"):
            checkpoint.load(tmp_path, other)


def test_a_missing_or_damaged_checkpoint_is_one_sentence(pairs, tmp_path) -> None:
    with pytest.raises(InputError, match=r"holds no estimator: estimator\.json is missing"):
        checkpoint.load(tmp_path, pairs)
    checkpoint.save(tmp_path, NPE.sized_for(pairs), pairs, Record.start())
    (tmp_path / "weights.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(InputError, match="is damaged"):
        checkpoint.load(tmp_path, pairs)
    (tmp_path / "estimator.json").write_text(json.dumps({"kind": "os.system"}))
    with pytest.raises(InputError, match="is damaged"):
        checkpoint.load(tmp_path, pairs)


def test_a_proposal_draws_inside_the_prior_and_tells_what_is_strange(pairs) -> None:
    flow = NPE.sized_for(pairs)
    train(flow, pairs, Effort(steps=60, batch=32, every=30))
    proposal = Proposal.of(flow, pairs)
    experiment = pairs.simulations.experiment
    theta = experiment.pack(J=-1.0, fwhm=0.4, scale=100.0, background=1.0)
    usual = experiment.sample(theta, seed=5)
    draws = proposal.draws(usual, 50, seed=1)
    bounds = pairs.prior.bounds
    assert bool(((draws > bounds[:, 0]) & (draws < bounds[:, 1])).all())
    assert proposal.likelier(usual) > 0.01
    counts = torch.zeros(experiment.measurement.shape).double()
    counts[::2, ::3] = 500.0
    strange = Spectrum.from_arrays(counts, counts.sqrt(), experiment.measurement, is_counts=True)
    assert proposal.likelier(strange) < 0.01


def test_a_proposal_refuses_other_bins(pairs) -> None:
    proposal = Proposal.of(NPE.sized_for(pairs), pairs)
    other = path(energies=20)
    spectrum = other.sample(other.pack(J=-1.0, fwhm=0.4, scale=100.0, background=1.0), seed=5)
    with pytest.raises(InputError, match="train one for these bins"):
        proposal.draws(spectrum, 5, 1)
