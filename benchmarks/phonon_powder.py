"""Time of powder maps of phonons against Euphonic at equal error: one thread each, in one run.

    python -m benchmarks.phonon_powder --json FILE [--quick] [--euphonic PYTHON]

PYTHON has Euphonic (GPL-3, only run, never a dependency): `python -m venv peer && peer/bin/pip install euphonic==2.1.1`;
without it our times and errors alone are reported. Cases: Si (`../shared/data/al_si`), Al (springs to 8 neighbours,
in a file for Euphonic), NaCl and quartz (`tests/reference/phonons`), both polar.

A map has 60 bins of |Q| from 1 to 7 1/angstrom and 80 of energy, from 0.08 to 1.04 of the highest, Gaussian widths of
0.04 of it (FWHM), none in |Q|, coherent one-phonon scattering at `KELVIN`, the same Debye-Waller factors on both sides.
Its error is the root of the mean square over bins of what differs from a converged map, relative to that of the map;
the root mean square over repetitions with other points. Converged is the mean of several of our maps with many points;
its own error is said (scatter), and so is how far the best map of Euphonic is from it.

Both sides are run with several numbers of points; times at 10 % and 3 % are interpolated (log-log). Ours are of a call
with other parameters; what is made once for a crystal and a measurement (dynamical matrices, lattice sums, points) is
`set_up_s`, and `ratio_with_set_up` has it in every map. Reading files is in neither. `batch`: maps of many sets of
force constants of Al in one call, each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.files import read_force_constants
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe import ConstantBackground, Experiment, GaussianResolution, Instrument
from sqwirrel.observe.resolution import gaussian_kernel
from sqwirrel.record import Record
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.phonon.thermal import ThermalMotion
from sqwirrel.spectra import Measurement, QShells

HERE = Path(__file__).parents[1]
FILES = HERE / "tests" / "reference" / "phonons"
KELVIN, LOW, HIGH, WIDTH = 100.0, 0.08, 1.04, 0.04
LEVELS = (0.10, 0.03)
FINE = 8
"""Bins of energy that Euphonic's modes are counted in, a bin of the map; 1 / 16 of a width."""
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}
MEV_PER_A2 = 62.41509074
"""meV / angstrom^2 in 1 N / m."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A crystal: its model, the file for Euphonic, and how many points either side is run with."""

    model: Callable[[], PhononModel]
    file: Callable[[PhononModel, Path], Path]
    samples: tuple[int, ...]
    directions: tuple[tuple[int, int], ...]
    """Of Euphonic: in each bin of |Q|, and how often."""
    converged: tuple[int, int]
    """Samples and repetitions of the converged map."""


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Time of powder maps of phonons against Euphonic at equal error.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few bins and points")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--euphonic", type=Path, help="a Python that has Euphonic")
    options = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **ONE_THREAD})  # threads are fixed when numpy loads
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    record, start = Record.start(seeds={"points": 0}), time.perf_counter()
    present = [name for name in options.cases if _is_here(name)]
    rows = [race(name, options.euphonic, quick=options.quick) for name in (present[:1] if options.quick else present)]
    record = record.with_seconds(total=time.perf_counter() - start)
    result = {"benchmark": "phonon_powder", "quick": options.quick, "threads": 1, "rows": rows}
    result |= {"batch": batch(rows[0], quick=options.quick)} if present[:1] == ["al"] else {}
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps({**result, "record": json.loads(record.to_json())}, indent=1) + "\n")


