"""Which model of Pr(Ca0.9Sr0.1)2Mn2O7: networks on simulated frames and on the measured one.

    python -m benchmarks.pcsmo_discrimination --json FILE [--quick] [--folder DIR] [--rows 4000] [--held 2000]

Goodenough, dimer and Zener polaron on the folded frame (`pcsmo_rivals`), stable draws of the priors of the original
study. Two contests from the same simulations: `counts`, frames counted at 480 to 480 000 magnetic counts; `measured`,
frames with the coverage and the errors of the measured one, robust noise. A network is trained for the first, a
committee for the second.
Reported: on held-out simulations of each model, by counts, accuracy, expected calibration error, Brier score,
the shares of all answers above 99 %, and wrong above 99 %, three-way and Goodenough against dimer; for the measured
frame, and for frames unlike any of these models, probabilities, disagreement, and how likely a simulated frame is as
strange. If DIR has the posteriors of `benchmarks.pcsmo_evidence`, both answers together are the verdict.

Simulations and weights are kept in DIR and not made again.
"""

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.datasets import load_digits
from torch import Tensor

from benchmarks import pcsmo_evidence
from benchmarks import pcsmo_rivals as rivals
from benchmarks.pcsmo_frame import DATA
from benchmarks.pcsmo_rivals import told
from sqwirrel.infer.verdict import STRANGE
from sqwirrel.learn import pairs as learn_pairs
from sqwirrel.learn.pairs import Simulations
from sqwirrel.learn.rivals import Classifier, Committee, Contest
from sqwirrel.learn.strange import Jury, auroc
from sqwirrel.learn.train import Effort, train
from sqwirrel.model import library
from sqwirrel.observe import Experiment
from sqwirrel.record import Record
from sqwirrel.spectra import Spectrum

