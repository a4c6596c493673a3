"""Kinds of systems whose causes share cells: crossings, lobes, products, thresholds, backgrounds."""

import math

import torch
from torch import Tensor

from benchmarks.interventions.known import ENERGY, SHAPE, Causes, Closed, Draw, Q, chain, closed, ridge

WAVE = (2 * math.pi * Q).cos()


def gapped(draw: Draw) -> Closed:
    """One chain."""
    laws = {"J": draw.law(3, 8), "gap": draw.law(0.5, 2), "fwhm": draw.law(0.3, 1.2), "scale": draw.area()}
    return closed(laws, lambda p: ridge(chain(p["J"], p["gap"]), p["scale"], p["fwhm"]))


def crossing(draw: Draw) -> Closed:
    """Two modes that cross."""
    laws = {"up": draw.law(2, 7), "down": draw.law(2, 7), "share": draw.law(0, 1), "scale": draw.area()}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        first = ridge(1.5 + p["up"] * Q, p["scale"] * p["share"], fwhm)
        return first + ridge(8.5 - p["down"] * Q, p["scale"] * (1 - p["share"]), fwhm)

    return closed(laws, expected)


def avoided(draw: Draw) -> Closed:
    """Two modes that would cross, and a coupling that parts them and mixes their intensities."""
    laws = {"up": draw.law(3, 6), "down": draw.law(3, 6), "mixing": draw.law(0.05, 1.2), "scale": draw.area()}
    fwhm = draw(0.3, 0.8)

    def expected(p: Causes) -> Tensor:
        first, second = 2 + p["up"] * Q, 8 - p["down"] * Q
        mean, half = (first + second) / 2, (first - second) / 2
        apart = (half**2 + p["mixing"] ** 2) ** 0.5
        seen = (1 + half / apart) / 2
        upper = ridge(mean + apart, p["scale"] * seen, fwhm)
        return upper + ridge(mean - apart, p["scale"] * (1 - seen), fwhm)

    return closed(laws, expected)


def lobes(draw: Draw) -> Closed:
    """Flat modes that shift: what one side gains the other loses, and the integral stays."""
    laws = {"lower": draw.law(2, 3), "upper": draw.law(6.5, 7.5), "scale": draw.area()}
    fwhm, share = draw(0.6, 1.5), draw(0.2, 0.8)

    def expected(p: Causes) -> Tensor:
        lower = ridge(p["lower"] + 0 * Q, share * p["scale"], fwhm)
        return lower + ridge(p["upper"] + 0 * Q, (1 - share) * p["scale"], fwhm)

    return closed(laws, expected)


def widths(draw: Draw) -> Closed:
    """Widths that grow with wavevector and with energy, at constant integral."""
    laws = {"width": draw.law(0.3, 1.2), "damping": draw.law(0, 1), "top": draw.law(4, 7), "scale": draw.area()}

    def expected(p: Causes) -> Tensor:
        return ridge(1 + p["top"] * (math.pi * Q).sin(), p["scale"], p["width"] + p["damping"] * Q**2)

    return closed(laws, expected)


def backgrounds(draw: Draw) -> Closed:
    """Backgrounds that reach every cell under a weak mode."""
    laws = {"flat": draw.law(1, 10), "fall": draw.law(0, 10), "rise": draw.law(0, 5), "J": draw.law(2, 7)}
    laws["scale"], fwhm = draw.area(), draw(0.5, 1.2)

    def expected(p: Causes) -> Tensor:
        base = p["flat"] + p["fall"] * torch.exp(-ENERGY / 2) + p["rise"] * Q**2
        return base + ridge(chain(p["J"], 1.0), p["scale"], fwhm)

    return closed(laws, expected)


def product(draw: Draw) -> Closed:
    """Exchange and spin length act through their product alone, and gap and anisotropy through the root of theirs."""
    laws = {"J": draw.law(1.5, 3), "spin": draw.law(1.5, 2.5), "D": draw.law(0.02, 0.3), "scale": draw.area()}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        top = p["J"] * p["spin"]
        return ridge(chain(top, (4 * p["D"] * top).sqrt()), p["scale"], fwhm)

    return closed(laws, expected)


def threshold(draw: Draw) -> Closed:
    """A coupling that acts only above the middle of its prior, and one that saturates."""
    law, laws = draw.law(0, 6), {"onset": draw.law(0, 6), "cap": draw.law(-6, 6), "scale": draw.area()}
    laws["onset"], fwhm = law, draw(0.5, 1)
    start = (law.lo + law.hi) / 2 + draw(-0.1, 0.1) * (law.hi - law.lo)

    def expected(p: Causes) -> Tensor:
        lifted = (p["onset"] - start).clamp(min=0)
        first = ridge(2 + lifted * (math.pi * Q).sin(), p["scale"], fwhm)
        return first + ridge(7.5 + torch.tanh(p["cap"]) * WAVE, 0.6 * p["scale"], fwhm)

    return closed(laws, expected)


def spot(draw: Draw) -> Closed:
    """Spurions, one that moves and one that grows, far from a chain and upon it."""
    laws = {"J": draw.law(4, 8), "place": draw.law(0.2, 0.8), "strength": draw.law(20, 400), "scale": draw.area()}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        far = ridge(8.8 + 0 * Q, 600.0, 0.8) * torch.exp(-(((Q - p["place"]) / 0.06) ** 2) / 2)
        upon = ridge(3.0 + 0 * Q, p["strength"], 0.8) * torch.exp(-(((Q - 0.3) / 0.08) ** 2) / 2)
        return ridge(chain(p["J"], 1.0), p["scale"], fwhm) + far + upon

    return closed(laws, expected)


def interference(draw: Draw) -> Closed:
    """A phase that moves intensity from one mode to another, their sum constant."""
    laws = {"phase": draw.law(0, 3), "J": draw.law(0.5, 2), "splitting": draw.law(1, 4), "scale": draw.area()}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        seen = (1 + (2 * math.pi * Q + p["phase"]).cos()) / 2
        middle, half = 5 + p["J"] * WAVE, p["splitting"] / 2
        return ridge(middle + half, p["scale"] * seen, fwhm) + ridge(middle - half, p["scale"] * (1 - seen), fwhm)

    return closed(laws, expected)


def harmonics(draw: Draw) -> Closed:
    """A dispersion of seven harmonics, each weaker than the one before."""
    laws = {f"J{k}": draw.law(-1.5 / k, 1.5 / k) for k in range(1, 8)} | {"scale": draw.area()}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        terms = [p[f"J{k}"] * (2 * math.pi * k * Q).cos() for k in range(1, 8)]
        return ridge(5 + sum(terms[1:], terms[0]), p["scale"], fwhm)

    return closed(laws, expected)


def warm(draw: Draw) -> Closed:
    """A thermal factor that acts most at low energy, on two modes."""
    laws = {"temperature": draw.law(5, 60), "J": draw.law(1, 4), "optic": draw.law(5, 8), "scale": draw.area()}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        thermal = 1 / (1 - torch.exp(-ENERGY / (0.08617 * p["temperature"])))
        modes = ridge(chain(p["J"], 0.6), p["scale"], fwhm) + ridge(p["optic"] + 0.5 * WAVE, p["scale"], fwhm)
        return (modes * thermal).expand(-1, *SHAPE)

    return closed(laws, expected)


KINDS = (
    gapped,
    crossing,
    avoided,
    lobes,
    widths,
    backgrounds,
    product,
    threshold,
    spot,
    interference,
    harmonics,
    warm,
)
