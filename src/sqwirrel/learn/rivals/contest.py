"""Contests: labelled spectra of rival models, as many of each, that nothing but the models tells apart.

Only draws with a stable order are there, whatever share of a prior that is; every signal has the same mean, so that the
total says nothing, unless the scale is known; scale, background and noise follow the same laws for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.pairs import Pairs
from sqwirrel.learn.parts import apart, in_a_row
from sqwirrel.model.prior import Prior
from sqwirrel.seeds import stream

DARK = 1e-3
"""Simulations with less than this of the usual mean signal in a measurement are left out."""


class Labelled(NamedTuple):
    """Images of spectra, the number of the rival that made each, and the images without noise."""

    x: Float32[Tensor, "batch channel point energy"]
    rival: Int[Tensor, " batch"]
    clean: Float32[Tensor, "batch channel point energy"]


@dataclass(frozen=True, eq=False)
class Contest:
    """Endless labelled images of the rivals' `pairs`, by name; made with `of`."""

    pairs: Mapping[str, Pairs]

    @classmethod
    def of(cls, pairs: Mapping[str, Pairs]) -> "Contest":
        """Of pairs on the same bins, whose priors agree on scale and background. All signals get the same mean."""
        if len(pairs) < 2:
            raise InputError(f"a choice needs two models or more, got {list(pairs)}")
        first = next(iter(pairs.values()))
        for name, each in pairs.items():
            _check(first, each, name)
        level = _usual(_means(first))
        return cls({name: _levelled(_bright(each, level, name), level) for name, each in pairs.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """The rivals, in the order of their numbers."""
        return tuple(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs) * min(len(each) for each in self.pairs.values())

    def split(self, last: int) -> tuple["Contest", "Contest"]:
        """All but the last simulations, and the last ones, as many of every rival."""
        share = -(-last // len(self.pairs))
        parts = {name: each.split(share) for name, each in self.pairs.items()}
        first, other = ({name: pair[k] for name, pair in parts.items()} for k in (0, 1))
        return Contest(first), Contest(other)

    def batch(self, rows: int, seed: int, label: str) -> Labelled:
        """Random rivals and rows of them, with fresh scale, background and noise: a function of `seed` and `label`."""
        generator = stream(seed, label)
        return self._made(torch.randint(len(self.pairs), (rows,), generator=generator), generator)

    def every(self, generator: torch.Generator) -> Labelled:
        """Each row once, as many of every rival, in turn."""
        return self._made(torch.arange(len(self)) % len(self.pairs), generator, once=True)

    def _made(self, rival: Int[Tensor, " batch"], generator: torch.Generator, *, once: bool = False) -> Labelled:
        parts, places = [], []
        for k, pairs in enumerate(self.pairs.values()):
            place = (rival == k).nonzero()[:, 0]
            n = len(place)
            rows = torch.arange(n) if once else torch.randint(len(pairs), (n,), generator=generator)
            parts.append(pairs.noisy(rows, generator))
            places.append(place)
        order = torch.cat(places).argsort()
        x, clean = (torch.cat(each)[order] for each in ([one.x for one in parts], [one.clean for one in parts]))
        return Labelled(x, rival, clean)


def _means(pairs: Pairs) -> Float[Tensor, "row part"]:
    """Mean signal of every simulation over the bins that were measured, of each measurement and all with its scale."""
    pieces = zip(pairs.parts, apart(pairs.simulations.signal, pairs.measurements), strict=True)
    each = [piece[:, part.bins[0]].double() for part, piece in pieces]
    total, size = torch.stack([one.sum(1) for one in each], 1), torch.tensor([one.shape[1] for one in each])
    scale = [part.linear[0] for part in pairs.parts]
    alike = torch.tensor([[float(one == other) for other in scale] for one in scale], dtype=torch.float64)
    return (total @ alike) / (size.double() @ alike)


def _usual(means: Float[Tensor, "row part"]) -> Float[Tensor, " part"]:
    """The median of what is not dark."""
    return torch.where(means > 0, means, torch.nan).nanmedian(0).values


def _bright(pairs: Pairs, level: Float[Tensor, " part"], name: str) -> Pairs:
    """Those with some signal in every measurement: what lies outside of the bins cannot be told from anything."""
    bright = (_means(pairs) > DARK * level).all(1)
    if not bool(bright.double().mean() > 0.5):
        raise InputError(
            f"{int((~bright).sum())} of {len(bright)} simulations of '{name}' have next to no signal in the measured "
            "bins; narrow its prior, or measure where it has"
        )
    return replace(pairs, simulations=pairs.simulations.part(bright.nonzero()[:, 0]))


def _levelled(pairs: Pairs, level: Float[Tensor, " part"]) -> Pairs:
    """With equal means, but where the scale is known: there the total is part of what was measured."""
    known = torch.tensor([part.linear[0] in pairs.prior.fixed for part in pairs.parts])
    factor = torch.where(known, 1.0, level / _means(pairs)).to(pairs.simulations.signal)
    kept = pairs.simulations
    pieces = zip(apart(kept.signal, pairs.measurements), factor.unbind(1), strict=True)
    signal = in_a_row([piece * one[:, None, None] for piece, one in pieces])
    return replace(pairs, simulations=replace(kept, signal=signal))


def _check(first: Pairs, other: Pairs, name: str) -> None:
    bins = zip(first.measurements, other.measurements, strict=False)
    same = len(first.parts) == len(other.parts) and all(one.same_bins(two) for one, two in bins)
    if not same or not torch.equal(first.bins[0], other.bins[0]):
        raise InputError(f"the simulations of '{name}' lie on other bins than those before; make them on the same")
    if first.linear != other.linear:
        raise InputError(
            f"the instrument of '{name}' has {other.linear}, those before {first.linear}; give all the same"
        )
    own = {model for part in (*first.parts, *other.parts) for model in part.experiment.model.names}
    for nuisance in (name for part in first.parts for name in part.names if name not in own):
        if _law(first.prior, nuisance) != _law(other.prior, nuisance):
            raise InputError(f"the priors of '{nuisance}' differ: then that would tell '{name}' from the others")


def _law(prior: Prior, name: str) -> object:
    return prior.fixed.get(name, prior.free.get(name))
