"""Experiment: the spectrum that an instrument would see of a model, on the bins of a measurement.

Modes at quadrature points are deposited on (cell, fine energy) and pass two kernels, one along |Q| and one along
energy: expected = scale * K_Q . deposit . K_E + background. Model parameters act only on the deposit, nuisances only
after it.
"""

import copy
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqwirrel.errors import InputError, values_for
from sqwirrel.observe.counting import Observed
from sqwirrel.observe.covariance.resolution import Q_SCALE
from sqwirrel.observe.instrument import SCALE, Instrument, check_noise
from sqwirrel.observe.resolution import sharpest, widest
from sqwirrel.observe.smearing import Smearing, ellipsoids_of, exposure
from sqwirrel.observe.views.build import REPEATS, Scene
from sqwirrel.observe.views.control import Control
from sqwirrel.observe.views.crystal.stretched import Stretched
from sqwirrel.observe.views.derivatives import slopes
from sqwirrel.observe.views.lines import fine_grid
from sqwirrel.observe.views.view import Model, View, Viewer, is_sharp, orientations
from sqwirrel.seeds import stream
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.simulate.stability import reason
from sqwirrel.spectra import Measurement, QShells, Spectrum
from sqwirrel.spectra.points import Numbers, as_tensor

TRUST = 10.0
"""Reach of an anchor's derivatives, in standard deviations (see `views.control`)."""
ROWS_BYTES = 64 * 2**20
"""Parameter rows are worked on together as long as their modes, and their kernels, take no more than this."""


class Prediction(NamedTuple):
    """Expected intensity, and whether the assumed order is a minimum at every sampled wavevector."""

    expected: Float[Tensor, "batch point energy"]
    stable: Bool[Tensor, " batch"]


class Linearised(NamedTuple):
    """A prediction with its derivatives with respect to every parameter."""

    expected: Float[Tensor, "batch point energy"]
    slope: Float[Tensor, "batch parameter point energy"]
    stable: Bool[Tensor, " batch"]


class Anchored(NamedTuple):
    """An experiment with a better average at some parameters, and what that average is worth.

    `scatter`, in units of the spectrum, has one row for each of `REPEATS` independent sets of points: how far the mean
    of all would move in a repetition; `rise` is the same of the derivatives. `unstable` are the wavevectors (rlu) where
    the order is no minimum.
    """

    experiment: "Experiment"
    scatter: Float[Tensor, "repeat point energy"]
    rise: Float[Tensor, "repeat parameter point energy"]
    unstable: Float[Tensor, "unstable 3"]


