"""What is believed of a model after the points so far: quick enough to be asked after each of them.

Every one of many even points (Sobol's) of the prior of J1, J2 and D predicts all candidates once; scale and background
are marginalised on a grid. Weighted by their likelihood these points are the posterior, however many solutions there
are, and the mean weight is the evidence. Where too few carry weight, the best of them are refined and sampled round
with the parts of `infer`.
"""

import math
from dataclasses import dataclass, replace
from functools import cache

import torch

from benchmarks.closed_loop.square import LAWS, PRIORS, Log, candidates
from sqwirrel.infer import Posterior
from sqwirrel.infer.refine import basins, refine
from sqwirrel.infer.sampling.importance import importance
from sqwirrel.infer.target import Target
from sqwirrel.record import Record
from sqwirrel.seeds import stream

POINTS = {2: 8192, 3: 16384}
"""Points by the number of parameters of the Hamiltonian that are free."""
SCALES, BACKGROUNDS, ENOUGH, SAMPLED = 12, 6, 50, 1024
DRAWS, STARTS, NEAR = 200, 4, 12.0


@dataclass(frozen=True, eq=False)
class Belief:
    """The logarithm of the likelihood of every (point, scale and background) of a model."""

    model: str
    value: torch.Tensor

    @classmethod
    def before(cls, model: str) -> "Belief":
        """Nothing was measured."""
        return cls(model, torch.zeros(len(hamiltonians(model)), SCALES * BACKGROUNDS))

    def after(self, candidate: int, counts: float) -> "Belief":
        """One more point."""
        scale, background = grid().T
        mu = signals(self.model)[:, candidate, None] * scale + background
        return replace(self, value=self.value + (counts * mu.log() - mu - math.lgamma(counts + 1)))

    def posterior(self, log: Log, seed: int) -> Posterior:
        """The posterior, with its evidence."""
        highest = self.value.max()
        each = (self.value - highest).exp()
        weight = each.sum(1)
        total = float(highest) + math.log(float(weight.double().sum()) / each.numel())
        weight = weight / weight.sum()
        if 1 / float((weight**2).sum()) < ENOUGH:
            return self._refined(log, each, seed)
        generator = stream(seed, f"belief {len(log.counts)}")
        chosen = torch.multinomial(weight, SAMPLED, replacement=True, generator=generator)
        node = torch.multinomial(each[chosen], 1, generator=generator)[:, 0]
        draws = torch.cat((hamiltonians(self.model)[chosen], grid()[node]), dim=1).double()
        return _posterior(self.model, draws, torch.zeros(SAMPLED).double(), total)

    def _refined(self, log: Log, each: torch.Tensor, seed: int) -> Posterior:
        target = Target.of(log.scan(), PRIORS[self.model], log.spectrum())
        best = each.amax(1).argsort(descending=True)[:STARTS]
        starts = torch.cat((hamiltonians(self.model)[best], grid()[each[best].argmax(1)]), dim=1).double()
        inside = PRIORS[self.model].bounds
        room = 1e-3 * (inside[:, 1] - inside[:, 0])
        starts = starts.clamp(inside[:, 0] + room, inside[:, 1] - room)
        found = basins(refine(target, starts, steps=40))
        near = [basin for basin in found if basin.log_posterior > found[0].log_posterior - NEAR]
        weighted = importance(target, near, draws=DRAWS, rounds=2, seed=seed)
        return _posterior(
            self.model, PRIORS[self.model].constrain(weighted.z), weighted.log_weight, weighted.log_evidence
        )


@cache
def hamiltonians(model: str) -> torch.Tensor:
    """Points of the prior of the parameters of the Hamiltonian."""
    laws = [LAWS[name]["uniform"] for name in PRIORS[model].names if name in ("J1", "J2", "D")]
    low, high = torch.tensor(laws).T
    return low + (high - low) * torch.quasirandom.SobolEngine(len(laws), scramble=True, seed=7).draw(POINTS[len(laws)])


@cache
def signals(model: str) -> torch.Tensor:
    """What each of the points predicts for all candidates, at unit scale and without background."""
    theta, experiment = hamiltonians(model), candidates()
    columns = dict(zip(PRIORS[model].names, theta.T, strict=False))
    values = {**PRIORS[model].fixed, **columns, "scale": 1.0, "background": 0.0}
    rows = torch.stack([torch.as_tensor(values[name]).expand(len(theta)) for name in experiment.names], 1).double()
    with torch.no_grad():
        parts = [experiment.predict(part) for part in torch.split(rows, 256)]
    assert all(bool(part.stable.all()) for part in parts)
    return torch.cat([part.expected.float() for part in parts]).flatten(1).clamp(min=0)


@cache
def grid() -> torch.Tensor:
    """Middles of equal shares of the priors of scale and background."""
    low, high = torch.tensor(LAWS["scale"]["loguniform"]).log()
    scale = (low + (high - low) * (torch.arange(SCALES) + 0.5) / SCALES).exp()
    low, high = torch.tensor(LAWS["background"]["uniform"])
    background = low + (high - low) * (torch.arange(BACKGROUNDS) + 0.5) / BACKGROUNDS
    return torch.cartesian_prod(scale, background)


def _posterior(model: str, draws: torch.Tensor, log_weight: torch.Tensor, log_evidence: float) -> Posterior:
    names = PRIORS[model].names
    return Posterior(
        names=names,
        units=("",) * len(names),
        priors=("",) * len(names),
        draws=draws,
        log_weight=log_weight - log_weight.logsumexp(0),
        limit=torch.zeros(len(names), dtype=torch.float64),
        basins=(),
        checks=(),
        log_evidence=log_evidence,
        deviance_per_bin=0.0,
        seconds=0.0,
        record=Record(versions={}),
        anchor=torch.zeros(2, len(candidates().names), dtype=torch.float64),
        widening=torch.ones(len(names), dtype=torch.float64),
    )
