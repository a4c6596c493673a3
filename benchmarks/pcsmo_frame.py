"""The measured frame of Pr(Ca0.9Sr0.1)2Mn2O7 against simulated ones: correlation by incident energy, seconds a frame.

    python -m benchmarks.pcsmo_frame --json FILE [--quick]

The frame has 240 x 400 pixels: six incident energies, ten windows of energy transfer each, 40 x 40 pixels in (h, k) of
the high-temperature cell from -1 to 1. Simulated with the published parameters and nothing fitted: L of each mode from
the kinematics, average over pixels and the resolution in (h, k, E) of the published tables, two twins of equal weight,
Mn3+ and Mn4+ form factors, k_f / k_i. Correlations are Pearson's over the pixels that the mask keeps: over all of them,
and without hot pixels (`Spectrum.despiked`, from the data alone); also with more quadrature points a pixel, and that of
the frame with its own mirror images, whose root no simulation can exceed. Timing: one frame after set-up, and the mean
of 100 frames of different parameters.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.observe import EllipsoidResolution, Experiment, Instrument, read_covariance
from sqwirrel.record import Record
from sqwirrel.spectra import Beam, Measurement, QGrid, Spectrum

DATA = Path(__file__).parents[2] / "shared" / "data" / "pcsmo"
ENERGIES = (25.0, 35.0, 50.0, 70.0, 100.0, 140.0)
PIXELS, WINDOWS = 40, 10
CELL = Lattice(5.408, 5.4599, 19.266)
TWIN = torch.tensor([[[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]], dtype=torch.float64)
TEMPERATURE = 4.0
SAMPLES, DENSE = 8, 64
"""Quadrature points a pixel: those that are timed, and so many that the correlation has converged to 0.001."""
REPORTED = {"goodenough": [0.60, 0.77, 0.78, 0.80, 0.79, 0.62], "dimer": [0.60, 0.77, 0.78, 0.79, 0.78, 0.59]}
"""What pixel centres with energy resolution were reported to reach, over pixels that are not stated."""


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="The measured PCSMO frame against simulated ones.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few points and few frames")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("pcsmo_frame needs ../shared/data/pcsmo, which is not here: nothing was run")
    result = run(options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(quick: bool) -> dict[str, Any]:
    """Both models, and the time of a frame."""
    measured, samples, found = frame(), 2 if quick else SAMPLES, {}
    for name in ("goodenough", "dimer"):
        clock = time.perf_counter()
        experiments = simulators(name, samples)
        setup = time.perf_counter() - clock
        rows = [found_of(e, s) for e, s in zip(experiments, measured, strict=True)]
        found |= {f"{name}_correlation_all": [row[0] for row in rows], f"{name}_correlation": [row[1] for row in rows]}
        if name == "goodenough":
            found |= {"seconds_setup": setup, **timing(experiments, 3 if quick else 100)}
        if not quick:
            dense = zip(simulators(name, DENSE), measured, strict=True)
            found[f"{name}_correlation_dense"] = [found_of(e, s)[1] for e, s in dense]
    dark = [int((s.valid & ~s.despiked().valid).sum()) for s in measured]
    seeds = Record.start(seeds={"sampling": 0, "parameters": 1}, files=[DATA / "unnorm-expt-clipped-120.npy"])
    return {
        "benchmark": "pcsmo_frame",
        "quick": quick,
        "incident_energies": list(ENERGIES),
        **found,
        "samples": [samples, DENSE],
        "limit": [limit(s) for s in measured],
        "reported": REPORTED,
        "hot_pixels": dark,
        "pixels": [int(s.valid.sum()) for s in measured],
        "threads": torch.get_num_threads(),
        "record": json.loads(seeds.to_json()),
    }


def frame() -> list[Spectrum]:
    """The measured frame, one spectrum an incident energy; what the mask covers is unmeasured. Errors are not known.

    The file of the mask has its rows from the last to the first, and in each tile its columns, too: so laid, none of
    its 19 311 pixels has an intensity; 2488 had one if the columns were left as they are.
    """
    values = np.load(DATA / "unnorm-expt-clipped-120.npy").reshape(6, PIXELS, WINDOWS, PIXELS)
    mask = np.flipud(scipy.io.loadmat(DATA / "nanmask.mat")["nan_mask"]).reshape(values.shape)[..., ::-1] == 1
    if values[mask].any():
        raise SystemExit("pcsmo_frame: pixels under the mask have intensities, so that it does not lie where it should")
    values, valid = (torch.from_numpy(x.transpose(0, 1, 3, 2).reshape(6, -1, WINDOWS).copy()) for x in (values, ~mask))
    every = zip(values, valid, ENERGIES, strict=True)
    return [Spectrum.from_arrays(v, torch.zeros_like(v), measurement(e), valid=ok) for v, ok, e in every]


def measurement(incident_energy: float) -> Measurement:
    """Where the pixels of one incident energy are; 40 values from -1 to 1 are the centres."""
    edges = (torch.arange(PIXELS + 1, dtype=torch.float64) - PIXELS / 2) * 2 / (PIXELS - 1)
    beam = Beam((0, 0, 1), incident_energy)
    grid = QGrid(CELL, torch.eye(3, dtype=torch.float64), [edges, edges, [-50.0, 50.0]], beam=beam)
    energy = incident_energy * (0.10 + 0.06 * torch.arange(WINDOWS + 1, dtype=torch.float64))
    return Measurement(grid, energy, TEMPERATURE, incident_energy=incident_energy)


def simulators(name: str, samples: int) -> list[Experiment]:
    """One experiment an incident energy, which share the modes that they look at."""
    model, made = library.load(f"pcsmo_{name}"), []
    for energy in ENERGIES:
        where = measurement(energy)
        resolution = EllipsoidResolution(read_covariance(DATA / f"resolution/PCSMO_ei{energy:g}_resolution.txt.gz"))
        instrument = Instrument(resolution, flux_factor=True)
        shared = made[0].amplitudes if made else None
        made.append(Experiment(model, where, instrument, samples=samples, twins=TWIN, shared=shared))
    return made


def found_of(experiment: Experiment, measured: Spectrum) -> tuple[float, float]:
    """Correlation over all pixels of the mask, and over those that are not hot."""
    known = dict.fromkeys(experiment.names[len(experiment.model.names) :], 1.0) | {"background": 0.0}
    with torch.no_grad():
        simulated = experiment(experiment.pack(**known))[0]
    return correlation(simulated, measured), correlation(simulated, measured.despiked())


def correlation(simulated: Float[Tensor, "point energy"], measured: Spectrum) -> float:
    """Pearson's, over what was measured."""
    pair = torch.stack((simulated[measured.valid], measured.intensity[measured.valid]))
    return float(torch.corrcoef(pair)[0, 1])


