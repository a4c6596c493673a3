"""check(): calibration of infer itself, and of what is deliberately wrong."""

from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Settings
from sqwirrel.infer.calibration import Calibration, Trial, check
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.spectra import Measurement, QPath

CHAIN = library.load("fm_chain")
PRIOR = Prior.from_mapping(
    {"J": {"uniform": [-2.0, -0.5]}, "fwhm": 0.4, "scale": {"loguniform": [20.0, 200.0]}, "background": 1.0}
)
SETTINGS = Settings(screen=32, starts=2, draws=100, rounds=1)


def experiment(temperature=1.0):
    q = torch.zeros(6, 3).double()
    q[:, 0] = torch.linspace(0.05, 0.5, 6)
    where = Measurement(QPath(CHAIN.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 9, 25), temperature)
    return Experiment(CHAIN, where, Instrument(GaussianResolution(), counting=Poisson()), samples=1)


@pytest.fixture(scope="module")
def calibration():
    return check(experiment(), PRIOR, 40, seed=1, settings=SETTINGS)


def test_infer_is_calibrated_on_a_chain(calibration) -> None:
    """40 trials: chance gives 90 % coverage within 14 points, rho within a third, in all but one case of a thousand."""
    assert calibration.names == ("J", "scale")
    for share in calibration.coverage(0.9):
        assert share == pytest.approx(0.9, abs=0.15)
    assert all(0.6 < rho < 1.4 for rho in calibration.rho)
    assert 0.5 < calibration.R < 1.7
    assert calibration.R_expected == pytest.approx(1, abs=0.1)
    assert min(calibration.even.values()) > 1e-3
    assert calibration.share("right") == 1.0
    assert calibration.share("missed") == 0.0


def test_a_table_says_what_was_found(calibration) -> None:
    text = str(calibration)
    assert "rho" in text
    assert "40 simulated measurements" in text
    assert calibration.mapping()["n"] == 40


def test_errors_are_measured_in_the_parameters_own_units() -> None:
    """In coordinates without bounds, an error from the end of a prior on counts for too little, or too much."""
    end = Prior.from_mapping({"J": {"uniform": [-2.0, -1.9999]}, "scale": {"uniform": [50.0, 60.0]}})
    found = check(experiment(), PRIOR, 3, seed=2, settings=SETTINGS, truth=end)
    for trial in found.trials:
        away = torch.tensor(trial.error) / torch.tensor(trial.limit)
        assert 2 * trial.square >= float(away.square().max()) * (1 - 1e-9)
        assert trial.square == pytest.approx(float(away.square().mean()), rel=0.1)  # J and scale hardly correlate
        assert 0 < trial.expected < 1  # the prior cuts off half of the spectrum's own width
    assert found.R_expected < 0.9


def shrunk(trial: Trial, factor: float) -> Trial:
    return replace(trial, rank=[0.5 + (x - 0.5) * factor for x in trial.rank], error=[x * factor for x in trial.error])


def test_intervals_that_are_too_narrow_are_seen(calibration) -> None:
    """Ranks spread to the ends as those of intervals three times too narrow are."""
    wrong = Calibration(
        calibration.names,
        tuple(replace(t, rank=[1.0 if x > 0.6 else 0.0 if x < 0.4 else x for x in t.rank]) for t in calibration.trials),
    )
    assert max(wrong.coverage(0.9)) < 0.5
    assert wrong.even["J"] < 1e-3
    assert max(shrunk_rho := Calibration(wrong.names, tuple(shrunk(t, 2) for t in calibration.trials)).rho) > 1.2
    assert shrunk_rho == pytest.approx([2 * x for x in calibration.rho])


def test_finished_trials_are_not_run_again(tmp_path, calibration) -> None:
    first = check(experiment(), PRIOR, 2, seed=1, settings=SETTINGS, folder=tmp_path)
    assert [t.rank for t in first.trials] == [t.rank for t in calibration.trials[:2]]
    file = tmp_path / "trials-1.jsonl"
    file.write_text(file.read_text() + '{"seed": 2, "tru')
    told = []
    more = check(experiment(), PRIOR, 3, seed=1, settings=SETTINGS, folder=tmp_path, progress=lambda *a: told.append(a))
    assert [t.seconds for t in more.trials[:2]] == [t.seconds for t in first.trials]
    assert more.trials[2].rank == calibration.trials[2].rank
    assert told == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(InputError, match="made with other settings, another prior or another"):
        check(experiment(), PRIOR, 3, seed=1, settings=replace(SETTINGS, draws=SETTINGS.draws + 1), folder=tmp_path)
    with pytest.raises(InputError, match="made with other settings, another prior or another measurement"):
        check(experiment(100.0), PRIOR, 2, seed=1, settings=SETTINGS, folder=tmp_path)


def test_a_check_needs_a_trial() -> None:
    with pytest.raises(InputError, match="at least one"):
        check(experiment(), PRIOR, 0, seed=1)
