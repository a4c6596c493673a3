"""A translator between clean maps and maps with artefacts, against a truth that is known.

    python -m benchmarks.match --json FILE [--quick] [--folder DIR] [--minutes 5] [--varied]
                               [--kinds instrument cycle contrast] [--channels 32] [--blocks 4] [--batch 4]
                               [--figure PNG]

The maps are those of `benchmarks.match_maps`, simulated here; their background is the same in all maps with artefacts,
and no translator is told, or one of its own in each (`--varied`). Translators of all kinds learn from maps that have
nothing to do with each other, each for about so many minutes of work of one thread. Held-out pairs (same constants) say
how far each direction is from its truth, beside the map as it came (identity), the best linear guess from principal
components of the other domain (`linear`), and a denoising autoencoder that, unlike all others, learnt from pairs: root
mean square distance over that of the truth (nrmse), structural similarity, integrated intensity over the true one, and
how far the maximum along energy moved, in units of the resolution (0.9 meV). Towards the clean maps the truth is a map
without anything; towards artefacts it is what was expected there before noise; a clean map does not tell a background
of its own, so that nothing can be better than the true lines with the mean background (`best`). Bins that were not
measured do not count. How well modes could be told at all is the Cramer-Rao bound of who knows the model and the
instrument (`limit`).

DIR keeps translators, and a training that was interrupted is gone on with. `--quick` only shows that it runs.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from benchmarks.match_autoencoder import autoencoder
from benchmarks.match_limit import limit
from benchmarks.match_maps import SHARP, WIDE, Artefacts, artefacts, drawn, signals
from benchmarks.match_scores import scores
from sqwirrel.learn.strange.linear import LinearGuess
from sqwirrel.learn.train import Effort, train
from sqwirrel.learn.translate import networks
from sqwirrel.learn.translate.domain import Domain, Images, Unpaired
from sqwirrel.learn.translate.judge import distance, diversity
from sqwirrel.learn.translate.kept import save_translator
from sqwirrel.learn.translate.plan import KINDS
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.record import Record
from sqwirrel.seeds import stream

NAMES = ("clean", "artefacts")
FRAME = (240, 400)
COMPONENTS = 64
BATCH = 4
PAIRED = 2000
"""Steps of the autoencoder, of 32 maps each."""
Made = Callable[[Images], Tensor]


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="A translator against a truth that is known.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few maps and steps")
    parser.add_argument("--folder", type=Path, help="where translators are kept")
    parser.add_argument("--figure", type=Path, help="picture of held-out maps and their translations")
    parser.add_argument("--minutes", type=float, default=5.0, help="training of each kind, at most")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--varied", action="store_true", help="a background of its own in every map")
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--batch", type=int, default=BATCH, help="maps of a step")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        result = run(options, options.folder or Path(scratch))
    print(json.dumps({name: each for name, each in result.items() if name != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All that is reported."""
    record = Record.start(seeds={"clean": 1, "artefacts": 2, "held out": 3})
    rows, held = (64, 16) if options.quick else (1024, 256)
    domains = Unpaired(Domain.of(signals(SHARP, rows, 1)), artefacts(rows, 2, varied=options.varied).domain())
    (theta, clean), seen = drawn(SHARP, held, 3), artefacts(held, 3, varied=options.varied)
    paired = autoencoder(
        artefacts(rows, 2, varied=options.varied), signals(SHARP, rows, 2), 20 if options.quick else PAIRED
    )
    found, translators = {}, {}
    for kind in options.kinds:
        one, history = trained(kind, domains, options, folder / kind, record)
        translators[kind] = one
        found[kind] = {
            "parameters": networks.numbers(one.average(0)) + networks.numbers(one.average(1)),
            "seconds_per_frame": seconds(one),
            "training": history,
            "feature_distance": features(one, clean, seen),
            "doubts": one.doubts,
        }
    pairs = against_truth(translators, domains, clean, seen, paired)
    if options.figure:
        draw(translators, clean, seen, options.figure)
    return {
        "benchmark": "match",
        "quick": options.quick,
        "maps": rows,
        "held_out": held,
        "varied_background": options.varied,
        "resolution_meV": WIDE,
        "translators": found,
        "against_truth": pairs,
        "limit": limit(theta, clean, seen),
        "record": json.loads(record.to_json()),
    }


