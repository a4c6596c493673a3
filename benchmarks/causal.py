"""Causal maps of systems whose causes are known, beside what other methods find with as many simulations.

    python -m benchmarks.causal --json FILE [--quick] [--folder DIR] [--first SEED] [--systems 2] [--designs 4]

Systems are of the kinds in `benchmarks.interventions` (`apart`, `together`, `simulated`), each drawn anew for every
seed. What is true: nothing where a cause cannot reach a region by construction; elsewhere d' of that very region from
4096 pairs of another seed. Every system has maps of several independent designs of 64 and of 256 pairs. Counted are
edges that are not absent where they are impossible, decided edges on the wrong side of d' = 3 (`shd`), undecided ones,
how often 95 % intervals hold the true d' (of pairs that a cause can reach), and how alike regions of two designs are.

Other methods (`benchmarks.interventions.rivals`) have the regions of the first map, and are asked for edges, and for
what held-out interventions do, in the window of the design and anywhere in the prior. Errors of that are root mean
squares over those of the changes: 1 for who says that nothing changes. Pairs with the confounder are left out of this.

Finished systems are kept in DIR. Seeds 1 to 9 served development.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.interventions import apart, simulated, together
from benchmarks.interventions.known import DUMMY, Draw, Known
from benchmarks.interventions.problem import Claim, Problem, errors
from benchmarks.interventions.rivals import of_map, rivals
from benchmarks.interventions.scores import Truth, alike, judged
from benchmarks.keeping import kept
from sqwirrel.explain.causal.causal_map import CausalMap, causal_map
from sqwirrel.explain.causal.edges import TOLD
from sqwirrel.record import Record

HELD_OUT = 101
"""The first seed of systems that are judged; nobody had looked at any from here on."""
KINDS: dict[str, Callable[[Draw], Known]] = {
    kind.__name__: kind for kind in (*apart.KINDS, *together.KINDS, *simulated.KINDS)
}
PAIRS, LARGE = (64, 256), 4096
QUICK = ("chains", "threshold")
COUNTS = ("edges", "dummies", "impossible", "dummy_edges", "impossible_edges", "undecided", "near", "shd")
Row = dict[str, Any]


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Causal maps of systems with known causes.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="two systems, 64 pairs, a smaller truth")
    parser.add_argument("--folder", type=Path, help="where finished systems are kept")
    parser.add_argument("--first", type=int, default=HELD_OUT)
    parser.add_argument("--systems", type=int, default=2, help="of each kind")
    parser.add_argument("--designs", type=int, default=4)
    options = parser.parse_args()
    systems, designs = (1, 2) if options.quick else (options.systems, options.designs)
    with tempfile.TemporaryDirectory() as empty:
        result = run(
            options.folder or Path(empty), range(options.first, options.first + systems), designs, options.quick
        )
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(folder: Path, seeds: range, designs: int, quick: bool) -> Row:
    """Every system that is not in the folder, then the summary."""
    record, rows = Record.start(seeds={"first": seeds[0]}), []
    sizes, large = (PAIRS[:1], 512) if quick else (PAIRS, LARGE)
    for seed in seeds:
        for name in QUICK if quick else KINDS:
            make = partial(one, name, seed, designs, sizes, large)
            rows.append(kept(folder / f"{name}_{seed}_{designs}_{large}.json", make))
            print(time.strftime("%H:%M:%S"), name, seed, file=sys.stderr, flush=True)
    return {
        "benchmark": "causal",
        "quick": quick,
        "kinds": {name: (kind.__doc__ or "").strip() for name, kind in KINDS.items() if not quick or name in QUICK},
        "systems": len(rows),
        "designs": designs,
        "pairs_of_truth": large,
        "maps": {str(pairs): total([row["pairs"][str(pairs)] for row in rows]) for pairs in sizes},
        "methods": {str(pairs): contest([row["pairs"][str(pairs)]["methods"] for row in rows]) for pairs in sizes},
        "left_out": rivals()[1],
        "record": json.loads(record.to_json()),
        "rows": rows,
    }


def one(name: str, seed: int, designs: int, sizes: tuple[int, ...], large: int) -> Row:
    """All maps of one system, and the other methods on the regions of the first."""
    system = KINDS[name](Draw(name, seed))
    truth, found = Truth.of(system, large, 1000 * seed + 999), dict[str, Row]()
    for pairs in sizes:
        maps = [causal_map(system, pairs, 1000 * seed + k) for k in range(designs)]
        rows = [judged(each, truth) for each in maps]
        methods = compared(Problem(system, maps[0].regions.of, truth.middle, pairs, 1000 * seed), maps[0], truth)
        found[str(pairs)] = {"maps": rows, **alike(maps, truth.foreground), "methods": methods}
    return {"kind": name, "seed": seed, "causes": list(system.prior.names), "pairs": found}


def compared(problem: Problem, found: CausalMap, truth: Truth) -> dict[str, Row]:
    """Edges and errors of every method."""
    system = problem.system
    inside, outside = problem.held_out(problem.window), problem.held_out(None)
    effect, _ = truth.effect(problem.of, problem.regions)
    impossible = truth.impossible(problem.of, problem.regions)
    causes = torch.tensor([name != system.confounder for name in system.prior.names])
    dummy = torch.tensor([name == DUMMY for name in system.prior.names])
    rows = {}
    for name, method in {"causal map": partial(of_map, found), **rivals()[0]}.items():
        clock = time.perf_counter()
        claim: Claim = method(problem)
        seconds, edge = time.perf_counter() - clock, claim.edge & causes
        near, far = (errors(problem, claim, each, causes) for each in (inside, outside))
        rows[name] = {
            "impossible_edges": int((edge & impossible & ~dummy).sum()),
            "dummy_edges": int((edge & dummy).sum()),
            "missed": int((~edge & causes & (effect > TOLD)).sum()),
            "do_error_inside": near[0],
            "do_error_outside": far[0],
            "size_error_inside": near[1],
            "size_error_outside": far[1],
            "seconds": seconds + (found.seconds if name == "causal map" else 0),
        }
    told = int((causes & (effect > TOLD)).sum())
    asked = {"impossible": int((impossible & causes & ~dummy).sum()), "dummies": problem.regions, "told": told}
    return {name: row | asked for name, row in rows.items()}


def total(rows: list[Row]) -> Row:
    """Sums and shares over all maps of one size; Rand indices are means over systems of means over pairs of maps."""
    maps = [each for row in rows for each in row["maps"]]
    found = {key: sum(each[key] for each in maps) for key in (*COUNTS, "moved", "held", "told", "held_told", "below")}
    return {
        "maps": len(maps),
        **{key: found[key] for key in COUNTS},
        "undecided_share": found["undecided"] / found["edges"],
        "near_share": found["near"] / found["edges"],
        "ari_all": statistics.fmean(statistics.fmean(row["all"]) for row in rows),
        "ari_foreground": statistics.fmean(statistics.fmean(row["foreground"]) for row in rows if row["foreground"]),
        "intervals": found["moved"],
        "ci_coverage": found["held"] / found["moved"],
        "ci_below": found["below"] / found["moved"],
        "intervals_told": found["told"],
        "ci_coverage_told": found["held_told"] / found["told"],
        "error_of_truth": statistics.fmean(each["error_of_truth"] for each in maps),
        "seconds": statistics.median(each["seconds"] for each in maps),
        "seconds_most": max(each["seconds"] for each in maps),
    }


def contest(rows: list[dict[str, Row]]) -> dict[str, Row]:
    """Of every method sums of edges, and medians of errors over systems (none where a method has no signs)."""
    found = {}
    for name in rows[0]:
        mine = [row[name] for row in rows]
        counts = ("impossible_edges", "impossible", "dummy_edges", "dummies", "missed", "told")
        found[name] = {key: sum(row[key] for row in mine) for key in counts}
        for key in ("do_error_inside", "do_error_outside", "size_error_inside", "size_error_outside", "seconds"):
            found[name][key] = _median(row[key] for row in mine)
    return found


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def table(result: Row) -> str:
    """The summary in lines."""
    lines = [f"{result['systems']} systems of {len(result['kinds'])} kinds, {result['designs']} designs each"]
    for pairs, each in result["maps"].items():
        lines.append(f"{pairs} pairs")
        lines += [f"  {key:20s} {value:.4g}" for key, value in each.items()]
    for pairs, methods in result["methods"].items():
        lines.append(f"{pairs} pairs: impossible, dummy, missed; do() error inside, outside; of sizes; seconds")
        for name, row in methods.items():
            counts = " ".join(
                f"{row[key]:4d}/{row[of]:<4d}"
                for key, of in (("impossible_edges", "impossible"), ("dummy_edges", "dummies"), ("missed", "told"))
            )
            numbers = (row[f"{what}_error_{where}"] for what in ("do", "size") for where in ("inside", "outside"))
            errors_of = " ".join("  -  " if value is None else f"{value:.3f}" for value in numbers)
            lines.append(f"  {name:42s} {counts} {errors_of} {row['seconds']:.2f}")
    lines += [f"  {name}: left out, {why}" for name, why in result["left_out"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
