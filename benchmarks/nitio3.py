"""`infer` on the measured triple-axis scans of NiTiO3, all at once, with the resolution of the spectrometer.

    python -m benchmarks.nitio3 --json FILE [--quick]

Energy scans 24 to 92 at 1.4 K, E_f 4.8 meV, from 0.5 meV on: six exchange constants and D, the width in energy (a
factor on Cooper-Nathans), scale and sloped background, counts as Poisson. Three domains of the moments, equally large.
Reports the answer beside the published set, and the gap at (0, 0, 3/2). `--quick` has fewer points, draws and starts.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import EllipsoidResolution, Experiment, Instrument, Poisson, SlopedBackground, Spectrometer
from sqwirrel.record import Record
from sqwirrel.simulate import SpinWaves
from sqwirrel.spectra import Spectrum, join, read

DATA = Path(__file__).parents[2] / "shared" / "data" / "nitio3"
SCANS = range(24, 93)
FROM, TO = 0.5, 4.2
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
    measured = scans(SCANS[::8] if quick else SCANS)
    experiment = simulator(measured, 8 if quick else 32)
    settings = Settings(screen=16, starts=1, draws=60, rounds=2) if quick else Settings(screen=64, starts=4, draws=400)
    posterior = infer(experiment, prior(), measured, settings)
    return {
        "benchmark": "nitio3",
        "quick": quick,
        "points": int(measured.valid.sum()),
        "parameters": [asdict(row) for row in posterior.summary()],
        "gap": gap(posterior),
        "published": PUBLISHED,
        "refined": REFINED,
        "deviance_per_bin": posterior.deviance_per_bin,
        "basins": [{"probability": b.probability, "starts": b.starts} for b in posterior.basins],
        "checks": [asdict(check) for check in posterior.checks],
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


def simulator(measured: Spectrum, samples: int) -> Experiment:
    """The spectrometer with the sample mosaic of its description, and three domains of the moments."""
    description = json.loads((DATA / "instrument" / "cg4c.json").read_text())
    crystal = json.loads((DATA / "instrument" / "nitio3.json").read_text())
    description["sample"] = {key: crystal[key] for key in ("mosaic_h", "mosaic_v")}
    resolution = EllipsoidResolution(Spectrometer.from_mapping(description))
    instrument = Instrument(resolution, SlopedBackground(), Poisson())
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
    }
    return Prior.from_mapping({**known, **nuisances})


def _bounds() -> dict[str, list[float]]:
    own = library.load("nitio3").prior
    return dict(zip(own.names, own.bounds.tolist(), strict=True))


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