def limit(measured: Spectrum) -> float:
    """Root of the mean correlation of what is not hot with its images in the mirrors h, k and both.

    Whatever has these mirrors, as any simulation here, cannot do better if the errors of pixels are independent.
    """
    spectrum = measured.despiked()
    values, valid = (x.reshape(PIXELS, PIXELS, -1) for x in (spectrum.intensity, spectrum.valid))
    found = []
    for axes in ((0,), (1,), (0, 1)):
        both = valid & valid.flip(axes)
        found.append(float(torch.corrcoef(torch.stack((values[both], values.flip(axes)[both])))[0, 1]))
    return float(np.mean(found)) ** 0.5


def timing(experiments: list[Experiment], frames: int) -> dict[str, float]:
    """Seconds of one frame after set-up, and of each of many frames of parameters drawn round the published ones."""
    theta = experiments[0].pack(twin_2=1.0, fwhm_scale=1.0, scale=1.0, background=0.0)
    spread = torch.randn(frames + 2, theta.shape[1], generator=torch.Generator().manual_seed(1), dtype=theta.dtype)
    rows = theta * (1 + 0.01 * spread)
    seconds = []
    with torch.no_grad():
        for row in rows:
            clock = time.perf_counter()
            for experiment in experiments:
                experiment.predict(row[None])
            seconds.append(time.perf_counter() - clock)
    return {"seconds_per_frame": seconds[1], "seconds_per_frame_in_batch": sum(seconds[2:]) / frames}


if __name__ == "__main__":
    main()
