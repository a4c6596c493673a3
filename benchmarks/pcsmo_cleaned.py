"""What cleaning an image does to the answer: frames of the PCSMO models raw, autoencoded, translated.

    python -m benchmarks.pcsmo_cleaned --json FILE [--quick] [--folder DIR] [--frames 1000] [--minutes 10]
                                       [--posterior raw autoencoder translator]

DIR is the folder of `benchmarks.pcsmo_discrimination`, whose simulations and networks are used (made if they are not
there). The linear guess (principal components, each as far as noise lets it be told) and a denoising autoencoder, which
begins as that guess, learn from the frames that were simulated as the measured one was measured; `restored` frames are
between a frame and what the autoencoder makes of it, as the errors of both say. The translator
(`benchmarks.pcsmo_translated`, so many minutes of work of one thread) learns without pairs. Reported: mean squared
error on held-out frames, in units of the noise; what the committee that was trained on raw frames says of cleaned ones
(accuracy, calibration), and what one that was trained on frames without noise says; their answers for the measured
frame, raw and cleaned, and how strange each is; whether the translator would refuse it; with `--posterior` the
constants of the Goodenough model from each. Nothing else in the project infers from cleaned data.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from benchmarks import pcsmo_discrimination, pcsmo_evidence, pcsmo_rivals, pcsmo_translated
from benchmarks.pcsmo_discrimination import BATCH, HELD_OUT, TRAINED, asked_for, kept_in, scores
from benchmarks.pcsmo_rivals import told
from sqwirrel.infer import infer, store
from sqwirrel.learn.embed import Image
from sqwirrel.learn.rivals import Committee, Contest
from sqwirrel.learn.strange import Denoiser, Gaps, Jury
from sqwirrel.learn.train import Effort, train
from sqwirrel.learn.translate.inside import Matcher
from sqwirrel.record import Record
from sqwirrel.spectra import Spectrum

GAPS = Gaps(pixels=0.02, blocks=0.05)
VALID = 2
KINDS = ("raw", "linear", "autoencoder", "restored", "translator")
Cleaner = Callable[[Image], Tensor]


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="What cleaning does to the answer.")
    parser.add_argument("--frames", type=int, default=1000, help="held-out ones")
    parser.add_argument("--minutes", type=float, default=10.0, help="training of the translator, at most")
    parser.add_argument("--posterior", nargs="*", default=[], choices=KINDS, help="infer from such frames, too")
    options, sizes = asked_for(parser)
    with tempfile.TemporaryDirectory() as scratch:
        kept = kept_in(options, scratch)
        frames = 16 if options.quick else options.frames
        result = run(kept, sizes, frames, options)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(folder: Path, sizes: dict[str, int], frames: int, options: argparse.Namespace) -> dict[str, Any]:
    """All that is reported."""
    quick: bool = options.quick
    record = Record.start(seeds={"train": TRAINED, "held out": HELD_OUT})
    made, held = pcsmo_discrimination.simulations_of(folder, sizes, quick=quick)
    data, level = pcsmo_rivals.measured(), pcsmo_rivals.levels(made["goodenough"])
    jury = pcsmo_discrimination.measured_jury(made, data, level, folder / "measured", sizes)
    contest = pcsmo_rivals.contest(held, lambda kind, label: pcsmo_rivals.as_measured(kind, label, level, data), data)
    cleaners, seconds = cleaners_of(jury.contest, folder / "denoiser", max(1, sizes["steps"] // 2))
    both = pcsmo_translated.domains(jury.contest)
    minutes = None if quick else options.minutes
    translator, cost = pcsmo_translated.trained(both, folder / "translator", minutes)
    cleaners["translator"] = partial(pcsmo_translated.translated, translator)
    still, judges = pcsmo_translated.Still(jury.contest.pairs), {"raw": jury.committee}
    judges["without noise"] = pcsmo_discrimination.trained(still, folder / "still", {**sizes, "members": 1})[0]
    image = next(iter(jury.contest.pairs.values())).image(data)
    shown = {"raw": data, **{name: cleaned_data(each, jury, data) for name, each in cleaners.items()}}
    return {
        "benchmark": "pcsmo_cleaned",
        "quick": quick,
        "sizes": {**sizes, "frames": frames},
        "training_minutes": seconds / 60,
        "translator": {**cost, "measured": pcsmo_translated.inside(Matcher.of(translator, both), image)},
        "held_out": {name: on_held_out(each, contest, cleaners, frames) for name, each in judges.items()},
        "measured_by_network_without_noise": {
            name: dict(zip(contest.names, judges["without noise"].probability(x)[0].tolist(), strict=True))
            for name, x in {"raw": image, **{name: cleaned(each, image) for name, each in cleaners.items()}}.items()
        },
        "measured": {name: jury.opinion(each).mapping() for name, each in shown.items()},
        "posterior": {name: constants(folder, name, shown[name]) for name in options.posterior},
        "record": json.loads(record.to_json()),
    }


def cleaners_of(contest: Contest, folder: Path, steps: int) -> tuple[dict[str, Cleaner], float]:
    """The linear guess, the autoencoder and what it restores, and the seconds that it was trained."""
    measurements = next(iter(contest.pairs.values())).measurements
    linear, network = (Denoiser.sized_for(contest, measurements, GAPS) for _ in range(2))
    effort = Effort(steps=steps, batch=BATCH, every=max(1, steps // 4), seed=0)
    history = train(network, contest, effort, folder, lambda *step: told(f"autoencoder {step}"))
    restored = partial(network.restored, left=network.left(contest))
    return {"linear": linear.denoised, "autoencoder": network.denoised, "restored": restored}, history.seconds


def cleaned(cleaner: Cleaner, x: Image) -> Image:
    """Images with the intensities that a denoiser makes of them."""
    found = x.clone()
    found[:, 0] = torch.where(x[:, VALID] > 0, cleaner(x), 0.0)
    return found


def on_held_out(judge: Committee, contest: Contest, cleaners: dict[str, Cleaner], frames: int) -> dict[str, Any]:
    """Errors of images and of answers."""
    kinds = ("raw", *cleaners)
    p: dict[str, list[Tensor]] = {name: [] for name in kinds}
    error: dict[str, list[Tensor]] = {name: [] for name in kinds}
    truth = []
    for k in range(-(-frames // BATCH)):
        batch = contest.batch(BATCH, HELD_OUT, f"cleaned {k}")
        images = {"raw": batch.x, **{name: cleaned(each, batch.x) for name, each in cleaners.items()}}
        truth.append(batch.rival)
        for name, x in images.items():
            p[name].append(judge.probability(x))
            error[name].append(_away(x, batch.clean))
    return {
        name: {**scores(torch.cat(p[name]), torch.cat(truth)), "squared_error": float(torch.cat(error[name]).mean())}
        for name in kinds
    }


def _away(x: Image, clean: Image) -> Float32[Tensor, " frame"]:
    valid = x[:, VALID]
    return (((x[:, 0] - clean[:, 0]) * torch.exp(-x[:, 1]) * valid) ** 2).sum((1, 2)) / valid.sum((1, 2))


def cleaned_data(cleaner: Cleaner, jury: Jury, data: dict[str, Spectrum]) -> dict[str, Spectrum]:
    """Measurements with the intensities that a denoiser makes of them, and their own errors."""
    pairs = next(iter(jury.contest.pairs.values()))
    level = torch.split(cleaner(pairs.image(data))[0, :, 0].double(), [each.valid.numel() for each in data.values()])
    return {
        label: Spectrum.from_arrays(_as_measured(part, each), each.error, each.measurement, valid=each.valid)
        for part, (label, each) in zip(level, data.items(), strict=True)
    }


def _as_measured(level: Float[Tensor, " bin"], spectrum: Spectrum) -> Float[Tensor, "point energy"]:
    return level.reshape(spectrum.valid.shape) * spectrum.error[spectrum.valid].median()


def constants(folder: Path, name: str, data: dict[str, Spectrum]) -> dict[str, list[float]]:
    """Constants of the Goodenough model, medians and 95 % intervals."""
    file = pcsmo_evidence.posterior_file(folder, "goodenough" if name == "raw" else f"goodenough, {name}")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        hypothesis = pcsmo_rivals.hypothesis("goodenough", data)
        settings = replace(pcsmo_evidence.SETTINGS, guesses=(pcsmo_rivals.published("goodenough"),))
        store.save(file, infer(hypothesis.simulator, hypothesis.prior, data, settings))
    rows = store.load(file).summary()
    return {row.name: [row.median, *row.interval95] for row in rows if row.unit == "meV"}


if __name__ == "__main__":
    sys.exit(main())
