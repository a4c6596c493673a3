"""Causal maps of measured spectra about their posteriors, and whether a region tells what the inverse map says.

    python -m benchmarks.causal_measured --json FILE [--quick] [--sets mnf2 la2nio4]

`infer` answers; the map (64 interventions on each parameter, over .3 of its prior round the best fit, errors larger by
the root of the deviance per bin, if that is above 1) has regions; of each of the `REGIONS` that the inverse map says a
parameter of the model needs most, `infer` is asked again without bins of that region. Reported: regions, graph score,
undecided edges, seconds; and for each refit the error of every parameter of the model over that of the whole spectrum
(posterior standard deviations), beside what the inverse map predicted, the shift in errors of the refit, and over all
of them the rank correlation and the median and largest ratio of realised to predicted. `--quick` has one refit, few
points and few draws.
"""

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr

from benchmarks import la2nio4
from sqwirrel import Experiment, Posterior, Prior, Spectrum
from sqwirrel.config import load, study
from sqwirrel.explain.causal.causal_map import CausalMap, causal_map
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.record import Record

MNF2 = Path(__file__).parents[1] / "examples" / "mnf2.toml"
SETTINGS = Settings(screen=256, starts=4, draws=600, rounds=3)
AGAIN, QUICK = Settings(screen=64, starts=2, draws=600, rounds=3), Settings(screen=32, starts=1, draws=60, rounds=2)
PAIRS, REGIONS, SEED = 64, 12, 5
Asked = tuple[Experiment, Prior, Spectrum]


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Causal maps of measured spectra.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="one refit, few points and draws")
    parser.add_argument("--sets", nargs="+", choices=("mnf2", "la2nio4"), default=["mnf2", "la2nio4"])
    options = parser.parse_args()
    if not la2nio4.DATA.exists():
        raise SystemExit("causal_measured needs ../shared/data, which is not here: nothing was run")
    record = Record.start(seeds={"infer": SETTINGS.seed, "causal": SEED})
    names = options.sets[:1] if options.quick else options.sets
    sets = {name: answered(*asked(name, options.quick), quick=options.quick) for name in names}
    result = {"benchmark": "causal_measured", "quick": options.quick, "sets": sets}
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps({**result, "record": json.loads(record.to_json())}, indent=1) + "\n")


def asked(name: str, quick: bool) -> Asked:
    """A measured spectrum, what predicts it, and the prior."""
    if name == "mnf2":
        work = study(load(MNF2, ["instrument.samples=16"] if quick else []))
        return work.experiment, work.prior, work.spectrum
    spectrum = la2nio4.load(la2nio4.Choice())
    return *la2nio4.simulator(spectrum, la2nio4.Choice(), 64), spectrum


def answered(experiment: Experiment, prior: Prior, spectrum: Spectrum, *, quick: bool) -> dict[str, Any]:
    """The map about the posterior, and refits without regions."""
    posterior = infer(experiment, prior, spectrum, QUICK if quick else SETTINGS)
    found, system = mapped(experiment, prior, spectrum, posterior, quick=quick)
    number, models = system.maps(found.regions.of)[""], [n for n in found.names if n in experiment.model.names]
    columns = [found.names.index(name) for name in models]
    needed = found.inverse.inflation[:, columns].amax(1).argsort(descending=True)[: 1 if quick else REGIONS]
    again = replace(QUICK if quick else AGAIN, guesses=(dict(zip(found.names, found.middle.tolist(), strict=True)),))
    refits = [refit(experiment, prior, spectrum.without(number == k), posterior, again, columns) for k in needed]
    rows = [
        {
            "region": int(k) + 1,
            "bins": int(found.regions.sizes[k]),
            "parents": [name for name, is_one in zip(found.names, found.regions.parents[k], strict=True) if is_one],
            "predicted": dict(zip(models, found.inverse.inflation[k, columns].tolist(), strict=True)),
            **one,
        }
        for k, one in zip(needed, refits, strict=True)
    ]
    return {
        **described(found, models),
        "deviance_per_bin": posterior.deviance_per_bin,
        "refits": rows,
        **agreement(rows),
    }


def mapped(
    experiment: Experiment, prior: Prior, spectrum: Spectrum, posterior: Posterior, *, quick: bool
) -> tuple[CausalMap, Spectra]:
    """The map about a posterior."""
    middle = posterior.basins[0].theta
    system = Spectra.answered(Hypothesis(experiment, prior), posterior, spectrum)
    excess = math.sqrt(max(1.0, posterior.deviance_per_bin))
    return causal_map(system, 16 if quick else PAIRS, SEED, middle=middle, excess=excess), system


def refit(
    experiment: Experiment, prior: Prior, spectrum: Spectrum, whole: Posterior, settings: Settings, columns: list[int]
) -> dict[str, Any]:
    """Errors without a region over those with it, and how far the answer went, in its errors."""
    clock = time.perf_counter()
    part = infer(experiment, prior, spectrum, settings)
    names = [part.names[k] for k in columns]
    error, before = (each.covariance.diagonal().sqrt()[columns] for each in (part, whole))
    shift = (part.quantile(0.5) - whole.quantile(0.5))[columns] / error
    told = {"realised": error / before, "shift": shift}
    rows = {key: dict(zip(names, value.tolist(), strict=True)) for key, value in told.items()}
    return {**rows, "seconds": time.perf_counter() - clock}


def described(found: CausalMap, models: list[str]) -> dict[str, Any]:
    """A map in numbers."""
    state = found.edges.state
    return {
        "regions": len(state),
        "sizes": found.regions.sizes.tolist(),
        "seen": dict(zip(found.names, found.regions.seen.tolist(), strict=True)),
        "score": found.edges.score,
        "undecided": float((state == 0).double().mean()),
        "present": {name: int((state[:, k] > 0).sum()) for k, name in enumerate(found.names)},
        "sigma_over_known": {
            name: float(found.inverse.sigma[k] / found.inverse.known[k])
            for k, name in enumerate(found.names)
            if name in models
        },
        "seconds": found.seconds,
    }


def agreement(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of realised with predicted inflations."""
    pairs = [(row["predicted"][name], row["realised"][name]) for row in rows for name in row["predicted"]]
    predicted, realised = torch.tensor(pairs, dtype=torch.float64).T
    ratio = realised / predicted
    rank = spearmanr(predicted, realised).statistic if len(pairs) > 2 else math.nan
    return {
        "knockouts": len(pairs),
        "rank_correlation": None if math.isnan(rank) else float(rank),
        "median_ratio": float(ratio.median()),
        "ratios": [float(ratio.min()), float(ratio.max())],
        "within_a_quarter": float(((ratio > 0.8) & (ratio < 1.25)).double().mean()),
    }


if __name__ == "__main__":
    main()
