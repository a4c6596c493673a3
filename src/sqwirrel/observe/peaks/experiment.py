"""PeakExperiment: where a model has modes at the wavevectors of a table of peaks, and how likely that makes it."""

import copy
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqwirrel.errors import InputError, values_for
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe.peaks.mixture import Lines, cut, drawn, grouped, log_match, log_mixture, mass
from sqwirrel.observe.views.derivatives import slopes
from sqwirrel.observe.views.sampling import same_cell
from sqwirrel.seeds import stream
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.stability import reason
from sqwirrel.spectra.peaks import Peaks

OUTLIERS, EXTRA = "outliers", "peak_width_extra"
MOST = 6
"""Peaks at one wavevector."""
SOFT = 0.1
"""Added to the intensity of every mode, times their mean: a neutron that hardly sees a mode may have measured it."""
BEYOND = 1.5
"""Peaks are taken as searched for from 0 to this many times the highest energy of the table, where it says nothing."""


class PeakSlope(NamedTuple):
    """log L with its gradient, the information of the complete data (see `PeakExperiment.slope`), and stability."""

    log_likelihood: Float[Tensor, " batch"]
    gradient: Float[Tensor, "batch parameter"]
    information: Float[Tensor, "batch parameter parameter"]
    stable: Bool[Tensor, " batch"]


