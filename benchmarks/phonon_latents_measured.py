"""Measured maps: an encoder that has seen wear, a flow, what fine-tuning on other maps changes, and the likelihood."""

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks import phonon_latents_al as al
from benchmarks.keeping import kept
from benchmarks.phonon_latents_likelihood import refined
from benchmarks.phonon_latents_theirs import METHODS, Sizes, autoencoder, drawn, effort, judged, maps
from sqwirrel import read
from sqwirrel.learn.embed import Image
from sqwirrel.learn.latent.adapt import adapted
from sqwirrel.learn.latent.heads import Told, as_image, posterior, regressor
from sqwirrel.learn.latent.maps import Maps, Wear, always, image
from sqwirrel.learn.latent.vae import VAE, Schedule, misses
from sqwirrel.learn.npe import NPE
from sqwirrel.learn.strange.familiar import Familiar, Mahalanobis
from sqwirrel.learn.train import Effort, train
from sqwirrel.model.prior import Prior
from sqwirrel.seeds import stream
from sqwirrel.simulate.crosssection import bose
from sqwirrel.spectra import QShells

WEAR = Wear(noise=0.06, slope=0.15, rise=0.3, soft=0.5)
GAPS = 0.3
"""At most this share of the bins is left out at random, so that hidden bins are nothing new."""
COPIES = 4
TUNED = (50, 540)
"""Temperatures, K, of maps that encoders are fine-tuned on; they never see that at 280 K."""
HOW = ("before", "after", "after, simulated maps kept", "likelihood")
OTHERS = {"MARI, 5 K": ("aluminium_Ei60.nxspe", 5.0), "ARCS, 300 K": ("Al-iqe.h5", 300.0)}
"""Experiments on other spectrometers, which nothing learns from."""
NOISE = 0.04
"""Of simulated maps that the likelihood looks at: about that of the measured ones."""
PUBLISHED = "4.6 % from 50 to 640 K"


class Ours(NamedTuple):
    """An encoder and a flow on its latents, simulations to judge by, and the seconds that training took."""

    vae: VAE
    flow: NPE
    held: Maps
    beliefs: Prior
    seconds: float


