"""counterfactual(): the spectrum that would have been measured, had a parameter been another one.

Abduction, action, prediction (J. Pearl, Causality, 2nd ed., Cambridge 2009, section 7.1, doi:10.1017/CBO9780511803161):
each draw of the posterior explains the measured bins up to a noise of their own; the action sets parameters and leaves
all others of the draw as they are; the prediction adds that very noise again. Noise of reduced data is carried over as
it is, that of counts in z = 2 sqrt(n + 3/8), in which it has unit variance (F. J. Anscombe, Biometrika 35, 246 (1948),
doi:10.1093/biomet/35.3-4.246). What the model misses is carried over with the noise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError, meant
from sqwirrel.infer import Data, Posterior
from sqwirrel.infer.posterior import LEVELS, weighted_quantile
from sqwirrel.infer.target import Target
from sqwirrel.infer.terms import SpectrumTerm
from sqwirrel.infer.verdict import Hypothesis, fitted
from sqwirrel.observe.counting import Counting, Observed
from sqwirrel.spectra import Spectrum

Value = float | Callable[[Float[Tensor, " draw"]], Float[Tensor, " draw"]]
"""What an action sets a parameter to: a number, or a function of what each draw has."""


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """Spectra that would have been measured under the `action`, by the labels of the spectra.

    `spectra` are medians over draws of the posterior, half of the 68 % interval as their error: the measured noise is
    known, so that it is no error here. They say of themselves that nobody measured them (`Spectrum.translated`).
    Intervals are lower and upper ends in every bin, in the unit of the spectrum, 0 where nothing was measured. `stable`
    is the share of draws whose order the action leaves stable; only these are in the intervals.
    """

    action: str
    spectra: Mapping[str, Spectrum]
    interval68: Mapping[str, Float[Tensor, "2 point energy"]]
    interval95: Mapping[str, Float[Tensor, "2 point energy"]]
    stable: float


def counterfactual(
    rival: Hypothesis, posterior: Posterior, data: Data, do: Mapping[str, Value], *, draws: int = 50, seed: int = 1
) -> Counterfactual:
    """What would have been measured, had parameters been what `do` sets them to (a number in their unit, or a function
    of the values that the draws have), with everything else as it was, the noise included.

    Raises InputError for unknown parameters, where there is no spectrum, and where no draw has a stable order.
    """
    target = fitted(rival, posterior, data)
    terms = [term for term in target.terms if isinstance(term, SpectrumTerm)]
    if not terms or draws < 1:
        raise InputError(
            "a counterfactual needs a measured spectrum and at least one draw; "
            f"there are {len(terms)} spectra and {draws} draws"
        )
    was = target.full(posterior.sample(draws, seed))
    acted, action = _acted(target, was, do), _spelled(do)
    found, stable = _predicted(target, terms, was, acted)
    if not bool(stable.any()):
        raise InputError(f"{action} leaves no draw with a stable order: {target.why_unstable(acted[:1])}")
    kept = {term.label: each[stable] for term, each in zip(terms, found, strict=True)}
    bands = {key: {term.label: _band(term, kept[term.label], LEVELS[key]) for term in terms} for key in LEVELS}
    spectra = {term.label: _median(term, kept[term.label], bands["interval68"][term.label], action) for term in terms}
    return Counterfactual(action, spectra, **bands, stable=float(stable.double().mean()))


def _predicted(
    target: Target, terms: Sequence[SpectrumTerm], was: Float[Tensor, "draw full"], acted: Float[Tensor, "draw full"]
) -> tuple[list[Float[Tensor, "draw bin"]], Bool[Tensor, " draw"]]:
    """The valid bins of each spectrum after the action, and for which draws all orders are stable."""
    found, stable = [], torch.ones(len(was), dtype=torch.bool)
    for term in terms:
        with torch.no_grad():
            before, after = (term.experiment.predict(target.own(term, theta)) for theta in (was, acted))
        mu, nu = (each.expected[:, term.observed.valid] for each in (before, after))
        found.append(carried(mu, nu, term.observed, term.experiment.instrument.counting))
        stable &= before.stable & after.stable
    return found, stable


def carried(
    mu: Float[Tensor, "draw bin"], nu: Float[Tensor, "draw bin"], observed: Observed, counting: Counting
) -> Float[Tensor, "draw bin"]:
    """The data, had their expectation been `nu` in place of `mu`, with their own noise; counts stay at least 0."""
    data = observed.intensity
    if not counting.is_poisson:
        return data + (nu - mu)
    z, none, before, after = (counting.steady(each, observed) for each in (data[None], torch.zeros_like(mu), mu, nu))
    step = torch.maximum(after - before, none - z)
    return (data + step * (2 * z + step) / 4).clamp(min=0)


def _acted(target: Target, was: Float[Tensor, "draw full"], do: Mapping[str, Value]) -> Float[Tensor, "draw full"]:
    acted = was.clone()
    for name, value in do.items():
        if name not in target.every:
            raise InputError(f"'{name}' is none of the parameters {', '.join(target.every)}{meant(name, target.every)}")
        k = target.every.index(name)
        acted[:, k] = value(was[:, k]) if callable(value) else float(value)
    return acted


def _spelled(do: Mapping[str, Value]) -> str:
    values = ", ".join(f"{name} = f({name})" if callable(x) else f"{name} = {x:.6g}" for name, x in do.items())
    return f"do({values})"


def _band(term: SpectrumTerm, found: Tensor, levels: tuple[float, float]) -> Float[Tensor, "2 point energy"]:
    return torch.stack([_quantile(term, found, level) for level in levels])


def _quantile(term: SpectrumTerm, found: Float[Tensor, "draw bin"], level: float) -> Float[Tensor, "point energy"]:
    whole = torch.zeros(term.observed.valid.shape, dtype=found.dtype)
    whole[term.observed.valid] = weighted_quantile(found, found.new_full((len(found),), 1 / len(found)), level)
    return whole


def _median(term: SpectrumTerm, found: Tensor, band: Tensor, action: str) -> Spectrum:
    spectrum = term.spectrum
    return Spectrum.from_arrays(
        _quantile(term, found, 0.5),
        (band[1] - band[0]) / 2,
        spectrum.measurement,
        valid=spectrum.valid,
        is_counts=spectrum.is_counts,
        pixels=spectrum.pixels,
        translated=action,
    )
