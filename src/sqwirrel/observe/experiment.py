"""Experiment: the spectrum that an instrument would see of a model, on the bins of a measurement.

Modes at quadrature points are deposited on (cell, fine energy) and pass two kernels, one along |Q| and one along
energy: expected = scale * K_Q . deposit . K_E + background. Model parameters act only on the deposit, nuisances only
after it.
"""

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe.counting import Observed
from sqwirrel.observe.instrument import MULTIPLE, SCALE, Instrument
from sqwirrel.observe.momentum import shell_kernels, smear_momentum
from sqwirrel.observe.place import deposit, fine_grid, is_sharp, points, sphere, waves
from sqwirrel.observe.sampling import sampling
from sqwirrel.seeds import stream
from sqwirrel.spectra import Measurement, QShells, Spectrum

DENSER, REPEATS = 6, 16
"""`anchored` uses this many times more points, this often."""
ROWS_BYTES = 64 * 2**20
"""Parameter rows are worked on together as long as their modes take no more than this."""


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
    of all would move in a repetition. `unstable` are the wavevectors (rlu) where the order is no minimum.
    """

    experiment: "Experiment"
    scatter: Float[Tensor, "repeat point energy"]
    unstable: Float[Tensor, "unstable 3"]


class Experiment(nn.Module):
    """A simulator: expected intensities on the bins of `measurement`, for rows of parameters in the order of `names`.

    `samples` quadrature points are used per |Q| cell (of at least `cell` 1/angstrom) or per point of a path; `seed`
    moves them.
    """

    weight: Tensor
    cells: Tensor
    cell_edges: Tensor | None
    sphere: Tensor
    energy: Tensor
    nodes: Tensor
    line: Tensor
    templates: Tensor
    correction: Tensor  # not a buffer: copies share those

    def __init__(
        self,
        model: SpinModel,
        measurement: Measurement,
        instrument: Instrument,
        *,
        samples: int = 64,
        cell: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if measurement.temperature is None:
            raise InputError("the measurement has no temperature; give it in kelvin, [measurement] temperature = 5")
        self.model, self.measurement, self.instrument = model, measurement, instrument
        self.samples, self.cell, self.seed = samples, cell, seed
        powder = isinstance(measurement.points, QShells)
        self.names = (*model.names, *instrument.names(powder=powder))
        where = points(model, measurement, samples, cell, seed)
        self.register_buffer("weight", where.weight)
        self.register_buffer("cells", where.cell)
        self.register_buffer("cell_edges", where.edges)
        self.register_buffer("sphere", sphere(where, measurement))
        self.register_buffer("energy", measurement.energy)
        self.register_buffer("nodes", instrument.q_width.nodes(measurement))
        self.register_buffer("line", fine_grid(measurement.energy))
        self.register_buffer("templates", instrument.background.templates(measurement))
        self.waves = waves(model, measurement, where)
        self.correction = torch.zeros((), dtype=torch.float64)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter; empty where it is a number or an intensity in the spectrum's own unit."""
        known = dict.fromkeys(self.model.names, "meV") | self.instrument.units
        return {name: known[name] for name in self.names}

    @property
    def linear(self) -> tuple[str, ...]:
        """Nuisances that the expected intensity is linear in: the scale, then the background amplitudes."""
        return (SCALE, *self.instrument.background.names)

    def pack(self, **values: float) -> Float[Tensor, "1 parameter"]:
        """Parameters in the order of `names`; those of the model not given take their published default."""
        known = {**self.model.defaults, **values}
        if unknown := [name for name in values if name not in self.names]:
            raise InputError(f"this experiment has parameters {self.names}, got '{unknown[0]}'")
        if missing := [name for name in self.names if name not in known]:
            raise InputError(
                f"this experiment needs a value for '{missing[0]}' (in a config: [simulate] parameters); "
                f"its parameters are {self.names}"
            )
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
        """The magnetic part alone, at unit scale."""
        pieces = []
        for rows in torch.split(theta, self._rows()):
            deposit, stable = self._deposit(rows[:, : len(self.model.names)])
            pieces.append((self._smear(deposit, rows[:, len(self.model.names) :]), stable))
        return Prediction(*(torch.cat(part) for part in zip(*pieces, strict=True)))

    def anchored(self, theta: Float[Tensor, "1 parameter"]) -> Anchored:
        """The same with the average at `theta` that 100 times more points give.

        What the points add to the deposit at `theta` is added to that of all parameters (a control variate): what is
        left of the error vanishes at `theta`.
        """
        n, better = len(self.model.names), copy.copy(self)
        with torch.no_grad():
            parts = [self._dense(theta[:, :n], k) for k in range(REPEATS)]
            dense = torch.cat([deposit for deposit, _ in parts])
            better.correction = self.correction + dense.mean(0) - self._deposit(theta[:, :n])[0][0]
            nuisance = theta[:, n:].expand(REPEATS, -1)
            scatter = self._smear(dense - dense.mean(0), nuisance) * nuisance[:, self._column(SCALE), None, None]
        return Anchored(better, scatter / (REPEATS - 1) ** 0.5, torch.cat([q for _, q in parts]))

    def elsewhere(self, theta: Float[Tensor, "1 parameter"]) -> "Experiment":
        """The same average at `theta` with other points, which show how far to trust the derivatives."""
        model, where, seed = self.model, self.measurement, self.seed + REPEATS + 1
        other = Experiment(model, where, self.instrument, samples=self.samples, cell=self.cell, seed=seed)
        values = theta[:, : len(model.names)]
        with torch.no_grad():
            other.correction = (self._deposit(values)[0] - other._deposit(values)[0])[0]
        return other

    def sample(self, theta: Float[Tensor, "1 parameter"], seed: int, like: Spectrum | None = None) -> Spectrum:
        """One noisy spectrum: Poisson counts, or reduced data with the coverage and errors of `like`."""
        expected, stable = self.predict(theta)
        if not bool(stable.all()):
            raise InputError(self.why_unstable(theta))
        return _noisy(expected[0], self, stream(seed, "counting"), like)

    def why_unstable(self, theta: Float[Tensor, "1 parameter"], at: Float[Tensor, "q 3"] | None = None) -> str:
        """One sentence: where the assumed order fails, `at` some of the wavevectors (rlu) given or found here."""
        head, values = f"the assumed order of model '{self.model.name}' is not", theta[:, : len(self.model.names)]
        if not bool(self.waves.is_stationary(values).all()):
            return (
                f"{head} stationary with these parameters (a torque acts on the moments); set relaxed = true in [order]"
            )
        bad = self.waves.get_buffer("q")[~self.waves(values).stable[0]] if at is None else at
        q = ", ".join(f"{x:.3f}" for x in bad[0].tolist()) if len(bad) else "?"
        return (
            f"{head} a minimum of the energy with these parameters: it is unstable at q = ({q}); "
            "change the parameters or the order"
        )

    def _rows(self) -> int:
        return max(1, ROWS_BYTES // (64 * len(self.weight) * len(self.model.spins)))

    def _predict(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        n = len(self.model.names)
        deposit, stable = self._deposit(theta[:, :n])
        return self._observe(deposit, theta[:, n:]), stable

    def _linearise(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Forward mode: the deposit along each model parameter, then the kernels along each nuisance."""
        n = len(self.model.names)
        deposit, rise, stable = self._deposit_slopes(theta[:, :n])
        nuisance = theta[:, n:]
        scaled = nuisance[:, self._column(SCALE), None, None]
        model = [scaled * self._smear(part, nuisance) for part in rise]
        k = self._column(SCALE)
        width = [self._along(lambda x: self._smear(deposit, x), nuisance, column) for column in range(k)]
        signal = self._smear(deposit, nuisance)
        expected = scaled * signal + self._background(nuisance)
        linear = [signal, *(template.expand_as(signal) for template in self.templates)]
        return expected, torch.stack((*model, *(scaled * part for part in width), *linear), dim=1), stable

    def _along(self, function: Callable[[Tensor], Tensor], nuisance: Tensor, column: int) -> Tensor:
        """Derivative of a function of the nuisances along one of them, for all rows."""
        tangent = torch.zeros_like(nuisance)
        tangent[:, column] = 1
        slope: Tensor = torch.func.jvp(function, (nuisance,), (tangent,))[1]
        return slope

    def _deposit_slopes(self, theta: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        one = torch.eye(theta.shape[1], dtype=theta.dtype)

        def push(tangent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            tangents = (tangent.expand_as(theta),)
            return torch.func.jvp(self._deposit, (theta,), tangents, has_aux=True)  # type: ignore[return-value]

        with torch.enable_grad():
            value, slope, stable = torch.func.vmap(push, out_dims=(None, 0, None))(one)  # type: ignore[arg-type]
        return value, list(slope), stable

    def _deposit(self, theta: Tensor) -> tuple[Float[Tensor, "batch cell line"], Bool[Tensor, " batch"]]:
        """All modes on cells and fine energy grid."""
        modes = self.waves(theta)
        return deposit(modes, self.weight, self.cells, self.line) + self.correction, modes.stable.all(-1)

    def _dense(self, theta: Tensor, repeat: int) -> tuple[Float[Tensor, "1 cell line"], Float[Tensor, "unstable 3"]]:
        """The deposit of points that no other repeat shares, and those of them where the order is unstable."""
        model, measurement, seed = self.model, self.measurement, self.seed + 1 + repeat
        samples = self.samples if is_sharp(measurement) else DENSER * self.samples
        where = sampling(measurement, model.lattice, samples=samples, width=self.cell, seed=seed)
        modes = waves(model, measurement, where, keep=False)(theta)
        return deposit(modes, where.weight, where.cell, self.line), where.q[~modes.stable[0]]

    def _smear(
        self, deposit: Float[Tensor, "batch cell line"], nuisance: Tensor
    ) -> Float[Tensor, "batch point energy"]:
        """Resolution in energy, then along |Q|."""
        n = len(self.instrument.resolution.names)
        blurred = deposit @ self.instrument.resolution.kernel(self.line, nuisance[:, :n], self.energy)
        if MULTIPLE in self.names:
            blurred = blurred + nuisance[:, self._column(MULTIPLE), None, None] * (self.sphere @ blurred)
        if self.cell_edges is None:
            return blurred
        shells = self._shells(self.cell_edges, nuisance)
        return smear_momentum(blurred, shells, self.nodes, self.measurement.energy_centres)

    def _shells(self, cells: Float[Tensor, " cell_edge"], nuisance: Tensor) -> Float[Tensor, "batch node shell cell"]:
        """Kernels along |Q| at the nodes of the width."""
        points = self.measurement.points
        assert isinstance(points, QShells)  # only they have cells
        width, centres = self.instrument.q_width, (cells[1:] + cells[:-1]) / 2
        column = self._column(width.names[0])
        fwhm = width.fwhm(centres, self.nodes, self.measurement, nuisance[:, column : column + len(width.names)])
        return shell_kernels(cells, points.edges, fwhm)

    def _observe(self, deposit: Tensor, nuisance: Tensor) -> Float[Tensor, "batch point energy"]:
        scale = nuisance[:, self._column(SCALE), None, None]
        return scale * self._smear(deposit, nuisance) + self._background(nuisance)

    def _background(self, nuisance: Tensor) -> Float[Tensor, "batch point energy"]:
        return torch.einsum("bk,kne->bne", nuisance[:, self._column(SCALE) + 1 :], self.templates)

    def _column(self, name: str) -> int:
        """Place of a nuisance among the nuisances."""
        return self.names.index(name) - len(self.model.names)


def _noisy(expected: Tensor, experiment: Experiment, seed: torch.Generator, like: Spectrum | None) -> Spectrum:
    if like is None and not experiment.instrument.counting.is_poisson:
        raise InputError(
            "noise of reduced data needs the errors of a measured spectrum; use counting kind = 'poisson' or give one"
        )
    valid = torch.ones_like(expected, dtype=torch.bool) if like is None else like.valid
    counting = experiment.instrument.counting
    mean = expected[valid]
    observed = counting.observe(like, expected) if like is not None else Observed(mean, mean, valid)
    drawn = torch.zeros_like(expected)
    drawn[valid] = counting.sample(mean, observed, seed)
    error = torch.zeros_like(expected)
    error[valid] = drawn[valid].sqrt() if counting.is_poisson else observed.variance.sqrt()
    return Spectrum.from_arrays(drawn, error, experiment.measurement, valid=valid, is_counts=counting.is_poisson)
