"""Whether networks that tell the PCSMO models apart look where physics says that these differ.

    python -m benchmarks.attribution --json FILE [--quick] [--folder DIR] [--frames 20] [--slow 10]

DIR is the folder of `benchmarks.pcsmo_discrimination`, whose simulations and networks are used (made if they are not
there). Held-out frames of Goodenough and of the dimer model, 20 000 magnetic counts, background .2 of their mean. The
physical map of a frame is its expected log likelihood ratio (`explain.expected_ratio`) against the best fit of the
other model, constants, twins, widths, scales and backgrounds free, from the nearest of the simulations that networks
learnt from (kept in DIR; half a minute a frame). Maps of each method are compared with it over the 60 tiles
(six incident energies, ten windows): rank correlation and overlap of the five largest, means over frames and their
errors; the same for networks with random weights (mean and largest; not for occlusion) and for one that learnt labels
drawn at random; areas under deletion and insertion curves, beside random order; the expected log likelihood ratios of
whole frames against those best fits: they say what any method could tell, and go with the counts. For the measured
frame, the tiles that speak most for Goodenough.
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
from torch import Tensor

from benchmarks import pcsmo_discrimination, pcsmo_rivals
from benchmarks.pcsmo_discrimination import BATCH, BINS, HELD_OUT, TRAINED, asked_for, kept_in, trained
from benchmarks.pcsmo_frame import ENERGIES, WINDOWS
from benchmarks.pcsmo_nearest import Rival, expected_of
from benchmarks.pcsmo_rivals import told
from sqwirrel.explain import expected_ratio, networks
from sqwirrel.learn.pairs import Simulations
from sqwirrel.learn.rivals import Classifier, Contest
from sqwirrel.learn.strange import Jury
from sqwirrel.learn.train import Effort, train
from sqwirrel.observe import Poisson
from sqwirrel.observe.counting import Observed
from sqwirrel.record import Record
from sqwirrel.seeds import stream

METHODS = ("cam", "grad_cam", "integrated_gradients", "occlusion")
MEAN = 20_000 / BINS
PAIR = ("goodenough", "dimer")
MANY = {"chance": 8, "wrong": 200, "fit": 20}
"""Random networks, steps of the one that learns wrong labels, of each fit."""
FEW = {"frames": 1, "slow": 1, "chance": 1, "wrong": 2, "fit": 1}
"""The same, and frames of each model, in a quick run."""


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Do networks look where the models differ.")
    parser.add_argument("--frames", type=int, default=20, help="of each of two models")
    parser.add_argument("--slow", type=int, default=10, help="of each, for occlusion and networks of no use")
    options, sizes = asked_for(parser)
    with tempfile.TemporaryDirectory() as scratch:
        kept = kept_in(options, scratch)
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
    frame = _frames(made, held, level, asked_of, folder)
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
        "log_ratio": sorted(frame.physics.sum((1, 2)).tolist()),
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


def _frames(
    made: dict[str, Simulations],
    held: dict[str, Simulations],
    level: dict[str, float],
    asked_of: dict[str, int],
    folder: Path,
) -> Frames:
    """Held-out frames of either model, in turn, with their maps against the best fit of the other."""

    def law(kind: str, label: str) -> float:
        return MEAN / level[label] if kind == "scale" else 0.1 * MEAN

    asked, x, own, physics = pcsmo_rivals.contest(held, law), [], [], []
    rows = torch.arange(asked_of["frames"])
    for k, name in enumerate(PAIR):
        x.append(asked.pairs[name].noisy(rows, stream(HELD_OUT, f"frames of {name}")).x)
        own.append(torch.full((len(rows),), k))
        rival, expected = Rival(PAIR[1 - k], made[PAIR[1 - k]], level, law), expected_of(asked.pairs[name], rows)
        physics.append(_ratios(expected, rival.fits(expected, asked_of["fit"], folder / f"{rival.name} to {name}")))
    order = torch.arange(2 * len(rows)).reshape(2, len(rows)).T.flatten()
    return Frames(*(torch.cat(each)[order] for each in (x, own, physics)))


def _ratios(expected: Float[Tensor, "frame bin"], fitted: Float[Tensor, "frame bin"]) -> Float[Tensor, "frame bin 1"]:
    every = torch.ones(expected.shape[1], 1, dtype=torch.bool)
    pairs = zip(expected, fitted, strict=True)
    return torch.stack([expected_ratio(Poisson(), a[:, None], b[:, None], Observed(a, a, every)) for a, b in pairs])


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
