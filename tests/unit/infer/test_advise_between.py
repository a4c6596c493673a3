"""Where to measure to decide between models: where their laws differ, not where parameters can follow."""

import math
from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior
from sqwirrel.infer.advise import Rival, Speeds, advise_between
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.spectra import Measurement, QPoints

CHAIN = library.load("fm_chain")
FIXED = {"background": 1.0}


def scan(energy, q=0.25, model=CHAIN):
    """The mode of the chain at q = 1/4 lies at 2 |J| meV."""
    rows = torch.tensor(energy, dtype=torch.float64)[:, None].expand(-1, 2)
    points = QPoints(CHAIN.lattice, [[q, 0, 0]] * len(energy))
    instrument = Instrument(GaussianResolution(), counting=Poisson())
    return Experiment(model, Measurement(points, rows, 1.0), instrument, samples=1)


def believed(n=200, **columns):
    """A posterior of so many draws: a number, or (mean, sd) of a normal law; "scale" is drawn in logarithms."""
    generator = torch.Generator().manual_seed(len(str(columns)))
    drawn = []
    for name, value in columns.items():
        mean, sd = value if isinstance(value, tuple) else (value, 0.0)
        normal = torch.randn(n, generator=generator, dtype=torch.float64)
        drawn.append(mean * (sd * normal).exp() if name == "scale" else mean + sd * normal)
    p = len(columns)
    return Posterior(
        names=tuple(columns),
        units=("",) * p,
        priors=("",) * p,
        draws=torch.stack(drawn, dim=1),
        log_weight=torch.full((n,), -math.log(n), dtype=torch.float64),
        limit=torch.ones(p, dtype=torch.float64),
        basins=(),
        checks=(),
        log_evidence=0.0,
        deviance_per_bin=1.0,
        seconds=0.0,
        record=Record.start(seeds={}),
        anchor=torch.zeros(2, p, dtype=torch.float64),
        widening=torch.ones(p, dtype=torch.float64),
    )


def rivals(energy, first, second):
    return {name: Rival(believed(**known), scan(energy), FIXED) for name, known in (("one", first), ("two", second))}


def test_the_only_bin_where_models_differ_ranks_first() -> None:
    """Modes at 2.0 and 3.0 meV, 0.2 meV wide: of these energies only 3.0 sees a difference."""
    sharp = {"fwhm": 0.2, "scale": 10.0}
    found = advise_between(rivals([0.5, 1.2, 3.0, 4.0], {"J": -1.0, **sharp}, {"J": -1.5, **sharp}), pick=1)
    assert found.probes[0].candidate == 2
    assert found.gain[2] > 100 * found.gain[[0, 1, 3]].max()
    assert found.probes[0].counts["one"][0] == pytest.approx(1.0, abs=0.01)
    assert "Bayes factor" in str(found)


@pytest.mark.parametrize("scale", [3.0, 10.0, 30.0])
def test_known_models_are_told_apart_by_the_divergence_of_poisson_laws(scale) -> None:
    """(mu - nu) log(mu / nu) / 2, to 12 %: the root of Anscombe is not exact at a few counts."""
    energy = [1.6, 1.8, 2.0, 2.2]
    pair = ({"J": -1.0, "fwhm": 0.8, "scale": scale}, {"J": -1.02, "fwhm": 0.8, "scale": scale})
    found = advise_between(rivals(energy, *pair), pick=1, decisive=1e9)
    expected = [scan(energy)(scan(energy).pack(background=1.0, **known))[0, :, 0] for known in pair]
    exact = (expected[0] - expected[1]) * (expected[0] / expected[1]).log() / 2
    assert torch.allclose(found.gain[:, 0], exact, rtol=0.12, atol=2e-4)


def test_what_a_free_parameter_can_absorb_has_no_value_until_it_is_known() -> None:
    """The models differ by a factor of four at 1.8 meV, not at 2.2 meV; the scale is unknown to a factor of 20."""
    energy, wide = [1.8, 2.2], {"fwhm": 0.8, "scale": (300.0, 3.0)}
    free = advise_between(rivals(energy, {"J": -1.0, **wide}, {"J": -1.2, **wide}), pick=3)
    known = advise_between(
        rivals(energy, {"J": -1.0, "fwhm": 0.8, "scale": 300.0}, {"J": -1.2, "fwhm": 0.8, "scale": 300.0}), pick=1
    )
    assert known.gain[0] == pytest.approx(math.log(100), rel=0.02)  # as much as can be wanted
    assert free.gain.max() < 0.1 * known.gain[0]
    assert {probe.candidate for probe in free.probes[:2]} == {0, 1}
    assert free.probes[0].factor < 1.5
    assert free.probes[1].factor > 20


