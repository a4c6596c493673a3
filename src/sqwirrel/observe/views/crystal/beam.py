"""Solvers for a crystal that stands still in a beam, where the third component of Q follows from the energy."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.lattice import Lattice
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe.views.incoherent import Looked
from sqwirrel.observe.views.sampling import Sampling, same_cell, turned
from sqwirrel.observe.views.view import Model, waves
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.simulate.looks.folding import fold, is_free
from sqwirrel.simulate.looks.groups import Groups, groups
from sqwirrel.simulate.looks.standing import Held, Standing
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.folded import FoldedPhonons
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.phonon.thermal import Motion
from sqwirrel.spectra import Measurement, QGrid
from sqwirrel.spectra.grid import Beam, along_beam

MESH = 0.125
"""Quadrature points are rounded to a mesh this fine, in widths of a bin, so that many share their modes."""
NODES = 24
"""Energies across the bins at which q is taken where the modes depend on all of it, and as densely beyond; between them
the spectra of two are mixed, or the energies of phonons.
"""
SHARP = 1 / 4
"""How near to the energy that belongs to its wavevector a phonon is looked for, of what lies between two nodes."""

Waves = SpinWaves | Phonons | FoldedPhonons
"""What has modes at wavevectors."""


def standing(
    model: SpinModel,
    measurement: Measurement,
    where: Sampling,
    turns: Float[Tensor, "orientation 3 3"],
    window: tuple[float, float],
    shared: Amplitudes | None = None,
) -> list[nn.Module] | None:
    """Solvers that find modes once and look at each where the beam sees it; None where the modes depend on that.

    Modes outside of `window` (meV) are not looked at.
    """
    grid, held = _held(measurement)
    turn = same_cell(grid.lattice, model.lattice)
    axis, beam = (model.lattice.to_cartesian(each @ turn) for each in (grid.axes[2], held.direction))
    axes = [model.lattice.to_rlu(axis @ rotation) for rotation in turns]
    if not all(_is_simple(model, each) and is_free(model, each) for each in axes):
        return None
    wave = model.lattice.to_cartesian(where.q)
    mesh = _mesh(model, grid, turn)
    folded = [
        fold(model, model.lattice.to_rlu(wave @ rotation), each, mesh)
        for rotation, each in zip(turns, axes, strict=True)
    ]
    known = [] if shared is None else [shared]
    for rotation, (few, _), each in zip(turns, folded, axes, strict=True):
        known.append(_amplitudes(model, few.solved, groups(model, each), turned(measurement.field, rotation), known))
    temperature = measurement.temperature or 0.0
    return [
        Standing(
            model,
            amplitudes,
            few,
            model.lattice.to_cartesian(meant),
            Held(beam @ rotation, axis @ rotation, held.incident_energy),
            temperature,
            window,
        )
        for rotation, (few, meant), amplitudes in zip(turns, folded, known[-len(turns) :], strict=True)
    ]


def _amplitudes(
    model: SpinModel, solved: Tensor, found: Groups, field: Float[Tensor, "3"], known: list[Amplitudes]
) -> Amplitudes:
    """Those among `known` that are of the same wavevectors, groups and field (T), or new ones."""
    same = (
        each
        for each in known
        if each.groups.equal(found) and torch.equal(each.q, solved) and torch.equal(each.field, field)
    )
    return next(same, None) or Amplitudes(model, solved, found, field)


class Passing(nn.Module):
    """Modes along the way that a bin takes through reciprocal space as the energy grows, each weighed by how near it
    is to the energy that belongs to its wavevector.
    """

    def __init__(self, waves: Waves, nodes: Float[Tensor, " node"], reached: Tensor) -> None:
        super().__init__()
        self.waves, self.names, self.modes = waves, waves.names, len(nodes) * waves.modes
        self.register_buffer("nodes", nodes)
        self.register_buffer("reached", reached)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes of all nodes as modes of the point."""
        modes, nodes = self.waves(theta), self.get_buffer("nodes")
        energy, intensity = (each.unflatten(1, (-1, len(nodes))) for each in (modes.energy, modes.intensity))
        near = (1 - (energy - nodes[:, None]).abs() / (nodes[1] - nodes[0])).clamp(min=0)
        near = near * self.get_buffer("reached")[..., None]
        stable = (modes.stable.unflatten(1, (-1, len(nodes))) | ~self.get_buffer("reached")).all(-1)
        return Modes(energy.flatten(2), (intensity * near).flatten(2), stable)


