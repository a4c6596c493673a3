"""Causal maps of measured spectra about their posteriors, and whether a region tells what the inverse map says.

    python -m benchmarks.causal_measured --json FILE [--quick] [--folder DIR] [--sets mnf2 la2nio4 ...]

`infer` answers; the map (64 interventions on each parameter, over .3 of its prior round the best fit; of a frame of
PCSMO 32, over 100 standard deviations of the posterior to both sides; errors larger by the root of the mean squared
residual, if that is above 1) has regions; of each of those that the inverse map says a constant of the model needs most
(12, 1 of a frame), `infer` is asked again without bins of that region. Reported: regions, graph score, undecided edges,
seconds; which region fixes which constant; for each refit the error of every constant over that of the whole spectrum
(posterior standard deviations), beside what the inverse map predicted, the shift in errors of the refit, and over all
of them the rank correlation and the median and largest ratio of realised to predicted; what the score test asks for,
its scores as they are and over the root of the deviance per bin; constants by part of the data. Of `frame`, 240 x 400
pixels of PCSMO and 10 causes (scales, backgrounds, twins and widths shared), only the seconds of a map about the middle
of its prior.

Posteriors, refits and what was found of a set are kept in DIR and not made again. `--quick` has one set, one refit, few
points and few draws.
"""

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr

from benchmarks import la2nio4, pcsmo_frame
from benchmarks.causal_asked import SETS, Asked, asked
from benchmarks.keeping import kept
from benchmarks.pcsmo_rivals import told
from sqwirrel import Posterior, Prior
from sqwirrel.explain.causal.causal_map import CausalMap, causal_map
from sqwirrel.explain.causal.measured import Finding, invariance, missing
from sqwirrel.explain.causal.measured.missing import ASKED
from sqwirrel.explain.causal.measured.significance import holm, two_sided
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer import Data, Settings, infer, store
from sqwirrel.observe import Joint
from sqwirrel.record import Record
from sqwirrel.report.causal.told import extent, placed

PAIRS, SEED = 64, 5
TOLD = 8
"""Candidates of the score test that are reported, besides how many were tested and asked for."""
TEN = ("scale", "background", "twin_2", "fwhm_scale")


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Causal maps of measured spectra.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="one set, one refit, few points and draws")
    parser.add_argument("--folder", type=Path, help="where posteriors and refits are kept")
    parser.add_argument("--sets", nargs="+", choices=(*SETS, "frame"), default=[*SETS, "frame"])
    options = parser.parse_args()
    if not la2nio4.DATA.exists():
        raise SystemExit("causal_measured needs ../shared/data, which is not here: nothing was run")
    record = Record.start(seeds={"infer": Settings().seed, "causal": SEED})
    names = [name for name in options.sets if name != "frame"][: 1 if options.quick else None]
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.folder or Path(scratch)) / ("quick" if options.quick else "full")
        sets = {name: kept(folder / f"{name}.json", partial(answer, name, folder, options.quick)) for name in names}
        more = {"frame": kept(folder / "frame.json", frame)} if "frame" in options.sets and not options.quick else {}
    rows = [row for one in sets.values() for row in one["refits"]]
    result = {"benchmark": "causal_measured", "quick": options.quick, "sets": sets, "all": agreement(rows), **more}
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps({**result, "record": json.loads(record.to_json())}, indent=1) + "\n")


def answer(name: str, folder: Path, quick: bool) -> dict[str, Any]:
    """All about one set."""
    return answered(asked(name, quick), folder / name)


def answered(of: Asked, folder: Path) -> dict[str, Any]:
    """The map about the posterior, refits without regions, and the tests of the measured spectrum."""
    if not (file := folder / "posterior.h5").exists():
        folder.mkdir(parents=True, exist_ok=True)
        store.save(file, infer(of.rival.simulator, of.rival.prior, of.data, of.settings))
    posterior = store.load(file)
    told(f"{folder.name}: {posterior.seconds:.0f} s")
    found, system = mapped(of, posterior)
    return {
        "times": of.times,
        **described(found, of),
        "deviance_per_bin": posterior.deviance_per_bin,
        "failed": [check.name for check in posterior.checks if not check.passed],
        "effective": effective(posterior),
        "seconds_infer": posterior.seconds,
        "fixed": fixed(found, system, of),
        **refits(of, found, system, posterior, folder),
        "missing": lacking(of, posterior),
        "parts": by_part(of, posterior),
    }


