"""Edges by adjustment for everything recorded that is not after the cause, with what hidden causes could do to them.

The slope of an effect on a cause, others of the same and of earlier tiers held: the change of the effect that an
intervention would make, if columns of one tier do not act on each other, laws are straight lines, and every common
cause is recorded (J. Pearl, Biometrika 82, 669 (1995), doi:10.1093/biomet/82.4.669). Errors do not ask noise to be even
(HC3, which is rather too wide where rows are few; J. G. MacKinnon, H. White, J. Econometrics 29, 305 (1985),
doi:10.1016/0304-4076(85)90158-7). Edges are those of a false discovery rate (Y. Benjamini, Y. Hochberg, J. R. Stat.
Soc. B 57, 289 (1995), doi:10.1111/j.2517-6161.1995.tb02031.x). How strong a hidden common cause would have to be:
C. Cinelli, C. Hazlett, J. R. Stat. Soc. B 82, 39 (2020), doi:10.1111/rssb.12348.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float
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
    tier, names, edges = collection.tier, collection.names, []
    if unknown := [name for name in effects if name not in names]:
        raise InputError(f"'{unknown[0]}' is no column of this collection; it has {', '.join(names)}")
    for i, j in product(range(len(names)), repeat=2):
        if tier[i] < tier[j] and (not effects or names[j] in effects):
            held = tuple(name for k, name in enumerate(names) if every and k != i and tier[k] <= tier[i])
            edges.append(_edge(collection, names[i], names[j], held))
    if first := [name for name in effects if name in collection.tiers[0]]:
        raise InputError(
            f"'{first[0]}' is in the first tier, which nothing comes before; ask for effects of later ones"
        )
    found = [replace(edge, hidden=_hidden(collection, edge)) if edge.told else edge for edge in _discovered(edges)]
    return Collected(tuple(found), names)


def _edge(collection: Collection, cause: str, effect: str, held: tuple[str, ...]) -> CollectedEdge:
    x, y = (_left(collection, name, held) for name in (cause, effect))
    free = len(x) - len(held) - 2
    slope = float(x @ y / (x @ x))
    rest = y - slope * x
    lever = _levers(collection, held) + x**2 / (x @ x)
    error = math.sqrt(float((x**2 * (rest / (1 - lever).clip(1e-9)) ** 2).sum())) / float(x @ x)
    wide = float(student.ppf(0.975, free)) * error
    chance = float(2 * student.sf(abs(slope) / max(error, 1e-300), free))
    partial = float(x @ y / math.sqrt((x @ x) * (y @ y)))
    plain = math.sqrt(float(rest @ rest) / free / float(x @ x))
    return CollectedEdge(cause, effect, held, slope, (slope - wide, slope + wide), partial, chance, plain, free)


def _hidden(collection: Collection, edge: CollectedEdge) -> Hidden | None:
    """The worst that a cause as strong as one of the columns held does (Cinelli and Hazlett, k = 1)."""
    held = edge.adjusted
    of_cause = _explained(collection, (*held, edge.cause))
    of_effect = _explained(collection, (*held, edge.cause, edge.effect))
    every = []
    for name, d, y in zip(held, of_cause, of_effect, strict=False):
        share = min(d / (1 - d), MOST)
        shares = share, min((1 + share) / (1 - share) * y / (1 - y), 1.0)
        every.append(Hidden(name, *shares, edge.under(*shares)))
    return max(every, key=lambda each: each.between[1] - each.between[0], default=None)


def _explained(collection: Collection, names: tuple[str, ...]) -> list[float]:
    """The share of what is left of the last that each of the others explains, all others held."""
    inverse = np.linalg.inv(np.corrcoef(np.stack([collection.column(name) for name in names])).reshape(len(names), -1))
    size = np.sqrt(inverse.diagonal())
    return [float(each) for each in (inverse[-1, :-1] / (size[-1] * size[:-1])) ** 2]


def _design(collection: Collection, held: tuple[str, ...]) -> Float[np.ndarray, "row term"]:
    columns = [np.ones(len(collection.rows)), *(collection.column(name) for name in held)]
    return np.linalg.qr(np.stack(columns, 1))[0]


def _left(collection: Collection, name: str, held: tuple[str, ...]) -> Float[np.ndarray, " row"]:
    """What of a column its regression on those held leaves."""
    Q, values = _design(collection, held), collection.column(name)
    found: Float[np.ndarray, " row"] = values - Q @ (Q.T @ values)
    return found


def _levers(collection: Collection, held: tuple[str, ...]) -> Float[np.ndarray, " row"]:
    """How much each row pulls at the regression on those held."""
    found: Float[np.ndarray, " row"] = (_design(collection, held) ** 2).sum(1)
    return found


def _discovered(edges: list[CollectedEdge]) -> tuple[CollectedEdge, ...]:
    """With the false discovery rate at which each comes in."""
    chance = np.array([edge.chance for edge in edges])
    order = chance.argsort()
    rate = np.empty(len(edges))
    rate[order] = np.minimum.accumulate((chance[order] * len(edges) / np.arange(1, len(edges) + 1))[::-1])[::-1]
    return tuple(replace(edge, rate=min(1.0, float(each))) for edge, each in zip(edges, rate, strict=True))
