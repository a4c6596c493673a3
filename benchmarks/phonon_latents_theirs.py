"""The setting of Su and Li: autoencoders, regressors on their latents, a flow, on simulations without noise."""

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks import phonon_latents_al as al
from benchmarks.keeping import kept
from benchmarks.phonon_latents_likelihood import DRAWS, STARTS, refined
from sqwirrel.learn.embed import Image
from sqwirrel.learn.latent.gap import gap
from sqwirrel.learn.latent.heads import Told, as_image, posterior, regressor
from sqwirrel.learn.latent.maps import Maps, always, image
from sqwirrel.learn.latent.vae import VAE, Schedule, misses
from sqwirrel.learn.npe import NPE, Regressor
from sqwirrel.learn.train import Effort, train
from sqwirrel.model.prior import Prior
from sqwirrel.seeds import stream
from sqwirrel.simulate.crosssection import bose

METHODS = {
    "FCAE": ("dense", 0.0),
    "FCVAE": ("dense", 1e-6),
    "CNNAE": ("convolutional", 0.0),
    "CNNVAE": ("convolutional", 1e-6),
}
BETAS = (("CNNVAE", 1e-5), ("CNNVAE", 1e-4), ("FCVAE", 1e-4), ("FCVAE", 1e-3))
"""Further weights."""
FRESH = 13
"""Seed of the simulations that the flow is judged by: how it begins was changed after a look at those of the others."""
NOISE = 0.01
"""Standard deviation, over the range of a map, of what is added for a likelihood: without noise there is none."""
LEVELS = (0.5, 0.68, 0.9, 0.95)
BATCH = 64


@dataclass(frozen=True)
class Sizes:
    """How much of everything; `quick` is for a look at whether it runs."""

    rows: int = 10_000
    held: int = 1000
    steps: int = 1200
    head: int = 2000
    flow: int = 3000
    family: int = 1500
    few: int = 200
    tuning: int = 200
    refined: int = 100
    bodies: int = 8

    @classmethod
    def of(cls, *, quick: bool) -> "Sizes":
        """Full, or the least."""
        return cls(64, 32, 2, 10, 4, 16, 24, 2, 0, 1) if quick else cls()


