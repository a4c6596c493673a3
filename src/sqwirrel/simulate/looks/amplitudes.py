"""Amplitudes: modes with what each group of sites adds to them, for looks at many wavevectors that share them."""

from collections.abc import Iterator
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

KEPT_BYTES = 1_000_000_000
"""Memory for amplitudes that were asked for before."""
ABSENT = 1e-9
"""A Cartesian component of the moments that is smaller than this, relative to the largest, is zero."""
FLAT = 1e-12
"""A phase with an imaginary part below this at all wavevectors has none."""
Columns = tuple[Complex[Tensor, "order part column"], Complex[Tensor, "order part column"]]
"""At q and at -q."""
Solved = tuple[Float[Tensor, "q mode"], tuple[Float32[Tensor, "..."], Float32[Tensor, "..."]], Bool[Tensor, " q"]]
"""Energies, z at q and at -q, and stability."""


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

    def __init__(
        self,
        model: SpinModel,
        q: Float[Tensor, "q 3"],
        groups: Groups,
        field: Float[Tensor, "3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        super().__init__()
        self.waves, self.groups = SpinWaves(model, q[:1], field=field), groups
        self.kept: dict[bytes, Seen] = {}
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
        the looks at them but not for derivatives. Those asked for last are kept, up to `KEPT_BYTES`, for the other
        experiments on the same crystal: their derivatives ask for the same.
        """
        key = theta.cpu().numpy().tobytes()
        found = self.kept.pop(key, None) or self._solved(theta)
        self.kept[key] = found
        while len(self.kept) > 1 and sum(_bytes(each) for each in self.kept.values()) > KEPT_BYTES:
            del self.kept[next(iter(self.kept))]
        return found

    def _solved(self, theta: Tensor) -> Seen:
        theta, directions, stationary = self.waves._order(theta)
        moments, form = self._moments(directions), self.form
        if isinstance(form, Quadratures):
            columns, solved = _quadratures(form), self._real(theta, form)
        else:
            columns, solved = _operators(form, moments), self._complex(theta, directions, form)
        component = _present(moments)
        parts = [self._parts(each, component) for each in columns]
        energy = theta.new_empty(len(theta), len(self.q), moments.shape[1] // 2)
        amplitude = torch.empty(*energy.shape[:2], *parts[0].shape[2:], energy.shape[2], dtype=torch.float32)
        stable = stationary[:, None].repeat(1, len(self.q))
        for k, (values, z, minimum) in enumerate(solved):
            energy[k], stable[k] = values, stable[k] & minimum
            row = amplitude[k].flatten(1, 2)
            for part, each, place in zip(parts, z, (row[: len(z[0])], row[len(z[0]) :]), strict=True):
                lay = part[min(k, len(part) - 1)].flatten(1).T.to(each)
                torch.bmm(lay.expand(len(each), -1, -1), each, out=place)
        return Seen(energy, amplitude, component, stable)

    def _real(self, theta: Tensor, form: Quadratures) -> Iterator[Solved]:
        phase, n = torch.view_as_real(self.get_buffer("phase")).flatten(1), len(form.seen) // 2
        entries = (each.numpy() for each in (theta @ form.value, *form[3:6], phase))
        every = map(torch.from_numpy, real_amplitudes(n, form.apart, *entries))
        for energy, z, stable in zip(*every, strict=True):
            back = slice(self.mirrored)
            yield torch.cat((energy, energy[back])), (z, z[back]), torch.cat((stable, stable[back]))

    def _complex(self, theta: Tensor, directions: Tensor, form: Blocks) -> Iterator[Solved]:
        if form.value is None:
            value = self.elements.values(self.waves.terms.parts(theta, directions).raw)
        else:
            value = torch.complex(theta @ form.value.real, theta @ form.value.imag)
        for row in value:
            energy, z, stable = block_amplitudes(form, row, self.get_buffer("phase"), self.mirrored)
            yield energy, (z[: len(z) - self.mirrored], z[len(z) - self.mirrored :]), stable

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


def _bytes(seen: Seen) -> int:
    return sum(each.numel() * each.element_size() for each in seen)


def _quadratures(form: Quadratures) -> Columns:
    """What each column of z of a real form adds to the components of S."""
    n, span = len(form.seen) // 2, form.seen.to(form.span) @ form.span[0]
    x, p = (span[:n], span[n:]) if form.apart else (span, span)
    return torch.cat((x, 1j * p))[None], torch.cat((x.conj(), 1j * p.conj()))[None]


def _operators(form: Blocks, moments: Complex[Tensor, "order boson column"]) -> Columns:
    """What each row of z of blocks adds."""
    columns = form.basis.mH @ moments
    columns = torch.cat((columns, 1j * columns), dim=1)
    return columns, columns.conj()


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
