"""Two-stage learning of powder phonon maps: autoencoders, heads on their latents, transfer, measured aluminium.

    python -m benchmarks.phonon_latents --json FILE [--quick] [--folder DIR] [--figure PNG] [--parts theirs ...]

*theirs*: the setting of Su and Li (arXiv:2404.13507), 5 force constants of aluminium within 50 % of published ones, no
noise: regressors on latents of dense and convolutional, plain and variational autoencoders, and a flow; gaps of mutual
information by weight of the Kullback-Leibler term. *measured*: an encoder that has seen wear, a flow and the likelihood
on held-out simulations; measured maps at 50, 280 and 540 K before and after fine-tuning on the first and the last, and
maps of two other spectrometers that nothing saw. *family*: an extractor of five structures, another that never saw
diamond, and heads for silicon from 200 simulations. Errors are in standard deviations of the prior: 1 knows nothing.

DIR keeps simulations and networks: what is there is not made again. `--quick` only shows that it runs.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import phonon_latents_al as al
from benchmarks import phonon_latents_family as broad
from benchmarks import phonon_latents_measured as seen
from benchmarks import phonon_latents_theirs as theirs
from benchmarks.phonon_latents_theirs import Sizes
from sqwirrel.learn.latent.gap import information
from sqwirrel.record import Record
from sqwirrel.report.figures import save
from sqwirrel.report.figures.networks import traversal_sheet

PARTS: dict[str, Callable[[Path, Sizes], dict[str, Any]]] = {
    "theirs": theirs.run,
    "measured": seen.run,
    "family": broad.run,
}
STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Two-stage learning of powder phonon maps.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few simulations and steps")
    parser.add_argument("--folder", type=Path, help="where simulations and networks are kept")
    parser.add_argument("--figure", type=Path, help="picture of what each of the telling latents does")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if not al.FOLDER.exists():
        raise SystemExit(f"phonon_latents needs {al.FOLDER}, which is not here: nothing was run")
    torch.set_num_threads(1)
    record, sizes = Record.start(seeds={"train": 1, "validation": 2, "held out": 3}), Sizes.of(quick=options.quick)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        result = {name: PARTS[name](folder, sizes) for name in options.parts}
        if options.figure:
            draw(folder, sizes, result["theirs"]["ours"]["body"], options.figure)
    whole = {"benchmark": "phonon_latents", "quick": options.quick, **result, "record": json.loads(record.to_json())}
    print(json.dumps({name: each for name, each in whole.items() if name != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(whole, indent=1) + "\n")


def draw(folder: Path, sizes: Sizes, body: str, file: Path) -> None:
    """For each force constant the latent that tells most of it, from low to high, the others at their means."""
    beliefs, names = al.prior(), list(al.published())
    learn = theirs.maps(folder / "al", sizes.rows, 1, beliefs)
    vae, _ = theirs.autoencoder(folder / "theirs" / body, *theirs.bodies()[body], learn, sizes)
    held = theirs.maps(folder / "al_held", sizes.held, 3, beliefs)
    latents = vae.latents(theirs.images(held))
    told = information(latents.double(), held.z.double())
    chosen = [int(k) for k in told.argmax(0)]
    labels = [
        f"latent {k}: {name}, {told[k, p]:.2f} nat" for p, (k, name) in enumerate(zip(chosen, names, strict=True))
    ]
    made = torch.stack([_moved(latents, k, vae.decode) for k in chosen])
    save(traversal_sheet(made.double(), STEPS, labels, al.experiment().measurement, al.coverage()), file)


def _moved(latents: Tensor, k: int, decode: Callable[[Tensor], Tensor]) -> Tensor:
    """Maps with one latent at each of the steps."""
    rows = latents.mean(0).repeat(len(STEPS), 1)
    rows[:, k] += torch.tensor(STEPS) * latents[:, k].std()
    with torch.no_grad():
        return decode(rows)


if __name__ == "__main__":
    sys.exit(main())
