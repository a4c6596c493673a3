"""The exact likelihood of a map of aluminium, from where a flow points: Fisher scoring, and the normal law there."""

import time
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.model.laws import Fixed, LogUniform, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment
from sqwirrel.seeds import stream
from sqwirrel.simulate.crosssection import bose
from sqwirrel.spectra import Spectrum

STARTS, TRIED, DRAWS = 4, 32, 400
"""Stable draws of the flow that it starts from, out of so many, and draws of the normal law."""


class Refined(NamedTuple):
    """Where the likelihood is largest, draws of the normal law there, deviance per bin, seconds."""

    at: Float[Tensor, " parameter"]
    draws: Float[Tensor, "draw parameter"]
    deviance: float
    seconds: float


def refined(experiment: Experiment, x: Tensor, noise: float, draws: Tensor, beliefs: Prior) -> Refined:
    """A map of chi'' (channel, point, energy) with the same noise in every bin; scale and what is smooth are free."""
    clock, n = time.perf_counter(), len(beliefs.names)
    weight = bose(experiment.measurement.energy_centres, experiment.measurement.temperature or 0.0)
    valid = x[2] > 0
    level = torch.where(valid, x[0], 0.0).double() * weight
    spectrum = Spectrum.from_arrays(level, (noise * weight).expand_as(level), experiment.measurement, valid=valid)
    prior = _prior(beliefs, 1.0)
    middle = torch.tensor([sum(law.bounds) / 2 for law in beliefs.free.values()]).to(draws)
    tried = torch.cat((draws[:TRIED], middle[None]))
    starts = torch.cat((tried, draws.new_tensor([1.0, -0.1, 0.0, 0.0]).expand(len(tried), -1)), dim=1)
    signal = experiment.signal(Target.of(experiment, prior, spectrum).full(starts))
    expected, starts = signal.expected[signal.stable][:STARTS], starts[signal.stable][:STARTS]
    starts[:, n] = usual = 1 / float((expected / weight).amax((1, 2)).median())
    target = Target.of(experiment, _prior(beliefs, usual), spectrum)
    best = max(refine(target, starts), key=lambda each: each.log_posterior)
    root = torch.linalg.cholesky(best.covariance)
    z = best.z + torch.randn(DRAWS, len(best.z), generator=stream(4, "normal"), dtype=torch.float64) @ root.T
    at = target.prior.constrain(best.z[None])
    deviance = float(target.deviance(at)) / int(valid.sum())
    return Refined(at[0, :n], target.prior.constrain(z)[:, :n], deviance, time.perf_counter() - clock)


def _prior(beliefs: Prior, usual: float) -> Prior:
    """With a scale about the usual one, and what lies under a map."""
    return Prior(
        **beliefs.free,
        **{name: Fixed(value) for name, value in beliefs.fixed.items()},
        scale=LogUniform(usual / 30, usual * 30),
        background=Uniform(-1.0, 1.0),
        background_slope=Uniform(-0.05, 0.05),
        background_rise=Uniform(-0.02, 0.02),
    )
