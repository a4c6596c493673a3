"""`infer` on the measured La2NiO4 slice: J and J' against the published ones, and what they hang on.

    python -m benchmarks.la2nio4 --json FILE [--quick]

The slice is a path with corners in the (h, k) plane, 217 points by 121 energies, without errors: these are estimated
from its scatter (`Spectrum.with_errors_from_scatter`), and the law behind that is reported as `noise`. The file says
neither over what width across the path it was integrated nor the resolution in q: 0.1 rlu and 0.082 rlu (FWHM) are what
describes the data best. `variations` refit with others, with other counting and energies, and with the model at the
centres of the bins. `--quick` has fewer points, draws and rows.
"""

import argparse
import json
import resource
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.mnf2 import band
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.averages import Averages, random_starts
from sqwirrel.infer.refine import Optimum, refine
from sqwirrel.infer.target import Target
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import (
    CovarianceTable,
    EllipsoidResolution,
    Experiment,
    Gaussian,
    GaussianResolution,
    Instrument,
    Robust,
    SmoothBackground,
)
from sqwirrel.observe.counting import Counting
from sqwirrel.record import Record
from sqwirrel.spectra import Measurement, QPath, Spectrum
from sqwirrel.units import SIGMA

DATA = Path(__file__).parents[2] / "shared" / "data" / "la2nio4"
FILES = [DATA / name for name in ("Sqw_path2.csv", "Qlist_path2_woBG.csv", "Elist_path2_woBG.csv")]
PUBLISHED = {"J1": [29.00, 29.68], "J2": [1.67, 1.70]}
"""meV: the analytic fit, +- 0.08 and +- 0.05, and the network surrogate (Chitturi et al., doi in the model)."""
RENORMALISATION = 1.09
"""Published constants times this are those of linear spin-wave theory, which is what is fitted here."""
IN_PLANE = 1.6152
"""1 / angstrom of one rlu in the plane."""
QUICK = Settings(screen=32, starts=2, draws=60, rounds=1)


@dataclass(frozen=True)
class Choice:
    """What the file does not say: width across the path (rlu of the plane), FWHM in q (rlu), law, lowest energy (meV).

    `held` are parameters that are not fitted.
    """

    across: float = 0.1
    fwhm_q: float = 0.082
    counting: Counting = Robust()  # noqa: RUF009 (frozen)
    lowest: float = 60.0
    centres: bool = False
    held: Mapping[str, float] = field(default_factory=dict)


