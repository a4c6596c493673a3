"""A spin model as tensors, and what its terms are in boson operators.

Local frame (e1, e2, n) on each site, u = e1 + i e2, S = n (s - b^dagger b) + sqrt(s/2) (u* b + u b^dagger)
(Toth & Lake, J. Phys.: Condens. Matter 27, 166002 (2015), doi:10.1088/0953-8984/27/16/166002).
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.magnetic import stevens
from sqwirrel.model.magnetic.terms import Coupling
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.classical.order import Energy, local_frames
from sqwirrel.simulate.dipoles import DipoleSums, directed
from sqwirrel.units import MU_0, MU_B

REGULARISATION = 1e-9
"""Added to the diagonal of H (meV): a Goldstone mode then passes the Cholesky step; E moves by 1e-9 H_ii / E."""


class Terms(NamedTuple):
    """The Hamiltonian as tensors: bonds in both directions; the last of the parameters is the part that none scales."""

    parameter: Int[Tensor, " bond"]
    i: Int[Tensor, " bond"]
    j: Int[Tensor, " bond"]
    displacement: Float[Tensor, "bond 3"]
    """Of the couplings, from site i to site j, fractions of the magnetic cell; bonds of the dipole sums follow them."""
    matrix: Float[Tensor, "bond 3 3"]
    squared: Float[Tensor, "bond 3 3"]
    """Of squared couplings; `matrix` is then what their square amounts to along the moments."""
    pairs: Float[Tensor, "parameter site 3 site 3"]
    linear: Float[Tensor, "parameter site 3"]
    onsite: Float[Tensor, "parameter site 3 3 15"]
    """The classical energy of each parameter (`Energy`)."""
    spins: Float[Tensor, " site"]

    def parts(self, theta: Float[Tensor, "batch parameter"], directions: Float[Tensor, "order site 3"]) -> "Parts":
        """Coefficients in the local frames of `directions` (one order, or one for each row of `theta`)."""
        u, n = local_frames(directions)
        scale, start, end = theta[:, self.parameter], u[:, self.i], u[:, self.j]
        left = (start[..., None] * self.matrix).sum(-2)
        size = 0.5 * (self.spins[self.i] * self.spins[self.j]).sqrt()
        hop, pair = size * (left * end.conj()).sum(-1), size * (left * end).sum(-1)
        onsite_hop, onsite_pair = self._onsite(theta, u, n)
        if bool(self.squared.any()):
            near, far = self._leaning(u, n)
            hop, pair = hop + 2 * near.conj() * far, pair + 2 * (near * far).conj()
            onsite_hop = onsite_hop.index_add(1, self.i, 2 * scale * (near * near.conj()))
            onsite_pair = onsite_pair.index_add(1, self.i, 2 * scale * near.conj() ** 2)
        return Parts(scale * hop, scale * pair, onsite_hop, onsite_pair)

    def energy(self, theta: Float[Tensor, "batch parameter"]) -> Energy:
        """The classical energy."""
        return Energy(*(torch.einsum("bp,p...->b...", theta, part) for part in (self.pairs, self.linear, self.onsite)))

    def _onsite(self, theta: Tensor, u: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
        """b^dagger b and b^dagger b^dagger by the second derivative on the site and the field along n."""
        force, alone = self.energy(theta).derivatives(n)
        bent = torch.einsum("biac,bic->bia", alone + 0j, u.expand(len(theta), -1, -1)) / (2 * self.spins[:, None])
        hop = (bent * u.conj()).sum(-1) - (force * n).sum(-1) / self.spins
        return hop + theta[:, -1:] * REGULARISATION, (bent * u).sum(-1)

    def _leaning(self, u: Tensor, n: Tensor) -> tuple[Complex[Tensor, "order bond"], Complex[Tensor, "order bond"]]:
        """How S_i . squared . S_j changes with b of either end, to first order; 0 where the moments are parallel."""
        u = u.conj() * (self.spins / 2).sqrt()[:, None]
        n, matrix = n * self.spins[:, None] + 0j, self.squared + 0j
        near = torch.einsum("xba,bac,xbc->xb", u[:, self.i], matrix, n[:, self.j])
        return near, torch.einsum("xba,bac,xbc->xb", n[:, self.i], matrix, u[:, self.j])


class Parts(NamedTuple):
    """Coefficients of b^dagger b and b^dagger b^dagger: of the bonds, then of the sites."""

    hop: Complex[Tensor, "batch bond"]
    pair: Complex[Tensor, "batch bond"]
    onsite_hop: Complex[Tensor, "batch site"]
    onsite_pair: Complex[Tensor, "batch site"]

    @property
    def raw(self) -> Complex[Tensor, "batch raw"]:
        """b^dagger b, b^dagger b^dagger, b b and b b^dagger of every bond, then of every site."""
        both = (self.hop, self.onsite_hop), (self.pair, self.onsite_pair)
        every = (*both[0], *both[1], *(part.conj() for part in both[1]), *(part.conj() for part in both[0]))
        return torch.cat(every, dim=1)


class _Bonds(NamedTuple):
    """Bonds in both directions, and what multiplies them at q = 0."""

    parameter: Int[Tensor, " bond"]
    i: Int[Tensor, " bond"]
    j: Int[Tensor, " bond"]
    matrix: Float[Tensor, "bond 3 3"]
    squared: Float[Tensor, "bond 3 3"]
    weight: Float[Tensor, " bond"]


def terms(model: SpinModel, field: Float[Tensor, "3"]) -> Terms:
    """Bonds, anisotropy, classical energy and Zeeman term of a model; a spin along `field` is low in energy."""
    P, N, order = len(model.names) + 1, len(model.spins), {name: k for k, name in enumerate(model.names)}
    exchange, displacement = _exchange(model, order)
    dipoles = () if model.dipole is None else (_dipoles(model, order.get(model.dipole.name, P - 1)),)
    bonds = _Bonds(*map(torch.cat, zip(exchange, *dipoles, strict=True)))
    scale = model.spins[bonds.i] * model.spins[bonds.j] * bonds.weight
    pairs = torch.zeros(P, N, N, 3, 3, dtype=torch.float64)
    pairs.index_put_((bonds.parameter, bonds.i, bonds.j), scale[:, None, None] * bonds.matrix, accumulate=True)
    pairs = pairs.transpose(2, 3).contiguous()
    linear, onsite = torch.zeros(P, N, 3, dtype=torch.float64), stevens.second_derivative(_onsite(model, order))
    linear[-1] = _zeeman(model, field)
    return Terms(*bonds[:3], displacement, *bonds[3:5], pairs, linear, onsite, model.spins)


def _exchange(model: SpinModel, order: Mapping[str, int]) -> tuple[_Bonds, Float[Tensor, "bond 3"]]:
    """The couplings, and the displacements of their bonds."""
    count = torch.tensor([len(c.i) for c in model.couplings], dtype=torch.int64)
    parameter = torch.tensor([order[c.name] for c in model.couplings], dtype=torch.int64).repeat_interleave(count)
    i, j, offset, matrix = (_joined(model, name) for name in ("i", "j", "offset", "matrix"))
    displacement = offset + model.positions[j] - model.positions[i]
    if model.spiral is not None:
        matrix = matrix @ model.spiral.rotation(displacement @ model.supercell)
    is_squared = torch.tensor([c.squared for c in model.couplings], dtype=torch.bool).repeat_interleave(count)
    n, squared = turned(model), torch.where(is_squared[:, None, None], matrix, 0.0)
    twice = 2 * model.spins[i] * model.spins[j] * torch.einsum("ba,bac,bc->b", n[i], matrix, n[j])
    matrix = torch.where(is_squared, twice, 1.0)[:, None, None] * matrix
    matrix, squared = torch.cat((matrix, matrix.mT)), torch.cat((squared, squared.mT))
    bonds = _Bonds(
        parameter.repeat(2), torch.cat((i, j)), torch.cat((j, i)), matrix, squared, torch.ones(2 * len(i)).to(matrix)
    )
    return bonds, torch.cat((displacement, -displacement))


def _dipoles(model: SpinModel, parameter: int) -> _Bonds:
    """The dipole-dipole interaction of moments g mu_B S as bonds, each a matrix times one of the lattice sums."""
    i, j, unit, place = directed(len(model.spins))
    cell = model.supercell @ model.lattice.vectors
    sums = DipoleSums(cell, model.positions)(torch.zeros(1, 3, dtype=torch.float64))[0].real
    matrix = MU_0 * MU_B**2 * model.g[i].mT @ unit @ model.g[j]
    weight = sums[torch.where(place < 0, ~place, place)]
    return _Bonds(torch.full_like(i, parameter), i, j, matrix, torch.zeros_like(matrix), weight)


def _onsite(model: SpinModel, order: Mapping[str, int]) -> Float[Tensor, "parameter site 28"]:
    """Functions of each moment (`stevens`)."""
    onsite = torch.zeros(len(order) + 1, len(model.spins), 28, dtype=torch.float64)
    for anisotropy in model.anisotropies:
        squares = (model.spins[anisotropy.site] ** 2)[:, None, None] * anisotropy.matrix
        onsite[order[anisotropy.name]].index_add_(0, anisotropy.site, stevens.quadratic(squares))
    for multipole in model.multipoles:
        onsite[order[multipole.name]].index_add_(0, multipole.site, multipole.function)
    return onsite


def _zeeman(model: SpinModel, field: Float[Tensor, "3"]) -> Float[Tensor, "site 3"]:
    """What a field does to unit moments."""
    linear = -MU_B * model.spins[:, None] * torch.einsum("a,iac->ic", field, model.g)
    spiral = model.spiral
    if spiral is not None and bool((linear @ spiral.cross).abs().max() > 1e-9 * (1 + linear.abs().max())):
        raise InputError(
            f"the field {field.tolist()} T does not act along the axis of the spiral, {spiral.axis.tolist()}, so that "
            "no rotating frame exists; give a supercell that holds the order"
        )
    return linear


def one_set(model: SpinModel, theta: Float[Tensor, "set parameter"]) -> Float[Tensor, "1 scale"]:
    """One set of parameters, checked, with the scale 1 of what none of them scales."""
    if theta.shape != (1, len(model.names)):
        raise InputError(
            f"parameters of model '{model.name}' have shape {tuple(theta.shape)}, but it takes one set of parameters "
            f"at a time, shape (1, {len(model.names)}), as pack() makes; give one row"
        )
    return torch.cat((theta, theta.new_ones(1, 1)), dim=1)


def single_ion(model: SpinModel, theta: Float[Tensor, "set parameter"]) -> Float[Tensor, "site 3 3"]:
    """The anisotropy matrices times their parameters, meV."""
    A, order, given = torch.zeros(len(model.spins), 3, 3, dtype=torch.float64), model.names, one_set(model, theta)[0]
    for term in model.anisotropies:
        A.index_add_(0, term.site, given[order.index(term.name)] * term.matrix)
    return A


def sides(model: SpinModel) -> tuple[Float[Tensor, "side 3"], Complex[Tensor, "side 3 3"]]:
    """Where a turning frame is solved to be seen at q (q, q - k and q + k), and what of it is seen from outside."""
    if model.spiral is None:
        return torch.zeros(1, 3, dtype=torch.float64), torch.eye(3, dtype=torch.complex128)[None]
    order = (0, 1, -1)
    shift = torch.stack([-n * model.spiral.propagation for n in order])
    return shift, torch.stack([model.spiral.harmonic(n).conj() for n in order])


def turned(model: SpinModel) -> Float[Tensor, "site 3"]:
    """Directions in the frame that turns with the spiral, if there is one."""
    if model.spiral is None:
        return model.directions
    back = model.spiral.rotation(-model.positions @ model.supercell)
    return torch.einsum("sab,sb->sa", back, model.directions)


def _joined(model: SpinModel, name: str) -> Tensor:
    none = Coupling("", [], [], [], torch.eye(3))
    return torch.cat([getattr(coupling, name) for coupling in (*model.couplings, none)])
