"""Readings of a dispersion: gap, band top, splitting, velocity, stiffness and zone-boundary energy, by name.

Each is a number for every row of parameters, of the energies at a few wavevectors; branches are counted from the lowest
at each wavevector, from 0 (from the highest, -1), so that where two cross a number changes its branch. The laws
are closed forms of simple models, H counted as everywhere here (each bond once, J > 0 antiferromagnetic, D (S^z)^2);
other models have their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import zone
from sqwirrel.simulate.phonon.dynamical import SOFT, STILL
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.spinwave import SpinWaves

Model = SpinModel | PhononModel
Vector = Sequence[float]
CENTRE = (0.0, 0.0, 0.0)
MESH = (1, 48, 16, 8)
"""Points a direction of the mesh of the zone, by the number of directions: halves and quarters lie on it."""
STEP = 0.02
"""Steps from a zone centre, as a phase across the longest vector of the cell that repeats (radian)."""
NOTHING = 1e-8
"""Squares of energies below this, times the band top and 1 meV, are none: the spin waves hold Goldstone modes 1e-9 meV
times a diagonal element of H above it. Squares of velocities, relative to those of the band top over the cell, too.
"""


@dataclass(frozen=True, eq=False)
class Reading:
    """A named number of a dispersion, in `unit`: what `read` makes of the energies (meV, lowest branch first) at `q`
    (rlu) and of the band top (meV), row by row; `branches` are those that it looks at.
    """

    name: str
    unit: str
    q: Float[Tensor, "q 3"]
    read: Callable[[Float[Tensor, "batch q branch"], Float[Tensor, " batch"]], Float[Tensor, " batch"]]
    branches: tuple[int, ...] = field(default=())


class Found(NamedTuple):
    """Readings of rows, the band top (meV), and whether the order is stable: else the others mean nothing."""

    values: Float[Tensor, "batch reading"]
    top: Float[Tensor, " batch"]
    stable: Bool[Tensor, " batch"]


class Dispersion:
    """Readings of a model, spin waves or phonons, in a `field` (T, Cartesian), for rows of its parameters.

    Energies of a mesh of the zone of the cell that repeats are found besides: their highest is the band top, and a row
    is stable where they and those of the readings are real.
    """

    def __init__(self, model: Model, readings: Sequence[Reading], *, field: Vector = CENTRE) -> None:
        if len({each.name for each in readings}) < len(readings) or not readings:
            raise InputError(
                f"readings need one name each, got {', '.join(each.name for each in readings) or 'no reading'}"
            )
        self.model, self.readings, mesh = model, tuple(readings), _mesh(model)
        self.size = [len(mesh), *(len(each.q) for each in readings)]
        q = torch.cat((mesh, *(each.q for each in readings)))
        self.solver = (
            Phonons(model, q)
            if isinstance(model, PhononModel)
            else SpinWaves(model, q, field=torch.tensor(field, dtype=torch.float64), keep=False)
        )
        for each in readings:
            _check(each, int(self.solver.modes) // 2)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the readings, in order."""
        return tuple(each.name for each in self.readings)

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """The readings, differentiable once."""
        energy, stable = self._energies(theta)
        mesh, *parts = torch.split(energy, self.size, dim=1)
        top = mesh[..., -1].amax(1)
        values = [each.read(part, top) for each, part in zip(self.readings, parts, strict=True)]
        return Found(torch.stack(values, dim=1), top, stable)

    def _energies(self, theta: Tensor) -> tuple[Float[Tensor, "batch q branch"], Bool[Tensor, " batch"]]:
        """Lowest first; those of phonons are negative where they are imaginary."""
        if isinstance(self.solver, Phonons):
            energy = self.solver.energies(theta).flip(-1)
            low, high = energy.detach()[..., 0], energy.detach()[..., -1]
            return energy, (low * low.abs() > -SOFT * high**2 - STILL**2).all(1)
        modes = self.solver(theta)
        return modes.energy[..., : modes.energy.shape[-1] // 2].flip(-1), modes.stable.all(1)


def gap(q: Vector = CENTRE) -> Reading:
    """The lowest energy at `q` (rlu), meV.

    Law: 2 S |D| + g mu_B B of an easy-axis ferromagnet in a field along the axis, whatever J; 2 S (D^2 - z J D)^1/2
    of an easy-axis antiferromagnet with z neighbours (F. Keffer, C. Kittel, Phys. Rev. 85, 329 (1952),
    doi:10.1103/PhysRev.85.329); 0 at the zone centre of any crystal.
    """
    return Reading(f"gap at {_text(q)}", "meV", _rows(q), lambda E, top: _known(E[:, 0, 0], top), (0,))


def boundary(q: Vector, branch: int = -1) -> Reading:
    """The energy of a branch at `q` (rlu), where the zone ends, meV.

    Law: 4 J S of the square-lattice antiferromagnet, S (z J - 2 D) of one with z neighbours where they cancel (P. W.
    Anderson, Phys. Rev. 86, 694 (1952), doi:10.1103/PhysRev.86.694); hbar (2 K / m)^1/2 of either atom of a diatomic
    chain (M. Born, K. Huang, Dynamical Theory of Crystal Lattices (1954)).
    """
    name = f"energy at {_text(q)}" + ("" if branch == -1 else f" of branch {branch}")
    return Reading(name, "meV", _rows(q), lambda E, top: _known(E[:, 0, branch], top), (branch,))


def band_top() -> Reading:
    """The highest energy on a mesh of the zone (`MESH`), meV; below the true one where that is between points.

    Law: 4 |J| S of a ferromagnetic chain (F. Bloch, Z. Phys. 61, 206 (1930), doi:10.1007/BF01339661), plus its gap;
    2 hbar (K / m)^1/2 of a monatomic chain (M. Born, K. Huang, Dynamical Theory of Crystal Lattices (1954)).
    """
    return Reading("band top", "meV", torch.zeros(0, 3, dtype=torch.float64), lambda _, top: top)


def splitting(q: Vector, branches: tuple[int, int] = (0, 1)) -> Reading:
    """How far the second of two branches is above the first at `q` (rlu), meV.

    Law: 0 where symmetry keeps them equal, as the two modes of a collinear easy-axis antiferromagnet, and 2 g mu_B B of
    these in a field along the axis (F. Keffer, C. Kittel, Phys. Rev. 85, 329 (1952), doi:10.1103/PhysRev.85.329).
    """
    one, other = branches

    def read(E: Tensor, _: Tensor) -> Tensor:
        return E[:, 0, other] - E[:, 0, one]

    return Reading(f"splitting of {one}, {other} at {_text(q)}", "meV", _rows(q), read, branches)


def velocity(model: Model, direction: Vector, branch: int = 0, centre: Vector = CENTRE) -> Reading:
    """c of E^2 = gap^2 + c^2 |q|^2 at a zone centre, meV A: of spin waves that are linear or would be, or of sound.

    `direction` and `centre` in rlu. From two steps, so that terms of the fourth order do not count. Of a mode that is
    quadratic without a gap (a ferromagnet's) it is 0, and with one it is no velocity: see `stiffness`.
    Law: 8^1/2 J S a of the square-lattice antiferromagnet (P. W. Anderson, Phys. Rev. 86, 694 (1952),
    doi:10.1103/PhysRev.86.694); hbar a (K / m)^1/2 of a chain of atoms, hbar a (K / 2 (m + M))^1/2 of one with two in
    a cell of length a (M. Born, K. Huang, Dynamical Theory of Crystal Lattices (1954)).
    """
    q, size, length = _steps(model, direction, centre)

    def read(E: Tensor, top: Tensor) -> Tensor:
        square = _curvature(E[..., branch] ** 2, size)
        known = square > NOTHING * (top * length) ** 2
        return torch.where(known, torch.where(known, square, 1.0).sqrt(), 0.0)

    return Reading(f"velocity along {_text(direction)}{_of(branch, centre)}", "meV A", q, read, (branch,))


def stiffness(model: Model, direction: Vector, branch: int = 0, centre: Vector = CENTRE) -> Reading:
    """C of E = gap + C |q|^2 at a zone centre, meV A^2, from two steps as `velocity`.

    Law: |J| S a^2 of a ferromagnetic chain, whatever its gap (F. Bloch, Z. Phys. 61, 206 (1930),
    doi:10.1007/BF01339661). Of a linear mode it means nothing.
    """
    q, size, _ = _steps(model, direction, centre)

    def read(E: Tensor, _: Tensor) -> Tensor:
        return _curvature(E[..., branch], size)

    return Reading(f"stiffness along {_text(direction)}{_of(branch, centre)}", "meV A^2", q, read, (branch,))


def _curvature(f: Float[Tensor, "batch 3"], size: float) -> Float[Tensor, " batch"]:
    """The coefficient of |q|^2 from values at 0, `size` and 2 `size`, right to the fourth order."""
    near, far = (f[:, 1] - f[:, 0]) / size**2, (f[:, 2] - f[:, 0]) / (2 * size) ** 2
    return (4 * near - far) / 3


def _steps(model: Model, direction: Vector, centre: Vector) -> tuple[Tensor, float, float]:
    """A zone centre and two wavevectors beside it (rlu), the step (1/A), and the longest vector of the cell (A)."""
    along = model.lattice.to_cartesian(_rows(direction))[0]
    if not float(along.norm()) > 0:
        raise InputError(f"the direction {list(direction)} of a velocity has no length; give it in rlu, as (1, 0, 0)")
    length = float(model.cell.vectors.norm(dim=-1).max())
    size = STEP / length
    steps = size * torch.arange(3, dtype=torch.float64)[:, None] * along / along.norm()
    return _rows(centre) + model.lattice.to_rlu(steps), size, length


def _known(energy: Float[Tensor, " batch"], top: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Energies, 0 with no derivative where they are that of a Goldstone mode."""
    return torch.where(energy * energy.abs() > NOTHING * top, energy, 0.0)


def _mesh(model: Model) -> Float[Tensor, "x 3"]:
    """Wavevectors (rlu) that cover the zone of the cell that repeats, evenly; its centre is one."""
    if isinstance(model, PhononModel):
        every = torch.ones(3, dtype=torch.bool)
        return zone.to_rlu(zone.grid(every, MESH[3]), model.primitive)
    along = zone.coupled(model)
    return zone.to_rlu(zone.grid(along, MESH[int(along.sum())]), model.supercell)


def _check(reading: Reading, count: int) -> None:
    if wrong := [branch for branch in reading.branches if not -count <= branch < count]:
        raise InputError(
            f"'{reading.name}' asks for branch {wrong[0]}; the model has {count}, numbered from 0 (the lowest) to "
            f"{count - 1}"
        )


def _rows(q: Vector) -> Float[Tensor, "1 3"]:
    if len(q) != 3:
        raise InputError(f"a wavevector has three components h, k, l, got {list(q)}")
    return torch.tensor([[float(x) for x in q]], dtype=torch.float64)


def _text(q: Vector) -> str:
    return f"({', '.join(f'{x:g}' for x in q)})"


def _of(branch: int, centre: Vector) -> str:
    return f" of branch {branch}" + ("" if tuple(centre) == CENTRE else f" from {_text(centre)}")
