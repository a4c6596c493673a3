"""Closed loop in silico: how fast parameters, and a choice between two models, are known if advice is followed.

    python -m benchmarks.steering --json FILE [--quick] [--folder DIR] [--seeds 50] [--first SEED]

The kind of problem is that of W. Ratcliff, arXiv:2604.23821, an autonomous triple-axis spectrometer on a square-lattice
antiferromagnet; the numbers are ours (`benchmarks.closed_loop.square`), so minutes can be compared between the rules
here, not with those published. Refinement: points until the standard deviations of J1, J2 and D are below `TARGET` of
their medians; then `infer` on all points gives the intervals that are judged. Choice: J1 alone against J1 and J2, equal
priors on the models and on what they share, truths alternately of either, until the Bayes factor is 100. All rules have
the same truths and the same inference (`benchmarks.closed_loop.belief`) and begin with the priors alone. Who has not
ended after `MOST` points is counted as not done, with all points and minutes spent.

Finished runs are kept in DIR and not run again. Seeds below 1000 served development: they showed that promises from
derivatives alone can lead to the same dark place for ever, and that it pays to learn first where models differ.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.closed_loop import rules
from benchmarks.closed_loop.belief import Belief
from benchmarks.closed_loop.square import (
    COUNTING,
    ENERGY_SPEED,
    FURTHER,
    LAWS,
    NEAREST,
    PRIORS,
    Q_SPEED,
    SETTLE,
    Log,
    measured,
    true_parameters,
)
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.record import Record

HELD_OUT = 20261500
"""The first seed that is judged; nobody had looked at any from here on."""
TARGET = {"J1": 0.02, "J2": 0.1, "D": 0.1}
DECISIVE = 100.0
MOST = {"refinement": 40, "choice": 36}
RULES: dict[str, dict[str, rules.Rule]] = {
    "refinement": {"advise": rules.advised, "greedy": rules.greedy, "random": rules.random},
    "choice": {
        "advise, advise_between": rules.learning,
        "advise_between": rules.between,
        "disagreement": rules.disagreement,
        "greedy": rules.greedy,
        "random": rules.random,
    },
}
SETTINGS = Settings(screen=128, starts=4, draws=500, rounds=2)
PUBLISHED = {
    "source": "W. Ratcliff, arXiv:2604.23821 (2026); one problem and instrument of its own",
    "refinement": {"measurements": 8, "seconds": 170, "random_measurements": 17, "random_seconds": 542},
    "refinement_three_seeds": {"seconds": 225, "random_seconds": 413},
    "coverage_90": {"J1": 0.3, "J2": 0.7, "D": 0.1},
    "choice": {"disagreement_measurements": 6, "greedy_measurements": 34},
}


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Steering a triple-axis spectrometer in silico.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="one seed, few points")
    parser.add_argument("--folder", type=Path, help="where finished runs are kept")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=HELD_OUT)
    options = parser.parse_args()
    seeds = range(options.first, options.first + (1 if options.quick else options.seeds))
    with tempfile.TemporaryDirectory() as empty:
        result = run(options.folder or Path(empty), seeds, options.quick)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(folder: Path, seeds: range, quick: bool) -> dict[str, Any]:
    """Every run that is not in the folder, seed by seed, then the summary."""
    record = Record.start(seeds={"first": seeds[0]})
    folder.mkdir(parents=True, exist_ok=True)
    done = {(row["problem"], row["rule"], row["seed"]): row for row in kept(folder)}
    for seed in seeds:
        for problem, named in RULES.items():
            for rule in named:
                if (problem, rule, seed) not in done:
                    row = one(problem, rule, seed, 6 if quick else MOST[problem])
                    done[problem, rule, seed] = row
                    with (folder / "runs.jsonl").open("a") as out:
                        out.write(json.dumps(row) + "\n")
        print(time.strftime("%H:%M:%S"), seed, file=sys.stderr, flush=True)
    rows = [row for key, row in done.items() if key[2] in seeds]
    return {
        "benchmark": "steering",
        "quick": quick,
        "seeds": len(seeds),
        "target": TARGET,
        "decisive": DECISIVE,
        "most": MOST,
        "priors": LAWS,
        "speeds": {"q_per_minute": Q_SPEED, "mev_per_minute": ENERGY_SPEED, "settle": SETTLE, "counting": COUNTING},
        **{problem: summary(problem, rows) for problem in RULES},
        "published": PUBLISHED,
        "record": json.loads(record.to_json()),
        "rows": rows,
    }


def kept(folder: Path) -> list[dict[str, Any]]:
    """Finished runs."""
    file = folder / "runs.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def one(problem: str, rule: str, seed: int, most: int) -> dict[str, Any]:
    """One run of a rule to its end."""
    clock = time.perf_counter()
    found = (refinement if problem == "refinement" else choice)(rule, seed, most)
    return {"problem": problem, "rule": rule, "seed": seed, **found, "wall_seconds": time.perf_counter() - clock}


def refinement(rule: str, seed: int, most: int) -> dict[str, Any]:
    """Points until J1, J2 and D are known well enough, and their 90 % intervals from `infer`."""
    truth, log, belief = true_parameters(seed, FURTHER), Log(), Belief.before(FURTHER)
    believed = belief.posterior(log, seed)
    while (wanted := unknown(believed)) and len(log.counts) < most:
        k = RULES["refinement"][rule]({FURTHER: believed}, log, wanted, seed + len(log.counts))
        log = measured(log, k, truth, seed, rule)
        belief = belief.after(k, log.counts[-1])
        believed = belief.posterior(log, seed)
    found = {
        "done": not wanted,
        "measurements": len(log.counts),
        "minutes": log.minutes,
        "truth": {name: float(truth[0, k]) for k, name in enumerate(log.scan().names)},
    }
    if wanted:
        return found
    posterior = infer(log.scan(), PRIORS[FURTHER], log.spectrum(), Settings(**{**SETTINGS.__dict__, "seed": seed}))
    low, high = posterior.quantile(0.05).tolist(), posterior.quantile(0.95).tolist()
    columns = {name: posterior.names.index(name) for name in TARGET}
    return found | {
        "interval90": {name: [low[k], high[k]] for name, k in columns.items()},
        "median": {name: float(posterior.median[k]) for name, k in columns.items()},
        "sd": {name: float(posterior.covariance[k, k].sqrt()) for name, k in columns.items()},
        "failed": [check.name for check in posterior.checks if not check.passed],
    }


def unknown(posterior: Posterior) -> tuple[str, ...]:
    """The parameters that miss their target."""
    sd, median = posterior.covariance.diagonal().sqrt(), posterior.median
    column = {name: posterior.names.index(name) for name in TARGET}
    return tuple(name for name, share in TARGET.items() if sd[column[name]] > share * median[column[name]].abs())


def choice(rule: str, seed: int, most: int) -> dict[str, Any]:
    """Points until the Bayes factor of one of two models is decisive; the truth is one or the other in turn."""
    right = (NEAREST, FURTHER)[seed % 2]
    truth, log, odds, wanted = true_parameters(seed, right), Log(), 0.0, ("J1", "J2", "D")
    beliefs = {name: Belief.before(name) for name in PRIORS}
    believed = {name: each.posterior(log, seed) for name, each in beliefs.items()}
    while abs(odds) < math.log(DECISIVE) and len(log.counts) < most:
        k = RULES["choice"][rule](believed, log, wanted, seed + len(log.counts))
        log = measured(log, k, truth, seed, rule)
        beliefs = {name: each.after(k, log.counts[-1]) for name, each in beliefs.items()}
        believed = {name: each.posterior(log, seed) for name, each in beliefs.items()}
        odds = believed[FURTHER].log_evidence - believed[NEAREST].log_evidence
    return {
        "done": abs(odds) >= math.log(DECISIVE),
        "right": (odds > 0) == (right == FURTHER),
        "truth": right,
        "log_odds": odds,
        "measurements": len(log.counts),
        "minutes": log.minutes,
    }


def summary(problem: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each rule: medians and quartiles of points and minutes, coverage, wrong decisions, and how often it is behind
    the first rule on the same truth.
    """
    found, first = {}, next(iter(RULES[problem]))
    ours = {row["seed"]: row for row in rows if (row["problem"], row["rule"]) == (problem, first)}
    for rule in RULES[problem]:
        mine = [row for row in rows if (row["problem"], row["rule"]) == (problem, rule)]
        if not mine:
            continue
        found[rule] = {
            "runs": len(mine),
            "done": sum(row["done"] for row in mine) / len(mine),
            **{key: spread([row[key] for row in mine]) for key in ("measurements", "minutes")},
            "slower": sum(row["minutes"] > ours[row["seed"]]["minutes"] for row in mine) / len(mine),
            "wall_seconds": sum(row["wall_seconds"] for row in mine) / len(mine),
        }
        found[rule] |= intervals(mine) if problem == "refinement" else decisions(mine)
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and mean."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": middle, "low": low, "high": high, "mean": statistics.fmean(values)}


