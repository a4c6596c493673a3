"""`infer` on Bi2Fe4O9: powder maps of four incident energies and a crystal's table of peaks, all at once.

    python -m benchmarks.bi2fe4o9 --json FILE [--quick] [--maps ei25 ei62]

MERLIN at 5 K, E_i 25, 38, 62 and 120 meV, above the elastic line and below the |Q| where phonons take over; peaks
fitted to scans on IN20. Five exchange constants and K are common, and so is the angular width of the one spectrometer;
a factor on the energy width, scale, background and multiple scattering are of each map. Reports the answer beside the
published sets, the flat modes that J44 moves, and how far each set lies from the peaks. `--quick` has one map, fewer
draws and starts.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sqwirrel.config.prior import complete
from sqwirrel.infer import Data, Posterior, Settings, infer
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import (
    AngularQWidth,
    Experiment,
    Gaussian,
    Instrument,
    Joint,
    PeakExperiment,
    PlanarBackground,
    TableResolution,
)
from sqwirrel.record import Record
from sqwirrel.simulate import SpinWaves
from sqwirrel.spectra import Peaks, QShells, Spectrum, read, read_peaks

DATA = Path(__file__).parents[2] / "shared" / "data" / "bi2fe4o9"
TEMPERATURE = 5.0
PUBLISHED = {
    "le": {"J44": -0.22, "Jc": 1.39, "J43": 3.15, "J43p": 6.53, "J33": 27.63, "K": 0.096},
    "beauvois": {"J44": 1.3, "Jc": 3.7, "J43": 2.9, "J43p": 6.3, "J33": 24.0},
    "beauvois_exchanged": {"J44": 3.7, "Jc": 1.3, "J43": 2.9, "J43p": 6.3, "J33": 24.0},
}
"""meV: arXiv:2101.06786, and Phys. Rev. Lett. 124, 127202 (2020), K as in the first. The second as scripts of the first
paper list it, by length of the bond; if J44 and Jc are exchanged, flat modes are at 19 meV, where the second has one.
"""
WIDTH, ANGLE = {"normal": [1.0, 0.15]}, {"uniform": [0.3, 3.0]}
"""Priors of the factor on the energy width, from the instrument, and of the angular width, degrees: with free widths
misfit is explained by lines four times wider.
"""
FLOOR = 0.2
"""Least error believed, of the median intensity of a map. Phonons are in the maps and not in the model; with counting
errors, a few per cent, their shapes would decide. An assumption, which sets the widths of the intervals.
"""


@dataclass(frozen=True)
class Map:
    """One powder map: its file, ranges of |Q| (1/angstrom) and energy (meV), bins merged, and the elastic width (meV)
    that the published calculation used.
    """

    file: str
    longest: float
    energy: tuple[float, float]
    merge: tuple[int, int]
    fwhm: float

    def spectrum(self) -> Spectrum:
        """The part used, without its rim, where the direct beam is."""
        whole = read(DATA / self.file)
        edges = whole.measurement.points.edges
        shells = int((edges <= self.longest).sum()) - 1
        points = QShells(edges[: shells + 1])
        part = Spectrum(
            whole.data["Q", :shells].copy(), replace(whole.measurement, points=points, temperature=TEMPERATURE)
        )
        q, energy = self.merge
        return part.slice_energy(*self.energy).rebin(q=q, energy=energy).trim(1)

    def resolution(self, incident_energy: float) -> TableResolution:
        """Falling with energy transfer as on chopper spectrometers, roughly; the data set the factor."""
        return TableResolution([0.0, 0.8 * incident_energy], [self.fwhm, 0.45 * self.fwhm])


MAPS = {
    "ei25": Map("MER40874_Ei25.00meV_Rings.nxspe", 3.6, (4.0, 16.5), (5, 4), 0.7),
    "ei38": Map("MER40874_Ei38.00meV_Rings.nxspe", 3.6, (6.0, 27.0), (4, 3), 1.1),
    "ei62": Map("MER40874_Ei62.00meV_Rings.nxspe", 4.0, (12.0, 34.0), (3, 3), 2.0),
    "ei120": Map("MER40874_Ei120.00meV_Rings.nxspe", 5.0, (34.0, 95.0), (3, 3), 5.6),
}
"""The flat modes at 40 meV are several times broader than the resolution (they may hybridise with phonons,
arXiv:2510.04793): at 62 meV they would set the width of all lines, so only the map at 120 meV has them.
"""
QUICK = ("ei62",)


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Measured powder maps and peaks of Bi2Fe4O9.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="one map, few draws and starts")
    parser.add_argument("--maps", nargs="+", choices=tuple(MAPS), help="these maps and the peaks; all by default")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("bi2fe4o9 needs ../shared/data/bi2fe4o9, which is not here: nothing was run")
    result = run(options.maps or (QUICK if options.quick else tuple(MAPS)), options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(labels: Sequence[str], quick: bool) -> dict[str, Any]:
    """The whole study."""
    clock = time.perf_counter()
    data = measured(labels)
    joint = simulator(data)
    settings = Settings(screen=16, starts=1, draws=60, rounds=1) if quick else Settings(screen=256, starts=6, draws=200)
    posterior = infer(joint, prior(joint, data), data, settings, progress=tell)
    return {
        "benchmark": "bi2fe4o9",
        "quick": quick,
        "bins": {k: int(each.valid.sum()) if isinstance(each, Spectrum) else len(each) for k, each in data.items()},
        "parameters": [asdict(row) for row in posterior.summary()],
        "published": PUBLISHED,
        "against_peaks": against_peaks(posterior, data["in20"]),
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
    """The maps, and the peaks."""
    peaks = read_peaks(DATA / "in20_fitted_modes.txt", library.load("bi2fe4o9").lattice)
    return {**{label: MAPS[label].spectrum() for label in labels}, "in20": peaks}


def simulator(data: dict[str, Spectrum | Peaks]) -> Joint:
    """What predicts them; the angular width is shared."""
    model = library.load("bi2fe4o9")
    parts: dict[str, Experiment | PeakExperiment] = {}
    for label, each in data.items():
        if isinstance(each, Peaks):
            parts[label] = PeakExperiment(model, each)
            continue
        resolution = MAPS[label].resolution(float(each.measurement.incident_energy or 0))
        counting = Gaussian(FLOOR * float(each.intensity[each.valid].median()))
        instrument = Instrument(
            resolution, PlanarBackground(), counting, q_width=AngularQWidth(), multiple_scattering=True
        )
        parts[label] = Experiment(model, each.measurement, instrument, samples=32, cell=0.2)
    return Joint(parts, shared=["fwhm_angle"])


def prior(joint: Joint, data: Data) -> Prior:
    """That of the library, and wide ranges for the nuisances."""
    widths = {name: WIDTH for name in joint.names if name.startswith("fwhm_scale")}
    return Prior.from_mapping(complete({"fwhm_angle": ANGLE, **widths}, joint, data))


def against_peaks(posterior: Posterior, peaks: Spectrum | Peaks) -> dict[str, dict[str, float]]:
    """For each published set and the median: distance of peaks from their nearest modes (root mean square, in errors),
    and the energy of the flat modes at (1/2, 1/2, 0), meV.
    """
    model = library.load("bi2fe4o9")
    found = dict(zip(posterior.names, posterior.median.tolist(), strict=True))
    sets = {**PUBLISHED, "median": {name: found[name] for name in model.names}}
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
