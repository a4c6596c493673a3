"""discriminate(): evidences whose ratios are known, priors that are half unstable, and when nothing is decided."""

import dataclasses
import math

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Check, Settings
from sqwirrel.infer.verdict import Evidence, Hypothesis, Verdict, discriminate, judged
from sqwirrel.learn.strange import Opinion
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.spectra import Measurement, QPath

CHAIN = library.load("fm_chain")
POINTS = torch.tensor([[h, 0, 0] for h in (0.15, 0.25, 0.35, 0.5)], dtype=torch.float64)
WHERE = Measurement(
    QPath(CHAIN.lattice, POINTS, torch.zeros(3, 3)), torch.linspace(0.5, 5.5, 26, dtype=torch.float64), 5.0
)
EXPERIMENT = Experiment(CHAIN, WHERE, Instrument(counting=Poisson()), samples=1)
PRIOR = Prior(J=Uniform(-2, -0.5, "meV"), fwhm=Fixed(0.5), scale=LogUniform(1, 1e4), background=Fixed(4.0))
DATA = EXPERIMENT.sample(EXPERIMENT.pack(J=-1.0, fwhm=0.5, scale=100, background=4), 1)
QUICK = Settings(screen=64, starts=3, draws=400, seed=2)


def exchange_of(law) -> Hypothesis:
    return Hypothesis(EXPERIMENT, Prior(J=law, fwhm=Fixed(0.5), scale=LogUniform(1, 1e4), background=Fixed(4.0)))


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    """Of priors whose evidences have known ratios."""
    rivals = {
        "narrow": Hypothesis(EXPERIMENT, PRIOR),
        "wide": exchange_of(Uniform(-5, -0.5, "meV")),
        "half": exchange_of(Uniform(-1.5, 1.5, "meV")),
        "elsewhere": exchange_of(Uniform(-0.9, -0.5, "meV")),
    }
    return discriminate(rivals, DATA, QUICK)


def test_evidences_are_as_the_widths_of_the_priors(verdict: Verdict) -> None:
    """The likelihood is narrow, so that the evidence is as one over the width of a flat prior."""
    evidence = verdict.evidence
    wider = evidence["narrow"].log - evidence["wide"].log
    assert wider == pytest.approx(
        math.log(4.5 / 1.5), abs=4 * math.hypot(evidence["narrow"].error, evidence["wide"].error)
    )
    assert 0.005 < evidence["narrow"].error < 0.1


def test_a_prior_is_conditioned_on_a_stable_order(verdict: Verdict) -> None:
    """The chain is unstable for J > 0: what is left of -1.5 to 1.5 is as wide as -2 to -0.5."""
    narrow, half = verdict.evidence["narrow"], verdict.evidence["half"]
    assert half.stable == pytest.approx(0.5, abs=0.1)
    assert narrow.stable == 1
    assert narrow.log - half.log == pytest.approx(0, abs=4 * math.hypot(narrow.error, half.error))


def test_probabilities_follow_evidence_and_odds(verdict: Verdict) -> None:
    found = verdict.probability
    assert sum(found.values()) == pytest.approx(1)
    assert verdict.best == max(found, key=found.__getitem__)
    factor = math.exp(verdict.evidence["narrow"].log - verdict.evidence["wide"].log)
    assert found["narrow"] / found["wide"] == pytest.approx(factor)
    doubled = dataclasses.replace(verdict, odds={**verdict.odds, "wide": 2.0}).probability
    assert doubled["wide"] / doubled["narrow"] == pytest.approx(2 * found["wide"] / found["narrow"])


def test_what_cannot_be_told_apart_is_undecided(verdict: Verdict) -> None:
    assert "is not ruled out: the log Bayes factor against it is " in verdict.undecided
    assert "undecided: " in str(verdict)
    log, error = verdict.log_bayes("elsewhere")
    assert log - 2 * error > math.log(100)


def test_bins_say_where_it_is_decided(verdict: Verdict) -> None:
    """Log likelihoods of bins sum up to that of the fit; the mode is where the worse model is worse."""
    one, other = (verdict.evidence[name].bins[""] for name in ("narrow", "elsewhere"))
    mu = EXPERIMENT(EXPERIMENT.pack(fwhm=0.5, background=4, **fitted(verdict, "narrow")))[0]
    law = torch.distributions.Poisson(mu.clamp(min=1e-3))
    assert float(one.sum()) == pytest.approx(float(law.log_prob(DATA.intensity).sum()), rel=1e-6)
    assert one.shape == DATA.intensity.shape
    assert float((one - other).sum()) > 10
    ratio = dataclasses.replace(
        verdict, evidence={name: verdict.evidence[name] for name in ("narrow", "elsewhere")}
    ).ratio("elsewhere")[""]
    assert torch.equal(ratio, one - other)


def fitted(verdict: Verdict, name: str) -> dict[str, float]:
    posterior = verdict.posteriors[name]
    return dict(zip(posterior.names, posterior.basins[0].theta.tolist(), strict=True))


def test_a_decision_is_said() -> None:
    found = discriminate(
        {"right": Hypothesis(EXPERIMENT, PRIOR), "wrong": exchange_of(Uniform(-0.8, -0.5))}, DATA, QUICK
    )
    assert found.undecided == ""
    assert str(found).splitlines()[-1].startswith("decided: right")
    assert found.probability["right"] > 0.999


