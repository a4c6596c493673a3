"""Linear spin-wave theory for any number of sublattices, batched over Hamiltonians and wavevectors.

Conventions: each bond once, J > 0 antiferromagnetic, S_i . A . S_i without a half; local frame (e1, e2, n) on
each site, u = e1 + i e2, S = n (s - b^dagger b) + sqrt(s/2) (u* b + u b^dagger); phases with the full atomic positions
(Toth & Lake, J. Phys.: Condens. Matter 27, 166002 (2015), doi:10.1088/0953-8984/27/16/166002). H is linear in the
parameters.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Inexact, Int
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.model.ions import form_factor
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.classical.order import is_stationary, local_frames, relax
from sqwirrel.simulate.compiled.choice import LARGE, compiled
from sqwirrel.simulate.crosssection import bose, observable
from sqwirrel.simulate.modes import Correlations, Modes
from sqwirrel.simulate.quadratic.bosons import Bosons, Elements
from sqwirrel.simulate.quadratic.choice import choose
from sqwirrel.simulate.quadratic.eigen import eigenmodes, mirrored
from sqwirrel.simulate.quadratic.expansion import Expansion
from sqwirrel.simulate.quadratic.once import first_order
from sqwirrel.simulate.quadratic.oscillators import oscillators
from sqwirrel.simulate.quadratic.quadratures import Quadratures
from sqwirrel.simulate.sources import Sources
from sqwirrel.simulate.terms import Terms, sides, terms, turned
from sqwirrel.units import K_B

CHUNK_BYTES = 8 * 2**20
"""Size of the Hamiltonians, or of their elements, worked on at once; some temporary arrays are as large."""
BASIS_BYTES = 256 * 2**20
"""The basis of H is kept if it is no larger than this, else H is made again for each chunk."""


class _Seen(NamedTuple):
    """What a neutron sees at some wavevectors, beside the moments."""

    phase: Complex[Tensor, "q source"]
    form: Float[Tensor, "q kind"]
    unit: Float[Tensor, "q 3"]
    weight: Float[Tensor, " q"]


class SpinWaves(nn.Module):
    """Energies and S_perp of `model` at wavevectors `q` (reciprocal lattice units of the chemical cell).

    Intensities are per magnetic ion, spin units (g = 2), with the squared form factor, (g/2)^2 and the thermal weight
    at `temperature` (K); `field` is in T, Cartesian. Work is split so that temporary arrays stay within some
    `CHUNK_BYTES`; what does not depend on the parameters is kept for later calls, up to `BASIS_BYTES`, if `keep`.

    With `fwhm` (meV), large cells are solved only as finely as a resolution of at least this width sees them, where
    gradients are disabled: the lines are then no modes, but have their broadened spectrum (`compiled.broadened`).
    """

    i: Tensor
    j: Tensor
    linear: Tensor
    q: Tensor
    wave: Tensor
    spins: Tensor
    g: Tensor
    directions: Tensor
    kind: Tensor
    turn: Tensor
    solved: Tensor
    coefficient: Tensor | None
    factor: Tensor | None
    common: Tensor | None
    basis: Tensor | None

    def __init__(
        self,
        model: SpinModel,
        q: Float[Tensor, "q 3"],
        *,
        temperature: float = 0.0,
        field: Float[Tensor, "3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
        keep: bool = True,
        fwhm: float | None = None,
    ) -> None:
        super().__init__()
        self.model, self.names, self.temperature = model, model.names, temperature
        for name, tensor in terms(model, torch.as_tensor(field, dtype=torch.float64))._asdict().items():
            self.register_buffer(name, tensor)
        q = torch.as_tensor(q)
        if q.ndim != 2 or q.shape[1] != 3:
            raise InputError(f"wavevectors have the shape {tuple(q.shape)}; expected (n, 3), each h, k, l")
        shift, turn = sides(model)
        self.register_buffer("q", q.to(torch.float64))
        self.register_buffer("solved", (self.q + shift[:, None]).flatten(0, 1))
        self.register_buffer("wave", model.lattice.to_cartesian(self.q).repeat(len(shift), 1))
        self.register_buffer("turn", turn)
        self.register_buffer("g", model.g.repeat(2, 1, 1) / 2 + 0j)
        self.register_buffer("directions", turned(model)[None])
        self.sources = Sources(model, self.terms.displacement)
        self._choose()
        if fwhm is not None and not fwhm > 0:
            raise InputError(f"fwhm = {fwhm} meV; a resolution is wider than 0: leave it out for the modes themselves")
        self.fwhm = fwhm if self.bosons.size >= LARGE and self.quadratures is None else None
        self.keep = keep and len(self.solved) * len(self.linear) * self._bytes_per_q() <= BASIS_BYTES
        for name, kept in self._look(slice(None))._asdict().items() if self.keep else ():
            self.register_buffer(name, kept)
        self.register_buffer("basis", self._basis() if self.keep and torch.is_grad_enabled() else None)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes for every row of `theta` (in the order of `names`, meV).

        Differentiable once where gradients are enabled; under `torch.no_grad` a compiled kernel gives the same faster,
        on the CPU. Those of a spiral are at q and q +- k; `stable` says that all three are.
        """
        theta, directions, stationary = self._order(theta)
        value, n, solved = self._values(theta, directions), len(self.q), []
        size = 16 * self.sources.count if self._is_compiled() else len(theta) * self._bytes_per_q()
        step = max(1, CHUNK_BYTES // size)
        for k in range(len(self.turn)):
            moment, stop = self._moment(directions, k), (k + 1) * n
            parts = [slice(start, min(start + step, stop)) for start in range(k * n, max(k * n + 1, stop), step)]
            chunks = [self._chunk(theta, value, moment, part) for part in parts]
            columns = [list(column) for column in zip(*chunks, strict=True)]
            del chunks  # so that each column is freed as soon as it is joined
            solved.append(Modes(*(_joined(columns.pop(0)) for _ in range(3))))
        modes = Modes.joined(solved)
        stable = modes.stable & stationary[:, None]
        return Modes(first_order(modes.energy), first_order(modes.intensity), stable)

    def correlations(self, theta: Float[Tensor, "batch parameter"], *, magnetic: bool = False) -> Correlations:
        """S^ab of spins only, or `magnetic` with g / 2 and the form factors; per magnetic ion, zero temperature.

        That of a spiral at q and q +- k. First derivatives only, as `forward`.
        """
        expansion, parts, n = self.expansion(theta), [], len(self.spins)
        form = self._look(slice(len(self.q))).form[:, self._kinds().repeat(2)]
        size = (self.spins / (2 * n)).sqrt().repeat(2)[:, None]
        for turn, q in zip(self.turn, self.solved.reshape(len(self.turn), -1, 3), strict=True):
            spins, H = size * _seen(expansion.directions, turn), expansion.at(q)
            moment = (
                self._moments(expansion.directions, turn)[:, None] * form[..., None] if magnetic else spins[:, None]
            )
            energy, amplitude, stable = eigenmodes(H, moment)
            S = amplitude[..., :n, :, None] * amplitude[..., :n, None, :].conj()
            parts.append(Correlations(first_order(energy[..., :n]), first_order(S), stable))
        joined = Correlations.joined(parts)
        return joined._replace(stable=joined.stable & expansion.stationary[:, None])

    def expansion(self, theta: Float[Tensor, "batch parameter"], elements: Elements | None = None) -> Expansion:
        """The boson Hamiltonian of every row of `theta`, at any wavevector; `elements` are those of an earlier one."""
        theta, directions, stationary = self._order(theta)
        n, i, j = len(self.spins), self.i.cpu(), self.j.cpu()
        if elements is None:
            elements = Elements.of(Bosons.every(n), i, j, self.sources.bonds).to(theta.device)
        value = elements.values(self.terms.parts(theta, directions).raw)
        return Expansion(directions, stationary, elements, value, self.sources)

    @property
    def modes(self) -> int:
        """Number of modes at each wavevector, or of the lines that stand for them."""
        lines = 1 if self.fwhm is None or self.factor is not None else 2
        return lines * 2 * len(self.spins) * len(self.turn)

    def is_stationary(self, theta: Float[Tensor, "batch parameter"]) -> Bool[Tensor, " batch"]:
        """Whether the order is stationary: every moment along its exchange field."""
        return self._order(theta)[2]

    @property
    def terms(self) -> Terms:
        """The Hamiltonian, where this module is."""
        return Terms(*(self.get_buffer(name) for name in Terms._fields))

    def _order(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Parameters with the constant 1 appended, directions (1 or batch), and whether these are stationary."""
        if theta.ndim != 2 or theta.shape[1] != len(self.names):
            raise InputError(
                f"parameters have the shape {tuple(theta.shape)}; expected (batch, {len(self.names)}), "
                f"{', '.join(self.names)}: model.pack() makes one row"
            )
        theta = torch.cat((theta, theta.new_ones(len(theta), 1)), dim=1)
        energy = self.terms.energy(theta)
        directions = relax(energy, self.directions[0]) if self.model.relaxed else self.directions
        return theta, directions, is_stationary(energy.detach(), directions.detach())

    def _choose(self) -> None:
        kind = self._kinds()
        moments = torch.cat([self._moments(self.directions, turn) for turn in self.turn])
        sources = self.sources.bonds, self.sources.is_real
        chosen = choose(self.model, self.terms, *sources, self.directions[0], moments, kind)
        self.bosons, self.elements, self.quadratures = chosen.bosons, chosen.elements, chosen.form
        self.register_buffer("kind", kind.repeat(2)[self.bosons.operators])
        for name in ("coefficient", "factor", "common"):
            self.register_buffer(name, getattr(chosen, name))

    def _kinds(self) -> Int[Tensor, " site"]:
        """The ion of every site, by number."""
        every = list(zip(self.model.ions, self.model.lande.tolist(), strict=True))
        kinds = list(dict.fromkeys(every))
        return torch.tensor([kinds.index(each) for each in every])

    def _values(self, theta: Tensor, directions: Tensor) -> Inexact[Tensor, "batch element"]:
        """Matrix elements of every row of `theta`, without their phases."""
        form = self._form()
        if form is not None:
            return theta @ form.value
        if self.coefficient is None:
            return self.elements.to(theta.device).values(self.terms.parts(theta, directions).raw)
        return torch.complex(theta @ self.coefficient.real, theta @ self.coefficient.imag)

    def _chunk(self, theta: Tensor, value: Tensor, moment: Tensor, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Energies, S_perp and stability at a slice of the wavevectors."""
        seen = _Seen(*(self.get_buffer(name)[part] for name in _Seen._fields)) if self.keep else self._look(part)
        energy, intensity, stable = self._solved(theta, value, moment, seen, part)
        return energy, intensity * bose(energy, self.temperature), stable

    def _is_compiled(self) -> bool:
        return not torch.is_grad_enabled() and self.q.device.type == "cpu"

    def _form(self) -> Quadratures | None:
        """The real quadratic form, where it is used."""
        if self.quadratures is None or not (self._is_compiled() or self.quadratures.plain):
            return None
        return self.quadratures.to(self.q.device)

    def _solved(
        self, theta: Tensor, value: Tensor, moment: Tensor, seen: _Seen, part: slice
    ) -> tuple[Tensor, Tensor, Tensor]:
        if self._is_compiled():
            operators = self.bosons, self.elements, self._form(), self.kind
            return compiled(*operators, value, moment, seen, self.fwhm, K_B * self.temperature)
        H, weights, form = self._hamiltonian(theta, value, seen.phase, part), seen.form[:, self.kind], self._form()
        if form is not None:
            K, M = H.unbind(2)
            energy, x, p, stable = oscillators(K, M, *form.columns(moment, weights, seen.unit))
            return *mirrored(energy, (x**2).sum(-1) + (p**2).sum(-1)), stable
        energy, amplitude, stable = eigenmodes(H, observable(moment, weights, seen.unit), self.bosons.positive)
        intensity = (amplitude.real**2 + amplitude.imag**2).sum(-1) * seen.weight[:, None]
        return *(mirrored(energy, intensity) if self.bosons.mirrored else (energy, intensity)), stable

    def _hamiltonian(self, theta: Tensor, value: Tensor, phase: Tensor, part: slice) -> Inexact[Tensor, "batch q ..."]:
        """H, or K and M, as matrices, from the kept basis if there is one."""
        if self.basis is None:
            return self._matrices(value, phase, self.elements.to(phase.device))
        basis = self.basis[:, part]
        flat = torch.view_as_real(basis) if basis.is_complex() else basis
        H = (theta @ flat.flatten(1)).reshape(len(theta), *flat.shape[1:])
        return torch.view_as_complex(H) if basis.is_complex() else H

    def _matrices(self, value: Tensor, phase: Tensor, elements: Elements) -> Inexact[Tensor, "batch q ..."]:
        form = self._form()
        return elements.matrix(value, phase, self.bosons.size) if form is None else form.matrices(value, phase)

    def _basis(self) -> Inexact[Tensor, "parameter q ..."] | None:
        """The matrices of each parameter alone, for an order that does not follow the parameters."""
        if self.coefficient is None:
            return None
        value = self._values(torch.eye(len(self.coefficient)).to(self.linear), self.directions)
        phase = self.get_buffer("phase")
        return torch.cat([self._matrices(row[None], phase, self.elements) for row in value])

    def _look(self, part: slice) -> _Seen:
        """Phases, form factors, and directions of some wavevectors."""
        wave = self.wave[part]
        size = wave.norm(dim=-1)
        unit = torch.where(size[:, None] > 0, wave / size.clamp(min=1e-300)[:, None], 0.0)
        kinds = dict.fromkeys(zip(self.model.ions, self.model.lande.tolist(), strict=True))
        form = [form_factor(ion, size, lande) if ion else torch.ones_like(size) for ion, lande in kinds]
        weight = torch.ones_like(size)
        if self.common is not None:
            real, imaginary = self.common.real, self.common.imag
            weight = (self.common.abs() ** 2).sum() - (unit @ real) ** 2 - (unit @ imaginary) ** 2
        return _Seen(self.sources(self.solved[part]), torch.stack(form, dim=1), unit, weight)

    def _moment(self, directions: Tensor, side: int) -> Complex[Tensor, "..."]:
        """What the neutron sees of the operators before the form factor: vectors, or factors of a common one."""
        form = self._form()
        if form is not None:
            return form.span[side]
        return self._moments(directions, self.turn[side]) if self.factor is None else self.factor[None, :, None] + 0j

    def _moments(self, directions: Tensor, turn: Tensor) -> Complex[Tensor, "order boson 3"]:
        """The spin operator per ion is the sum of these vectors times (b, b^dagger), with g / 2."""
        moment = torch.einsum("sab,xsb->xsa", self.g, _seen(directions, turn))
        return (self.spins / (2 * len(self.spins))).sqrt().repeat(2)[:, None] * moment

    def _bytes_per_q(self) -> int:
        return 16 * max(self.bosons.size**2, len(self.elements.row))


def _joined(parts: list[Tensor]) -> Tensor:
    """All wavevectors; a copy only where there are several parts."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _seen(directions: Tensor, turn: Complex[Tensor, "3 3"]) -> Complex[Tensor, "order boson 3"]:
    """u and its conjugate, as seen from outside of a turning frame."""
    u, _ = local_frames(directions)
    return torch.einsum("ab,xsb->xsa", turn, torch.cat((u, u.conj()), dim=-2))
