"""`infer` on the measured triple-axis scans of NiTiO3, all at once, with the resolution of the spectrometer.

    python -m benchmarks.nitio3 --json FILE [--quick]

Energy scans 24 to 92 at 1.4 K, E_f 4.8 meV, from 0.5 meV on: six exchange constants and D, the width in energy (a
factor on Cooper-Nathans), scale, multiple scattering and sloped background, counts as Poisson. Three domains of the
moments, equally large. The mosaic of the sample is what rocking curves of the same experiment show, three times that
of its description. Points where Bragg peaks are seen, as a tail or by accident, are left out. Reports the answer
beside the published set, and the gap at (0, 0, 3/2). `--quick` has fewer scans, points, draws and starts.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import EllipsoidResolution, Experiment, Instrument, Poisson, SlopedBackground, read_spectrometer
from sqwirrel.observe.covariance import mosaic_of
from sqwirrel.record import Record
from sqwirrel.simulate import SpinWaves
from sqwirrel.spectra import QPoints, Spectrum, join, read
from sqwirrel.units import SIGMA

DATA = Path(__file__).parents[2] / "shared" / "data" / "nitio3"
SCANS = range(24, 93)
FROM, TO = 0.5, 4.2
BRAGG = ((0, 0, 1.5), (0, 0, 3), (0, 0, 4.5))
ALIGNED = 47
"""A scan at (0, 0, 3), the Bragg peak that was rocked."""
ROCKED = ((3, "s1"), (5, "sgl"))
"""Scans and angles that turned the crystal in its plane, and out of it."""
PUBLISHED = {"Jab1": -0.15, "Jab2": -0.05, "Jab3": -0.05, "Jc1": 0.0, "Jc2": 0.27, "Jc3": 0.27, "D": 0.1, "gap": 0.95}
"""meV, arXiv:2509.00513."""
REFINED = {"Jab1": -0.12, "Jab2": -0.08, "Jab3": -0.07, "Jc1": 0.24, "Jc2": 0.25, "Jc3": 0.23, "D": 0.12}
"""meV, another set that was refined to the same data."""


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="The measured scans of NiTiO3.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few points, draws and starts")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("nitio3 needs ../shared/data/nitio3, which is not here: nothing was run")
    result = run(options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(quick: bool) -> dict[str, Any]:
    """The whole study."""
    clock = time.perf_counter()
    seen = resolution()
    measured = seen.covered(scans(SCANS[::8] if quick else SCANS))
    experiment = simulator(measured, seen, 8 if quick else 32)
    settings = Settings(screen=16, starts=1, draws=60, rounds=2)
    posterior = infer(experiment, prior(), measured, settings if quick else Settings(screen=1500, starts=6, draws=400))
    return {
        "benchmark": "nitio3",
        "quick": quick,
        "points": int(measured.valid.sum()),
        "sample_mosaic": seen.source.sample_mosaic.tolist(),
        "parameters": [asdict(row) for row in posterior.summary()],
        "gap": gap(posterior),
        "published": PUBLISHED,
        "refined": REFINED,
        "deviance_per_bin": posterior.deviance_per_bin,
        "basins": [{"probability": b.probability, "starts": b.starts} for b in posterior.basins],
        "checks": [asdict(check) for check in posterior.checks],
        "scans": seen_and_expected(posterior, experiment, measured),
        "seconds": time.perf_counter() - clock,
        "record": json.loads(Record.start(seeds={"infer": settings.seed}, files=[]).to_json()),
    }


def scans(numbers: Sequence[int]) -> Spectrum:
    """The scans that counted something, joined; energies below `FROM` meV hold elastic scattering."""
    found = []
    for number in numbers:
        try:
            found.append(read(DATA / "scans" / f"CG4C_exp0424_scan{number:04}.dat"))
        except InputError:
            continue  # nothing was counted
    return join(found).slice_energy(FROM, TO)


def resolution() -> EllipsoidResolution:
    """The spectrometer of the description, with the sample mosaic that rocking curves show."""
    described = read_spectrometer(DATA / "instrument" / "cg4c.json")
    peak = read(DATA / "scans" / f"CG4C_exp0424_scan{ALIGNED:04}.dat").measurement
    mosaic = mosaic_of(described, peak, (rocking(*ROCKED[0]), rocking(*ROCKED[1])))
    return EllipsoidResolution(described.with_mosaic(mosaic), BRAGG)


def rocking(scan: int, angle: str) -> float:
    """FWHM (degrees) of a rocking curve, from its standard deviation: it is no single Gaussian."""
    lines = (DATA / "scans" / f"CG4C_exp0424_scan{scan:04}.dat").read_text().splitlines()
    names = next(below for line, below in pairwise(lines) if "col_headers" in line).split()[1:]
    table = np.array([line.split() for line in lines if not line.startswith("#")], dtype=float)
    at, counts = table[:, names.index(angle)], table[:, names.index("detector")]
    middle = np.average(at, weights=counts)
    spread = np.sqrt(np.average((at - middle) ** 2, weights=counts))
    return float(spread) / SIGMA


def simulator(measured: Spectrum, seen: EllipsoidResolution, samples: int) -> Experiment:
    """The spectrometer, and three domains of the moments."""
    instrument = Instrument(seen, SlopedBackground(), Poisson(), multiple_scattering=True)
    c, s = -0.5, math.sqrt(3) / 2
    domains = [[[c, -s, 0], [s, c, 0], [0, 0, 1]], [[c, s, 0], [-s, c, 0], [0, 0, 1]]]
    return Experiment(library.load("nitio3"), measured.measurement, instrument, samples=samples, twins=domains)


def prior() -> Prior:
    """That of the library, and wide ranges for the nuisances."""
    known = {name: {"uniform": [float(x) for x in pair]} for name, pair in _bounds().items()}
    nuisances = {
        "twin_2": {"fixed": 1.0},
        "twin_3": {"fixed": 1.0},
        "fwhm_scale": {"uniform": [0.5, 2.0]},
        "scale": {"loguniform": [1.0, 1e4]},
        "background": {"uniform": [0.0, 20.0]},
        "background_slope": {"uniform": [-5.0, 5.0]},
        "multiple": {"uniform": [0.0, 1.0]},
    }
    return Prior.from_mapping({**known, **nuisances})


def _bounds() -> dict[str, list[float]]:
    own = library.load("nitio3").prior
    return dict(zip(own.names, own.bounds.tolist(), strict=True))


def seen_and_expected(posterior: Posterior, experiment: Experiment, measured: Spectrum) -> list[dict[str, Any]]:
    """Counts, and what the medians expect, of every eighth wavevector."""
    found = dict(zip(posterior.names, posterior.median.tolist(), strict=True))
    with torch.no_grad():
        expected = experiment(experiment.pack(**found, **prior().fixed))[0, :, 0]
    where = measured.measurement
    assert isinstance(where.points, QPoints)
    q, counted = where.points.q.round(decimals=2), measured.valid[:, 0]
    rows = []
    for place in q[counted].unique(dim=0)[::8]:
        here = counted & (q == place).all(1)
        here = here.nonzero()[:, 0][where.energy_centres[here, 0].argsort()]
        columns = {"energy": where.energy_centres[:, 0], "counts": measured.intensity[:, 0], "expected": expected}
        rows.append({"q": place.tolist(), **{name: each[here].tolist() for name, each in columns.items()}})
    return rows


def gap(posterior: Posterior) -> dict[str, float]:
    """Energy (meV) of the lower gapped mode at (0, 0, 3/2): median and 68 % interval."""
    model = library.load("nitio3")
    theta = posterior.sample(200, seed=1)[:, [posterior.names.index(name) for name in model.names]]
    with torch.no_grad():
        energy = SpinWaves(model, torch.tensor([[0.0, 0.0, 1.5]], dtype=torch.float64))(theta).energy[:, 0, 2]
    low, median, high = energy.quantile(torch.tensor([0.16, 0.5, 0.84], dtype=torch.float64)).tolist()
    return {"median": median, "low": low, "high": high}


if __name__ == "__main__":
    main()
