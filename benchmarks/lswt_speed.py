"""Time per wavevector of linear spin waves, energies and S_perp, against pyspinw 1.1.0b2: one thread each, in one run.

    python -m benchmarks.lswt_speed --json FILE [--quick]

The cases are the neutral ones of `../shared/peers/cases.py`. Both sides start from their own description of the
Hamiltonian (`pyspinw.Hamiltonian`, `SpinModel`), made beforehand; the clock covers everything from there to energies
and S_perp at every q. The runs alternate, and the best of several counts. Columns of ours:

- all: a `SpinWaves` made from the model, and its call without gradients (the compiled path);
- call: the call alone, for another Hamiltonian of the same model, with what does not depend on parameters kept;
- torch all, torch call: the same with gradients enabled (the differentiable path), forward only;
- gradient: the differentiable call and one backward pass.

Before anything is timed, the energies of both sides must agree.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
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
from sqwirrel.model.spin import SpinModel
from sqwirrel.model.terms import Anisotropy, Coupling
from sqwirrel.record import Record
from sqwirrel.simulate import SpinWaves

CASES = Path(__file__).parents[2] / "shared" / "peers" / "cases.py"
POINTS = {"fm_chain": 8000, "rb2mnf4": 8000, "N8": 2000, "N16": 600, "N32": 150, "tri120": 6000, "canted": 8000}
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
COLUMNS = ("pyspinw", "all", "call", "torch all", "torch call", "gradient")
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
    rows = {name: race(cases, name, quick) for name in POINTS}
    record = record.with_seconds(total=time.perf_counter() - start, first_call=compile_seconds)
    versions = {name: importlib.metadata.version(name) for name in ("pyspinw", "numba", "numpy", "torch")}
    return {
        "benchmark": "lswt_speed",
        "quick": quick,
        "unit": "microseconds per q, one thread",
        "record": {**json.loads(record.to_json()), "versions": {**record.versions, **versions}},
        "processor": processor(),
        "cases": rows,
    }


def warm_up(cases: ModuleType) -> None:
    """Loads or compiles the kernels."""
    model = our_model(cases.CASES["fm_chain"]())
    with torch.no_grad():
        SpinWaves(model, torch.rand(4, 3, dtype=torch.float64))(parameters(model))


def race(cases: ModuleType, name: str, quick: bool) -> dict[str, Any]:
    """Microseconds per q of every column for one case, best of several alternating runs."""
    case = cases.CASES[name]()
    q = cases.q_random(POINTS[name] // (4 if quick else 1), seed=SEED)
    jobs, difference = contenders(case, q)
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(3 if quick else 9):
        for label, job in jobs.items():
            best[label] = min(best[label], seconds(job))
    per_q = {label: round(value / len(q) * 1e6, 4) for label, value in best.items()}
    return {"sublattices": len(case["S"]), "q": len(q), "largest_energy_difference": difference, **per_q}


def contenders(case: Case, q: NDArray[np.float64]) -> tuple[dict[str, Job], float]:
    """What is timed, by column, once the energies agree; and by how much (meV) they differ."""
    theirs, model, points = their_hamiltonian(case), our_model(case), torch.from_numpy(q)
    theta, waves = parameters(model), SpinWaves(model, points)
    leaf = theta.clone().requires_grad_()
    difference = disagreement(theirs, waves, q, theta)

    def backward() -> Tensor:
        modes = waves(leaf)
        return torch.autograd.grad((modes.intensity * modes.energy).sum(), leaf)[0]

    jobs: tuple[Job, ...] = (
        lambda: theirs._energies_and_intensities(q, use_rust=True, use_rotating=False),
        torch.no_grad()(lambda: SpinWaves(model, points, keep=False)(theta)),
        torch.no_grad()(lambda: waves(theta)),
        lambda: SpinWaves(model, points, keep=False)(leaf),
        lambda: waves(leaf),
        backward,
    )
    return dict(zip(COLUMNS, jobs, strict=True)), difference


def disagreement(theirs: Any, waves: SpinWaves, q: NDArray[np.float64], theta: Tensor) -> float:
    """Largest difference of the energies, meV; stops where it is more than `AGREEMENT`."""
    energy, _ = theirs._energies_and_intensities(q, use_rust=True, use_rotating=False)
    with torch.no_grad():
        modes = waves(theta)
    expected = np.sort(np.asarray(energy).real, axis=1)[:, ::-1]
    difference = float(np.abs(modes.energy[0].numpy() - expected).max())
    if not bool(modes.stable.all()) or difference > AGREEMENT:
        sys.exit(f"{waves.model.name}: the energies of pyspinw and ours differ by {difference:g} meV; nothing is timed")
    return difference


def our_model(case: Case) -> SpinModel:
    """The case as a `SpinModel` whose parameters scale the given exchange and anisotropy."""
    n, vectors = len(case["S"]), torch.from_numpy(case["lattvec"])
    i, j, offset, matrix = (torch.tensor(np.array(part)) for part in zip(*case["bonds"], strict=True))
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
        g=2 * torch.eye(3, dtype=torch.float64).expand(n, 3, 3),
        directions=torch.from_numpy(case["dirs"]),
        couplings=(Coupling("J", i, j, offset, matrix),),
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
    sites = [
        Site(*place, *moment, name=f"X{k}") for k, (place, moment) in enumerate(zip(case["pos"], moments, strict=True))
    ]
    exchange = [Exchange(sites[i], sites[j], n, turn.T @ J @ turn, name="J") for i, j, n, J in case["bonds"]]
    single = [SingleIon(sites[i], turn.T @ A @ turn) for i, A in case["aniso"]]
    return Hamiltonian(Structure(sites, cell), exchange, single)


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
    head = f"{'case':10}{'N':>4}{'q':>7}" + "".join(f"{column:>12}" for column in COLUMNS) + f"{'pyspinw/all':>13}"
    lines = [
        f"{name:10}{row['sublattices']:4}{row['q']:7}"
        + "".join(f"{row[column]:12.3f}" for column in COLUMNS)
        + f"{row['pyspinw'] / row['all']:13.1f}"
        for name, row in result["cases"].items()
    ]
    took = result["record"]["seconds"]
    note = (
        f"{result['unit']}; {result['processor']}; first call {took['first_call']:.1f} s, total {took['total']:.0f} s"
    )
    return "\n".join((note, head, *lines))


if __name__ == "__main__":
    main()
