"""The missing cause: found where it is, asked for by nothing else, and what cannot be told said so."""

import pytest
import torch
from scipy import stats

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.measured import missing
from sqwirrel.explain.causal.measured.additions import Addition, additions, with_terms
from sqwirrel.explain.causal.measured.missing import scored
from sqwirrel.infer import infer
from sqwirrel.infer.checks.misfit import held_check
from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.model import library
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Joint, PeakExperiment, Poisson
from sqwirrel.observe.instrument import Instrument as Nuisances
from sqwirrel.observe.resolution import GaussianResolution, OffsetResolution
from sqwirrel.spectra import Measurement, QPath, QShells
from sqwirrel.spectra.peaks import Peaks
from tests.unit.explain.causal.measured.conftest import CHAIN, POINTS, QUICK

CRYSTAL, REACH, STILL = library.crystal("fm_chain"), 6.1, torch.zeros(3, dtype=torch.float64)


def with_added(model, crystal, name: str, reach: float):
    """The model that has what another lacks."""
    return with_terms(
        model, [each for each in additions(model, crystal, model.defaults, STILL, reach) if each.name == name]
    )


def further_chain(chain) -> Experiment:
    return Experiment(with_added(CHAIN, CRYSTAL, "J(2)", REACH), chain.where, chain.instrument, samples=1)


def test_a_missing_coupling_is_found_and_measured(chain) -> None:
    further = further_chain(chain)
    theta = further.pack(**{"J": -1.0, "J(2)": -0.04, "fwhm": 0.5, "scale": 150, "background": 6})
    data = further.sample(theta, 3)
    found = missing(chain.rival, chain.infer(data), data, CRYSTAL, max_distance=REACH)
    first = found.findings[0]
    assert first.name == "J(2)"
    assert first.corrected < 1e-4
    assert first.value == pytest.approx(-0.04, abs=4 * first.error)
    assert first.meaning == "Heisenberg exchange on bond 2, 6.00 A"
    assert first in found.asked
    assert str(found).startswith("J(2) (Heisenberg exchange on bond 2, 6.00 A): -")


def test_the_score_is_that_of_a_fit_with_the_candidate_free(chain) -> None:
    """estimate / error of a posterior with J2 free is the score, to what a single step can say."""
    further = further_chain(chain)
    data = further.sample(further.pack(**{"J": -1.0, "J(2)": -0.01, "fwhm": 0.5, "scale": 150, "background": 6}), 4)
    (score,) = [each for each in scored(*chain.fit(data), CRYSTAL, REACH).findings if each.name == "J(2)"]
    prior = Prior(**chain.prior.free, fwhm=Fixed(0.5), **{"J(2)": Uniform(-0.5, 0.5, "meV")}).ordered(further.names)
    target = Target.of(further, prior, data)
    start = torch.tensor(
        [[-1.0 if n == "J" else 150.0 if n == "scale" else 6.0 if n == "background" else 0.0 for n in prior.names]]
    )
    best = refine(target, start.double())[0]
    k = prior.names.index("J(2)")
    value = float(prior.constrain(best.z[None])[0, k])
    error = float(best.covariance[k, k].sqrt() * target.stretch(best.z[None])[0, k])
    assert score.value == pytest.approx(value, abs=0.3 * error)
    assert score.error == pytest.approx(error, rel=0.1)


def test_data_from_the_model_itself_ask_for_nothing(chain) -> None:
    """p-values of 50 noises are even, candidate by candidate, and few of them ask for anything."""
    p, asked = {}, 0
    for seed in range(50):
        found = scored(*chain.fit(chain.experiment.sample(chain.truth, 300 + seed)), CRYSTAL, REACH)
        asked += len(found.asked) > 0
        for each in found.findings:
            if not each.untested:
                p.setdefault(each.name, []).append(each.p)
    gaps = {f"{kind}{axes}" for kind in ("A(1)", "D(A)") for axes in ("xx", "yy")}
    assert set(p) == {"J(2)", *gaps, "fwhm", "fwhm_1", "energy_offset", "background_slope"}
    assert all(len(each) == 50 for each in p.values())
    assert min(stats.kstest(each, "uniform").pvalue for each in p.values()) > 0.01 / len(p)
    assert asked <= 3


