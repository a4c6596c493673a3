"""match(): a map in the other domain of a translator, and what the translator changed.

What comes out says that it is translated, has no errors, and is refused by every likelihood: its bins are what a
network thinks likely, and depend on each other. A map that is not like those of its domain is not translated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.matching.numbers import Numbers
from sqwirrel.learn.translate.domain import Images, frame_of
from sqwirrel.learn.translate.inside import LOOKS, RARE, Matcher
from sqwirrel.spectra import Spectrum

TINY = 1e-6
"""Shares below this are none."""
NOTABLE = 0.1
"""A mode that moved by more of the resolution than this has moved."""
TIMES = 10.0
"""Changes by more than this are told as a factor."""
ROWS = {"integral": "integral, mean over q", "moment": "first moment", "balance": "detailed balance (1)"}


@dataclass(frozen=True, eq=False)
class Matched:
    """The `source` and what was made of it, how far the source is from its own domain in shape, in size (energy
    distances) and by what components of the domain leave of it, and the share of `held` images of that domain, held
    out, that are as far; what training says against the translator.

    `fwhm` (meV) is that of the energy resolution, if it is known.
    """

    source: Spectrum
    spectrum: Spectrum
    distance: tuple[float, ...]
    share: float
    held: int
    doubts: tuple[str, ...]
    fwhm: float | None = None

    @property
    def change(self) -> Float[Tensor, "point energy"]:
        """What was added to every bin; 0 where it was not measured."""
        return torch.where(self.spectrum.valid, self.spectrum.intensity - self.source.intensity, 0.0)

    @cached_property
    def numbers(self) -> tuple[Numbers, Numbers]:
        """Before and after, of the bins that both have."""
        before = self.source.without(~self.spectrum.valid)
        return Numbers.of(before, self.fwhm), Numbers.of(self.spectrum, self.fwhm)

    @property
    def shifts(self) -> Float[Tensor, " mode"]:
        """How far modes moved, meV, where there is one before and after."""
        before, after = self.numbers
        moved = after.modes - before.modes
        return moved[torch.isfinite(moved)]

    def mapping(self) -> dict[str, Any]:
        """Plain words and numbers; None for what cannot be told."""
        before, after = self.numbers
        moved, modes = self.shifts.abs(), torch.isfinite(before.modes)
        still = float((moved < NOTABLE * self.fwhm).double().mean()) if self.fwhm else math.nan
        seen = self.spectrum.valid.any(1)
        apart = ((after.integrals - before.integrals).abs() / abs(before.integral or 1.0))[seen]
        rows = {name: [_number(getattr(each, name)) for each in self.numbers] for name in ("integral", "moment")}
        return {
            "translated_to": self.spectrum.translated,
            "distance": list(self.distance),
            "share_as_far": self.share,
            "share_as_far_in_one_look": self.share / len(LOOKS),
            "held_out": self.held,
            **rows,
            "integral_of_q_change": {"median": float(apart.median()), "most": float(apart.max())},
            "balance": [_number(each.balance) for each in self.numbers],
            "integrals_of_q": [_number_or_none(each.integrals, seen) for each in self.numbers],
            "modes_of_q_meV": [[_number(x) for x in each.modes.tolist()] for each in self.numbers],
            "modes": int(modes.sum()),
            "modes_lost": int((modes & ~torch.isfinite(after.modes)).sum()),
            "mode_shift_meV": {"median": _of(moved, 0.5), "most_90": _of(moved, 0.9)},
            "resolution_meV": self.fwhm,
            "modes_within_a_tenth": _number(still),
            "doubts": list(self.doubts),
        }

    def __str__(self) -> str:
        """The numbers before and after as a small table, and what speaks against them."""
        told = self.mapping()
        lines = [f"translated to {told['translated_to']}: no measurement, and for no likelihood"]
        lines += [f"DOUBT {each}" for each in self.doubts]
        lines.append(
            f"{'like its domain':24}{100 * self.share / len(LOOKS):.3g} % of {self.held} held-out images or more are "
            "as far, whichever way it is looked at"
        )
        lines.append(f"{'':24}{'before':>12}{'after':>12}{'change':>12}")
        lines += [_line(words, *told[name]) for name, words in ROWS.items()]
        median, most = (_percent(each) for each in told["integral_of_q_change"].values())
        lines.append(f"{'integral of each q':24}off by {median} (median), {most} at most, of their mean")
        return "\n".join([*lines, f"{'modes':24}{self._modes(told)}"])

    def _modes(self, told: dict[str, Any]) -> str:
        median, most = told["mode_shift_meV"].values()
        if median is None:
            return "none found in both"
        lost = f", {told['modes_lost']} of {told['modes']} lost" if told["modes_lost"] else ""
        found = f"moved by {median:.2g} meV (median), 90 % by less than {most:.2g} meV{lost}"
        if self.fwhm is None:
            return found
        share = 100 * told["modes_within_a_tenth"]
        return f"{found}; {median / self.fwhm:.2g} of the resolution, {share:.0f} % within a tenth of it"


def match(
    matcher: Matcher, spectrum: Spectrum, to: str, condition: Sequence[float] = (), fwhm: float | None = None
) -> Matched:
    """A map as the translator would have it in the domain `to`, in the bins that were measured.

    `condition` are the numbers it was measured under, those of the training's domains; `fwhm` (meV) is that of the
    energy resolution. A map that is outside its own domain is refused, with its distance from it; so are conditions.
    """
    translator = matcher.translator
    source = 1 - translator.plan.towards(to)
    images = _images(matcher, spectrum, source, condition)
    inside = matcher.inside[source]
    far, each = matcher.share(images, source)
    distance, share = tuple(far[0].tolist()), float(each)
    if share < inside.least:
        raise InputError(_outside(matcher, images, source, distance, share))
    level = translator.translate(images, to).level[0].double().reshape(spectrum.measurement.shape)
    valid = images.x[0, 2].reshape(level.shape) > 0
    level = torch.where(valid, level, 0.0)
    made = Spectrum.from_arrays(level, 0 * level, spectrum.measurement, valid=valid, translated=to)
    return Matched(spectrum, made, distance, share, len(inside.held), translator.doubts, fwhm)


def _outside(matcher: Matcher, images: Images, source: int, distance: tuple[float, ...], share: float) -> str:
    """Why a map is refused: its distance where it is rarest beside the usual one, and its size beside theirs."""
    inside, translator = matcher.inside[source], matcher.translator
    worst = int((inside.held < torch.tensor(distance)).sum(0).argmax())
    usual = float(inside.held[:, worst].median())
    x, held = images.x[0], len(inside.held)
    size = float((x[0].square() * x[2]).sum() / x[2].sum()) ** 0.5
    low, high = (inside.sizes.exp() * translator.size).quantile(torch.tensor([0.05, 0.95]).double()).tolist()
    as_far = round(share / len(LOOKS) * (1 + held)) - 1
    few = (
        f"; {held} are few: of as many maps of the domain {len(LOOKS)} are refused, too" if inside.least > RARE else ""
    )
    return (
        f"this map is not like the {translator.plan.names[source]} ones that the translator learnt from: it is "
        f"{distance[worst]:.3g} away in {LOOKS[worst]} (usually {usual:.3g}), {as_far or 'none'} of {held} held-out "
        f"ones as far; its root mean square is {size:.3g}, theirs {low:.3g} to {high:.3g}; train a translator on maps "
        f"like it{few}"
    )


def _images(matcher: Matcher, spectrum: Spectrum, source: int, condition: Sequence[float]) -> Images:
    """The one image, with its condition; refused where the translator learnt from others."""
    plan = matcher.translator.plan
    x, shape = frame_of(spectrum, has_errors=plan.errors[source])[None], matcher.inside[source].shape.tolist()
    if list(x.shape[2:]) != shape:
        raise InputError(
            f"the map has {tuple(x.shape[2:])} bins, the translator learnt from maps of {tuple(shape)}; rebin it, or "
            "train one for these bins"
        )
    if len(condition) != plan.shape.conditions:
        raise InputError(f"the translator takes {plan.shape.conditions} conditions, got {len(condition)}")
    if not bool(x[0, 2].any()):
        raise InputError(
            "no bin of this map was measured and has a positive error; give it errors, like those of "
            "Spectrum.with_errors_from_scatter"
        )
    under, inside = torch.tensor([list(condition)], dtype=torch.float32).reshape(1, -1), matcher.inside[source]
    if not bool(inside.knows(under).all()):
        low, high = (
            ", ".join(f"{x:g}" for x in each.tolist())
            for each in (inside.conditions.amin(0), inside.conditions.amax(0))
        )
        raise InputError(
            f"no map that the translator learnt from was measured under {', '.join(f'{x:g}' for x in condition)} "
            f"(conditions from {low} to {high}); train one on maps measured alike"
        )
    return Images(x, under)


def _line(words: str, before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return f"{words:24}{'cannot be told here':>24}"
    ratio = after / before if before else 1.0
    change = _percent(ratio - 1, "+") if abs(ratio) < TIMES else f"x {ratio:.3g}"
    return f"{words:24}{before:>12.4g}{after:>12.4g}{change:>12}"


def _percent(share: float, sign: str = "") -> str:
    return f"{100 * (share if abs(share) > TINY else 0.0):{sign}.3g} %"


def _number_or_none(values: Float[Tensor, " point"], there: Bool[Tensor, " point"]) -> list[float | None]:
    return [value if each else None for value, each in zip(values.tolist(), there.tolist(), strict=True)]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _of(values: Float[Tensor, " mode"], level: float) -> float | None:
    return float(values.quantile(level)) if len(values) else None
