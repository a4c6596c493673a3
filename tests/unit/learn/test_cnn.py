"""The plain network of energy-integrated maps, and the maps themselves."""

import pytest
import torch
from torch import nn

from sqwirrel.errors import InputError
from sqwirrel.learn import checkpoint
from sqwirrel.learn.cnn import CNN
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.spectra import Measurement, QGrid, QPath, QShells

CHAIN = library.load("fm_chain")
PRIOR = Prior.from_mapping(
    {"J": {"uniform": [-2.0, -0.5]}, "fwhm": 0.4, "scale": {"loguniform": [200.0, 2000.0]}, "background": 1.0}
)


def chain_map(energies=(1.0, 4.0), pixels=(12, 8)):
    edges = [torch.linspace(0.02, 0.98, pixels[0] + 1), torch.linspace(0, 1, pixels[1] + 1), [-0.1, 0.1]]
    where = Measurement(QGrid(CHAIN.lattice, torch.eye(3), edges), energies, 1.0)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=Poisson()), samples=4)


@pytest.fixture(scope="module")
def pairs():
    return Pairs(simulations(chain_map(), PRIOR, 512, seed=1))


def test_it_has_four_convolutions_and_a_perceptron_of_two_layers(pairs) -> None:
    kinds = [type(each) for each in CNN.sized_for(pairs).modules()]
    assert kinds.count(nn.Conv2d) == 4
    assert kinds.count(nn.Linear) == 2


def test_it_finds_the_exchange_of_a_chain(pairs) -> None:
    """Which pixels are bright in one window says where the dispersion passes it; the scale is the total."""
    network = CNN.sized_for(pairs)
    history = train(network, pairs, Effort(steps=200, batch=32, every=50))
    assert history.losses[-1] < 0.05  # of a variance of 1
    batch = pairs.batch(64, 9, "other")
    with torch.no_grad():
        error = network(batch.x) - batch.z
    assert bool((error.square().mean(0).sqrt() < 0.3 * batch.z.std(0)).all())


def test_a_checkpoint_is_the_network(pairs, tmp_path) -> None:
    made = CNN.sized_for(pairs, 3)
    checkpoint.save(tmp_path, made, pairs, Record.start())
    found = checkpoint.load(tmp_path, pairs)
    assert isinstance(found, CNN)
    x = pairs.batch(3, 1, "a").x
    assert torch.equal(made(x), found(x))


@pytest.mark.parametrize("kind", ["windows", "line", "path", "shells"])
def test_anything_but_a_map_of_one_window_is_refused(kind) -> None:
    path = QPath(CHAIN.lattice, [[0.2, 0, 0], [0.4, 0, 0]], torch.zeros(3, 3))
    experiment = {
        "windows": lambda: chain_map((1.0, 2.0, 3.0)),
        "line": lambda: chain_map(pixels=(12, 1)),
        "path": lambda: Experiment(CHAIN, Measurement(path, (1.0, 4.0), 1.0), Instrument(counting=Poisson())),
        "shells": lambda: Experiment(
            CHAIN, Measurement(QShells([0.5, 1.0, 1.5]), (1.0, 4.0), 1.0), Instrument(counting=Poisson())
        ),
    }[kind]()
    free = {name: {"uniform": [0.1, 1.0]} for name in experiment.names if name != "J"}
    few = Pairs(simulations(experiment, Prior.from_mapping({"J": -1.0, **free}), 4, seed=1))
    with pytest.raises(InputError, match="two axes and one energy window"):
        CNN.sized_for(few)


def test_one_window_is_the_mean_of_the_bins_in_it() -> None:
    """An energy-integrated map needs the edges of its window as sharp as the bins of a spectrum have theirs."""
    wide, narrow = chain_map(), chain_map(tuple(torch.linspace(1.0, 4.0, 61).tolist()))
    theta = wide.pack(J=-0.9, fwhm=0.4, scale=1.0, background=0.0)
    one, many = wide(theta)[0, :, 0], narrow(theta)[0].mean(1)
    assert float((one - many).abs().max()) < 0.01 * float(many.max())
