"""Bulk numbers as a term of a posterior."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.terms.term import Exact, TermSlope
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.spectra.bulk import Bulk


@dataclass(frozen=True, eq=False)
class BulkTerm(Exact):
    """Bulk numbers, each with a normal law of its error. `names` are its parameters among those of all terms."""

    experiment: BulkExperiment
    bulk: Bulk
    names: tuple[str, ...]
    label: str = ""

    assumed = ()

    @classmethod
    def of(cls, experiment: BulkExperiment, bulk: Bulk, names: tuple[str, ...], label: str = "") -> "BulkTerm":
        """The term of `bulk`, which must be the numbers that `experiment` predicts."""
        asked, given = ([replace(x, value=0.0, error=1.0) for x in y.numbers] for y in (experiment.bulk, bulk))
        if asked != given:
            raise InputError(
                f"the bulk numbers{f' {label!r}' if label else ''} are others than those of the experiment; make the "
                "experiment of these"
            )
        return cls(experiment, bulk, names, label)

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.bulk)

    @property
    def log_normalisation(self) -> float:
        """log L of a model that meets every number."""
        return -0.5 * float(torch.log(2 * math.pi * self.bulk.error**2).sum())

    def residual(self, theta: Float[Tensor, "batch own"]) -> Float[Tensor, "batch number"]:
        """(data - model) in standard deviations; inf where the order is unstable."""
        found = self.experiment.predict(theta)
        away = (self.bulk.value - found.value) / self.bulk.error
        return torch.where(found.stable[:, None], away, torch.inf)

    def deviance(self, theta: Float[Tensor, "batch own"]) -> Float[Tensor, " batch"]:
        """Sum of the squares of the residuals; inf where unstable."""
        return self.residual(theta).square().sum(1)

    def slope(self, theta: Float[Tensor, "batch own"]) -> TermSlope:
        """Deviance, gradient and Fisher information."""
        found = self.experiment.linearise(theta)
        away, rise = (self.bulk.value - found.expected) / self.bulk.error, found.slope / self.bulk.error
        deviance = torch.where(found.stable, away.square().sum(1), torch.inf)
        return TermSlope(deviance, torch.einsum("bpn,bn->bp", rise, away), rise @ rise.mT)
