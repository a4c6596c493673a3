"""Scans and grids of a crystal on the page: data over the model where there is no map, and where they were measured."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import same_color

from sqwirrel.infer import Settings, infer
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson
from sqwirrel.report import figures
from sqwirrel.report.figures.style import BAND
from sqwirrel.report.pages import answer as page
from sqwirrel.report.result import Result
from sqwirrel.spectra import Measurement, QGrid, QPoints

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
CHAIN = library.load("fm_chain")
KNOWN = {"J": -1.0, "fwhm": 0.4, "scale": 50.0, "background": 2.0}


def scans(count: int) -> Measurement:
    """Scans of energy downwards at h = 0.2, 0.21, ...; each point is counted longer than the one before."""
    energy = torch.linspace(4.5, 1.0, 15, dtype=torch.float64).repeat(count)[:, None]
    h = 0.2 + 0.01 * torch.arange(count).repeat_interleave(15)
    points = QPoints(CHAIN.lattice, torch.stack((h, 0 * h, 0 * h), 1), torch.arange(1, count + 1).repeat_interleave(15))
    exposure = torch.linspace(1, 2, 15, dtype=torch.float64).repeat(count)[:, None]
    return Measurement(points, energy.expand(-1, 2), 5.0, final_energy=14.7, exposure=exposure)


def grid(h: int, k: int, energies: int) -> Measurement:
    edges = [np.linspace(0.1, 0.5, h + 1), np.linspace(0, 1, k + 1), [-0.1, 0.1]]
    return Measurement(QGrid(CHAIN.lattice, torch.eye(3), edges, (0, 0, 0.5)), np.linspace(1, 4, energies + 1), 5.0)


def of(good: Result, measurement: Measurement) -> Result:
    """Data of the truth on another measurement, with the posterior of the chain."""
    experiment = Experiment(CHAIN, measurement, Instrument(counting=Poisson()), samples=2)
    return replace(good, spectrum=experiment.sample(experiment.pack(**KNOWN), seed=5), experiment=experiment)


def model(axes: object) -> tuple[np.ndarray, np.ndarray]:
    (line,) = [line for line in axes.lines if same_color(line.get_color(), BAND)]
    return line.get_data()


def test_a_scan_is_drawn_over_the_model_of_one_exposure(good: Result) -> None:
    result = of(good, scans(2))
    axes = figures.fit_lines(result).axes
    assert [each.get_title(loc="left").split("\n")[1] for each in axes] == [
        "h = 0.2, k = 0, l = 0", "h = 0.21, k = 0, l = 0",
    ]  # fmt: skip
    assert (axes[1].get_xlabel(), axes[1].get_ylabel()) == ("E (meV)", "counts per 1.5 of monitor")
    x, y = model(axes[1])
    assert bool((np.diff(x) > 0).all())
    exposure = result.spectrum.measurement.exposure[15:, 0] / 1.5
    median = (result.predicted[:, 15:, 0] / exposure).median(0).values
    assert torch.allclose(torch.from_numpy(y), median.flip(0))
    points = axes[1].containers[0].lines[0]
    assert np.allclose(points.get_ydata(), result.spectrum.intensity[15:, 0] / exposure)
    assert len(axes[1].collections) == 3  # error bars, and bands of 68 and 95 %


def test_of_many_scans_the_worst_are_shown_and_their_number_is_said(good: Result) -> None:
    result = of(good, scans(30))
    spoiled = result.spectrum.data.copy()
    worst = [3, 7, *range(15, 25)]
    for number in worst:
        spoiled.values[15 * (number - 1) + 7] += 60 + number
    result = replace(result, spectrum=replace(result.spectrum, data=spoiled))
    figure = figures.fit_lines(result)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [int(re.match(r"scan (\d+), deviance per point \d", title)[1]) for title in titles] == worst
    assert figure.get_suptitle() == "12 of 30 scans, those with the largest deviance per point"
    assert figures.fit_lines(of(good, scans(12))).get_suptitle() == "All scans"


def test_scans_that_were_not_measured_are_left_out(good: Result) -> None:
    result = of(good, scans(3))
    hidden = result.spectrum.without((result.spectrum.measurement.points.scan == 2)[:, None])
    titles = [axes.get_title(loc="left") for axes in figures.fit_lines(replace(result, spectrum=hidden)).axes]
    assert [title[:6] for title in titles] == ["scan 1", "scan 3"]


def test_the_deviance_of_all_bins_is_that_of_its_parts(good: Result) -> None:
    half = good.valid.clone()
    half[4:] = False
    counts = [int(part.sum()) for part in (half, good.valid & ~half)]
    parts = [good.deviance(part) for part in (half, good.valid & ~half)]
    whole = sum(n * value for n, value in zip(counts, parts, strict=True)) / sum(counts)
    assert good.deviance(good.valid) == pytest.approx(whole, rel=1e-12)
    assert whole == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize(("shape", "name"), [((1, 1, 20), "energy (meV)"), ((9, 1, 1), "(h, 0, 0.5) (rlu)")])
def test_a_grid_of_one_wide_axis_is_a_line_over_the_model(good: Result, shape: tuple, name: str) -> None:
    result = of(good, grid(*shape))
    (axes,) = figures.fit_lines(result).axes
    assert axes.get_xlabel() == name
    assert torch.allclose(torch.from_numpy(model(axes)[1]), result.predicted.flatten(1).median(0).values)


def test_a_grid_that_is_a_map_is_drawn_as_one(good: Result) -> None:
    assert figures.fit_lines(of(good, grid(9, 1, 20))) is None
    assert figures.fit_lines(good) is None


WHERE = {
    "scans": (lambda: scans(3), "45 points; counts", "<dd>3 scans</dd>", ["lines"]),
    "map": (lambda: grid(5, 1, 12), "5 × 12 bins", "(1 0 0) × 0.1 to 0.5, 5 bins; ", ["maps", "cuts"]),
    "slices": (lambda: grid(5, 4, 3), "20 × 3 bins", "(0 1 0) × 0 to 1, 4 bins; ", ["maps", "cuts"]),
    "one energy": (lambda: grid(5, 4, 1), "20 × 1 bins", "; from (0 0 0.5)</dd>", ["maps"]),
    "line": (lambda: grid(1, 1, 20), "1 × 20 bins", "(0 0 1) × −0.1 to 0.1, 1 bin; ", ["lines"]),
}


@pytest.mark.parametrize("kind", WHERE)
def test_a_posterior_of_a_crystal_gets_its_page(kind: str, tmp_path: Path) -> None:
    measurement: Callable[[], Measurement]
    measurement, size, where, shown = WHERE[kind]
    experiment = Experiment(CHAIN, measurement(), Instrument(counting=Poisson()), samples=2)
    spectrum = experiment.sample(experiment.pack(**KNOWN), seed=5)
    prior = Prior(
        J=Uniform(-1.5, -0.5, "meV"), fwhm=Uniform(0.2, 1, "meV"), scale=Uniform(20, 100), background=Fixed(2)
    )
    posterior = infer(experiment, prior, spectrum, Settings(screen=32, starts=1, draws=60))
    text = page.write(tmp_path, Result(posterior, spectrum, experiment, prior, "a.h5")).read_text(encoding="utf-8")
    assert size in text
    assert where in text
    sections = re.findall(r'<section id="(\w+)"', text)
    assert sections == ["measured", "parameters", "checks", *shown, "corner", "basins", "record", "papers"]
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert said["measured"]["bins"] == list(spectrum.measurement.shape)
