"""match(): what comes out, what it says of itself, and who refuses it."""

import math
from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.matching import Numbers, match
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.rivals import Classifier, Committee, Contest
from sqwirrel.learn.strange import Jury
from sqwirrel.learn.translate.domain import Domain, Unpaired
from sqwirrel.learn.translate.inside import Matcher
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Gaussian, GaussianResolution, Instrument, Poisson
from sqwirrel.report.figures import picture
from sqwirrel.report.figures.rivals import matched_maps
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum, read, write
from sqwirrel.units import K_B

CHAIN = library.load("fm_chain")
BELIEFS = {"fwhm": 0.5, "scale": {"uniform": [50.0, 60.0]}, "background": 0.5}


def experiment(counting=None):
    q = torch.zeros(8, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, 8)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, 25), 1.0)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=counting or Poisson()), samples=1)


def pairs(low, high, seed):
    made = Prior.from_mapping({"J": {"uniform": [low, high]}, **BELIEFS})
    return Pairs(simulations(experiment(), made, 512, seed=seed))


@pytest.fixture(scope="module")
def learnt():
    return pairs(-2.0, -0.5, 1)


@pytest.fixture(scope="module")
def matcher(learnt):
    both = Unpaired(Domain.expected(learnt), Domain.noisy(learnt))
    one = Translator.sized_for(both, channels=4, blocks=1)
    one.marks.spread.fill_(1.0)
    one.marks.before.fill_(2.0)
    one.marks.after.fill_(1.0)
    return Matcher.of(one, both)


@pytest.fixture(scope="module")
def measured():
    simulator = experiment()
    return simulator.sample(simulator.pack(J=-1.1, fwhm=0.5, scale=55.0, background=0.5), seed=1)


@pytest.fixture(scope="module")
def matched(matcher, measured):
    return match(matcher, measured, to="simulated", fwhm=0.5)


def test_an_untrained_translator_changes_nothing(matched, measured):
    assert torch.allclose(matched.spectrum.intensity, measured.intensity, atol=1e-3)
    assert float(matched.change.abs().max()) < 1e-3
    assert matched.spectrum.measurement is measured.measurement
    assert matched.share > 0.01
    assert len(matched.shifts) > 3
    assert float(matched.shifts.abs().max()) < 1e-3


def test_it_says_that_it_is_translated_wherever_it_goes(matched, tmp_path):
    spectrum = matched.spectrum
    assert spectrum.translated == "simulated"
    assert not bool(spectrum.error.any())
    assert not spectrum.is_counts
    write(tmp_path / "matched.h5", spectrum)
    kept = read(tmp_path / "matched.h5")
    assert torch.equal(kept.intensity, spectrum.intensity)
    parts = [kept, kept.slice_energy(1, 5), kept.rebin(energy=2), kept.exclude(1, 2), kept.trim(1)]
    assert [each.translated for each in (*parts, kept.with_errors_from_scatter())] == ["simulated"] * 6
    assert "translated to simulated" in picture(kept, "a.h5").axes[0].get_title(loc="left")
    assert "Translated to simulated" in matched_maps(matched).get_suptitle()
    assert "DOUBTS" not in matched_maps(matched).get_suptitle()
    assert "DOUBTS" in matched_maps(replace(matched, doubts=("collapsed",))).get_suptitle()


def test_no_likelihood_takes_it(matched, learnt):
    sentence = "was translated to 'simulated', not measured: no likelihood takes it"
    for counting in (Poisson(), Gaussian()):
        with pytest.raises(InputError, match=sentence):
            infer(experiment(counting), learnt.prior, matched.spectrum, Settings(screen=8))
    with_errors = matched.spectrum.with_errors_from_scatter()
    with pytest.raises(InputError, match=sentence):
        infer(experiment(Gaussian()), learnt.prior, with_errors, Settings(screen=8))
    with pytest.raises(InputError, match=sentence):
        _ = Pairs(learnt.simulations, with_errors).parts
    with pytest.raises(InputError, match=sentence):
        Domain.measured([with_errors])


def test_a_classifier_takes_it_only_if_asked_to(matched, measured):
    contest = Contest.of({"strong": pairs(-1.8, -1.4, 2), "weak": pairs(-1.1, -0.7, 3)})
    jury = Jury.of(Committee([Classifier.sized_for(contest, 0)]), contest, images=32)
    with pytest.raises(InputError, match="not measured"):
        jury.opinion(matched.spectrum)
    one, other = jury.opinion(matched.spectrum, translated=True), jury.opinion(measured)
    assert one.probability["weak"] == pytest.approx(other.probability["weak"], abs=0.01)


def test_what_is_not_like_the_domain_is_refused_with_its_distance(matcher, measured):
    turned = Spectrum.from_arrays(
        measured.intensity.flip(1), measured.error.flip(1), measured.measurement, is_counts=True
    )
    with pytest.raises(
        InputError,
        match=r"not like the measured ones .* in shape .*, none of 256 held-out ones as far; .* 256 are few",
    ):
        match(matcher, turned, to="simulated")
    brighter = Spectrum.from_arrays(measured.intensity * 50, measured.error, measured.measurement, is_counts=True)
    with pytest.raises(InputError, match="not like the measured ones"):
        match(matcher, brighter, to="simulated")


