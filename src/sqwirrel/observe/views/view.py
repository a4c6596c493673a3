"""Views: the modes of a model, in all its orientations, laid out on the cells of a measurement and lines of energy."""

from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe.views.derivatives import differences, slopes, stacked
from sqwirrel.observe.views.folding import folded
from sqwirrel.observe.views.incoherent import Incoherent
from sqwirrel.observe.views.lines import BEYOND, Blur, deposit, deposit_slopes
from sqwirrel.observe.views.sampling import Sampling, concentrate, sampling, turned
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.simulate.looks.standing import Standing
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.folded import FoldedPhonons
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.phonon.thermal import Motion, ThermalMotion
from sqwirrel.spectra import Measurement, QShells

CANDIDATES = 16
"""Candidates for each quadrature point, of which `concentrate` keeps one."""
MARGIN = 0.5
"""Points are concentrated on modes up to this many meV beyond the bins, or as far as modes count (`BEYOND`)."""


Model = SpinModel | PhononModel
"""What modes are of."""


class Laid(NamedTuple):
    """Modes on cells and lines, and whether the order is a minimum at every wavevector looked at."""

    grid: Float[Tensor, "batch cell line"]
    stable: Bool[Tensor, " batch"]


@runtime_checkable
class Viewer(Protocol):
    """What lays modes out: a `View` of a model, or what was taught to do as one does."""

    exact: bool
    line: Tensor

    @property
    def bytes_per_row(self) -> int:
        """Memory that one row of parameters takes."""

    def inside(self, theta: Float[Tensor, "batch parameter"]) -> Bool[Tensor, " batch"]:
        """Whether it knows what to do with rows of parameters."""

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Laid:
        """Every row of parameters."""

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """The grid, its derivatives (parameter first), and stability."""


