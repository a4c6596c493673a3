"""Time of linear spin waves, energies and S_perp, against pyspinw 1.1.0b2: one thread each, in one run.

    python -m benchmarks.spinwave --json FILE [--quick]

The cases are the neutral ones of `../shared/peers/cases.py`, and two of `../shared/reference`: Goodenough PCSMO, and
Yb2Ti2O7 in a field of 2 T, 16 sublattices each.
Both sides start from their own description of the Hamiltonian (`pyspinw.Hamiltonian`, `SpinModel`), made beforehand;
the clock covers everything from there to energies and S_perp at every q. The runs alternate, and the best of several
counts. Before anything is timed, the energies of both sides must agree. Per case, in microseconds a q:

- ours_us: a `SpinWaves` made from the model, and its call without gradients (the compiled path);
- call_us: the call alone, for another Hamiltonian of the same model, with what does not depend on parameters kept;
- differentiable_us, differentiable_call_us: the same with gradients enabled, forward only;
- gradient_us: the differentiable call and one backward pass.

Then: `training`, spectra of many Hamiltonians of one model at the same q, parameter by parameter, against one pyspinw
calculation each; `gradient`, a broadened spectrum and its derivatives against the broadened spectrum without gradients;
`threads`, two threads against one; `memory`, resident size after 1e6 q of 16 sublattices.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqwirrel.lattice import Lattice
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling
from sqwirrel.model.spin import SpinModel
from sqwirrel.record import Record
from sqwirrel.simulate import SpinWaves

SHARED = Path(__file__).parents[2] / "shared"
CASES = SHARED / "peers" / "cases.py"
POINTS = {
    "fm_chain": 20_000,
    "rb2mnf4": 20_000,
    "N8": 5000,
    "N16": 2000,
    "N32": 500,
    "tri120": 20_000,
    "canted": 20_000,
    "pcsmo": 1000,
    "yb2ti2o7": 1000,
}
"""Wavevectors in the full run; a quick one has a quarter."""
SEED = 1
AGREEMENT = 1e-6
"""meV; both programs shift H a little against Goldstone modes, by different amounts."""
ONE_THREAD = {
    "RAYON_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "QT_QPA_PLATFORM": "offscreen",
}
STORED = {"pcsmo": "pcsmo.npz", "yb2ti2o7": "yb2ti2o7_B2_path0_0.npz"}
"""Published spectra (PRL 109, 237202; PRX 1, 021002) whose Hamiltonians are raced."""
COLUMNS = ("pyspinw_us", "ours_us", "call_us", "differentiable_us", "differentiable_call_us", "gradient_us")
TRAINING = {"rb2mnf4": (1000, 1000), "pcsmo": (1000, 1000)}
"""Hamiltonians and wavevectors."""
GRADIENT = ("rb2mnf4", "N8", "pcsmo")
MANY = 1_000_000
Case = Mapping[str, Any]
Job = Callable[[], object]


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Time per wavevector of spin waves against pyspinw.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="fewer wavevectors and repeats")
    options = parser.parse_args()
    if not CASES.exists():
        sys.exit(f"the cases of this benchmark are not part of the repository: there is no {CASES}")
    if importlib.util.find_spec("pyspinw") is None:
        sys.exit("this benchmark races against pyspinw, which is not installed: pip install -e '.[bench]'")
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **ONE_THREAD})  # threads are fixed when numpy loads
    torch.set_num_threads(1)
    result = measure(quick=options.quick)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(quick: bool) -> dict[str, Any]:
    """The result of every case, with where and when it was taken."""
    record = Record.start(seeds={"q": SEED})
    start, cases = time.perf_counter(), load(CASES)
    compile_seconds = seconds(lambda: warm_up(cases))
    rows = [race(cases, name, quick) for name in POINTS]
    peer = {row["case"]: row["pyspinw_us"] for row in rows}
    more = {
        "training": [training(cases, name, peer[name], quick) for name in TRAINING],
        "gradient": [gradient(cases, name, quick) for name in GRADIENT],
        "threads": threads(cases, quick),
        "memory": None if quick else memory(),
    }
    record = record.with_seconds(total=time.perf_counter() - start, first_call=compile_seconds)
    versions = {name: importlib.metadata.version(name) for name in ("pyspinw", "numba", "numpy", "torch")}
    return {
        "benchmark": "spinwave",
        "quick": quick,
        "unit": "microseconds per q, one thread",
        "record": {**json.loads(record.to_json()), "versions": {**record.versions, **versions}},
        "processor": processor(),
        "rows": rows,
        **more,
    }


def warm_up(cases: ModuleType) -> None:
    """Loads or compiles the kernels."""
    model = our_model(described(cases, "fm_chain"))
    with torch.no_grad():
        SpinWaves(model, torch.rand(4, 3, dtype=torch.float64))(parameters(model))


def race(cases: ModuleType, name: str, quick: bool) -> dict[str, Any]:
    """Microseconds per q of every column for one case, best of several alternating runs."""
    case = described(cases, name)
    q = cases.q_random(POINTS[name] // (4 if quick else 1), seed=SEED)
    jobs, difference = contenders(case, q)
    fastest = dict.fromkeys(jobs, float("inf"))
    for _ in range(3 if quick else 9):
        for label, job in jobs.items():
            fastest[label] = min(fastest[label], seconds(job))
    per_q = {label: round(value / len(q) * 1e6, 4) for label, value in fastest.items()}
    collinear = SpinWaves(our_model(case), torch.zeros(1, 3, dtype=torch.float64)).bosons.mirrored
    return {
        "case": name,
        "sublattices": len(case["S"]),
        "structure": "collinear" if collinear else "general",
        "q": len(q),
        **per_q,
        "ratio": per_q["pyspinw_us"] / per_q["ours_us"],
        "largest_energy_difference": difference,
    }


def training(cases: ModuleType, name: str, peer: float, quick: bool) -> dict[str, Any]:
    """Seconds per spectrum (all its q) of many Hamiltonians; `peer` is microseconds a q of pyspinw in this run."""
    many, n = (20, 100) if quick else TRAINING[name]
    case = described(cases, name)
    model, q = our_model(case), torch.from_numpy(cases.q_random(n, seed=SEED))
    theta = parameters(model) * torch.linspace(0.9, 1.1, many, dtype=torch.float64)[:, None]
    with torch.no_grad():
        took = seconds(lambda: [SpinWaves(model, q)(part) for part in theta.split(100)])
    ours = took / many
    return {
        "case": name,
        "hamiltonians": many,
        "q": n,
        "ours_ms": ours * 1e3,
        "pyspinw_ms": peer * n / 1e3,
        "ratio": peer * n / 1e6 / ours,
    }


def gradient(cases: ModuleType, name: str, quick: bool) -> dict[str, Any]:
    """Milliseconds of a broadened spectrum without gradients, and with its derivatives by all parameters."""
    model = our_model(described(cases, name))
    q = torch.from_numpy(cases.q_random(50 if quick else 1000, seed=SEED))
    waves, theta, line = SpinWaves(model, q), parameters(model), torch.linspace(0, 10, 100, dtype=torch.float64)

    def spectrum(theta: Tensor) -> Tensor:
        modes = waves(theta)
        return (modes.intensity[..., None] * torch.exp(-(((line - modes.energy[..., None]) / 0.3) ** 2))).sum(-2)

    def backward() -> Tensor:
        leaf = theta.clone().requires_grad_()
        return torch.autograd.grad(spectrum(leaf).sum(), leaf)[0]

    forward = best(torch.no_grad()(lambda: spectrum(theta)), quick)
    both = best(backward, quick)
    return {"case": name, "q": len(q), "forward_ms": forward * 1e3, "gradient_ms": both * 1e3, "ratio": both / forward}


def threads(cases: ModuleType, quick: bool) -> dict[str, float]:
    """Seconds of 16 sublattices on one thread and on two."""
    model = our_model(described(cases, "N16"))
    q = torch.from_numpy(cases.q_random(500 if quick else 40_000, seed=SEED))
    took = {}
    for count in (1, 2):
        torch.set_num_threads(count)
        took[count] = best(torch.no_grad()(lambda: SpinWaves(model, q, keep=False)(parameters(model))), quick)
    torch.set_num_threads(1)
    return {"one_s": took[1], "two_s": took[2], "ratio": took[1] / took[2]}


def memory() -> dict[str, float]:
    """Largest resident size (GB) of a process that solves `MANY` q of 16 sublattices, and its seconds."""
    code = (
        "import resource, time, torch; from benchmarks.spinwave import *; cases = load(CASES);"
        "model = our_model(described(cases, 'N16')); q = torch.from_numpy(cases.q_random(MANY, seed=SEED));"
        "torch.set_grad_enabled(False); start = time.perf_counter(); SpinWaves(model, q)(parameters(model));"
        "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took, size = map(float, ran.stdout.split())
    return {"q": MANY, "seconds": took, "resident_gb": size}


def best(job: Job, quick: bool) -> float:
    """Seconds of the fastest of some runs."""
    return min(seconds(job) for _ in range(2 if quick else 5))


def described(cases: ModuleType, name: str) -> Case:
    """A neutral case by name; the two of `STORED` are read from their published spectra."""
    if name not in STORED:
        return dict(cases.CASES[name]())
    with np.load(SHARED / "reference" / STORED[name]) as stored:
        file = dict(stored)
    bonds = zip(*(file[f"bond_{key}"] for key in "ijnJ"), strict=True)
    return {
        "name": name,
        "lattvec": file["lattvec"],
        "pos": file["pos"],
        "S": file["S"],
        "dirs": file["F"].real / np.linalg.norm(file["F"].real, axis=1, keepdims=True),
        "bonds": [(int(i), int(j), tuple(map(int, n)), J) for i, j, n, J in bonds],
        "aniso": list(enumerate(file["aniso"])) if file["aniso"].any() else [],
        "g": file["g"] if file["field_T"].any() else None,
        "field": file["field_T"],
    }


def contenders(case: Case, q: NDArray[np.float64]) -> tuple[dict[str, Job], float]:
    """What is timed, by column, once the energies agree; and by how much (meV) they differ."""
    theirs, model, points = their_hamiltonian(case), our_model(case), torch.from_numpy(q)
    theta, field = parameters(model), tuple(map(float, case.get("field", (0, 0, 0))))
    waves = SpinWaves(model, points, field=field)
    leaf = theta.clone().requires_grad_()
    difference = disagreement(theirs, waves, q, case)

    def backward() -> Tensor:
        modes = waves(leaf)
        return torch.autograd.grad((modes.intensity * modes.energy).sum(), leaf)[0]

    jobs: tuple[Job, ...] = (
        lambda: their_modes(theirs, q, case),
        torch.no_grad()(lambda: SpinWaves(model, points, field=field, keep=False)(theta)),
        torch.no_grad()(lambda: waves(theta)),
        lambda: SpinWaves(model, points, field=field, keep=False)(leaf),
        lambda: waves(leaf),
        backward,
    )
    return dict(zip(COLUMNS, jobs, strict=True)), difference


def disagreement(theirs: Any, waves: SpinWaves, q: NDArray[np.float64], case: Case) -> float:
    """Largest difference of the energies, meV; stops where it is more than `AGREEMENT`."""
    energy, _ = their_modes(theirs, q, case)
    with torch.no_grad():
        modes = waves(parameters(waves.model))
    expected = np.sort(np.asarray(energy).real, axis=1)[:, ::-1]
    difference = float(np.abs(modes.energy[0].numpy() - expected).max())
    if not bool(modes.stable.all()) or difference > AGREEMENT:
        sys.exit(f"{waves.model.name}: the energies of pyspinw and ours differ by {difference:g} meV; nothing is timed")
    return difference


def our_model(case: Case) -> SpinModel:
    """The case as a `SpinModel` with a parameter for each exchange (one for all if many) and one for the anisotropy."""
    n, vectors = len(case["S"]), torch.from_numpy(case["lattvec"])
    i, j, offset, matrix = (torch.tensor(np.array(part)) for part in zip(*case["bonds"], strict=True))
    value, kind = matrix[:, 0, 0].round(decimals=9).unique(return_inverse=True)
    kinds = [(kind == k).nonzero()[:, 0] for k in range(len(value))] if len(value) < 8 else [torch.arange(len(i))]
    site = torch.tensor([entry[0] for entry in case["aniso"]], dtype=torch.int64)
    single = [torch.from_numpy(np.asarray(entry[1], dtype=float)) for entry in case["aniso"]]
    return SpinModel(
        name=case["name"],
        title=case["name"],
        lattice=Lattice.from_vectors(vectors),
        supercell=torch.eye(3, dtype=torch.float64),
        positions=torch.from_numpy(case["pos"]),
        labels=("X",) * n,
        ions=("",) * n,
        spins=torch.from_numpy(case["S"]),
        g=2 * torch.eye(3, dtype=torch.float64).expand(n, 3, 3)
        if case.get("g") is None
        else torch.from_numpy(case["g"]),
        directions=torch.from_numpy(case["dirs"]),
        couplings=tuple(
            Coupling(f"J{k}", i[own], j[own], offset[own], matrix[own]) for k, own in enumerate(kinds) if len(own)
        ),
        anisotropies=(Anisotropy("D", site, torch.stack(single)),) if single else (),
    )


def parameters(model: SpinModel) -> Tensor:
    """The published values: every scale 1."""
    return torch.ones(1, len(model.names), dtype=torch.float64)


def their_hamiltonian(case: Case) -> Any:
    """The case as a `pyspinw.Hamiltonian`; pyspinw takes lengths and angles, so vectors are turned into its frame."""
    from pyspinw import Anisotropy as SingleIon  # slow to import, and absent without the extra 'bench'
    from pyspinw import Hamiltonian, Site, Structure, UnitCell
    from pyspinw.exchange import Exchange

    lattice = Lattice.from_vectors(torch.from_numpy(case["lattvec"]))
    cell = UnitCell(lattice.a, lattice.b, lattice.c, alpha=lattice.alpha, beta=lattice.beta, gamma=lattice.gamma)
    turn = np.linalg.inv(case["lattvec"]) @ cell._xyz
    moments = (case["S"][:, None] * case["dirs"]) @ turn
    g = [None] * len(moments) if case.get("g") is None else [turn.T @ each @ turn for each in case["g"]]
    sites = [
        Site(*place, *moment, g=each, name=f"X{k}")
        for k, (place, moment, each) in enumerate(zip(case["pos"], moments, g, strict=True))
    ]
    exchange = [Exchange(sites[i], sites[j], n, turn.T @ J @ turn, name="J") for i, j, n, J in case["bonds"]]
    single = [SingleIon(sites[i], turn.T @ A @ turn) for i, A in case["aniso"]]
    return Hamiltonian(Structure(sites, cell), exchange, single)


def their_modes(theirs: Any, q: NDArray[np.float64], case: Case) -> tuple[Any, Any]:
    """Energies and S_perp of pyspinw, whose moments point against the spins in a field; the cell must not be turned."""
    field = -case["field"] if case.get("g") is not None else None
    energy, intensity = theirs._energies_and_intensities(q, field=field, use_rust=True, use_rotating=False)
    return energy, intensity


def load(path: Path) -> ModuleType:
    """A Python file from outside the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seconds(job: Job) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def processor() -> str:
    """The processor's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def table(result: Mapping[str, Any]) -> str:
    """The result for a reader: microseconds per q, and how many times faster than pyspinw."""
    heads = [column.removesuffix("_us") for column in COLUMNS]
    head = f"{'case':9}{'N':>3}{'q':>6} {'structure':10}" + "".join(f"{each:>21}" for each in heads) + f"{'ratio':>8}"
    lines = [
        f"{row['case']:9}{row['sublattices']:3}{row['q']:6} {row['structure']:10}"
        + "".join(f"{row[column]:21.3f}" for column in COLUMNS)
        + f"{row['ratio']:8.1f}"
        for row in result["rows"]
    ]
    lines += [f"{name}: {json.dumps(result[name])}" for name in ("training", "gradient", "threads", "memory")]
    took = result["record"]["seconds"]
    note = (
        f"{result['unit']}; {result['processor']}; first call {took['first_call']:.1f} s, total {took['total']:.0f} s"
    )
    return "\n".join((note, head, *lines))


if __name__ == "__main__":
    main()