def intervals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Share of truths in the 90 % intervals, and checks that failed, of the runs that met the target."""
    rows = [row for row in rows if row["done"]]
    inside = {
        name: sum(row["interval90"][name][0] <= row["truth"][name] <= row["interval90"][name][1] for row in rows)
        for name in TARGET
    }
    every = [name for row in rows for name in row["failed"]]
    return {
        "coverage90": {name: count / max(1, len(rows)) for name, count in inside.items()},
        "failed_checks": {name: every.count(name) for name in sorted(set(every))},
    }


def decisions(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Share of decisions for the wrong model, and points and minutes by the true model."""
    decided = [row for row in rows if row["done"]]
    by_truth = {
        truth: {key: spread([row[key] for row in rows if row["truth"] == truth]) for key in ("measurements", "minutes")}
        for truth in sorted({row["truth"] for row in rows})
    }
    return {"wrong": sum(not row["right"] for row in decided) / max(1, len(decided)), "by_truth": by_truth}


def table(result: dict[str, Any]) -> str:
    """The summary in lines."""
    lines = []
    for problem in RULES:
        lines.append(f"{problem}, {result['seeds']} seeds: done, points and minutes (median [quartiles])")
        for rule, each in result[problem].items():
            points, minutes = (
                f"{each[key]['median']:.1f} [{each[key]['low']:.1f}, {each[key]['high']:.1f}]"
                for key in ("measurements", "minutes")
            )
            more = each.get("coverage90") or f"wrong {each['wrong']:.2f}"
            lines.append(
                f"  {rule:23s} {each['done']:.2f}  {points:20s} {minutes:20s} {more}  {each['wall_seconds']:.0f} s"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
