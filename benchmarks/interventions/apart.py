"""Kinds of systems with causes that cannot reach parts of the map, or any of it, by construction."""

import math

import torch
from torch import Tensor

from benchmarks.interventions.known import ENERGY, NOWHERE, SHAPE, Causes, Closed, Draw, Q, chain, closed, ridge

LEFT = (Q < 0.5).expand(SHAPE)
LOW = (ENERGY < 5).expand(SHAPE)


def chains(draw: Draw) -> Closed:
    """Two chains, each in a panel of its own."""
    laws = {name: draw.law(3, 8) for name in ("J_a", "J_b")} | {name: draw.law(0.5, 2) for name in ("gap_a", "gap_b")}
    laws["scale"], fwhm = draw.area(), draw(0.4, 1.0)

    def expected(p: Causes) -> Tensor:
        a, b = (ridge(chain(p[f"J_{k}"], p[f"gap_{k}"]), p["scale"], fwhm) for k in "ab")
        return torch.where(LEFT, a, b)

    return closed(laws, expected, {"J_a": LEFT, "gap_a": LEFT, "J_b": ~LEFT, "gap_b": ~LEFT})


def sublattices(draw: Draw) -> Closed:
    """Two sublattices, one seen below 5 meV alone, the other above."""
    laws = {"J_low": draw.law(1, 4), "J_high": draw.law(1, 4), "gap_high": draw.law(5.2, 6.5)}
    laws["scale"], gap, fwhm = draw.area(), draw(0.3, 1), draw(0.4, 0.8)

    def expected(p: Causes) -> Tensor:
        low = ridge(chain(p["J_low"], gap), p["scale"], fwhm)
        high = ridge(p["gap_high"] + p["J_high"] * (math.pi * Q).cos() ** 2, p["scale"] * 0.7, fwhm)
        return torch.where(LOW, low, high)

    return closed(laws, expected, {"J_low": LOW, "J_high": ~LOW, "gap_high": ~LOW})


def quarters(draw: Draw) -> Closed:
    """Four crystals, one a quarter of the map; each with its own coupling and its own intensity."""
    quarter = [LEFT & LOW, LEFT & ~LOW, ~LEFT & LOW, ~LEFT & ~LOW]
    laws = {f"J{k}": draw.law(0.5, 2) for k in range(4)} | {f"A{k}": draw.area() for k in range(4)}
    centre, fwhm = [draw(1.5, 2.5) + 5 * (k % 2) for k in range(4)], draw(0.5, 1)

    def expected(p: Causes) -> Tensor:
        wave = (4 * math.pi * Q).cos()
        every = [ridge(centre[k] + p[f"J{k}"] * wave, p[f"A{k}"], fwhm) * quarter[k] for k in range(4)]
        return sum(every[1:], every[0])

    reach = {f"{name}{k}": quarter[k] for name in "JA" for k in range(4)}
    return closed(laws, expected, reach, "A0")


def ferromagnet(draw: Draw) -> Closed:
    """Exchange does not move the gap of a ferromagnet at the zone centre, where a quarter of the scans were made."""
    centre = (Q < 0.25).expand(SHAPE)
    laws = {"J": draw.law(1, 3.5), "D": draw.law(0.5, 2.5), "scale": draw.area()}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        q = torch.where(Q < 0.25, torch.zeros_like(Q), Q)
        return ridge(p["D"] + p["J"] * (1 - (2 * math.pi * q).cos()), p["scale"], fwhm)

    return closed(laws, expected, {"J": ~centre})


def vanishing(draw: Draw) -> Closed:
    """A coupling that comes with a sum over a ring of neighbours, which is 0 by symmetry (1e-16 in numbers)."""
    laws = {"J": draw.law(3, 8), "J_ring": draw.law(0.5, 3), "gap": draw.law(0.5, 2), "scale": draw.area()}
    fwhm = draw(0.4, 1)
    ring = (2 * math.pi * torch.arange(5, dtype=torch.float64) / 5).cos().sum()

    def expected(p: Causes) -> Tensor:
        return ridge(chain(p["J"], p["gap"]) + p["J_ring"] * ring * Q, p["scale"], fwhm)

    return closed(laws, expected, {"J_ring": NOWHERE})


