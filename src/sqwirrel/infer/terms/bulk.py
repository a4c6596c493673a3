"""Bulk numbers as a term of a posterior."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer.terms.term import TermSlope
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.spectra.bulk import Bulk


@dataclass(frozen=True, eq=False)
class BulkTerm:
    """Bulk numbers, each with a normal law of its error. `names` are its parameters among those of all terms."""

    experiment: BulkExperiment
    bulk: Bulk
    names: tuple[str, ...]
    label: str = ""

    average = None
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

    def profiled(
        self,
        theta: Float[Tensor, "batch own"],
        solve: Mapping[str, tuple[float, float]],  # noqa: ARG002 (no nuisance is linear)
    ) -> tuple[Float[Tensor, "batch own"], Float[Tensor, " batch"]]:
        """The rows as they are, and the deviance."""
        return theta, self.deviance(theta)

    def anchored(
        self,
        theta: Float[Tensor, "1 own"],  # noqa: ARG002 (the mesh is what it is)
        spread: Float[Tensor, " own"],  # noqa: ARG002
        more: int = 1,  # noqa: ARG002
    ) -> "BulkTerm":
        """The same."""
        return self

    def reweighed(self, theta: Float[Tensor, "1 own"]) -> "BulkTerm":  # noqa: ARG002 (errors are what they are)
        """The same."""
        return self

    def push(self, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "repeat own"]:
        """Nothing: there are no repetitions."""
        return theta[:0]
