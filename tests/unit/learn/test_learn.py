"""From simulations to an estimator: pairs, store, embeddings, flow, training, checkpoints, proposals."""

import json
import math
from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.learn import checkpoint
from sqwirrel.learn.embed import FEATURES, MapEmbedding, ScatteredEmbedding, embedding
from sqwirrel.learn.kept import store
from sqwirrel.learn.kept.purpose import digest
from sqwirrel.learn.npe import NPE, Ensemble, Regressor
from sqwirrel.learn.pairs import Pairs, Simulations, simulations
from sqwirrel.learn.proposal import Proposal
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, GaussianResolution, Instrument, Poisson
from sqwirrel.observe.background import SlopedBackground
from sqwirrel.observe.resolution import TableResolution
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


OTHERS = {
    "another temperature (1 K, now 100 K)": {"temperature": 100.0},
    "another field ((0, 0, 0) T, now (0, 0, 3) T)": {"field": (0.0, 0.0, 3.0)},
    "another incident energy (none, now 20 meV)": {"incident_energy": 20.0},
    "other energies": {"last": 8.0},
    "other points": {"far": 0.4},
    "other exposures": {"exposure": 1 + torch.rand(16, 24).double()},
    "another resolution (gaussian, now table)": {"resolution": TableResolution([0.0, 9.0], [0.3, 0.4])},
    "another background (constant, now sloped)": {"background": SlopedBackground()},
    "another flux factor (taken out, now still in the data)": {"flux_factor": True, "incident_energy": 20.0},
    "other twins": {"twins": torch.eye(3)[None]},
    "another number of samples (1, now 3)": {"samples": 3, "box": 0.1},
    "another seed of the samples (0, now 1)": {"seed": 1, "box": 0.1},
}


def varied(last=9.0, far=0.5, box=0.0, **changed):
    """A chain measured otherwise."""
    q, width = torch.zeros(16, 3).double(), torch.zeros(3, 3)
    q[:, 0], width[0, 0] = torch.linspace(0.05, far, 16), box
    kept = {name: changed.pop(name) for name in ("resolution", "background", "flux_factor") if name in changed}
    where = {name: changed.pop(name) for name in ("field", "incident_energy", "exposure") if name in changed}
    measured = Measurement(
        QPath(CHAIN.lattice, q, width), torch.linspace(0, last, 25), changed.pop("temperature", 1.0), **where
    )
    return Experiment(CHAIN, measured, Instrument(counting=Poisson(), **kept), **{"samples": 1, **changed})


@pytest.mark.parametrize("words", OTHERS)
def test_simulations_of_anything_else_are_refused_in_words(tmp_path, words) -> None:
    changed, believed = OTHERS[words], prior()
    same = {name: changed[name] for name in ("box", "incident_energy") if name in changed and len(changed) > 1}
    kept = Simulations.none(varied(**same), believed, 1)
    store.write_shard(tmp_path / "shard-00000.safetensors", {"theta": kept.theta, "signal": kept.signal})
    (tmp_path / store.MANIFEST).write_text(json.dumps(kept.purpose.mapping()))
    kept.check(tmp_path)
    with pytest.raises(InputError) as refused:
        Simulations.none(varied(**changed), believed, 1).check(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path} holds simulations of {words}")
    assert str(refused.value).endswith("; choose another folder")


def test_values_that_are_held_belong_to_the_simulations() -> None:
    one, two = (Simulations.none(varied(), prior(background={"fixed": x})).purpose for x in (1.0, 2.0))
    assert one.otherwise(two) == "another prior (background: held at 1, now held at 2)"
    assert one.otherwise(Simulations.none(varied(), prior(background={"fixed": 1})).purpose) == ""


def test_the_order_of_free_parameters_counts() -> None:
    backwards = Prior.from_mapping(dict(reversed(PRIOR.items())))
    said = Simulations.none(varied(), prior()).purpose.otherwise(Simulations.none(varied(), backwards).purpose)
    assert said.startswith("another order of parameters (J, fwhm,")


def test_another_model_is_all_that_is_said() -> None:
    one = Simulations.none(varied(), prior()).purpose

    def said(**changed):
        where = varied(last=8.0 if "name" in changed else 9.0)
        other = Experiment(replace(CHAIN, **changed), where.measurement, where.instrument, samples=1)
        return one.otherwise(Simulations.none(other, prior()).purpose)

    assert said(name="mine") == "another model (fm_chain, now mine)"
    assert said(lande=torch.tensor([1.5]).double()) == "other terms, sites or order of the model"
    assert said(title="mine", papers=("mine",)) == ""


def test_rounding_is_no_difference() -> None:
    assert digest([1.0, torch.ones(3)]) == digest([1.0 + 1e-12, torch.ones(3).double() - 1e-13])
    assert digest(torch.zeros(2)) == digest(-torch.zeros(2))
    assert len({digest(x) for x in (None, "a", 1.0, [1.0], torch.ones(1, 1), {"a": 1}, SlopedBackground())}) == 7


