"""Coverage of `infer` on simulated measurements like the MnF2 powder map: whether the intervals hold.

    python -m benchmarks.mnf2_coverage --json FILE [--quick] [--first 200] [--spectra 200] [--workers 2]

The bins, coverage and counts per unit of intensity are those of `../shared/data/mnf2/mnf2_powder.mat` as
`examples/mnf2.toml` prepares it. Each truth is drawn from the priors of that file (uniform ones narrowed to `TRUTH`);
its spectrum is averaged over 16 x 768 quadrature points a cell that the fit does not share, counted (Poisson), and
reduced: intensity = counts / exposure, error = sqrt(counts) / exposure, so that a bin without counts claims no error,
as in the measured file. Then `infer` sees it as it would a file. Reported per parameter: share of truths inside the
68 % and 90 % intervals, root mean square error over the root mean square Cramer-Rao limit (rho), and median error over
the median that a Gaussian at the limit would give (target at most 1.2).

Finished spectra are kept in FILE.partial and not run again. Seeds 0 to 199 were run and looked at before the
derivatives of the average were anchored, those from 1000 serve development: `--first` chooses others.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from sqwirrel.config import load, study
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.averages import Averages
from sqwirrel.infer.target import Target
from sqwirrel.model.laws import Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum

CONFIG = Path(__file__).parents[1] / "examples" / "mnf2.toml"
TRUTH = {
    "J1": (-0.1, -0.03),
    "J2": (0.27, 0.35),
    "J3": (-0.01, 0.01),
    "D": (-0.03, -0.005),
    "fwhm_1": (-0.04, 0.0),
    "tail": (0.1, 0.4),
    "tail_length": (0.4, 1.0),
    "multiple": (0.05, 0.3),
    "scale": (1.5, 3.0),
    "background": (0.03, 0.06),
    "background_slope": (-0.003, 0.003),
    "background_slope_q": (0.0, 0.006),
}
LEVELS = {"68": (0.16, 0.84), "90": (0.05, 0.95)}
SETTINGS = Settings(screen=256, starts=4, draws=400, rounds=3)
QUICK = {"spectra": 2, "samples": 16}
HALF = 0.674490
"""Median of |x| for a standard normal x."""


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Coverage on simulated MnF2-like measurements.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="a smoke run under 50 s")
    parser.add_argument("--first", type=int, default=200, help="seed of the first spectrum")
    parser.add_argument("--spectra", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not (CONFIG.parent / load(CONFIG).measurement.file).exists():  # type: ignore[operator]
        raise SystemExit("mnf2_coverage needs ../shared/data/mnf2/mnf2_powder.mat, which is not here: nothing was run")
    spectra = QUICK["spectra"] if options.quick else options.spectra
    result = run(options.json, options.quick, range(options.first, options.first + spectra), options.workers)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(rounded(result), indent=1) + "\n")
        partial(options.json).unlink(missing_ok=True)


def run(file: Path | None, quick: bool, seeds: range, workers: int) -> dict[str, Any]:
    """Every spectrum that is not in the partial file, in parallel, then the summary."""
    record, clock = Record.start(seeds={"first truth": seeds[0]}, files=[CONFIG]), time.perf_counter()
    done = {row["seed"]: row for row in kept(file) if row["seed"] in seeds}
    todo = [seed for seed in seeds if seed not in done]
    with ProcessPoolExecutor(workers, initializer=single_thread) as pool:
        for row in pool.map(one, todo, [quick] * len(todo)):
            done[row["seed"]] = row
            if file and not quick:
                with partial(file).open("a") as out:
                    out.write(json.dumps(row) + "\n")
    rows = [done[seed] for seed in sorted(done)]
    return {
        "benchmark": "mnf2_coverage",
        "quick": quick,
        "spectra": len(rows),
        "parameters": summary(rows),
        "seconds_per_spectrum": sum(row["seconds"] for row in rows) / len(rows),
        "failed_checks": failures(rows),
        "wall_seconds": time.perf_counter() - clock,
        "record": json.loads(record.to_json()),
        "rows": rows,
    }


def one(seed: int, quick: bool) -> dict[str, Any]:
    """One simulated measurement, inferred."""
    averages, prior, truth_experiment, exposure, like = prepared(quick)
    theta = draw(prior, seed)
    full = Target.of(truth_experiment, prior, like).full(theta)
    spectrum = measure(truth_experiment.anchored(full).experiment, full, exposure, like, seed)
    posterior = infer(averages, prior, spectrum, replace(SETTINGS, seed=seed))
    truth = theta[0].tolist()
    quantiles = {name: [posterior.quantile(level).tolist() for level in pair] for name, pair in LEVELS.items()}
    return {
        "seed": seed,
        "names": list(posterior.names),
        "truth": truth,
        "median": posterior.median.tolist(),
        "limit": posterior.limit.tolist(),
        "quantiles": quantiles,
        "deviance_per_bin": posterior.deviance_per_bin,
        "failed": [check.name for check in posterior.checks if not check.passed],
        "seconds": posterior.seconds,
    }


@cache
def prepared(quick: bool) -> tuple[Averages, Prior, Experiment, torch.Tensor, Spectrum]:
    """What all spectra share: simulators, prior, counts per unit of intensity, and the measured coverage."""
    config = load(CONFIG)
    if quick:
        config = config.model_copy(
            update={"instrument": config.instrument.model_copy(update={"samples": QUICK["samples"]})}
        )
    this = study(config)
    e = this.experiment
    truth = Experiment(e.model, e.measurement, e.instrument, samples=e.samples, cell=e.cell, seed=1000)
    return Averages.of(e, this.spectrum), this.prior, truth, exposure_of(this.spectrum), this.spectrum


def exposure_of(spectrum: Spectrum) -> torch.Tensor:
    """Counts per unit of intensity, intensity / error^2, the median over 5 x 5 neighbours with counts."""
    counted = spectrum.valid & (spectrum.intensity > spectrum.error)
    rate = torch.where(counted, spectrum.intensity / spectrum.error.clamp(min=1e-12) ** 2, torch.nan)
    padded = torch.nn.functional.pad(rate, (2, 2, 2, 2), value=torch.nan)
    local = padded.unfold(0, 5, 1).unfold(1, 5, 1).flatten(2).nanmedian(dim=2).values
    return torch.where(local.isnan(), rate.nanmedian(), local)


def draw(prior: Prior, seed: int) -> torch.Tensor:
    """A truth: the prior, its uniform parameters narrowed to `TRUTH`."""
    narrow = Prior(**{name: Uniform(*TRUTH[name]) if name in TRUTH else law for name, law in prior.free.items()})
    return narrow.sample(1, 10_000 + seed)


def measure(experiment: Experiment, theta: torch.Tensor, exposure: torch.Tensor, like: Spectrum, seed: int) -> Spectrum:
    """Counts with the exposure of the measured file, reduced to intensity and error."""
    with torch.no_grad():
        expected = experiment(theta)[0]
    counts = torch.poisson((expected * exposure).clamp(min=0), generator=stream(seed, "mnf2_coverage"))
    return Spectrum.from_arrays(counts / exposure, counts.sqrt() / exposure, experiment.measurement, valid=like.valid)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Coverage and error over limit, parameter by parameter."""
    truth, median, limit = (
        torch.tensor([row[key] for row in rows], dtype=torch.float64) for key in ("truth", "median", "limit")
    )
    error, names = (median - truth).abs(), rows[0]["names"]
    low_high = {name: torch.tensor([row["quantiles"][name] for row in rows], dtype=torch.float64) for name in LEVELS}
    inside = {name: ((q[:, 0] <= truth) & (truth <= q[:, 1])).double().mean(0) for name, q in low_high.items()}
    rho = (error**2).mean(0).sqrt() / (limit**2).mean(0).sqrt()
    ratio = (error / limit).median(0).values / HALF
    return [
        {
            "name": name,
            "coverage": {level: float(share[k]) for level, share in inside.items()},
            "rho": float(rho[k]),
            "median_error_over_limit": float(ratio[k]),
        }
        for k, name in enumerate(names)
    ]


