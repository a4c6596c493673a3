"""`infer` on Bi2Fe4O9: powder maps of four incident energies and a crystal's table of peaks, all at once.

    python -m benchmarks.bi2fe4o9 --json FILE [--quick] [--maps ei25 ei62]

MERLIN at 5 K, E_i 25, 38, 62 and 120 meV; peaks fitted to scans on IN20. Five exchange constants and K are common, and
so is the angular width of the one spectrometer; a factor on the energy width, scale, background and phonons are of each
map. What the maps say of energy scale, resolution and phonons without a magnetic model is in `bi2fe4o9_maps`. Reports
the answer beside the published sets, how far each of them lies from each map and from the peaks with all nuisances
fitted, and the flat modes that J44 moves. `--quick` has one map, fewer draws and starts.

What was tried on the way, from starts at `le` and at an earlier answer (J44 -.5 Jc 1.2 J43 5.1 J43p 4.9 J33 30 K .02):

- symmetric lines at the energies of the files, widths under a normal prior, no phonons: the earlier answer, with lines
  two to four times wider than the instrument's, 490 better in log posterior than what is near `le`;
- phonons from high |Q|, lines as the elastic one, no angles below 10 degrees, all at `le`, normal errors of 0.2 of the
  median: deviance at 25, 38, 62 meV 986, 1104, 410; without phonons 1157, 1153, 423; before the angles were left out
  1429, 1929, 664 (on a few per cent more bins);
- that, each map alone, width 0.7 to 1.4: at 25, 38 and 62 meV Jc 1.29 to 1.38, J43 3.0 to 3.4, J43p 6.5 to 7.1 from
  `le`, J44 and J33 anything; from the earlier answer a deviance 1984, 1249, 448 in place of 1168, 1094, 437; the map at
  120 meV alone has two answers as good, its deviance is 0.25 a bin. Widths went to the upper bound except at 120 meV;
- all four maps and peaks, robust, discrepancy 0.05, width 0.7 to 1.3, coarse average: J44 -.14 Jc 1.41 J43 3.00 J43p
  6.56 J33 29.0 K .11, log posterior 17 above the earlier answer's basin and 135 above that with J44 and Jc exchanged;
  with more points (25 steps, not converged) J44 .22 Jc 1.15 J43 3.26 J43p 7.00 J33 26.0 K .083, 170 above.

From draws of the prior alone (6 of 192 refined) the search misses the basin of `le`, so the published sets are starts,
too: the saved result is that basin, reached from `le` only, 31 in log posterior above the next (J44 .63 Jc .24 J43 3.2
J43p 7.8 K .30), which draws of the prior led to. It describes every map and the peaks better than either set, the map
that was left out (62 meV) included. The average has converged (`quadrature` .42, .38 and .12, with up to sixteen times
the usual points; with those alone the answer moved by up to ten of its own intervals). Its 1500 draws are 4 effective
ones: the intervals are rough. `moves` would mend that in hours.

Left over in all of them: the column at |Q| = 1.3, below 9 meV, is brighter than these spin waves by a factor of two.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.bi2fe4o9_maps import DATA, MAPS
from sqwirrel.config.prior import complete
from sqwirrel.infer import Data, Settings, infer
from sqwirrel.infer.refine import refine
from sqwirrel.infer.screen import profile
from sqwirrel.infer.target import Target
from sqwirrel.model import library
from sqwirrel.model.laws import Fixed
from sqwirrel.model.prior import Prior
from sqwirrel.observe import AngularQWidth, Experiment, Instrument, Joint, PeakExperiment, Robust
from sqwirrel.record import Record
from sqwirrel.simulate import SpinWaves
from sqwirrel.spectra import Peaks, Spectrum, read_peaks

Values = Mapping[str, float]
Sets = Mapping[str, Values]
STEPS = 8
"""Of each fit of nuisances alone, which begins at the least squares of those that are linear."""
PUBLISHED = {
    "le": {"J44": -0.22, "Jc": 1.39, "J43": 3.15, "J43p": 6.53, "J33": 27.63, "K": 0.096},
    "beauvois": {"J44": 1.3, "Jc": 3.7, "J43": 2.9, "J43p": 6.3, "J33": 24.0},
    "beauvois_exchanged": {"J44": 3.7, "Jc": 1.3, "J43": 2.9, "J43p": 6.3, "J33": 24.0},
}
"""meV: arXiv:2101.06786, and Phys. Rev. Lett. 124, 127202 (2020), K as in the first. The second as scripts of the first
paper list it, by length of the bond; if J44 and Jc are exchanged, flat modes are at 19 meV, where the second has one.
"""
WIDTH, ANGLE, PHONONS = {"fixed": 1.0}, {"normal": [1.35, 0.2]}, {"normal": [1.0, 0.3]}
"""The factor on the energy width, from the elastic line; the angular width, degrees, from single Bragg peaks (1.2 to
1.6); and the factor on phonons, carried from high |Q| to low. Free widths go to their upper bound, whatever it is.
"""
FREEDOM, DISCREPANCY = 4.0, 0.08
"""Residuals have tails (Student's t), and errors are at least this share of a map's strongest intensities (95th
percentile): spin waves that were fitted to a single map alone describe it to 4 to 8 %, by far not to counting errors.
Both are assumptions, which set the widths of the intervals.
"""
QUICKLY = Settings(screen=16, starts=1, draws=60, rounds=1)
SETTINGS = Settings(screen=192, starts=6, draws=3000, rounds=6)
SAMPLES, CELL = 12, 0.2
"""Quadrature points a cell of |Q| (1/angstrom); the best fit is averaged over a hundred times as many."""
FITTED, UNSEEN, QUICK = ("ei25", "ei38", "ei120"), ("ei62",), ("ei62",)
"""The map at 62 meV covers the energies of the one at 38 with lines twice as wide: it is left to test the answer on."""


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Measured powder maps and peaks of Bi2Fe4O9.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="one map, few draws and starts")
    parser.add_argument("--maps", nargs="+", choices=tuple(MAPS), help="these maps and the peaks; all by default")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("bi2fe4o9 needs ../shared/data/bi2fe4o9, which is not here: nothing was run")
    result = run(options.maps or (QUICK if options.quick else FITTED), options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(labels: Sequence[str], quick: bool) -> dict[str, Any]:
    """The whole study."""
    clock = time.perf_counter()
    every = measured((*labels, *(label for label in UNSEEN if label not in labels)))
    whole = simulator(every)
    data = {label: each for label, each in every.items() if label in (*labels, "in20")}
    joint = Joint({label: whole.experiments[label] for label in data}, shared=whole.shared)
    settings = QUICKLY if quick else SETTINGS
    guesses = tuple({"K": PUBLISHED["le"]["K"], **each} for each in PUBLISHED.values())
    settings = replace(settings, guesses=guesses[:1] if quick else guesses)
    posterior = infer(joint, prior(joint, data), data, settings, progress=tell)
    found = dict(zip(posterior.names, posterior.median.tolist(), strict=True))
    sets = {**PUBLISHED, "median": {name: found[name] for name in library.load("bi2fe4o9").names}}
    return {
        "benchmark": "bi2fe4o9",
        "quick": quick,
        "bins": {k: int(each.valid.sum()) if isinstance(each, Spectrum) else len(each) for k, each in every.items()},
        "fitted": list(data),
        "parameters": [asdict(row) for row in posterior.summary()],
        "published": PUBLISHED,
        "against_peaks": against_peaks(sets, data["in20"]),
        "deviance": profiles(whole, every, sets),
        "deviance_per_bin": posterior.deviance_per_bin,
        "basins": [
            {**dict(zip(posterior.names, b.theta.tolist(), strict=True)), "probability": b.probability}
            | {"log_posterior": b.log_posterior, "starts": b.starts}
            for b in posterior.basins
        ],
        "checks": [asdict(check) for check in posterior.checks],
        "seconds": time.perf_counter() - clock,
        "record": json.loads(Record.start(seeds={"infer": settings.seed}, files=[]).to_json()),
    }


def measured(labels: Sequence[str]) -> dict[str, Spectrum | Peaks]:
    """The maps, and the peaks; errors of these are standard deviations of fitted lines, larger than those of places."""
    peaks = read_peaks(DATA / "in20_fitted_modes.txt", library.load("bi2fe4o9").lattice)
    return {**{label: MAPS[label].part() for label in labels}, "in20": peaks}


def simulator(data: dict[str, Spectrum | Peaks]) -> Joint:
    """What predicts them; the angular width is shared."""
    model = library.load("bi2fe4o9")
    parts: dict[str, Experiment | PeakExperiment] = {}
    for label, each in data.items():
        if isinstance(each, Peaks):
            parts[label] = PeakExperiment(model, each)
            continue
        counting = Robust(FREEDOM, DISCREPANCY * float(each.intensity[each.valid].quantile(0.95)))
        instrument = Instrument(MAPS[label].resolution(), MAPS[label].background(), counting, q_width=AngularQWidth())
        parts[label] = Experiment(model, each.measurement, instrument, samples=SAMPLES, cell=CELL)
    return Joint(parts, shared=["fwhm_angle"])


def prior(joint: Joint, data: Data) -> Prior:
    """That of the library, what the maps say of themselves, and wide ranges for the other nuisances."""
    given: dict[str, object] = {"fwhm_angle": ANGLE}
    for label in (label for label in joint.experiments if label in MAPS):
        given |= {f"fwhm_scale_{label}": WIDTH, f"background_measured_{label}": PHONONS}
        given |= {f"{name}_{label}": {"fixed": value} for name, value in MAPS[label].tail().items()}
    return Prior.from_mapping(complete(given, joint, data))


def profiles(joint: Joint, data: dict[str, Spectrum | Peaks], sets: Sets) -> dict[str, dict[str, float]]:
    """Deviance of each measurement alone at each set of parameters, all of its nuisances at their best."""
    whole = prior(joint, data)
    return {
        label: {name: _profile(joint, data, label, whole, values) for name, values in sets.items()} for label in data
    }


def _profile(joint: Joint, data: dict[str, Spectrum | Peaks], label: str, whole: Prior, values: Values) -> float:
    """On the dense average at these parameters."""
    model, part = library.load("bi2fe4o9"), joint.experiments[label]
    fixed = {name: Fixed(x) for name, x in {**whole.fixed, **model.defaults, **values}.items()}
    if isinstance(part, Experiment):
        rest = dict.fromkeys(part.names[len(model.names) :], 1.0)
        part = part.anchored(part.pack(**{**model.defaults, **values, **rest})).experiment
    alone = Joint({label: part}, shared=[name for name in joint.shared if name in joint.names_of[label]])
    target = Target.of(alone, Prior(**{name: (whole.free | fixed)[name] for name in alone.names}), {label: data[label]})
    start, _ = profile(target, target.prior.constrain(torch.zeros(1, len(target.names), dtype=torch.float64)))
    best = refine(target, start, steps=STEPS)[0]
    return float(target.deviance(target.prior.constrain(best.z[None])))


def against_peaks(sets: Sets, peaks: Spectrum | Peaks) -> dict[str, dict[str, float]]:
    """For each set: distance of peaks from their nearest modes (root mean square, in errors), and the energy of the
    flat modes at (1/2, 1/2, 0), meV.
    """
    model = library.load("bi2fe4o9")
    assert isinstance(peaks, Peaks)
    return {name: _distance(model.pack(**values), peaks) for name, values in sets.items()}


def _distance(theta: torch.Tensor, peaks: Peaks) -> dict[str, float]:
    model = library.load("bi2fe4o9")
    with torch.no_grad():
        modes = SpinWaves(model, torch.cat((peaks.q, torch.tensor([[0.5, 0.5, 0.0]]).double())))(theta)
    energy = modes.energy[0, :, : modes.energy.shape[-1] // 2]
    away = (energy[:-1] - peaks.energy[:, None]).abs().amin(1) / peaks.error
    gap = energy[-1].sort().values.unfold(0, 4, 1)
    flat = gap[(gap[:, -1] - gap[:, 0]).argmin()].mean()
    return {"rms": float((away**2).mean().sqrt()), "flat": float(flat)}


def tell(stage: str, done: int, total: int) -> None:
    """Says how far the inference is, on the error stream."""
    print(f"{time.strftime('%H:%M:%S')} {stage} {done}/{total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
