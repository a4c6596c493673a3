"""The causal graph against saliency: which says better what a network tells two models of PCSMO apart by.

    python -m benchmarks.causal_saliency --json FILE [--quick] [--folder DIR] [--seed 101] [--frames 5]

A network learns to tell Goodenough from dimer frames (counts, as in `benchmarks.attribution`). On held-out frames of
either (20 000 magnetic counts), each with the best fit of the other model (all of its constants and nuisances free, so
that what is left between the two is what these cannot do), bins are ranked by:

- graph: regions of a causal map about the truth of the frame (causes are constants, twins and widths; 32 pairs), ranked
  by how far the two expectations differ there, d' squared a bin: the node "which model" as one more cause;
- graph, own constants: the same regions, by what constants do that the other model has not; no fit is needed;
- likelihood ratio: what each bin is expected to say, without regions; no order can be better for a judge by likelihood;
- cam, grad_cam, integrated_gradients of the network; and random order.

They are judged by interventions. In the order of each map, bins of a frame are replaced by counts of the best fit of
the other model (what would have been counted had it been that one); the decision falls from all (1) to what it is for
the other (0). Reported: the mean on the way (deletion, small is good), that the other way round (insertion, large is
good), and what is left after a twentieth of the bins, of the decision of the network and of the likelihood ratio; the
same towards the mean image, in log odds, as in `benchmarks.attribution`; and the rank correlation of what a map has on
each of the 60 tiles (incident energy, window) with what the replacement of this tile alone does to the network.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from benchmarks import pcsmo_rivals as rivals
from benchmarks.attribution import MEAN, PAIR, tiles
from benchmarks.pcsmo_discrimination import trained
from benchmarks.pcsmo_frame import DATA
from benchmarks.pcsmo_nearest import Rival, expected_of
from benchmarks.pcsmo_rivals import told
from sqwirrel.explain import expected_ratio, networks
from sqwirrel.explain.causal.causal_map import causal_map
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.learn import pairs as learn_pairs
from sqwirrel.learn.pairs import Pairs, Simulations
from sqwirrel.learn.rivals import Classifier
from sqwirrel.observe import Poisson
from sqwirrel.observe.counting import Observed
from sqwirrel.record import Record
from sqwirrel.seeds import stream

FULL = {"rows": 500, "steps": 120, "members": 1, "images": 128, "fit": 10, "pairs": 32}
QUICK = {"rows": 16, "steps": 2, "members": 1, "images": 16, "fit": 1, "pairs": 32}
LEARNT, DRAWS, EARLY = 1, 4, 0.05
"""Seed of what is learnt from; counts drawn for each tile; the share of bins after which a decision is looked at."""
SALIENCY = ("cam", "grad_cam", "integrated_gradients")
SHARD = 64
STEPS, WIDTH = 20, 0.1
"""Of the curves; and the share of the prior that causes are moved over: over .3 the order of some dimers was unstable.
"""
Bins = Float[Tensor, " bin"]


class Frame(NamedTuple):
    """Counts of a frame and of the best fit of the other model, both expectations, the number of its own model, and the
    scores of all bins by every method.
    """

    own: int
    expected: Bins
    fitted: Bins
    counts: Bins
    others: Bins
    scores: dict[str, Bins]


class Asked(NamedTuple):
    """The network, and how it sees counts."""

    network: Classifier
    pairs: Pairs

    def image(self, counts: Float[Tensor, "frame bin"]) -> Float32[Tensor, "frame channel bin 1"]:
        """Of counts."""
        return self.pairs.see(counts[..., None])

    def odds(self, own: int, counts: Float[Tensor, "frame bin"]) -> Float32[Tensor, " frame"]:
        """Log odds of the model of this number against the other."""
        with torch.no_grad():
            found: Tensor = networks.Contrast(self.network, own, 1 - own)(self.image(counts))
        return found


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="The causal graph and saliency, judged by interventions.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="one frame of each model, a network that learnt nothing")
    parser.add_argument("--folder", type=Path, help="where simulations, network and fits are kept")
    parser.add_argument("--seed", type=int, default=101, help="of the frames that are judged")
    parser.add_argument("--frames", type=int, default=5, help="of each model")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("causal_saliency needs ../shared/data/pcsmo, which is not here: nothing was run")
    learn_pairs.SHARD = QUICK["rows"] if options.quick else SHARD
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.folder or Path(scratch)) / ("quick" if options.quick else "full")
        result = run(folder, QUICK if options.quick else FULL, options)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(folder: Path, sizes: dict[str, int], options: argparse.Namespace) -> dict[str, Any]:
    """Training, frames, and what each method is worth."""
    record = Record.start(seeds={"train": LEARNT, "held out": options.seed})
    made = {name: rivals.simulated(name, folder, sizes["rows"], LEARNT) for name in PAIR}
    level = rivals.levels(made[PAIR[0]])
    contest = rivals.contest(made, lambda kind, label: rivals.counted(kind, label, level))
    committee, cost = trained(contest, folder / "network", sizes)
    asked = Asked(committee.members[0], next(iter(contest.pairs.values())))  # type: ignore[arg-type]
    count = 1 if options.quick else options.frames
    frames = held_out(asked, made, level, folder, sizes, (options.seed, count))
    maps = [frame.scores for frame in frames]
    judged = {name: [judge(asked, frame, name) for frame in frames] for name in maps[0]}
    tiled = [by_tile(asked, frame, k) for k, frame in enumerate(frames)]
    return {
        "benchmark": "causal_saliency",
        "quick": options.quick,
        "sizes": sizes,
        "frames": len(frames),
        "training_minutes": cost["training_minutes"],
        "right": sum(float(asked.odds(f.own, f.counts[None])) > 0 for f in frames) / len(frames),
        "methods": {name: mean_and_error(rows, judged["graph"]) for name, rows in judged.items()},
        "tiles": {name: paired([row[name] for row in tiled], [row["graph"] for row in tiled]) for name in maps[0]},
        "record": json.loads(record.to_json()),
    }


def held_out(
    asked: Asked,
    made: dict[str, Simulations],
    level: dict[str, float],
    folder: Path,
    sizes: dict[str, int],
    which: tuple[int, int],
) -> list[Frame]:
    """Frames of either model that nothing was learnt from, with every map."""

    def law(kind: str, label: str) -> float:
        return MEAN / level[label] if kind == "scale" else 0.1 * MEAN

    (seed, count), found = which, []
    for own, name in enumerate(PAIR):
        held = rivals.simulated(name, folder, count, seed)
        expected = expected_of(rivals.pairs(name, held, law, None), torch.arange(count))
        rival = Rival(PAIR[1 - own], made[PAIR[1 - own]], level, law)
        fitted = rival.fits(expected, sizes["fit"], folder / f"{rival.name} to {name}, {seed}")
        me = Rival(name, held, level, law)
        for k in range(count):
            generator = stream(seed, f"{name} {k}")
            counts, others = (torch.poisson(x[k], generator=generator) for x in (expected, fitted))
            frame = Frame(own, expected[k], fitted[k], counts, others, {})
            scores = {**causal(me, frame, k, sizes["pairs"], PAIR[1 - own]), **saliency(asked, frame)}
            scores["random"] = torch.rand(len(counts), generator=generator, dtype=torch.float64)
            found.append(frame._replace(scores=scores))
            told(f"{name} {k + 1}/{count}")
    return found


def causal(me: Rival, frame: Frame, k: int, pairs: int, other: str) -> dict[str, Bins]:
    """What the graph about the truth of a frame says of each bin, and what the likelihood does."""
    prior, drawn = rivals.prior(me.name, me.law), dict(zip(me.made.prior.names, me.made.theta[k], strict=True))
    system = Spectra.of(me.made.simulator, prior, me.data(frame.counts))
    found = causal_map(system, pairs, width=WIDTH, middle=torch.stack([drawn[name] for name in prior.names]))
    of, size = found.regions.of, found.regions.sizes
    away = 2 * ((frame.expected + 0.375).sqrt() - (frame.fitted + 0.375).sqrt())
    between = torch.zeros(len(size), dtype=away.dtype).index_add_(0, of, away**2 / 2)
    only = [name for name in rivals.model(me.name).names if name not in rivals.model(other).names]
    alone = (found.edges.effect[:, [found.names.index(name) for name in only]] ** 2).sum(1)
    every = torch.ones(len(of), 1, dtype=torch.bool)
    a, b = frame.expected[:, None], frame.fitted[:, None]
    return {
        "graph": (between / size)[of],
        "graph, own constants": (alone / size)[of],
        "likelihood ratio": expected_ratio(Poisson(), a, b, Observed(a, a, every))[:, 0],
    }


def saliency(asked: Asked, frame: Frame) -> dict[str, Bins]:
    """What the network is said to look at, for the model that made the frame."""
    x = asked.image(frame.counts[None])
    return {
        name: networks.attribution(asked.network, x, frame.own, 1 - frame.own, name).flatten().double()
        for name in SALIENCY
    }


def order(scores: Bins) -> Int[Tensor, " bin"]:
    """The place of every bin, largest first; equal ones as it happens."""
    mixed = torch.randperm(len(scores), generator=stream(0, "ties"))
    place = torch.empty_like(mixed)
    place[mixed[scores[mixed].argsort(descending=True, stable=True)]] = torch.arange(len(scores))
    return place


def judge(asked: Asked, frame: Frame, name: str) -> dict[str, float]:
    """Decisions while bins are replaced in the order of a map."""
    place, steps = order(frame.scores[name]), torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    gone = place < steps[:, None] * len(place)
    tilt = (frame.expected / frame.fitted).log()

    def ratio(counts: Float[Tensor, "step bin"]) -> Float[Tensor, " step"]:
        return counts @ tilt - (frame.expected - frame.fitted).sum()

    def network(counts: Float[Tensor, "step bin"]) -> Float[Tensor, " step"]:
        return asked.odds(frame.own, counts).double()

    found = {}
    judges: dict[str, Callable[[Tensor], Tensor]] = {"network": network, "likelihood": ratio}
    for judging, score in judges.items():
        down = share(score(torch.where(gone, frame.others, frame.counts)))
        up = share(score(torch.where(gone, frame.counts, frame.others)).flip(0)).flip(0)
        found[f"{judging} deletion"] = float(torch.trapezoid(down, steps))
        found[f"{judging} insertion"] = float(torch.trapezoid(up, steps))
        found[f"{judging} left"] = float(down[round(EARLY * STEPS)])
    contrast = networks.Contrast(asked.network, frame.own, 1 - frame.own)
    x, values = asked.image(frame.counts[None]), -place.reshape(1, -1, 1).float()
    found["to the mean: deletion"] = float(networks.deletion(contrast, x, values).area)
    found["to the mean: insertion"] = float(networks.insertion(contrast, x, values).area)
    return found


def share(score: Float[Tensor, " step"]) -> Float[Tensor, " step"]:
    """1 at the start, 0 at the end."""
    return (score - score[-1]) / (score[0] - score[-1])


def by_tile(asked: Asked, frame: Frame, k: int) -> dict[str, float]:
    """Rank correlation of each map with what the replacement of single tiles does to the network."""
    where, generator = tiles()[:, 0], stream(k, "tiles")
    before, fall = asked.odds(frame.own, frame.counts[None]), torch.zeros(int(where.max()) + 1)
    for _ in range(DRAWS):
        others = torch.poisson(frame.fitted, generator=generator)
        gone = where == torch.arange(len(fall))[:, None]
        fall += before - asked.odds(frame.own, torch.where(gone, others, frame.counts))
    each = (fall / DRAWS / torch.bincount(where))[where][:, None]
    return {name: networks.rank_correlation(x[:, None], each, where[:, None]) for name, x in frame.scores.items()}


def mean_and_error(rows: list[dict[str, float]], graph: list[dict[str, float]]) -> dict[str, list[float]]:
    """Of each number, and of how far it is from that of the graph."""
    return {key: paired([row[key] for row in rows], [row[key] for row in graph]) for key in rows[0]}


def paired(values: list[float], graph: list[float]) -> list[float]:
    """Mean over frames with its error, and mean difference from the graph with its error."""
    x = torch.tensor(values, dtype=torch.float64)
    away = x - torch.tensor(graph, dtype=torch.float64)
    return [f for each in (x, away) for f in (float(each.mean()), float(each.std() / len(each) ** 0.5))]


if __name__ == "__main__":
    main()