def race(name: str, python: Path | None, *, quick: bool) -> dict[str, Any]:
    """One case: errors and times of both sides, and what they are at equal errors."""
    case = _fewer(CASES[name]) if quick else CASES[name]
    model = case.model()
    where = measurement(model, bins=6 if quick else 60)
    experiment(model, where, 2)(_theta(model, where))  # nothing is timed cold
    samples, repeats = case.converged
    maps = torch.stack([_map(model, where, samples, 1000 + k) for k in range(repeats)])
    exact = maps.mean(0)
    row: dict[str, Any] = {"case": name, "atoms": len(model.positions), "bins": list(where.shape)}
    row["converged_scatter"] = _size((maps - exact) / (repeats - 1) ** 0.5, exact)
    row["ours"] = [ours(model, where, n, exact, quick=quick) for n in case.samples]
    row["ours_us_per_point"] = row["ours"][-1]["seconds"] / row["ours"][-1]["points"] * 1e6
    row["at"] = [_at(level, row["ours"]) for level in LEVELS]
    if python is not None:
        row["euphonic"], row["euphonic_version"] = theirs(case, model, where, python, exact)
        row["euphonic_us_per_point"] = row["euphonic"][-1]["seconds"] / row["euphonic"][-1]["points"] * 1e6
        for mine in row["at"]:
            his = _at(mine["error"], row["euphonic"])
            mine |= {"euphonic_s": his["seconds"], "euphonic_extrapolated": his["extrapolated"]}
            mine["ratio"] = his["seconds"] / mine["seconds"]
            mine["ratio_with_set_up"] = his["seconds"] / (mine["seconds"] + mine["set_up_s"])
    print(json.dumps(row["at"]), flush=True)
    return row


