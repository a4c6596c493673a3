"""Amplitudes: modes with what each group of sites adds to them, for looks at many wavevectors that share them."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Float32, Int
from torch import Tensor, nn

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.looks.complex import block_amplitudes
from sqwirrel.simulate.looks.groups import Groups
from sqwirrel.simulate.looks.real import real_amplitudes
from sqwirrel.simulate.quadratic.blocks import Blocks, blocks
from sqwirrel.simulate.quadratic.bosons import Bosons, Elements
from sqwirrel.simulate.quadratic.quadratures import Quadratures, quadratures
from sqwirrel.simulate.spinwave import SpinWaves

ABSENT = 1e-9
"""A Cartesian component of the moments that is smaller than this, relative to the largest, is zero."""
FLAT = 1e-12
"""A phase with an imaginary part below this at all wavevectors has none."""


class Seen(NamedTuple):
    """Modes that lose energy, and the amplitude of S (with g / 2, without form factors) of each group, per ion.

    A `part` is the real, or then the imaginary, amplitude of a Cartesian `component` (all others being zero) of a
    group, for each pattern of phases; in single precision, which is all that a look needs and half as much to fetch.
    `energy` is in meV; where `stable` is False the order is no minimum and the others mean nothing.
    """

    energy: Float[Tensor, "batch q mode"]
    amplitude: Float32[Tensor, "batch q pattern part mode"]
    component: Int[Tensor, " component"]
    stable: Bool[Tensor, "batch q"]


class Amplitudes(nn.Module):
    """Modes of `model` at wavevectors `q` (rlu), groups of sites told apart; `field` in T, Cartesian.

    What is seen of q has the place `rank` of q. Modes at -q are made of those at q.
    """

    q: Tensor
    rank: Tensor
    listed: Tensor
    last: tuple[Tensor, Seen] | None

    def __init__(
        self,
        model: SpinModel,
        q: Float[Tensor, "q 3"],
        groups: Groups,
        field: Float[Tensor, "3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        super().__init__()
        self.waves, self.groups = SpinWaves(model, q[:1], field=field), groups
        self.last = None
        self.field = torch.as_tensor(field, dtype=torch.float64)
        listed, self.mirrored = _mirrored(q)
        self.register_buffer("q", q.to(torch.float64))
        self.register_buffer("listed", listed)
        self.register_buffer("rank", listed.argsort())
        self.register_buffer("phase", self.waves.sources(self.q[listed[: len(q) - self.mirrored]]))
        self.elements, self.form = self._form(model)

    @torch.no_grad()
    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Seen:
        """For every row of `theta`. Not differentiable: modes of one energy are in no certain order, which is right for
        the looks at them but not for derivatives. The last ones are kept.
        """
        if self.last is None or not torch.equal(self.last[0], theta):
            self.last = theta.clone(), self._solved(theta)
        return self.last[1]

    def _solved(self, theta: Tensor) -> Seen:
        return self._real(theta, self.form) if isinstance(self.form, Quadratures) else self._complex(theta, self.form)

    def _parts(
        self, columns: Complex[Tensor, "*batch column"], component: Int[Tensor, " component"]
    ) -> Float[Tensor, "*batch pattern part"]:
        """Amplitudes of sites, component by component, as those of groups."""
        by_site = _by_site(columns)[..., component, :]
        summed = torch.einsum("...cs,psg->...pcg", by_site, self.groups.sums().to(by_site))
        return torch.cat((summed.real.flatten(-2), summed.imag.flatten(-2)), dim=-1)

    def _moments(self, directions: Tensor) -> Complex[Tensor, "order boson column"]:
        """What each operator adds to the components of S of its own site, component by component."""
        moment = self.waves._moments(directions, self.waves.turn[0])
        order = self.groups.order
        one = torch.eye(len(order))[:, order].repeat(2, 1).to(moment)
        return (moment[..., :, None] * one[:, None]).flatten(-2)

    def _form(self, model: SpinModel) -> tuple[Elements, Quadratures | Blocks]:
        """The matrix elements of all operators, and their real quadratic form, or blocks where there is none."""
        waves, n = self.waves, len(model.spins)
        elements = Elements.of(Bosons.every(n), waves.terms.i, waves.terms.j, waves.sources.bonds)
        if model.relaxed or model.spiral is not None:
            return elements, Blocks.one(elements, n, None)
        one = torch.eye(len(waves.terms.linear), dtype=torch.float64)
        value = elements.values(waves.terms.parts(one, waves.directions).raw)
        used = (value != 0).any(0)
        elements, value = elements.only(used), value[:, used]
        moments, kind = self._moments(waves.directions), torch.arange(n) * 0
        is_real = waves.sources.is_real
        form = quadratures(elements, value, is_real, moments, waves.directions[0], model.positions, kind)
        flat = self.get_buffer("phase").imag.abs().amax(0) < FLAT
        return elements, form or blocks(elements, value, is_real | flat, n)

    def _real(self, theta: Tensor, form: Quadratures) -> Seen:
        phase, n = torch.view_as_real(self.get_buffer("phase")).flatten(1), len(form.seen) // 2
        value = torch.cat((theta, theta.new_ones(len(theta), 1)), dim=1) @ form.value
        entries = (each.numpy() for each in (value, *form[3:6], phase))
        energy, z, stable = map(torch.from_numpy, real_amplitudes(n, form.apart, *entries))
        span = form.seen.to(form.span) @ form.span[0]
        component = _present(span)
        x, p = (span[:n], span[n:]) if form.apart else (span, span)
        there, back = torch.cat((x, 1j * p)), torch.cat((x.conj(), 1j * p.conj()))
        parts = [self._parts(each, component) for each in (there, back)]
        lay = [each.flatten(1).T.to(z) for each in parts]
        amplitude = z.new_empty(len(z), len(self.q), *parts[0].shape[1:], z.shape[-1])
        for each, row in zip(z, amplitude, strict=True):
            _lay(lay, (each, each[: self.mirrored]), row.flatten(1, 2))
        stable = stable & self.waves.is_stationary(theta)[:, None]
        energy, stable = (torch.cat((each, each[:, : self.mirrored]), dim=1) for each in (energy, stable))
        return Seen(energy, amplitude, component, stable)

    def _complex(self, theta: Tensor, form: Blocks) -> Seen:
        theta, directions, stationary = self.waves._order(theta)
        if form.value is None:
            value = self.elements.values(self.waves.terms.parts(theta, directions).raw)
        else:
            value = torch.complex(theta @ form.value.real, theta @ form.value.imag)
        moments, solved = self._moments(directions), len(self.q) - self.mirrored
        columns, component = form.basis.mH @ moments, _present(moments)
        columns = torch.cat((columns, 1j * columns), dim=1)
        parts = [self._parts(each, component) for each in (columns, columns.conj())]
        energy = theta.new_empty(len(theta), len(self.q), len(form.basis) // 2)
        amplitude = torch.empty(*energy.shape[:2], *parts[0].shape[2:], energy.shape[2], dtype=torch.float32)
        stable = stationary[:, None].repeat(1, len(self.q))
        for k, row in enumerate(value):
            energy[k], z, minimum = block_amplitudes(form, row, self.get_buffer("phase"), self.mirrored)
            own = [each[min(k, len(each) - 1)].flatten(1).T.to(z) for each in parts]
            _lay(own, (z[:solved], z[solved:]), amplitude[k].flatten(1, 2))
            stable[k] &= minimum
        return Seen(energy, amplitude, component, stable)


def _lay(parts: list[Tensor], z: tuple[Tensor, Tensor], out: Float32[Tensor, "q part mode"]) -> None:
    """What columns z amount to at q, and at -q."""
    for part, each, place in zip(parts, z, out.split([len(each) for each in z]), strict=True):
        torch.bmm(part.expand(len(each), -1, -1), each, out=place)


def _by_site(columns: Complex[Tensor, "*batch column"]) -> Complex[Tensor, "*batch component site"]:
    return columns.reshape(*columns.shape[:-1], 3, -1)


def _present(columns: Complex[Tensor, "*batch column"]) -> Int[Tensor, " component"]:
    """Cartesian components that are not zero at all sites."""
    size = _by_site(columns).abs().flatten(0, -3).amax((0, 2))
    return (size > ABSENT * size.max()).nonzero()[:, 0]


def _mirrored(q: Float[Tensor, "q 3"]) -> tuple[Int[Tensor, " q"], int]:
    """The places of all wavevectors, so that those at the end, how many they are, are minus those at the start."""
    rows = [tuple(row) for row in (q * 1e9).round().long().tolist()]
    at = {row: place for place, row in enumerate(rows)}
    other = [at.get((-row[0], -row[1], -row[2]), place) for place, row in enumerate(rows)]
    one = [place for place, mate in enumerate(other) if place < mate]
    alone = [place for place, mate in enumerate(other) if place == mate]
    return torch.tensor(one + alone + [other[place] for place in one]), len(one)