def dark(draw: Draw) -> Closed:
    """The second of two modes has no intensity, so that what moves it is not seen."""
    laws = {"J": draw.law(3, 8), "J_dark": draw.law(1, 5), "gap": draw.law(0.5, 2), "scale": draw.area()}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        second = ridge(4 + p["J_dark"] * Q, p["scale"], fwhm)
        return ridge(chain(p["J"], p["gap"]), p["scale"], fwhm) + 0.0 * second

    return closed(laws, expected, {"J_dark": NOWHERE})


def extinct(draw: Draw) -> Closed:
    """A second mode that the structure factor forbids in one zone."""
    laws = {"J": draw.law(1, 3), "J_optic": draw.law(1, 3), "optic": draw.law(5, 6), "scale": draw.area()}
    fwhm, share = draw(0.4, 1), draw(0.3, 1)

    def expected(p: Causes) -> Tensor:
        acoustic = ridge(0.5 + p["J"] * (math.pi * Q).sin(), p["scale"], fwhm)
        optic = ridge(p["optic"] + p["J_optic"] * (2 * math.pi * Q).cos() ** 2, share * p["scale"], fwhm)
        return acoustic + optic * ~LEFT

    return closed(laws, expected, {"J_optic": ~LEFT, "optic": ~LEFT})


def cold(draw: Draw) -> Closed:
    """The thermal factor is switched off: temperature does nothing, of a chain on a background that slopes."""
    laws = {"J": draw.law(3, 8), "gap": draw.law(0.5, 2), "temperature": draw.law(20, 400), "scale": draw.area()}
    laws["background"], fwhm = draw.law(1, 20), draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        thermal = (1 / (1 - torch.exp(-ENERGY / (0.08617 * p["temperature"])))) ** 0.0
        return ridge(chain(p["J"], p["gap"]), p["scale"], fwhm) * thermal + p["background"] * (2 - ENERGY / 10)

    return closed(laws, expected, {"temperature": NOWHERE})


def channels(draw: Draw) -> Closed:
    """A magnon in the spin-flip channel, a phonon in the other."""
    laws = {"J": draw.law(3, 8), "gap": draw.law(0.5, 2), "spring": draw.law(4, 9), "flip": draw.area()}
    laws["nonflip"], fwhm = draw.area(), draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        magnon = ridge(chain(p["J"], p["gap"]), p["flip"], fwhm)
        phonon = ridge(p["spring"] * (math.pi * Q).sin().abs(), p["nonflip"], fwhm)
        return torch.where(LEFT, magnon, phonon)

    magnetic, nuclear = dict.fromkeys(("J", "gap", "flip"), LEFT), dict.fromkeys(("spring", "nonflip"), ~LEFT)
    return closed(laws, expected, magnetic | nuclear, "flip")


def elastic(draw: Draw) -> Closed:
    """An elastic line that ends at 1 meV, of a strength and a width that nothing else has, below a chain."""
    near = (ENERGY < 1).expand(SHAPE)
    laws = {"J": draw.law(3, 8), "gap": draw.law(1.5, 2.5), "scale": draw.area()}
    laws |= {"elastic": draw.area(), "sample": draw.law(0, 1)}
    fwhm = draw(0.4, 1)

    def expected(p: Causes) -> Tensor:
        line = ridge(torch.zeros_like(Q), p["elastic"] * (1 + p["sample"] * (6 * math.pi * Q).cos()), 1.0)
        return ridge(chain(p["J"], p["gap"]), p["scale"], fwhm) + line * near

    return closed(laws, expected, {"elastic": near, "sample": near})


KINDS = (chains, sublattices, quarters, ferromagnet, vanishing, dark, extinct, cold, channels, elastic)
