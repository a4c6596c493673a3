"""Whether `match` refuses what is not like the maps that a translator learnt from.

    python -m benchmarks.match_domain --json FILE [--quick]

Three domains of simulated maps: those with artefacts of `benchmarks.match_maps` ("rb2mnf4"), the paths of
`benchmarks.pcsmo_like` with noise ("pcsmo"), and the frame of `benchmarks.pcsmo_rivals` at 70 meV, its ten windows side
by side, with the errors and the gaps of the measured one ("frame"). Inside are maps of other simulations of the same
kind. Outside are windows of measured maps (PCSMO, the two `fraken` frames, MnF2, La2NiO4), simulations of the other
domains, digits, noise. They would be told by their scale, errors and gaps alone; so each is brought to the grid, and
gets the root mean square, the errors (by the rank of levels) and the gaps of a map of the domain: only what is in the
picture can be told. Each is looked at as it is, and with noise of its errors on top.

What is refused does not depend on training: features are those of a random network. No translator is trained here.
Beside it: how far the measured PCSMO frame is from the simulated ones, and what is said of maps that are nearly those
of "rb2mnf4": blurred to 1.6 of their width, 1 meV higher, with a quarter of the counts.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from benchmarks import pcsmo_like, pcsmo_rivals
from benchmarks.match_maps import COUNTS, SHARP, artefacts, signals
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.translate.domain import Domain, Images, Unpaired, frame_of
from sqwirrel.learn.translate.inside import Matcher
from sqwirrel.learn.translate.networks import gaussian
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.model.laws import Fixed
from sqwirrel.model.prior import Prior
from sqwirrel.record import Record
from sqwirrel.seeds import stream

DATA = Path(__file__).parents[2] / "shared" / "data"
EI = "ei70"
LEVEL = 0.0077
"""Usual mean signal of the frame, at unit scale: it says what scales are drawn."""
KNOWN, FRESH, CROPS = 51, 52, 53
"""Seeds of what is known, of what is asked about (clean maps of rb2mnf4: ten more), and of windows."""
ACROSS = 5
"""Windows of the frame beside each other; the other five stand below."""


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="What is outside the domain of a translator.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few maps")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("match_domain needs ../shared/data, which is not here: nothing was run")
    torch.set_num_threads(1)
    result = run(options.quick)
    print(json.dumps({name: each for name, each in result.items() if name != "record"}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def run(quick: bool) -> dict[str, Any]:
    """All three domains."""
    record = Record.start(seeds={"domains": KNOWN, "inside": FRESH, "windows": CROPS})
    rows, held, n = (60, 60, 8) if quick else (8192, 2048, 200)
    known, fresh = domains(rows, KNOWN), domains(held, FRESH)
    foreign = pictures(fresh, n)
    found: dict[str, Any] = {}
    for name, (clean, seen) in known.items():
        matcher = Matcher.of(Translator.sized_for(Unpaired(clean, seen)), Unpaired(clean, seen))
        inside = fresh[name][1].every(stream(4, name))
        others = {k: x for k, x in foreign.items() if k != name}
        made = {k: disguised(x, inside, noisy=False) for k, x in others.items()}
        with_noise = {k: disguised(x, inside, noisy=True) for k, x in others.items()}
        clock = time.perf_counter()
        share = refused(matcher, inside)
        found[name] = {
            "maps": len(seen),
            "held_out": len(matcher.inside[1].held),
            "seconds_per_map": (time.perf_counter() - clock) / len(inside.x),
            "inside_refused": share,
            "outside_refused": {k: refused(matcher, x) for k, x in made.items()},
            "outside_refused_with_noise": {k: refused(matcher, x) for k, x in with_noise.items()},
        }
        if name == "rb2mnf4":
            found[name]["nearly_inside_refused"] = {k: refused(matcher, x) for k, x in nearly(n).items()}
        if name == "frame":
            found[name]["measured"] = of_measured(matcher)
    return {"benchmark": "match_domain", "quick": quick, **found, "record": json.loads(record.to_json())}


def refused(matcher: Matcher, images: Images) -> float:
    """The share of some images that is outside the second domain."""
    return float((matcher.share(images, 1)[1] < matcher.inside[1].least).double().mean())


def domains(rows: int, seed: int) -> dict[str, tuple[Domain, Domain]]:
    """Clean maps and those as measured."""
    like = pcsmo_like.simulator()
    pairs = Pairs(simulations(like, pcsmo_like.prior(like), rows, seed))
    return {
        "rb2mnf4": (Domain.of(signals(SHARP, rows, 10 + seed)), artefacts(rows, seed).domain()),
        "pcsmo": (Domain.expected(pairs), Domain.noisy(pairs)),
        "frame": frames(rows, seed),
    }


def frames(rows: int, seed: int) -> tuple[Domain, Domain]:
    """Simulated frames at one incident energy, in the bins and with the errors of the measured one."""
    simulator, data = pcsmo_rivals.simulator("goodenough", counts=False).experiments[EI], pcsmo_rivals.measured()
    free = {**pcsmo_rivals.model("goodenough").prior.free, **Prior.from_mapping(pcsmo_rivals.NUISANCES).free}
    held = {"scale": 1.0, "background": 0.0, "background_measured": 0.0}
    made = simulations(simulator, Prior(**free, **{k: Fixed(x) for k, x in held.items()}), rows, seed)
    usual = {EI: LEVEL}
    laws = Prior.from_mapping({kind: pcsmo_rivals.as_measured(kind, EI, usual, data) for kind in held})
    theta = torch.cat((made.theta, torch.zeros(len(made), len(held)).double()), dim=1)
    pairs = Pairs(replace(made, prior=Prior(**free, **laws.free), theta=theta), data[EI])
    return _laid(Domain.expected(pairs)), _laid(Domain.noisy(pairs))


def _laid(domain: Domain) -> Domain:
    shape = tuple(tiled(torch.zeros(1, *domain.shape)).shape[1:])
    return replace(domain, shape=shape, draw=lambda rows, generator: tiled(domain.draw(rows, generator)))


def tiled(x: Tensor) -> Tensor:
    """(h, k, window) as windows side by side, in two rows."""
    *front, h, k, count = x.shape
    laid = x.reshape(-1, h, k, count // ACROSS, ACROSS).permute(0, 3, 1, 4, 2)
    return laid.reshape(*front, h * count // ACROSS, k * ACROSS)


def pictures(fresh: Mapping[str, tuple[Domain, Domain]], n: int) -> dict[str, Tensor]:
    """Images from elsewhere, by what they are; of a measured map random windows of half its sides to all of it."""
    pcsmo, mnf2 = DATA / "pcsmo", scipy.io.loadmat(DATA / "mnf2" / "mnf2_powder.mat")
    maps = {
        "pcsmo_measured": np.load(pcsmo / "unnorm-expt-clipped-120.npy"),
        "fraken_norm": np.load(pcsmo / "fraken-data-norm.npy")[0, 0],
        "fraken_unnorm": np.load(pcsmo / "fraken-data-unnorm.npy")[0, 0],
        "mnf2_measured": mnf2["y"],
        "la2nio4_measured": np.genfromtxt(DATA / "la2nio4" / "Sqw_path2.csv", delimiter=","),
    }
    found = {name: windows(torch.from_numpy(np.nan_to_num(each).astype(float)), n) for name, each in maps.items()}
    found |= {name: seen.part(slice(n)).every(stream(5, name)).x[:, 0].double() for name, (_, seen) in fresh.items()}
    found["digits"] = torch.from_numpy(load_digits().images[: 5 * n])
    found["noise"] = torch.rand(n, 64, 64, generator=stream(6, "noise"), dtype=torch.float64)
    return found


def windows(picture: Tensor, n: int) -> Tensor:
    """Random parts of a picture, all brought to one size."""
    generator, found = stream(CROPS, "windows"), []
    for _ in range(n):
        part = picture
        for axis in range(2):
            side = part.shape[axis]
            size = int(torch.randint(side // 2, side + 1, (), generator=generator))
            part = part.narrow(axis, int(torch.randint(side - size + 1, (), generator=generator)), size)
        found.append(resized(part[None], (120, 120))[0])
    return torch.stack(found)


def resized(x: Tensor, sides: tuple[int, ...]) -> Tensor:
    """On another grid, linearly."""
    return torch.nn.functional.interpolate(x[:, None], size=sides, mode="bilinear", antialias=True)[:, 0]


def disguised(x: Tensor, domain: Images, *, noisy: bool) -> Images:
    """On the grid, and with the size, the errors and the gaps, of maps of a domain."""
    like = domain.x[torch.arange(len(x)) % len(domain.x)].double()
    level, valid = resized(x, tuple(like.shape[2:])).clamp(min=0), like[:, 2]
    usual = [((each**2 * valid).sum((1, 2)) / valid.sum((1, 2))).sqrt()[:, None, None] for each in (like[:, 0], level)]
    level = level * usual[0] / usual[1].clamp(min=1e-12)
    order = torch.where(valid > 0, level, -torch.inf).flatten(1).argsort(1)
    rank = torch.where(valid > 0, like[:, 0], -torch.inf).flatten(1).argsort(1)
    errors = torch.zeros_like(level).flatten(1).scatter(1, order, like[:, 1].exp().flatten(1).gather(1, rank))
    errors = errors.reshape(level.shape)
    if noisy:
        level = level + errors * torch.randn(level.shape, generator=stream(7, "noise"), dtype=level.dtype)
    return Domain.of(level, errors, valid > 0).every(stream(0, "all"))


def nearly(n: int) -> dict[str, Images]:
    """Maps of "rb2mnf4" that are a little different."""
    seen, generator = artefacts(n, FRESH), stream(8, "nearly")

    def counted(expected: Tensor, counts: float = COUNTS) -> Images:
        y = torch.poisson(counts * expected, generator=generator)
        made = Domain.of(y / counts, y.clamp(min=1).sqrt() / counts, seen.valid.bool())
        return made.every(stream(0, "all"))

    cover = gaussian(torch.ones_like(seen.expected), 2, 4.0)  # 4 bins: 1.2 meV more, in squares, beside 0.9
    return {
        "the_same": counted(seen.expected),
        "blurred": counted(gaussian(seen.expected, 2, 4.0) / cover),
        "higher_by_1_meV": counted(torch.cat((seen.expected[..., :8], seen.expected[..., :-8]), 2)),
        "a_quarter_of_the_counts": counted(seen.expected, COUNTS / 4),
    }


def of_measured(matcher: Matcher) -> dict[str, float]:
    """How far the measured frame is from the simulated ones."""
    data, inside = pcsmo_rivals.measured()[EI], matcher.inside[1]
    x = tiled(frame_of(data))[None]
    distance, share = matcher.share(Images(x, torch.zeros(1, 0)), 1)
    return {
        "distance": distance[0].tolist(),
        "held_out_median": inside.held.median(0).values.tolist(),
        "held_out_most": inside.held[-1].tolist(),
        "share_as_far": float(share),
        "refused": bool(share < inside.least),
    }


if __name__ == "__main__":
    sys.exit(main())