class Experiment(nn.Module):
    """A simulator: expected intensities on the bins of `measurement`, for rows of parameters in the order of `names`.

    `samples` quadrature points are used per |Q| cell (of at least `cell` 1/angstrom) or per point of a path; `seed`
    moves them.
    """

    line: Tensor
    templates: Tensor

    def __init__(
        self,
        model: Model,
        measurement: Measurement,
        instrument: Instrument,
        *,
        samples: int = 64,
        cell: float = 0.05,
        seed: int = 0,
        twins: Numbers | None = None,
        shared: Amplitudes | None = None,
    ) -> None:
        super().__init__()
        if measurement.temperature is None:
            raise InputError("the measurement has no temperature; give it in kelvin, [measurement] temperature = 5")
        self.model, self.measurement, self.instrument = model, measurement, instrument
        self.samples, self.cell, self.seed = samples, cell, seed
        self.twins = None if twins is None else as_tensor(twins)
        powder = isinstance(measurement.points, QShells)
        twins_named = (f"twin_{k}" for k in range(2, len(orientations(self.twins)) + 1))
        self.modelled = (*model.names, *twins_named, *((Q_SCALE,) if instrument.stretched else ()))
        self.names = (*self.modelled, *instrument.names(powder=powder))
        ellipsoids = ellipsoids_of(instrument, measurement)
        broad = widest(instrument.resolution, measurement.range)
        self.register_buffer("line", fine_grid(measurement.energy, ellipsoids and ellipsoids.range, *broad))
        width = sharpest(instrument.resolution, self.line)
        samples = 1 if is_sharp(measurement) and ellipsoids is None else samples  # all points of a bin are the same one
        points = model, measurement, self.twins, ellipsoids, samples, cell
        stretch = None if instrument.stretched else 1.0
        self.scene = Scene(*points, width, shared, stretch, instrument.multiphonon)
        view = self.scene.view(self.line, seed)
        self.view: Viewer = view
        self.smear = Smearing(measurement, instrument, view.sampling, self.line, ellipsoids)
        self.register_buffer("templates", instrument.background.templates(measurement) * exposure(measurement))
        self.control: Control | None = None

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter; empty where it is a number or an intensity in the spectrum's own unit."""
        known = dict.fromkeys(self.modelled, "") | self.model.units | self.instrument.units
        return {name: known[name] for name in self.names}

    @property
    def linear(self) -> tuple[str, ...]:
        """Nuisances that the expected intensity is linear in: the scale, then the background amplitudes."""
        return (SCALE, *self.instrument.background.names)

    @property
    def amplitudes(self) -> Amplitudes | None:
        """What experiments on the same crystal can share: the modes that a beam looks at. None where there is none."""
        return self.view.amplitudes if isinstance(self.view, View | Stretched) else None

    @property
    def is_emulated(self) -> bool:
        """Whether something else than the model lays the modes out."""
        return not isinstance(self.view, View | Stretched)

    def pack(self, **values: float) -> Float[Tensor, "1 parameter"]:
        """Parameters in the order of `names`; those of the model not given take their published default."""
        known = {**self.model.defaults, **values}
        if unknown := [name for name in values if name not in self.names]:
            raise InputError(f"this experiment has parameters {self.names}, got '{unknown[0]}'")
        if missing := [name for name in self.names if name not in known]:
            raise InputError(f"this experiment needs {values_for(missing)} (in a config: [simulate] parameters)")
        return torch.tensor([[float(known[name]) for name in self.names]], dtype=torch.float64)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch point energy"]:
        """Expected intensity; meaningless for rows whose order is not stable (see `predict`)."""
        return self.predict(theta).expected

    def predict(self, theta: Float[Tensor, "batch parameter"]) -> Prediction:
        """Expected intensity and stability, row by row."""
        pieces = [self._predict(rows) for rows in torch.split(theta, self._rows())]
        return Prediction(*(torch.cat(part) for part in zip(*pieces, strict=True)))

    def linearise(self, theta: Float[Tensor, "batch parameter"]) -> Linearised:
        """Expected intensity, its exact derivatives, and stability."""
        pieces = [self._linearise(rows) for rows in torch.split(theta, max(1, self._rows() // 8))]
        return Linearised(*(torch.cat(part) for part in zip(*pieces, strict=True)))

    def signal(self, theta: Float[Tensor, "batch parameter"]) -> Prediction:
        """What the model scatters alone, at unit scale."""
        pieces = []
        for rows in torch.split(theta, self._rows()):
            deposit, stable = self._deposit(rows[:, : len(self.modelled)])
            pieces.append((self.smear(deposit, *self._kernels(rows[:, len(self.modelled) :])), stable))
        return Prediction(*(torch.cat(part) for part in zip(*pieces, strict=True)))

    def observe(
        self, deposit: Float[Tensor, "batch cell line"], nuisance: Float[Tensor, "batch nuisance"]
    ) -> Float[Tensor, "batch point energy"]:
        """What the instrument makes of modes on cells and lines; nuisances are the columns after `modelled`."""
        scale = nuisance[:, self._column(SCALE), None, None]
        signal: Tensor = self.smear(deposit, *self._kernels(nuisance))
        return scale * signal + self._background(nuisance)

    def anchored(
        self, theta: Float[Tensor, "1 parameter"], spread: Float[Tensor, " parameter"] | None = None, more: int = 1
    ) -> Anchored:
        """The same with the average at `theta` of 100 x `more` as many points, and its derivatives if within `spread`.

        What the points add to the deposit at `theta` is added to that of all parameters (a control variate): what is
        left of the error vanishes at `theta`, with its derivatives if `spread` is given: the standard deviations with
        which parameters will move round `theta`; far beyond, derivatives are again those of few points. Bins that are
        points have nothing to average.
        """
        if self.scene.is_sharp and not self.is_emulated:
            still = torch.zeros(1, len(self.names), *self.measurement.shape, dtype=theta.dtype)
            return Anchored(self, still[:, 0], still, torch.zeros(0, 3, dtype=theta.dtype))
        n, better = len(self.modelled), copy.copy(self)
        better.control, at, sloped = None, theta[:, :n], spread is not None
        sets = self.scene.dense(at, self.line, self.seed, sloped=sloped, more=more)
        reach = torch.full((n,), torch.inf, dtype=theta.dtype) if spread is None else TRUST * spread[:n]
        better.control = self.scene.control(sets, at, better._slopes(at), reach, sloped=sloped, exact=self.view.exact)
        with torch.no_grad():
            change, rise = (part.sub_(part.mean(0)).div_((REPEATS - 1) ** 0.5) for part in (sets.value, sets.slope))
            scatter, rise = self._along(change, rise.movedim(1, 0), theta[:, n:], torch.zeros_like(self.templates))
        return Anchored(better, scatter, rise, sets.unstable)

    def seen_by(self, view: Viewer) -> "Experiment":
        """The same with modes that something else lays out on its cells and lines, like an emulator of the model.

        An average that was anchored stays what it was at the anchor, with its derivatives.
        """
        if not torch.equal(view.line, self.line):
            raise InputError("an emulator lays modes out on other energies than this spectrum; make one for its bins")
        other = copy.copy(self)
        other._modules = {**self._modules}
        other.view = view
        if self.control is not None:
            at, bare = self.control.at[None], copy.copy(self)
            bare.control = other.control = None
            (mine, rise, _), (value, slope, _) = bare._slopes(at), other._slopes(at)
            change = self.control.value + (mine - value)[0], self.control.slope + (rise - slope)[:, 0]
            other.control = self.control._replace(value=change[0], slope=change[1])
        return other

    def modelled_again(self) -> "Experiment":
        """The same with modes that the model itself lays out."""
        return self.seen_by(self.scene.view(self.line, self.seed))

    def sample(self, theta: Float[Tensor, "1 parameter"], seed: int, like: Spectrum | None = None) -> Spectrum:
        """One noisy spectrum: Poisson counts, or reduced data with the coverage and errors of `like`."""
        check_noise(self.instrument.counting, like)
        expected, stable = self.predict(theta)
        if not bool(stable.all()):
            raise InputError(self.why_unstable(theta))
        return _noisy(expected[0], self, stream(seed, "counting"), like)

    def why_unstable(self, theta: Float[Tensor, "1 parameter"], at: Float[Tensor, "q 3"] | None = None) -> str:
        """One sentence: where the assumed order fails, `at` some of the wavevectors (rlu) given or found here."""
        if not bool(self.view.inside(theta[:, : len(self.modelled)]).all()):
            return "the emulator has not learnt these parameters; narrow the prior to the one it was made with"
        values = theta[:, : len(self.model.names)]
        return reason(self.model, values, field=self.measurement.field, at=at)

    def _rows(self) -> int:
        return max(1, ROWS_BYTES // max(self.view.bytes_per_row, self.smear.bytes_per_row))

    def _predict(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Rows that differ in nuisances alone share their modes, where no derivative is asked for."""
        n, every = len(self.modelled), theta[:, : len(self.modelled)]
        own, back = torch.unique(every, dim=0, return_inverse=True)
        is_shared = len(own) < len(every) and not torch.is_grad_enabled()
        deposit, stable = (each[back] for each in self._deposit(own)) if is_shared else self._deposit(every)
        return self.observe(deposit, theta[:, n:]), stable

    def _linearise(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Forward mode: the deposit along each model parameter, then either kernel along each of its nuisances."""
        n = len(self.modelled)
        deposit, rise, stable = self._slopes(theta[:, :n])
        signal, slope = self._along(deposit, rise, theta[:, n:], self.templates)
        return signal + self._background(theta[:, n:]), slope, stable

    def _along(
        self,
        deposit: Float[Tensor, "batch cell line"],
        rise: Float[Tensor, "along batch cell line"],
        nuisance: Float[Tensor, "#batch nuisance"],
        templates: Float[Tensor, "template point energy"],
    ) -> tuple[Float[Tensor, "batch point energy"], Float[Tensor, "batch parameter point energy"]]:
        """The scaled signal, and its derivatives from those of the deposit, those of the kernels, and the templates."""
        w, k = len(self.instrument.resolution.names), self._column(SCALE)
        energy, wider, _ = slopes(lambda x: (self.smear.in_energy(x), x), nuisance[:, :w])
        momentum, farther, _ = slopes(lambda x: (self.smear.in_momentum(x), x), nuisance[:, w:k])
        parts = [self.smear(part, energy, momentum) for part in rise]
        parts += [self.smear(deposit, part, momentum) for part in wider]
        parts += [self.smear(deposit, energy, part) for part in farther]
        signal, scale = self.smear(deposit, energy, momentum), nuisance[:, k, None, None]
        linear = [signal, *(template.expand_as(signal) for template in templates)]
        return scale * signal, torch.stack((*(scale * part for part in parts), *linear), dim=1)

    def _deposit(self, theta: Tensor) -> tuple[Float[Tensor, "batch cell line"], Bool[Tensor, " batch"]]:
        """All modes on cells and fine energy grid."""
        raw, stable = self.view(theta)
        return raw if self.control is None else raw + self.control.add(theta), stable

    def _slopes(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        laid = self.view.slopes(theta)
        return laid if self.control is None else self.control.added(theta, *laid)

    def _kernels(self, nuisance: Tensor) -> tuple[Tensor, Tensor]:
        w = len(self.instrument.resolution.names)
        return self.smear.in_energy(nuisance[:, :w]), self.smear.in_momentum(nuisance[:, w : self._column(SCALE)])

    def _background(self, nuisance: Tensor) -> Float[Tensor, "batch point energy"]:
        return torch.einsum("bk,kne->bne", nuisance[:, self._column(SCALE) + 1 :], self.templates)

    def _column(self, name: str) -> int:
        """Place of a nuisance among the nuisances."""
        return self.names.index(name) - len(self.modelled)


def _noisy(expected: Tensor, experiment: Experiment, seed: torch.Generator, like: Spectrum | None) -> Spectrum:
    valid, counting = torch.ones_like(expected).bool() if like is None else like.valid, experiment.instrument.counting
    mean = expected[valid]
    observed = counting.observe(like, expected) if like is not None else Observed(mean, mean, valid)
    drawn = torch.zeros_like(expected)
    drawn[valid] = counting.sample(mean, observed, seed)
    error = torch.zeros_like(expected)
    error[valid] = drawn[valid].sqrt() if counting.is_poisson else observed.variance.sqrt()
    how: dict[str, Any] = {"valid": valid, "is_counts": counting.is_poisson, "pixels": like and like.pixels}
    return Spectrum.from_arrays(drawn, error, experiment.measurement, **how)
