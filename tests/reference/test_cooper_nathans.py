"""Resolution of triple-axis spectrometers against rescalculator 2.0.1, and on descriptions and tables of facilities.

rescalculator has hbar^2 / 2 m = 2.072 meV angstrom^2, which is set here for the comparison (CODATA: 2.0721248, 6e-5
more), and sd / FWHM = 0.4246609, 1e-10 from ours. Its peak swaps the horizontal and the vertical mosaic of the sample
(its matrices do not), and contains k_f of which ours has none (see `Volumes`).
"""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import curve_fit
from torch import Tensor

from sqwirrel.lattice import Lattice
from sqwirrel.observe.covariance import (
    Reflector,
    Spectrometer,
    bragg_fwhm,
    cooper_nathans,
    covariance,
    read_covariance,
    read_spectrometer,
    split,
    volumes,
)
from sqwirrel.spectra import Measurement
from sqwirrel.spectra.points import QPoints
from sqwirrel.units import SIGMA
from tests.reference.peer_cooper_nathans import CONSTANT, FILE, peer, spacing

CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]
IDS = [f"{n}-{case['fixed']}-{case['energy']:g}meV" for n, case in enumerate(CASES)]


@pytest.fixture(autouse=True)
def _their_constant(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "case" in request.fixturenames:
        monkeypatch.setattr(cooper_nathans, "E_PER_K2", CONSTANT)


def built(case: dict[str, Any], sample: Any = None) -> tuple[Spectrometer, Measurement]:
    (mono, ana), (sense, at_sample, at_analyser) = case["crystals"], case["senses"]
    spectrometer = Spectrometer(
        Reflector(spacing(mono), case["mosaic"][:2], sense),
        Reflector(spacing(ana), case["mosaic"][2:], at_analyser),
        sample_sense=at_sample,
        sample_mosaic=sample or case["sample"],
        horizontal=case["horizontal"],
        vertical=case["vertical"],
        fixed=case["fixed"],
    )
    held = {"final": "final_energy", "initial": "incident_energy"}[case["fixed"]]
    points = QPoints(Lattice(*case["cell"]), [case["q"]], plane=case["plane"])
    return spectrometer, Measurement(points, [[case["energy"]] * 2], 5.0, **{held: case["fixed_energy"]})


def deviation(ours: Tensor, theirs: Any) -> float:
    """Largest difference of an element, in standard deviations of its row and column."""
    theirs = torch.as_tensor(theirs, dtype=torch.float64)
    scale = theirs.diagonal().clamp(min=1e-12).sqrt()
    return float(((ours - theirs) / (scale[:, None] * scale)).abs().max())


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_covariances_are_those_of_rescalculator(case: dict[str, Any]) -> None:
    assert deviation(covariance(*built(case))[0], case["covariance"]) < 1e-8


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_volumes_are_those_of_rescalculator(case: dict[str, Any]) -> None:
    spectrometer, measurement = built(case, sample=case["sample"][::-1])  # see above
    volume, fixed, energy = volumes(spectrometer, measurement), case["fixed_energy"], case["energy"]
    initial, final = (fixed + energy, fixed) if case["fixed"] == "final" else (fixed, fixed - energy)
    cell = Lattice(*case["cell"]).volume / (2 * math.pi) ** 3
    width = (2 * math.pi) ** 2 * float(torch.linalg.det(covariance(spectrometer, measurement)[0]).sqrt()) / cell
    at_once = float(volume.initial * volume.final) * math.sqrt(final / initial) / width
    assert at_once == pytest.approx(case["peak"], rel=1e-8)
    assert float(volume.final) * math.sqrt(final / CONSTANT) / width == pytest.approx(
        case["peak_for_monitor"], rel=1e-8
    )


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_rescalculator_still_says_so(case: dict[str, Any]) -> None:
    pytest.importorskip("rescalculator")
    found, peak, for_monitor = peer(case)
    np.testing.assert_allclose(found, case["covariance"], rtol=1e-9, atol=1e-12)
    assert (peak, for_monitor) == pytest.approx((case["peak"], case["peak_for_monitor"]), rel=1e-9)


def test_the_codata_constant_changes_widths_by_its_difference() -> None:

    off = deviation(covariance(*built(CASES[1]))[0], CASES[1]["covariance"])
    assert 1e-6 < off < 1e-3


@pytest.mark.parametrize("name", ["cg4c", "hb1", "hb1a", "hb3"])
def test_instrument_files_of_a_facility(name: str, measured: Any) -> None:
    path = measured(f"nitio3/instrument/{name}.json")
    spectrometer = read_spectrometer(path)
    raw = json.loads(path.read_text())
    keys = ("pre_mono", "pre_sample", "post_sample", "post_ana")
    assert spectrometer.horizontal.tolist() == [raw["collimators"][f"h_{key}"] for key in keys]
    assert spectrometer.vertical.tolist() == [raw["collimators"][f"v_{key}"] for key in keys]
    assert spectrometer.monochromator.mosaic.tolist() == [raw["monochromator"][f"mosaic_{x}"] for x in "hv"]
    senses = (spectrometer.monochromator.sense, spectrometer.sample_sense, spectrometer.analyser.sense)
    written = [raw[part]["sense"] for part in ("monochromator", "goniometer", "analyzer")]
    assert senses == tuple({"+": 1, "-": -1}[sense] for sense in written)
    assert "no sample mosaic is given: the sample is taken for a perfect crystal" in spectrometer.notes


@pytest.mark.parametrize("scan", [10, 20])
def test_longitudinal_widths_of_magnetic_peaks(scan: int, measured: Any) -> None:
    """th2th scans of (1/2 1/2 0) of NiTiO3 on CTAX; the mosaic of the sample, 110', is that of their rocking curves."""
    folder = measured("nitio3/scans")
    names, points = columns((folder / f"CG4C_exp0424_scan{scan:04d}.dat").read_text())
    theta, counts = points[:, names.index("s2")] / 2, points[:, names.index("detector")]
    start = (counts.max(), theta[counts.argmax()], 0.2, 0.0)
    (_, centre, sd, _), _ = curve_fit(
        lambda x, a, c, s, b: a * np.exp(-(((x - c) / s) ** 2) / 2) + b, theta, counts, start
    )
    described = json.loads(measured("nitio3/instrument/cg4c.json").read_text())
    spectrometer = Spectrometer.from_mapping({**described, "sample": {"mosaic_h": 110, "mosaic_v": 110}})
    lattice, q = Lattice(5.034785, 5.034785, 13.812004, 90, 90, 120), torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    points_of_scan = QPoints(lattice, q[None], plane=[[0, 0, 1], [1, 1, 0]])
    spread = covariance(spectrometer, Measurement(points_of_scan, [[0.0, 0.0]], 1.4, final_energy=4.8))[0]
    along = torch.cat((q, torch.zeros(1, dtype=torch.float64)))
    turned = math.degrees(float(bragg_fwhm(spread, along)) * math.tan(math.radians(abs(centre))))
    assert abs(sd) / SIGMA == pytest.approx(turned, rel=0.05)


def columns(text: str) -> tuple[list[str], np.ndarray]:
    """Names and numbers of a SPICE scan."""
    lines = text.splitlines()
    names = lines[lines.index("# col_headers = ") + 1].lstrip("#").split()
    return names, np.array([line.split() for line in lines if line.strip() and not line.startswith("#")], dtype=float)


@pytest.mark.parametrize("incident", [25, 35, 50, 70, 100, 140])
def test_tables_of_a_facility(incident: int, measured: Any) -> None:
    """At its nodes a table gives its rows; between them matrices stay positive definite."""
    path = measured(f"pcsmo/resolution/PCSMO_ei{incident}_resolution.txt.gz")
    table, rows = read_covariance(path), torch.from_numpy(np.loadtxt(path))
    q = torch.cat((rows[:, :2], torch.zeros(len(rows), 1)), dim=1)
    assert torch.allclose(table.at(q, rows[:, 2]).flatten(1), rows[:, 3:], rtol=1e-12, atol=0)
    seed = torch.Generator().manual_seed(1)
    away = torch.rand(2000, 3, generator=seed, dtype=torch.float64) * 4 - 2
    found = table.at(away, torch.rand(2000, generator=seed, dtype=torch.float64) * 2 * incident - incident)
    assert int((torch.linalg.cholesky_ex(found).info != 0).sum()) == 0
    assert bool((split(found).sd > 0).all())
