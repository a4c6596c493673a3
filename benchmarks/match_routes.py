"""Posterior and verdict from maps with artefacts, route by route, where the truth is known.

    python -m benchmarks.match_routes --json FILE [--quick] [--folder DIR] [--minutes 5] [--likelihood 40]

Held-out maps with artefacts of `benchmarks.match_maps` (background the same in all), half with J2 drawn, half with
J2 = 0. Asked are J1, J2, D, and whether J2 is there, of two networks: a flow (`NPE`), and a `Classifier`. Both learnt
from clean maps alone, counted as long as those with artefacts are; they see maps as they came with empty gaps (`raw`),
after the best linear guess, after the denoising autoencoder (which learnt from pairs), after the translator (which had
none), and, as the best that they can do, the true clean map, counted. Networks of the same kind that learnt from
simulations behind the whole instrument, with the coverage of such maps, see maps as they came (`networks that learnt
artefacts`); they know as much as the next route, which has no network: `discriminate`
with the instrument that made the artefacts, on the first `--likelihood` maps of each half; it knows the resolution, the
coverage and both shapes of the background, not how large these are. On half as many it knows neither the width of the
resolution nor these shapes, and fits the one, and a polynomial for the other (`instrument model, fitted`).

Linear guess, autoencoder and translator learn from the maps that `benchmarks.match` learns from, and DIR may be its
folder: then its translator is taken, or its training gone on with. Errors are over the width of the prior, or over the
standard deviation stated with each. Seconds are those of one thread at work, for posterior and verdict of a map.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks import match, match_maps
from benchmarks.match_autoencoder import autoencoder
from benchmarks.match_maps import COUNTS, PRIOR, SHARP, WIDE, Artefacts, artefacts, drawn, experiment, signals
from benchmarks.match_networks import LEARNT, Networks, learnt, told
from benchmarks.pcsmo_discrimination import scores
from sqwirrel.infer import Settings
from sqwirrel.infer.verdict import Hypothesis, discriminate
from sqwirrel.learn.translate.domain import Domain, Unpaired
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson, SmoothBackground, TemplateBackground
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum

HYPOTHESES: dict[str, dict[str, float]] = {"J2 free": {}, "J2 = 0": {"J2": 0.0}}
ASKED = ("J1", "J2", "D")
HELD_OUT = 20261163
"""Seed of the judged maps of the first hypothesis; the next one is that of the second. Nothing was tuned on them.
20261155 to 20261162 were looked at: after the first two the networks were changed (`STRAY`), after the next two, for
other reasons, the instrument that a translator learns, after the next two networks for maps with gaps, which had been
standardised by maps without any (a gap was 1000 standard deviations off), after the last two the translator was trained
for three times as long.
"""
FIRST = 20
"""Maps that all routes see."""
DRAWS = 1000
SETTINGS = Settings(screen=64, starts=4, draws=600, rounds=2)
SCALE = {"uniform": [COUNTS * each for each in (0.7, 1.4)]}
STRAY = {"uniform": [0.0, 1.0]}
"""Counts of a bin beside the lines, in what networks learn from. Without any, a bin that lines never reach says
nothing but 0, and what is left there by a route is beyond all that was learnt.
"""
ORDER = 4
FULL = {"maps": 1024, "paired": match.PAIRED, "rows": 8192, "steps": 3000, "verdict_steps": 2000, "held": 200}
QUICK = {"maps": 64, "paired": 20, "rows": 256, "steps": 20, "verdict_steps": 20, "held": 8}
Laws = Mapping[str, Any]


class Held(NamedTuple):
    """Maps to judge of one hypothesis: constants that were asked for, clean, and with artefacts."""

    truth: Float[Tensor, "map asked"]
    clean: Float[Tensor, "map point energy"]
    seen: Artefacts


Made = Callable[[Held], Tensor]


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Posterior and verdict from maps with artefacts, route by route.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few maps and steps")
    parser.add_argument("--folder", type=Path, help="where translator and networks are kept")
    parser.add_argument("--minutes", type=float, default=5.0, help="training of the translator, at most")
    parser.add_argument("--likelihood", type=int, default=40, help="maps of each hypothesis for the slow route")
    parser.set_defaults(channels=32, blocks=4, batch=match.BATCH)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        result = run(options, options.folder or Path(scratch))
    print(json.dumps({name: each for name, each in result.items() if name != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All that is reported."""
    sizes = QUICK if options.quick else FULL
    record = Record.start(seeds={"clean": 1, "artefacts": 2, "networks": LEARNT, "held out": HELD_OUT})
    networks = learnt({name: clean(each) for name, each in HYPOTHESES.items()}, folder, sizes)
    seen = learnt(rivals(*known()), folder / "with artefacts", sizes, covered=True)
    ways, minutes = routes(options, folder, sizes, record)
    held = [held_out(sizes["held"], HELD_OUT + k, **each) for k, each in enumerate(HYPOTHESES.values())]
    found = {name: by_networks(networks, held, way) for name, way in ways.items()}
    found["true clean map"] = by_networks(networks, held, lambda each: counted(each.clean))
    found["networks that learnt artefacts"] = by_networks(seen, held, level)
    few = 2 if options.quick else options.likelihood
    found["instrument model"] = by_likelihood(held, few, *known())
    found["instrument model, fitted"] = by_likelihood(held, few // 2, *fitted())
    return {
        "benchmark": "match_routes",
        "quick": options.quick,
        "hypotheses": list(HYPOTHESES),
        "sizes": sizes,
        "minutes": {
            **networks.minutes,
            **{f"{name}, with artefacts": each for name, each in seen.minutes.items()},
            **minutes,
        },
        "routes": found,
        "record": json.loads(record.to_json()),
    }


def clean(laws: Laws) -> Hypothesis:
    """Simulations with sharp lines and no background, counted."""
    bare, _ = experiment(SHARP)
    made = Experiment(bare.model, bare.measurement, Instrument(counting=Poisson()), samples=1)
    return Hypothesis(made, Prior.from_mapping({**PRIOR, "scale": SCALE, "background": STRAY, "fwhm": SHARP, **laws}))


def routes(
    options: argparse.Namespace, folder: Path, sizes: dict[str, int], record: Record
) -> tuple[dict[str, Made], dict[str, float]]:
    """What can be made of maps with artefacts before a network looks, and minutes of training."""
    rows = sizes["maps"]
    seen = artefacts(rows, 2)
    domains = Unpaired(Domain.of(signals(SHARP, rows, 1)), seen.domain())
    one, history = match.trained("instrument", domains, options, folder / "instrument", record)
    clock = time.perf_counter()
    paired = autoencoder(seen, signals(SHARP, rows, 2), sizes["paired"])
    minutes = {"translator": history["minutes"], "autoencoder": (time.perf_counter() - clock) / 60}
    guess = match.linear(domains.first)
    ways: dict[str, Made] = {
        "raw": level,
        "linear guess": lambda each: guess(match.of(each.seen)),
        "autoencoder of pairs": lambda each: paired(match.of(each.seen)),
        "translator": lambda each: one.translate(match.of(each.seen), match.NAMES[0]).level,
    }
    last = ways["translator"]
    return {**ways, "translator, counted": lambda each: counted(last(each))}, minutes


def held_out(rows: int, seed: int, **held: float) -> Held:
    """Maps of a hypothesis; a constant that it holds is 0."""
    theta, clean = drawn(SHARP, rows, seed, **held)
    known = dict(zip(experiment(SHARP, **held)[1].names, theta.T, strict=True))
    truth = torch.stack([known.get(name, torch.zeros(rows).double()) for name in ASKED], dim=1)
    return Held(truth, clean, artefacts(rows, seed, **held))


def level(held: Held) -> Tensor:
    """As it came; there is nothing in gaps."""
    return held.seen.level * held.seen.valid


def counted(made: Tensor) -> Tensor:
    """With noise, as what the networks learnt from."""
    return torch.poisson(COUNTS * made.double().clamp(min=0), generator=stream(9, "counted")) / COUNTS


def by_networks(networks: Networks, held: list[Held], way: Made) -> dict[str, Any]:
    """Posterior and verdict after a route."""
    clock = time.process_time()
    images = [networks.see(COUNTS * way(each), each.seen.valid) for each in held]
    with torch.no_grad():
        p = torch.cat([networks.verdict(x).double().softmax(1) for x in images])
    seconds, clock = (time.process_time() - clock) / len(p), time.process_time()
    z = networks.posterior.sample(images[0], DRAWS, seed=1)
    seconds += (time.process_time() - clock) / len(z)
    draws = networks.pairs.prior.constrain(z.flatten(0, 1).double()).unflatten(0, z.shape[:2])
    return report(draws, networks.pairs.prior.names, held, p, seconds)


def by_likelihood(held: list[Held], rows: int, instrument: Instrument, nuisances: Laws) -> dict[str, Any]:
    """The same from the likelihood of the maps themselves, the first ones of each hypothesis."""
    some = [Held(each.truth[:rows], each.clean[:rows], each.seen) for each in held]
    asked, clock, draws, p = rivals(instrument, nuisances), time.process_time(), [], []
    for each in some:
        for k in range(rows):
            verdict = discriminate(asked, spectrum(each.seen, k), SETTINGS)
            p.append([verdict.probability[name] for name in asked])
            draws.append(verdict.posteriors["J2 free"].sample(DRAWS, seed=1))
        told(len(p), len(held) * rows, time.process_time() - clock)
    seconds = (time.process_time() - clock) / len(p)
    names = asked["J2 free"].prior.names
    return report(torch.stack(draws[:rows]), names, some, torch.tensor(p, dtype=torch.float64), seconds)


def known() -> tuple[Instrument, Laws]:
    """The instrument that made the artefacts, with a background of two known shapes: one in counts, one over those of
    the maps.
    """
    where, energy = experiment(WIDE)[0].measurement, match_maps.ENERGY
    shape = COUNTS * torch.exp(-(energy[1:] + energy[:-1]) / 2 / match_maps.DECAY).expand(where.shape)
    template = TemplateBackground(Spectrum.from_arrays(shape, shape.sqrt(), where))
    laws = {"background": {"uniform": [0.0, COUNTS]}, "background_measured": {"uniform": [0.0, 1.0]}, "fwhm": WIDE}
    return Instrument(background=template, counting=Poisson()), laws


def fitted() -> tuple[Instrument, Laws]:
    """An instrument whose width and smooth background are not known."""
    background = SmoothBackground(0, ORDER)
    laws = {name: {"uniform": [-COUNTS / 5, COUNTS / 5]} for name in background.names}
    more = {background.names[0]: {"uniform": [0.0, COUNTS]}, "fwhm": {"uniform": [0.5, 1.5]}}
    return Instrument(background=background, counting=Poisson()), {**laws, **more}


def rivals(instrument: Instrument, nuisances: Laws) -> dict[str, Hypothesis]:
    """Both hypotheses behind an instrument."""
    return {name: hypothesis(instrument, {**nuisances, **each}) for name, each in HYPOTHESES.items()}


def hypothesis(instrument: Instrument, laws: Laws) -> Hypothesis:
    """A model behind an instrument; `laws` are of what is not known of the instrument, and of what is held."""
    bare, _ = experiment(WIDE)
    prior = Prior.from_mapping({**{name: PRIOR[name] for name in ASKED}, "scale": SCALE, **laws})
    return Hypothesis(Experiment(bare.model, bare.measurement, instrument, samples=1), prior)


def spectrum(seen: Artefacts, k: int) -> Spectrum:
    """The counts of a map."""
    valid = seen.valid[k].bool()
    counts = torch.where(valid, (COUNTS * seen.level[k]).round(), 0.0)
    return Spectrum.from_arrays(counts, counts.sqrt(), experiment(WIDE)[0].measurement, valid=valid, is_counts=True)


def report(
    draws: Float[Tensor, "map draw parameter"],
    names: tuple[str, ...],
    held: list[Held],
    p: Float[Tensor, "every hypothesis"],
    seconds: float,
) -> dict[str, Any]:
    """How good posteriors of the first hypothesis, and verdicts on all, are."""
    which = torch.arange(len(held)).repeat_interleave(torch.tensor([len(each.truth) for each in held]))
    verdict = scores(p, which)
    posterior = {
        name: judged(draws[..., names.index(name)], held[0].truth[:, k], PRIOR[name]["uniform"])  # type: ignore[index]
        for k, name in enumerate(ASKED)
    }
    kept = ("n", "accuracy", "ece", "brier", "false_decisive")
    return {"seconds": seconds, "verdict": {key: verdict[key] for key in kept}, "posterior": posterior}


def judged(draws: Float[Tensor, "map draw"], truth: Float[Tensor, " map"], bounds: list[float]) -> dict[str, float]:
    """One constant: coverage of central intervals, bias and root mean square error of the median."""
    error, width = draws.median(1).values - truth, bounds[1] - bounds[0]
    away = ((draws < truth[:, None]).double().mean(1) - 0.5).abs()
    return {
        "maps": len(truth),
        "coverage_68": float((away <= 0.34).double().mean()),
        "coverage_90": float((away <= 0.45).double().mean()),
        "bias": float(error.mean()) / width,
        "rms": float(error.square().mean().sqrt()) / width,
        "rms_of_first": float(error[:FIRST].square().mean().sqrt()) / width,
        "rms_over_stated": float((error / draws.std(1)).square().mean().sqrt()),
    }


if __name__ == "__main__":
    sys.exit(main())
