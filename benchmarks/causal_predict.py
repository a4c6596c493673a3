"""Estimators that look at causal regions, beside a plain network, where spectra hide what no simulation had.

    python -m benchmarks.causal_predict --json FILE [--quick] [--drawn] [--folder DIR] [--first 101] [--members 1]

J1, J2 and D of powder maps of Rb2MnF4 (48 x 64 bins, counts; scale, background and width recorded, that is drawn in
training). All networks are posterior networks with the same flow, simulations, steps and seeds; they differ in what
they look through:

- `plain`: convolutions on all bins.
- `regions`: filters of all causal regions (`sqwirrel.explain.causal.predict`), recorded nuisances projected out.
- `regions, suspects left out`: without regions that the suspected peak moves; a slope projected out, too.
- `regions, suspects projected`: all regions, peak and slope projected out like the recorded ones.
- `plain, suspects drawn` (with `--drawn`): convolutions, trained with the suspects drawn as well.
- `infer`: the likelihood of the model without suspects, on some of the spectra.

Sets of spectra (`benchmarks.causal_hidden`) hide something or have recorded nuisances outside of training. Reported of
each: errors (root mean square) over those of `plain` where nothing is hidden (of which it is told how far they are
above the Cramer-Rao limit with the prior), coverage and width of 90 % intervals, and the share that the check
`seen_before` refuses. Networks and sets are kept in DIR. Seeds below 101, and the sets of `--developed`, served
development.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.causal_hidden import (
    BUMP,
    CLEAN,
    DEVELOPED,
    KINDS,
    MODEL,
    RECORDED,
    SLOPE,
    SUSPECTED,
    Kind,
    experiment,
    prior,
    spectra,
)
from benchmarks.keeping import kept
from benchmarks.rb2mnf4_posterior import limits
from sqwirrel import Experiment, Prior, Settings, Spectrum, infer
from sqwirrel.explain.causal.causal_map import CausalMap, causal_map
from sqwirrel.explain.causal.predict.filters import Filters, filters
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer.checks.draws import STRANGE
from sqwirrel.learn.npe import NPE
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.proposal import Proposal
from sqwirrel.learn.train import Effort, train
from sqwirrel.record import Record

HELD_OUT = 101
PLAIN, DRAWN = "plain", "plain, suspects drawn"
SETTINGS = Settings(screen=64, starts=2, draws=200, rounds=2)
FULL = {"rows": 6000, "steps": 1200, "spectra": 200, "fits": 4, "pairs": 256}
QUICK = {"rows": 256, "steps": 20, "spectra": 8, "fits": 1, "pairs": 16}
DRAWS, LIMITS = 200, 50
"""Draws of a posterior; and spectra that limits are calculated of."""
Row = dict[str, Any]


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Estimators on causal regions, under hidden nuisances.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few simulations, steps and spectra, two sets")
    parser.add_argument("--folder", type=Path, help="where networks and finished sets are kept")
    parser.add_argument("--first", type=int, default=HELD_OUT)
    parser.add_argument("--members", type=int, default=1, help="networks of each kind, of as many seeds")
    parser.add_argument("--drawn", action="store_true", help="also the plain network trained with suspects drawn")
    parser.add_argument("--developed", action="store_true", help="the sets that development looked at")
    options = parser.parse_args()
    kinds = DEVELOPED if options.developed else KINDS
    kinds = dict(list(kinds.items())[: 2 if options.quick else None])
    seeds = range(options.first, options.first + (1 if options.quick else options.members))
    with tempfile.TemporaryDirectory() as empty:
        more = (DRAWN,) if options.drawn else ()
        result = run(options.folder or Path(empty), seeds, kinds, more, quick=options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(folder: Path, seeds: range, kinds: dict[str, Kind], more: tuple[str, ...], *, quick: bool) -> Row:
    """The whole study."""
    record, sizes = Record.start(seeds={"first": seeds[0]}), QUICK if quick else FULL
    where, found = experiment(), dict[str, Row]()
    filter_sets, about = looked_through(where, sizes["pairs"], seeds[0])
    for name in (PLAIN, *filter_sets, *more):
        members = [member(folder, where, name, filter_sets.get(name), seed, seeds[0], sizes, kinds) for seed in seeds]
        found[name] = {"members": members}
    likelihood = partial(fitted, where, seeds[0], sizes["fits"])
    found["infer"] = {
        "members": [
            {
                "sets": {
                    name: kept(folder / f"infer-{name}.json", partial(likelihood, kind)) for name, kind in kinds.items()
                }
            }
        ]
    }
    bound = kept(folder / "limit.json", partial(limit, where, seeds[0], sizes["spectra"]))
    plain = averaged(found[PLAIN]["members"], "nothing")["rms"]
    return {
        "benchmark": "causal_predict",
        "quick": quick,
        **sizes,
        "bins": where.measurement.shape[0] * where.measurement.shape[1],
        "map": about,
        "kinds": {name: kind.meaning for name, kind in kinds.items()},
        "sets": {name: compared(found, name) for name in kinds},
        "plain_over_limit": (plain / torch.tensor(bound["limit"], dtype=torch.float64)).tolist(),
        "methods": {name: trained(row["members"]) for name, row in found.items() if name != "infer"},
        "record": json.loads(record.to_json()),
    }


def looked_through(where: Experiment, pairs: int, seed: int) -> tuple[dict[str, tuple[Filters, Spectra]], Row]:
    """Filters of each kind, and what the causal map was that they come from: over the whole prior, suspects free."""
    known = prior(SUSPECTED)
    middle = dict(
        zip(known.names, known.quantile(torch.full((1, len(known.names)), 0.5).double())[0].tolist(), strict=True)
    )
    data = where.sample(where.pack(**known.fixed, **{**middle, **CLEAN}), seed)
    system = Spectra.of(where, known, data)
    found = causal_map(system, pairs, seed, width=1.0)
    made = {
        "regions": filters(found, MODEL, nuisances=RECORDED),
        "regions, suspects left out": filters(found, MODEL, nuisances=(*RECORDED, SLOPE), suspects=(BUMP,)),
        "regions, suspects projected": filters(found, MODEL, nuisances=(*RECORDED, SLOPE, BUMP)),
    }
    known = Spectra.of(where, prior(CLEAN), data)
    return {name: (each, system) for name, each in made.items()}, described(found, made, known)


def described(found: CausalMap, made: dict[str, Filters], known: Spectra) -> Row:
    """A map and its filters in numbers."""
    touched = found.edges.state[:, found.names.index(BUMP)] >= 0
    return {
        "regions": len(touched),
        "regions_left_out": int(touched.sum()),
        "bins_left_out": int(found.regions.sizes[touched].sum()),
        "filters": {name: len(each.of) for name, each in made.items()},
        "limit_over_all_bins": {name: limit_through(each, known) for name, each in made.items()},
        "seconds": found.seconds,
    }


def limit_through(made: Filters, known: Spectra) -> list[float]:
    """Cramer-Rao limits of what filters see over those of all bins, parameters of the model, geometric means over draws
    of the prior, which is in both.
    """
    slope = torch.stack([known.slope(row[None]) for row in known.prior.sample(24, 1)])
    _, size, basis = torch.linalg.svd(made.weight, full_matrices=False)
    seen, weak = slope @ basis[size > 1e-6].T, torch.diag(known.prior.sd**-2)
    ours, every = (torch.linalg.inv(each @ each.mT + weak).diagonal(dim1=1, dim2=2) for each in (seen, slope))
    ratio: list[float] = ((ours / every).log().mean(0) / 2).exp()[: len(MODEL)].tolist()
    return ratio


def member(
    folder: Path,
    where: Experiment,
    name: str,
    through: tuple[Filters, Spectra] | None,
    seed: int,
    first: int,
    sizes: dict[str, int],
    kinds: dict[str, Kind],
) -> Row:
    """One network of a kind, and what it makes of every set."""
    known = prior(SUSPECTED if name == DRAWN else CLEAN)
    kind = folder / name.replace(", ", "-").replace(" ", "-")
    made = simulations(where, known, sizes["rows"], first, kind.parent / f"simulations-{len(known.names)}")
    pairs = Pairs(made)
    embed = None if through is None else through[0].projection(through[1])
    network, steps = NPE.sized_for(pairs, seed, embed), sizes["steps"]
    history = train(network, pairs, Effort(steps, every=max(1, steps // 24), seed=seed), kind / str(seed), tell)
    proposal = Proposal.of(network, pairs)
    sets = {
        each: kept(kind / f"{seed}-{each}.json", partial(asked, proposal, where, what, sizes["spectra"], first))
        for each, what in kinds.items()
    }
    return {"seed": seed, "minutes": history.seconds / 60, "loss": min(history.losses), "sets": sets}


def asked(proposal: Proposal, where: Experiment, kind: Kind, n: int, seed: int) -> Row:
    """Answers of a network to a set of spectra."""
    theta, counts = spectra(where, kind, n, 1000 * seed)
    x, known = proposal.pairs.see(counts), proposal.pairs.prior
    z = torch.cat([proposal.estimator.sample(part, DRAWS, k) for k, part in enumerate(x.split(50))]).double()
    drawn = known.constrain(z.flatten(0, 1)).reshape(z.shape)[..., : len(MODEL)]
    ends = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
    refused = float((proposal.familiar.likelier(x) < STRANGE).double().mean())
    return {**scored(theta, drawn.quantile(ends, dim=1)), "refused": refused}


def fitted(where: Experiment, seed: int, n: int, kind: Kind) -> Row:
    """Answers of the likelihood to the first spectra of a set; refused is where any check failed."""
    theta, counts = spectra(where, kind, n, 1000 * seed)
    known, rows, failed = prior(CLEAN), [], []
    for k, each in enumerate(counts):
        spectrum = Spectrum.from_arrays(each, each.clamp(min=1).sqrt(), where.measurement, is_counts=True)
        posterior = infer(where, known, spectrum, replace(SETTINGS, seed=seed + k))
        rows.append(torch.stack([posterior.quantile(q)[: len(MODEL)] for q in (0.05, 0.5, 0.95)]))
        failed.append(not all(check.passed for check in posterior.checks))
    told = torch.stack(rows, 1)
    return {**scored(theta, told), "refused": sum(failed) / n}


def limit(where: Experiment, seed: int, n: int) -> Row:
    """Cramer-Rao limits with the prior (root mean square), nuisances free, of the first spectra with nothing hidden."""
    known = prior(CLEAN)
    theta, _ = spectra(where, KINDS["nothing"], min(n, LIMITS), 1000 * seed)
    bound = limits(_Held(where, known), known, theta)[:, : len(MODEL)]
    return {"limit": (bound**2).mean(0).sqrt().tolist()}


class _Held:
    """An experiment whose derivatives are those of free parameters alone."""

    def __init__(self, where: Experiment, known: Prior) -> None:
        self.where, self.free = where, [where.names.index(name) for name in known.names]

    def linearise(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Expectations and derivatives."""
        found = self.where.linearise(theta)
        return found.expected, found.slope[:, self.free], None


