"""Amplitudes: modes with what each group of sites adds to them, for looks at many wavevectors that share them."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Float32, Int
from torch import Tensor, nn

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.compiled.real import RealForm
from sqwirrel.simulate.looks.real import real_amplitudes
from sqwirrel.simulate.quadratic.bosons import Bosons, Elements
from sqwirrel.simulate.quadratic.eigen import eigenmodes
from sqwirrel.simulate.quadratic.quadratures import Quadratures, quadratures
from sqwirrel.simulate.spinwave import SpinWaves

ABSENT = 1e-9
"""A Cartesian component of the moments that is smaller than this, relative to the largest, is zero."""


class Seen(NamedTuple):
    """Modes that lose energy, and the amplitude of S (with g / 2, without form factors) at each site, per ion.

    `real` and `imaginary` hold the Cartesian components `component`, all others being zero, in single precision, which
    is all that a look needs and half as much to fetch. `energy` is in meV; where `stable` is False the order is no
    minimum and the others mean nothing.
    """

    energy: Float[Tensor, "batch q mode"]
    real: Float32[Tensor, "batch q mode component site"]
    imaginary: Float32[Tensor, "batch q mode component site"]
    component: Int[Tensor, " component"]
    stable: Bool[Tensor, "batch q"]


class Amplitudes(nn.Module):
    """Modes of `model` at wavevectors `q` (rlu), sites told apart, in an `order`; `field` in T, Cartesian."""

    q: Tensor
    order: Tensor
    last: tuple[Tensor, Seen] | None

    def __init__(
        self,
        model: SpinModel,
        q: Float[Tensor, "q 3"],
        order: Int[Tensor, " site"],
        field: Float[Tensor, "3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        super().__init__()
        self.waves = SpinWaves(model, q[:1], field=field)
        self.register_buffer("q", q.to(torch.float64))
        self.register_buffer("order", order)
        self.form, self.last = self._real_form(model), None
        self.register_buffer("phase", None if self.form is None else self.waves.sources(self.q))

    @torch.no_grad()
    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Seen:
        """For every row of `theta`; compiled where a real form is there. Not differentiable: modes of one energy are
        in no certain order, which is right for the looks at them but not for derivatives. The last ones are kept.
        """
        if self.last is None or not torch.equal(self.last[0], theta):
            self.last = theta.clone(), self._solved(theta)
        return self.last[1]

    def _solved(self, theta: Tensor) -> Seen:
        if self.form is not None and self.q.device.type == "cpu":
            return self._compiled(theta, self.form)
        expansion = self.waves.expansion(theta)
        moments = self._moments(expansion.directions)
        energy, amplitude, stable = eigenmodes(expansion.at(self.q), moments[:, None])
        n, component = energy.shape[-1] // 2, _present(moments)
        amplitude = _by_site(amplitude[..., :n, :])[..., component, :]
        real, imaginary = (part.to(torch.float32).contiguous() for part in (amplitude.real, amplitude.imag))
        return Seen(energy[..., :n], real, imaginary, component, stable & expansion.stationary[:, None])

    def _moments(self, directions: Tensor) -> Complex[Tensor, "order boson column"]:
        """What each operator adds to the components of S of its own site, component by component."""
        moment = self.waves._moments(directions, self.waves.turn[0])
        one = torch.eye(len(self.order))[:, self.order].repeat(2, 1).to(moment)
        return (moment[..., :, None] * one[:, None]).flatten(-2)

    def _real_form(self, model: SpinModel) -> Quadratures | None:
        """The real quadratic form of all operators, seen by group; None where it has none."""
        waves = self.waves
        if model.relaxed or model.spiral is not None:
            return None
        one = torch.eye(len(waves.terms.linear), dtype=torch.float64)
        elements = Elements.of(Bosons.every(len(model.spins)), waves.terms.i, waves.terms.j, waves.sources.bonds)
        value = elements.values(waves.terms.parts(one, waves.directions).raw)
        used = (value != 0).any(0)
        moments, kind = self._moments(waves.directions), torch.arange(len(model.spins)) * 0
        where = waves.directions[0], model.positions, kind
        return quadratures(elements.only(used), value[:, used], waves.sources.is_real, moments, *where)

    def _compiled(self, theta: Tensor, form: Quadratures) -> Seen:
        ones = torch.ones(len(self.q), 1, dtype=torch.float64)
        value = torch.cat((theta, theta.new_ones(len(theta), 1)), dim=1) @ form.value
        table, kind = (
            torch.view_as_real(self.get_buffer("phase")).flatten(1),
            torch.zeros(len(form.seen), dtype=torch.int64),
        )
        arrays = value, *form[3:6], table, form.seen, form.span[0], kind, ones, ones.expand(-1, 3)
        solved = real_amplitudes(RealForm(form.firsts, form.apart, *(part.numpy() for part in arrays)))
        energy, z, stable = map(torch.from_numpy, solved)
        span = form.span[0] if form.apart else form.span[0].repeat(2, 1)
        component = _present(span)
        turned = _by_site(torch.cat((span[: form.firsts], 1j * span[form.firsts :])))[:, component].flatten(1)
        real, imaginary = (
            (z.to(torch.float32) @ part.to(torch.float32)).unflatten(-1, (len(component), -1))  # type: ignore[no-untyped-call]
            for part in (turned.real, turned.imag)
        )
        return Seen(energy, real, imaginary, component, stable & self.waves.is_stationary(theta)[:, None])


def _by_site(columns: Complex[Tensor, "*batch column"]) -> Complex[Tensor, "*batch component site"]:
    return columns.reshape(*columns.shape[:-1], 3, -1)


def _present(columns: Complex[Tensor, "*batch column"]) -> Int[Tensor, " component"]:
    """Cartesian components that are not zero at all sites."""
    size = _by_site(columns).abs().flatten(0, -3).amax((0, 2))
    return (size > ABSENT * size.max()).nonzero()[:, 0]
