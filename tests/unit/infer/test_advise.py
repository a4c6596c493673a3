"""Where to measure next: shrinkage that a real measurement there delivers."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.infer.advise import advise, information
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.spectra import Measurement, QPath, QPoints

CHAIN = library.load("fm_chain")
PRIOR = Prior.from_mapping(
    {"J": {"uniform": [-2.0, -0.5]}, "fwhm": 0.4, "scale": {"loguniform": [5.0, 200.0]}, "background": 1.0}
)
FIXED = {"fwhm": 0.4, "background": 1.0}
SETTINGS = Settings(screen=32, starts=2, draws=400, rounds=2)


POSTERIOR = Posterior(
    names=("J", "scale"),
    units=("meV", ""),
    priors=("", ""),
    draws=torch.zeros(2, 2).double(),
    log_weight=torch.zeros(2).double(),
    limit=torch.ones(2).double(),
    basins=(),
    checks=(),
    log_evidence=0.0,
    deviance_per_bin=1.0,
    seconds=0.0,
    record=Record.start(),
    anchor=torch.zeros(2, 4).double(),
    widening=torch.ones(2).double(),
)


def path(q, energies=18):
    rows = torch.zeros(len(q), 3).double()
    rows[:, 0] = torch.tensor(q)
    where = Measurement(QPath(CHAIN.lattice, rows, torch.zeros(3, 3)), torch.linspace(0, 9, energies + 1), 1.0)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=Poisson()), samples=1)


def scan(energy, q=0.25):
    rows = torch.tensor(energy, dtype=torch.float64)[:, None].expand(-1, 2)
    points = QPoints(CHAIN.lattice, [[q, 0, 0]] * len(energy))
    return Experiment(
        CHAIN, Measurement(points, rows, 1.0), Instrument(GaussianResolution(), counting=Poisson()), samples=1
    )


@pytest.fixture(scope="module")
def posterior():
    first = path([0.2, 0.4])
    spectrum = first.sample(first.pack(J=-1.1, scale=20.0, **FIXED), seed=1)
    return infer(first, PRIOR, spectrum, SETTINGS)


def test_the_flank_of_a_mode_tells_its_energy_and_its_top_its_strength(posterior) -> None:
    """The mode of the chain at q = 1/4 lies at 2 |J| S (1 - cos) = 2.2 meV."""
    energy = [float(x) for x in torch.linspace(1.0, 3.4, 49)]
    candidates = scan(energy)
    flank, top = (
        advise(posterior, candidates, [name], pick=1, fixed=FIXED).picks[0].energy[0] for name in ("J", "scale")
    )
    mode = 2 * float(posterior.median[0].abs())
    assert 0.08 < abs(flank - mode) < 0.4
    assert abs(top - mode) < 0.08


def test_what_is_promised_is_what_a_measurement_there_brings(posterior) -> None:
    """A whole spectrum more at the recommended point: errors within a fifth of those promised, mean of eight."""
    candidates = path([0.1, 0.3, 0.5])
    advice = advise(posterior, candidates, ["J"], each="point", pick=1, fixed=FIXED)
    k = advice.picks[0].candidate
    joined = path([0.2, 0.4, [0.1, 0.3, 0.5][k]])
    theta = joined.pack(J=-1.1, scale=20.0, **FIXED)
    found = [infer(joined, PRIOR, joined.sample(theta, seed), SETTINGS).covariance[0, 0].sqrt() for seed in range(8)]
    assert float(torch.stack(found).mean()) == pytest.approx(advice.picks[0].sd["J"], rel=0.2)
    assert advice.picks[0].sd["J"] < 0.9 * advice.before["J"]


def test_the_information_of_bins_adds_up_to_that_of_the_spectrum(posterior) -> None:
    from sqwirrel.infer.target import Target

    candidates = path([0.1, 0.3])
    one = information(posterior, candidates, FIXED, 1, seed=3)
    theta = posterior.sample(1, 3)
    spectrum = candidates.sample(candidates.pack(J=-1.1, scale=20.0, **FIXED), seed=1)
    target = Target.of(candidates, PRIOR, spectrum)
    z = PRIOR.unconstrain(theta)
    whole = target.slope(z).information[0] / target.stretch(z)[0][:, None] / target.stretch(z)[0]
    assert torch.allclose(one.sum((0, 1)), whole, rtol=1e-6)


def test_each_pick_knows_of_those_before(posterior) -> None:
    advice = advise(posterior, scan([1.9, 2.0, 2.2, 2.4]), ["J", "scale"], pick=4, fixed=FIXED)
    sds = [advice.before, *(pick.sd for pick in advice.picks)]
    assert all(b["J"] <= a["J"] and b["scale"] <= a["scale"] for a, b in pairwise(sds))
    assert "min" in str(advice)


def test_no_more_is_promised_than_counts_can_keep() -> None:
    """J anywhere from -2 to -0.5 meV: one point cannot tell it, whatever its derivatives are.

    The promise is compared with the spread that prior draws have once a point was counted, weighted by its likelihood,
    over 200 truths: the expected variance is below that promised, and not below half of it.
    """
    prior = Prior.from_mapping({"J": {"uniform": [-2.0, -0.5]}, "scale": {"uniform": [10.0, 20.0]}})
    theta = prior.sample(2000, seed=2)
    unknown = replace(POSTERIOR, draws=theta, log_weight=torch.full((2000,), -math.log(2000)).double())
    candidates = scan([0.5, 1.0, 1.4, 2.0, 2.6, 3.2, 3.8, 6.0])
    advice = advise(unknown, candidates, ["J"], pick=1, fixed=FIXED)
    k, before = advice.picks[0].candidate, advice.before["J"]
    expected = candidates(torch.cat((theta[:, :1], 0 * theta[:, :1] + 0.4, theta[:, 1:], 0 * theta[:, :1] + 1.0), 1))
    generator, left = torch.Generator().manual_seed(3), []
    for row in expected[:200, k, 0]:
        counts = torch.poisson(row, generator=generator)
        weight = torch.softmax(counts * expected[:, k, 0].log() - expected[:, k, 0], 0)
        left.append(weight @ (theta[:, 0] - weight @ theta[:, 0]) ** 2)
    share = float(torch.stack(left).mean()) / before**2
    promised = (advice.picks[0].sd["J"] / before) ** 2
    assert 0.5 * promised < share < 1.05 * promised
    assert promised > 0.5


def test_what_is_far_away_costs_time(posterior) -> None:
    """Moving by 0.1 meV costs 100 minutes: the second point is where the first one was."""
    energy = [float(x) for x in torch.linspace(1.0, 3.4, 25)]

    def moving(here, places):
        return torch.zeros(len(places)).double() if here is None else 1000 * (places - here).abs().sum(1)

    free = advise(posterior, scan(energy), ["J", "scale"], pick=3, fixed=FIXED)
    slow = advise(posterior, scan(energy), ["J", "scale"], pick=3, fixed=FIXED, moving=moving)
    assert len({pick.candidate for pick in free.picks}) > 1
    assert len({pick.candidate for pick in slow.picks}) == 1
    assert slow.gain.shape == (25, 1)


def test_wrong_wishes_are_one_sentence(posterior) -> None:
    with pytest.raises(InputError, match="nothing about 'J7'"):
        advise(posterior, scan([2.0]), ["J7"], fixed=FIXED)
    with pytest.raises(InputError, match="give it as fixed"):
        advise(posterior, scan([2.0]), ["J"])
    with pytest.raises(InputError, match="minutes > 0"):
        advise(posterior, scan([2.0]), ["J"], fixed=FIXED, minutes=0)
