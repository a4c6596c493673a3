"""Translators between other kinds of images, on generated ones whose truth is known.

    python -m benchmarks.match_techniques --json FILE [--quick] [--minutes 2] [--figure PNG]

*phonons*: lines of a harmonic crystal like PbTe, and the same lines as wide as anharmonicity makes them, on a
background, in counts. *lattice*: columns of atoms in any direction, and as an electron microscope with few electrons
sees them. *filtered*: such noisy images after a low pass, and as they were. *bands*: bands of electrons, and as a
photoelectron spectrometer sees them. Images of both kinds are written to folders (.npy) and read from there, unpaired;
only held-out ones are pairs. Reported are root mean square distance over that of the truth, structural similarity, and
intensity over the true one, before and after; towards what is seen the truth is what is expected there without noise.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from benchmarks.match import pace
from benchmarks.match_scores import similarity
from sqwirrel.learn.train import Effort, train
from sqwirrel.learn.translate.domain import Domain, Unpaired
from sqwirrel.learn.translate.networks.instrument import spread
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.record import Record
from sqwirrel.seeds import stream

SIDE = 64
"""Pixels along both axes."""
NAMES = ("clean", "seen")
BATCH = 4


class Case(NamedTuple):
    """Images of both kinds: what is clean, what is expected of it in the other kind, and what was counted there."""

    clean: Tensor
    expected: Tensor
    seen: Tensor


class Technique(NamedTuple):
    """Makes pairs of so many rows, and counts of a level of 1 in the second kind."""

    made: Callable[[int, torch.Generator], Case]
    exposure: float


def main() -> None:
    """Runs the examples, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Translators between other kinds of images.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few images and steps")
    parser.add_argument("--figure", type=Path, help="picture of held-out images and their translations")
    parser.add_argument("--minutes", type=float, default=2.0, help="training of each, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    record, rows, held = Record.start(seeds={"train": 1, "held out": 2}), *((40, 10) if options.quick else (800, 128))
    found, shown = {}, {}
    for name, technique in TECHNIQUES.items():
        found[name], shown[name] = judged(name, technique, rows, held, None if options.quick else options.minutes)
        print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
    result = {"benchmark": "match_techniques", "quick": options.quick, "images": rows, "held_out": held}
    result |= {"techniques": found, "record": json.loads(record.to_json())}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.figure:
        draw(shown, options.figure)


def judged(
    name: str, technique: Technique, rows: int, held: int, minutes: float | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A translator of a technique against the truth, and some images."""
    with tempfile.TemporaryDirectory() as scratch:
        domains = Unpaired(*folders(name, technique, rows, Path(scratch)))
    one = Translator.sized_for(domains, NAMES, "instrument")
    steps = 20 if minutes is None else int(60 * minutes / pace(one, domains, BATCH))
    history = train(one, domains, Effort(steps=steps, batch=BATCH, every=max(1, steps // 10), patience=10**6))
    case = technique.made(held, stream(2, name))
    images = domain(case.seen, technique.exposure).every(stream(0, ""))
    back = one.translate(images, NAMES[0]).level
    there = one.translate(Domain.of(case.clean).every(stream(0, "")), NAMES[1]).level
    told = {
        "minutes": history.seconds / 60,
        "steps": steps,
        "to clean": {"before": score(case.seen, case.clean), "after": score(back, case.clean)},
        "to seen": {"before": score(case.clean, case.expected), "after": score(there, case.expected)},
        "doubts": one.doubts,
    }
    return told, {"clean": case.clean, "seen": case.seen, "seen to clean": back, "clean to seen": there}


def folders(name: str, technique: Technique, rows: int, scratch: Path) -> tuple[Domain, Domain]:
    """Images of both kinds by way of files; their rows have nothing to do with each other."""
    generator = stream(1, name)
    for folder, level in (
        ("clean", technique.made(rows, generator).clean),
        ("seen", technique.made(rows, generator).seen),
    ):
        (scratch / folder).mkdir()
        for k, each in enumerate(level):
            np.save(scratch / folder / f"{k:05d}.npy", each.numpy())
    return Domain.from_folder(scratch / "clean"), Domain.from_folder(scratch / "seen", technique.exposure)


def domain(level: Tensor, exposure: float) -> Domain:
    """Counts as images."""
    return Domain.of(level, (exposure * level).clamp(min=1).sqrt() / exposure)


def score(made: Tensor, truth: Tensor) -> dict[str, float]:
    """Distance, structure, and intensity over the true one."""
    made, truth = made.double(), truth.double()
    away = ((made - truth) ** 2).sum((1, 2)) / (truth**2).sum((1, 2))
    return {
        "nrmse": float(away.sqrt().mean()),
        "ssim": float(similarity(made, truth, torch.ones_like(truth, dtype=torch.bool))),
        "intensity": float((made.sum((1, 2)) / truth.sum((1, 2))).mean()),
    }


def counted(expected: Tensor, exposure: float, generator: torch.Generator) -> Tensor:
    """In units of the level."""
    return torch.poisson(exposure * expected, generator=generator) / exposure


def even(rows: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Numbers between limits, one an image."""
    return low + (high - low) * torch.rand(rows, 1, 1, generator=generator)


def phonons(rows: int, generator: torch.Generator) -> Case:
    """Acoustic and optical branches along a line of the zone; the optical one is softest and widest at its centre."""
    q, energy = torch.linspace(0.02, 0.5, SIDE)[:, None], torch.linspace(0, 15, SIDE)
    sine = torch.sin(math.pi * q)
    top, gap, high = (even(rows, *limits, generator) for limits in ((6, 8), (2.5, 4.5), (9, 12)))
    branches = ((top * sine, 1.0, 0.3 + 0 * q), (torch.sqrt(gap**2 + (high**2 - gap**2) * sine**2), 1.5, 1.6 - 2 * q))
    sharp, wide = torch.zeros(rows, SIDE, SIDE), torch.zeros(rows, SIDE, SIDE)
    for mode, weight, width in branches:
        height = weight * even(rows, 0.7, 1.3, generator) * 5 / mode.clamp(min=1)
        sharp = sharp + height * torch.exp(-0.5 * ((energy - mode) / 0.25) ** 2) / (0.25 * math.sqrt(2 * math.pi))
        half = (width + 0.3) / 2
        wide = wide + height * half / math.pi / ((energy - mode) ** 2 + half**2)
    expected = wide + 0.1 + 0.1 * torch.exp(-energy / 5)
    return Case(sharp, expected, counted(expected, 40.0, generator))


def columns(rows: int, generator: torch.Generator) -> Tensor:
    """Columns of atoms: a lattice of any axes, direction and origin; one image in three has a column missing."""
    x, y = (at - SIDE / 2 for at in torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij"))
    n, found = torch.cartesian_prod(torch.arange(-9, 10), torch.arange(-9, 10)).float(), torch.zeros(rows, SIDE, SIDE)
    limits = ((0, math.pi), (8, 12), (1.2, math.pi / 2), (0.85, 1.15), (0, 10), (0, 10))
    drawn = torch.cat([even(rows, *each, generator) for each in limits], dim=1)[..., 0]
    for row, (turn, length, angle, ratio, *origin) in enumerate(drawn):
        axes = torch.stack((torch.stack((turn.cos(), turn.sin())), ratio * torch.stack(
            ((turn + angle).cos(), (turn + angle).sin()))))  # fmt: skip
        at = length * n @ axes + torch.stack(origin)
        at = at[(at.abs() < SIDE / 2 + 6).all(1)]
        at = at[at.norm(dim=1) > at.norm(dim=1).min()] if row % 3 == 0 else at
        away = (x[..., None] - at[:, 0]) ** 2 + (y[..., None] - at[:, 1]) ** 2
        found[row] = torch.exp(-0.5 * away / 1.3**2).sum(-1)
    return found


def lattice(rows: int, generator: torch.Generator) -> Case:
    """A microscope spreads columns, adds a support that is thicker at one side, and counts few electrons."""
    clean = columns(rows, generator)
    support = 0.15 + 0.1 * torch.linspace(0, 1, SIDE)
    expected = spread(spread(clean, 1, torch.tensor(1.3)), 2, torch.tensor(1.3)) + support
    return Case(clean, expected, counted(expected, 12.0, generator))


def filtered(rows: int, generator: torch.Generator) -> Case:
    """Noisy lattice images behind a low pass, and before it; nobody knows what was filtered out."""
    before = lattice(rows, generator)
    k = torch.fft.fftfreq(SIDE)
    passed = (k[:, None] ** 2 + k**2 < LOW**2).float()
    after = torch.fft.ifft2(torch.fft.fft2(before.seen) * passed).real
    return Case(after, before.expected, before.seen)


LOW = 0.16
"""Highest spatial frequency that passes, per pixel: above the first reflections of the lattices."""


def bands(rows: int, generator: torch.Generator) -> Case:
    """Two bands on the whole zone, sharp, and with lifetimes, resolution, a Fermi edge and a background."""
    k, energy = torch.linspace(-1, 1, SIDE)[:, None], torch.linspace(-1.5, 0.25, SIDE)
    fermi = torch.sigmoid(-energy / 0.02)
    sharp, wide = torch.zeros(rows, SIDE, SIDE), torch.zeros(rows, SIDE, SIDE)
    for low, high in ((-1.3, -0.9), (-0.7, -0.4)):
        bottom, width = even(rows, low, high, generator), even(rows, 0.3, 0.9, generator)
        mode, weight = bottom + width * torch.sin(math.pi * k / 2) ** 2, even(rows, 0.6, 1.4, generator)
        sharp = sharp + weight * torch.exp(-0.5 * ((energy - mode) / 0.035) ** 2)
        half = 0.05 + 0.04 * mode**2
        wide = wide + weight * 0.035 * math.sqrt(2 / math.pi) * half / ((energy - mode) ** 2 + half**2)
    expected = wide * fermi + 0.06 * fermi + 0.02
    return Case(sharp * fermi, expected, counted(expected, 60.0, generator))


TECHNIQUES = {
    "phonons": Technique(phonons, 40.0),
    "lattice": Technique(lattice, 12.0),
    "filtered": Technique(filtered, 12.0),
    "bands": Technique(bands, 60.0),
}


def draw(shown: dict[str, dict[str, Tensor]], file: Path) -> None:
    """Two held-out images of every technique: clean, seen, and translated, on the colours of what they should be."""
    kinds = list(next(iter(shown.values())))
    figure, axes = plt.subplots(len(kinds), 2 * len(shown), figsize=(3.2 * len(shown), 1.7 * len(kinds)))
    for column, (name, each) in enumerate(shown.items()):
        for line, kind in enumerate(kinds):
            top = float(each[kind.split()[-1]][:2].max())
            for k, axis in enumerate(axes[line][2 * column : 2 * column + 2]):
                axis.imshow(each[kind][k].T, origin="lower", vmin=0, vmax=top, aspect="auto")
                axis.set(xticks=[], yticks=[], title="" if line or k else name, ylabel="" if column or k else kind)
    figure.tight_layout()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