def mapped(of: Asked, posterior: Posterior) -> tuple[CausalMap, Spectra]:
    """The map about a posterior, and what it is of."""
    middle = posterior.basins[0].theta
    system, between = Spectra.answered(of.rival, posterior, of.data), None
    if of.times is not None:
        reach = of.times * posterior.covariance.diagonal().sqrt()
        between = torch.stack((middle - reach, middle + reach), dim=1)
    wider = system.excess(middle[None])
    found = causal_map(system, of.pairs, SEED, middle=middle, between=between, excess=wider)
    told(f"{len(found.regions.parents)} regions, {found.seconds:.0f} s")
    return found, system


def excess(posterior: Posterior) -> float:
    """How many times larger variances are than the data say, at least 1."""
    return max(1.0, posterior.deviance_per_bin)


def effective(posterior: Posterior) -> float:
    """Draws that would say as much if all had the same weight."""
    return float(1 / (2 * posterior.log_weight).exp().sum())


def described(found: CausalMap, of: Asked) -> dict[str, Any]:
    """A map in numbers."""
    state, columns = found.edges.state, [found.names.index(name) for name in of.constants]
    loose = found.inverse.sigma / found.inverse.known
    return {
        "regions": len(state),
        "causes": len(found.names),
        "bins": int(found.regions.sizes.sum()),
        "unmoved": int(found.regions.sizes[~found.regions.parents[:, columns].any(1)].sum()),
        "seen": dict(zip(found.names, found.regions.seen.tolist(), strict=True)),
        "score": found.edges.score,
        "undecided": float((state == 0).double().mean()),
        "present": {name: int((state[:, k] > 0).sum()) for k, name in enumerate(found.names)},
        "sigma_over_known": {name: float(loose[k]) for name, k in zip(of.constants, columns, strict=True)},
        "seconds": found.seconds,
    }


def fixed(found: CausalMap, system: Spectra, of: Asked) -> dict[str, dict[str, Any]]:
    """Of each constant the region without which its error grows most, and that which moves it alone tells most."""
    rows = {}
    for name in of.constants:
        k = found.names.index(name)
        factor, alone = found.inverse.inflation[:, k], found.inverse.alone[:, k] / found.inverse.sigma[k]
        first, best = int(factor.argmax()), int(alone.argmin())
        rows[name] = {
            "needs": {"factor": float(factor[first]), **region(found, system, of, first)},
            "alone": {"factor": float(alone[best]), **region(found, system, of, best)},
            "sigma": float(found.inverse.sigma[k]),
        }
    return rows


def region(found: CausalMap, system: Spectra, of: Asked, k: int) -> dict[str, Any]:
    """A region in words."""
    maps = {label: number == k for label, number in system.maps(found.regions.of).items()}
    places = {
        label: " at ".join(placed(extent(of.spectra[label].measurement, mask)))
        for label, mask in maps.items()
        if bool(mask.any())
    }
    parents = [name for name, is_one in zip(found.names, found.regions.parents[k], strict=True) if is_one]
    return {"region": k + 1, "bins": int(found.regions.sizes[k]), "places": places, "parents": parents}


def refits(of: Asked, found: CausalMap, system: Spectra, posterior: Posterior, folder: Path) -> dict[str, Any]:
    """Answers without those regions that constants need most."""
    columns = [found.names.index(name) for name in of.constants]
    needed = found.inverse.inflation[:, columns].amax(1).argsort(descending=True)[: of.refits].tolist()
    guess = dict(zip(found.names, found.middle.tolist(), strict=True))
    again, rows, maps = replace(of.again, guesses=(guess,)), [], system.maps(found.regions.of)
    for k in needed:
        data = of.without({label: number == k for label, number in maps.items()})
        one = kept(folder / f"without-{k + 1}.json", partial(refit, of, data, posterior, again, columns))
        predicted = dict(zip(of.constants, found.inverse.inflation[k, columns].tolist(), strict=True))
        rows.append({**region(found, system, of, k), "predicted": predicted, **one})
        told(f"without region {k + 1}: {one['seconds']:.0f} s")
    return {"refits": rows, **agreement(rows)}