def scored(theta: torch.Tensor, ends: torch.Tensor) -> Row:
    """Errors, coverage and width of 90 % intervals, each parameter of the model."""
    truth, (low, median, high) = theta[:, : len(MODEL)], ends
    error = median - truth
    return {
        "rms": (error**2).mean(0).sqrt().tolist(),
        "bias": error.mean(0).tolist(),
        "coverage": ((low <= truth) & (truth <= high)).double().mean(0).tolist(),
        "width": (high - low).mean(0).tolist(),
    }


def compared(found: dict[str, Row], name: str) -> dict[str, Row]:
    """Every method on one set, over members and parameters; ratios are geometric means over parameters."""
    plain = averaged(found[PLAIN]["members"], "nothing")
    return {method: summary(averaged(row["members"], name), plain) for method, row in found.items()}


def averaged(members: list[Row], name: str) -> Row:
    """Means over members, of errors root mean squares."""
    sets = [each["sets"][name] for each in members]
    rows = {key: torch.tensor([each[key] for each in sets]).double() for key in sets[0]}
    return {key: (each**2).mean(0).sqrt() if key == "rms" else each.mean(0) for key, each in rows.items()}


def summary(mine: Row, plain: Row) -> Row:
    """One row of the table."""
    return {
        "error_over_plain": geometric(mine["rms"] / plain["rms"]),
        "bias_over_error": (mine["bias"] / mine["rms"]).tolist(),
        "coverage_90": float(mine["coverage"].mean()),
        "coverage_90_each": mine["coverage"].tolist(),
        "width_over_plain": geometric(mine["width"] / plain["width"]),
        "refused": float(mine["refused"]),
        "rms": mine["rms"].tolist(),
    }


def geometric(ratio: torch.Tensor) -> float:
    """Mean."""
    return math.exp(float(ratio.log().mean()))


def trained(members: list[Row]) -> Row:
    """Minutes, and losses on held-out pairs."""
    return {"minutes": [each["minutes"] for each in members], "loss": [each["loss"] for each in members]}


def tell(done: int, total: int, *loss: float) -> None:
    """Progress, on the error stream."""
    if done == total:
        print(time.strftime("%H:%M:%S"), f"{done}/{total}", *loss, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