class PeakExperiment(nn.Module):
    """Modes of `model` where `peaks` were measured, for rows of parameters in the order of `names`.

    Nuisances: `outliers`, the probability that a peak is none of the modes; with `extra`, `peak_width_extra` (meV), a
    standard deviation added in quadrature to every error. Peaks at one wavevector are distinct modes, so a measurement
    of the same peak again belongs in a table of its own. Modes count as far as they lie in the range that was searched.
    The cell of the table may be a multiple of that of the model.

    Errors of q add to those of energies, by the mean of the squares of what one of them up and one down do to a mode
    (modes by rank, so that where they cross each is a cone), unless `q_error` is False: for tables whose errors of
    energies are those of q already. Intensities and widths are not used; without a temperature, modes are weighed as
    at 0 K.
    """

    def __init__(self, model: SpinModel, peaks: Peaks, *, extra: bool = False, q_error: bool = True) -> None:
        super().__init__()
        _check(peaks)
        self.model, self.peaks, self.blur = model, peaks, 0.0
        self.names = (*model.names, OUTLIERS, *((EXTRA,) if extra else ()))
        self.groups, (self.low, self.high) = grouped(peaks.q), _searched(peaks)
        if max(group.shape[1] for group in self.groups) > MOST:
            raise InputError(f"more than {MOST} peaks of the table are at one wavevector; split the table")
        shifts = [sign * vector for vector in peaks.q_error.unbind(1) for sign in (1, -1)] if q_error else []
        q = torch.cat([peaks.q, *(peaks.q + shift for shift in shifts)]) @ same_cell(peaks.lattice, model.lattice)
        self.waves = SpinWaves(model, q, temperature=peaks.temperature or 0.0, field=peaks.field)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        known = dict.fromkeys(self.model.names, "meV") | {OUTLIERS: "", EXTRA: "meV"}
        return {name: known[name] for name in self.names}

    def blurred(self, width: float) -> "PeakExperiment":
        """The same with `width` (meV, one standard deviation) added in quadrature to every error, for a search."""
        wide = copy.copy(self)
        wide.blur = width
        return wide

    def modes(
        self, theta: Float[Tensor, "batch more"]
    ) -> tuple[Float[Tensor, "batch peak mode"], Bool[Tensor, " batch"]]:
        """Energies of the modes where each peak is, highest first, and whether the order is a minimum there."""
        found = self.waves(theta[:, : len(self.model.names)])
        return found.energy[:, : len(self.peaks), : found.energy.shape[-1] // 2], found.stable.all(-1)

    def lines(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Lines, Bool[Tensor, " batch"]]:
        """The lines that each peak may belong to, and whether the order is a minimum at all wavevectors."""
        modes = self.waves(theta[:, : len(self.model.names)])
        half, n = modes.energy.shape[-1] // 2, len(self.peaks)
        here, *around = modes.energy[..., :half].split(n, dim=1)
        spread = [(moved - here) ** 2 / 2 for moved in around]
        strength = modes.intensity[:, :n, :half].clamp(min=0)
        weight = strength + SOFT * strength.mean(-1, keepdim=True) + 1e-12
        variance = torch.stack([torch.zeros_like(here), *spread]).sum(0)
        return Lines.merged(here, weight / weight.sum(-1, keepdim=True), variance), modes.stable.all(-1)

    def log_likelihood(
        self, theta: Float[Tensor, "batch parameter"], peaks: Peaks
    ) -> tuple[Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
        """log p(energies of `peaks`), which lie at the wavevectors of this experiment, and stability."""
        lines, stable = self.lines(theta)
        variance = self._variance(theta, lines, peaks)
        return self._mixed(self._match(lines, variance, peaks), lines, variance, self._outliers(theta)), stable

    def slope(self, theta: Float[Tensor, "batch parameter"], peaks: Peaks) -> PeakSlope:
        """log L, its exact gradient, and the information.

        That is the Fisher information of positions and variances if it were known which line each peak belongs to,
        weighed with the probabilities of that (the responsibilities), and the curvature in `outliers` likewise. What is
        not known of the assignment is not taken off, nor what the ends of the range take of a line that lies across
        one, and what the weights of lines add is left out.
        """
        n = len(self.model.names)

        def stacked(theta: Tensor) -> tuple[Tensor, Tensor]:
            lines, stable = self.lines(theta)
            return torch.stack(lines, 1), stable

        value, rise, stable = slopes(stacked, theta[:, :n])
        lines, rise = Lines(*value.detach().unbind(1)), rise.detach().movedim(0, 1)
        variance, outliers = self._variance(theta, lines, peaks).detach(), self._outliers(theta).detach()
        leaves = [part.requires_grad_() for part in (lines.energy, variance, lines.weight, outliers)]
        with torch.enable_grad():
            match = self._match(lines, variance, peaks)
            total = self._mixed(match, lines, variance, outliers)
        share, by_line, by_variance, by_weight, by_outliers = torch.autograd.grad(total.sum(), [match, *leaves])
        line, wide = self._full(rise[:, :, 0]), self._full(rise[:, :, 2])
        if EXTRA in self.names:
            wide[:, -1] = 2 * theta[:, -1, None, None]
        gradient = (by_line[:, None] * line + by_variance[:, None] * wide).sum((-2, -1))
        gradient[:, :n] += (by_weight[:, None] * rise[:, :, 1]).sum((-2, -1))
        gradient[:, n] += by_outliers
        known, eps, variance = share.sum((-2, -1)), outliers.detach(), variance.detach()
        information = _squared(line, share / variance) + _squared(wide, share / variance**2 / 2)
        information[:, n, n] += known / (1 - eps) ** 2 + (len(peaks) - known) / eps**2
        return PeakSlope(total.detach(), gradient, information, stable)

    def explained(
        self, theta: Float[Tensor, "1 parameter"], peaks: Peaks
    ) -> tuple[Float[Tensor, "peak line"], Lines, Float[Tensor, "peak line"]]:
        """The probability that each peak belongs to each line, the lines, and the variances (meV^2)."""
        with torch.no_grad():
            lines, _ = self.lines(theta)
        variance = self._variance(theta, lines, peaks)
        match = self._match(lines, variance, peaks).requires_grad_()
        with torch.enable_grad():
            total = self._mixed(match, lines, variance, self._outliers(theta))
        (share,) = torch.autograd.grad(total.sum(), match)
        return share[0], lines, variance[0]

    def pack(self, **values: float) -> Float[Tensor, "1 parameter"]:
        """Parameters in the order of `names`; those of the model not given take their published default."""
        known = {**self.model.defaults, **values}
        if unknown := [name for name in values if name not in self.names]:
            raise InputError(f"this table of peaks has parameters {self.names}, got '{unknown[0]}'")
        if missing := [name for name in self.names if name not in known]:
            raise InputError(f"this table of peaks needs {values_for(missing)}")
        return torch.tensor([[float(known[name]) for name in self.names]], dtype=torch.float64)

    def sample(self, theta: Float[Tensor, "1 parameter"], seed: int) -> Peaks:
        """The table with energies drawn anew: a distinct mode for each peak of a wavevector, or an outlier."""
        with torch.no_grad():
            lines, stable = self.lines(theta)
        if not bool(stable.all()):
            raise InputError(self.why_unstable(theta))
        generator, energy = stream(seed, "peaks"), self.peaks.energy.clone()
        variance, low, high = self._variance(theta, lines, self.peaks), self.low, self.high
        inside = mass(low, high, lines.energy, variance)[0]
        even = torch.rand(len(energy), generator=generator, dtype=energy.dtype)
        for row in (row for group in self.groups for row in group):
            line = drawn(lines.weight[0, row[0]], inside[row], self._outliers(theta)[0], generator)
            near = cut(low[row], high[row], lines.energy[0, row, line], variance[0, row, line], even[row])
            energy[row] = torch.where(line < 0, low[row] + (high - low)[row] * even[row], near)
        return replace(self.peaks, energy=energy)

    def why_unstable(self, theta: Float[Tensor, "1 parameter"], at: Float[Tensor, "q 3"] | None = None) -> str:
        """One sentence: where the assumed order fails."""
        values = theta[:, : len(self.model.names)]
        return reason(self.model, values, field=self.peaks.field, at=at)

    def _outliers(self, theta: Tensor) -> Float[Tensor, " batch"]:
        return theta[:, len(self.model.names)]

    def _variance(self, theta: Tensor, lines: Lines, peaks: Peaks) -> Float[Tensor, "batch peak line"]:
        extra = theta[:, -1, None, None] ** 2 if EXTRA in self.names else 0.0
        return lines.variance + (peaks.error**2 + self.blur**2)[:, None] + extra

    def _match(self, lines: Lines, variance: Tensor, peaks: Peaks) -> Float[Tensor, "batch peak line"]:
        return log_match(peaks.energy, self.high - self.low, lines.energy, variance)

    def _mixed(self, match: Tensor, lines: Lines, variance: Tensor, outliers: Tensor) -> Float[Tensor, " batch"]:
        inside, weight = mass(self.low, self.high, lines.energy, variance), lines.weight
        parts = [
            log_mixture(match[:, group], inside[:, group], weight[:, group[:, 0]], outliers).sum(1)
            for group in self.groups
        ]
        total: Tensor = torch.stack(parts).sum(0) - (self.high - self.low).log().sum()
        return total

    def _full(self, rise: Float[Tensor, "batch some peak line"]) -> Float[Tensor, "batch parameter peak line"]:
        """Derivatives with respect to all parameters: those of nuisances are 0."""
        rest = rise.new_zeros(len(rise), len(self.names) - rise.shape[1], *rise.shape[2:])
        return torch.cat((rise, rest), dim=1)


def _squared(rise: Tensor, weight: Tensor) -> Float[Tensor, "batch parameter parameter"]:
    return torch.einsum("bapl,bpl,bcpl->bac", rise, weight, rise)


def _check(peaks: Peaks) -> None:
    if bool((peaks.energy <= 0).any()):
        row = int((peaks.energy <= 0).nonzero()[0, 0])
        raise InputError(
            f"peak {row + 1} of the table has an energy of {float(peaks.energy[row]):g} meV; peaks need energies above "
            "0: a mode seen in energy gain at q is one of -q, with the sign of its energy changed"
        )
    if peaks.search is not None:
        low, high = peaks.search.T
        if not bool(((low <= peaks.energy) & (peaks.energy <= high) & (low < high)).all()):
            raise InputError("a peak of the table lies outside the range in which it was searched for")


def _searched(peaks: Peaks) -> tuple[Float[Tensor, " peak"], Float[Tensor, " peak"]]:
    """Where the range in which each peak was searched for begins and ends, meV."""
    if peaks.search is not None:
        return peaks.search[:, 0], peaks.search[:, 1]
    return torch.zeros_like(peaks.energy), torch.full_like(peaks.energy, BEYOND * float(peaks.energy.max()))
