"""Results of several measurements: their information adds up, and each is shown under its name."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sqwirrel.infer import Check
from sqwirrel.model.laws import LogUniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Joint, PeakExperiment
from sqwirrel.report import figures
from sqwirrel.report.content import content, in_check_words
from sqwirrel.report.pages.answer import html
from sqwirrel.report.result import PeakResult, Result, Whole
from sqwirrel.spectra import Peaks

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it


@pytest.fixture
def both(good: Result) -> tuple[Result, PeakResult]:
    """The chain again, with a table of peaks; one of its peaks is none of the modes."""
    model = good.experiment.model
    q = [[0.2, 0, 0], [0.3, 0, 0], [0.4, 0, 0]]
    energies = PeakExperiment(model, Peaks(model.lattice, q, [2.0] * 3, [0.05] * 3)).lines(model.pack(J=-1.0))[0].energy
    peaks = Peaks(model.lattice, q, [*(energies[0, :2, 0] + torch.tensor([0.05, -0.1])).tolist(), 0.5], [0.05] * 3)
    experiment = PeakExperiment(model, peaks)
    joint = Joint({"map": good.experiment, "tas": experiment})
    old = good.posterior
    names = ("J", "fwhm_map", "outliers_tas")
    outliers = torch.full((len(old.draws), 1), 0.1, dtype=torch.float64)
    outliers += 0.01 * torch.randn(outliers.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    best = torch.tensor([-1.0, 0.4, 0.1], dtype=torch.float64)
    full = joint.pack(J=-1.0, fwhm_map=0.4, scale_map=50, background_map=2, outliers_tas=0.1)
    posterior = replace(
        old,
        names=names,
        units=("meV", "meV", ""),
        priors=("", "", ""),
        draws=torch.cat((old.draws, outliers), 1),
        limit=torch.tensor([0.004, 0.02, 0.1], dtype=torch.float64),
        basins=tuple(replace(basin, theta=best) for basin in old.basins),
        checks=(Check("deviance_per_bin_map", False, 2.0, "fit"), Check("peaks_explained_tas", True, 0.1, "stray")),
        widening=torch.ones(3, dtype=torch.float64),
        anchor=torch.cat((full, torch.full_like(full, 0.1))),
    )
    laws = {"fwhm_map": good.prior.free["fwhm"], "outliers_tas": LogUniform(0.01, 0.2)}
    held = {"scale_map": 50.0, "background_map": 2.0}
    prior = Prior(**{"J": good.prior.free["J"], **laws, **Prior.from_mapping(held)._all})
    shown = replace(good, posterior=posterior, prior=prior, label="map", joint=joint)
    return shown, PeakResult(posterior, peaks, experiment, prior, "tas.csv", label="tas", joint=joint)


def test_information_adds_up_by_name(good: Result, both: tuple[Result, PeakResult]) -> None:
    spectrum, peaks = both
    assert torch.allclose(spectrum.information[:2, :2], good.information)
    assert not bool(spectrum.information[2].any())
    assert not bool(peaks.information[1].any())
    whole = Whole.of(both)
    assert whole.model_names == ("J",)
    expected = torch.linalg.inv(spectrum.information + peaks.information)
    assert torch.allclose(whole.limit_covariance, expected, rtol=1e-6, atol=1e-12)
    assert float(whole.limit_covariance[0, 0]) < 0.99 * float(Whole.of(good).limit_covariance[0, 0])


def test_a_spectrum_is_shown_as_if_it_were_alone(good: Result, both: tuple[Result, PeakResult]) -> None:
    assert torch.allclose(both[0].expected, good.expected)
    assert torch.allclose(both[0].residual, good.residual)


def test_the_figure_of_peaks_shows_residuals_and_the_outlier(both: tuple[Result, PeakResult]) -> None:
    explained = both[1].explained
    assert explained.square[:2].sqrt().tolist() == pytest.approx([1, 2], rel=1e-5)
    assert explained.stray.gt(0.5).tolist() == [False, False, True]
    above, below = figures.peak_fit(both[1]).axes
    assert above.get_ylabel() == "model (meV)"
    points = [
        line.get_xydata() for line in below.lines if line.get_marker() in {"o", "^", "v"} and len(line.get_xdata())
    ]
    shown = np.concatenate(points)
    assert sorted(shown[:, 1].round(4).tolist()) == [-6.0, -2.0, 1.0]  # the outlier stands at the edge


def test_the_page_names_each(both: tuple[Result, PeakResult]) -> None:
    said = content(both)
    assert [each["name"] for each in said["measured"]] == ["map", "tas"]
    assert said["measured"][1]["peaks"] == 3
    assert [check["words"] for check in said["checks"]] == ["fit (map)", "peaks explained (tas)"]
    assert said["verdict"].startswith("No answer: the model does not describe these data (fit (map)). The best it can")
    assert said["verdict"].endswith("do not cover the misfit: J = -0.9999(42) meV.")
    text = html(said, *both)
    assert text.count("<h3>tas</h3>") == 2
    assert "temperature unknown" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [("one_basin", "one solution"), ("quadrature_a_b", "averaging (a_b)"), ("deviance_per_bin", "fit"), ("new", "new")],
)
def test_checks_in_words(name: str, words: str) -> None:
    assert in_check_words(name) == words
