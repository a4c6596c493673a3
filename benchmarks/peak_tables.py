"""Posteriors from measured tables of peaks: jarosite, alpha- and Zn-doped Cu2V2O7, LuVO3.

    python -m benchmarks.peak_tables [--json FILE] [--quick]

For each material: parameters against the published ones, all basins with their probabilities, checks, seconds, and every
peak beside the energy of the line it belongs to. Errors of q are left out: in these tables the error in energy of a scan
along q stands for the one in q. Priors are those of the library. `--quick` has one material, fewer starts and draws.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, field
from math import pi, sqrt
from pathlib import Path
from typing import Any

import torch

from sqwirrel import Joint, LogUniform, PeakExperiment, Peaks, Prior, Settings, Uniform, infer, library, read_peaks
from sqwirrel.infer.posterior import Posterior
from sqwirrel.infer.target import Target
from sqwirrel.record import Record

DATA = Path(__file__).parents[2] / "shared" / "data" / "peaks"
SCAN = ("x", "energy", "error", "branch", "direction")
REPEATS = ("first", "second", "third")
"""Labels of the tables: of each mode at each wavevector, the first, second and third measurement."""
import os
EXTRA = not os.environ.get("NOEXTRA")
QUICK = Settings(screen=64, starts=2, draws=100, rounds=1)


@dataclass(frozen=True)
class Material:
    """A table of peaks, how its rows are read, and published parameters (meV), by the name of who published them."""

    model: str
    file: str
    published: dict[str, dict[str, float]]
    columns: tuple[str, ...] | None = None
    lines: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)


MATERIALS = (
    Material(
        "kfe3j",
        "sw_KFe3J.txt",
        {"table": {"J1": 3.23, "J2": 0.11, "Dy": 0.218, "Dz": 0.195}},
        ("x", "x_error", "energy", "error", "branch", "direction"),
        {1: ((0, 0, 0), (1 / (2 * pi), 1 / (2 * pi), 0)), 2: ((0, 0, 0), (sqrt(3) / (2 * pi), 0, 0))},
    ),
    Material(
        "cu2v2o7",
        "sw_aCVO.txt",
        {"table": {"J1": 2.67, "J2": 2.99, "J3": 5.42, "G": 0.282, "D": 2.79}},
        SCAN,
        {1: ((0, 1.75, 0), (1, 0, 0)), 2: ((0, 0, 0), (0, 1, 0)), 3: ((0, 2, 0), (0, 0, 1))},
    ),
    Material(
        "zncu2v2o7",
        "sw_ZnCVO.txt",
        {"table": {"J1": 8.497751, "J5": 5.261605, "J6": 1.873546, "J7": 0.5095509}},
        SCAN,
        {1: ((0, 0, 0), (0, 1, 0)), 2: ((0, 2, 0), (1, 0, 0))},
    ),
    Material(
        "luvo3",
        "LuVO3_fitted_modes_spinw.txt",
        {
            "paper": {"Jab": 5.95, "Jc": 4.24, "Ka": 0.48, "Kb": 0.06},
            "least squares": {"Jab": 5.756, "Jc": 4.307, "Ka": 0.663, "Kb": 0.117},
        },
    ),
)


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Posteriors from measured tables of peaks.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="a smoke run under 40 s")
    parser.add_argument("--only", help="a single material")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("peak_tables needs ../shared/data/peaks, which is not here: nothing was run")
    chosen = [m for m in MATERIALS if options.only in (None, m.model)]
    result = run(chosen[-1:] if options.quick else chosen, options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(materials: list[Material], quick: bool) -> dict[str, Any]:
    """All materials."""
    return {
        "benchmark": "peak_tables",
        "quick": quick,
        "materials": [study(material, QUICK if quick else Settings(screen=1000, starts=16, draws=int(os.environ.get("DRAWS","3000")), rounds=4)) for material in materials],
        "record": json.loads(Record.start(files=[DATA / m.file for m in materials]).to_json()),
    }


def study(material: Material, settings: Settings) -> dict[str, Any]:
    """The posterior of one table."""
    model = library.load(material.model)
    tables = measured(material)
    shared = ("outliers", "peak_width_extra") if EXTRA else ("outliers",)
    experiments = {label: PeakExperiment(model, each, extra=EXTRA, q_error=False) for label, each in tables.items()}
    joint = Joint(experiments, shared=shared)
    prior = Prior(
        **model.prior.free, outliers=LogUniform(0.01, 0.2), **({"peak_width_extra": Uniform(0.0, 3 * max(float(t.error.max()) for t in tables.values()), "meV")} if EXTRA else {})
    )
    clock = time.perf_counter()
    posterior = infer(joint, prior, tables, settings)
    return {
        "name": material.model,
        "title": model.title,
        "parameters": [asdict(row) for row in posterior.summary()],
        "sd": posterior.covariance.diagonal().sqrt().tolist(),
        "published": {who: against(posterior, values) for who, values in material.published.items()},
        "basins": [
            {"theta": b.theta.tolist(), "log_posterior": b.log_posterior, "starts": b.starts, "probability": b.probability}
            for b in posterior.basins
        ],
        "checks": [asdict(check) for check in posterior.checks],
        "peaks": explained(joint, prior, tables, posterior),
        "seconds": time.perf_counter() - clock,
    }


def measured(material: Material) -> dict[str, Peaks]:
    """The table, with every measurement again of the same branch at the same wavevector in a table of its own.

    The number of the branch goes through the reader as an intensity. One peak listed for two branches is one peak.
    """
    columns = material.columns and tuple("intensity" if name == "branch" else name for name in material.columns)
    every = read_peaks(DATA / material.file, library.load(material.model).lattice, columns=columns, lines=material.lines or None)
    if columns is None:
        return {REPEATS[0]: every}
    seen, rows = set(), {label: [] for label in REPEATS}
    times: dict[tuple[float, ...], int] = {}
    for k, (q, energy, error, branch) in enumerate(zip(every.q.tolist(), every.energy.tolist(), every.error.tolist(), every.intensity.tolist(), strict=True)):
        if (key := (*q, energy, error)) in seen:
            continue
        seen.add(key)
        times[(*q, branch)] = n = times.get((*q, branch), -1) + 1
        rows[REPEATS[n]].append(k)
    return {
        label: Peaks(every.lattice, every.q[k], every.energy[k], every.error[k]) for label, k in rows.items() if k
    }


def against(posterior: Posterior, published: dict[str, float]) -> dict[str, Any]:
    """Published values, and how many standard deviations of the posterior they are above its median."""
    sd = posterior.covariance.diagonal().sqrt()
    at = {name: k for k, name in enumerate(posterior.names)}
    return {
        name: {"value": value, "away": float((value - posterior.median[at[name]]) / sd[at[name]])}
        for name, value in published.items()
    }


def explained(joint: Joint, prior: Prior, tables: dict[str, Peaks], posterior: Posterior) -> list[dict[str, Any]]:
    """Every peak with the energy of the line it belongs to at the best basin, and the probability that it has none."""
    target = Target.of(joint, prior, tables)
    full = target.full(posterior.basins[0].theta[None])
    rows = []
    for term in target.terms:
        found = term.explained(target.own(term, full))
        rows += [
            {"q": q, "energy": e, "error": s, "model": line, "stray": stray}
            for q, e, s, line, stray in zip(
                term.peaks.q.tolist(), term.peaks.energy.tolist(), term.peaks.error.tolist(), found.energy.tolist(), found.stray.tolist(), strict=True
            )
        ]
    return rows


if __name__ == "__main__":
    main()