TRAINED, HELD_OUT = 1, 20261151
"""Seeds of the simulations that are learnt from, and of those that are judged; nobody had looked at the latter."""
COUNTS = (5_000, 20_000, 100_000)
BINS = 24_000
SURE = 0.99
SCORED = 5
"""Batches of 200 held-out frames whose strangeness is judged."""
QUICK, FULL = (
    {"rows": 16, "held": 16, "steps": 4, "members": 1, "images": 24},
    {"rows": 4000, "held": 2000, "steps": 600, "members": 2, "images": 1024},
)
BATCH = 64


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    options, sizes = asked_for(argparse.ArgumentParser(description="Which model of PCSMO."))
    with tempfile.TemporaryDirectory() as scratch:
        kept = kept_in(options, scratch)
        result = run(kept, sizes, quick=options.quick)
    print(json.dumps({key: value for key, value in result.items() if key != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def asked_for(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, dict[str, int]]:
    """The options of the command line, and the sizes that they ask for."""
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few simulations, a few steps")
    parser.add_argument("--folder", type=Path, help="where simulations and networks are kept, posteriors found")
    for name, value in FULL.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("this benchmark needs ../shared/data/pcsmo, which is not here: nothing was run")
    return options, QUICK if options.quick else {name: getattr(options, name) for name in FULL}


def kept_in(options: argparse.Namespace, scratch: str) -> Path:
    """The folder asked for, or a scratch one; what is quick is apart from what is not."""
    folder: Path = options.folder or Path(scratch)
    return folder / "quick" if options.quick else folder


def run(folder: Path, sizes: dict[str, int], *, quick: bool) -> dict[str, Any]:
    """Both contests."""
    clock, record = time.perf_counter(), Record.start(seeds={"train": TRAINED, "held out": HELD_OUT})
    made, held = simulations_of(folder, sizes, quick=quick)
    told(f"simulated, {time.perf_counter() - clock:.0f} s")
    level, data = rivals.levels(made["goodenough"]), rivals.measured()
    counted = rivals.contest(made, lambda kind, label: rivals.counted(kind, label, level))
    committee, cost = trained(counted, folder / "counts", {**sizes, "members": 1})
    jury = measured_jury(made, data, level, folder / "measured", sizes)
    return {
        "benchmark": "pcsmo_discrimination",
        "quick": quick,
        "sizes": sizes,
        "stable": {name: each.stable for name, each in made.items()},
        "network": cost,
        "by_counts": by_counts(committee, held, level),
        **on_measured(jury, held, data, level),
        "verdict": pcsmo_evidence.verdict(folder, data, jury),
        "threads": torch.get_num_threads(),
        "record": json.loads(record.to_json()),
    }


def simulations_of(
    folder: Path, sizes: dict[str, int], *, quick: bool
) -> tuple[dict[str, Simulations], dict[str, Simulations]]:
    """Of all rivals: those that are learnt from, and those that are judged; a quick run judges the same."""
    if quick:
        learn_pairs.SHARD = sizes["rows"]
    made, held = (
        {name: rivals.simulated(name, folder, sizes[which], seed) for name in rivals.RIVALS}
        for which, seed in (("rows", TRAINED), ("held", TRAINED if quick else HELD_OUT))
    )
    return made, held


def trained(contest: Contest, folder: Path, sizes: dict[str, int]) -> tuple[Committee, dict[str, Any]]:
    """A committee, and what it cost."""
    members, seconds = [], []
    for k in range(sizes["members"]):
        member = Classifier.sized_for(contest, k)
        effort = Effort(steps=sizes["steps"], batch=BATCH, every=max(1, sizes["steps"] // 8), seed=k)
        history = train(member, contest, effort, folder / f"member-{k}", lambda *step: told(f"{folder.name} {step}"))
        member.fit_temperature(contest, k, 2 * sizes["images"])
        members.append(member)
        seconds.append(history.seconds)
    size = sum(each.numel() for each in members[0].parameters())
    return Committee(members), {"parameters": size, "members": len(members), "training_minutes": sum(seconds) / 60}


def measured_jury(
    made: dict[str, Simulations],
    data: dict[str, Spectrum],
    level: dict[str, float],
    folder: Path,
    sizes: dict[str, int],
) -> Jury:
    """Networks for frames that were measured like the one that was."""
    contest = rivals.contest(made, lambda kind, label: rivals.as_measured(kind, label, level, data), data)
    return Jury.of(trained(contest, folder, sizes)[0], contest, images=sizes["images"])


def by_counts(committee: Committee, held: dict[str, Any], level: dict[str, float]) -> dict[str, Any]:
    """Held-out frames at some counts, and without noise at the highest that were learnt from."""
    found = {}
    for n in (*COUNTS, rivals.MOST * BINS):
        contest = rivals.contest(held, lambda kind, label, n=n: rivals.counted(kind, label, level, n / BINS))
        p, truth = asked(committee, contest, clean=n not in COUNTS)
        pair = truth < 2
        both = p[pair][:, :2] / p[pair][:, :2].sum(1, keepdim=True)
        found[f"{n:.0f}" if n in COUNTS else "without noise"] = {
            "three": scores(p, truth),
            "goodenough or dimer": scores(both, truth[pair]),
        }
    return found


def asked(committee: Committee, contest: Contest, *, clean: bool = False) -> tuple[Tensor, Tensor]:
    """Probabilities of every held-out frame, and which model made it."""
    p, truth = [], []
    for k in range(math.ceil(len(contest) / 200)):
        batch = contest.batch(min(200, len(contest)), HELD_OUT, f"judged {k}")
        p.append(committee.probability(batch.clean if clean else batch.x))
        truth.append(batch.rival)
    return torch.cat(p), torch.cat(truth)


def scores(p: Float[Tensor, "frame rival"], truth: Tensor) -> dict[str, Any]:
    """Accuracy, expected calibration error (15 bins of the largest probability), Brier score, and wrong beyond 99 %;
    mean probability, share of right answers and number of frames in each bin, for a reliability diagram.
    """
    sure, answer = p.max(1)
    right = (answer == truth).double()
    bins = (sure * 15).long().clamp(max=14)
    each = [(right[bins == k], sure[bins == k]) for k in range(15)]
    ece = sum(abs(float((hit - told).sum())) for hit, told in each) / len(p)
    one_hot = torch.nn.functional.one_hot(truth, p.shape[1])
    wrong = (sure > SURE) & (right == 0)
    return {
        "n": len(p),
        "accuracy": float(right.mean()),
        "ece": ece,
        "brier": float(((p - one_hot) ** 2).sum(1).mean()),
        "false_decisive": float(wrong.double().mean()),
        "decisive": float((sure > SURE).double().mean()),
        "reliability": [[float(told.mean()), float(hit.mean()), len(hit)] for hit, told in each if len(hit)],
    }


def on_measured(jury: Jury, held: dict[str, Any], data: dict[str, Spectrum], level: dict[str, float]) -> dict[str, Any]:
    """The measured frame, held-out ones like it, and strange ones."""
    contest = rivals.contest(held, lambda kind, label: rivals.as_measured(kind, label, level, data), data)
    p, truth = asked(jury.committee, contest)
    usual = [
        jury.familiar.likelier(contest.batch(min(200, len(contest)), HELD_OUT, f"judged {k}").x)
        for k in range(min(SCORED, math.ceil(len(contest) / 200)))
    ]
    inside = torch.cat(usual)
    frames = strange_frames(data)
    strange = {name: jury.opinion(each) for name, each in frames.items()}
    image = next(iter(jury.contest.pairs.values())).image
    outside = torch.cat([jury.familiar.likelier(image(each)) for each in frames.values()])
    return {
        "like_measured": scores(p, truth),
        "measured": jury.opinion(data).mapping(),
        "auroc": auroc(-inside, -outside),
        "rejected_inside": float((inside < STRANGE).double().mean()),
        "strange": {name: each.mapping() for name, each in strange.items()},
    }


def strange_frames(data: dict[str, Spectrum]) -> dict[str, dict[str, Spectrum]]:
    """Frames that none of these models made, scaled to the mean of the measured one."""
    rng, found = np.random.default_rng(1), {}
    for name in ("fraken-data-norm", "fraken-data-unnorm", "cleaned-20"):
        found[name] = as_frame(np.load(DATA / f"{name}.npy"), data)
    everywhere = {label: each.intensity.numpy() for label, each in data.items()}
    found["noise"] = like(data, {k: rng.permuted(x, axis=None) for k, x in everywhere.items()})
    found["planes in another order"] = like(data, {k: x[:, rng.permutation(x.shape[1])] for k, x in everywhere.items()})
    found |= {"digits": digits(data), "Rb2MnF4": another_crystal(data)}
    found["energies mixed up"] = like(data, dict(zip(data, list(everywhere.values())[::-1], strict=True)))
    return found


def digits(data: dict[str, Spectrum]) -> dict[str, Spectrum]:
    """Handwritten digits (of scikit-learn, 8 x 8 pixels), another one on every plane."""
    images, side = load_digits().images[: 10 * len(data)], rivals.SIDE
    at = np.arange(side) * 8 // side
    planes = images[:, at][:, :, at].reshape(len(data), 10, side * side).transpose(0, 2, 1)
    return like(data, dict(zip(data, planes, strict=True)))


def another_crystal(data: dict[str, Spectrum]) -> dict[str, Spectrum]:
    """Rb2MnF4 in this cell: modes below 8 meV, on a background of a tenth of their mean."""
    model = replace(library.load("rb2mnf4"), lattice=rivals.model("dimer").lattice)
    seen = rivals.simulator("dimer", counts=False, of=model)
    values = {}
    for label, each in seen.experiments.items():
        assert isinstance(each, Experiment)
        with torch.no_grad():
            theta = each.pack(**{**model.defaults, **dict.fromkeys(each.names[len(model.names) :], 1.0)})
            signal = each.signal(theta).expected[0]
        values[label] = (signal + 0.1 * signal.mean() + 1e-6).numpy()
    return like(data, values)


def as_frame(values: np.ndarray, data: dict[str, Spectrum]) -> dict[str, Spectrum]:
    """An array of the frame's shape, folded."""
    tiles = np.nan_to_num(values).reshape(6, 40, 10, 40).transpose(0, 1, 3, 2)
    quarter = [np.mean([np.flip(tile, axes) for axes in rivals.MIRRORS], axis=0)[20:, 20:] for tile in tiles]
    return like(data, {label: each.reshape(400, 10) for label, each in zip(data, quarter, strict=True)})


def like(data: dict[str, Spectrum], values: dict[str, np.ndarray]) -> dict[str, Spectrum]:
    """Other intensities on the bins of the data, with their mean."""
    found = {}
    for label, spectrum in data.items():
        new = torch.from_numpy(np.ascontiguousarray(values[label], dtype=float))
        new = new * (spectrum.intensity[spectrum.valid].mean() / new[spectrum.valid].mean().clamp(min=1e-9))
        found[label] = Spectrum.from_arrays(new, spectrum.error, spectrum.measurement, valid=spectrum.valid)
    return found


if __name__ == "__main__":
    main()