class Crossing(nn.Module):
    """The same for modes whose energies change about as fast along that way as the energy that belongs to it, as those
    of phonons, nearly as fast as neutrons, do: each is where a straight line between two nodes crosses that energy.

    With f the energy of a mode less that of the node, in units of `SHARP` of what lies between two nodes, it is as
    strong as the mean of max(0, 1 - |f|) between them, over `SHARP`: 1 / |1 - dE_mode / dE|, but smooth.
    """

    def __init__(self, waves: Waves, nodes: Float[Tensor, " node"], reached: Tensor) -> None:
        super().__init__()
        self.waves, self.names, self.modes = waves, waves.names, (len(nodes) - 1) * waves.modes
        self.register_buffer("nodes", nodes)
        self.register_buffer("reached", reached)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes between all nodes as modes of the point."""
        modes, nodes, reached = self.waves(theta), self.get_buffer("nodes"), self.get_buffer("reached")
        energy, intensity = (each.unflatten(1, (-1, len(nodes))) for each in (modes.energy, modes.intensity))
        off = (energy - nodes[:, None]) / (SHARP * (nodes[1] - nodes[0]))
        low, high = off[:, :, :-1], off[:, :, 1:]
        part = low.abs() / (low.abs() + high.abs() + 1e-12)
        energy, intensity = (torch.lerp(each[:, :, :-1], each[:, :, 1:], part) for each in (energy, intensity))
        intensity = intensity * _mean_hat(low, high) / SHARP * (reached[:, :-1] & reached[:, 1:])[..., None]
        stable = (modes.stable.unflatten(1, (-1, len(nodes))) | ~reached).all(-1)
        return Modes(energy.flatten(2), intensity.flatten(2), stable)


def _mean_hat(low: Float[Tensor, "*shape"], high: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The mean of max(0, 1 - |x|) from `low` to `high`."""
    gap, ends = high - low, [each.clamp(-1, 1) for each in (low, high)]
    below, above = (each - each * each.abs() / 2 for each in ends)
    close = gap.abs() < 1e-6
    here = (1 - ((low + high) / 2).abs()).clamp(min=0)
    return torch.where(close, here, (above - below) / torch.where(close, 1.0, gap))


def passing(
    model: Model,
    measurement: Measurement,
    where: Sampling,
    turns: Float[Tensor, "orientation 3 3"],
    window: tuple[float, float],
    moving: Motion | None = None,
) -> list[nn.Module]:
    """Solvers for modes that depend on all of Q, in a `window` (meV); `moving` is how atoms move, if that is known."""
    low, high = measurement.range
    count = math.ceil(NODES * (window[1] - window[0]) / (high - low))
    nodes = torch.linspace(*window, count, dtype=torch.float64)
    q = _along(model.lattice, measurement, where.q, nodes)
    reached = q.isfinite().all(-1)
    q = torch.where(reached[..., None], q, where.q[:, None]).flatten(0, 1)
    cell, weight = (each.repeat_interleave(count) for each in (where.cell, where.weight))
    every = Sampling(q, cell, weight, None)
    of = Crossing if isinstance(model, PhononModel) else Passing
    return [of(waves(model, measurement, every, rotation=turn, moving=moving), nodes, reached) for turn in turns]


def squares_along(lattice: Lattice, measurement: Measurement, where: Sampling, line: Float[Tensor, " line"]) -> Looked:
    """What is looked at in the cells, of a model with that lattice, at the energies of `line` (meV)."""
    parts = []
    for energy in line[:, None]:
        square = (lattice.to_cartesian(_along(lattice, measurement, where.q, energy)[:, 0]) ** 2).sum(-1)
        reached = where.weight * square.isfinite()
        parts.append(torch.stack([torch.bincount(where.cell, x) for x in (reached * square.nan_to_num(), reached)]))
    square, reached = torch.stack(parts, -1)
    return Looked(square / reached.clamp(min=1e-300), reached)


def _along(
    lattice: Lattice, measurement: Measurement, q: Float[Tensor, "sample 3"], energy: Float[Tensor, " node"]
) -> Float[Tensor, "sample node 3"]:
    """Where a beam looks from points `q` (rlu of `lattice`) at energies (meV); NaN where it cannot."""
    grid, beam = _held(measurement)
    turn = same_cell(grid.lattice, lattice)
    flat = q @ torch.linalg.inv(turn)
    return along_beam(grid.lattice, beam, flat[:, None], grid.axes[2], energy) @ turn


def _held(measurement: Measurement) -> tuple[QGrid, Beam]:
    grid = measurement.points
    assert isinstance(grid, QGrid)
    assert grid.beam is not None
    return grid, grid.beam


def _is_simple(model: SpinModel, axis: Float[Tensor, "3"]) -> bool:
    """Whether an axis (rlu) is along one reciprocal vector of the magnetic cell."""
    return int(((axis @ model.supercell.T).abs() > 1e-6).sum()) == 1


def _mesh(model: SpinModel, grid: QGrid, turn: Float[Tensor, "3 3"]) -> tuple[int, int, int]:
    """Points of the mesh along each reciprocal vector of the magnetic cell; 0 where the bins have no width."""
    box = grid.box.abs().amin(0)[:2] @ turn.abs() @ model.supercell.T.abs()
    width = torch.where(box > 1e-9, box, torch.inf).amin(0)
    one, two, three = (0 if w == torch.inf else math.ceil(1 / (MESH * w)) for w in width.tolist())
    return one, two, three