def test_a_folder_of_an_earlier_version_is_refused(tmp_path) -> None:
    old = {"seed": 1, "names": ["J"], "prior": "Prior(J=1)", "bins": [16, 24], "model": "fm_chain"}
    for content in (json.dumps(old), "{", "[]"):
        (tmp_path / store.MANIFEST).write_text(content)
        with pytest.raises(InputError, match="holds simulations of an earlier version of sqwirrel"):
            simulations(path(), prior(), 10, seed=1, folder=tmp_path)


def test_simulations_that_are_not_to_be_kept_leave_a_folder_alone(tmp_path, caplog) -> None:
    first = simulations(path(), prior(), 300, seed=1, folder=tmp_path / "a")
    (tmp_path / "a" / "shard-00001.safetensors").unlink()
    before = sorted(each.name for each in (tmp_path / "a").iterdir())
    again = simulations(path(), prior(), 300, seed=1, folder=tmp_path / "a", keep=False)
    assert torch.equal(first.signal, again.signal)
    assert sorted(each.name for each in (tmp_path / "a").iterdir()) == before
    assert "lacks shard-00001.safetensors" in caplog.text
    simulations(path(), prior(), 10, seed=1, folder=tmp_path / "b", keep=False)
    assert not (tmp_path / "b").exists()


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


def test_a_training_of_another_effort_is_refused(pairs, tmp_path) -> None:
    train(NPE.sized_for(pairs), pairs, Effort(steps=4, batch=8, every=2), tmp_path)
    with pytest.raises(InputError, match=r"is one with steps = 4, now 8; choose another folder, or remove it"):
        train(NPE.sized_for(pairs), pairs, Effort(steps=8, batch=8, every=2), tmp_path)
    fewer = Pairs(pairs.simulations.part(slice(0, 200)))
    with pytest.raises(InputError, match="is one with rows = 512, now 200;"):
        train(NPE.sized_for(pairs), fewer, Effort(steps=4, batch=8, every=2), tmp_path)
    known = json.loads((tmp_path / "training.json").read_text())
    (tmp_path / "training.json").write_text(json.dumps({k: v for k, v in known.items() if k != "settings"}))
    with pytest.raises(InputError, match="cannot be gone on with"):
        train(NPE.sized_for(pairs), pairs, Effort(steps=4, batch=8, every=2), tmp_path)


def test_a_training_that_ended_without_progress_is_not_gone_on_with(pairs, tmp_path) -> None:
    effort = Effort(steps=4000, batch=8, every=2, patience=2)
    first = train(Regressor.sized_for(pairs), pairs, effort, tmp_path)
    assert train(Regressor.sized_for(pairs), pairs, effort, tmp_path).steps == first.steps


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
        (r"another prior \(fwhm: 0.2 to 0.6 meV, now 0.1 to 0.6 meV\); train one", prior(fwhm={"uniform": [0.1, 0.6]})),
        (r"another prior \(fwhm: 0.2 to 0.6 meV, now held at 0.3 meV\); train one", prior(fwhm={"fixed": 0.3})),
    ):
        with pytest.raises(InputError, match=f"was trained for {what}.*must be written out in the config$"):
            checkpoint.load(tmp_path, Pairs(simulations(path(), other, 10, 1)))
    with pytest.raises(InputError, match=r"was trained for other energies; train one for this measurement and prior$"):
        checkpoint.load(tmp_path, Pairs(simulations(path(energies=20), prior(), 10, 1)))


def test_an_estimator_belongs_to_the_errors_and_the_coverage(tmp_path) -> None:
    made, valid = simulations(path(Gaussian), prior(), 10, seed=1), torch.ones(16, 24, dtype=torch.bool)
    valid[:, 3] = False
    checkpoint.save(tmp_path, NPE.sized_for(Pairs(made, reduced())), Pairs(made, reduced()), Record.start())
    with pytest.raises(InputError, match="trained for another coverage and other errors;"):
        checkpoint.load(tmp_path, Pairs(made, reduced(valid)))


def test_an_estimator_of_an_earlier_version_is_refused(pairs, tmp_path) -> None:
    checkpoint.save(tmp_path, NPE.sized_for(pairs), pairs, Record.start())
    known = json.loads((tmp_path / "estimator.json").read_text())
    known["purpose"] = {"names": ["J"], "prior": "Prior(J=1)", "model": "fm_chain", "bins": "0123"}
    (tmp_path / "estimator.json").write_text(json.dumps(known))
    with pytest.raises(InputError, match=r"^the network in \S+ is of an earlier version of sqwirrel"):
        checkpoint.load(tmp_path, pairs)


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