def run(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Errors of every method on held-out simulations; what validation prefers gets a flow."""
    beliefs = al.prior()
    learn, valid, held = (
        maps(folder / name, rows, seed, beliefs)
        for name, rows, seed in (("al", sizes.rows, 1), ("al_valid", sizes.held, 2), ("al_held", sizes.held, 3))
    )
    combined = combinations(beliefs)
    every = dict(list(bodies().items())[: sizes.bodies])
    found = {}
    for name, (kind, beta) in every.items():
        vae, seconds = autoencoder(folder / "theirs" / name, kind, beta, learn, sizes)
        print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
        own = kept(folder / "theirs" / f"{name}.json", lambda: method(vae, learn, valid, held, beliefs, sizes))  # noqa: B023
        alone = gap(vae.latents(images(held)).double(), beliefs.standard(held.z.double()) @ combined)
        found[name] = {**own, "gap_of_combinations": alone.tolist(), "training_s": seconds}
    best = min(found, key=lambda name: found[name]["normalised"]["validation"])
    fresh = maps(folder / "al_fresh", sizes.held, FRESH, beliefs)
    ours = kept(
        folder / "theirs" / "ours.json", lambda: with_flow(folder, best, every[best], learn, fresh, beliefs, sizes)
    )
    return {
        "names": list(beliefs.names),
        "combinations": combined.T.tolist(),
        "sizes": asdict(sizes),
        "methods": found,
        "ours": ours,
    }


def combinations(beliefs: Prior) -> Float[Tensor, "parameter combination"]:
    """What a map with the same noise in every bin says of the constants, best known first: eigenvectors of the Fisher
    information, in units of the prior's standard deviations, once scale and level are fitted.
    """
    simulator, n = al.experiment(), len(beliefs.names)
    at = simulator.pack(**al.published(), **al.WIDTHS, scale=1.0, **dict.fromkeys(simulator.linear[1:], 0.0))
    slope = simulator.linearise(at).slope[0]
    weight = bose(simulator.measurement.energy_centres, simulator.measurement.temperature or 0.0)
    J = (slope / weight)[:, al.coverage()]
    J, under = J[:n] * beliefs.sd[:, None], J[simulator.names.index("scale") :][:2]
    J = J - J @ torch.linalg.pinv(under) @ under
    return torch.linalg.eigh(J @ J.T).eigenvectors.flip(1)


def bodies() -> dict[str, tuple[str, float]]:
    """Kind of body and weight of each autoencoder."""
    return {**METHODS, **{f"{name} {beta:g}": (METHODS[name][0], beta) for name, beta in BETAS}}


def maps(folder: Path, rows: int, seed: int, beliefs: Prior) -> Maps:
    """Simulations as they had them: no noise, one mask; parameters themselves."""
    theta, level = al.simulated(folder, rows, seed, beliefs)
    return Maps(level.float(), theta.float(), always(al.coverage()))


def autoencoder(folder: Path, kind: str, beta: float, learn: Maps, sizes: Sizes) -> tuple[VAE, float]:
    """Trained, or as it was kept, and the seconds that it took."""
    vae = VAE(al.SHAPE, kind, schedule=Schedule(beta, sizes.steps // 5))
    history = train(vae, learn, effort(sizes.steps), folder)
    return vae.requires_grad_(requires_grad=False), history.seconds


def effort(steps: int, batch: int = BATCH) -> Effort:
    """Looks at held-out rows ten times."""
    return Effort(steps=steps, batch=batch, every=max(1, steps // 10), patience=10)


def method(vae: VAE, learn: Maps, valid: Maps, held: Maps, beliefs: Prior, sizes: Sizes) -> dict[str, Any]:
    """Reconstruction, regressors on labels as they are and normalised, latent draws as an uncertainty, gap."""
    told, seen, x = Told.of(vae, learn), Told.of(vae, valid), images(held)
    truth, result = beliefs.standard(held.z.double()), dict[str, Any]()
    for how, labels in (("as they are", lambda z: z), ("normalised", lambda z: beliefs.standard(z.double()).float())):
        head = regressor(Told(labels(told.z), told.x))
        clock = time.perf_counter()
        train(head, Told(labels(told.z), told.x), effort(sizes.head, 256))
        seconds = time.perf_counter() - clock

        def answer(latents: Tensor, head: Regressor = head, raw: bool = how == "as they are") -> Tensor:
            with torch.no_grad():
                found = head(as_image(latents)).double()
            return beliefs.standard(found) if raw else found

        draws = torch.stack([answer(each) for each in vae.draws(x, DRAWS, seed=1)])
        result[how] = {
            "rmse": rms(answer(vae.latents(x)) - truth),
            "validation": sum(rms(answer(seen.x[:, 0, 0]) - beliefs.standard(valid.z.double()))) / truth.shape[1],
            "coverage_of_latent_draws": covered(draws, truth) if vae.is_variational else None,
            "head_s": seconds,
        }
    made = misses(vae.made(x), x)
    latents = vae.latents(x).double()
    return {
        **result,
        "reconstruction": float(made.mean().sqrt()),
        "active": int((latents.std(0) > 0.05 * latents.std(0).max()).sum()),
        "gap": gap(latents, truth).tolist(),
    }


def with_flow(
    folder: Path, best: str, how: tuple[str, float], learn: Maps, held: Maps, beliefs: Prior, sizes: Sizes
) -> dict[str, Any]:
    """A posterior on the latents that validation prefers."""
    vae, seconds = autoencoder(folder / "theirs" / best, *how, learn, sizes)
    told = Told.of(vae, learn)
    lessons = Told(beliefs.unconstrain(told.z.double()).float(), told.x)
    first = regressor(Told(beliefs.standard(told.z.double()).float(), told.x))
    train(first, Told(beliefs.standard(told.z.double()).float(), told.x), effort(sizes.head, 256))
    flow = posterior(lessons, like=first)
    history = train(flow, lessons, effort(3 * sizes.flow // 2, 256), folder / "theirs" / "flow")
    x, truth = images(held), held.z.double()
    clock = time.perf_counter()
    draws = drawn(flow, vae, x, beliefs)
    each = (time.perf_counter() - clock) / len(x)
    found = {"body": best, **judged(draws, truth, beliefs), "training_s": seconds + history.seconds, "seconds": each}
    refines = sizes.refined > 0
    return {**found, "likelihood": with_likelihood(draws, x[: sizes.refined], truth, beliefs) if refines else None}


def with_likelihood(draws: Tensor, x: Image, truth: Tensor, beliefs: Prior) -> dict[str, Any]:
    """The same maps with a little noise, by the exact likelihood, from where the flow pointed."""
    noise = NOISE * torch.randn(x[:, 0].shape, generator=stream(5, "noise"))
    worn, simulator, n = image(x[:, 0] + noise, x[:, 2] > 0), al.experiment(), len(x)
    every = [refined(simulator, worn[k], NOISE, draws[:STARTS, k], beliefs) for k in range(n)]
    found = judged(torch.stack([each.draws for each in every], 1), truth[:n], beliefs)
    return {"rows": n, "noise": NOISE, **found, "seconds": sum(each.seconds for each in every) / n}


def drawn(flow: NPE, vae: VAE, x: Image, beliefs: Prior) -> Float[Tensor, "draw row parameter"]:
    """Parameters that a flow holds likely, map by map."""
    parts = [flow.sample(as_image(vae.latents(part)), DRAWS, 1) for part in torch.split(x, 256)]
    z = torch.cat(parts).double()
    return beliefs.constrain(z.flatten(0, 1)).reshape(z.shape).movedim(1, 0)


def judged(draws: Float[Tensor, "draw row parameter"], truth: Tensor, beliefs: Prior) -> dict[str, Any]:
    """Errors of medians in standard deviations of the prior, and how many truths are in central intervals."""
    middle = draws.quantile(0.5, dim=0)
    width = draws.quantile(0.84, dim=0) - draws.quantile(0.16, dim=0)
    return {
        "rmse": rms((middle - truth) / beliefs.sd),
        "width": (width.mean(0) / 2 / beliefs.sd).tolist(),
        "coverage": covered(draws, truth),
    }


def images(known: Maps) -> Image:
    """Every map once."""
    return known.every(torch.Generator()).x


def rms(x: Float[Tensor, "row parameter"]) -> list[float]:
    """Root mean square of each column."""
    found: list[float] = x.square().mean(0).sqrt().tolist()
    return found


def covered(draws: Float[Tensor, "draw row parameter"], truth: Tensor) -> dict[str, list[float]]:
    """Share of truths in central intervals, by their level in per cent."""
    found = {}
    for level in LEVELS:
        low, high = (draws.quantile(0.5 + side * level / 2, dim=0) for side in (-1, 1))
        found[f"{100 * level:.0f}"] = ((truth >= low) & (truth <= high)).double().mean(0).tolist()
    return found