def failures(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How many spectra failed each check."""
    names = [name for row in rows for name in row["failed"]]
    return {name: names.count(name) for name in sorted(set(names))}


def rounded(value: Any) -> Any:
    """The same with six figures of every number, which is all that a row of this size needs."""
    match value:
        case float():
            return float(f"{value:.6g}")
        case list():
            return [rounded(each) for each in value]
        case dict():
            return {key: rounded(each) for key, each in value.items()}
        case _:
            return value


def kept(file: Path | None) -> list[dict[str, Any]]:
    """Rows of an earlier, interrupted run."""
    if file is None or not partial(file).exists():
        return []
    return [json.loads(line) for line in partial(file).read_text().splitlines()]


def partial(file: Path) -> Path:
    """Where finished spectra are kept."""
    return file.with_name(file.name + ".partial")


def single_thread() -> None:
    """One thread a worker."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def table(result: dict[str, Any]) -> str:
    """The result in lines."""
    failed = result["failed_checks"] or "none"
    head = f"{result['spectra']} spectra, {result['seconds_per_spectrum']:.1f} s each; failed checks: {failed}"
    lines = [head, f"{'parameter':20s} {'68 %':>6s} {'90 %':>6s} {'rho':>6s} {'median error / limit':>21s}"]
    for row in result["parameters"]:
        share, ratio = row["coverage"], row["median_error_over_limit"]
        lines.append(f"{row['name']:20s} {share['68']:6.3f} {share['90']:6.3f} {row['rho']:6.2f} {ratio:21.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
