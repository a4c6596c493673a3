"""What a causal map says, as plain data: the same for the page, the table and causal.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import networkx as nx
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sqwirrel.explain.causal.causal_map import CausalMap
from sqwirrel.explain.causal.edges import PRESENT
from sqwirrel.explain.causal.regimes import Regime
from sqwirrel.explain.causal.zoom import pieces
from sqwirrel.record import Record
from sqwirrel.report.causal.more import More, finite
from sqwirrel.report.numbers import plain
from sqwirrel.spectra import Measurement, QGrid, QShells, Spectrum

WORDING = (
    "Causal in the simulator by construction; causal for the material only as far as the tests of the measured "
    "spectrum pass."
)
GROWN = 1.05
"""Errors that grow less without a region are said to need it not."""
ZOOMS = (4, 12)
"""Numbers of regions that a map in one piece is also shown with."""
STATES = {-1: "absent", 0: "undecided", 1: "present"}


@dataclass(frozen=True, eq=False)
class Told:
    """A causal map and what it is of: `spectra`, and the region of each of their bins (`of`, -1 where nothing was
    measured), by label; `singles` are peaks and bulk numbers in words, each a region; parameters of the `models`, units
    of all; `about` says in words where interventions were made, `settings` how, `tests` what is known of the tests of
    the measured spectrum, which `passed` or not; `zooms` are the numbers of regions that it is also shown with (by
    default `ZOOMS`, and one more for each further piece).
    """

    title: str
    found: CausalMap
    spectra: Mapping[str, Spectrum]
    of: Mapping[str, Int64[Tensor, "*bin"]]
    models: tuple[str, ...]
    units: Mapping[str, str]
    about: str
    settings: Mapping[str, Any]
    tests: str
    passed: bool
    record: Record
    singles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more: More = field(default_factory=More)
    zooms: tuple[int, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Causes, those of the model first."""
        names = self.found.names
        return tuple(sorted(names, key=lambda name: (name not in self.models, names.index(name))))

    @cached_property
    def columns(self) -> list[int]:
        """Where the `names` are among the causes of the map."""
        return [self.found.names.index(name) for name in self.names]

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions."""
        return tuple(f"R{k + 1}" for k in range(len(self.found.regions.parents)))

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """The `zooms`, as far as there are so many regions."""
        asked = self.zooms or tuple(few + pieces(self.found.regions) - 1 for few in ZOOMS)
        return tuple(dict.fromkeys(min(count, len(self.regions)) for count in asked))

    def parents(self, region: int) -> tuple[str, ...]:
        """Causes that move the bins of a region, those of the model first."""
        row = self.found.regions.parents[region]
        return tuple(name for name, k in zip(self.names, self.columns, strict=True) if bool(row[k]))

    def movers(self, region: int) -> tuple[str, ...]:
        """Parents that are of the model."""
        return tuple(name for name in self.parents(region) if name in self.models)

    def places(self, region: int) -> dict[str, dict[str, Any]]:
        """How many bins of each spectrum a region has, and from where to where they are."""
        masks = {label: of == region for label, of in self.of.items() if bool((of == region).any())}
        return {label: {"bins": int(mask.sum()), **self._where(label, mask)} for label, mask in masks.items()}

    def coarse(self, label: str, count: int) -> Int64[Tensor, "*bin"]:
        """The region of each bin, -1 where nothing was measured, of the map with at most `count` regions."""
        of = self.of[label]
        return torch.where(of < 0, of, self.found.coarse(count).of[of.clamp(min=0)])

    @property
    def graph(self) -> nx.DiGraph:
        """That of the map, in which peaks and bulk numbers are of the kind "single", with words."""
        graph = self.found.graph
        for label, words in self.singles.items():
            for region, what in zip(self.of[label].tolist(), words, strict=True):
                graph.nodes[self.regions[region]].update(kind="single", data=label, what=what)
        return graph

    def foremost(self, weight: Float[Tensor, " region"], most: int) -> list[int]:
        """Up to `most` regions of the largest weight; of peaks and bulk numbers up to half of them, whatever theirs."""
        order = weight.argsort(descending=True).tolist()
        single = {k for label in self.singles for k in self.of[label].tolist()}
        first = [k for k in order if k in single][: most // 2]
        return [*first, *(k for k in order if k not in first)][:most]

    def _where(self, label: str, mask: Bool[Tensor, "*bin"]) -> dict[str, Any]:
        """An extent, or what a single one is."""
        if label in self.singles:
            return {"what": self.singles[label][int(mask.nonzero()[0, 0])]}
        return extent(self.spectra[label].measurement, mask)

    def fixing(self, name: str) -> str:
        """Up to three regions without which the error of a cause grows most, and how many times, in words."""
        factor = self.found.inverse.inflation[:, self.found.names.index(name)]
        first = factor.argsort(descending=True)[:3].tolist()
        said = [f"{self.regions[k]} (× {float(factor[k]):.2g})" for k in first if factor[k] >= GROWN]
        return ", ".join(said) or "no single region"

    def ends(self, name: str) -> tuple[float, float]:
        """What a cause was moved between; what is nothing beside the other end is 0."""
        low, high = self.found.between[self.found.names.index(name)].tolist()
        least = 1e-6 * max(abs(low), abs(high))
        return low if abs(low) > least else 0.0, high if abs(high) > least else 0.0

    def mapping(self) -> dict[str, Any]:
        """All of it as one object."""
        found = self.found
        return {
            "wording": WORDING,
            "title": self.title,
            "about": self.about,
            "settings": dict(self.settings),
            "tests": self.tests,
            "score": found.edges.score,
            "relevance": found.edges.relevance,
            "causes": [self._cause(name, k) for name, k in zip(self.names, self.columns, strict=True)],
            "regions": [self._region(k, name) for k, name in enumerate(self.regions)],
            "edges": [self._edge(region, k) for region, k in product(range(len(self.regions)), self.columns)],
            "regimes": {name: [self._regime(each) for each in found.regimes[name]] for name in self.names},
            "zoom": {"linkage": found.linkage.tolist(), "maps": [self._zoomed(count) for count in self.counts]},
            **self.more.mapping(),
            "seconds": found.seconds,
            "record": json.loads(self.record.to_json()),
        }

    def _cause(self, name: str, k: int) -> dict[str, Any]:
        found = self.found
        low, high = found.between[k].tolist()
        return {
            "name": name,
            "unit": self.units[name],
            "of_model": name in self.models,
            "middle": float(found.middle[k]),
            "between": [low, high],
            "threshold": float(found.regions.seen[k]),
            "lost_interventions": found.lost[name],
            "sigma": float(found.inverse.sigma[k]),
            "sigma_others_known": float(found.inverse.known[k]),
        }

    def _region(self, k: int, name: str) -> dict[str, Any]:
        inverse = self.found.inverse
        columns = {"sigma_alone": inverse.alone, "sigma_without": inverse.without, "inflation": inverse.inflation}
        return {
            "name": name,
            "bins": int(self.found.regions.sizes[k]),
            "parents": list(self.parents(k)),
            "border_probability": finite(float(self.found.regions.sure[k])),
            "places": self.places(k),
            **{key: self._row(values[k]) for key, values in columns.items()},
        }

    def _row(self, values: Float[Tensor, " cause"]) -> dict[str, float]:
        return {name: float(values[k]) for name, k in zip(self.names, self.columns, strict=True)}

    def _edge(self, region: int, k: int) -> dict[str, Any]:
        edges = self.found.edges
        return {
            "cause": self.found.names[k],
            "region": self.regions[region],
            "effect": float(edges.effect[region, k]),
            "interval95": edges.interval95[region, k].tolist(),
            "probability": float(edges.probability[region, k]),
            "state": STATES[int(edges.state[region, k])],
            **self._move(region, self.found.names[k]),
        }

    def _move(self, region: int, name: str) -> dict[str, float | None]:
        """How the signal of a region moves with a parameter of the model."""
        moves = self.more.moves
        if moves is None or name not in self.models:
            return {}
        rows = {"shift": moves.shift, "log_intensity": moves.growth, "broadening": moves.broadening}
        return {key: finite(float(values[region, self.models.index(name)])) for key, values in rows.items()}

    def _regime(self, regime: Regime) -> dict[str, Any]:
        active = [name for name, on in zip(self.regions, regime.active.tolist(), strict=True) if on]
        probability = dict(zip(self.regions, regime.probability.tolist(), strict=True))
        return {"between": [regime.low, regime.high], "active": active, "probability": probability}

    def _zoomed(self, count: int) -> list[dict[str, Any]]:
        """The regions of a coarse map, numbered as in its picture."""
        coarse, sizes = self.found.coarse(count), self.found.regions.sizes
        return [
            {
                "name": f"Z{k + 1}",
                "regions": [name for name, here in zip(self.regions, (coarse.of == k).tolist(), strict=True) if here],
                "bins": int(sizes[coarse.of == k].sum()),
                "parents": [name for name, i in zip(self.names, self.columns, strict=True) if coarse.parents[k, i]],
                "effect": self._row(effect),
            }
            for k, effect in enumerate(coarse.effect)
        ]

    @property
    def printed(self) -> tuple[tuple[tuple[list[str], list[list[str]]], ...], str]:
        """Heads and rows of regions and of causes, and what is said last: what was found, and what was not tested."""
        return (region_table(self), cause_table(self)), f"{self.summary} {self.about}\n{WORDING} {self.tests}"

    @property
    def summary(self) -> str:
        """One sentence."""
        state = self.found.edges.state
        present, undecided = int((state == PRESENT).sum()), int((state == 0).sum())
        return (
            f"{len(self.regions)} regions; {present} of {state.numel()} possible arrows are there, "
            f"{undecided} undecided (score {self.found.edges.score:.2f}, causal relevance index "
            f"{self.found.edges.relevance:.2f})."
        )


def extent(measurement: Measurement, mask: Bool[Tensor, "point energy"]) -> dict[str, Any]:
    """From where to where some bins are: energies, and |Q| or each component of q, or along those `axes` of a grid that
    have several bins.
    """
    rows, points = mask.any(1), measurement.points
    low, high = (
        edges.expand(mask.shape)[mask] for edges in (measurement.energy[..., :-1], measurement.energy[..., 1:])
    )
    found: dict[str, Any] = {"energy": [float(low.min()), float(high.max())]}
    match points:
        case QShells(edges):
            return found | {"Q": [float(edges[:-1][rows].min()), float(edges[1:][rows].max())]}
        case QGrid():
            index = torch.unravel_index(rows.nonzero()[:, 0], points.shape)
            ends = {
                name: [float(edges[int(each.min())]), float(edges[int(each.max()) + 1])]
                for name, edges, each, side in zip("hkl", points.edges, index, points.shape, strict=True)
                if side > 1
            }
            return found | {"axes": points.axes.tolist(), "q": ends}
        case _:
            q = points.q[rows]
            return found | {"q": {n: [float(q[:, k].min()), float(q[:, k].max())] for k, n in enumerate("hkl")}}


def placed(place: Mapping[str, Any]) -> tuple[str, str]:
    """An extent in words: momenta and energies; or what a single one is."""
    if "what" in place:
        return place["what"], ""
    energy = _between(place["energy"]) + " meV"
    if "Q" in place:
        return _between(place["Q"]) + " Å⁻¹", energy
    return ", ".join(f"{name} {_between(row)}" for name, row in place["q"].items()), energy


def _between(ends: list[float]) -> str:
    low, high = (f"{round(x, 3) + 0.0:.4g}".replace("-", "−") for x in ends)
    return low if low == high else f"{low} to {high}"


def region_table(told: Told) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: every region, where it is, and its parents; those of the instrument are counted."""
    several, rows = len(told.of) > 1, []
    for k, name in enumerate(told.regions):
        for label, place in told.places(k).items():
            movers, every = told.movers(k), told.parents(k)
            more = len(every) - len(movers)
            said = " ".join(movers) + (f" +{more}" if more else "")
            rows.append([name, *([label] if several else []), str(place["bins"]), *placed(place), said.strip() or "-"])
    return ["", *(["data"] if several else []), "bins", "momentum", "energy", "parents (+ of the instrument)"], rows


def cause_table(told: Told) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: every parameter of the model, its error, and the regions without which that is largest."""
    rows = []
    for name in told.models:
        k = told.found.names.index(name)
        rows.append([name, f"{plain(float(told.found.inverse.sigma[k]))} {told.units[name]}", told.fixing(name)])
    return ["", "error", "error grows without"], rows
