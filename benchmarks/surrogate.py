"""Emulators against their simulators: error, speed in the same run, and what they do to posteriors.

    python -m benchmarks.surrogate --json FILE [--quick] [--folder DIR] [--cases map powder pcsmo]

Three cases. `map`: the 64 x 64 map along (h, 1/2, 0) of `rb2mnf4_posterior`, one wavevector a point, where the
simulator is about as fast as anything can be. `powder`: MnF2, 40 shells of |Q| from 0.5 to 3 1/angstrom, 60 energies
from 0.5 to 8 meV at 5 K, 128 quadrature points a cell as in examples/mnf2.toml. `pcsmo`: a powder of 16 sublattices,
the Goodenough model with exchange within 15 % of what was published, as many shells, 10 to 90 meV, 64 points a cell;
error and speed only, as posteriors of the simulator would take hours. Counts as Poisson. Cases that are not run are
left in FILE as they were.

Reported per case: the emulator's own error on held-out simulations, and on fresh ones (root mean square, median and
99 % of spectra; per bin, in units of counting noise at scales and backgrounds of the prior); milliseconds per spectrum
of both, with and without derivatives; and, on simulated measurements with truths from the prior, where the best fit of
the bare emulator lies from that of the simulator, in its standard deviations, and the same of posterior medians of
`infer`, which anchors either on the dense average at the best fit, with the seconds that it took.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.rb2mnf4_posterior import PRIOR, simulator, tell
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.surrogate import Emulator, emulate
from sqwirrel.learn.train import Effort
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import ConstantBackground, Experiment, GaussianResolution, Instrument, Poisson
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QShells

POWDER = {
    "J1": {"uniform": [-0.1, 0.0]},
    "J2": {"uniform": [0.2, 0.4]},
    "J3": {"uniform": [-0.02, 0.02]},
    "D": {"uniform": [-0.05, -0.005]},
    "fwhm": {"uniform": [0.2, 0.6]},
    "fwhm_q": {"uniform": [0.02, 0.1]},
    "scale": {"loguniform": [10.0, 1000.0]},
    "background": {"uniform": [0.1, 2.0]},
}
FRESH = 20261123
"""Seed of the spectra that are judged, which nothing was tuned on."""
SETTINGS = Settings(screen=64, starts=4, draws=500, rounds=2)
FULL = {"rows": 2048, "steps": 2400, "fresh": 256, "spectra": 12}
QUICK = {"rows": 128, "steps": 40, "fresh": 16, "spectra": 1}
SLOW = {"rows": 1024, "fresh": 64, "spectra": 0}


def main() -> None:
    """Runs both cases, prints them, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Emulators against their simulators.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few simulations, steps and spectra")
    parser.add_argument("--folder", type=Path, help="where simulations and weights are kept")
    parser.add_argument("--cases", nargs="+", default=["map", "powder"], choices=["map", "powder", "pcsmo"])
    options = parser.parse_args()
    record, sizes = Record.start(seeds={"fresh": FRESH}), QUICK if options.quick else FULL
    cases: dict[str, tuple[Callable[[], Experiment], dict[str, Any], dict[str, int]]] = {
        "map": (simulator, PRIOR, sizes),
        "powder": (powder, POWDER, sizes),
        "pcsmo": (pcsmo, near_published(), {**sizes, **SLOW}),
    }
    found = {}
    with tempfile.TemporaryDirectory() as empty:
        for name in options.cases:
            make, prior, size = cases[name]
            found[name] = case(make(), Prior.from_mapping(prior), (options.folder or Path(empty)) / name, size)
    print(json.dumps(found, indent=1))
    if options.json:
        kept = json.loads(options.json.read_text()) if options.json.exists() else {}
        told = {"benchmark": "surrogate", "quick": options.quick, "record": json.loads(record.to_json())}
        options.json.write_text(json.dumps({**kept, **told, **found}, indent=1) + "\n")


def pcsmo() -> Experiment:
    """A powder of Pr(Ca,Sr)2Mn2O7."""
    measurement = Measurement(QShells(torch.linspace(0.5, 3.0, 41)), torch.linspace(10.0, 90.0, 61), 5.0)
    instrument = Instrument(GaussianResolution(), ConstantBackground(), Poisson())
    return Experiment(library.load("pcsmo_goodenough"), measurement, instrument, samples=64)


def near_published() -> dict[str, Any]:
    """Exchange and anisotropy within 15 %."""
    known = library.load("pcsmo_goodenough").defaults
    model = {name: {"uniform": sorted((0.85 * x, 1.15 * x))} for name, x in known.items()}
    width = {"fwhm": {"uniform": [2.0, 5.0]}, "fwhm_q": {"uniform": [0.02, 0.1]}}
    return {**model, **width, "scale": {"loguniform": [10.0, 1000.0]}, "background": {"uniform": [0.1, 2.0]}}