@pytest.mark.slow
def test_a_rough_average_of_derivatives_keeps_the_level() -> None:
    """A powder whose fit has a dense average: derivatives of candidates are those of few points."""
    model, crystal = library.load("rb2mnf4"), library.crystal("rb2mnf4")
    where = Measurement(QShells(torch.linspace(0.5, 2.5, 21).double()), torch.linspace(0.5, 8, 31).double(), 5.0)
    experiment = Experiment(model, where, Instrument(counting=Poisson()), samples=16, cell=0.1)
    theta = experiment.pack(fwhm=0.4, fwhm_q=0.05, scale=300, background=2)
    held = {"fwhm": Fixed(0.4), "fwhm_q": Fixed(0.05)}
    prior = Prior(**model.prior.free, **held, scale=LogUniform(10, 1e4), background=Uniform(0, 20))
    posterior = infer(experiment, prior, experiment.sample(theta, 1), QUICK)
    dense, best, p = posterior.simulator, posterior.basins[0].theta[None], {}
    row = dense.pack(**dict(zip(prior.names, best[0].tolist(), strict=True)), fwhm=0.4, fwhm_q=0.05)
    for seed in range(60):
        target = Target.of(dense, prior, dense.sample(row, 500 + seed))
        found = scored(target, prior.constrain(refine(target, best)[0].z[None]), crystal, None)
        for each in found.findings:
            if not each.untested:
                p.setdefault(each.name, []).append(each.p)
    assert {"J(3)", "J(4)", "A(1)xx", "energy_offset", "background_slope_q"} <= set(p)
    assert min(stats.kstest(each, "uniform").pvalue for each in p.values()) > 0.01 / len(p)


def test_a_held_parameter_scores_as_the_check_of_a_fit_says(chain) -> None:
    data = chain.experiment.sample(chain.experiment.pack(J=-1.0, fwhm=0.55, scale=150, background=6), 5)
    target, best = chain.fit(data)
    (check,) = held_check(target, refine(target, best)[0])
    found = scored(target, best, None, None)
    assert found["fwhm"].score == pytest.approx(check.value, rel=0.02)
    assert found["fwhm"].kind == "held"
    assert found["fwhm"].value == pytest.approx(0.55, abs=4 * found["fwhm"].error)
    assert {each.kind for each in found.findings} == {"held", "instrument"}


def test_an_instrument_that_is_another_is_a_rival(chain) -> None:
    """Energies 0.06 meV off: the offset is asked for, and it is said that an axis would do the same to a ferromagnet."""
    instrument = Nuisances(OffsetResolution(GaussianResolution()), counting=Poisson())
    moved = Experiment(CHAIN, chain.where, instrument, samples=1)
    data = moved.sample(moved.pack(J=-1.0, fwhm=0.5, energy_offset=0.06, scale=150, background=6), 6)
    found = scored(*chain.fit(data), CRYSTAL, REACH)
    assert found["energy_offset"] in found.asked
    assert found["energy_offset"].kind == "instrument"
    first = found.findings[0]
    assert "energy_offset" in (first.name, *first.alike)
    assert "energy_offset" in found["D(A)xx"].alike
    assert "; or A(1)xx" in str(found["energy_offset"])
    assert found["energy_offset"].value == pytest.approx(0.06, abs=4 * found["energy_offset"].error)


def test_what_free_parameters_do_already_is_not_told(chain) -> None:
    """An axis along the moments is a further gap, exchange between chains does nothing along them, and both say so."""
    data = chain.experiment.sample(chain.truth, 1)
    found = scored(*chain.fit(data), CRYSTAL, 8.1)
    across = [each for each in found.findings if each.name.startswith("J(3")]
    assert len(across) == 2
    assert all(each.untested.startswith("no first order") for each in across)
    assert not found.findings[0].untested
    with pytest.raises(InputError, match="there is no candidate 'J9'; there are"):
        found["J9"]


