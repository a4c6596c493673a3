"""Amplitudes: modes with what each group of sites adds to them, for looks at many wavevectors that share them."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor, nn

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.looks.real import real_amplitudes
from sqwirrel.simulate.compiled.real import RealForm
from sqwirrel.simulate.quadratic.bosons import Bosons, Elements
from sqwirrel.simulate.quadratic.eigen import eigenmodes
from sqwirrel.simulate.quadratic.quadratures import Quadratures, quadratures
from sqwirrel.simulate.spinwave import SpinWaves


class Seen(NamedTuple):
    """Modes that lose energy: `amplitude` of S^a (with g / 2, without form factors) from each group, per ion.

    `energy` in meV; where `stable` is False the order is no minimum and the others mean nothing.
    """

    energy: Float[Tensor, "batch q mode"]
    amplitude: Complex[Tensor, "batch q mode group 3"]
    stable: Bool[Tensor, "batch q"]


class Amplitudes(nn.Module):
    """Modes of `model` at wavevectors `q` (rlu), sites told apart by `group`; `field` in T, Cartesian."""

    q: Tensor
    group: Tensor
    last: tuple[Tensor, Seen] | None

    def __init__(
        self,
        model: SpinModel,
        q: Float[Tensor, "q 3"],
        group: Int[Tensor, " site"],
        field: Float[Tensor, "3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        super().__init__()
        self.waves = SpinWaves(model, q[:1], field=field)
        self.register_buffer("q", q.to(torch.float64))
        self.register_buffer("group", group)
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
        energy, amplitude, stable = eigenmodes(expansion.at(self.q), self._moments(expansion.directions)[:, None])
        n = energy.shape[-1] // 2
        seen = _by_group(amplitude[..., :n, :])
        return Seen(energy[..., :n], seen, stable & expansion.stationary[:, None])

    def _moments(self, directions: Tensor) -> Complex[Tensor, "order boson column"]:
        """What each operator adds to S of its own group."""
        moment = self.waves._moments(directions, self.waves.turn[0])
        one = torch.nn.functional.one_hot(self.group.repeat(2)).to(moment)
        return (one[..., None] * moment[..., None, :]).flatten(-2)

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
        turned = torch.cat((span[: form.firsts], 1j * span[form.firsts :]))
        amplitude = _by_group(torch.complex(z @ turned.real, z @ turned.imag))
        return Seen(energy, amplitude, stable & self.waves.is_stationary(theta)[:, None])


def _by_group(amplitude: Complex[Tensor, "*batch column"]) -> Complex[Tensor, "*batch group 3"]:
    return amplitude.reshape(*amplitude.shape[:-1], -1, 3)
