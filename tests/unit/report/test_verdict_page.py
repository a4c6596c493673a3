"""The page of a verdict: in words first, both answers, and whether to believe the map of the networks."""

import re
from dataclasses import replace

import pytest
import torch

from sqwirrel.config.build import Study
from sqwirrel.config.sections import Config
from sqwirrel.config.verbs import deciding
from sqwirrel.explain.networks import Heard
from sqwirrel.infer.checks.misfit import window_of
from sqwirrel.infer.verdict import Evidence, Verdict
from sqwirrel.learn.rivals import Committee, Contest
from sqwirrel.learn.strange import Familiar, Jury, Opinion
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.report.decision import Decision, headline, mapping
from sqwirrel.report.pages.verdict import html, write
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement, QGrid, QPoints

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it


def opinion_of(p: float, likelier: float = 0.4) -> Opinion:
    logs = tuple({"chain": x.log().item(), "weak": (1 - x).log().item()} for x in torch.tensor([p, p - 0.02]).double())
    return Opinion({"chain": p - 0.01, "weak": 1.01 - p}, 0.01, likelier, {"features": 0.2, "components": 0.7}, logs)


def verdict_of(good: Result, gap: float = 60.0, opinion: Opinion | None = None) -> Verdict:
    shape, windows = good.valid.shape, window_of(good.spectrum.measurement)
    bins = torch.zeros(shape).double()
    evidence = {
        "weak": Evidence(-123.4 - gap, 0.1, 1.0, {"": bins - gap / bins.numel()}, {"": windows}),
        "chain": Evidence(-123.4, 0.1, 0.5, {"": bins}, {"": windows}),
    }
    posteriors = dict.fromkeys(evidence, replace(good.posterior, simulator=good.experiment))
    return Verdict(posteriors, evidence, dict.fromkeys(evidence, 1.0), opinion)


def heard_of(good: Result, evidence: float = 0.8) -> Heard:
    values = torch.linspace(-0.1, 0.2, good.valid.numel()).reshape(good.valid.shape)
    return Heard("chain", "weak", {"": values}, evidence, {"": evidence}, 0.7, (-0.3, 0.4), (0.1, -0.5), 12)


def decision_of(good: Result, verdict: Verdict, heard: Heard | None = None) -> Decision:
    fixed = Prior.from_mapping({"J": -0.95, "fwhm": {"uniform": [0.1, 1]}, "scale": 50.0, "background": 2.0})
    mine = replace(good, posterior=verdict.posteriors["chain"])
    old = mine.posterior
    other = replace(
        old,
        names=("fwhm",),
        units=("meV",),
        priors=("",),
        draws=old.draws[:, 1:],
        basins=tuple(replace(each, theta=each.theta[1:]) for each in old.basins),
        limit=old.limit[1:],
        widening=old.widening[1:],
    )
    held = replace(good, posterior=other, prior=fixed, truth={})
    return Decision(verdict, {"weak": (held,), "chain": (mine,)}, Record.start(seeds={"infer": 1}), heard)


def words_of(text: str) -> str:
    plain = re.sub(r"<[^>]+>", " ", re.sub(r'src="data:[^"]*"', "", text.partition("<body>")[2]))
    return re.sub(r"\s+", " ", plain)


def test_the_verdict_is_said_first_with_both_answers(good: Result) -> None:
    assert headline(verdict_of(good)) == "chain: the log Bayes factor against weak is 60.0 ± 0.1."
    said = headline(verdict_of(good, opinion=opinion_of(0.97)))
    assert said.endswith(" Networks say the same: chain with probability 0.96 (0.95 to 0.97 by member).")
    close = headline(verdict_of(good, gap=1.0, opinion=opinion_of(0.3)))
    assert close.startswith("Undecided: weak is not ruled out: the log Bayes factor against it is 1.0 ± 0.1. Networks ")
    assert "do not say: weak with probability 0.71" in close
    against = headline(verdict_of(good, opinion=opinion_of(0.021)))
    assert against.startswith(
        "Undecided: two answers contradict each other: the evidence says chain, networks say weak "
    )
    assert against.count("networks") == 1


def test_the_page_has_both_answers_the_maps_and_the_fits(good: Result, tmp_path) -> None:
    decision = decision_of(good, verdict_of(good, opinion=opinion_of(0.97)), heard_of(good))
    text = write(tmp_path, decision).read_text(encoding="utf-8")
    sections = re.findall(r'<section id="(\w+)">', text)
    assert sections == ["rivals", "networks", "where", "fits", "parameters", "measured", "record", "papers"]
    assert text.count("<img ") == 3  # evidence, networks, fits
    assert 'class="verdict passed"' in text
    assert '<a href="weak/report.html">weak</a>' in text
    words = words_of(text)
    assert "ferromagnetic" in words.lower()
    assert "chain or weak?" in words
    assert "weak −183.4 ± 0.1 60.0 ± 0.1" in words
    assert "features 20 % components 70 %" in words
    assert "Nothing speaks against the map of the networks." in words
    assert "this map 0.80 0.70 random weights, 2 committees −0.30 to 0.40 −0.50 to 0.10" in words
    assert re.search(r"J −\d\.\d+\(\d+\) meV \(−0\.95\) −1 ", words), (
        "a fixed value is in brackets, the truth beside it"
    )


