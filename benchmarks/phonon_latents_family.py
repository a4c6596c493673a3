"""One extractor for many crystals, and what it is worth for one that it never saw: silicon from 200 simulations."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.keeping import kept as kept_in
from benchmarks.phonon_latents_al import FOLDER
from benchmarks.phonon_latents_theirs import Sizes, effort, rms
from sqwirrel.learn.embed import MapEmbedding
from sqwirrel.learn.kept.store import read_shard, write_shard
from sqwirrel.learn.latent.canvas import SHAPE, Canvas, kinematic
from sqwirrel.learn.latent.family import CRYSTALS, rows_of
from sqwirrel.learn.latent.heads import Told, regressor
from sqwirrel.learn.latent.maps import Maps, Wear, always
from sqwirrel.learn.latent.vae import VAE, Schedule, misses
from sqwirrel.learn.npe import Regressor
from sqwirrel.learn.train import train
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.laws import Uniform
from sqwirrel.model.phonon.born_von_karman import bonds_of, model_of, values_of
from sqwirrel.model.phonon.files import read_force_constants
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.prior import Prior
from sqwirrel.model.symmetry import BondOrbit
from sqwirrel.seeds import stream
from sqwirrel.simulate.phonon.phonons import Phonons

WEAR = Wear(noise=0.05, slope=0.1, rise=0.2, soft=0.5)
COPIES = 16
"""Times that each of few simulations is worn for a head."""
FILE = FOLDER.parent / "al_si" / "Si-prim-555.json"
REACH = 0.72
"""Springs of silicon reach second neighbours, at this many lattice constants."""
BETA = 1e-6
CLOSE = 0.05
"""Two places closer than this, A, are one."""


@dataclass(frozen=True)
class Silicon:
    """Silicon as simulated: model, prior, and the highest energy (meV) that a user would read off a map."""

    model: PhononModel
    beliefs: Prior
    top: float


def run(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Extractors with and without diamond, their reconstruction by structure, and heads for silicon."""
    sets = {name: family(folder / "family" / name, name, sizes.family) for name in CRYSTALS}
    extractors, seconds = dict[str, VAE](), dict[str, float]()
    for name, kinds in {"all five": tuple(sets), "no diamond": tuple(k for k in sets if k != "diamond")}.items():
        extractors[name], seconds[name] = extractor(folder / "family" / f"vae {name}", [sets[k] for k in kinds], sizes)
        print(f"extractor, {name}: {seconds[name]:.0f} s", file=sys.stderr, flush=True)
    missed = {
        name: {k: float(reconstruction(vae, family(folder / "family" / f"{k} held", k, sizes.held // 4, seed=8)))
               for k in sets} for name, vae in extractors.items()
    }  # fmt: skip
    own = silicon()
    few, held = (
        of_silicon(own, folder / "family" / f"silicon {n}", n, seed) for n, seed in ((sizes.few, 11), (sizes.held, 12))
    )
    return {
        "names": list(own.model.names),
        "silicon": {name: own.model.defaults[name] for name in own.model.names},
        "simulations": {"family": sizes.family, "silicon": len(few), "held": len(held)},
        "extractor_s": seconds,
        "reconstruction": missed,
        "methods": kept_in(folder / "family.json", lambda: compared(extractors, few, held, own.beliefs, sizes)),
    }


def family(folder: Path, structure: str, rows: int, seed: int = 7) -> Maps:
    """Maps of a structure, kept."""
    file = folder.with_suffix(".safetensors")
    kept = read_shard(file)
    if kept is None or len(kept["level"]) < rows:
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = {"level": rows_of(structure, rows, seed)[1]}
        write_shard(file, kept)
        print(f"{structure}: {rows} maps", file=sys.stderr, flush=True)
    return Maps(kept["level"][:rows], torch.zeros(rows, 0), kinematic, WEAR)


def extractor(folder: Path, sets: list[Maps], sizes: Sizes) -> tuple[VAE, float]:
    """Trained on maps of several structures."""
    level = torch.cat([each.level for each in sets])
    mixed = torch.randperm(len(level), generator=stream(0, "mixed"))
    vae = VAE(SHAPE, schedule=Schedule(BETA, sizes.steps // 5))
    learn = Maps(level[mixed], torch.zeros(len(level), 0), kinematic, WEAR)
    history = train(vae, learn, effort(2 * sizes.steps), folder)
    return vae.requires_grad_(requires_grad=False), history.seconds


def reconstruction(vae: VAE, known: Maps) -> Tensor:
    """Root mean square error of held-out maps, in units of their range."""
    batch = known.every(stream(1, "held"))
    return misses(vae.made(batch.x), batch.clean).mean().sqrt()


def silicon() -> Silicon:
    """First-principles force constants to second neighbours, each within 50 %."""
    full = read_force_constants(FILE)
    a = (4 * full.cell.volume) ** (1 / 3)
    crystal = Crystal.from_spacegroup([a] * 3 + [90.0] * 3, 227, {"Si": (1 / 8, 1 / 8, 1 / 8)})
    springs, place = full.springs[0], full.positions @ full.cell.vectors
    step = springs.offset.to(place) @ full.cell.vectors + place[springs.j] - place[springs.i]
    orbits, values = bonds_of(crystal, REACH * a), dict[str, float]()
    sides = torch.where(springs.i == 0, 1, -1) * _side(step[(springs.i == 0) & (springs.j == 1)])
    for orbit in orbits:
        way = (
            crystal.positions[orbit.j[0]] + orbit.offset[0] - crystal.positions[orbit.i[0]]
        ) @ crystal.lattice.vectors
        side = _side(_neighbours(crystal, orbits[0], int(orbit.i[0])))
        forth = ((step - way).norm(dim=1) < CLOSE) & (sides == side)
        back = ((step + way).norm(dim=1) < CLOSE) & (torch.where(springs.i == springs.j, sides, -sides) == side)
        at = int((forth | back).nonzero()[0])
        values |= values_of(orbit, springs.matrix[at] if bool(forth[at]) else springs.matrix[at].T)
    model = model_of(crystal, orbits, name="silicon", title="silicon", defaults=values)
    beliefs = Prior(**{k: Uniform(x - abs(x) / 2, x + abs(x) / 2, "N/m") for k, x in values.items()})
    q = torch.rand(200, 3, generator=stream(0, "q"), dtype=torch.float64)
    return Silicon(model, beliefs, float(Phonons(model, q).energies(model.pack()).max()))


def _side(steps: Float[Tensor, "bond 3"]) -> int:
    """Which of the two sublattices has neighbours there: the sign of x y z of the nearest ones."""
    nearest = steps[steps.norm(dim=1).argmin()]
    return int(torch.sign(nearest.prod()))


def _neighbours(crystal: Crystal, orbit: BondOrbit, site: int) -> Float[Tensor, "bond 3"]:
    """Ways from a site along an orbit."""
    step = (crystal.positions[orbit.j] + orbit.offset - crystal.positions[orbit.i]) @ crystal.lattice.vectors
    return torch.cat((step[orbit.i == site], -step[orbit.j == site]))


def of_silicon(own: Silicon, folder: Path, rows: int, seed: int) -> Maps:
    """Simulated maps of silicon on the canvas, with one assumed highest energy; springs that hold."""
    file = folder.with_suffix(".safetensors")
    kept = read_shard(file)
    if kept is None:
        theta, level, k = list[Tensor](), list[Tensor](), 0
        while sum(map(len, theta)) < rows:
            drawn = own.beliefs.sample(64, seed + 1000 * k)
            maps, stable = Canvas.of(own.model, k).maps(drawn, stream(seed, f"silicon {k}"), own.top)
            theta, level, k = [*theta, drawn[stable]], [*level, maps[stable]], k + 1
        kept = {"theta": torch.cat(theta)[:rows], "level": torch.cat(level)[:rows]}
        write_shard(file, kept)
    cover = kinematic(1, stream(5, "one spectrometer"))[0]
    return Maps(kept["level"], own.beliefs.standard(kept["theta"]).float(), always(cover), WEAR)


def compared(extractors: dict[str, VAE], few: Maps, held: Maps, beliefs: Prior, sizes: Sizes) -> dict[str, Any]:
    """Errors on held-out simulations, in standard deviations of the prior, from the same few simulations."""
    clock = time.perf_counter()
    own = VAE(SHAPE, schedule=Schedule(BETA, max(1, sizes.steps // 10)))
    train(own, few, effort(sizes.steps // 2))
    own.requires_grad_(requires_grad=False)
    spent = time.perf_counter() - clock
    found = {
        f"extractor of {name}, head": with_head(vae, few, held, sizes) for name, vae in extractors.items()
    } | {"both from scratch": with_head(own, few, held, sizes)}  # fmt: skip
    found["both from scratch"]["seconds"] += spent
    embed = MapEmbedding((1, *SHAPE))
    embed.fit(few.batch(len(few), 0, "moments").x)
    plain = Regressor(embed, len(beliefs.names))
    clock = time.perf_counter()
    train(plain, few, effort(sizes.steps // 2))
    batch = held.every(stream(2, "held"))
    with torch.no_grad():
        answer = torch.cat([plain(x) for x in torch.split(batch.x, 256)])
    return {**found, "regressor from scratch": _scored(answer, batch.z, time.perf_counter() - clock)}


def with_head(vae: VAE, few: Maps, held: Maps, sizes: Sizes) -> dict[str, Any]:
    """A regressor on frozen latents."""
    clock = time.perf_counter()
    told = Told.of(vae, few, copies=COPIES)
    head = regressor(told)
    train(head, told, effort(sizes.head, 256))
    seen = Told.of(vae, held, seed=2)
    with torch.no_grad():
        return _scored(head(seen.x), seen.z, time.perf_counter() - clock)


def _scored(answer: Float[Tensor, "row parameter"], truth: Tensor, seconds: float) -> dict[str, Any]:
    error = rms((answer - truth).double())
    return {"rmse": error, "mean": sum(error) / len(error), "seconds": seconds}