def trained(
    kind: str, domains: Unpaired, options: argparse.Namespace, folder: Path, record: Record
) -> tuple[Translator, dict[str, Any]]:
    """A translator of a kind, and how it was trained; the learning rate falls over the steps that fit in the time."""
    one = Translator.sized_for(domains, NAMES, kind, channels=options.channels, blocks=options.blocks, seed=0)
    known = folder / "steps.json"
    if known.exists():
        steps = int(json.loads(known.read_text()))
    else:
        steps = 20 if options.quick else int(60 * options.minutes / pace(one, domains, options.batch))
        folder.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(steps))
    every = max(1, steps // 20)
    effort = Effort(steps=steps, batch=options.batch, every=every, patience=10**6)
    history = train(one, domains, effort, folder / "training", lambda *each: print(kind, *each, file=sys.stderr))
    save_translator(folder, one, record)
    looks = dict(zip(history.steps, history.losses, strict=True))
    return one, {
        "steps": steps,
        "batch": options.batch,
        "best": history.best,
        "minutes": history.seconds / 60,
        "held": looks,
    }


def pace(one: Translator, domains: Unpaired, rows: int) -> float:
    """Seconds of work of a step of training, looks and optimisers about included."""
    batch, times, other = domains.batch(rows, 0, "pace"), [], deepcopy(one)
    for _ in range(8):
        start = time.process_time()
        for player in other.players:
            other.loss(player, batch).backward()
        times.append(time.process_time() - start)
    return 1.2 * sorted(times)[4]


def seconds(one: Translator) -> float:
    """Of one thread for a large frame, the median of some."""
    x = torch.ones(1, 3, *FRAME)
    x[:, 0] = torch.rand(FRAME, generator=stream(0, "frame"))
    images, times = Images(x, torch.zeros(1, one.plan.shape.conditions)), []
    for _ in range(9):
        start = time.perf_counter()
        one.translate(images, NAMES[1])
        times.append(time.perf_counter() - start)
    return sorted(times)[4]


def features(one: Translator, clean: Tensor, seen: Artefacts) -> dict[str, Any]:
    """Energy distances of held-out images from the other domain, before and after, with the probability of as much by
    chance; the halves compared have no pair in common.
    """
    first, second, n = images(clean), of(seen), len(clean) // 2
    found = {}
    for k, (source, domain) in enumerate(((second, first), (first, second))):
        valid = domain.x[:n, 2]  # gaps of others than those compared with
        some = Images(source.x[:n], source.condition[:n])
        own = one.look(one.seen(k, Images(domain.x[n:], domain.condition[n:])).x)
        made = Images(one.drawn(some, NAMES[k], valid, seed=4), some.condition)
        after = one.look(one.seen(k, made).x)
        before = one.look(networks.whole(one.seen(1 - k, some).x, some.x[:, 2] * valid))
        usual = distance(own[: n // 2], own[n // 2 :])
        found[f"to {NAMES[k]}"] = {
            "before": distance(before, own)._asdict(),
            "after": distance(after, own)._asdict(),
            "halves_of_domain": usual._asdict(),
            "diversity": diversity(after, own),
        }
    return found


def against_truth(
    translators: Mapping[str, Translator], domains: Unpaired, clean: Tensor, seen: Artefacts, paired: Made
) -> dict[str, Any]:
    """How far all methods are from the truth, in both directions."""
    first, second = images(clean), of(seen)
    everywhere = torch.ones_like(seen.valid)
    ways = (
        (NAMES[0], second, clean, seen.valid, domains.first),
        (NAMES[1], first, seen.expected, everywhere, domains.second),
    )
    found, best = {}, seen.signal + (seen.expected - seen.signal).mean(0)
    for name, source, truth, valid, domain in ways:
        methods: dict[str, Made] = {"identity": lambda each: each.x[:, 0], "linear": linear(domain)}
        methods |= {
            kind: (lambda each, one=one, to=name: one.translate(each, to).level) for kind, one in translators.items()
        }  # type: ignore[misc]
        methods |= {"best": lambda _: best} if name == NAMES[1] else {"autoencoder of pairs": paired}
        found[f"to {name}"] = {
            label: scores(method(source).double(), truth, valid > 0) for label, method in methods.items()
        }
    return found


def linear(domain: Domain) -> Made:
    """The best guess from principal components of the images of a domain, gaps filled with their mean."""
    x = domain.every(stream(0, "all")).x
    level, valid = x[:, 0].flatten(1), x[:, 2].flatten(1)
    mean = (level * valid).sum(0) / valid.sum(0).clamp(min=1)
    guess = LinearGuess(level.shape[1], COMPONENTS)
    guess.fit(torch.where(valid > 0, level, mean))

    def made(each: Images) -> Tensor:
        y = each.x.flatten(2)
        noise = torch.where(y[:, 1] == 0, 0.05, y[:, 1].exp())
        return guess.made(guess(y[:, 0], y[:, 2] / noise**2)).reshape(each.x[:, 0].shape)

    return made


def images(level: Tensor) -> Images:
    """Clean maps as images."""
    return Domain.of(level).every(stream(0, "all"))


def of(seen: Artefacts) -> Images:
    """Maps with artefacts as images."""
    return seen.domain().every(stream(0, "all"))


def draw(translators: Mapping[str, Translator], clean: Tensor, seen: Artefacts, file: Path) -> None:
    """Six held-out pairs, and what each translator makes of them."""
    first, second = images(clean), of(seen)
    rows = {"clean": clean, "expected": seen.expected, "measured": second.x[:, 0]}
    for kind, one in translators.items():
        rows[f"{kind}: to artefacts"] = one.translate(first, NAMES[1]).level
        rows[f"{kind}: to clean"] = one.translate(second, NAMES[0]).level
    figure, axes = plt.subplots(len(rows), 6, figsize=(12, 2 * len(rows)), squeeze=False)
    for line, (label, each) in zip(axes, rows.items(), strict=True):
        for k, axis in enumerate(line):
            axis.imshow(torch.asinh(each[k]).T, origin="lower", vmin=0, vmax=2.5, aspect="auto")
            axis.set(xticks=[], yticks=[], ylabel=label if k == 0 else "")
    figure.tight_layout()
    figure.savefig(file)


if __name__ == "__main__":
    sys.exit(main())