def test_wrong_input_is_refused(matcher, measured, matched):
    with pytest.raises(InputError, match="goes between simulated and measured, not to 'clean'"):
        match(matcher, measured, to="clean")
    with pytest.raises(InputError, match=r"has \(8, 12\) bins, the translator learnt from maps of \(8, 24\)"):
        match(matcher, measured.rebin(energy=2), to="simulated")
    with pytest.raises(InputError, match="takes 0 conditions, got 1"):
        match(matcher, measured, to="simulated", condition=[5.0])
    with pytest.raises(InputError, match="not measured"):
        match(matcher, matched.spectrum, to="measured")
    bare = Spectrum.from_arrays(measured.intensity, 0 * measured.error, measured.measurement)
    with pytest.raises(InputError, match="has a positive error"):
        match(matcher, bare, to="simulated")


def test_conditions_of_nothing_that_was_learnt_are_refused(learnt, measured):
    under = torch.full((512, 1), 70.0)
    both = Unpaired(Domain.expected(learnt, under), Domain.noisy(learnt, under))
    one = Matcher.of(Translator.sized_for(both, channels=4, blocks=1), both)
    with pytest.raises(InputError, match=r"measured under 35 \(conditions from 70 to 70\)"):
        match(one, measured, to="simulated", condition=[35.0])
    assert len(match(one, measured, to="simulated", condition=[70.0]).distance) == 3


def test_the_other_direction_needs_no_errors(matcher):
    theta = experiment().pack(J=-1.1, fwhm=0.5, scale=55.0, background=0.5)
    with torch.no_grad():
        level = experiment()(theta)[0]
    clean = Spectrum.from_arrays(level, 0 * level, experiment().measurement)
    found = match(matcher, clean, to="measured")
    assert found.spectrum.translated == "measured"
    assert not bool(found.spectrum.error.any())


def test_numbers_are_printed_before_and_after(matched):
    text, told = str(matched), matched.mapping()
    assert text.startswith("translated to simulated: no measurement, and for no likelihood\n")
    assert "first moment" in text
    assert "% within a tenth of it" in text
    assert "DOUBT" not in text
    assert told["integral"][0] == pytest.approx(told["integral"][1], rel=1e-4)
    assert told["balance"] == [None, None]
    assert told["modes_within_a_tenth"] == 1


def test_doubts_of_the_training_are_said(matcher, measured):
    matcher.translator.marks.spread.fill_(0.1)
    assert "DOUBT images translated to 'simulated' have collapsed" in str(match(matcher, measured, "simulated"))
    matcher.translator.marks.spread.fill_(1.0)


def thermal(temperature, at=(2.0, 4.0), *, broken=1.0):
    """Lines at +-E of S(-E) = S(E) exp(-E / kT), on 60 bins from -6 to 6 meV."""
    edges = torch.linspace(-6, 6, 61, dtype=torch.float64)
    where = Measurement(QShells(torch.linspace(0.5, 1.5, len(at) + 1)), edges, temperature)
    energy, centre = where.energy_centres, torch.tensor(at, dtype=torch.float64)[:, None]
    line = torch.exp(-0.5 * ((energy.abs() - centre) / 0.3) ** 2)
    gain = broken * torch.exp(energy.clamp(max=0) / (K_B * temperature))
    level = line * torch.where(energy < 0, gain, 1.0)
    return Spectrum.from_arrays(level, 0 * level, where)


def test_numbers_of_lines_are_those_of_their_law():
    found = Numbers.of(thermal(30.0))
    assert found.balance == pytest.approx(1, abs=1e-9)
    assert Numbers.of(thermal(30.0, broken=1.3)).balance == pytest.approx(1.3)
    area = 0.3 * math.sqrt(2 * math.pi)
    loss = [area * (1 + math.exp(-e / (K_B * 30))) for e in (2.0, 4.0)]
    assert found.integrals.tolist() == pytest.approx(loss, rel=0.02)  # exp(-E / kT) bends over a line
    assert found.integral == pytest.approx(sum(loss) / 2, rel=0.02)
    moment = [area * e * (1 - math.exp(-e / (K_B * 30))) for e in (2.0, 4.0)]
    assert found.moment == pytest.approx(sum(moment) / 2, rel=0.02)
    assert found.modes.tolist() == pytest.approx([2.0, 4.0], abs=0.02)


def test_what_was_not_measured_does_not_count():
    whole = thermal(30.0)
    half = whole.exclude(-6, 0)
    found = Numbers.of(half)
    assert math.isnan(found.balance)
    assert found.modes.tolist() == pytest.approx([2.0, 4.0], abs=0.02)
    for row, energy in enumerate((2.0, 4.0)):
        cut = whole.exclude(energy - 0.5, energy + 0.5).exclude(-energy - 0.5, 0.5 - energy)
        assert math.isnan(Numbers.of(cut).modes[row])
    assert Numbers.of(whole.exclude(-6, 6).slice_energy(-2, 2)).integral == 0


def test_noise_has_no_modes():
    where = thermal(30.0).measurement
    level = 5 + torch.randn(where.shape, generator=stream_of(3), dtype=torch.float64)
    assert bool(torch.isnan(Numbers.of(Spectrum.from_arrays(level, torch.ones_like(level), where)).modes).all())


def stream_of(seed):
    return torch.Generator().manual_seed(seed)
