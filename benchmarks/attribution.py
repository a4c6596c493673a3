"""Whether networks that tell the PCSMO models apart look where physics says that these differ.

    python -m benchmarks.attribution --json FILE [--quick] [--folder DIR] [--frames 100]

DIR is the folder of `benchmarks.pcsmo_discrimination`, whose simulations and networks are used (made if they are not
there). Held-out frames of Goodenough and of the dimer model, 20 000 magnetic counts, background .2 of their mean. The
physical map of a frame is its expected log likelihood ratio (`explain.expected_ratio`) against the best fit of the
other model, constants, twins, widths, scales and backgrounds free, from the nearest of the simulations that networks
learnt from (kept in DIR; half a minute a frame). Maps of each method are compared with it over the 60 tiles
(six incident energies, ten windows): rank correlation and overlap of the five largest, means over frames and their
errors; the same for networks with random weights (mean and largest; not for occlusion) and for one that learnt labels
drawn at random; areas under deletion and insertion curves, beside random order. For the measured frame, the tiles that
speak most for Goodenough.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float32, Int
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks import pcsmo_discrimination, pcsmo_rivals
from benchmarks.pcsmo_discrimination import BATCH, BINS, HELD_OUT, TRAINED, asked_for, trained
from benchmarks.pcsmo_frame import ENERGIES, WINDOWS
from benchmarks.pcsmo_rivals import told
from sqwirrel.explain import expected_ratio, networks
from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.learn.pairs import Pairs, Simulations
from sqwirrel.learn.parts import apart, measurements_of
from sqwirrel.learn.rivals import Classifier, Contest
from sqwirrel.learn.strange import Jury
from sqwirrel.learn.train import Effort, train
from sqwirrel.observe import Poisson
from sqwirrel.observe.counting import Observed
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum
from sqwirrel.whole import put

METHODS = ("cam", "grad_cam", "integrated_gradients", "occlusion")
MEAN = 20_000 / BINS
PAIR = ("goodenough", "dimer")
MANY, FEW = {"chance": 8, "wrong": 200}, {"frames": 1, "slow": 1, "chance": 1, "wrong": 2}
"""Random networks, steps of the one that learns wrong labels; frames of each model in a quick run."""
STEPS = 20
"""Of each fit."""


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Do networks look where the models differ.")
    parser.add_argument("--frames", type=int, default=20, help="of each of two models")
    parser.add_argument("--slow", type=int, default=10, help="of each, for occlusion and networks of no use")
    options, sizes = asked_for(parser)
    with tempfile.TemporaryDirectory() as scratch:
        kept = options.folder if options.folder and not options.quick else Path(scratch)
        asked_of = FEW if options.quick else {"frames": options.frames, "slow": options.slow, **MANY}
        result = run(kept, sizes, asked_of, options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(folder: Path, sizes: dict[str, int], asked_of: dict[str, int], quick: bool) -> dict[str, Any]:
    """All methods."""
    record = Record.start(seeds={"train": TRAINED, "held out": HELD_OUT})
    made, held = pcsmo_discrimination.simulations_of(folder, sizes, quick=quick)
    level = pcsmo_rivals.levels(made["goodenough"])
    contest = pcsmo_rivals.contest(made, lambda kind, label: pcsmo_rivals.counted(kind, label, level))
    committee, _ = trained(contest, folder / "counts", {**sizes, "members": 1})
    network: Classifier = committee.members[0]  # type: ignore[assignment]
    asked = pcsmo_rivals.contest(held, lambda kind, label: _law(kind, label, level))
    frame = _frames(asked, made, level, asked_of["frames"], folder)
    wrong = _mislabelled(contest, folder / "wrong", asked_of["wrong"])
    few = frame.first(2 * asked_of["slow"])
    found = {method: _scored(network, frame, method, asked_of) for method in METHODS}
    data = pcsmo_rivals.measured()
    jury = pcsmo_discrimination.measured_jury(made, data, level, folder / "measured", sizes)
    return {
        "benchmark": "attribution",
        "quick": quick,
        "frames": len(frame.x),
        "methods": found,
        "labels at random": {m: _agreement(_maps(wrong, few, m), few.physics) for m in METHODS[:3]},
        "kinship": {method: _kinship(jury, method, asked_of["slow"]) for method in METHODS[:3]},
        "physics": _tops(frame.physics.mean(0)),
        "measured": _on_measured(jury.committee.members, jury.contest.pairs[PAIR[0]].image(data)),
        "record": json.loads(record.to_json()),
    }


class Frames:
    """Images, which of the two models made each, and their physical maps."""

    def __init__(self, x: Float32[Tensor, "frame channel bin 1"], own: Int[Tensor, " frame"], physics: Tensor) -> None:
        self.x, self.own, self.physics = x, own, physics

    def first(self, n: int) -> "Frames":
        """The first ones."""
        return Frames(self.x[:n], self.own[:n], self.physics[:n])


def _law(kind: str, label: str, level: dict[str, float]) -> float:
    return MEAN / level[label] if kind == "scale" else 0.1 * MEAN


def _frames(asked: Contest, made: dict[str, Simulations], level: dict[str, float], frames: int, folder: Path) -> Frames:
    """Held-out frames of either model, in turn, with their maps against the best fit of the other."""
    x, own, physics = [], [], []
    rows = torch.arange(frames)
    for k, name in enumerate(PAIR):
        x.append(asked.pairs[name].noisy(rows, stream(HELD_OUT, f"frames of {name}")).x)
        own.append(torch.full((frames,), k))
        expected, other = _expected(asked.pairs[name], rows), made[PAIR[1 - k]]
        physics.append(_ratios(expected, _fits(expected, other, PAIR[1 - k], level, folder / f"fits-to-{name}")))
    order = torch.arange(2 * frames).reshape(2, frames).T.flatten()
    return Frames(*(torch.cat(each)[order] for each in (x, own, physics)))


def _expected(pairs: Pairs, rows: Tensor) -> Float[Tensor, "row bin"]:
    return pairs.redrawn(rows, stream(0, "held"))[1].flatten(1)


def _ratios(expected: Float[Tensor, "frame bin"], fitted: Float[Tensor, "frame bin"]) -> Float[Tensor, "frame bin 1"]:
    every = torch.ones(expected.shape[1], 1, dtype=torch.bool)
    pairs = zip(expected, fitted, strict=True)
    return torch.stack([expected_ratio(Poisson(), a[:, None], b[:, None], Observed(a, a, every)) for a, b in pairs])


def _fits(
    expected: Float[Tensor, "frame bin"], made: Simulations, name: str, level: dict[str, float], folder: Path
) -> Float[Tensor, "frame bin"]:
    """What a model would have to look like each frame; every fit is kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for k, frame in enumerate(expected):
        file = folder / f"{k}.safetensors"
        if not file.exists():
            both = {"expected": frame, "fitted": _fit(frame, made, name, level)}
            put(file, lambda part, both=both: save_file(both, part))  # type: ignore[misc]
        kept = load_file(file)
        if not torch.allclose(kept["expected"], frame):
            raise SystemExit(f"{folder} holds fits to other frames; remove it")
        found.append(kept["fitted"])
        told(f"{folder.name} {k + 1}/{len(expected)}")
    return torch.stack(found)