def run(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """All that is reported of measured maps."""
    ours = trained(folder, sizes)
    print(f"encoder and flow for measured maps: {ours.seconds:.0f} s", file=sys.stderr, flush=True)
    x, truth = seen(ours.held), ours.held.z.double()
    shown, names = {**of_theirs(), **of_others()}, ours.beliefs.names
    tune = Effort(steps=sizes.tuning, batch=16, every=max(1, sizes.tuning // 10))
    learn = torch.cat([shown[f"{t} K"] for t in TUNED])
    others = maps(folder / "al_free_valid", sizes.held, 5, ours.beliefs)
    stay = seen(Maps(others.level, others.z, others.cover, WEAR))
    alone, _ = adapted(ours.vae, learn, tune, folder / "measured" / "alone")
    tuned, history = adapted(ours.vae, learn, tune, folder / "measured" / "tuned", known=stay)
    result = {
        "names": list(names),
        "held_out": judged(drawn(ours.flow, ours.vae, x, ours.beliefs), truth, ours.beliefs),
        "training_s": ours.seconds,
        "tuning_s": history.seconds,
        "published": {**al.published(), "softening": PUBLISHED},
        "theirs": kept(folder / "measured" / "theirs.json", lambda: by_theirs(folder, shown, sizes)),
        "before": kept(folder / "measured" / "before.json", lambda: by_flow(ours, ours.vae, shown)),
        "after": kept(folder / "measured" / "after.json", lambda: by_flow(ours, alone, shown)),
        "after, simulated maps kept": kept(
            folder / "measured" / "after, simulated maps kept.json", lambda: by_flow(ours, tuned, shown)
        ),
        "likelihood": {
            f"{t} K": kept(folder / "measured" / f"{t}.json", lambda: by_likelihood(ours, t, shown[f"{t} K"]))  # noqa: B023
            for t in (al.CELLS if sizes.refined else ())
        },
        "simulated": kept(folder / "measured" / "simulated.json", lambda: on_simulated(ours, max(1, sizes.refined))),
    }
    return {
        **result,
        "softening_50_to_540": {name: softening(result[name]) for name in HOW},
    }


def trained(folder: Path, sizes: Sizes) -> Ours:
    """From simulations with unknown widths, worn as measured maps are."""
    beliefs = al.prior(wide=True, nuisances=True)
    plain, valid = maps(folder / "al_free", sizes.rows, 4, beliefs), al.coverage()

    def gaps(rows: int, generator: torch.Generator) -> Tensor:
        share = GAPS * torch.rand(rows, 1, 1, generator=generator)
        return valid & (torch.rand(rows, *valid.shape, generator=generator) >= share)

    vae = VAE(al.SHAPE, schedule=Schedule(1e-6, sizes.steps // 5))
    history = train(
        vae, Maps(plain.level, plain.z, gaps, WEAR), effort(3 * sizes.steps // 2), folder / "measured" / "vae"
    )
    vae.requires_grad_(requires_grad=False)
    clock = time.perf_counter()
    told = Told.of(vae, Maps(plain.level, plain.z, always(valid), WEAR), copies=COPIES)
    lessons = Told(beliefs.unconstrain(told.z.double()).float(), told.x, COPIES)
    flow = posterior(lessons)
    spent = history.seconds + time.perf_counter() - clock
    more = train(flow, lessons, effort(sizes.flow, 256), folder / "measured" / "flow")
    held = maps(folder / "al_free_held", sizes.held, 6, beliefs)
    return Ours(vae, flow, Maps(held.level, held.z, always(valid), WEAR), beliefs, spent + more.seconds)


def seen(known: Maps) -> Image:
    """Every map once, worn."""
    return known.every(stream(0, "judged")).x


def of_theirs() -> dict[str, Image]:
    """The measured maps of Su and Li."""
    valid = al.coverage()
    return {f"{t} K": image(al.even(level, valid).level, valid[None]) for t, level in al.measured().items()}


def of_others() -> dict[str, Image]:
    """Maps of other spectrometers, each bin what was measured at its centre, as chi''."""
    found, points = {}, (al.Q[1:] + al.Q[:-1]) / 2
    for name, (file, temperature) in OTHERS.items():
        data = read(al.FOLDER.parent / "al_si" / file)
        if not isinstance(data.measurement.points, QShells):
            continue
        E = (al.ENERGY[1:] + al.ENERGY[:-1]) / 2
        row, inside = _bins(data.measurement.points.edges, points)
        column, within = _bins(data.measurement.energy, E)
        valid = data.valid[row][:, column] & inside[:, None] & within & al.coverage()
        level = (data.intensity[row][:, column] / bose(E, temperature)).float()[None]
        found[name] = image(al.even(level, valid).level, valid[None])
    return found


def _bins(edges: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    place = torch.bucketize(at, edges) - 1
    return place.clamp(0, len(edges) - 2), (place >= 0) & (place < len(edges) - 1)


def by_theirs(folder: Path, shown: dict[str, Image], sizes: Sizes) -> dict[str, Any]:
    """What regressors on their autoencoders say of the maps, with normalised labels."""
    beliefs = al.prior()
    learn, found = maps(folder / "al", sizes.rows, 1, beliefs), dict[str, Any]()
    for name, how in list(METHODS.items())[: sizes.bodies]:
        vae, _ = autoencoder(folder / "theirs" / name, *how, learn, sizes)
        told = Told.of(vae, learn)
        lessons = Told(beliefs.standard(told.z.double()).float(), told.x)
        head = regressor(lessons)
        train(head, lessons, effort(sizes.head, 256))
        with torch.no_grad():
            answers = {k: beliefs.from_standard(head(as_image(vae.latents(x))).double()) for k, x in shown.items()}
        rows = {
            k: {"answer": each[0].tolist(), "mean_energy": float(al.mean_energy(each))} for k, each in answers.items()
        }
        found[name] = {"maps": rows, "softening_50_to_540": softening(rows)}
    return found


def by_flow(ours: Ours, vae: VAE, shown: dict[str, Image]) -> dict[str, Any]:
    """Posteriors of measured maps, and how usual these are among simulated ones with as much noise."""
    found, n = {}, len(al.published())
    for name, x in shown.items():
        draws = drawn(ours.flow, vae, x, ours.beliefs)[:, 0]
        energy = al.mean_energy(draws[:100, :n])
        low, middle, high = draws.quantile(torch.tensor([0.05, 0.5, 0.95]).double(), dim=0)
        found[name] = {
            "answer": middle.tolist(),
            "interval90": torch.stack((low, high), 1).tolist(),
            "mean_energy": float(energy.median()),
            "mean_energy_sd": float(energy.std()),
            **strange(ours, vae, x),
        }
    return found


def strange(ours: Ours, vae: VAE, x: Image) -> dict[str, Any]:
    """Scores of a map over the medians of simulated ones, and the share of these that are as strange."""
    valid = x[0, 2] > 0
    noise = al.own_noise(x[0, :1], valid[None])
    n = len(ours.held) // 2
    worn = Wear(0.0, WEAR.slope, WEAR.rise, WEAR.soft)
    like = Maps(ours.held.level, ours.held.z, always(valid), worn).every(stream(1, "like")).x
    noisy = like[:, 0] + noise * torch.randn(like[:, 0].shape, generator=stream(2, "noise"))
    like = image(noisy, valid.expand(len(like), -1, -1))
    known = Mahalanobis.of(vae.latents(like[:n]).double())
    scores = {
        "latents": lambda each: known(vae.latents(each).double()),
        "reconstruction": lambda each: misses(vae.made(each), each).double(),
    }
    familiar = Familiar.of(scores, like[n:])
    far, usual = familiar.far(x)[0], familiar.usual.quantile(0.5, dim=0)
    return {
        "noise": noise,
        "over_usual": dict(zip(familiar.names, (far / usual).tolist(), strict=True)),
        "as_strange": {name: float(p) for name, p in familiar.each(x).items()},
    }


def by_likelihood(ours: Ours, temperature: int, x: Image) -> dict[str, Any]:
    """A map of Su and Li by the exact likelihood, from where the flow points; widened by the misfit."""
    draws = drawn(ours.flow, ours.vae, x, ours.beliefs)[:, 0]
    noise = al.own_noise(x[0, :1], x[:, 2] > 0)
    found = refined(al.experiment(temperature), x[0], noise, draws, ours.beliefs)
    wide = found.at + found.deviance**0.5 * (found.draws - found.at)
    energy = al.mean_energy(wide[:100, : len(al.published())])
    low, high = wide.quantile(torch.tensor([0.05, 0.95]).double(), dim=0)
    return {
        "answer": found.at.tolist(),
        "interval90": torch.stack((low, high), 1).tolist(),
        "mean_energy": float(al.mean_energy(found.at[None, : len(al.published())])),
        "mean_energy_sd": float(energy.std()),
        "deviance_per_bin": found.deviance,
        "seconds": found.seconds,
    }


def on_simulated(ours: Ours, rows: int) -> dict[str, Any]:
    """Flow alone and likelihood on held-out simulations with the noise of measured maps."""
    known = Maps(ours.held.level[:rows], ours.held.z[:rows], ours.held.cover, Wear())
    even = known.every(torch.Generator()).x
    noise = NOISE * torch.randn(even[:, 0].shape, generator=stream(3, "noise"))
    x, truth = image(even[:, 0] + noise, even[:, 2] > 0), known.z.double()
    simulator, draws, seconds = (
        al.experiment(samples=al.SAMPLES if rows > 1 else 4),
        drawn(ours.flow, ours.vae, x, ours.beliefs),
        list[float](),
    )
    columns = []
    for k in range(rows):
        found = refined(simulator, x[k], NOISE, draws[:, k], ours.beliefs)
        columns.append(found.draws)
        seconds.append(found.seconds)
        print(f"likelihood {k + 1} of {rows}: {found.seconds:.1f} s", file=sys.stderr, flush=True)
    both = {"flow": draws, "likelihood": torch.stack(columns, 1)}
    return {
        "rows": rows,
        "noise": NOISE,
        "seconds": sum(seconds) / rows,
        **{name: judged(each, truth, ours.beliefs) for name, each in both.items()},
    }


def softening(rows: dict[str, Any]) -> float | None:
    """By how much the mean energy falls from the coldest to the warmest map, per cent."""
    if not all(f"{t} K" in rows for t in TUNED):
        return None
    cold, warm = (float(rows[f"{t} K"]["mean_energy"]) for t in TUNED)
    return 100 * (1 - warm / cold)