def refit(of: Asked, data: Data, whole: Posterior, settings: Settings, columns: list[int]) -> dict[str, Any]:
    """Errors without a region over those with it, and how far the answer went, in its errors."""
    clock = time.perf_counter()
    part = infer(of.rival.simulator, of.rival.prior, data, settings)
    error, before = (each.covariance.diagonal().sqrt()[columns] for each in (part, whole))
    shift = (part.median - whole.median)[columns] / error
    rows = {
        key: dict(zip(of.constants, value.tolist(), strict=True))
        for key, value in (("realised", error / before), ("shift", shift))
    }
    return {**rows, "effective": effective(part), "seconds": time.perf_counter() - clock}


def agreement(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of realised with predicted inflations."""
    if not rows:
        return {"knockouts": 0}
    pairs = [(row["predicted"][name], row["realised"][name]) for row in rows for name in row["predicted"]]
    predicted, realised = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2).T
    ratio = realised / predicted
    rank = spearmanr(predicted, realised).statistic if len(pairs) > 2 else math.nan
    return {
        "knockouts": len(pairs),
        "rank_correlation": None if math.isnan(rank) else float(rank),
        "median_ratio": float(ratio.median()),
        "ratios": [float(ratio.min()), float(ratio.max())],
        "within_a_quarter": float(((ratio > 0.8) & (ratio < 1.25)).double().mean()),
    }


def lacking(of: Asked, posterior: Posterior) -> dict[str, Any]:
    """What the score test asks for, also with errors as large as residuals are."""
    clock = time.perf_counter()
    found = missing(of.rival, posterior, of.data, of.crystal)
    tested = [each for each in found.findings if not each.untested]
    wider = [each.score / math.sqrt(excess(posterior)) for each in tested]
    corrected = holm(two_sided(torch.tensor(wider, dtype=torch.float64)).tolist())
    told(f"score test {time.perf_counter() - clock:.0f} s")
    return {
        "candidates": len(found.findings),
        "tested": len(tested),
        "asked": len(found.asked),
        "asked_with_excess": sum(p < ASKED for p in corrected),
        "first": [candidate(*each) for each in list(zip(tested, wider, corrected, strict=True))[:TOLD]],
        "seconds": time.perf_counter() - clock,
    }


def candidate(each: Finding, wider: float, corrected: float) -> dict[str, Any]:
    """One that was tested."""
    kept_of = {key: getattr(each, key) for key in ("name", "kind", "meaning", "unit", "score", "value", "error")}
    return {**kept_of, "p": each.corrected, "score_with_excess": wider, "p_with_excess": corrected, "alike": each.alike}


def by_part(of: Asked, posterior: Posterior) -> list[dict[str, Any]]:
    """Constants in each part of the data against the rest."""
    found = invariance(of.rival, posterior, of.data, of.parts)
    return [
        {
            "part": each.part,
            "chi2": each.chi2,
            "freedom": each.freedom,
            "p": each.corrected,
            "chi2_with_excess": each.chi2 / excess(posterior),
            "scores": {
                name: float(score)
                for name, score, is_told in zip(each.names, each.score, each.told, strict=True)
                if is_told
            },
        }
        for each in found.parts
    ]


def frame() -> dict[str, Any]:
    """Seconds of a map of ten causes on all pixels of PCSMO."""
    clock = time.perf_counter()
    seen = dict(zip(map("ei{:g}".format, pcsmo_frame.ENERGIES), pcsmo_frame.frame(), strict=True))
    data = {label: each.despiked().with_errors_from_scatter() for label, each in seen.items()}
    simulator = Joint(dict(zip(data, pcsmo_frame.simulators("goodenough", 8), strict=True)), shared=TEN)
    model = pcsmo_frame.library.load("pcsmo_goodenough")
    laws = {"twin_2": [0.5, 1.5], "fwhm_scale": [0.8, 1.3], "scale": [0.5, 2.0], "background": [0.0, 1.0]}
    prior = Prior(**model.prior.free, **Prior.from_mapping({k: {"uniform": v} for k, v in laws.items()}).free)
    cpu = time.process_time()
    found = causal_map(Spectra.of(simulator, prior, data), PAIRS, SEED)
    return {
        "causes": len(found.names),
        "bins": int(found.regions.sizes.sum()),
        "regions": len(found.regions.parents),
        "seconds": found.seconds,
        "cpu_seconds": time.process_time() - cpu,
        "seconds_with_reading": time.perf_counter() - clock,
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    main()
