"""objections(): what a measured spectrum says against the causes that a map has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.measured.invariance import Invariance, Part, invariance, parts_by
from sqwirrel.explain.causal.measured.missing import Missing, missing
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer import Data, Posterior
from sqwirrel.infer.terms import SpectrumTerm
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.model.crystal import Crystal
from sqwirrel.observe.joint import Joint
from sqwirrel.spectra import Measurement, QGrid, QShells

CONDITIONS = ("temperature", "incident_energy")
LEAST = 0.1
"""What the smaller part has at least, of all that is told: else there are no halves."""


@dataclass(frozen=True)
class Objections:
    """Whether parameters are the same in all parts, by what the data were cut along; which candidate causes the
    residual asks for (None where it could not be asked); and what could not be tested, why.
    """

    invariance: Mapping[str, Invariance]
    missing: Missing | None
    untested: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[str, ...]:
        """Parts in which parameters are others than in the rest."""
        return tuple(part for each in self.invariance.values() for part in each.broken)

    @property
    def asked(self) -> tuple[str, ...]:
        """Candidates that the residual asks for."""
        return () if self.missing is None else tuple(each.name for each in self.missing.asked)

    @property
    def passed(self) -> bool:
        """Whether nothing was said against the map, as far as it was tested."""
        return not (self.broken or self.asked)


def objections(
    rival: Hypothesis,
    posterior: Posterior,
    data: Data,
    system: Spectra,
    names: tuple[str, ...],
    crystal: Crystal | None,
) -> Objections:
    """Invariance of the parameters `names` over the halves of the data, the measurements, temperatures and incident
    energies, if there are several; and the score test of what the model lacks on its `crystal`.
    """
    along, untested = _along(rival, posterior, system, names), []
    found = {title: invariance(rival, posterior, data, parts, names=names) for title, parts in along.items()}
    found = {title: _corrected(each, len(found)) for title, each in found.items()}
    lacks = None
    try:
        lacks = missing(rival, posterior, data, crystal)
    except InputError as error:
        untested.append(f"terms that the model lacks: {error}")
        if crystal is not None:
            lacks = missing(rival, posterior, data)
    return Objections(found, lacks, tuple(untested))


def _corrected(found: Invariance, cuts: int) -> Invariance:
    """With p-values for all cuts (C. E. Bonferroni)."""
    parts = (replace(each, corrected=min(1.0, cuts * each.corrected)) for each in found.parts)
    return Invariance(tuple(parts))


def _along(
    rival: Hypothesis, posterior: Posterior, system: Spectra, names: tuple[str, ...]
) -> dict[str, dict[str, Part]]:
    found = dict(halves(system, posterior.basins[0].theta, names)) if names else {}
    if isinstance(rival.simulator, Joint) and len(rival.simulator.experiments) > 1:
        labels = list(rival.simulator.experiments)
        found["measurement"] = {label: {label: None} for label in labels}
        for condition in CONDITIONS:
            parts = parts_by(rival.simulator, condition)
            if 1 < len(parts) < len(labels):
                found[condition.replace("_", " ")] = parts
    return found


def halves(system: Spectra, middle: Float[Tensor, " cause"], names: Sequence[str]) -> dict[str, dict[str, Part]]:
    """All bins of spectra at low and at high energies, and at small and at large momenta, cut where either half tells
    about as much of the parameters `names` (their Fisher information, each over its sum, others known); by what is cut.
    """
    slope = system.slope(middle[None])[[system.prior.names.index(name) for name in names]]
    told = (slope**2 / (slope**2).sum(1, keepdim=True).clamp(min=1e-300)).mean(0)
    terms = [term for term in system.terms if isinstance(term, SpectrumTerm)]
    where = {term.label: term.experiment.measurement for term in terms}
    if not where:
        return {}
    weight, found = {label: each for label, each in system.maps(told).items() if label in where}, {}
    energy = {label: each.energy_centres.expand(each.shape) for label, each in where.items()}
    size = {label: _momentum(each).expand(each.shape) for label, each in where.items()}
    for title, words, values in (("energy", "meV", energy), ("momentum", "1/A", size)):
        parts = _cut(title, words, values, weight)
        if parts:
            found[title] = parts
    return found


def _momentum(measurement: Measurement) -> Float[Tensor, "point #energy"]:
    """|Q| of every bin, 1/A."""
    points = measurement.points
    if isinstance(points, QShells):
        return (points.edges[1:, None] + points.edges[:-1, None]) / 2
    q = points.at(measurement.energy_centres) if isinstance(points, QGrid) else points.q[:, None]
    size: Tensor = torch.linalg.vector_norm(points.lattice.to_cartesian(q), dim=-1)
    return size


def _cut(title: str, unit: str, values: dict[str, Tensor], weight: dict[str, Tensor]) -> dict[str, Part]:
    """Below and above the middle."""
    valid = {label: ~each.isnan() for label, each in weight.items()}
    x, w = (torch.cat([each[label][valid[label]] for label in valid]) for each in (values, weight))
    order = x.argsort()
    at = float(x[order][torch.searchsorted(w[order].cumsum(0), float(w.sum()) / 2).clamp(max=len(x) - 1)])
    low: dict[str, Bool[Tensor, "point energy"]] = {label: each < at for label, each in values.items()}
    share = float(sum(weight[label][low[label] & valid[label]].sum() for label in low) / w.sum())
    if not LEAST <= share <= 1 - LEAST:
        return {}
    names = (f"{title} below {at:.3g} {unit}", f"{title} from {at:.3g} {unit} on")
    kept = ({label: each & valid[label] for label, each in part.items()} for part in (low, _not(low)))
    return {name: {k: m for k, m in part.items() if bool(m.any())} for name, part in zip(names, kept, strict=True)}


def _not(masks: dict[str, Bool[Tensor, "point energy"]]) -> dict[str, Bool[Tensor, "point energy"]]:
    return {label: ~mask for label, mask in masks.items()}