def test_posteriors_from_a_file_give_the_same(verdict: Verdict, tmp_path) -> None:
    from sqwirrel.infer import store

    rivals = {"narrow": Hypothesis(EXPERIMENT, PRIOR), "wide": exchange_of(Uniform(-5, -0.5, "meV"))}
    read = {}
    for name in rivals:
        store.save(tmp_path / f"{name}.h5", verdict.posteriors[name])
        read[name] = store.load(tmp_path / f"{name}.h5")
    again = judged(rivals, read, DATA)
    for name in rivals:
        assert again.evidence[name].log == pytest.approx(verdict.evidence[name].log, abs=1e-9)
        assert torch.allclose(again.evidence[name].bins[""], verdict.evidence[name].bins[""], atol=1e-9)


def misfitting(verdict: Verdict, sums: torch.Tensor) -> Verdict:
    """Two rivals whose best misses something, with these ratios of the likelihoods in windows of one bin each."""
    check = Check("predictive", passed=False, value=9.0, meaning="")
    posterior = dataclasses.replace(verdict.posteriors["narrow"], checks=(check,))
    window = torch.arange(len(sums))[:, None]
    rows = {"one": sums[:, None], "other": torch.zeros(len(sums), 1).double()}
    evidence = {name: Evidence(40.0 * (name == "one"), 0.1, 1.0, {"": row}, {"": window}) for name, row in rows.items()}
    return Verdict(dict.fromkeys(rows, posterior), evidence, dict.fromkeys(rows, 1.0))


def test_where_all_miss_something_the_advantage_must_come_from_many_places(verdict: Verdict) -> None:
    even, uneven = (
        torch.tensor([2.0, 1.5, 2.5, 1.0, 3.0, 2.0]).double(),
        torch.tensor([40.0, -1, 1, -2, 1, 0.5]).double(),
    )
    assert misfitting(verdict, even).undecided == ""
    assert misfitting(verdict, even).apart("other") == pytest.approx(float(even.sum() / (6**0.5 * even.std())))
    assert "one misses something" in misfitting(verdict, uneven).undecided
    assert "(-6." in misfitting(verdict, -even).undecided, "what speaks against the best is no support"
    assert "too few of these" in misfitting(verdict, even[:3]).undecided


def test_moved_draws_leave_the_evidence_rough(verdict: Verdict) -> None:
    """Their weights are even, which says nothing of those that the evidence came from."""
    posterior = verdict.posteriors["narrow"]
    kept = tuple(check for check in posterior.checks if check.name != "pareto_k")
    moved = dataclasses.replace(posterior, checks=(*kept, Check("forgotten", passed=True, value=0.0, meaning="")))
    rivals = {"moved": Hypothesis(EXPERIMENT, PRIOR), "narrow": Hypothesis(EXPERIMENT, PRIOR)}
    found = judged(rivals, {"moved": moved, "narrow": posterior}, DATA)
    assert found.evidence["moved"].error == 3
    assert found.evidence["narrow"].error < 0.1


def test_bad_contests_are_refused(verdict: Verdict) -> None:
    one = {"narrow": Hypothesis(EXPERIMENT, PRIOR)}
    with pytest.raises(InputError, match="a choice needs two models or more"):
        discriminate(one, DATA, QUICK)
    two = {**one, "wide": exchange_of(Uniform(-5, -0.5))}
    with pytest.raises(InputError, match="odds are a positive number for each"):
        judged(two, verdict.posteriors, DATA, {"narrow": 1.0})


@pytest.mark.parametrize(
    ("p", "likelier", "words"),
    [
        (0.9, 0.5, ""),
        (0.4, 0.5, ""),
        (
            0.01,
            0.5,
            "two answers contradict each other: the evidence says narrow, networks say far with probability 0.99",
        ),
        (0.9, 0.003, "nothing like these data was simulated for the networks"),
    ],
    ids=["agree", "do not say", "contradict", "strange"],
)
def test_networks_are_heard_where_they_say_something(verdict: Verdict, p: float, likelier: float, words: str) -> None:
    """A rival that is ruled out by a log Bayes factor of 50, and what networks make of it."""
    best = verdict.evidence["narrow"]
    evidence = {"narrow": best, "far": dataclasses.replace(best, log=best.log - 50)}
    posteriors = dict.fromkeys(evidence, verdict.posteriors["narrow"])
    opinion = Opinion({"narrow": p, "far": 1 - p}, 0.1, likelier, {"features": likelier})
    found = Verdict(posteriors, evidence, dict.fromkeys(evidence, 1.0), opinion)
    assert found.undecided.startswith(words) if words else found.undecided == ""
    assert "; a simulated spectrum is as strange with probability" in str(found)


def test_odds_are_said_in_nats_where_probabilities_are_next_to_one() -> None:
    """.9999 and 1.0000 may be 4 or 400 nats; what members say is given with both ends."""
    logs = [{"one": -math.exp(-far), "two": -far, "three": -far - 3} for far in (9.0, 30.0)]
    mean = {name: sum(math.exp(each[name]) for each in logs) / 2 for name in logs[0]}
    opinion = Opinion(mean, 0.1, 0.5, {}, tuple(logs))
    assert opinion.answer == "one, log odds to two 9.7 nats (9.0 to 30.0 by member)"
    assert opinion.by_member("one", "three") == pytest.approx((12, 33), abs=1e-3)
    assert opinion.mapping()["log_odds_of_best"]["two"] == pytest.approx(9 + math.log(2), abs=1e-3)
    unsure = tuple({"one": math.log(p), "two": math.log(1 - p)} for p in (0.9, 0.7))
    assert (
        Opinion({"one": 0.8, "two": 0.2}, 0.1, 0.5, {}, unsure).answer
        == "one with probability 0.8 (0.7 to 0.9 by member)"
    )
    assert Opinion({"one": 1.0, "two": 0.0}, None, 0.5, {}).answer == "one, log odds to two 690.8 nats"