VARIATIONS: Mapping[str, Choice] = {
    "as inferred": Choice(),
    "nothing across": Choice(across=0.0),
    "twice as wide across": Choice(across=0.2),
    "three quarters of the width in q": Choice(fwhm_q=0.0615),
    "five quarters of the width in q": Choice(fwhm_q=0.1025),
    "normal law": Choice(counting=Gaussian()),
    "from 20 meV": Choice(lowest=20.0),
    "from 40 meV": Choice(lowest=40.0),
    "from 80 meV": Choice(lowest=80.0),
    "constants of the analytic fit": Choice(held={"J1": 1.09 * 29.00, "J2": 1.09 * 1.67}),
    "at bin centres": Choice(across=0.0, fwhm_q=0.0, centres=True),
    "at bin centres, from 80 meV": Choice(across=0.0, fwhm_q=0.0, centres=True, lowest=80.0),
}


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="The measured La2NiO4 slice.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="a smoke run under 30 s")
    options = parser.parse_args()
    if not FILES[0].exists():
        raise SystemExit("la2nio4 needs ../shared/data/la2nio4/Sqw_path2.csv, which is not here: nothing was run")
    result = run(options.quick)
    text = json.dumps(result, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def run(quick: bool) -> dict[str, Any]:
    """The posterior with its time, basins of random starts, and the variations."""
    choice, samples = Choice(), 16 if quick else 32
    clock, processor = time.perf_counter(), time.process_time()
    spectrum = load(choice)
    experiment, prior = simulator(spectrum, choice, samples)
    averages = Averages.of(experiment, spectrum)
    posterior = infer(averages, prior, spectrum, QUICK if quick else Settings())
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - processor
    ends = random_starts(averages.rough(prior, spectrum), starts=3 if quick else 20, seed=7)
    names = list(VARIATIONS)[: 3 if quick else None]
    return {
        "benchmark": "la2nio4",
        "quick": quick,
        "remark": f"Published constants have a factor of {RENORMALISATION} of quantum renormalisation taken out: "
        "J1 and J2 here are those of linear spin-wave theory, `bare` is divided by it.",
        "parameters": [asdict(row) for row in posterior.summary()],
        "published": PUBLISHED,
        "renormalisation": RENORMALISATION,
        "bare": {
            row.name: [value / RENORMALISATION for value in (row.median, *row.interval68)]
            for row in posterior.summary()
            if row.name in PUBLISHED
        },
        "zone_boundary": {
            name: band(experiment, posterior, q)
            for name, q in (("(3/4 1/4 0)", (0.75, 0.25, 0.0)), ("(1/2 0 0)", (0.5, 0.0, 0.0)))
        },
        "basins": [{"starts": b.starts, "probability": b.probability} for b in posterior.basins],
        "random_starts": [{"starts": o.starts, "log_posterior": o.log_posterior} for o in ends],
        "checks": [asdict(check) for check in posterior.checks],
        "noise": noise(),
        "variations": [varied(name, VARIATIONS[name], samples) for name in names],
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "record": json.loads(Record.start(seeds={"infer": 1, "starts": 7}, files=FILES).to_json()),
    }


def load(choice: Choice) -> Spectrum:
    """The slice with errors from its scatter; temperature well below the ordering at 330 K."""
    intensity, q, energy = (torch.from_numpy(np.loadtxt(file, delimiter=",")) for file in FILES)
    lattice, step = library.load("la2nio4").lattice, float(energy.diff()[0])
    edges = torch.cat((energy - step / 2, energy[-1:] + step / 2))
    path = QPath(lattice, q.T, np.zeros((3, 3))) if choice.centres else along(lattice, q.T, choice)
    measurement = Measurement(path, edges, 10.0)
    whole = Spectrum.from_arrays(intensity.T.contiguous(), torch.ones_like(intensity.T), measurement)
    return whole.with_errors_from_scatter().slice_energy(choice.lowest - step, measurement.range[1])


def along(lattice: Lattice, q: torch.Tensor, choice: Choice) -> QPath:
    """Bins that touch along each leg."""
    return QPath.along(lattice, q, across=choice.across * IN_PLANE)


def simulator(spectrum: Spectrum, choice: Choice, samples: int) -> tuple[Experiment, Prior]:
    """Round resolution in the plane, one width in energy, a background smooth along path and energy."""
    resolution = GaussianResolution() if choice.centres else EllipsoidResolution(blurred(choice.fwhm_q))
    instrument = Instrument(resolution, SmoothBackground(1, 5), choice.counting)
    model = library.load("la2nio4")
    experiment = Experiment(model, spectrum.measurement, instrument, samples=samples)
    level = Uniform(-20.0, 20.0)
    known: dict[str, Uniform | LogUniform | Fixed] = {
        "J1": Uniform(20.0, 40.0, "meV"),
        "J2": Uniform(-5.0, 8.0, "meV"),
        "fwhm": Uniform(1.0, 40.0, "meV"),
        "fwhm_scale": Uniform(1.0, 40.0),
        "scale": LogUniform(0.1, 1000.0),
    }
    known |= {name: Fixed(value) for name, value in choice.held.items()}
    return experiment, Prior(**{name: known.get(name, level) for name in experiment.names})


def blurred(fwhm_q: float) -> CovarianceTable:
    """The same width in h and k (rlu) everywhere, and 1 meV in energy: `fwhm_scale` is then the width in meV."""
    q, energy = (SIGMA * fwhm_q) ** 2, SIGMA**2
    return CovarianceTable([[0.5, 0.5, 80.0]], np.diag([q, q, energy])[None])


def varied(name: str, choice: Choice, samples: int) -> dict[str, Any]:
    """Best fit, anchored as `infer` anchors it, and Cramer-Rao limits, started from the published constants."""
    spectrum = load(choice)
    experiment, prior = simulator(spectrum, choice, samples)
    target = Target.of(experiment, prior, spectrum)
    start = {"J1": 31.6, "J2": 1.8, "fwhm": 8.0, "fwhm_scale": 8.0, "scale": 30.0}
    theta = torch.tensor([[start.get(each, 0.5) for each in prior.names]], dtype=torch.float64)
    best = refine(target, theta)[0]
    for _ in range(2):
        at, spread = target.full(prior.constrain(best.z[None])), target.spread(best.z, best.covariance)
        target = target.with_terms(term.anchored(at, spread) for term in target.terms)
        best = refine(target, prior.constrain(best.z[None]))[0]
    found, limit = prior.constrain(best.z[None])[0].tolist(), limits(target, best)
    rows = {each: [value, error] for each, value, error in zip(prior.names, found, limit, strict=True)}
    per_bin = float(target.deviance(prior.constrain(best.z[None]))) / int(spectrum.valid.sum())
    kept = {each: pair for each, pair in rows.items() if not each.startswith("background")}
    return {"name": name, "parameters": kept, "deviance_per_bin": per_bin}


def limits(target: Target, best: Optimum) -> list[float]:
    """Cramer-Rao limits."""
    bound = replace(best, precision=best.information).covariance.diagonal().sqrt()
    limit: list[float] = (bound * target.stretch(best.z[None])[0]).tolist()
    return limit


def noise() -> list[dict[str, float]]:
    """Variance against mean of bins without signal: below the band, at points 60 to 130, and above it.

    Counts of one worth would have variances in proportion to their means, and as many zeros as a Poisson law of
    mean^2 / variance counts. Variances are those of second differences along energy.
    """
    values = np.loadtxt(FILES[0], delimiter=",").T
    rows = []
    for points, low, high in (((0, 217), 128, 140), ((60, 130), 80, 95), ((60, 130), 50, 65), ((60, 130), 22, 36)):
        part = values[slice(*points), low - 20 : high - 20]
        second = part[:, 1:-1] - (part[:, :-2] + part[:, 2:]) / 2
        mean, variance = float(part.mean()), float((second**2).mean() / 1.5)
        rows.append(
            {
                "from_mev": low,
                "to_mev": high,
                "mean": mean,
                "variance": variance,
                "ratio": variance / mean,
                "zeros": float((part == 0).mean()),
                "zeros_if_counts": float(np.exp(-(mean**2) / variance)),
            }
        )
    return rows


if __name__ == "__main__":
    main()
