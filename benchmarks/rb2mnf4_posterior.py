"""Posteriors of Rb2MnF4-like spectra at the physical limit: network, likelihood, calibration, beside a plain network.

    python -m benchmarks.rb2mnf4_posterior --json FILE [--quick] [--integrated] [--folder DIR] [--spectra 1000]

J1, J2, D and four nuisances (width, scale, background and its slope) from a 64 x 64 map along (h, 1/2, 0), counts as
Poisson. A flow is trained on simulations only; its draws are where `infer` looks. Reported on held-out simulations that
nothing was tuned on: errors over the Cramer-Rao limit (rho, R), coverage, right basins, effective draws, seconds; the
same for draws of the flow alone, of an ensemble, and errors of a regressor without uncertainty; and the answer for a
measurement simulated at the literature's J1 = 0.657, J2 = 0.006, where a published network found 0.676, 0.014.

That network, a plain CNN, saw a map of (Qh, Qk) integrated over energy. One of its kind is trained here on such maps
(h and k from 0 to 1, 40 x 40 pixels, 1 to 8 meV, counted as if the 56 bins of 1/8 meV in the window were added) and
judged by the limit of those maps, which is another than that of the map above: an integral knows J1 by its lower edge
only. The published network saw a measurement; ours sees simulations of the same law that it was trained on.

Simulations, weights and finished trials are kept in DIR and not made again.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from sqwirrel.infer import Settings, infer
from sqwirrel.infer.calibration import Calibration, check
from sqwirrel.infer.calibration.trials import LEVELS
from sqwirrel.learn.cnn import CNN
from sqwirrel.learn.npe import NPE, Ensemble, Regressor
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.proposal import Proposal
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.model.prior import Prior
from sqwirrel.observe import (
    ConstantBackground,
    Experiment,
    GaussianResolution,
    Instrument,
    Poisson,
    SlopedBackground,
)
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QGrid, QPath

PRIOR = {
    "J1": {"uniform": [0.3, 1.0]},
    "J2": {"uniform": [-0.1, 0.1]},
    "D": {"uniform": [-0.05, 0.0]},
    "fwhm": {"uniform": [0.2, 0.8]},
    "scale": {"loguniform": [10.0, 1000.0]},
    "background": {"uniform": [0.1, 2.0]},
    "background_slope": {"uniform": [-0.02, 0.02]},
}
LITERATURE = {"J1": 0.657, "J2": 0.006, "D": -0.00615, "fwhm": 0.4, "scale": 200.0, "background": 0.5}
"""meV: R. A. Cowley et al., Phys. Rev. B 15, 4292 (1977); the nuisances are ours."""
PUBLISHED_NETWORK = {"J1": 0.676, "J2": 0.014}
WINDOW, ADDED = (1.0, 8.0), 56
"""Energies (meV) that the map of the plain network is integrated over, and the bins of 1/8 meV in it."""
MAPS = 100
"""At most so many integrated maps are judged (limits take a second each), and so many spectra without a network."""
HELD_OUT = 20261153
"""Seed of the spectra that are judged. Five seeds before were looked at, and showed that proposals had too light tails
(20261121), that weights failed for one spectrum in nine (20261122), and that three spectra at the edge of the prior
were far from right (20261128), and, without a network, that one search in a hundred stayed at an end of the prior
(20261134); 20261133, 20261136 and 20261144 served for results before, and 20261149
for one that showed that proposals miss the corners of thin valleys (`docs/decisions/2026-11-22-proposals-in-a-box.md`).
"""
SETTINGS = Settings(screen=64, starts=4, draws=600, rounds=2)
QUICK = {"rows": 256, "steps": 30, "spectra": 3, "members": 1, "pixels": 8}
FULL = {"rows": 8000, "steps": 2400, "members": 2, "pixels": 40}


def main() -> None:
    """Runs the benchmark, prints the table, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Calibrated posteriors of Rb2MnF4-like spectra.")
    parser.add_argument("--integrated", action="store_true", help="only the plain network on integrated maps")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few simulations, steps and spectra")
    parser.add_argument("--folder", type=Path, help="where simulations, weights and trials are kept")
    parser.add_argument("--spectra", type=int, default=1000)
    options = parser.parse_args()
    sizes = QUICK if options.quick else {**FULL, "spectra": options.spectra}
    with tempfile.TemporaryDirectory() as empty:
        work = run_integrated if options.integrated else run
        result = work(options.folder or Path(empty), sizes, options.quick)
    print(result.pop("table", ""))
    print(json.dumps({key: value for key, value in result.items() if key not in ("record", "methods")}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(folder: Path, sizes: dict[str, int], quick: bool) -> dict[str, Any]:
    """The whole study."""
    record = Record.start(seeds={"held out": HELD_OUT})
    experiment, prior = simulator(), Prior.from_mapping(PRIOR)
    pairs = Pairs(simulations(experiment, prior, sizes["rows"], seed=1, folder=folder / "simulations", progress=tell))
    effort = effort_of(sizes)
    flows, minutes = [], []
    for k in range(sizes["members"]):
        flows.append(NPE.sized_for(pairs, seed=k))
        minutes.append(train(flows[k], pairs, effort, folder / f"flow-{k}", tell).seconds / 60)
    regressor = Regressor.sized_for(pairs)
    regressed = train(regressor, pairs, effort, folder / "regressor", tell).seconds / 60
    proposal = Proposal.of(flows[0], pairs)
    calibration = check(
        experiment, prior, sizes["spectra"], HELD_OUT, SETTINGS, proposal=proposal, folder=folder, progress=tell
    )
    found = calibration.mapping()
    del found["trials"]
    return {
        "benchmark": "rb2mnf4_posterior",
        "quick": quick,
        **found,
        "wrong_basin": 1 - found["right_basin"],
        "simulations": len(pairs.simulations),
        "training_minutes": minutes[0],
        "methods": alone(calibration, pairs, {"flow": flows[0], "ensemble": Ensemble(flows)}, regressor),
        "regressor_minutes": regressed,
        "from_prior": from_prior(experiment, prior, sizes["spectra"], folder),
        "literature": literature(experiment, prior, proposal),
        "integrated": integrated(folder, sizes),
        "settings": asdict(SETTINGS),
        "table": str(calibration),
        "record": json.loads(record.to_json()),
    }


def run_integrated(folder: Path, sizes: dict[str, int], quick: bool) -> dict[str, Any]:
    """The plain network alone."""
    record, found = Record.start(seeds={"held out": HELD_OUT}), integrated(folder, sizes)
    return {"benchmark": "rb2mnf4_integrated", "quick": quick, **found, "record": json.loads(record.to_json())}


def effort_of(sizes: dict[str, int]) -> Effort:
    """The same for every network."""
    return Effort(steps=sizes["steps"], every=max(1, sizes["steps"] // 24), seed=1)


def simulator() -> Experiment:
    """A map along (h, 1/2, 0) from zone centre to zone centre, 0 to 8 meV at 5 K."""
    model = library.load("rb2mnf4")
    q = torch.zeros(64, 3, dtype=torch.float64)
    q[:, 0], q[:, 1] = torch.linspace(0, 1, 64), 0.5
    measurement = Measurement(QPath(model.lattice, q, torch.zeros(3, 3)), torch.linspace(0, 8, 65), 5.0)
    return Experiment(model, measurement, Instrument(GaussianResolution(), SlopedBackground(), Poisson()))


def from_prior(experiment: Experiment, prior: Prior, spectra: int, folder: Path) -> dict[str, Any]:
    """The first of the same spectra without a network: draws of the prior say where to look."""
    how = replace(SETTINGS, screen=256)
    found = check(experiment, prior, min(spectra, MAPS), HELD_OUT, how, folder=folder / "from-prior", progress=tell)
    return {name: found.mapping()[name] for name in ("n", "rho", "R", "coverage", "right_basin", "ess", "seconds")}


def alone(
    calibration: Calibration, pairs: Pairs, flows: dict[str, NPE | Ensemble], regressor: Regressor
) -> dict[str, Any]:
    """What the networks make of the same parameters without the likelihood, with noise of their own."""
    truth = torch.tensor([trial.truth for trial in calibration.trials], dtype=torch.float64)
    limit = torch.tensor([trial.limit for trial in calibration.trials], dtype=torch.float64)
    experiment, prior = pairs.simulations.experiment, pairs.prior
    x = torch.cat([pairs.see(experiment.sample(row[None], seed=k).intensity[None]) for k, row in enumerate(truth)])
    found = {}
    for name, flow in flows.items():
        z = torch.cat([flow.sample(part, 400, k) for k, part in enumerate(x.split(64))]).double()
        theta = prior.constrain(z.flatten(0, 1)).reshape(z.shape)
        rank = (theta < truth[:, None]).double().mean(1)
        found[name] = {
            "rho": rho(theta.median(1).values - truth, limit),
            "coverage": {f"{100 * q:g}": ((rank - 0.5).abs() <= q / 2).double().mean(0).tolist() for q in LEVELS},
        }
    with torch.no_grad():
        mean = torch.cat([regressor(part) for part in x.split(64)]).double()
    found["regressor"] = {"rho": rho(prior.constrain(mean) - truth, limit)}
    return found


def rho(error: torch.Tensor, limit: torch.Tensor) -> list[float]:
    """Root mean square of errors over their limits."""
    ratio: list[float] = ((error / limit) ** 2).mean(0).sqrt().tolist()
    return ratio


def literature(experiment: Experiment, prior: Prior, proposal: Proposal) -> dict[str, Any]:
    """The answer where the literature is right."""
    theta = experiment.pack(**LITERATURE, background_slope=0.0)
    posterior = infer(experiment, prior, experiment.sample(theta, seed=HELD_OUT), SETTINGS, proposal=proposal)
    rows = {row.name: {"median": row.median, "interval68": row.interval68} for row in posterior.summary()}
    return {"truth": LITERATURE, "published_network": PUBLISHED_NETWORK, "found": rows, "seconds": posterior.seconds}


def integrated(folder: Path, sizes: dict[str, int]) -> dict[str, Any]:
    """A plain CNN on maps integrated over energy: errors over their limit, the answer at the literature's values."""
    experiment, prior = integrated_map(sizes["pixels"]), Prior.from_mapping(integrated_prior())
    pairs = Pairs(simulations(experiment, prior, sizes["rows"], seed=1, folder=folder / "integrated", progress=tell))
    network = CNN.sized_for(pairs)
    minutes = train(network, pairs, effort_of(sizes), folder / "cnn", tell).seconds / 60
    n = min(MAPS, sizes["spectra"])
    held = Pairs(simulations(experiment, prior, n, seed=HELD_OUT).part(slice(n)))
    batch = held.noisy(torch.arange(n), stream(HELD_OUT, "integrated"))
    truth = prior.constrain(batch.z.double())
    limit = limits(experiment, prior, truth)
    error = answers(network, prior, batch.x) - truth
    return {
        "n": n,
        "simulations": len(pairs.simulations),
        "names": list(prior.names),
        "rho": rho(error, limit),
        "rmse": (error**2).mean(0).sqrt().tolist(),
        "limit": (limit**2).mean(0).sqrt().tolist(),
        "median_error_over_limit": (error.abs() / limit).median(0).values.tolist(),
        "prior_sd": prior.sd.tolist(),
        "minutes": minutes,
        "weights": sum(each.numel() for each in network.parameters()),
        "literature": integrated_literature(experiment, pairs, network),
    }


def integrated_map(pixels: int) -> Experiment:
    """(h, k, 0) from 0 to 1, one window of energy above the elastic line."""
    model = library.load("rb2mnf4")
    edges = torch.linspace(0, 1, pixels + 1)
    grid = QGrid(model.lattice, torch.eye(3), [edges, edges, [-0.1, 0.1]])
    instrument = Instrument(GaussianResolution(), ConstantBackground(), Poisson())
    return Experiment(model, Measurement(grid, WINDOW, 5.0), instrument)


def integrated_prior() -> dict[str, Any]:
    """The prior for the sum of the bins; a slope is a constant there."""
    added = {name: [ADDED * x for x in next(iter(PRIOR[name].values()))] for name in ("scale", "background")}
    kept = {name: entry for name, entry in PRIOR.items() if name != "background_slope"}
    return {**kept, "scale": {"loguniform": added["scale"]}, "background": {"uniform": added["background"]}}


def integrated_literature(experiment: Experiment, pairs: Pairs, network: CNN) -> dict[str, Any]:
    """What the network, and the likelihood, make of a map simulated with the literature's values."""
    added = {name: ADDED * LITERATURE[name] for name in ("scale", "background")}
    theta = experiment.pack(**{**LITERATURE, **added})
    spectrum = experiment.sample(theta, seed=HELD_OUT)
    found = answers(network, pairs.prior, pairs.see(spectrum.intensity[None]))[0]
    columns = [experiment.names.index(name) for name in pairs.prior.names]
    posterior = infer(experiment, pairs.prior, spectrum, SETTINGS)
    limit = limits(experiment, pairs.prior, theta[:, columns])
    return {
        "truth": {**LITERATURE, **added},
        "cnn": dict(zip(pairs.prior.names, found.tolist(), strict=True)),
        "published_network": PUBLISHED_NETWORK,
        "limit": dict(zip(pairs.prior.names, limit[0].tolist(), strict=True)),
        "infer": {row.name: {"median": row.median, "interval68": row.interval68} for row in posterior.summary()},
        "infer_seconds": posterior.seconds,
    }


def answers(network: CNN, prior: Prior, x: torch.Tensor) -> torch.Tensor:
    """Parameters that a network without uncertainty gives."""
    with torch.no_grad():
        return prior.constrain(torch.cat([network(part) for part in x.split(64)]).double())


def limits(experiment: Experiment, prior: Prior, truth: torch.Tensor) -> torch.Tensor:
    """Cramer-Rao limits of counts with the width of the prior, for rows of parameters in the order of the experiment.

    The width alone is left where the energies of all modes are inside the window, which then says nothing of it.
    """
    found = []
    for rows in truth.split(16):
        mu, slope, _ = experiment.linearise(rows)
        J = prior.sd[:, None] * slope.flatten(2)
        information = (J / mu.flatten(1)[:, None]) @ J.mT + torch.eye(len(prior.sd), dtype=J.dtype)
        found.append(torch.linalg.inv(information).diagonal(dim1=-2, dim2=-1).sqrt() * prior.sd)
    return torch.cat(found)


def tell(done: int, total: int, *loss: float) -> None:
    """Progress, on the error stream."""
    if done == total or done % max(1, total // 20) == 0:
        print(time.strftime("%H:%M:%S"), f"{done}/{total}", *loss, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