def test_models_that_are_one_model_are_not_separated() -> None:
    """What is left, below 0.1, is the noise of the draws."""
    law = {"J": (-1.0, 0.05), "fwhm": 0.4, "scale": (30.0, 0.2)}
    energy = [float(x) for x in torch.linspace(1.0, 3.0, 41)]
    found = advise_between(rivals(energy, law, {"J": (-1.0, 0.0501), "fwhm": 0.4, "scale": (30.0, 0.2)}), pick=1)
    assert found.gain.max() < 0.1


def test_moving_costs_and_begins_where_the_instrument_stands() -> None:
    """Both flanks tell the same; the further one takes 2 meV / (0.4 meV / min) longer."""
    sharp = {"fwhm": 0.2, "scale": 10.0}
    pair = rivals([2.0, 4.0], {"J": -1.0, **sharp}, {"J": -2.0, **sharp})
    for start, near in ((1.9, 0), (4.1, 1)):
        moving = Speeds(CHAIN.lattice, q=1.0, energy=0.4, settle=0.1, start=(0.25, 0.0, 0.0, start))
        probe = advise_between(pair, minutes=1.0, moving=moving, pick=1).probes[0]
        assert probe.candidate == near
        assert probe.minutes == pytest.approx(1 + 0.1 + 0.1 / 0.4)


def test_the_promised_factor_is_what_measurements_bring() -> None:
    """Mean logarithm of the Bayes factor of the truth over 400 measurements of the places recommended.

    The evidence is the mean likelihood of prior draws. The promise is cautious: draws stand for the space between them.
    """
    energy = [float(x) for x in torch.linspace(1.0, 3.0, 21)]
    pair, theta = {}, {}
    for name, ends in (("weak", (-1.0, -0.9)), ("strong", (-1.1, -1.0))):
        law = {"J": {"uniform": list(ends)}, "scale": {"uniform": [5.0, 20.0]}}
        theta[name] = Prior.from_mapping(law).sample(3000, seed=3)
        known = replace(believed(3000, J=-1.0, scale=1.0), draws=theta[name])
        pair[name] = Rival(known, scan(energy), {"fwhm": 0.5, **FIXED})
    found = advise_between(pair, pick=2)
    chosen = scan([energy[probe.candidate] for probe in found.probes])
    rows = {
        name: chosen(torch.cat((x[:, :1], 0 * x[:, :1] + 0.5, x[:, 1:], 0 * x[:, :1] + 1), 1))
        for name, x in theta.items()
    }
    generator, gained = torch.Generator().manual_seed(1), []
    for k in range(400):
        truth, other = ("weak", "strong") if k % 2 else ("strong", "weak")
        counts = torch.poisson(rows[truth][k], generator=generator)
        value = {name: (counts * mu.log() - mu).sum((1, 2)).logsumexp(0) for name, mu in rows.items()}
        gained.append(float(value[truth] - value[other]))
    promised = math.log(found.probes[-1].factor)
    assert promised > 0.5
    assert 0.7 < promised / (sum(gained) / 400) < 1.1


def test_wrong_wishes_are_one_sentence() -> None:
    sharp = {"J": -1.0, "fwhm": 0.2, "scale": 10.0}
    pair = rivals([2.0], sharp, sharp)
    with pytest.raises(InputError, match="at least two models"):
        advise_between({"one": pair["one"]})
    with pytest.raises(InputError, match="not the same bins"):
        advise_between({**pair, "two": Rival(believed(**sharp), scan([2.0, 3.0]), FIXED)})
    with pytest.raises(InputError, match="positive probability"):
        advise_between(pair, probability={"one": 1.0})
    with pytest.raises(InputError, match="decisive > 1"):
        advise_between(pair, decisive=1.0)
    with pytest.raises(InputError, match="give it as fixed"):
        advise_between({**pair, "two": Rival(believed(**sharp), scan([2.0]))})
    with pytest.raises(InputError, match="speeds must be positive"):
        Speeds(CHAIN.lattice, q=0.0, energy=1.0)