def powder() -> Experiment:
    """MnF2, both resolutions free."""
    measurement = Measurement(QShells(torch.linspace(0.5, 3.0, 41)), torch.linspace(0.5, 8.0, 61), 5.0)
    instrument = Instrument(GaussianResolution(), ConstantBackground(), Poisson())
    return Experiment(library.load("mnf2"), measurement, instrument, samples=128)


def case(experiment: Experiment, prior: Prior, folder: Path, sizes: dict[str, int]) -> dict[str, Any]:
    """One problem."""
    clock = time.perf_counter()
    pairs = Pairs(simulations(experiment, prior, sizes["rows"], seed=1, folder=folder / "simulations"))
    simulated = time.perf_counter() - clock
    effort = Effort(steps=sizes["steps"], every=max(1, sizes["steps"] // 24), seed=1)
    emulator = emulate(pairs, effort, folder / "emulator", tell)
    taught = time.perf_counter() - clock - simulated
    quick = experiment.seen_by(emulator)
    fresh = Pairs(simulations(experiment, prior, sizes["fresh"], seed=FRESH).part(slice(sizes["fresh"])))
    return {
        "simulations": len(pairs),
        "seconds": {"simulating": simulated, "cutting and training": taught},
        "stated_error": emulator.error.tolist(),
        "fresh_error": fresh_error(emulator, fresh),
        "milliseconds": {name: speed(each, fresh) for name, each in (("simulator", experiment), ("emulator", quick))},
        "posteriors": [posteriors(experiment, quick, fresh, k) for k in range(sizes["spectra"])],
    }


def fresh_error(emulator: Emulator, fresh: Pairs) -> dict[str, float]:
    """Per bin, in units of the counting noise."""
    theta, expected = fresh.redrawn(torch.arange(len(fresh)), stream(FRESH, "scales"))
    with torch.no_grad():
        away = fresh.simulations.experiment.seen_by(emulator)(theta) - expected
    square = (away**2 / expected.clamp(min=1.0)).flatten(1).mean(1)
    quantiles = square.quantile(torch.tensor([0.5, 0.99], dtype=square.dtype)).sqrt().tolist()
    return {"rms": float(square.mean().sqrt()), "median": quantiles[0], "99 %": quantiles[1]}


def speed(experiment: Experiment, fresh: Pairs) -> dict[str, float]:
    """Milliseconds a spectrum, in batches of 32 and, with derivatives, of 8; the best of three."""
    theta = fresh.redrawn(torch.arange(32) % len(fresh), stream(FRESH, "speed"))[0]
    with torch.no_grad():
        plain = min(_timed(lambda: experiment.predict(theta)) for _ in range(3)) / 32
    return {
        "spectrum": plain,
        "with derivatives": min(_timed(lambda: experiment.linearise(theta[:8])) for _ in range(3)) / 8,
    }


def _timed(work: Callable[[], object]) -> float:
    clock = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - clock)


def posteriors(experiment: Experiment, quick: Experiment, fresh: Pairs, k: int) -> dict[str, Any]:
    """One measurement, simulated with a dense average at its truth, inferred with both."""
    prior = fresh.prior
    theta = fresh.redrawn(torch.arange(k, k + 1), stream(FRESH, f"truth {k}"))[0]
    spectrum = experiment.anchored(theta).experiment.sample(theta, seed=FRESH + k)
    right, bare = (refine(Target.of(each, prior, spectrum), theta)[0] for each in (experiment, quick))
    away = (bare.z - right.z) / right.covariance.diagonal().sqrt()
    ours, theirs = (infer(each, prior, spectrum, SETTINGS) for each in (quick, experiment))
    sd = [(row.interval68[1] - row.interval68[0]) / 2 for row in theirs.summary()]
    ratio = [(row.interval68[1] - row.interval68[0]) / 2 / s for row, s in zip(ours.summary(), sd, strict=True)]
    print(time.strftime("%H:%M:%S"), k, file=sys.stderr, flush=True)
    return {
        "truth": dict(zip(prior.names, theta[0].tolist(), strict=True)),
        "bare_shift": away.tolist(),
        "shift": ((ours.median - theirs.median) / torch.tensor(sd)).tolist(),
        "width": ratio,
        "emulation": next(each.value for each in ours.checks if each.name == "emulation"),
        "failed": {
            "emulator": [each.name for each in ours.checks if not each.passed],
            "simulator": [each.name for each in theirs.checks if not each.passed],
        },
        "seconds": {"emulator": ours.seconds, "simulator": theirs.seconds},
    }


if __name__ == "__main__":
    main()
