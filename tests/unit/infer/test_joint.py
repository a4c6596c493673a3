"""Joint inference: several spectra and tables of peaks say together what they say one by one."""

from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.infer.averages import Averages
from sqwirrel.infer.checks import fit_checks
from sqwirrel.infer.screen import profile
from sqwirrel.infer.target import Target
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.observe.joint import Joint
from sqwirrel.observe.peaks import PeakExperiment
from sqwirrel.spectra import Measurement, QShells, Spectrum
from sqwirrel.spectra.peaks import Peaks

CHAIN = library.load("fm_chain")
QUICK = Settings(screen=128, starts=4, draws=400, seed=2)


def powder(top: float, shells: int, temperature: float, incident: float) -> Experiment:
    edges = torch.linspace(0.4, 1.8, shells + 1, dtype=torch.float64)
    where = Measurement(
        QShells(edges), torch.linspace(0.6, top, 40, dtype=torch.float64), temperature, incident_energy=incident
    )
    return Experiment(CHAIN, where, Instrument(counting=Poisson()), samples=96, cell=0.1)


PARTS = {"low": powder(4.8, 8, 3.0, 6.0), "high": powder(7.0, 12, 20.0, 12.0)}
JOINT = Joint(PARTS)
NUISANCES = {
    "fwhm": Uniform(0.1, 1.5, "meV"),
    "fwhm_q": Fixed(0.05),
    "scale": LogUniform(1, 1e4),
    "background": Uniform(0, 50),
}
ALONE = Prior(J=Uniform(-2, -0.2, "meV"), **NUISANCES)
BOTH = Prior(
    J=Uniform(-2, -0.2, "meV"), **{f"{name}_{label}": law for label in PARTS for name, law in NUISANCES.items()}
)
SCALE = {"low": 8.0, "high": 5.0}


def measured(label: str) -> Spectrum:
    theta = PARTS[label].pack(J=-1.0, fwhm=0.4, fwhm_q=0.05, scale=SCALE[label], background=1.0)
    return PARTS[label].anchored(theta).experiment.sample(theta, 1)


DATA = {label: measured(label) for label in PARTS}


@pytest.fixture(scope="module")
def alone() -> dict[str, Posterior]:
    return {label: infer(PARTS[label], ALONE, DATA[label], QUICK) for label in PARTS}


@pytest.fixture(scope="module")
def both() -> Posterior:
    return infer(JOINT, BOTH, DATA, QUICK)


def test_two_spectra_are_the_product_of_each(alone: dict[str, Posterior], both: Posterior) -> None:
    """J is all they share: its information adds up, and its mean is weighed with that; 400 draws know it to 0.1."""
    assert both.names == BOTH.names
    limits = torch.stack([each.limit[0] for each in alone.values()])
    assert float(both.limit[0]) == pytest.approx(float((limits**-2).sum() ** -0.5), rel=0.02)
    assert float(both.limit[0]) < 0.95 * float(limits.min())
    mean, sd = (torch.stack(part) for part in zip(*map(moments, alone.values()), strict=True))
    weight = sd**-2 / (sd**-2).sum()
    found, spread = moments(both)
    assert float((found - weight @ mean).abs()) < 0.3 * float(both.limit[0])
    assert float(spread / (sd**-2).sum() ** -0.5) == pytest.approx(1, abs=0.15)
    assert abs(float(found) + 1.0) < 4 * float(spread)


