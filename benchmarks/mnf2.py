"""`infer` on the measured MnF2 powder map: the answer against the published ones, and where random starts end.

    python -m benchmarks.mnf2 --json FILE [--quick]

Runs `examples/mnf2.toml`; reports parameters with intervals, the top of the band and the gap, residual deviance, failed
checks, seconds and peak memory, and how many of 20 stable prior draws that nobody selected end in the best basin.
`--quick` has fewer quadrature points, draws and starts.
"""

import argparse
import json
import resource
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sqwirrel.config import load, study
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.averages import Averages, random_starts
from sqwirrel.infer.posterior import Posterior
from sqwirrel.observe import Experiment
from sqwirrel.record import Record
from sqwirrel.simulate import SpinWaves

CONFIG = Path(__file__).parents[1] / "examples" / "mnf2.toml"
PUBLISHED = {"J1": [-0.056, -0.0575], "J2": [0.304, 0.316], "J3": [0.008], "band_top": [7.05]}
"""meV: Nikotin, Lindgard & Dietrich, J. Phys. C 2, 1168 (1969), and the facility's training script."""
QUICK = Settings(screen=32, starts=1, draws=60, rounds=2)


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="The measured MnF2 powder map.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="a smoke run under 50 s")
    options = parser.parse_args()
    if not Path(str(load(CONFIG).measurement.file)).exists():
        raise SystemExit("mnf2 needs ../shared/data/mnf2/mnf2_powder.mat, which is not here: nothing was run")
    result = run(options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(quick: bool) -> dict[str, Any]:
    """The whole study."""
    config = load(CONFIG, ["instrument.samples=16"] if quick else [])
    clock = time.perf_counter()
    this = study(config)
    averages = Averages.of(this.experiment, this.spectrum)
    settings = QUICK if quick else config.infer.build()
    posterior = infer(averages, this.prior, this.spectrum, settings)
    seconds = time.perf_counter() - clock
    ends = random_starts(averages.rough(this.prior, this.spectrum), starts=3 if quick else 20, seed=7)
    return {
        "benchmark": "mnf2",
        "quick": quick,
        "parameters": [asdict(row) for row in posterior.summary()],
        "published": PUBLISHED,
        "band_top": band(this.experiment, posterior, (0.5, 0.5, 0.5)),
        "gap": band(this.experiment, posterior, (1.0, 0.0, 0.0)),
        "checks": [asdict(check) for check in posterior.checks],
        "random_starts": [{"starts": o.starts, "log_posterior": o.log_posterior} for o in ends],
        "seconds": seconds,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "record": json.loads(Record.start(seeds={"starts": 7}, files=[CONFIG]).to_json()),
    }


def band(experiment: Experiment, posterior: Posterior, q: tuple[float, float, float]) -> dict[str, float]:
    """Energy (meV) of the highest mode at `q`: median and 68 % interval over the posterior."""
    draws = posterior.sample(400, seed=1)
    theta = draws[:, [posterior.names.index(name) for name in experiment.model.names]]
    with torch.no_grad():
        energy = SpinWaves(experiment.model, torch.tensor([q], dtype=torch.float64))(theta).energy[:, 0, 0]
    low, median, high = energy.quantile(torch.tensor([0.16, 0.5, 0.84], dtype=torch.float64)).tolist()
    return {"median": median, "low": low, "high": high}


if __name__ == "__main__":
    main()
