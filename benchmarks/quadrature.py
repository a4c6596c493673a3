"""How far other quadrature points would move the answer on MnF2: the noise that the powder average brings to a fit.

    python -m benchmarks.quadrature --json FILE [--quick] [--truths 3] [--sets 4]

Spectra like the measured MnF2 map are simulated (`benchmarks.mnf2_coverage`, its seeds from 2000) and fitted. Then the
points are exchanged for `sets` independent ones, and one step of Fisher scoring from the fit says where their optimum
would be. Reported: standard deviation of that over the sets, root mean square over the truths, in units of each
parameter's own standard deviation, for points spread evenly, concentrated ones, and those anchored at the fit by a
dense average, without and with its derivatives (`Experiment.anchored`).
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.mnf2_coverage import CONFIG, draw, measure, prepared
from sqwirrel.config import load
from sqwirrel.infer.refine import Optimum, refine
from sqwirrel.infer.target import Target
from sqwirrel.observe import Experiment
from sqwirrel.record import Record

FIRST = 2000
SEEDS, APART = 5000, 100
"""Seeds of the exchanged points, and their distance: anchoring uses the seeds that follow."""


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Noise of the powder average in a fit.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="a smoke run under 50 s")
    parser.add_argument("--truths", type=int, default=3)
    parser.add_argument("--sets", type=int, default=4)
    options = parser.parse_args()
    if not (CONFIG.parent / load(CONFIG).measurement.file).exists():  # type: ignore[operator]
        raise SystemExit("quadrature needs ../shared/data/mnf2/mnf2_powder.mat, which is not here: nothing was run")
    result = run(options.quick, *((1, 2) if options.quick else (options.truths, options.sets)))
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(quick: bool, truths: int, sets: int) -> dict[str, Any]:
    """Every truth, then the root mean squares."""
    record, clock = Record.start(seeds={"first truth": FIRST, "points": SEEDS}, files=[CONFIG]), time.perf_counter()
    found = [one(FIRST + k, sets, quick) for k in range(truths)]
    names = prepared(quick)[0].fine.model.names
    rows = {
        kind: torch.stack([each[kind] for each in found]).square().mean(0).sqrt()[: len(names)].tolist()
        for kind in found[0]
    }
    return {
        "benchmark": "quadrature",
        "quick": quick,
        "truths": truths,
        "sets": sets,
        "names": names,
        "shift": rows,
        "wall_seconds": time.perf_counter() - clock,
        "record": json.loads(record.to_json()),
    }


def one(seed: int, sets: int, quick: bool) -> dict[str, torch.Tensor]:
    """Standard deviation of the shift over the sets, for each kind of points."""
    averages, prior, truth, exposure, like = prepared(quick)
    theta = draw(prior, seed)
    full = Target.of(truth, prior, like).full(theta)
    spectrum = measure(truth.anchored(full).experiment, full, exposure, like, seed)
    target = Target.of(averages.fine, prior, spectrum)
    (best,) = refine(target, theta)
    at, spread = target.full(prior.constrain(best.z[None])), target.spread(best.z, best.covariance)
    target = target.with_terms(term.anchored(at, spread) for term in target.terms)
    (best,) = refine(target, prior.constrain(best.z[None]))
    at, spread = target.full(prior.constrain(best.z[None])), target.spread(best.z, best.covariance)
    return {kind: scatter(target, best, make, sets) for kind, make in kinds(averages.fine, at, spread).items()}


def kinds(like: Experiment, at: torch.Tensor, spread: torch.Tensor) -> dict[str, Callable[[int], Experiment]]:
    """Experiments by the seed of their points."""
    again = partial(Experiment, instrument=like.instrument, measurement=like.measurement, cell=like.cell)
    unknown = replace(like.model, defaults={})  # without published parameters there is nothing to concentrate on

    def points(seed: int) -> Experiment:
        return again(like.model, samples=like.samples, seed=seed)

    return {
        f"{like.samples} even": lambda seed: again(unknown, samples=like.samples, seed=seed),
        f"{6 * like.samples} even": lambda seed: again(unknown, samples=6 * like.samples, seed=seed),
        f"{like.samples} concentrated": points,
        "anchored": lambda seed: points(seed).anchored(at).experiment,
        "anchored with derivatives": lambda seed: points(seed).anchored(at, spread).experiment,
    }


def scatter(target: Target, best: Optimum, make: Callable[[int], Experiment], sets: int) -> torch.Tensor:
    """Standard deviation over the sets of where the optimum goes, in its standard deviations."""
    steps = []
    for k in range(sets):
        (term,) = target.terms
        slope = target.with_terms([replace(term, experiment=make(SEEDS + APART * k))]).slope(best.z[None])
        precision = slope.information[0] + torch.diag(slope.prior_information[0])
        steps.append(torch.linalg.solve(precision, slope.gradient[0]))
    return torch.stack(steps).std(0) / best.covariance.diagonal().sqrt()


def table(result: dict[str, Any]) -> str:
    """The result in lines."""
    head = f"{result['truths']} truths, {result['sets']} sets of points; shift in standard deviations"
    lines = [head, f"{'points a cell':27s}" + "".join(f"{name:>7s}" for name in result["names"])]
    lines += [f"{kind:27s}" + "".join(f"{x:7.2f}" for x in row) for kind, row in result["shift"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
