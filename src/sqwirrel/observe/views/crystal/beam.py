"""Solvers for a crystal that stands still in a beam, where the third component of Q follows from the energy."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sqwirrel.model.spin import SpinModel
from sqwirrel.observe.views.sampling import Sampling, same_cell, turned
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.looks.amplitudes import Amplitudes
from sqwirrel.simulate.looks.folding import fold, is_free
from sqwirrel.simulate.looks.groups import Groups, groups
from sqwirrel.simulate.looks.standing import Held, Standing
from sqwirrel.simulate.modes import Modes
from sqwirrel.spectra import Measurement, QGrid
from sqwirrel.spectra.grid import Beam, along_beam

MESH = 0.125
"""Quadrature points are rounded to a mesh this fine, in widths of a bin, so that many share their modes."""
NODES = 24
"""Energies across the bins at which q is taken where the modes depend on all of it, and as densely beyond; between them
the spectra of two are mixed.
"""


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

    def __init__(self, waves: SpinWaves, nodes: Float[Tensor, " node"], reached: Tensor) -> None:
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


def passing(
    model: SpinModel,
    measurement: Measurement,
    where: Sampling,
    turns: Float[Tensor, "orientation 3 3"],
    window: tuple[float, float],
) -> list[nn.Module]:
    """Solvers for modes that depend on all of Q, in a `window` of energies (meV)."""
    (grid, beam), (low, high) = _held(measurement), measurement.range
    turn = same_cell(grid.lattice, model.lattice)
    count = math.ceil(NODES * (window[1] - window[0]) / (high - low))
    nodes = torch.linspace(*window, count, dtype=torch.float64)
    flat = where.q @ torch.linalg.inv(turn)
    q = along_beam(grid.lattice, beam, flat[:, None], grid.axes[2], nodes) @ turn
    reached = q.isfinite().all(-1)
    q = torch.where(reached[..., None], q, where.q[:, None]).flatten(0, 1)
    wave, T = model.lattice.to_cartesian(q), measurement.temperature or 0.0
    every = [
        SpinWaves(
            model,
            model.lattice.to_rlu(wave @ rotation),
            temperature=T,
            field=turned(measurement.field, rotation),
        )
        for rotation in turns
    ]
    return [Passing(each, nodes, reached) for each in every]


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
