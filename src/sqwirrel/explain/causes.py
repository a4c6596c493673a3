"""causal_map(): the causal map of an experiment, a prior and data."""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal import causal_map as steps
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer.terms import Data, Simulator
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment


def causal_map(
    experiment: Simulator,
    prior: Prior,
    data: Data | None = None,
    pairs: int = 64,
    seed: int = 5,
    *,
    middle: Float[Tensor, " cause"] | None = None,
    width: float = steps.WIDTH,
) -> steps.CausalMap:
    """Interventions on every free parameter, over `width` of its `prior` round `middle` (that of the prior, if left
    out), in the bins and with the noise of `data`; without data, in those that one experiment counts at the middle.

    `sqwirrel.explain.causal.causal_map.causal_map` does the same with any system, and takes more.
    """
    data = _counted(experiment, prior, middle, seed) if data is None else data
    return steps.causal_map(Spectra.of(experiment, prior, data), pairs, seed, middle=middle, width=width)


def _counted(experiment: Simulator, prior: Prior, middle: Float[Tensor, " cause"] | None, seed: int) -> Data:
    if not isinstance(experiment, Experiment):
        raise InputError("a causal map without data is of one experiment that counts; give the data of several")
    theta = prior.quantile(torch.full((1, len(prior.names)), 0.5, dtype=torch.float64)) if middle is None else middle
    known = dict(zip(prior.names, theta.reshape(-1).tolist(), strict=True))
    return experiment.sample(experiment.pack(**prior.fixed, **known), seed)