def _fit(frame: Float[Tensor, " bin"], made: Simulations, name: str, level: dict[str, float]) -> Float[Tensor, " bin"]:
    """The best fit of a model to counts without noise, from the nearest of its simulations."""
    prior = pcsmo_rivals.prior(name, lambda kind, label: pcsmo_rivals.counted(kind, label, level))
    known = pcsmo_rivals.pairs(name, made, lambda kind, label: _law(kind, label, level), None)
    pieces = apart(frame[None, :, None], measurements_of(made.simulator))
    data = {
        label: Spectrum.from_arrays(each[0], each[0].sqrt(), experiment.measurement, is_counts=True)
        for (label, experiment), each in zip(made.simulator.experiments.items(), pieces, strict=True)
    }
    target = Target.of(made.simulator, prior, data)
    row = made.theta[_nearest(frame, known)]
    start = torch.stack([_begins(key, row, made.prior.names, level) for key in prior.names])
    (best,) = refine(target, start[None], steps=STEPS)
    full = target.full(prior.constrain(best.z[None]))
    with torch.no_grad():
        seen = [term.experiment.predict(target.own(term, full)).expected.flatten() for term in target.terms]
    before, after = target.deviance(torch.cat((start[None], prior.constrain(best.z[None])))).tolist()
    told(f"deviance {before:.0f} -> {after:.0f}")
    return torch.cat(seen)


def _begins(key: str, row: Float[Tensor, " parameter"], names: tuple[str, ...], level: dict[str, float]) -> Tensor:
    """Where a parameter begins: constants, twins and widths as in a simulation, the rest as in the frames."""
    kind, _, label = key.rpartition("_")
    return row.new_tensor(_law(kind, label, level)) if label in level else row[names.index(key)]


def _nearest(frame: Float[Tensor, " bin"], known: Pairs) -> int:
    """The simulation under which the frame is likeliest."""
    every = torch.arange(len(known)).split(250)
    far = [near.sum(1) - near.log() @ frame for near in (_expected(known, rows) for rows in every)]
    return int(torch.cat(far).argmin())


