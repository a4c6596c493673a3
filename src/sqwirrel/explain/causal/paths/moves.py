"""moves(): what a parameter does to a region of a spectrum, in words of spectroscopy: shifts, grows, broadens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer.terms import SpectrumTerm, Term
from sqwirrel.observe.instrument import SCALE

WEAK = 1e-3
"""Of all signal: a region with less has no line that could move."""


@dataclass(frozen=True, eq=False)
class Moves:
    """Of the signal in the bins of each region, background apart: its mean `energy` and its standard deviation `width`
    (meV), and their derivatives with respect to each parameter, per its unit: `shift` and `broadening` (meV), and
    `growth`, that of the logarithm of the intensity. What leaves a region through its border counts as lost. NaN
    where there is less than `WEAK` of all signal.
    """

    energy: Float[Tensor, " region"]
    width: Float[Tensor, " region"]
    shift: Float[Tensor, "region name"]
    growth: Float[Tensor, "region name"]
    broadening: Float[Tensor, "region name"]


def moves(system: Spectra, of: Int64[Tensor, " cell"], middle: Float[Tensor, " cause"], names: Sequence[str]) -> Moves:
    """Of the regions `of` each cell and the parameters of the model `names`, by exact derivatives at `middle`."""
    full, chosen = system.target.full(middle[None]), [system.prior.names.index(name) for name in names]
    found = torch.cat([_rows(system, each.term, system.target.own(each.term, full)) for each in system.cells], dim=1)
    return _moments(found[0], found[1], found[2:][chosen], of)


def _rows(system: Spectra, term: Term, theta: Float[Tensor, "1 own"]) -> Float[Tensor, "row cell"]:
    """Energy, signal, and the derivatives of it of each cause in every cell; no signal where there is no spectrum."""
    rows = torch.zeros(2 + len(system.prior.names), term.size, dtype=theta.dtype)
    if not isinstance(term, SpectrumTerm):
        return rows
    (here, there), valid, where = system.target.columns(term), term.observed.valid, term.experiment.measurement
    wide = (where.energy[..., 1:] - where.energy[..., :-1]).expand(where.shape)[valid]
    with torch.no_grad():
        signal = theta[0, term.experiment.names.index(SCALE)] * term.experiment.signal(theta).expected[0]
    rows[0], rows[1] = where.energy_centres.expand(where.shape)[valid], signal[valid] * wide
    rows[2 + there] = term.experiment.linearise(theta).slope[0][here][:, valid] * wide
    return rows


def _moments(energy: Tensor, signal: Tensor, rise: Tensor, of: Tensor) -> Moves:
    count = int(of.max()) + 1

    def summed(values: Float[Tensor, "*row cell"]) -> Float[Tensor, "*row region"]:
        return values.new_zeros(*values.shape[:-1], count).index_add(-1, of, values)

    whole = summed(signal)
    whole = torch.where(whole > WEAK * whole.sum(), whole, torch.nan)
    mean = summed(signal * energy) / whole
    away = energy - mean[of]
    width = (summed(signal * away**2) / whole).clamp(min=0).sqrt()
    shift, growth = summed(rise * away) / whole, summed(rise) / whole
    broadening = (summed(rise * away**2) / whole - growth * width**2) / (2 * width)
    return Moves(mean, width, shift.T, growth.T, broadening.T)