def test_free_parameters_that_span_a_candidate_are_named_so() -> None:
    """On the square lattice J(2) xx - zz does to a moment along c what J2 and D do."""
    model = library.load("rb2mnf4")
    where = Measurement(QPath(model.lattice, POINTS, torch.zeros(3, 3)), torch.linspace(0.3, 8, 41).double(), 5.0)
    experiment = Experiment(model, where, Instrument(counting=Poisson()), samples=1)
    data = experiment.sample(experiment.pack(fwhm=0.5, scale=150, background=6), 1)
    prior = Prior(**model.prior.free, fwhm=Fixed(0.5), scale=LogUniform(1, 1e4), background=Uniform(0, 50))
    target = Target.of(experiment, prior, data)
    start = torch.tensor([[0.657, 0.006, -0.00615, 150, 6]]).double()
    best = prior.constrain(refine(target, start)[0].z[None])
    found = scored(target, best, library.crystal("rb2mnf4"), None)
    assert found["A(2)xx"].untested.startswith("not told")
    assert not found["J(4)"].untested


@pytest.mark.parametrize(("group", "along", "first_order"), [("P m m 2", "y", False), ("P m 2 m", "z", True)])
def test_exchange_that_does_nothing_at_first_order_says_so(chain, group, along, first_order) -> None:
    """Dzyaloshinskii-Moriya exchange along the moments of a ferromagnet moves its magnons to one side, across them not."""
    crystal = Crystal.from_spacegroup([3.0, 8.0, 8.0, 90.0, 90.0, 90.0], group, {"A": [0.0, 0.0, 0.0]})
    found = scored(*chain.fit(chain.experiment.sample(chain.truth, 2)), crystal, 3.1)
    (each,) = [each for each in found.findings if each.name.startswith("DM")]
    assert each.name == f"DM(1){along}"
    assert bool(each.untested) is not first_order
    assert first_order or each.untested.startswith("no first order")


def test_a_term_that_tilts_the_order_is_followed() -> None:
    """Anisotropic exchange of a Kitaev magnet turns its moments, and is found with what these do to the modes."""
    model, crystal = library.load("kitaev"), library.crystal("kitaev")
    assert {x.name: x.tilts for x in additions(model, crystal, model.defaults, STILL)}["A(1)xx"]
    points = torch.rand(8, 3, generator=torch.Generator().manual_seed(1)).double() * 1.5
    where = Measurement(QPath(model.lattice, points, torch.zeros(3, 3)), torch.linspace(0.1, 6, 51).double(), 5.0)
    truth = Experiment(with_added(model, crystal, "A(1)xx", 3.0), where, Instrument(counting=Poisson()), samples=1)
    assert truth.model.relaxed
    data = truth.sample(truth.pack(**{"A(1)xx": 0.03}, fwhm=0.24, scale=1800, background=5), 1)
    experiment = Experiment(model, where, Instrument(counting=Poisson()), samples=1)
    prior = Prior(**model.prior.free, fwhm=Fixed(0.24), scale=LogUniform(10, 1e6), background=Uniform(0, 20))
    target = Target.of(experiment, prior, data)
    best = prior.constrain(refine(target, torch.tensor([[-1.0, 2.0, 1800, 5]]).double())[0].z[None])
    found = scored(target, best, crystal, None)
    assert found["A(1)xx"] in found.asked
    assert found["A(1)xx"].value == pytest.approx(0.03, abs=4 * found["A(1)xx"].error)


def test_a_missing_spring_is_found() -> None:
    crystal = Crystal.from_spacegroup([4.05] * 3 + [90.0] * 3, "F m -3 m", {"Al": [0.0, 0.0, 0.0]})
    near, far = (born_von_karman(crystal, reach, name="al") for reach in (3.0, 4.2))
    points = torch.tensor([[2 + h, 0.3 * h, 0] for h in (0.2, 0.35, 0.5, 0.7, 0.85, 1.0)], dtype=torch.float64)
    where = Measurement(QPath(near.lattice, points, torch.zeros(3, 3)), torch.linspace(2, 45, 61).double(), 300.0)
    instrument = Instrument(counting=Poisson())
    truth = Experiment(far, where, instrument, samples=1)
    springs = {"K1xx": 10.0, "K1xy": 11.0, "K1zz": -1.5, "K2xx": 2.5, "K2yy": 0.0}
    data = truth.sample(truth.pack(**springs, fwhm=3.0, scale=3000, background=6), 1)
    experiment = Experiment(near, where, instrument, samples=1)
    free = {name: Uniform(-30, 30, "N/m") for name in near.names}
    prior = Prior(**free, fwhm=Fixed(3.0), scale=LogUniform(1, 1e6), background=Uniform(0, 50))
    target = Target.of(experiment, prior, data)
    best = prior.constrain(refine(target, torch.tensor([[10.0, 11.0, -1.5, 3000, 6]]).double())[0].z[None])
    found = scored(target, best, crystal, 4.2)
    assert found["K2xx"].meaning == "a spring of 4.05 A"
    assert found["K2xx"].unit == "N/m"
    assert found["K2xx"].corrected < 1e-4
    assert {each.name for each in found.findings if each.kind == "hamiltonian"} == {"K2xx", "K2yy"}