def measurement(model: PhononModel, *, bins: int) -> Measurement:
    """The bins of a case; fewer of |Q| are of the same width."""
    q = torch.rand(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    highest = float(Phonons(model, q).energies(model.pack()).max())
    edges = torch.linspace(1.0, 1.0 + 0.1 * bins, bins + 1, dtype=torch.float64)
    return Measurement(QShells(edges), torch.linspace(LOW, HIGH, 81, dtype=torch.float64) * highest, KELVIN)


def experiment(model: PhononModel, where: Measurement, samples: int, seed: int = 0) -> Experiment:
    """Our map."""
    instrument = Instrument(GaussianResolution(), ConstantBackground(), multiphonon=False)
    return Experiment(model, where, instrument, samples=samples, cell=0.1, seed=seed)


def _theta(model: PhononModel, where: Measurement) -> Tensor:
    nuisance = {"fwhm": _width(where), "fwhm_q": 1e-6, "scale": 1.0, "background": 0.0}
    return torch.cat((model.pack(), torch.tensor([list(nuisance.values())], dtype=torch.float64)), 1)


def _width(where: Measurement) -> float:
    return WIDTH / HIGH * where.range[1]


def _map(model: PhononModel, where: Measurement, samples: int, seed: int) -> Tensor:
    return experiment(model, where, samples, seed)(_theta(model, where))[0]


def ours(model: PhononModel, where: Measurement, samples: int, exact: Tensor, *, quick: bool) -> dict[str, float]:
    """Error and times with so many samples."""
    theta, took, made, wrong = _theta(model, where), [], [], []
    for seed in range(3 if quick else 8):
        clock = time.perf_counter()
        seen = experiment(model, where, samples, seed)
        made.append(time.perf_counter() - clock)
        for _ in range(3):
            clock = time.perf_counter()
            found = seen(theta)[0]
            took.append(time.perf_counter() - clock)
        wrong.append(_size(found - exact, exact))
    points = len(seen.view.sampling.q)  # type: ignore[union-attr]
    return {
        "samples": samples,
        "points": points,
        "error": float(np.sqrt(np.mean(np.square(wrong)))),
        "seconds": float(np.median(took)),
        "set_up_s": float(np.median(made)),
    }


def theirs(
    case: Case, model: PhononModel, where: Measurement, python: Path, exact: Tensor
) -> tuple[list[dict[str, float]], str]:
    """The same of Euphonic, and its version."""
    fine = _fine(where)
    motion = ThermalMotion(model, KELVIN)(model.pack())[0]
    with tempfile.TemporaryDirectory() as folder:
        job, result = Path(folder) / "job.json", Path(folder) / "result.npz"
        asked = {
            "constants": str(case.file(model, Path(folder))),
            "edges": where.points.edges.tolist(),  # type: ignore[union-attr]
            "energy": fine.tolist(),
            "temperature": KELVIN,
            "lengths": dict(zip(model.elements, model.lengths.tolist(), strict=True)),
            "motion": motion.tolist(),
            "directions": case.directions,
            "seed": 1,
        }
        job.write_text(json.dumps(asked))
        script = HERE / "benchmarks" / "peers" / "euphonic_maps.py"
        subprocess.run([python, script, job, result], check=True, env={**os.environ, **ONE_THREAD})
        found = dict(np.load(result))
    return [_scored(found, count, where, exact) for count, _ in case.directions], str(found["version"])


def _scored(found: dict[str, Array], count: int, where: Measurement, exact: Tensor) -> dict[str, float]:
    """Error and time of so many directions."""
    fine = _fine(where)
    centres = (fine[1:] + fine[:-1]) / 2
    width = torch.full((1, len(centres)), _width(where), dtype=torch.float64)
    kernel = gaussian_kernel(centres, width, where.energy)[0] * fine.diff()[:, None]
    wrong = [_size(torch.from_numpy(each) @ kernel - exact, exact) for each in found[f"maps/{count}"]]
    return {
        "directions": count,
        "points": count * len(exact),
        "error": float(np.sqrt(np.mean(np.square(wrong)))),
        "seconds": float(np.median(found[f"seconds/{count}"])),
    }


def _fine(where: Measurement) -> Tensor:
    """Edges of fine bins of energy, which reach three widths beyond the map: none at or below zero."""
    low, high = where.range
    step = float(where.energy.diff()[0]) / FINE
    reach = 3 * _width(where)
    count = int((high - low + 2 * reach) / step)
    edges = low - reach + step * torch.arange(count + 1, dtype=torch.float64)
    return edges[edges > 0]


def _size(away: Tensor, exact: Tensor) -> float:
    """Root mean square, relative to that of a map."""
    return float((away**2).mean().sqrt() / (exact**2).mean().sqrt())


def _at(level: float, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Times where the error is `level`, from the two runs round it, or the two nearest; log-log."""
    error = np.log([row["error"] for row in rows])
    k = int(np.clip((error > np.log(level)).sum(), 1, len(rows) - 1))
    share = (np.log(level) - error[k - 1]) / (error[k] - error[k - 1])
    found: dict[str, Any] = {"error": level, "extrapolated": not 0 <= share <= 1}
    for key in ("seconds", "set_up_s", "samples"):
        if key in rows[0]:
            a, b = np.log(rows[k - 1][key]), np.log(rows[k][key])
            found[key] = float(np.exp(a + share * (b - a)))
    return found


def batch(row: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """Seconds a map, of many sets of force constants of Al in one call, and how far the last is from one of its own."""
    count, model = 20 if quick else 1000, CASES["al"].model()
    where = measurement(model, bins=row["bins"][0])
    level = row["at"][0]
    clock = time.perf_counter()
    seen = experiment(model, where, round(level["samples"]))
    set_up = time.perf_counter() - clock
    theta = _theta(model, where).repeat(count, 1)
    n = len(model.names)
    theta[:, :n] *= 1 + 0.02 * torch.randn(count, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    clock = time.perf_counter()
    found = seen(theta)
    took = (time.perf_counter() - clock) / count
    alone = seen(theta[-1:])[0]
    result = {"sets": count, "samples": round(level["samples"]), "error": level["error"], "seconds_each": took}
    return {**result, "set_up_s": set_up, "differs_from_alone": _size(found[-1] - alone, alone)}


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{'case':8}{'error':>7}{'ours s':>10}{'set-up s':>10}{'euphonic s':>12}{'ratio':>8}{'with set-up':>12}"]
    for row in result["rows"]:
        for at in row["at"]:
            peer = "".join(f"{at[key]:{n}.{d}f}" for key, n, d in COLUMNS if key in at)
            lines.append(f"{row['case']:8}{at['error']:7.0%}{at['seconds']:10.4f}{at['set_up_s']:10.3f}" + peer)
    if "batch" in result:
        lines.append("batch: {sets} sets of Al, {seconds_each:.4f} s each".format(**result["batch"]))
    return "\n".join(lines)


COLUMNS = (("euphonic_s", 12, 2), ("ratio", 8, 0), ("ratio_with_set_up", 12, 0))


def euphonic_file(model: PhononModel, folder: Path) -> Path:
    """Springs of a crystal with one atom as force constants of 4 x 4 x 4 of its usual cells.

    Those that reach as far as the supercell share a place with their images; Euphonic takes such apart again.
    """
    size = torch.linalg.inv(model.primitive).mul(4).round()
    inverse = torch.linalg.inv(size)
    theta = dict(zip(model.names, model.pack()[0].tolist(), strict=True))
    every = torch.cartesian_prod(*(torch.arange(-12.0, 13.0, dtype=torch.float64) for _ in range(3)))
    inside = (every @ inverse + 1e-9).floor().eq(0).all(1)
    cells = every[inside]
    cells = cells[cells.abs().sum(1).argsort(stable=True)]  # Euphonic takes the first for the one at the origin
    known = {tuple(cell): k for k, cell in enumerate(cells.tolist())}
    constants = torch.zeros(len(cells), 3, 3, dtype=torch.float64)

    def add(offset: Tensor, matrix: Tensor) -> None:
        cell = offset - (offset @ inverse + 1e-9).floor() @ size
        constants[known[tuple(cell.round().tolist())]] += matrix

    for each in model.springs:
        for offset, matrix in zip(each.offset.double(), theta[each.name] * each.matrix, strict=True):
            add(offset, -matrix)
            add(-offset, -matrix.T)
            add(torch.zeros(3).double(), matrix + matrix.T)
    held = {
        "__euphonic_class__": "ForceConstants",
        "crystal": {
            "cell_vectors": model.cell.vectors.tolist(),
            "cell_vectors_unit": "angstrom",
            "n_atoms": 1,
            "atom_r": model.positions.tolist(),
            "atom_type": list(model.elements),
            "atom_mass": model.masses.tolist(),
            "atom_mass_unit": "unified_atomic_mass_unit",
        },
        "force_constants": (constants * MEV_PER_A2).tolist(),
        "force_constants_unit": "millielectron_volt / angstrom ** 2",
        "n_cells_in_sc": len(cells),
        "sc_matrix": size.long().tolist(),
        "cell_origins": cells.long().tolist(),
        "born": None,
        "born_unit": "elementary_charge",
        "dielectric": None,
        "dielectric_unit": "bohr / hartree",
    }
    path = folder / "constants.json"
    path.write_text(json.dumps({key: value for key, value in held.items() if value is not None}))
    return path


def _is_here(name: str) -> bool:
    if name != "si" or SILICON.exists():
        return True
    print(f"{name} needs {SILICON}, which is not here: not run")
    return False


def _fewer(case: Case) -> Case:
    return replace(case, samples=case.samples[:2], directions=tuple((n, 1) for n, _ in case.directions[:2]), converged=(64, 2))


SILICON = HERE.parent / "shared" / "data" / "al_si" / "Si-prim-555.json"
CASES = {
    "al": Case(
        lambda: library.load("al_80k"),
        euphonic_file,
        (8, 16, 32, 64, 128, 256, 512, 1024),
        ((300, 3), (1000, 3), (3000, 2), (10_000, 1), (30_000, 1)),
        (4096, 8),
    ),
    "si": Case(
        lambda: read_force_constants(SILICON),
        lambda model, folder: SILICON,  # noqa: ARG005 (it is there)
        (8, 16, 32, 64, 128, 256, 512),
        ((300, 3), (1000, 3), (3000, 2), (10_000, 1), (30_000, 1)),
        (2048, 8),
    ),
    "nacl": Case(
        lambda: read_force_constants(FILES / "nacl" / "phonopy.yaml"),
        lambda model, folder: FILES / "nacl" / "euphonic.json",  # noqa: ARG005 (it is there)
        (8, 16, 32, 64, 128, 256, 512),
        ((100, 3), (300, 3), (1000, 2), (3000, 1)),
        (1024, 8),
    ),
    "quartz": Case(
        lambda: read_force_constants(FILES / "quartz" / "phonopy.yaml"),
        lambda model, folder: FILES / "quartz" / "euphonic.json",  # noqa: ARG005 (it is there)
        (2, 4, 8, 16, 32, 64),
        ((30, 3), (100, 2), (300, 1), (1000, 1)),
        (128, 8),
    ),
}


if __name__ == "__main__":
    main()