def _mislabelled(contest: Contest, folder: Path, steps: int) -> Classifier:
    """A network that learnt labels drawn at random."""
    network = Classifier.sized_for(contest, 0)
    effort = Effort(steps=steps, batch=BATCH, every=steps, seed=0)
    train(network, networks.Mislabelled(contest), effort, folder, lambda *step: told(f"labels at random {step}"))
    return network


def tiles() -> Int[Tensor, "bin 1"]:
    """Which of the 60 tiles each bin belongs to: incident energy by incident energy, window by window."""
    pixels = BINS // len(ENERGIES) // WINDOWS
    each = torch.arange(WINDOWS).expand(pixels, -1).flatten()
    return torch.cat([k * WINDOWS + each for k in range(len(ENERGIES))])[:, None]


def _maps(network: Classifier, frame: Frames, method: str) -> Float32[Tensor, "frame bin 1"]:
    """What speaks for the model that made each frame against the other."""
    every = networks.attribution(network, frame.x, 0, 1, method)
    return every * torch.where(frame.own == 0, 1.0, -1.0)[:, None, None]


def _scored(network: Classifier, frame: Frames, method: str, asked_of: dict[str, int]) -> dict[str, Any]:
    clock = time.perf_counter()
    few = frame.first(2 * asked_of["slow"])
    used = few if method == "occlusion" else frame
    maps = _maps(network, used, method)
    seconds = (time.perf_counter() - clock) / len(maps)
    found = _agreement(maps, used.physics)
    chance = [
        _agreement(_maps(networks.untrained(network, 100 + k), few, method), few.physics)["rank_correlation"][0]
        for k in range(asked_of["chance"] if method != "occlusion" else 0)
    ]
    told(f"{method} {found}")
    return {
        **found,
        "randomised": [sum(chance) / len(chance), max(chance, key=abs)] if chance else None,
        "areas": _areas(network, few, maps[: len(few.x)]),
        "seconds": seconds,
    }


def _agreement(maps: Tensor, physics: Tensor) -> dict[str, list[float]]:
    """Mean over frames, and its error."""
    where = tiles()
    scores: dict[str, Callable[..., float]] = {
        "rank_correlation": networks.rank_correlation,
        "top5_overlap": networks.top_overlap,
    }
    found = {
        name: torch.tensor([f(a, b, where) for a, b in zip(maps, physics, strict=True)]) for name, f in scores.items()
    }
    return {name: [float(each.mean()), float(each.std() / len(each) ** 0.5)] for name, each in found.items()}


def _areas(network: Classifier, frame: Frames, maps: Tensor) -> dict[str, list[float]]:
    """Mean log odds on the way, in order of the map and in random order."""
    random = torch.rand(maps.shape, generator=stream(0, "order"))
    found: dict[str, list[float]] = {}
    for name, curve in (("deletion", networks.deletion), ("insertion", networks.insertion)):
        found[name] = []
        for values in (maps, random):
            own = frame.own == 0
            each = [
                curve(networks.Contrast(network, *pair), frame.x[which], values[which]).area
                for pair, which in (((0, 1), own), ((1, 0), ~own))
            ]
            found[name].append(float(torch.cat(each).mean()))
    return found


def _kinship(jury: Jury, method: str, slow: int) -> dict[str, float]:
    """Rank correlation, bin by bin, of two networks trained apart, and of one with random weights: of those for frames
    like the measured one.
    """
    x, members = jury.contest.batch(2 * slow, HELD_OUT, "kinship").x, list(jury.committee.members)
    others = {"random weights": networks.untrained(members[0], 100), "trained apart": members[-1]}  # type: ignore[arg-type]
    return {
        name: float(networks.kinship((members[0], other), x, 0, 1, method).mean())  # type: ignore[arg-type]
        for name, other in others.items()
        if other is not members[0]
    }


def _on_measured(members: Sequence[Any], x: Float32[Tensor, "1 channel bin 1"]) -> dict[str, Any]:
    """The tiles that speak most for Goodenough against the dimer, by each method, mean of the members."""
    found = {}
    for method in METHODS:
        maps = torch.stack([networks.attribution(each, x, 0, 1, method)[0] for each in members]).mean(0)
        found[method] = _tops(maps)
    return found


def _tops(values: Tensor, top: int = 8) -> list[str]:
    """The largest tiles, in words, with their share of all that is positive."""
    sums = networks.tile_sums(values, tiles())
    positive = float(sums.clamp(min=0).sum())
    return [_tile(int(k), float(sums[k]) / positive) for k in sums.topk(top).indices]


def _tile(k: int, share: float) -> str:
    energy, window = ENERGIES[k // WINDOWS], k % WINDOWS
    low, high = energy * (0.10 + 0.06 * window), energy * (0.16 + 0.06 * window)
    return f"E_i {energy:g} meV, {low:.1f} to {high:.1f} meV: {share:.3f}"


if __name__ == "__main__":
    sys.exit(main())