def test_a_map_that_chance_would_draw_is_not_to_be_read(good: Result) -> None:
    decision = decision_of(good, verdict_of(good, opinion=opinion_of(0.97)), heard_of(good, 0.35))
    words = words_of(html(decision))
    assert "Do not read the map of the networks: it agrees with where the evidence is decided no better" in words
    assert "(0.35, of which chance reaches 0.40)" in words


def test_a_single_network_has_no_others_to_agree_with(good: Result) -> None:
    alone = replace(heard_of(good), members=None, chance_members=())
    words = words_of(html(decision_of(good, verdict_of(good, opinion=opinion_of(0.97)), alone)))
    assert "this map 0.80 – random weights, 2 committees −0.30 to 0.40 – " in words
    assert "Nothing speaks against the map of the networks." in words


def test_without_networks_nothing_is_said_of_them(good: Result) -> None:
    text = html(decision_of(good, verdict_of(good, gap=1.0)))
    assert 'class="verdict failed"' in text
    assert "etwork" not in words_of(text)
    assert text.count("<img ") == 2


def test_the_same_as_data(good: Result) -> None:
    said = mapping(verdict_of(good, opinion=opinion_of(0.97)), heard_of(good))
    assert said["decided"] == "chain"
    assert said["networks"]["agreement"] == {"": 0.8}
    assert said["networks"]["trust"]["random_between_members"] == [0.1, -0.5]
    assert said["networks"]["log_odds_of_best_by_member"]["weak"] == pytest.approx([3.476, 2.944], abs=1e-3)
    assert "networks" not in mapping(verdict_of(good))


def test_scans_are_shown_rival_by_rival(good: Result) -> None:
    model = good.experiment.model
    points = QPoints(model.lattice, [[0.2, 0, 0]] * 6)
    ends = torch.linspace(1, 4, 7).double()
    measurement = Measurement(points, torch.stack((ends[:-1], ends[1:]), 1), 5.0)
    experiment = Experiment(model, measurement, Instrument(counting=Poisson()), samples=1)
    spectrum = experiment.sample(experiment.pack(J=-1.0, fwhm=0.4, scale=50.0, background=2.0), seed=3)
    scanned = replace(good, experiment=experiment, spectrum=spectrum)
    scanned = replace(scanned, posterior=replace(good.posterior, simulator=experiment))
    verdict = verdict_of(scanned)
    text = html(Decision(verdict, dict.fromkeys(verdict.evidence, (scanned,)), Record.start()))
    assert "<h3>chain</h3>" in text
    assert "<h3>weak</h3>" in text
    assert 'id="fits"' not in text
    assert 'id="where"' not in text


def line_of(good: Result) -> Result:
    """The same measured along a line through a grid."""
    edges = [torch.linspace(0, 1, n + 1).double() for n in (8, 1, 1)]
    points = QGrid(good.experiment.model.lattice, torch.eye(3), edges)
    measurement = Measurement(points, torch.tensor([1.0, 2.0]).double(), 5.0)
    experiment = Experiment(good.experiment.model, measurement, Instrument(counting=Poisson()), samples=1)
    spectrum = experiment.sample(experiment.pack(J=-1.0, fwhm=0.4, scale=50.0, background=2.0), seed=3)
    posterior = replace(good.posterior, simulator=experiment)
    return replace(good, experiment=experiment, spectrum=spectrum, posterior=posterior)


def test_a_line_through_a_grid_has_no_pictures_of_a_map_and_no_network_is_asked_for_one(good: Result, tmp_path) -> None:
    line = line_of(good)
    verdict = verdict_of(line)
    decision = Decision(verdict, dict.fromkeys(verdict.evidence, (line,)), Record.start())
    deciding._drawn(tmp_path, decision)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    nobody = Jury(Committee([]), Contest({}), Familiar({}, torch.zeros(1, 0).double()))
    work = Study(Config.model_construct(), line.spectrum, line.experiment, line.prior)
    works = dict.fromkeys(verdict.evidence, work)
    assert deciding._heard(nobody, verdict, works) is None


def test_doubts_are_said_without_a_map_too(good: Result) -> None:
    line = line_of(good)
    verdict = verdict_of(line, opinion=opinion_of(0.97))
    text = html(Decision(verdict, dict.fromkeys(verdict.evidence, (line,)), Record.start(), heard_of(line, 0.35)))
    assert "Do not read the map of the networks: it agrees with where the evidence is decided" in words_of(text)
    assert "Red speaks for the first" not in words_of(text)