class View(nn.Module):
    """Modes seen by each of `solvers`, one an orientation of the crystal, on cells and the energies of `line` (meV).

    Parameters are those of the model, then the weight of every orientation but the first, relative to that one. Where
    a solver cannot be differentiated (`exact` is False) slopes are central differences. What lies under the
    modes, `incoherent`, has no orientation.
    """

    weight: Tensor
    cells: Tensor
    line: Tensor

    def __init__(
        self,
        solvers: list[nn.Module],
        where: Sampling,
        line: Float[Tensor, " line"],
        blur: Blur | None = None,
        *,
        exact: bool = True,
        incoherent: Incoherent | None = None,
    ) -> None:
        super().__init__()
        self.solvers, self.exact, self.sampling, self.incoherent = nn.ModuleList(solvers), exact, where, incoherent
        for name, tensor in (("weight", where.weight), ("cells", where.cell), ("line", line)):
            self.register_buffer(name, tensor)
        self.blurred = blur is not None
        for name, tensor in (blur._asdict() if blur is not None else {}).items():
            self.register_buffer(name, tensor)

    @property
    def amplitudes(self) -> Amplitudes | None:
        """The modes that a beam looks at, for other views of the same crystal; None where there are none."""
        solver = self.solvers[0]
        return solver.amplitudes if isinstance(solver, Standing) else None

    @property
    def bytes_per_row(self) -> int:
        """Memory that the modes of one row of parameters take."""
        own = 32 * len(self.weight) * sum(int(solver.modes) for solver in self.solvers)  # type: ignore[arg-type, misc]
        return own if self.incoherent is None else own + self.incoherent.bytes_per_row

    def inside(self, theta: Float[Tensor, "batch parameter"]) -> Bool[Tensor, " batch"]:
        """A model knows all."""
        return torch.ones(len(theta), dtype=torch.bool, device=theta.device)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Laid:
        """Every row of parameters; intensities are those of the mean orientation."""
        n, weights = self._weights(theta)
        shares = weights / weights.sum(1, keepdim=True)
        parts, stable = [], torch.ones(len(theta), dtype=torch.bool, device=theta.device)
        for solver, share in zip(self.solvers, shares.T, strict=True):
            modes: Modes = solver(theta[:, :n])
            laid = deposit(modes, self.weight, self.cells, self.line, self._blur)
            parts.append(laid if len(shares[0]) == 1 else share[:, None, None] * laid)
            stable = stable & modes.stable.all(-1)
        if self.incoherent is not None:
            below, steady = self.incoherent(theta[:, :n])
            parts, stable = [*parts, below], stable & steady
        return Laid(torch.stack(parts).sum(0) if len(parts) > 1 else parts[0], stable)

    def slopes(self, theta: Float[Tensor, "batch parameter"]) -> tuple[Tensor, Tensor, Tensor]:
        """The grid, its derivatives (parameter first), and stability."""
        if not self.exact:
            return differences(self, theta)
        return self._compiled(theta) if theta.device.type == "cpu" else slopes(self, theta)

    def _compiled(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Forward mode through the modes alone: a loop lays out their derivatives."""
        n, weights = self._weights(theta)
        parts, rises, stable = [], [], torch.ones(len(theta), dtype=torch.bool)
        for solver in self.solvers:
            part, slope, steady = self._sloped(solver, theta[:, :n])
            parts.append(part)
            rises.append(slope)
            stable = stable & steady
        value, rise = _mixed(parts, rises, weights)
        if self.incoherent is not None:
            below, slope, steady = self.incoherent.slopes(theta[:, :n])
            stable = stable & steady
            value, rise = value + below, torch.cat((rise[:n] + slope, rise[n:]))
        return value, rise, stable

    def _sloped(self, solver: nn.Module, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What one orientation lays out, derivatives and stability; modes that share points a part at a time."""
        if not isinstance(solver, FoldedPhonons):
            return self._laid(slopes(partial(stacked, solver), theta), slice(None))
        shape, stable = (len(theta), int(self.cells[-1]) + 1, len(self.line)), torch.ones(len(theta), dtype=torch.bool)
        value, rise = theta.new_zeros(shape), theta.new_zeros(theta.shape[1], *shape)
        for rows, part in solver.parts(theta):
            laid, slope, steady = self._laid(part.slopes(theta), rows)
            value[:, : laid.shape[1]] += laid
            rise[:, :, : laid.shape[1]] += slope
            stable = stable & steady
        return value, rise, stable

    def _laid(self, found: tuple[Tensor, Tensor, Tensor], rows: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """The same of modes, with derivatives and stability, at some of the points; cells end with the last of them."""
        modes, rise, stable = found
        energy, intensity = modes.unbind(1)
        laid = Modes(energy, intensity, stable), rise, self.weight[rows], self.cells[rows], self.line, self._blur
        return *deposit_slopes(*laid), stable.all(-1)

    def _weights(self, theta: Tensor) -> tuple[int, Tensor]:
        """Number of parameters of the model, and the weights of the orientations."""
        n = theta.shape[1] - len(self.solvers) + 1
        return n, torch.cat((theta.new_ones(len(theta), 1), theta[:, n:]), dim=1)

    @property
    def _blur(self) -> Blur | None:
        return Blur(*(self.get_buffer(name) for name in Blur._fields)) if self.blurred else None


def _mixed(
    parts: list[Tensor], rises: list[Tensor], weights: Float[Tensor, "batch orientation"]
) -> tuple[Float[Tensor, "batch cell line"], Float[Tensor, "parameter batch cell line"]]:
    """The mean of what each orientation lays out, and its derivatives, those along weights last."""
    if len(parts) == 1:
        return parts[0], rises[0]
    shares = (weights / weights.sum(1, keepdim=True)).T[..., None, None]
    value = torch.stack([share * part for share, part in zip(shares, parts, strict=True)]).sum(0)
    rise = torch.stack([share * slope for share, slope in zip(shares, rises, strict=True)]).sum(0)
    others = [(part - value) / weights.sum(1)[:, None, None] for part in parts[1:]]
    return value, torch.cat((rise, torch.stack(others)))


def powder_sampling(model: Model, measurement: Measurement, samples: int, cell: float, seed: int) -> Sampling:
    """Quadrature points of |Q| cells: phonons share modes between them, the others are even."""
    if isinstance(model, PhononModel) and isinstance(points := measurement.points, QShells):
        return folded(points, model.lattice, model.primitive, samples=samples, width=cell, seed=seed)
    return sampling(measurement, model.lattice, samples=samples, width=cell, seed=seed)


def shell_sampling(model: Model, measurement: Measurement, samples: int, cell: float, seed: int) -> Sampling:
    """The same, spin waves concentrated with the modes of the published parameters if these give a stable order."""
    if isinstance(model, PhononModel):
        return powder_sampling(model, measurement, samples, cell, seed)
    even = partial(sampling, measurement, model.lattice, width=cell, seed=seed)
    if any(name not in model.defaults for name in model.names):
        return even(samples=samples)
    candidates = even(samples=CANDIDATES * samples)
    with torch.no_grad():
        modes = waves(model, measurement, candidates, keep=False)(model.pack())
    if not bool(modes.stable.all()):
        return even(samples=samples)
    return kept(candidates, modes, measurement, samples, seed)


def kept(where: Sampling, modes: Modes, measurement: Measurement, samples: int, seed: int) -> Sampling:
    """Points concentrated on the modes in and near the measured energies."""
    low, high = measurement.range
    far = max(MARGIN, BEYOND * (high - low))
    span = low - far, high + far
    return concentrate(where, modes.energy[0], modes.intensity[0], span, samples=samples, seed=seed)


def waves(
    model: Model,
    measurement: Measurement,
    where: Sampling,
    *,
    keep: bool = True,
    fwhm: float | None = None,
    rotation: Float[Tensor, "3 3"] | None = None,
    moving: Motion | None = None,
) -> SpinWaves | Phonons | FoldedPhonons:
    """What has modes at the points, under the conditions of the measurement, as fine as a width `fwhm` (meV) sees.

    A `rotation` (Cartesian) takes the crystal of the model to that of a twin; `moving` is how its atoms move, if known.
    """
    q, field = where.q, measurement.field
    if rotation is not None and not torch.equal(rotation, torch.eye(3).to(rotation)):
        q = model.lattice.to_rlu(model.lattice.to_cartesian(q) @ rotation)
        field = turned(field, rotation)
    if isinstance(model, PhononModel):
        warm = measurement.temperature or 0.0
        thermal = moving or ThermalMotion(model, warm)
        if where.folding is not None:
            return FoldedPhonons(model, *where.folding, temperature=warm, thermal=thermal)
        return Phonons(model, q, temperature=warm, thermal=thermal)
    return SpinWaves(model, q, temperature=measurement.temperature or 0.0, field=field, keep=keep, fwhm=fwhm)


def orientations(twins: Float[Tensor, "twin 3 3"] | None) -> Float[Tensor, "orientation 3 3"]:
    """The crystal as it is, and its twins."""
    one = torch.eye(3, dtype=torch.float64)[None]
    if twins is None:
        return one
    turns = torch.as_tensor(twins, dtype=torch.float64)
    if turns.ndim != 3 or not torch.allclose(turns @ turns.mT, one.expand_as(turns), atol=1e-6):
        raise InputError("twins must be orthogonal 3 x 3 matrices; give Cartesian rotations, not those of rlu")
    return torch.cat((one, turns))


def sphere(where: Sampling, measurement: Measurement) -> Float[Tensor, "one cell"]:
    """Weights of the average over the measured solid angle: |Q| d|Q| for a powder, equal for the points of a path."""
    if where.edges is None or not isinstance(measurement.points, QShells):
        area = torch.ones(int(where.cell[-1]) + 1, dtype=torch.float64)
    else:
        low, high = measurement.points.edges[[0, -1]]
        area = (where.edges.clamp(low, high) ** 2).diff()
    return (area / area.sum())[None]


def is_sharp(measurement: Measurement) -> bool:
    """Whether every bin is a point of reciprocal space, so that there is nothing to average."""
    return not isinstance(measurement.points, QShells) and not bool(measurement.points.box.any())
