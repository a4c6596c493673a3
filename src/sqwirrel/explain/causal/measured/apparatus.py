"""What an instrument might have instead: rivals of a missing term of the Hamiltonian.

A width that grows with energy, an offset of energies, a background with a slope.
"""

from dataclasses import replace
from typing import NamedTuple

from sqwirrel.observe.background import Background, ConstantBackground, ElasticBackground, PlanarBackground
from sqwirrel.observe.background import SlopedBackground as Sloped
from sqwirrel.observe.covariance.resolution import EllipsoidResolution
from sqwirrel.observe.instrument import Instrument
from sqwirrel.observe.resolution import (
    GaussianResolution,
    OffsetResolution,
    PolynomialResolution,
    Resolution,
    TailedResolution,
)

HIGHEST = 4
"""Order of a polynomial of widths."""


class Rival(NamedTuple):
    """An instrument with more nuisances, which do nothing at 0: what they mean by name, and `known_as`, what the old
    instrument calls those that have another name now.
    """

    instrument: Instrument
    meanings: dict[str, str]
    known_as: dict[str, str]


def wider(instrument: Instrument, *, powder: bool) -> Rival:
    """The instrument with what it might have instead, as far as its kind allows."""
    resolution, known_as = _resolution(instrument.resolution)
    more = replace(instrument, resolution=resolution, background=_background(instrument.background, powder=powder))
    old, meanings = instrument.names(powder=powder), {}
    for name in more.names(powder=powder):
        if known_as.get(name, name) not in old:
            meanings[name] = _meaning(name)
    return Rival(more, meanings, known_as)


def _meaning(name: str) -> str:
    if name.startswith("fwhm"):
        return "a width in energy that changes with energy"
    return "an offset of energies" if name.startswith("energy") else "a slope of the background"


def _resolution(
    resolution: Resolution | EllipsoidResolution,
) -> tuple[Resolution | EllipsoidResolution, dict[str, str]]:
    if isinstance(resolution, EllipsoidResolution):
        return resolution, {}
    core, known_as = _widths(resolution.core if isinstance(resolution, OffsetResolution) else resolution)
    return OffsetResolution(core), known_as


def _widths(resolution: Resolution) -> tuple[Resolution, dict[str, str]]:
    """One power of the energy more, where widths are a polynomial."""
    match resolution:
        case GaussianResolution():
            return PolynomialResolution(1), {"fwhm_0": "fwhm"}
        case PolynomialResolution(order) if order < HIGHEST:
            return PolynomialResolution(order + 1), {}
        case TailedResolution(GaussianResolution()):
            return TailedResolution(PolynomialResolution(1)), {"fwhm_0": "fwhm"}
        case TailedResolution(PolynomialResolution(order)) if order < HIGHEST:
            return TailedResolution(PolynomialResolution(order + 1)), {}
    return resolution, {}


def _background(background: Background, *, powder: bool) -> Background:
    match background:
        case ElasticBackground(_, beside):
            return replace(background, beside=_background(beside, powder=powder))
        case ConstantBackground() | Sloped():
            return PlanarBackground() if powder else Sloped()
    return background
