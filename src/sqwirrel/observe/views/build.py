"""Which view a measurement needs, and averages over many more points."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe.views.control import Control
from sqwirrel.observe.views.crystal.beam import passing, squares_along, standing
from sqwirrel.observe.views.crystal.blur import Ellipsoids
from sqwirrel.observe.views.crystal.stretched import Stretched
from sqwirrel.observe.views.incoherent import Incoherent
from sqwirrel.observe.views.lines import Blur, deposit
from sqwirrel.observe.views.sampling import Sampling, drawn
from sqwirrel.observe.views.view import (
    MARGIN,
    Model,
    View,
    is_sharp,
    kept,
    orientations,
    powder_sampling,
    shell_sampling,
    waves,
)
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.simulate.phonon.density import MODES
from sqwirrel.simulate.phonon.incoherent import enough
from sqwirrel.simulate.phonon.thermal import Motion, ThermalMotion
from sqwirrel.spectra import Measurement, QGrid, QShells

DENSER, REPEATS = 6, 16
"""`dense` uses this many times more points, this often, or a multiple."""
TRUER = 4
"""That multiple for simulations: an inference, which begins with 1, goes on where its own average is too rough."""
SET_BYTES, POINT_BYTES, PAIR_BYTES = 4_000_000_000, 200, 48
"""What a set of points may hold, about: for each point, and for each pair of its bosons."""
SMALL_STEP, LARGE_STEP = 1e-3, 0.2
"""Share of widths in q over which differences are made, where points lie where they are, and where on a mesh."""
PIECE_BYTES = 2**26
"""What points that share modes may hold at once, of a set."""
SHARED = 4
"""`DENSER` of points that share modes: these crowd where lines are strong."""
SPARSER = 2
"""Derivatives come from this many times fewer, concentrated points, as often."""


class Dense(NamedTuple):
    """Deposits of `REPEATS` independent sets of many points, derivatives if asked for, and unstable points (rlu)."""

    value: Float[Tensor, "repeat cell line"]
    slope: Float[Tensor, "repeat parameter cell line"]
    unstable: Float[Tensor, "unstable 3"]


@dataclass(frozen=True, eq=False)
class Scene:
    """A model under the conditions of a measurement, twins (Cartesian rotations), a resolution in (q, E) if known.

    `samples` quadrature points a cell of at least `cell` (1/angstrom) or a bin of a crystal; `fwhm` (meV) is the least
    width in energy that will be put on, `shared` are amplitudes that other measurements of the same crystal use. Widths
    in q are those of the ellipsoids times `stretch`, or, if that is None, times the last parameter. With `multiphonon`
    a model of phonons has `Incoherent` scattering under its modes, from the density of so many `modes`; `moving` is how
    its atoms move at the only parameters that are looked at.
    """

    model: Model
    measurement: Measurement
    twins: Float[Tensor, "twin 3 3"] | None
    ellipsoids: Ellipsoids | None
    samples: int
    cell: float
    fwhm: float
    shared: Amplitudes | None = None
    stretch: float | None = 1.0
    multiphonon: bool = True
    moving: Motion | None = None
    modes: int = MODES

    def view(self, line: Float[Tensor, " line"], seed: int) -> View | Stretched:
        """Modes on cells and lines, from the points of `seed`."""
        if self.stretch is not None:
            return self._view(*self._points(seed), line, seed)
        base = self._stretched(1.0, line, seed)
        kept = replace(self, shared=base.amplitudes or self.shared)
        return Stretched(base, lambda by: kept._stretched(by, line, seed), self._step)

    @property
    def _step(self) -> float:
        """Relative step of differences along widths in q: points in a beam are rounded to a mesh."""
        return SMALL_STEP if self._stands_free else LARGE_STEP

    def _dense_along(self, theta: Tensor, line: Tensor, seed: int, *, sloped: bool, more: int) -> Dense:
        """The same, where widths in q are the last parameter: differences of sets of the same random numbers."""
        by, theta = float(theta[0, -1]), theta[:, :-1]
        found = replace(self, stretch=by).dense(theta, line, seed, sloped=sloped, more=more)
        along = torch.zeros_like(found.value)
        if sloped:
            ends = (replace(self, stretch=by * (1 + way)) for way in (self._step, -self._step))
            above, below = (each.dense(theta, line, seed, sloped=False, more=more).value for each in ends)
            along = (above - below) / (2 * self._step * by)
        return found._replace(slope=torch.cat((found.slope, along[:, None]), dim=1))

    def _stretched(self, by: float, line: Tensor, seed: int) -> View:
        fixed = replace(self, stretch=by)
        return fixed._view(*fixed._points(seed), line, seed)

    def dense(
        self, theta: Float[Tensor, "1 parameter"], line: Tensor, seed: int, *, sloped: bool, more: int = 1
    ) -> Dense:
        """Averages at `theta` over sets of `more` x `DENSER` x `samples` points a cell, as long as these do not hold
        more than `SET_BYTES`; derivatives of few of them.
        """
        if self.stretch is None:
            return self._dense_along(theta, line, seed, sloped=sloped, more=more)
        if more > 1:
            each = POINT_BYTES + PAIR_BYTES * (2 * len(self.model.positions)) ** 2
            more = max(1, min(more, SET_BYTES // (each * len(self._points(seed, DENSER)[0].q))))
        here = replace(self, moving=self._moving(theta, sloped=sloped), modes=more * MODES // 8)
        first = here._set(theta, line, seed + 1, more, sloped=sloped)
        value, slope = (part.expand(REPEATS, *part.shape[1:]).clone() for part in first[:2])
        unstable = [first[2]]
        for k in range(1, REPEATS):
            value[k : k + 1], slope[k : k + 1], bad = here._set(theta, line, seed + 1 + k, more, sloped=sloped)
            unstable.append(bad)
        return Dense(value, slope, torch.cat(unstable))

    def _moving(self, theta: Tensor, *, sloped: bool) -> Motion | None:
        """How the atoms of a model of phonons move; derivatives are none unless asked for."""
        if not isinstance(self.model, PhononModel):
            return None
        thermal = ThermalMotion(self.model, self.measurement.temperature or 0.0)
        with torch.no_grad():
            U, steady = thermal.motion(theta)
        return thermal.slopes(theta) if sloped else Motion(U, U[None][:0], steady)

    def _points(self, seed: int, denser: int = 1) -> tuple[Sampling, Blur | None]:
        points, samples = self.measurement.points, denser * self.samples
        if isinstance(points, QShells) or (self.ellipsoids is None and self._stands_free):
            how = shell_sampling if denser == 1 else powder_sampling
            return how(self.model, self.measurement, samples, self.cell, seed), None
        stretch = 1.0 if self.stretch is None else self.stretch
        return drawn(self.measurement, self.model.lattice, samples, seed, self.ellipsoids, stretch)

    @property
    def _stands_free(self) -> bool:
        """Whether q does not depend on energy."""
        points = self.measurement.points
        return not (isinstance(points, QGrid) and points.beam is not None)

    def control(
        self,
        sets: Dense,
        at: Float[Tensor, "1 parameter"],
        laid: tuple[Tensor, Tensor, Tensor],
        reach: Float[Tensor, " parameter"],
        *,
        sloped: bool,
        exact: bool,
    ) -> Control:
        """What the sets add to what a view has `laid` out at `at`: value, derivatives if `sloped`, stability.

        Sets of points that are looked at have no derivatives but that along widths in q.
        """
        here, rise, _ = laid
        steeper = sets.slope.mean(0) - rise[:, 0]
        known = torch.zeros(len(steeper), dtype=torch.bool)
        if sloped:
            known[:] = exact
            known[-1] |= self.stretch is None
        return Control(at[0], reach, sets.value.mean(0) - here[0], torch.where(known[:, None, None], steeper, 0.0))

    def _view(self, where: Sampling, blur: Blur | None, line: Tensor, seed: int, *, keep: bool = True) -> View:
        turns = orientations(self.twins)
        if self._stands_free:
            fwhm = self.fwhm if keep else None
            how = partial(waves, self.model, self.measurement, where, keep=keep, fwhm=fwhm, moving=self.moving)
            every = [how(rotation=turn) for turn in turns]
            return View([*every], where, line, blur, incoherent=self._incoherent(where, line, seed))
        window, held = (float(line[0]) - MARGIN, float(line[-1]) + MARGIN), None
        if not isinstance(self.model, PhononModel):
            held = standing(self.model, self.measurement, where, turns, window, self.shared)
        found = held or passing(self.model, self.measurement, where, turns, window, self.moving)
        incoherent = self._incoherent(where, line, seed)
        return View(found, where, line, blur, exact=held is None, incoherent=incoherent)

    def _incoherent(self, where: Sampling, line: Tensor, seed: int) -> Incoherent | None:
        """What is under the modes, if anything."""
        if not self.multiphonon or not isinstance(self.model, PhononModel):
            return None
        modes, warm = round(enough(self.model) * self.modes), self.measurement.temperature or 0.0
        looked = None if self._stands_free else squares_along(self.model.lattice, self.measurement, where, line)
        return Incoherent(self.model, warm, where, line, seed, modes, looked)

    @property
    def is_sharp(self) -> bool:
        """Whether there is nothing to average: bins are points, and nothing is under their modes."""
        under = self.multiphonon and isinstance(self.model, PhononModel)
        return is_sharp(self.measurement) and self.ellipsoids is None and not under

    def _set(self, theta: Tensor, line: Tensor, seed: int, more: int, *, sloped: bool) -> tuple[Tensor, Tensor, Tensor]:
        """One set of points: value, derivatives, unstable points."""
        shared = isinstance(self.model, PhononModel) and isinstance(self.measurement.points, QShells)
        where, blur = self._points(seed, more * (SHARED if shared else DENSER))
        if blur is None and self._stands_free and self.twins is None:
            return self._concentrated(theta, where, line, seed, more, sloped=sloped)
        view = self._view(where, blur, line, seed, keep=False)
        with torch.no_grad():
            value, stable = view(theta)
        slope = value.new_zeros(1, theta.shape[1], *value.shape[1:])
        if sloped and view.exact:
            slope = view.slopes(theta)[1].movedim(1, 0)
        return value, slope, where.q[:0] if bool(stable.all()) else where.q[:1]

    def _concentrated(
        self, theta: Tensor, where: Sampling, line: Tensor, seed: int, more: int, *, sloped: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same for one orientation of waves, with derivatives from the points that matter."""
        found = (self._sharing if where.folding is not None else self._kept)(theta, where, line, seed, more, sloped)
        if (incoherent := self._incoherent(where, line, seed)) is None:
            return found
        value, slope, unstable = found
        if not sloped:
            return value + incoherent(theta)[0], slope, unstable
        below, rise, _ = incoherent.slopes(theta)
        return value + below, slope + rise.movedim(1, 0), unstable

    def _kept(
        self, theta: Tensor, where: Sampling, line: Tensor, seed: int, more: int, sloped: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Waves whose derivatives are of a few of their own points."""
        with torch.no_grad():
            modes = self._waves(where)(theta)
            value = deposit(modes, where.weight, where.cell, line)
        unstable = where.q[~modes.stable[0]]
        if not sloped:
            return value, value.new_zeros(1, theta.shape[1], *value.shape[1:]), unstable
        few = kept(where, modes, self.measurement, max(1, more * self.samples // SPARSER), seed)
        return value, View([self._waves(few)], few, line).slopes(theta)[1].movedim(1, 0), unstable

    def _sharing(
        self, theta: Tensor, where: Sampling, line: Tensor, seed: int, more: int, sloped: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Phonons at points that share modes, a piece of the zone after the other."""
        shape, unstable = (int(where.cell[-1]) + 1, len(line)), []
        value, slope = theta.new_zeros(1, *shape), theta.new_zeros(1, theta.shape[1], *shape)
        for piece in self._pieces(where):
            with torch.no_grad():
                modes = self._waves(piece)(theta)
                part = deposit(modes, piece.weight, piece.cell, line)
            value[:, : part.shape[1]] += part
            unstable.append(piece.q[~modes.stable[0]])
        n = max(1, more * self.samples // SPARSER)
        for piece in self._pieces(powder_sampling(self.model, self.measurement, n, self.cell, seed)) if sloped else ():
            part = View([self._waves(piece)], piece, line).slopes(theta)[1].movedim(1, 0)
            slope[:, :, : part.shape[2]] += part
        return value, slope, torch.cat(unstable)

    def _pieces(self, where: Sampling) -> Iterator[Sampling]:
        """Points whose dynamical matrices and modes hold `PIECE_BYTES`."""
        assert where.folding is not None
        size, each = 3 * len(self.model.positions), len(where.q) / len(where.folding.zone)
        held = 16 * len(self.model.names) * size**2 + 3 * 8 * 2 * size * each
        return where.pieces(max(1, int(PIECE_BYTES // held)))

    def _waves(self, where: Sampling) -> nn.Module:
        return waves(self.model, self.measurement, where, keep=False, moving=self.moving)


def average_error(scatter: Float[Tensor, "repeat point energy"], signal: Float[Tensor, "point energy"]) -> float:
    """Relative error of an average over points, from the `scatter` of its independent sets (`Anchored`).

    Standard deviation of a bin, root mean square over the bins, relative to that of the signal.
    """
    return float((scatter**2).mean().sqrt() / (signal**2).mean().sqrt().clamp(min=1e-300))