def moments(posterior: Posterior) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the first parameter."""
    return posterior.log_weight.exp() @ posterior.draws[:, 0], posterior.covariance[0, 0].sqrt()


def test_checks_of_a_term_carry_its_label(both: Posterior) -> None:
    names = [check.name for check in both.checks]
    own = ("deviance_per_bin", "residual_structure", "quadrature", "stable_order")
    assert {f"{name}_{label}" for name in own for label in PARTS} <= set(names)
    assert not set(own) & set(names)
    assert {"complete", "pareto_k", "effective_draws", "inside_prior", "identified", "one_basin"} <= set(names)
    # the cones of a chain want more points than a test can afford; one width is near the least that is allowed
    failed = {check.name for check in both.checks if not check.passed}
    assert failed <= {"quadrature_low", "quadrature_high", "inside_prior"}
    per_bin = {check.name: check.value for check in both.checks}
    sizes = {label: int(each.valid.sum()) for label, each in DATA.items()}
    total = sum(per_bin[f"deviance_per_bin_{label}"] * size for label, size in sizes.items())
    assert both.deviance_per_bin == pytest.approx(total / sum(sizes.values()), rel=1e-9)


def test_a_misfit_of_one_term_is_found_there() -> None:
    data = DATA["high"].intensity.clone()
    data[:, 10:14] += 4
    wrong = Spectrum.from_arrays(data, data.sqrt(), PARTS["high"].measurement, is_counts=True)
    truth = [-1.0, 0.4, SCALE["low"], 1.0, 0.4, SCALE["high"], 1.0]
    found = fit_checks(Target.of(JOINT, BOTH, {**DATA, "high": wrong}), torch.tensor(truth, dtype=torch.float64))[1]
    failed = {check.name for check in found if not check.passed}
    assert "residual_structure_high" in failed
    assert "residual_structure_low" not in failed


def test_a_joint_of_one_is_the_one(alone: dict[str, Posterior]) -> None:
    named = Prior(J=ALONE.free["J"], **{f"{name}_low": law for name, law in NUISANCES.items()})
    answer = infer(Joint({"low": PARTS["low"]}), named, {"low": DATA["low"]}, QUICK)
    assert answer.names == ("J", "fwhm_low", "scale_low", "background_low")
    # each parameter has a stream of its own for screening, by its name: other starts end in the same place
    assert torch.allclose(answer.limit, alone["low"].limit, rtol=5e-3)
    assert float(((answer.median - alone["low"].median) / answer.limit).abs().max()) < 0.3


def test_a_target_adds_up_its_terms() -> None:
    shared = Joint(PARTS, shared=["scale"])
    laws = {f"{name}_{label}": law for label in PARTS for name, law in NUISANCES.items() if name != "scale"}
    prior = Prior(scale=LogUniform(1, 100), J=ALONE.free["J"], **laws)
    target = Target.of(shared, prior, DATA)
    theta = torch.tensor([[4.0, -1.1, 0.3, 2.0, 0.5, 1.0]], dtype=torch.float64)
    own = {"low": [[-1.1, 0.3, 0.05, 4.0, 2.0]], "high": [[-1.1, 0.5, 0.05, 4.0, 1.0]]}
    total = 0.0
    for label, row in own.items():
        alone = Prior(**dict.fromkeys(PARTS[label].names, Uniform(-100, 100)))
        total += float(Target.of(PARTS[label], alone, DATA[label]).deviance(torch.tensor(row).double()))
    assert float(target.deviance(theta)) == pytest.approx(total, rel=1e-6)  # float32 literals
    z = prior.unconstrain(theta)
    slope, step = target.slope(z), 1e-5 * torch.eye(6, dtype=torch.float64)
    up, down = target.log_posterior(z + step), target.log_posterior(z - step)
    # the expectation has kinks in J and the widths where a line crosses the fine grid
    assert torch.allclose(slope.gradient[0], (up - down) / 2e-5, rtol=1e-4, atol=1e-2)
    scaled = torch.cat((theta, theta))
    scaled[1, 0] = 2.0
    profiled, _ = profile(target, scaled)
    assert profiled[:, 0].tolist() == [4.0, 2.0]  # shared, and so not solved for
    assert float((profiled[0, 3] - profiled[1, 3]).abs()) > 1e-3  # a background of its own is


def test_merged_counts_tell_as_much_beside_other_data_as_they_should() -> None:
    """Counts merged by two beside counts that are not: twice the weight, so that the odds are those of all bins."""
    fine = Experiment(
        CHAIN,
        Measurement(QShells([0.4, 1.0, 1.8]), torch.linspace(0.6, 5, 101, dtype=torch.float64), 3.0),
        Instrument(counting=Poisson()),
        samples=64,
        cell=0.1,
    )
    joint = Joint({"low": PARTS["low"], "fine": fine})
    sampled = fine.sample(fine.pack(J=-1.0, fwhm=0.4, fwhm_q=0.05, scale=20, background=1), 1)
    data = {"low": DATA["low"], "fine": sampled}
    averages = Averages.of(joint, data)
    assert averages.merge == {"low": (1, 1), "fine": (1, 2)}
    laws = {f"{name}_{label}": law for label in data for name, law in NUISANCES.items()}
    target = averages.rough(Prior(J=ALONE.free["J"], **laws), data)
    assert [term.weight for term in target.terms] == [1.0, 2.0]
    assert averages.share(target) == 1


def test_data_and_experiments_must_go_together() -> None:
    for data, message in (
        ({"low": DATA["low"]}, "no data for 'high'"),
        ({**DATA, "mid": DATA["low"]}, "data called 'mid' and no experiment"),
        ({**DATA, "high": DATA["low"]}, "the spectrum 'high' lies on other bins"),
        (DATA["low"], "no data for 'low'"),
        ({**DATA, "high": TABLE}, "the data of 'high' are a Peaks and their experiment is a Experiment"),
    ):
        with pytest.raises(InputError, match=message):
            infer(JOINT, BOTH, data, QUICK)
    with pytest.raises(InputError, match="need a Joint"):
        infer(PARTS["low"], ALONE, DATA, QUICK)
    with pytest.raises(InputError, match="says nothing about 'fwhm_low'"):
        infer(JOINT, ALONE, DATA, QUICK)
    other = Peaks(Lattice(2 * CHAIN.lattice.a, CHAIN.lattice.b, CHAIN.lattice.c), TABLE.q, TABLE.energy, TABLE.error)
    with pytest.raises(InputError, match="the table of peaks has other wavevectors than the experiment"):
        infer(PeakExperiment(CHAIN, TABLE), Prior(J=ALONE.free["J"], outliers=LogUniform(0.01, 0.2)), other, QUICK)


TABLE = Peaks(CHAIN.lattice, [[0.2, 0, 0]], [2.0], [0.1])
RB = library.load("rb2mnf4")
WHERE = [(0.5 + 0.05 * k, 0.5, 0.0) for k in range(11)] + [(0.5 - 0.05 * k, 0.5 - 0.05 * k, 0.0) for k in range(1, 9)]
LAWS = {"J1": Uniform(0.3, 1.2, "meV"), "J2": Fixed(0.0056), "D": Uniform(-0.05, -0.001, "meV")}


def rb_peaks(energy: torch.Tensor | None = None, **known: object) -> Peaks:
    q = torch.tensor(WHERE, dtype=torch.float64)
    energies = torch.full((len(q),), 5.0).double() if energy is None else energy
    return Peaks(
        RB.lattice, q, energies, torch.full((len(q),), 0.05), temperature=5.0, search=[[0.1, 9.0]] * len(q), **known
    )


def rb_prior(**more: object) -> Prior:
    return Prior(**LAWS, outliers=LogUniform(0.01, 0.2), **more)


def test_peaks_give_the_exchange_and_an_outlier_does_not_move_it() -> None:
    experiment = PeakExperiment(RB, rb_peaks())
    truth = experiment.pack(J1=0.68, D=-0.02, J2=0.0056, outliers=1e-9)
    data = experiment.sample(truth, 4)
    answer = infer(experiment, rb_prior(), data, QUICK)
    assert answer.names == ("J1", "D", "outliers")
    assert float(((answer.median - truth[0, [0, 2, 3]]) / answer.limit)[:2].abs().max()) < 4
    assert float(answer.limit[0]) < 0.005
    assert {check.name for check in answer.checks} == {
        "deviance_per_peak",
        "peaks_explained",
        "held",
        "complete",
        "pareto_k",
        "effective_draws",
        "inside_prior",
        "identified",
        "one_basin",
    }
    assert answer.passed, [check for check in answer.checks if not check.passed]
    energy = data.energy.clone()
    energy[5] = 1.0  # a spurion, where no mode is by far
    moved = infer(experiment, rb_prior(), rb_peaks(energy), QUICK)
    assert float(((moved.median - answer.median) / answer.limit)[:2].abs().max()) < 1
    (explained,) = [check for check in moved.checks if check.name == "peaks_explained"]
    assert "1.00 meV" in explained.meaning
    assert explained.passed


def test_a_peak_is_not_assigned_by_hand() -> None:
    """Two modes in a field: the table gives both energies at each q, in the wrong order, and single ones of either."""
    field = (0.0, 0.0, 6.0)
    q = [[0.5 + 0.05 * k, 0.5, 0.0] for k in (1, 1, 3, 3, 5, 5, 7, 8, 9)]
    where = Peaks(RB.lattice, q, [5.0] * 9, [0.05] * 9, temperature=5.0, field=field)
    experiment = PeakExperiment(RB, where)
    truth = experiment.pack(J1=0.68, D=-0.02, J2=0.0056, outliers=1e-9)
    energy, _ = experiment.lines(truth)
    high, low = energy.energy[0, :, 0], energy.energy[0, :, 1]
    assert float((high - low).min()) > 0.5
    swapped = torch.where(torch.arange(9) % 2 == 0, low, high) + 0.02 * torch.tensor([1.0, -1, 0, 1, 0, -1, 1, 0, -1])
    answer = infer(experiment, rb_prior(), replace(where, energy=swapped), QUICK)
    assert float(((answer.median - truth[0, [0, 2, 3]]) / answer.limit)[:2].abs().max()) < 4
    assert answer.passed, [check for check in answer.checks if not check.passed]


def test_misjudged_errors_of_peaks_are_seen() -> None:
    experiment = PeakExperiment(RB, rb_peaks())
    truth = experiment.pack(J1=0.68, D=-0.02, J2=0.0056, outliers=1e-9)
    data = experiment.sample(truth, 4)
    shift = 0.3 * torch.randn(len(WHERE), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    answer = infer(experiment, rb_prior(), replace(data, energy=data.energy + shift), QUICK)
    failed = {check.name for check in answer.checks if not check.passed}
    assert "peaks_explained" in failed
    wider = PeakExperiment(RB, rb_peaks(), extra=True)
    honest = infer(
        wider, rb_prior(peak_width_extra=Uniform(0, 1, "meV")), replace(data, energy=data.energy + shift), QUICK
    )
    assert honest.names[-1] == "peak_width_extra"
    assert float(honest.median[-1]) == pytest.approx(float(shift.std()), rel=0.25)
    assert not {check.name for check in honest.checks if not check.passed} & {"peaks_explained", "deviance_per_peak"}


def test_a_spectrum_and_a_table_of_peaks_go_together() -> None:
    """A chain's powder map, and its peaks along the chain, which are sharper."""
    h = torch.linspace(0.1, 0.5, 5, dtype=torch.float64)
    q = torch.stack((h, torch.zeros(5), torch.zeros(5)), -1)
    empty = Peaks(CHAIN.lattice, q, torch.full((5,), 3.0).double(), torch.full((5,), 0.02).double(), temperature=3.0)
    tas = PeakExperiment(CHAIN, empty)
    peaks = tas.sample(tas.pack(J=-1.0, outliers=1e-9), 1)
    joint = Joint({"low": PARTS["low"], "tas": tas})
    laws = {f"{name}_low": law for name, law in NUISANCES.items()}
    prior = Prior(J=ALONE.free["J"], **laws, outliers_tas=LogUniform(0.01, 0.2))
    answer = infer(joint, prior, {"low": DATA["low"], "tas": peaks}, QUICK)
    own = infer(tas, Prior(J=ALONE.free["J"], outliers=LogUniform(0.01, 0.2)), peaks, QUICK)
    spectrum = infer(PARTS["low"], ALONE, DATA["low"], QUICK)
    limits = torch.stack((own.limit[0], spectrum.limit[0]))
    assert float(answer.limit[0]) == pytest.approx(float((limits**-2).sum() ** -0.5), rel=0.05)
    assert abs(float(answer.median[0]) + 1) < 4 * float(answer.limit[0])
    assert {"deviance_per_bin_low", "peaks_explained_tas", "quadrature_low"} <= {check.name for check in answer.checks}
    assert "quadrature_tas" not in {check.name for check in answer.checks}
