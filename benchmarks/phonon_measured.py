"""Force constants of aluminium from measured powder maps, beside the published ones of single crystals.

    python -m benchmarks.phonon_measured --json FILE [--quick] [--sets al_5k al_300k]

Direct fits: springs to second neighbours, width in energy and |Q|, scale and sloped background, of one-phonon coherent
scattering. Reported: the answer; the mean distance of the branches along G-X, X-G through (1, 1, 0) and G-L from those
of published force constants (Cowley 1974 at 80 K, Gilat and Nicklow 1966 at 300 K), in meV and in per cent of the mean
energy; how many path points have the published branch in their 90 % band, as it is and widened by the misfit; failed
checks. Multiphonon scattering is not modelled. `--quick` has fewer bins, points and draws.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.config.build import study
from sqwirrel.config.sections import Config
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.record import Record
from sqwirrel.simulate.phonon.phonons import Phonons

DATA = Path(__file__).parents[2] / "shared" / "data" / "al_si"
SETS = {
    "al_5k": {
        "file": "aluminium_Ei60.nxspe",
        "temperature": 5.0,
        "cell": 4.0321,
        "energy": [6.0, 46.0],
        "is": "al_80k",
    },
    "al_300k": {"file": "Al-iqe.h5", "temperature": 300.0, "cell": 4.0496, "energy": [6.0, 46.0], "is": "al_300k"},
}
"""Cells, A, at these temperatures: what is measured, and whose branches it is compared with."""
PRIOR = {"K1xx": [5.0, 16.0], "K1xy": [5.0, 16.0], "K1zz": [-6.0, 3.0], "K2xx": [-1.0, 6.0], "K2yy": [-3.0, 3.0]}
"""N/m."""
LINES = (((0, 0, 0), (1, 0, 0)), ((1, 1, 0), (0, 0, 0)), ((0, 0, 0), (0.5, 0.5, 0.5)))
POINTS, DRAWS = 41, 400
SETTINGS, QUICK = Settings(), Settings(screen=16, starts=2, draws=64, rounds=1)


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Measured powder maps of aluminium.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few bins, points and draws")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("phonon_measured needs ../shared/data/al_si, which is not here: nothing was run")
    record = Record.start(seeds={"infer": SETTINGS.seed})
    sets = {name: fitted(SETS[name], quick=options.quick) for name in options.sets[: 1 if options.quick else None]}
    result = {"benchmark": "phonon_measured", "quick": options.quick, "sets": sets}
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps({**result, "record": json.loads(record.to_json())}, indent=1) + "\n")


def fitted(case: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """A direct fit of one map, and what it says of the branches."""
    clock = time.perf_counter()
    work = study(Config.model_validate(asked(case, quick=quick)))
    posterior = infer(work.simulator, work.prior, work.data, QUICK if quick else SETTINGS)
    seconds = time.perf_counter() - clock
    model, published = work.experiment.model, library.load(case["is"])
    assert isinstance(model, PhononModel)
    return {
        "method": "direct fit",
        "bins": int(work.spectrum.valid.sum()),
        "seconds": seconds,
        "answer": {row.name: [row.median, *row.interval95] for row in posterior.summary()},
        "published": {name: published.defaults[name] for name in PRIOR},
        "deviance_per_bin": posterior.deviance_per_bin,
        "failed": [check.name for check in posterior.checks if not check.passed],
        **compared(posterior, model, published),
    }


def asked(case: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """The config of a case."""
    crystal = {
        "cell": [case["cell"]] * 3 + [90, 90, 90],
        "spacegroup": 225,
        "sites": [{"label": "Al", "position": [0, 0, 0]}],
    }
    return {
        "model": {"name": "aluminium", "crystal": crystal, "springs": {"max_distance": 1.04 * case["cell"]}},
        "prior": {name: {"uniform": ends} for name, ends in PRIOR.items()},
        "measurement": {
            "file": str(DATA / case["file"]),
            "temperature": case["temperature"],
            "energy": case["energy"],
            "rebin": {"q": 6, "energy": 6} if quick else {"q": 2, "energy": 2},
        },
        "instrument": {
            "samples": 4 if quick else 32,
            "resolution": {"kind": "gaussian"},
            "background": {"kind": "sloped"},
        },
    }


def compared(posterior: Posterior, model: PhononModel, published: PhononModel) -> dict[str, float]:
    """Branches of draws beside those of published force constants."""
    q = torch.cat([_line(*ends) for ends in LINES])
    pick = torch.multinomial(
        posterior.log_weight.exp(), DRAWS, replacement=True, generator=torch.Generator().manual_seed(1)
    )
    theta = posterior.draws[pick][:, [posterior.names.index(name) for name in model.names]]
    found = {"": theta, "_widened": _widened(theta, posterior, model)}
    exact = Phonons(published, q).energies(published.pack())[0]
    middle = Phonons(model, q).energies(theta).quantile(0.5, dim=0)
    error = float((middle - exact).abs().mean())
    result = {"dispersion_error_meV": error, "dispersion_error_percent": 100 * error / float(exact.mean())}
    for name, draws in found.items():
        low, high = Phonons(model, q).energies(draws).quantile(torch.tensor([0.05, 0.95]).double(), dim=0)
        result[f"band_coverage{name}"] = float(((exact >= low) & (exact <= high)).double().mean())
    return result


def _widened(theta: Tensor, posterior: Posterior, model: PhononModel) -> Float[Tensor, "draw parameter"]:
    """Draws further from their median by what the misfit makes each parameter uncertain."""
    by = {row.name: max(1.0, row.widening) for row in posterior.summary()}
    middle = theta.quantile(0.5, dim=0)
    return middle + (theta - middle) * torch.tensor([by[name] for name in model.names], dtype=theta.dtype)


def _line(start: tuple[float, ...], stop: tuple[float, ...]) -> Float[Tensor, "q 3"]:
    a, b = (torch.tensor(each, dtype=torch.float64) for each in (start, stop))
    return torch.lerp(a, b, torch.linspace(0.02, 1, POINTS, dtype=torch.float64)[:, None])


if __name__ == "__main__":
    main()
