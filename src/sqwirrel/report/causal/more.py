"""What else is asked about causes, as plain data and tables: what speaks against a map, what parameters act through,
what moves the dispersion, and what would have been measured.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqwirrel.explain.causal.measured import Counterfactual, Finding, Objections
from sqwirrel.explain.causal.paths import Estimate, Moves, ReadingEdge, ReadingValue, Shares
from sqwirrel.report.numbers import interval, plain, to, with_error

SHOWN = 12
"""Candidates in a table; all of them are in causal.json."""
REST = "together"
SAME = 1e-5
"""Intervals this narrow, relative to their value, are rounding."""


@dataclass(frozen=True, eq=False)
class More:
    """What was asked beside the map: `objections` of a fitted spectrum, shares of each path by the parameter that acts
    (`routes`), how regions move with the parameters of the model (`moves`), what moves readings of the dispersion
    and their `values` at the middle of the map, the spectrum after an action (`acted`), and what could not be asked,
    why.
    """

    objections: Objections | None = None
    routes: Mapping[str, Shares] = field(default_factory=dict)
    moves: Moves | None = None
    readings: tuple[ReadingEdge, ...] = ()
    values: tuple[ReadingValue, ...] = ()
    acted: Counterfactual | None = None
    refused: tuple[str, ...] = ()

    def mapping(self) -> dict[str, Any]:
        """All of it as one object."""
        return {
            "objections": None if self.objections is None else _objections(self.objections),
            "paths": {cause: _shares(shares) for cause, shares in self.routes.items()},
            "readings": [_reading(edge) for edge in self.readings],
            "reading_values": [{**asdict(each), "error": finite(each.error)} for each in self.values],
            "counterfactual": None if self.acted is None else {"do": self.acted.action, "stable": self.acted.stable},
            "not_asked": list(self.refused),
        }


def _objections(found: Objections) -> dict[str, Any]:
    parts = [
        {"cut_along": along, "part": part.part, "chi2": part.chi2, "freedom": part.freedom, "p": part.corrected,
         "parameters": _parameters(part)}
        for along, every in found.invariance.items() for part in every.parts
    ]  # fmt: skip
    lacks = () if found.missing is None else found.missing.findings
    return {
        "parts": parts,
        "candidates": [_candidate(each) for each in lacks],
        "broken": list(found.broken),
        "asked": list(found.asked),
    }


def _parameters(part: Any) -> dict[str, dict[str, Any]]:
    keys = ("value", "error", "rest", "rest_error", "score")
    rows = zip(*(getattr(part, key).tolist() for key in keys), strict=True)
    return {
        name: {"told": bool(told)} | dict(zip(keys, map(finite, row), strict=True))
        for name, told, row in zip(part.names, part.told.tolist(), rows, strict=True)
    }


def _candidate(each: Finding) -> dict[str, Any]:
    said = {"name": each.name, "kind": each.kind, "meaning": each.meaning, "unit": each.unit}
    if each.untested:
        return {**said, "untested": each.untested}
    numbers = {key: finite(getattr(each, key)) for key in ("score", "value", "error", "p", "corrected")}
    return {**said, **numbers, "alike": list(each.alike)}


def _shares(shares: Shares) -> dict[str, Any]:
    def every(estimate: Estimate, *at: int) -> list[dict[str, float | None]]:
        rows = (each[at].tolist() if at else each.tolist() for each in estimate)
        return [dict(zip(("value", "low", "high"), map(finite, row), strict=True)) for row in zip(*rows, strict=True)]

    alone = {name: every(shares.alone, k) for k, name in enumerate(shares.paths)}
    shown = {**alone, REST: every(shares.rest)}
    return {
        "regions": {f"R{k + 1}": {path: rows[k] for path, rows in shown.items()} for k in range(len(shown[REST]))},
        "left_out": shares.left_out,
    }


def _reading(edge: ReadingEdge) -> dict[str, Any]:
    def one(estimate: Estimate) -> dict[str, float | None]:
        return {key: finite(float(getattr(estimate, key))) for key in ("value", "low", "high")}

    return {
        "cause": edge.cause,
        "reading": edge.reading,
        "unit": edge.unit,
        "effect": one(edge.effect),
        "slope": one(edge.slope),
        "log_slope": one(edge.log_slope),
        "is_zero": bool(edge.is_zero),
        "left_out": edge.left_out,
    }


def finite(value: float) -> float | None:
    """None in place of what is no number."""
    return value if math.isfinite(value) else None


def part_rows(found: Objections) -> list[list[str]]:
    """Every parameter in every part of the data: there, in the rest, and how far apart."""
    rows = []
    for every in found.invariance.values():
        for part in every.parts:
            columns = (part.value, part.error, part.rest, part.rest_error, part.score)
            told = zip(part.names, part.told.tolist(), *(each.tolist() for each in columns), strict=True)
            for k, (name, is_told, here, error, rest, rest_error, score) in enumerate(told):
                head = [part.part, f"{part.corrected:.2g}"] if k == 0 else ["", ""]
                apart = f"{score:+.1f} σ" if is_told else "not told"
                rows.append([*head, name, with_error(here, error), with_error(rest, rest_error), apart])
    return rows


def candidate_rows(found: Objections) -> list[list[str]]:
    """What the model might lack, the one that the data pull at hardest first."""
    if found.missing is None:
        return []
    kept = [each for each in found.missing.findings if not each.untested][:SHOWN]
    return [
        [each.name, each.meaning, f"{each.score:+.1f} σ", f"{each.corrected:.2g}",
         f"{with_error(each.value, each.error)} {each.unit}".strip(), ", ".join(each.alike)]
        for each in kept
    ]  # fmt: skip


def reading_rows(edges: tuple[ReadingEdge, ...], units: Mapping[str, str]) -> list[list[str]]:
    """What each parameter does to each reading."""
    rows, last = [], ""
    for edge in sorted(edges, key=lambda each: [other.reading for other in edges].index(each.reading)):
        head, last = edge.reading if edge.reading != last else "", edge.reading
        if edge.is_zero:
            rows.append([head, edge.cause, "nothing", "", ""])
            continue
        unit = "/".join(filter(None, (edge.unit, units[edge.cause])))
        power = "" if math.isnan(float(edge.log_slope.value)) else between(edge.log_slope)
        rows.append([head, edge.cause, f"{between(edge.effect)} {edge.unit}", f"{between(edge.slope)} {unit}", power])
    return rows


def value_rows(values: tuple[ReadingValue, ...], units: Mapping[str, str], seen: Sequence[float]) -> list[list[str]]:
    """Every reading at the middle of the map, what one unit of each parameter adds to it there, and whether it is an
    energy outside of those that were `seen`.
    """
    rows = []
    for each in values:
        value = plain(each.value) if math.isnan(each.error) else with_error(each.value, each.error)
        slopes = [f"{name} {slope:+.3g} {each.unit}/{units[name]}" for name, slope in each.slopes.items() if slope]
        unseen = bool(seen) and each.unit == "meV" and not min(seen) <= each.value <= max(seen)
        where = f"not measured: bins are from {min(seen):.3g} to {max(seen):.3g} meV" if unseen else ""
        rows.append([each.reading, f"{value} {each.unit}", "; ".join(slopes), where])
    return rows


def between(estimate: Estimate) -> str:
    """A value with its 95 % interval."""
    value, low, high = (float(each) for each in estimate)
    return plain(value) if high - low <= SAME * abs(value) else f"{to(value, (high - low) / 4)} ({interval(low, high)})"
