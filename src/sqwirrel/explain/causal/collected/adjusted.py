"""Edges by adjustment for everything recorded that is not after the cause, with what hidden causes could do to them.

The slope of an effect on a cause, others of the same and of earlier tiers held: the change of the effect that an
intervention would make, if columns of one tier do not act on each other, laws are straight lines, and every common
cause is recorded (J. Pearl, Biometrika 82, 669 (1995), doi:10.1093/biomet/82.4.669). Errors do not ask noise to be even
(HC3; J. G. MacKinnon, H. White, J. Econometrics 29, 305 (1985), doi:10.1016/0304-4076(85)90158-7), but are no smaller
than those of even noise: where few rows carry a cause, as a dummy of one compound, a fit goes through these rows, and
HC3, which takes the noise from what a fit leaves, is ten times too small. Edges are those of a false discovery rate
(Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57, 289 (1995), doi:10.1111/j.2517-6161.1995.tb02031.x). How strong a
hidden common cause would have to be: C. Cinelli, C. Hazlett, J. R. Stat. Soc. B 82, 39 (2020),
doi:10.1111/rssb.12348.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.collected.collection import Collection

RATE = 0.05
"""Share of edges that may be false ones by chance."""
MOST = 0.99
"""Of a cause that a hidden one is taken to explain: none that is as strong as a column with half of it can be."""
PAPERS = (
    "J. Pearl, Biometrika 82, 669 (1995), doi:10.1093/biomet/82.4.669",
    "J. G. MacKinnon and H. White, J. Econometrics 29, 305 (1985), doi:10.1016/0304-4076(85)90158-7",
    "Y. Benjamini and Y. Hochberg, J. R. Stat. Soc. B 57, 289 (1995), doi:10.1111/j.2517-6161.1995.tb02031.x",
    "C. Cinelli and C. Hazlett, J. R. Stat. Soc. B 82, 39 (2020), doi:10.1111/rssb.12348",
)


@dataclass(frozen=True)
class Hidden:
    """What a hidden cause as strong as the recorded one `like` explains of what is left of cause and effect, and
    `between` which slopes the edge would then be.
    """

    like: str
    of_cause: float
    of_effect: float
    between: tuple[float, float]

    @property
    def undoes(self) -> bool:
        """Whether it can make all of the edge."""
        return self.between[0] <= 0 <= self.between[1]


@dataclass(frozen=True)
class CollectedEdge:
    """What a unit of the `cause` adds to the `effect`, with all `adjusted` held; `partial` is their correlation then,
    `chance` how probable a slope as large is without an edge, and `rate` that false discovery rate at which the edge
    comes in. `plain` is the error that even noise makes, `free` the degrees of freedom. `hidden` is the worst that a
    hidden cause as strong as a column held could do to an edge that is told; none where nothing was held.
    """

    cause: str
    effect: str
    adjusted: tuple[str, ...]
    slope: float
    interval95: tuple[float, float]
    partial: float
    chance: float
    plain: float
    free: int
    rate: float = 1.0
    hidden: Hidden | None = None

    @property
    def told(self) -> bool:
        """Whether the table tells it."""
        return self.rate <= RATE

    @property
    def state(self) -> str:
        """Told; fragile, if a hidden cause as strong as a column held could make it; open, if chance could."""
        if not self.told:
            return "open"
        return "fragile" if self.hidden is not None and self.hidden.undoes else "told"

    @property
    def robustness(self) -> float:
        """The share of what is left of the cause and of the effect that a hidden common cause has to explain, of both,
        to make all of the edge: 0 if any does, 1 if none can.
        """
        f2 = self.partial**2 / max(1 - self.partial**2, 1e-300)
        return (math.sqrt(f2**2 + 4 * f2) - f2) / 2

    def under(self, of_cause: float, of_effect: float) -> tuple[float, float]:
        """Between which slopes it is if a hidden common cause explains these shares of what is left of the cause, and
        of the effect (with the cause held).
        """
        if not (0 <= of_cause < 1 and 0 <= of_effect <= 1):
            raise InputError(
                f"shares are from 0 to 1, and less than 1 of the cause; got {of_cause:g} and {of_effect:g}"
            )
        shift = self.plain * math.sqrt(self.free * of_effect * of_cause / (1 - of_cause))
        return self.slope - shift, self.slope + shift


@dataclass(frozen=True)
class Collected:
    """Edges of all causes and later effects; `recorded` are the columns that adjustment can use."""

    edges: tuple[CollectedEdge, ...]
    recorded: tuple[str, ...]

    @property
    def told(self) -> tuple[CollectedEdge, ...]:
        """Those that the table tells."""
        return tuple(edge for edge in self.edges if edge.told)

    def of(self, cause: str, effect: str) -> CollectedEdge:
        """One of them."""
        found = [edge for edge in self.edges if (edge.cause, edge.effect) == (cause, effect)]
        if not found:
            raise InputError(f"there is no edge from '{cause}' to '{effect}': effects are in later tiers than causes")
        return found[0]

    @property
    def words(self) -> str:
        """What was adjusted for, and how strong what was not would have to be."""
        head = (
            f"{len(self.told)} of {len(self.edges)} edges at a false discovery rate of {RATE:g}. Nobody intervened: an "
            f"edge is causal only if every common cause is among the recorded columns ({', '.join(self.recorded)}), "
            "which no table can show. To make an edge alone, a hidden one would have to explain, of what is left of "
            "the cause and of the effect:"
        )
        rows = [f"  {e.cause} -> {e.effect}: {100 * e.robustness:.0f} % of both" for e in self.told]
        return "\n".join((head, *(rows or ["  (no edge)"])))


def adjusted(collection: Collection, effects: Sequence[str] = ()) -> Collected:
    """Every edge from a column to one of a later tier, others of its tier and of earlier ones held."""
    return _collected(collection, effects, every=True)


def marginal(collection: Collection, effects: Sequence[str] = ()) -> Collected:
    """The same with nothing held: what correlations say."""
    return _collected(collection, effects, every=False)


def _collected(collection: Collection, effects: Sequence[str], *, every: bool) -> Collected:
    tier, names = np.array(collection.tier), collection.names
    if unknown := [name for name in effects if name not in names]:
        raise InputError(f"'{unknown[0]}' is no column of this collection; it has {', '.join(names)}")
    if first := [name for name in effects if name in collection.tiers[0]]:
        raise InputError(
            f"'{first[0]}' is in the first tier, which nothing comes before; ask for effects of later ones"
        )
    edges, asked = [], np.array([not effects or name in effects for name in names])
    for i in range(len(names)):
        held = np.flatnonzero((tier <= tier[i]) & (np.arange(len(names)) != i) & every)
        if len(later := np.flatnonzero((tier > tier[i]) & asked)):
            edges += _edges(collection, i, held, later)
    return Collected(_discovered(edges), names)


def _edges(
    collection: Collection, i: int, held: Int[np.ndarray, " held"], later: Int[np.ndarray, " effect"]
) -> list[CollectedEdge]:
    """Those of one cause: a regression, in which it is the last term, of all its effects at once."""
    rows = collection.rows - collection.rows.mean(0)
    size = np.linalg.norm(rows, axis=0)
    X, Y = (rows / size)[:, [*held, i]], (rows / size)[:, later]
    Q, R = np.linalg.qr(X)
    found, inverse, units = Q.T @ Y, np.linalg.inv(R), size[later] / size[i]
    rest, free = Y - Q @ found, len(rows) - len(held) - 2
    lever = 1 / len(rows) + (Q**2).sum(1)
    uneven = np.linalg.norm(Q[:, -1:] * rest / (1 - lever).clip(1e-9)[:, None], axis=0)
    left = np.linalg.norm(rest, axis=0)
    plain, own = left / math.sqrt(free), abs(R[-1, -1])
    error, slope = np.maximum(uneven, plain) / own, found[-1] / R[-1, -1]
    wide, chance = student.ppf(0.975, free) * error, 2 * student.sf(abs(slope) / error, free)
    partial = own * slope / np.hypot(own * slope, left)
    numbers = np.stack(
        (slope * units, (slope - wide) * units, (slope + wide) * units, partial, chance, plain / own * units)
    )
    names = tuple(collection.names[k] for k in held)
    edges = [
        CollectedEdge(collection.names[i], collection.names[k], names, a, (low, high), r, by_chance, even, free)
        for k, (a, low, high, r, by_chance, even) in zip(later, numbers.T.tolist(), strict=True)
    ]
    if not names:
        return edges
    strong = _strengths(inverse, inverse @ found, left)
    return [replace(edge, hidden=_hidden(edge, *strong[:, :, k])) for k, edge in enumerate(edges)]


def _strengths(
    inverse: Float[np.ndarray, "term term"],
    slopes: Float[np.ndarray, "term effect"],
    left: Float[np.ndarray, " effect"],
) -> Float[np.ndarray, "2 held effect"]:
    """What each column held explains of the cause, and of each effect, all others held: shares over what is left."""
    size = (inverse**2).sum(1)  # of slopes: their squared errors over that of noise
    share = (inverse @ inverse[-1])[:-1] ** 2 / (size[-1] * size[:-1])
    of_cause = np.broadcast_to((share / (1 - share))[:, None], slopes[:-1].shape)
    return np.stack((of_cause, slopes[:-1] ** 2 / size[:-1, None] / left**2))


def _hidden(edge: CollectedEdge, of_cause: Float[np.ndarray, " held"], of_effect: Float[np.ndarray, " held"]) -> Hidden:
    """The worst that a cause as strong as one of the columns held does (Cinelli and Hazlett, k = 1)."""
    share = of_cause.clip(max=MOST)
    shares = np.stack((share, ((1 + share) / (1 - share) * of_effect).clip(max=1.0)), 1)
    worst = int((shares[:, 1] * share / (1 - share)).argmax())
    d, y = shares[worst].tolist()
    return Hidden(edge.adjusted[worst], d, y, edge.under(d, y))


def _discovered(edges: list[CollectedEdge]) -> tuple[CollectedEdge, ...]:
    """With the false discovery rate at which each comes in; what a hidden cause could do is asked of those told."""
    chance = np.array([edge.chance for edge in edges])
    order = chance.argsort()
    rate = np.empty(len(edges))
    rate[order] = np.minimum.accumulate((chance[order] * len(edges) / np.arange(1, len(edges) + 1))[::-1])[::-1]
    found = [replace(edge, rate=min(1.0, float(each))) for edge, each in zip(edges, rate, strict=True)]
    return tuple(edge if edge.told else replace(edge, hidden=None) for edge in found)
