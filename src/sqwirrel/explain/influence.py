"""influence(): what every bin has told about every parameter, all others free.

At the best fit a change of bin i by one standard deviation moves parameter p by (C J^T)_pi / sigma_i, with the
covariance C and the derivatives J of the expectation. Over all bins the squares sum up to the variance of p, as far as
the data and not the prior decide it: each bin's share of what is known (the influence function of F. R.
Hampel, J. Am. Stat. Assoc. 69, 383 (1974), doi:10.1080/01621459.1974.10482962).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.infer import Data, Posterior
from sqwirrel.infer.refine import Optimum
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import SpectrumTerm
from sqwirrel.infer.verdict import Hypothesis, fitted


@dataclass(frozen=True, eq=False)
class Influence:
    """How far one standard deviation of each bin moves each of the `names`, in its unit, by the labels of the spectra;
    `error` are standard deviations of a normal law with the curvature that the posterior has there.
    """

    names: tuple[str, ...]
    pull: Mapping[str, Float[Tensor, "parameter point energy"]]
    error: Float[Tensor, " parameter"]

    def of(self, name: str, label: str = "") -> Float[Tensor, "point energy"]:
        """The pull on one parameter."""
        if name not in self.names:
            raise InputError(f"the posterior has parameters {self.names}, nothing about '{name}'")
        return self.pull[label][self.names.index(name)]

    def share(self, name: str, label: str = "") -> Float[Tensor, "point energy"]:
        """The part of the parameter's variance that each bin's noise makes; over all spectra they sum up to 1 where the
        data decide.
        """
        return (self.of(name, label) / self.error[self.names.index(name)]) ** 2


def influence(rival: Hypothesis, posterior: Posterior, data: Data) -> Influence:
    """Of every bin of the spectra among the data that a posterior came from."""
    target, best, found = fitted(rival, posterior, data), posterior.basins[0].theta[None], {}
    full, covariance = target.full(best), _covariance(target, best)
    for term in target.terms:
        if isinstance(term, SpectrumTerm):
            here, there = target.columns(term)
            linear, valid = term.experiment.linearise(target.own(term, full)), term.observed.valid
            counting = term.experiment.instrument.counting
            weight = counting.efficiency * counting.weight(linear.expected[:, valid], term.observed)[0]
            pull = torch.zeros(len(target.names), *valid.shape, dtype=covariance.dtype)
            pull[:, valid] = covariance[:, there] @ linear.slope[0][here][:, valid] * weight.sqrt()
            found[term.label] = pull
    return Influence(target.names, found, covariance.diagonal().sqrt())


def _covariance(target: Target, best: Float[Tensor, "1 parameter"]) -> Float[Tensor, "parameter parameter"]:
    """Of likelihood and prior at the best fit, in the units of the parameters."""
    z = target.prior.unconstrain(best)
    slope, stretch = target.slope(z), target.stretch(z)[0]
    precision = slope.information[0] + torch.diag(slope.prior_information[0])
    return Optimum(z[0], 0.0, slope.information[0], precision).covariance * stretch * stretch[:, None]
