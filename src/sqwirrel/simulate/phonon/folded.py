"""Phonons at many wavevectors that share a few: modes at q serve every q + G.

In a powder all directions are averaged, so that any q stands for its whole star, and points spread over the zone, each
taken at all G within reach, are points spread over reciprocal space. Solving is then next to free.
"""

import copy
from collections.abc import Iterator
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numba import njit
from torch import Tensor, nn

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.compiled.threads import share
from sqwirrel.simulate.crosssection import bose
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.phonon.dynamical import STILL, Solved, basis, dynamical, solve
from sqwirrel.simulate.phonon.thermal import Motion, Thermal
from sqwirrel.simulate.quadratic.eigen import DEGENERATE
from sqwirrel.simulate.quadratic.once import first_order
from sqwirrel.units import MB_PER_FM2, RECOIL

CHUNK = 2**22
"""Amplitudes that are worked on at once where derivatives are asked for."""
PART_BYTES = 2**26
"""What the derivatives of a part hold, about."""


class FoldedPhonons(nn.Module):
    """As `Phonons` at zone[place] + shift[number] (rlu), where shifts are reciprocal lattice vectors of the cell.

    Modes of one energy are in no certain order: derivatives are right where the points of the zone are in general
    positions, and the springs do not make modes equal everywhere.
    """

    basis: Tensor
    place: Tensor
    number: Tensor
    wave: Tensor
    turn: Tensor

    def __init__(
        self,
        model: PhononModel,
        zone: Float[Tensor, "zone 3"],
        shift: Float[Tensor, "shift 3"],
        place: Int[Tensor, " q"],
        number: Int[Tensor, " q"],
        *,
        temperature: float = 0.0,
        thermal: Thermal | None = None,
    ) -> None:
        super().__init__()
        self.model, self.names, self.temperature, self.thermal = model, model.names, temperature, thermal
        at = model.positions @ model.cell.vectors
        zone, shift = model.lattice.to_cartesian(zone), model.lattice.to_cartesian(shift)
        self.register_buffer("place", place)
        self.register_buffer("number", number)
        self.register_buffer("wave", zone[place] + shift[number])
        self.register_buffer("turn", torch.exp(1j * (shift @ at.T)))
        self.register_buffer("basis", basis(model, zone))

    @property
    def modes(self) -> int:
        """Number of modes at each wavevector, those of both signs of energy."""
        return 2 * self.basis.shape[-1]

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes for every row of `theta`; differentiable once, and a compiled loop where gradients are disabled."""
        found = self._solved(theta)
        U, steady = (None, True) if self.thermal is None else self.thermal.motion(theta)
        energy = _both(_energy(found.square), -1)
        factor = self._factor(energy)
        compiled = not torch.is_grad_enabled() and theta.device.type == "cpu"
        intensity = (self._looked if compiled else self._summed)(found.amplitude, factor, U)
        stable = found.stable & torch.as_tensor(steady).reshape(-1, 1)
        energy, stable = (x.index_select(1, self.place) for x in (energy, stable))
        return Modes(first_order(energy), first_order(intensity), stable)

    @torch.no_grad()
    def slopes(
        self, theta: Float[Tensor, "batch parameter"]
    ) -> tuple[Float[Tensor, "batch 2 q line"], Float[Tensor, "parameter batch 2 q line"], Bool[Tensor, "batch q"]]:
        """Energies and intensities, their derivatives, and stability, in a compiled loop.

        With h = e_m* dD e_n, dE_m^2 = h_mm and de_m = sum_n h_nm e_n / (E_m^2 - E_n^2).
        """
        found, (U, rise, steady) = self._solved(theta), self._motion(theta)
        A, size = found.amplitude, found.amplitude.shape[-1]
        h = torch.einsum("bzmi,pzij,bznj->pbzmn", A, self.basis, A.conj())
        gap = found.square[..., :, None] - found.square[..., None, :]
        apart = gap.abs() > DEGENERATE * found.square[..., :1, None].abs()
        mixing = torch.where(apart, h / torch.where(apart, gap, 1.0), 0.0)
        energy = _energy(found.square)
        rising = h.diagonal(dim1=-2, dim2=-1).real / (2 * energy)
        slope = _both(torch.where(found.square > STILL**2, rising, 0.0), -1)
        energy = _both(energy, -1)
        factor = self._factor(energy)
        steeper = torch.func.grad(lambda E: self._factor(E).sum())(energy) * slope
        value = self.wave.new_empty(len(theta), 2, len(self.place), 2 * size)
        along = self.wave.new_empty(len(rise), *value.shape)
        value[:, 0], along[:, :, 0] = energy[:, self.place], slope[:, :, self.place]
        self._look(A, mixing, factor, steeper, U, rise, value, along)
        return value, along, (found.stable & steady[:, None])[:, self.place]

    @torch.no_grad()
    def parts(self, theta: Float[Tensor, "batch parameter"]) -> Iterator[tuple[Int[Tensor, " some"], "FoldedPhonons"]]:
        """The same for some points of the zone after the other, and which wavevectors each part has, in their order.

        Derivatives of a part at `theta`, the only parameters that it is for, hold `PART_BYTES`.
        """
        zone, size = self.basis.shape[1:3]
        each = theta.numel() * (5 * 16 * size**2 + 4 * 8 * size * len(self.place) // zone)
        some, thermal = max(1, PART_BYTES // max(1, each)), self._motion(theta)
        order = self.place.argsort()
        first = torch.searchsorted(self.place[order], torch.arange(0, zone + some, some))
        for k, start in enumerate(range(0, zone, some)):
            rows = order[first[k] : first[k + 1]].sort().values
            if len(rows):
                yield rows, self._part(rows, start, start + some, thermal)

    def _part(self, rows: Int[Tensor, " some"], start: int, stop: int, thermal: Motion) -> "FoldedPhonons":
        """What these wavevectors, at points `start` to `stop` of the zone, have if atoms move so."""
        part = copy.copy(self)
        part._modules, part._buffers = {}, {**self._buffers}
        part.thermal, part.basis, part.place = thermal, self.basis[:, start:stop], self.place[rows] - start
        part.number, part.wave = self.number[rows], self.wave[rows]
        return part

    def _solved(self, theta: Tensor) -> Solved:
        n = self.basis.shape[-1]
        return solve(dynamical(self.basis, theta), torch.eye(n, dtype=self.basis.dtype)[None, None])

    def _factor(self, energy: Float[Tensor, "batch zone line"]) -> Float[Tensor, "batch zone line"]:
        """What a line at this energy is strong by, beside its structure factor."""
        return MB_PER_FM2 * RECOIL / (2 * len(self.model.positions) * energy.abs()) * bose(energy, self.temperature)

    def _motion(self, theta: Tensor) -> Motion:
        """How atoms move, with derivatives."""
        if self.thermal is not None:
            return self.thermal.slopes(theta)
        still = self.wave.new_zeros(len(theta), len(self.model.positions), 3, 3)
        rise = still.expand(theta.shape[1], *still.shape)
        return Motion(still, rise, torch.ones(len(theta), dtype=torch.bool))

    @property
    def _lengths(self) -> Float[Tensor, " atom"]:
        return (self.model.lengths / self.model.masses.sqrt()).to(self.wave)

    def _summed(self, amplitude: Tensor, factor: Tensor, U: Tensor | None) -> Float[Tensor, "batch q line"]:
        """`factor` |sum_i b_i exp(-W_i) Q . e_i exp(i G . r_i) / m_i^1/2|^2, for both signs of energy."""
        batch, _, size, _ = amplitude.shape
        parts = []
        for rows in torch.split(torch.arange(len(self.place)), max(1, CHUNK // (batch * size * size))):
            wave, seen = self.wave[rows], self._lengths * self.turn[self.number[rows]]
            if U is not None:
                seen = seen * torch.exp(-torch.einsum("qa,bnac,qc->bqn", wave, U, wave) / 2)
            seen = (seen[..., None] * wave[:, None]).flatten(-2).expand(batch, -1, -1)
            found = torch.einsum("bqmc,bqc->bqm", amplitude[:, self.place[rows]], seen)
            strength = found.real**2 + found.imag**2
            parts.append(torch.cat((strength, strength.flip(-1)), -1) * factor[:, self.place[rows]])
        return torch.cat(parts, 1)

    def _looked(self, amplitude: Tensor, factor: Tensor, U: Tensor | None) -> Float[Tensor, "batch q line"]:
        batch, zone, size, _ = amplitude.shape
        still = self.wave.new_zeros(batch, size // 3, 3, 3) if U is None else U
        found = self.wave.new_empty(batch, 1, len(self.place), 2 * size)
        none = amplitude.new_zeros(0, batch, zone, size, size), self.wave.new_zeros(0, *found.shape)
        self._look(amplitude, none[0], factor, factor[None][:0], still, still[None][:0], found, none[1])
        return found[:, 0]

    def _look(self, amplitude: Tensor, mixing: Tensor, factor: Tensor, steeper: Tensor, *others: Tensor) -> None:
        """Intensities at all wavevectors, and derivatives, into the last of the `others`."""
        where = (self.place, self.number, self.wave, self.turn, self._lengths)
        parts = (amplitude.resolve_conj(), mixing, factor, steeper, *where, *others)
        arrays = [x.contiguous().numpy() for x in parts]
        work = amplitude[:, 0].numel() * (1 + len(steeper))
        share(lambda start, stop: _look(*arrays, start, stop), len(self.place), work)


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
@no_type_check
def _look(amplitude, mixing, factor, steeper, place, number, wave, turn, lengths, U, rise, value, along, start, stop):
    """Intensities at wavevectors `start` to `stop`, and derivatives: `mixing` of modes, `steeper` of factors, `rise` of
    U.
    """
    batch, size, atoms, count = amplitude.shape[0], amplitude.shape[2], len(lengths), len(rise)
    last = value.shape[1] - 1
    whole, part = np.empty(size, np.complex128), np.empty((size, atoms), np.complex128)
    for row in range(batch):
        for q in range(start, stop):
            x, y, z = wave[q]
            at = place[q]
            e, own = amplitude[row, at], factor[row, at]
            whole[:] = 0
            for i in range(atoms):
                damped = turn[number[q], i] * (lengths[i] * np.exp(-_exponent(U[row, i], x, y, z)))
                for mode in range(size):
                    part[mode, i] = (e[mode, 3 * i] * x + e[mode, 3 * i + 1] * y + e[mode, 3 * i + 2] * z) * damped
                    whole[mode] += part[mode, i]
            for mode in range(size):
                mirror, a = 2 * size - 1 - mode, whole[mode]
                strength = a.real * a.real + a.imag * a.imag
                value[row, last, q, mode], value[row, last, q, mirror] = strength * own[mode], strength * own[mirror]
            for p in range(count):
                turned, more, moved = mixing[p, row, at], steeper[p, row, at], rise[p, row]
                _slopes(whole, part, turned, own, more, moved, wave[q], along[p, row, last, q])


@njit(nogil=True, inline="always")
@no_type_check
def _slopes(whole, part, turned, factor, steeper, rise, wave, slope):
    """Derivatives of the intensities at one wavevector along one parameter."""
    size, atoms = part.shape
    for mode in range(size):
        mirror, a, change = 2 * size - 1 - mode, whole[mode], 0j
        for other in range(size):
            change += turned[mode, other] * whole[other]
        for i in range(atoms):
            change -= part[mode, i] * _exponent(rise[i], wave[0], wave[1], wave[2])
        strength = a.real * a.real + a.imag * a.imag
        way = 2 * (a.real * change.real + a.imag * change.imag)
        slope[mode] = way * factor[mode] + strength * steeper[mode]
        slope[mirror] = way * factor[mirror] + strength * steeper[mirror]


@njit(nogil=True, inline="always")
@no_type_check
def _exponent(u, x, y, z):
    """Q . U . Q / 2."""
    square = x * x * u[0, 0] + y * y * u[1, 1] + z * z * u[2, 2]
    return square / 2 + x * y * u[0, 1] + y * z * u[1, 2] + x * z * u[0, 2]


def _energy(square: Float[Tensor, "*batch mode"]) -> Float[Tensor, "*batch mode"]:
    return square.clamp(min=STILL**2).sqrt()


def _both(x: Float[Tensor, "*batch mode"], sign: int) -> Float[Tensor, "*batch line"]:
    """Of modes and of their mirror images."""
    return torch.cat((x, sign * x.flip(-1)), -1)
