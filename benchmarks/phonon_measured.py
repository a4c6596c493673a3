"""Force constants of aluminium and silicon from measured powder maps, beside published ones, by three methods.

    python -m benchmarks.phonon_measured --json FILE [--quick] [--sets al_5k al_5k_far ...]

Methods: a direct fit; a network alone (a normalising flow, trained on simulations of the same map); the network, then
the likelihood; sets that are not in `LEARNT` have a direct fit alone. Springs reach second neighbours, or, *far*,
8.1 A with priors that springs of other elements suggest. *simulated* maps have the bins and errors of
the measured one, but intensities of published force constants with the instrument that fits them best, and noise. All
with coherent one-phonon and multiphonon scattering, multiple scattering, a width that is linear in energy, width in
|Q|, scale, sloped background; and an offset of all energies between none and what the centre of gravity of the elastic
line (within 5 meV) says; for ARCS a response along |Q| of sixth order.

Reported: the answer; the mean distance of the branches along G-X, X-G through (1, 1, 0) and G-L from those of published
force constants (Al: Cowley 1974 at 80 K, Gilat and Nicklow 1966 at 300 K; Si: first principles), in meV and in per cent
of the mean energy; the same over the whole zone (the classical fit has 0.46 meV, called 1.8 %, and 0.67 meV, called
2.7 %: of 25.6 and 24.8 meV. The mean over the zone is 25.8 and 25.3, along the path 19, so that its distances seem to
be over the zone; which wavevectors it counts is not known here); the least distance along the path that springs so far
can have, fitted to the branches themselves; how many path points have the published branch in their 90 % band, as it is
and, where there is a misfit, widened by it, and with what springs that end there are off by in other metals; failed
checks; seconds; the deviance with published force constants held;
and for silicon the mean distance from energies of a single crystal at the zone centre, X and L (`CORNERS`), and how
many of them are in the bands. Silicon has the phonons of its aluminium can beside it, in `no_can` it has not; *far* are
its springs to fifth neighbours with normal priors.

`--quick` is a direct fit with fewer bins, points and draws.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel import Spectrum, read
from sqwirrel.config.build import Study, study
from sqwirrel.config.sections import Config
from sqwirrel.config.verbs.learning import proposal_of, train_into
from sqwirrel.config.verbs.looking.line import elastic_line
from sqwirrel.infer import Posterior, Settings, infer
from sqwirrel.learn.proposal import Proposal
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.parse import parse
from sqwirrel.record import Record
from sqwirrel.seeds import spread
from sqwirrel.simulate.phonon.ended import astray, holding
from sqwirrel.simulate.phonon.phonons import Phonons

DATA = Path(__file__).parents[2] / "shared" / "data" / "al_si"
DFT = DATA / "Si-prim-555.json"
FIRST = {"K1xx": [5.0, 16.0], "K1xy": [5.0, 16.0], "K1zz": [-6.0, 3.0]}
NEAR = {name: {"uniform": ends} for name, ends in {**FIRST, "K2xx": [-1.0, 6.0], "K2yy": [-3.0, 3.0]}.items()}
"""N/m."""
SEEN = {
    "fwhm_0": {"uniform": [0.2, 8.0]},
    "fwhm_1": {"uniform": [-0.15, 0.15]},
    "fwhm_q": {"uniform": [0.03, 0.6]},
    "multiple": {"uniform": [0.0, 0.4]},
    "scale": {"loguniform": [0.2, 5.0]},
    "background": {"uniform": [0.0, 0.3]},
    "background_slope": {"uniform": [-0.01, 0.01]},
}
"""Of the instrument, for data in units that are nearly absolute: with the wide ranges that are read off the data (six
decades of scale) a network of this size and training learns nothing.
"""
SILICON = {
    **{"K1xx": [30.0, 70.0], "K1xy": [20.0, 60.0]},
    **{"K2xx": [-5.0, 10.0], "K2xy": [-5.0, 10.0], "K2xz": [-8.0, 5.0], "K2zz": [-15.0, 5.0]},
}
CAN = {"background": {"uniform": [0.0, 0.4]}, "background_can": {"uniform": [0.0, 2.0]}}
FIFTH = {f"K{shell}*": {"normal": [0.0, 0.5]} for shell in (3, 4, 5)}
"""N/m: about 1 % of the largest. 2 N/m was tried, too: branches were further off."""
AL_5K = {
    "file": "aluminium_Ei60.nxspe",
    "temperature": 5.0,
    "cell": 4.0321,
    "spacegroup": 225,
    "element": "Al",
    "energy": [6.0, 46.0],
    "is": "al_80k",
    "springs": {"max_distance": 4.2},
    "prior": {**NEAR, **SEEN},
}
FAR = {"thorough": True, "springs": {"max_distance": 4.2, "far": 8.1, "stiffest": 12.0, "like": "fcc"}}
AL_300K = {"file": "Al-iqe.h5", "temperature": 300.0, "cell": 4.0496, "is": "al_300k", "instrument": {"q_response": 6}}
SI_300K = {
    "file": "silicon_Ei80_300K.nxspe",
    "temperature": 300.0,
    "cell": 5.431,
    "spacegroup": 227,
    "site": 0.125,
    "element": "Si",
    "energy": [8.0, 66.0],
    "trim": 4,
    "is": {"force_constants": str(DFT), "sum_rule": True},
    "springs": {"max_distance": 4.0},
    "prior": {**{name: {"uniform": ends} for name, ends in SILICON.items()}, **SEEN, **CAN},
    "instrument": {"background": {"kind": "can", "model": "al_300k", "fwhm": 3.0, "beside": "sloped"}},
}
"""The outermost detectors see less than their neighbours, and the sample is in a can: its elastic line has the Bragg
lines of aluminium.
"""
SETS: dict[str, dict[str, Any]] = {
    "al_5k": AL_5K,
    "al_5k_far": {**AL_5K, **FAR},
    "al_5k_simulated": {**AL_5K, "simulated": True},
    "al_5k_far_simulated": {**AL_5K, **FAR, "simulated": True},
    "al_300k": {**AL_5K, **AL_300K},
    "si_300k": SI_300K,
    "si_300k_far": {
        **SI_300K,
        "springs": {"max_distance": 6.0},
        "prior": {**SI_300K["prior"], **FIFTH},
        "thorough": True,
    },
    "si_300k_no_can": {
        **SI_300K,
        "prior": {name: law for name, law in SI_300K["prior"].items() if name != "background_can"},
        "instrument": {},
    },
    "si_300k_dft": {
        **SI_300K,
        "model": SI_300K["is"],
        "prior": {"stiffness": {"uniform": [0.7, 1.3]}, **SEEN, **CAN},
    },
}
"""Cells, A, at these temperatures: what is measured, and whose branches it is compared with."""
PRIMITIVE = torch.tensor([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]], dtype=torch.float64)
LINES = (((0, 0, 0), (1, 0, 0)), ((1, 1, 0), (0, 0, 0)), ((0, 0, 0), (0.5, 0.5, 0.5)))
POINTS, ZONE, BLOCK, DRAWS, ELASTIC = 41, 4096, 512, 400, 5.0
SETTINGS, QUICK = Settings(screen=128, starts=4), Settings(screen=16, starts=2, draws=64, rounds=1)
THOROUGH = replace(SETTINGS, draws=2000, rounds=4)
"""For thirty parameters and more."""
TRAIN = {"simulations": 4000, "steps": 2000}
LEARNT = ("al_5k", "al_300k", "si_300k", "si_300k_far")
"""Sets that a network is trained for."""
THZ = 4.135667696
CORNERS = {
    (0.0, 0.0, 0.0): (0.0, 0.0, 0.0, 15.53, 15.53, 15.53),
    (1.0, 0.0, 0.0): (4.49, 4.49, 12.32, 12.32, 13.90, 13.90),
    (0.5, 0.5, 0.5): (3.43, 3.43, 11.35, 12.60, 14.68, 14.68),
}
"""Silicon at 300 K, THz: G. Nilsson and G. Nelin, Phys. Rev. B 6, 3777 (1972); G. Dolling, Inelastic Scattering of
Neutrons in Solids and Liquids II, IAEA (1963), p. 37."""


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Measured powder maps of aluminium and silicon.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few bins, points and draws; no network")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--folder", type=Path, help="keeps simulations and networks there, and finished sets")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("phonon_measured needs ../shared/data/al_si, which is not here: nothing was run")
    record = Record.start(seeds={"infer": SETTINGS.seed, "train": 1})
    folder = options.folder or Path(tempfile.mkdtemp(prefix="phonon_measured-"))
    names = options.sets[:1] if options.quick else options.sets
    sets = {name: kept(folder / name, SETS[name], quick=options.quick) for name in names}
    result = {"benchmark": "phonon_measured", "quick": options.quick, "sets": sets}
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps({**result, "record": json.loads(record.to_json())}, indent=1) + "\n")


def kept(folder: Path, case: Mapping[str, Any], *, quick: bool) -> dict[str, Any]:
    """What was found for a set, from its folder if it is there."""
    file = folder / f"{'quick' if quick else 'found'}.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(
            json.dumps(
                answered(folder / "network", case, quick=quick, networks=not quick and folder.name in LEARNT),
                indent=1,
            )
        )
        print(folder.name, file.read_text(), flush=True)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def answered(folder: Path, case: Mapping[str, Any], *, quick: bool, networks: bool) -> dict[str, Any]:
    """One map by all methods."""
    config, truth = asked(case, quick=quick), published(case)
    settings = QUICK if quick else THOROUGH if case.get("thorough") else SETTINGS
    data, told = held(config, case["is"], truth, QUICK if quick else SETTINGS)
    data = data if case.get("simulated") else None
    work = study(Config.model_validate(config), data)
    model = work.experiment.model
    assert isinstance(model, PhononModel)
    q = torch.cat([_line(*ends) for ends in LINES])
    found: dict[str, Any] = {
        "bins": int(work.spectrum.valid.sum()),
        "published": {name: truth.defaults[name] for name in case["prior"] if name in truth.defaults},
        "least_error_meV": closest(model, branches(truth, q), q),
        "energy_offset": config["prior"].get("energy_offset"),
        "published_held": told,
        "corners_of_published_meV": corners(truth, truth.pack()) if len(truth.positions) > 1 else None,
        "direct": fitted(work, truth, None, settings),
    }
    if not networks:
        return found
    clock = time.perf_counter()
    train_into(folder, Config.model_validate(config), lambda *_: None)
    found["train_minutes"] = (time.perf_counter() - clock) / 60
    proposal = proposal_of(study(Config.model_validate({**config, "infer": {"estimator": str(folder)}})))
    assert proposal is not None
    found["network"] = guessed(work, truth, proposal)
    found["network_and_likelihood"] = fitted(work, truth, proposal, settings)
    return found


def held(
    config: dict[str, Any], known: object, truth: PhononModel, settings: Settings
) -> tuple[Spectrum, dict[str, Any]]:
    """A simulated map of published force constants with the instrument that fits the measured one; how well it does."""
    prior = {name: law for name, law in config["prior"].items() if name in {**SEEN, **CAN, "energy_offset": None}}
    fixed = {name: {"fixed": value} for name, value in truth.defaults.items()}
    work = study(Config.model_validate({**config, "model": known, "prior": {**prior, **fixed}}))
    posterior = infer(work.simulator, work.prior, work.data, settings)
    best = {row.name: row.median for row in posterior.summary()}
    theta = work.experiment.pack(**{**truth.defaults, **best})
    return work.experiment.sample(theta, 1, work.spectrum), {"deviance_per_bin": posterior.deviance_per_bin, **best}


def fitted(work: Study, truth: PhononModel, proposal: Proposal | None, settings: Settings) -> dict[str, Any]:
    """A fit of one map, and what it says of the branches."""
    clock = time.perf_counter()
    posterior = infer(work.simulator, work.prior, work.data, settings, proposal=proposal)
    seconds = time.perf_counter() - clock
    model = work.experiment.model
    assert isinstance(model, PhononModel)
    pick = torch.multinomial(
        posterior.log_weight.exp(), DRAWS, replacement=True, generator=torch.Generator().manual_seed(1)
    )
    theta = posterior.draws[pick][:, [posterior.names.index(name) for name in model.names]]
    return {
        "seconds": seconds,
        "answer": {row.name: [row.median, *row.interval95] for row in posterior.summary()},
        "deviance_per_bin": posterior.deviance_per_bin,
        "failed": [check.name for check in posterior.checks if not check.passed],
        **compared({"": theta, **_widened(theta, posterior, model)}, model, truth),
    }


def guessed(work: Study, truth: PhononModel, proposal: Proposal) -> dict[str, Any]:
    """What the network alone says."""
    clock = time.perf_counter()
    draws = proposal.draws(work.data, DRAWS, 1)
    seconds = time.perf_counter() - clock
    model, names = work.experiment.model, proposal.pairs.prior.names
    assert isinstance(model, PhononModel)
    theta = draws[:, [names.index(name) for name in model.names]]
    quantiles = draws.quantile(torch.tensor([0.5, 0.025, 0.975]).double(), dim=0).T.tolist()
    return {
        "seconds": seconds,
        "answer": dict(zip(names, quantiles, strict=True)),
        "likelier": proposal.likelier(work.data),
        **compared({"": theta}, model, truth),
    }


def asked(case: Mapping[str, Any], *, quick: bool) -> dict[str, Any]:
    """The config of a case."""
    crystal = {
        "cell": [case["cell"]] * 3 + [90, 90, 90],
        "spacegroup": case["spacegroup"],
        "sites": [{"label": case["element"], "position": [case.get("site", 0)] * 3}],
    }
    line = elastic_line(read(DATA / case["file"]), ELASTIC)
    assert line is not None
    return {
        "model": case.get("model", {"name": case["element"], "crystal": crystal, "springs": case["springs"]}),
        "prior": {**case["prior"], "energy_offset": {"uniform": sorted((0.0, line.centre))}},
        "measurement": {
            "file": str(DATA / case["file"]),
            "temperature": case["temperature"],
            "energy": case["energy"],
            "rebin": {"q": 8, "energy": 6} if quick else {"q": 4 if "nxspe" in case["file"] else 2, "energy": 2},
            "trim": case.get("trim", 0),
        },
        "instrument": {
            "samples": 8 if quick else 64,
            "resolution": {"kind": "polynomial", "order": 1, "offset": True},
            "background": {"kind": "sloped"},
            "multiple_scattering": True,
            **case.get("instrument", {}),
        },
        "train": TRAIN,
    }


def published(case: Mapping[str, Any]) -> PhononModel:
    """What the branches are compared with."""
    known = case["is"]
    return library.load(known) if isinstance(known, str) else parse(known)


def branches(model: PhononModel, q: Float[Tensor, "q 3"]) -> Float[Tensor, "q branch"]:
    """Energies of a model with its published parameters, q in units of the cubic cell."""
    return Phonons(model, _axes(model, q)).energies(model.pack())[0]


def compared(draws: Mapping[str, Tensor], model: PhononModel, truth: PhononModel) -> dict[str, float]:
    """Branches of draws beside those of published force constants."""
    q = torch.cat([_line(*ends) for ends in LINES])
    exact, seen = branches(truth, q), _axes(model, q)
    middle = _median(model, q, draws[""])
    error = float((middle - exact).abs().mean())
    found = {"dispersion_error_meV": error, "dispersion_error_percent": 100 * error / float(exact.mean())}
    found["mean_shift_meV"] = float((middle - exact).mean())
    everywhere = 2 * spread(ZONE, 3, 1, 1, "zone")[0]
    known = branches(truth, everywhere)
    middle = torch.cat([_median(model, part, draws[""]) for part in everywhere.split(BLOCK)])
    away = (middle - known).abs()
    found |= {"zone_error_meV": float(away.mean()), "zone_error_percent": 100 * float(away.mean() / known.mean())}
    for name, theta in draws.items():
        low, high = Phonons(model, seen).energies(theta).quantile(torch.tensor([0.05, 0.95]).double(), dim=0)
        found[f"band_coverage{name}"] = float(((exact >= low) & (exact <= high)).double().mean())
    if (share := astray(model)) is not None:
        levels = Phonons(model, seen).energies(draws[""]).quantile(torch.tensor([0.05, 0.5, 0.95]).double(), dim=0)
        low, high = holding(levels[1], levels[::2], share)
        held = (exact >= low) & (exact <= high)
        found |= {"astray": share, "band_coverage_ended": float(held.double().mean())}
    if len(model.positions) > 1:
        found |= {"corners_meV": corners(model, draws[""]), "corners_held": corners_held(model, draws[""])}
    return found


def _median(model: PhononModel, q: Float[Tensor, "q 3"], theta: Tensor) -> Float[Tensor, "q branch"]:
    """Of the energies over draws."""
    return Phonons(model, _axes(model, q)).energies(theta).quantile(0.5, dim=0)


def corners(model: PhononModel, theta: Float[Tensor, "draw parameter"]) -> float:
    """Mean distance of medians from energies of a crystal of silicon (`CORNERS`), meV."""
    found, exact = _at_corners(model, theta)
    return float((found.quantile(0.5, dim=0) - exact).abs().mean())


def corners_held(model: PhononModel, theta: Float[Tensor, "draw parameter"]) -> float:
    """How many of these energies are in the 90 % bands."""
    found, exact = _at_corners(model, theta)
    low, high = found.quantile(torch.tensor([0.05, 0.95]).double(), dim=0)
    return float(((exact >= low) & (exact <= high)).double().mean())


def _at_corners(
    model: PhononModel, theta: Float[Tensor, "draw parameter"]
) -> tuple[Float[Tensor, "draw energy"], Float[Tensor, " energy"]]:
    """Energies of draws, and of a crystal, but for the acoustic ones at the zone centre."""
    q = torch.tensor(list(CORNERS), dtype=torch.float64)
    found = Phonons(model, _axes(model, q)).energies(theta).sort(-1).values
    return found.flatten(1)[:, 3:], THZ * torch.tensor(list(CORNERS.values()), dtype=torch.float64).flatten()[3:]


def closest(model: PhononModel, exact: Float[Tensor, "q branch"], q: Float[Tensor, "q 3"]) -> float:
    """The mean distance of the branches of the best springs of the model, by least squares, meV."""
    phonons = Phonons(model, _axes(model, q))
    start = [50.0, 35.0] if len(model.positions) > 1 else [10.0, 10.0]
    theta = torch.tensor([(start + [0.0] * len(model.names))[: len(model.names)]], dtype=torch.float64)
    if model.names == ("stiffness",):
        theta = torch.ones(1, 1, dtype=torch.float64)
    theta.requires_grad_()
    search = torch.optim.LBFGS([theta], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        square: Tensor = ((phonons.energies(theta)[0] - exact) ** 2).mean()
        square.backward()  # type: ignore[no-untyped-call]
        return square

    search.step(loss)  # type: ignore[no-untyped-call]
    return float((phonons.energies(theta.detach())[0] - exact).abs().mean())


def _axes(model: PhononModel, q: Tensor) -> Tensor:
    """q of the cubic cell in that of the model."""
    return q if abs(model.lattice.alpha - 90) < 1 else q @ PRIMITIVE.T


def _widened(theta: Tensor, posterior: Posterior, model: PhononModel) -> dict[str, Float[Tensor, "draw parameter"]]:
    """Draws further from their median by what the misfit makes each parameter uncertain, if there is one."""
    if not posterior.tells_misfit:
        return {}
    by = {row.name: max(1.0, row.widening) for row in posterior.summary()}
    middle = theta.quantile(0.5, dim=0)
    return {"_widened": middle + (theta - middle) * torch.tensor([by[name] for name in model.names]).to(theta)}


def _line(start: tuple[float, ...], stop: tuple[float, ...]) -> Float[Tensor, "q 3"]:
    a, b = (torch.tensor(each, dtype=torch.float64) for each in (start, stop))
    return torch.lerp(a, b, torch.linspace(0.02, 1, POINTS, dtype=torch.float64)[:, None])


if __name__ == "__main__":
    main()