def test_peaks_and_several_measurements(chain) -> None:
    """A table of peaks and a map ask together; nuisances are those of their measurement."""
    further = with_added(CHAIN, CRYSTAL, "J(2)", REACH)
    truth = {"J": -1.0, "J(2)": -0.05}
    more = Experiment(further, chain.where, chain.instrument, samples=1)
    data = more.sample(more.pack(**truth, fwhm=0.5, scale=150, background=6), 8)
    h = POINTS[:, 0]
    energy = 4 * (1 - torch.cos(2 * torch.pi * h)) / 2 + 0.05 * 2 * (1 - torch.cos(4 * torch.pi * h))
    table = Peaks(CHAIN.lattice, POINTS, energy, torch.full((6,), 0.02))
    together = Joint({"map": chain.experiment, "table": PeakExperiment(CHAIN, table)})
    prior = Prior(
        J=Uniform(-2, -0.2, "meV"),
        fwhm_map=Fixed(0.5),
        scale_map=LogUniform(1, 1e4),
        background_map=Uniform(0, 50),
        outliers_table=Fixed(0.01),
    )
    both = {"map": data, "table": table}
    found = missing(Hypothesis(together, prior), infer(together, prior, both, QUICK), both, CRYSTAL, max_distance=REACH)
    alone = missing(chain.rival, chain.infer(data), data, CRYSTAL, max_distance=REACH)
    assert found["J(2)"].error < alone["J(2)"].error
    assert found["J(2)"].corrected < 1e-4
    assert {"energy_offset_map", "fwhm_1_map", "background_slope_map", "fwhm_map"} <= {x.name for x in found.findings}


def test_the_crystal_of_another_model_is_refused() -> None:
    with pytest.raises(InputError, match="model 'fm_chain' is not one of this crystal"):
        additions(CHAIN, library.crystal("rb2mnf4"), CHAIN.defaults, STILL)
    al = born_von_karman(Crystal.from_spacegroup([4.05] * 3 + [90.0] * 3, "F m -3 m", {"Al": [0.0] * 3}), 3.0)
    with pytest.raises(InputError, match="is not a Born-von Karman model of this crystal"):
        additions(al, Crystal.from_spacegroup([3.0] * 3 + [90.0] * 3, "P m -3 m", {"Al": [0.0] * 3}), {}, STILL, 3.1)


def lacking(name: str, reach: float | None = None) -> dict[str, Addition]:
    model = library.load(name)
    return {x.name: x for x in additions(model, library.crystal(name), model.defaults, STILL, reach)}


def test_terms_that_cannot_be_say_why() -> None:
    assert "changes when turned about the axis of the spiral" in lacking("triangular")["A(1)xx"].refused
    assert lacking("yb2ti2o7", 3.7)["D(Yb)xy"].refused == "a spin 1/2 has no such anisotropy"
    low = Crystal.from_spacegroup([3.0, 8.0, 8.0, 90.0, 90.0, 90.0], "P 1", {"A": [0.0, 0.0, 0.0]})
    free = {each.name: each for each in additions(CHAIN, low, CHAIN.defaults, STILL, 3.1)}
    assert "moments turn far" in free["D(A)xz"].refused  # nothing holds a Heisenberg ferromagnet
    assert not free["D(A)xx"].refused
    plain = Crystal.from_spacegroup([4.215, 4.215, 13.77, 90.0, 90.0, 90.0], "P 4/m m m", {"Mn": [0.0, 0.0, 0.0]})
    model = library.load("rb2mnf4")
    with pytest.raises(InputError, match="model 'rb2mnf4' is not one of this crystal"):
        additions(model, plain, model.defaults, STILL)  # without its centring
