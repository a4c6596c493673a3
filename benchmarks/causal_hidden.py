"""Powder maps of Rb2MnF4 with something in them that no simulation had, for `benchmarks.causal_predict`."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from sqwirrel import (
    Experiment,
    GaussianResolution,
    Instrument,
    Measurement,
    Poisson,
    Prior,
    QShells,
    SlopedBackground,
    Spectrum,
    library,
)
from sqwirrel.model.laws import LogUniform, Uniform
from sqwirrel.observe.background import MEASURED, TemplateBackground
from sqwirrel.seeds import stream

MODEL = ("J1", "J2", "D")
RECORDED = ("fwhm", "scale", "background")
SLOPE, BUMP = "background_slope", MEASURED
SIDES, BAND = (48, 64), (2.6, 0.8)
"""Bins along |Q| and energy; middle and width (meV, fwhm) of the band in which a peak is suspected."""
PRIOR = {
    "J1": {"uniform": [0.55, 0.75]},
    "J2": {"uniform": [-0.03, 0.03]},
    "D": {"uniform": [-0.03, 0.0]},
    "fwhm": {"uniform": [0.3, 0.4]},
    "fwhm_q": 0.05,
    "scale": {"loguniform": [30.0, 90.0]},
    "background": {"uniform": [1.5, 4.0]},
}
CLEAN, SUSPECTED = {SLOPE: 0.0, BUMP: 0.0}, {SLOPE: {"uniform": [-0.3, 0.3]}, BUMP: {"uniform": [0.0, 6.0]}}
"""What training has of the suspects, and what the causal map has of them."""
Map = torch.Tensor


@dataclass(frozen=True)
class Kind:
    """What a set of spectra has that training had not: `meaning` in words, parameters with other laws or values, and
    what is done to expectations at |Q| and energy.
    """

    meaning: str
    other: dict[str, object] = field(default_factory=dict)
    change: Callable[[Map, Map, Map], Map] = lambda mu, q, energy: mu  # noqa: ARG005 (nothing is done)


def peak(energy: Map, at: float, fwhm: float) -> Map:
    """A Gaussian of height 1."""
    return torch.exp(-4 * torch.log(torch.tensor(2.0)) * ((energy - at) / fwhm) ** 2)


KINDS = {
    "nothing": Kind("nothing hidden"),
    "peak, named": Kind(
        "a peak at 2.7 meV, 0.5 meV wide, up to 8 counts, growing as |Q|^2 (the suspect had 0.8 meV at 2.6, any |Q|)",
        change=lambda mu, q, energy: mu + 8 * (q / 3) ** 2 * peak(energy, 2.7, 0.5),
    ),
    "slope, named": Kind("a background that changes by 0.3 counts per meV (the suspect's shape)", {SLOPE: 0.3}),
    "peak, elsewhere": Kind(
        "the same peak at 5.2 meV, where no suspect is",
        change=lambda mu, q, energy: mu + 8 * (q / 3) ** 2 * peak(energy, 5.2, 0.5),
    ),
    "gain": Kind(
        "a gain that varies by 20 % to both sides along |Q|, no suspect",
        change=lambda mu, q, energy: mu * (1 + 0.2 * torch.sin(2.5 * q)),  # noqa: ARG005 (along |Q|)
    ),
    "backgrounds": Kind("backgrounds of 5 to 8 counts (training: 1.5 to 4)", {"background": Uniform(5.0, 8.0)}),
    "scales": Kind("scales of 100 to 200 (training: 30 to 90)", {"scale": LogUniform(100.0, 200.0)}),
    "widths": Kind("widths 20 % above those of training", {"fwhm": Uniform(0.36, 0.48)}),
}
DEVELOPED = {
    "nothing": KINDS["nothing"],
    "tail": Kind("an elastic tail", change=lambda mu, q, energy: mu + 20 / (1 + (2 * energy / 0.4) ** 2) + 0 * q),
    "gain in energy": Kind(
        "a gain along energy",
        change=lambda mu, q, energy: mu * (1 + 0.15 * torch.sin(1.5 * energy)),  # noqa: ARG005 (along energy)
    ),
    "dip": Kind("fewer backgrounds", {"background": Uniform(0.3, 1.2)}),
    "band": Kind("the suspect itself", {BUMP: 4.0}),
}
"""Kinds that development looked at."""


def experiment() -> Experiment:
    """The map, with a background that may slope and may have a peak in the suspected band."""
    model = library.load("rb2mnf4")
    shells, energies = torch.linspace(0.4, 3.0, SIDES[0] + 1), torch.linspace(0.3, 8.3, SIDES[1] + 1)
    where = Measurement(QShells(shells), energies, 5.0)
    band = peak(where.energy_centres, *BAND).expand(where.shape).clone()
    shape = Spectrum.from_arrays(band, torch.ones_like(band), where)
    instrument = Instrument(GaussianResolution(), TemplateBackground(shape, SlopedBackground()), Poisson())
    return Experiment(model, where, instrument, samples=64)


def prior(suspects: dict[str, object]) -> Prior:
    """With what is held or free of the suspects."""
    return Prior.from_mapping({**PRIOR, **suspects})


def spectra(where: Experiment, kind: Kind, n: int, seed: int) -> tuple[Map, Map]:
    """Parameters of the experiment (the same draws for all kinds, but for what a kind changes), and counts."""
    known = prior(CLEAN)
    drawn = dict(zip(known.names, known.sample(n, seed).T, strict=True))
    even = torch.rand(n, generator=stream(seed, "shifted"), dtype=torch.float64)
    for name, law in kind.other.items():
        drawn[name] = law.quantile(even) if isinstance(law, Uniform | LogUniform) else torch.full_like(even, law)
    held = {name: torch.full_like(even, value) for name, value in known.fixed.items()}
    theta = torch.stack([{**held, **drawn}[name] for name in where.names], dim=1)
    with torch.no_grad():
        mu = torch.cat([where.predict(rows)[0] for rows in theta.split(16)])
    q, energy = where.measurement.points.centres[:, None], where.measurement.energy_centres.reshape(1, -1)
    return theta, torch.poisson(kind.change(mu, q, energy).clamp(min=0), generator=stream(seed, "counts"))
