"""Time of the spectrum of large disordered cells: Lanczos against diagonalisation and against pyspinw 1.1.0b2.

    python -m benchmarks.large_cells --json FILE [--quick]

A square-lattice antiferromagnet of s = 5/2 in supercells of 16 to 256 sublattices, exchange and easy-axis anisotropy
different by up to 30 % from site to site; `collinear` with isotropic exchange, which takes half of the operators, and
`general` with exchange that differs at random in the plane, too. One thread, every solver made from the model before
the clock starts, best of several alternating runs at wavevectors in no special position. Microseconds per q, of

- lanczos_us: lines for a resolution of `WIDTH` of the highest energy (FWHM);
- exact_us: all modes, by the compiled path;
- pyspinw_us: all modes by pyspinw (up to 128 sublattices), if it is installed; the energies must agree.

`error` is the largest difference of the broadened spectra of the first two, relative to the largest value at that q.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.spinwave import (
    ONE_THREAD,
    Case,
    disagreement,
    our_model,
    parameters,
    processor,
    seconds,
    their_hamiltonian,
    their_modes,
)
from sqwirrel.record import Record
from sqwirrel.simulate import Modes, SpinWaves, spinwave

CELLS = {16: (4, 4), 32: (8, 4), 64: (8, 8), 128: (16, 8), 256: (16, 16)}
"""Sublattices, and chemical cells along a and b."""
WIDTH = 0.02
PEER = 128
"""Most sublattices that pyspinw is asked for."""
SEED = 1


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Time per wavevector of large cells by Lanczos.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="smaller cells, fewer wavevectors and repeats")
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **ONE_THREAD})  # threads are fixed when numpy loads
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    result = measure(quick=options.quick)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(quick: bool) -> dict[str, Any]:
    """The result of every cell, with where and when it was taken."""
    record, start = Record.start(seeds={"q": SEED, "disorder": SEED}), time.perf_counter()
    spinwave.LARGE = 1  # so that small cells show where the crossover is
    race(disordered(16, general=True), 2, 1)  # loads or compiles the kernels
    race(disordered(16, general=False), 2, 1)
    sizes = [n for n in CELLS if not quick or n <= 64]
    rows = [
        race(disordered(n, general=general), max(8, (512 if quick else 2048) // n), 2 if quick else 5)
        for general in (False, True)
        for n in sizes
    ]
    record = record.with_seconds(total=time.perf_counter() - start)
    return {
        "benchmark": "large_cells",
        "quick": quick,
        "unit": "microseconds per q, one thread",
        "width": WIDTH,
        "record": json.loads(record.to_json()),
        "processor": processor(),
        "rows": rows,
    }


def disordered(n: int, *, general: bool) -> Case:
    """A neutral case (see `benchmarks.spinwave`) of n sublattices; moments along z stay stationary."""
    rng, (a, b) = np.random.default_rng(SEED), CELLS[n]
    x, y = (part.ravel() for part in np.meshgrid(np.arange(a), np.arange(b), indexing="ij"))
    bonds = []
    for dx, dy in ((1, 0), (0, 1)):
        for i in range(n):
            far = x[i] + dx, y[i] + dy
            J = rng.uniform(0.7, 1.3) * np.eye(3)
            if general:
                across = 0.05 * rng.normal(size=(2, 2))
                J[:2, :2] += (across + across.T) / 2
            bonds.append((i, int(far[0] % a * b + far[1] % b), (far[0] // a, far[1] // b, 0), J))
    return {
        "name": "general" if general else "collinear",
        "lattvec": np.diag([3.0 * a, 3.0 * b, 8.0]),
        "pos": np.stack((x / a, y / b, 0 * x), axis=1),
        "S": np.full(n, 2.5),
        "dirs": np.outer((-1.0) ** (x + y), [0, 0, 1]),
        "bonds": bonds,
        "aniso": [(i, np.diag([0, 0, -0.1 * rng.uniform(0.7, 1.3)])) for i in range(n)],
    }


def race(case: Case, count: int, repeats: int) -> dict[str, Any]:
    """Microseconds per q of every solver, best of several alternating runs."""
    q, model = np.random.default_rng(SEED).uniform(-1, 1, (count, 3)), our_model(case)
    points, theta, n = torch.from_numpy(q), parameters(model), len(case["S"])
    exact = SpinWaves(model, points)
    modes = exact(theta)
    fwhm = WIDTH * float(modes.energy.max())
    fine = SpinWaves(model, points, fwhm=fwhm)
    jobs = {"lanczos_us": lambda: fine(theta), "exact_us": lambda: exact(theta)}
    if n <= PEER and importlib.util.find_spec("pyspinw") is not None:
        theirs = their_hamiltonian(case)
        disagreement(theirs, exact, -q, case)  # without inversion q and -q differ, and the programs in their sign
        jobs["pyspinw_us"] = lambda: their_modes(theirs, -q, case)
    fastest = dict.fromkeys(jobs, float("inf"))
    for _ in range(repeats):
        for label, job in jobs.items():
            fastest[label] = min(fastest[label], seconds(job))
    lines = fine(theta)
    return {
        "structure": case["name"],
        "sublattices": n,
        "operators": exact.bosons.size,
        "q": count,
        "fwhm": fwhm,
        **{label: round(took / count * 1e6, 2) for label, took in fastest.items()},
        "ratio": fastest["exact_us"] / fastest["lanczos_us"],
        "error": difference(lines, modes, fwhm),
        "lines": float((lines.intensity > 0).sum(-1).double().mean()),
    }


def difference(ours: Modes, exact: Modes, fwhm: float) -> float:
    """Largest difference of the broadened spectra, relative to the largest value at each wavevector."""
    line = torch.arange(0, float(exact.energy.max()) + 2 * fwhm, fwhm / 4, dtype=torch.float64)
    mine, theirs = (
        torch.stack([(m.intensity * torch.exp(-(((e - m.energy) / (0.6 * fwhm)) ** 2))).sum(-1) for e in line])
        for m in (ours, exact)
    )
    return float(((mine - theirs).abs().amax(0) / theirs.amax(0)).max())


def table(result: dict[str, Any]) -> str:
    """The result for a reader."""
    head = (
        f"{'structure':10}{'N':>4}{'operators':>10}{'lanczos':>12}{'exact':>12}{'pyspinw':>12}{'ratio':>8}{'error':>9}"
    )
    lines = [
        f"{row['structure']:10}{row['sublattices']:4}{row['operators']:10}{row['lanczos_us']:12.1f}{row['exact_us']:12.1f}"
        + (f"{row['pyspinw_us']:12.1f}" if "pyspinw_us" in row else f"{'':12}")
        + f"{row['ratio']:8.2f}{row['error']:9.1e}"
        for row in result["rows"]
    ]
    took = result["record"]["seconds"]["total"]
    return "\n".join((f"{result['unit']}; {result['processor']}; total {took:.0f} s", head, *lines))


if __name__ == "__main__":
    main()
