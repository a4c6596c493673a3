"""Linear spin-wave theory for any number of sublattices, batched over Hamiltonians and wavevectors.

Conventions: each bond once, J > 0 antiferromagnetic, S_i . A . S_i without a half; local frame (e1, e2, n) on
each site, u = e1 + i e2, S = n (s - b^dagger b) + sqrt(s/2) (u* b + u b^dagger); phases with the full atomic positions
(Toth & Lake, J. Phys.: Condens. Matter 27, 166002 (2015), doi:10.1088/0953-8984/27/16/166002). H is linear in the
parameters.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor, nn

from sqwirrel.model.ions import form_factor
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.crosssection import bose, transverse
from sqwirrel.simulate.eigen import eigenmodes
from sqwirrel.simulate.kernels import bosonic_modes
from sqwirrel.simulate.modes import Modes
from sqwirrel.simulate.order import is_stationary, local_frames, relax
from sqwirrel.units import MU_B

REGULARISATION = 1e-9
"""Added to the diagonal of H (meV): a Goldstone mode then passes the Cholesky step; E moves by 1e-9 H_ii / E."""
CHUNK_BYTES = 8 * 2**20
"""Size of the Hamiltonians worked on at once; about ten temporary arrays are as large. Fits the cache, for speed."""
BASIS_BYTES = 256 * 2**20
"""The basis of H is kept if it is no larger than this, else made again for each chunk."""


class _Terms(NamedTuple):
    """The Hamiltonian as tensors: bonds in both directions; the last of the parameters is the part that none scales."""

    parameter: Int[Tensor, " bond"]
    i: Int[Tensor, " bond"]
    j: Int[Tensor, " bond"]
    displacement: Float[Tensor, "bond 3"]
    """From site i to site j, fractions of the magnetic cell."""
    matrix: Float[Tensor, "bond 3 3"]
    anisotropy: Float[Tensor, "parameter site 3 3"]
    quadratic: Float[Tensor, "parameter site 3 site 3"]
    """Classical energy n . quadratic . n / 2 + linear . n of unit moments n."""
    linear: Float[Tensor, "parameter site 3"]


class SpinWaves(nn.Module):
    """Energies and S_perp of `model` at wavevectors `q` (reciprocal lattice units of the chemical cell).

    Intensities are per magnetic ion, spin units (g = 2), with the squared form factor, (g/2)^2 and the thermal weight
    at `temperature` (K); `field` is in T, Cartesian. Work is split so that temporary arrays stay within some
    `CHUNK_BYTES`; what does not depend on the parameters is kept for later calls, up to `BASIS_BYTES`, if `keep`.
    """

    parameter: Tensor
    i: Tensor
    j: Tensor
    displacement: Tensor
    matrix: Tensor
    anisotropy: Tensor
    quadratic: Tensor
    linear: Tensor
    q: Tensor
    spins: Tensor
    directions: Tensor
    filter: Tensor
    basis: Tensor | None
    seen: Tensor | None

    def __init__(
        self,
        model: SpinModel,
        q: Float[Tensor, "q 3"],
        *,
        temperature: float = 0.0,
        field: Float[Tensor, "3"] | tuple[float, float, float] = (0.0, 0.0, 0.0),
        keep: bool = True,
    ) -> None:
        super().__init__()
        self.model, self.names, self.temperature = model, model.names, temperature
        for name, tensor in _terms(model, torch.as_tensor(field, dtype=torch.float64))._asdict().items():
            self.register_buffer(name, tensor)
        self.register_buffer("q", q.to(torch.float64))
        self.register_buffer("spins", model.spins)
        self.register_buffer("directions", model.directions[None])
        self.register_buffer("filter", _filter(model, self.q))
        keep = keep and not model.relaxed and len(q) * len(self.linear) * self._bytes_per_q() <= BASIS_BYTES
        self.register_buffer("basis", self._basis(slice(None)) if keep else None)
        self.register_buffer("seen", self._seen(self.directions, slice(None)) if keep else None)

    def forward(self, theta: Float[Tensor, "batch parameter"]) -> Modes:
        """Modes for every row of `theta` (in the order of `names`, meV).

        Differentiable where gradients are enabled; under `torch.no_grad` a compiled kernel gives the same faster
        (on the CPU, for an order that does not follow theta).
        """
        theta, directions, stationary = self._order(theta)
        step = max(1, CHUNK_BYTES // (len(theta) * self._bytes_per_q()))
        parts = [slice(start, start + step) for start in range(0, len(self.q), step)]
        chunks = [self._chunk(theta, directions, part) for part in parts]
        energy, intensity, stable = (torch.cat(pieces, dim=1) for pieces in zip(*chunks, strict=True))
        return Modes(energy, intensity * bose(energy, self.temperature), stable & stationary[:, None])

    def correlations(
        self, theta: Float[Tensor, "batch parameter"]
    ) -> tuple[Float[Tensor, "batch q mode"], Complex[Tensor, "batch q mode 3 3"]]:
        """Energies and S^ab of the creation modes per magnetic ion: spins only, zero temperature."""
        theta, directions, _ = self._order(theta)
        observable = self._observable(local_frames(directions)[0][:, None])
        energy, amplitude, _ = eigenmodes(self._hamiltonian(theta, directions, slice(None)), observable)
        n = len(self.spins)
        return energy[..., :n], amplitude[..., :n, :, None] * amplitude[..., :n, None, :].conj()

    def is_stationary(self, theta: Float[Tensor, "batch parameter"]) -> Bool[Tensor, " batch"]:
        """Whether the order is stationary: every moment along its exchange field."""
        return self._order(theta)[2]

    def _order(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Parameters with the constant 1 appended, directions (1 or batch), and whether these are stationary."""
        theta = torch.cat((theta, torch.ones_like(theta[:, :1])), dim=1)
        quadratic = torch.einsum("bp,piajc->biajc", theta, self.quadratic)
        linear = self.linear[-1].expand(len(theta), -1, -1)
        directions = relax(quadratic, linear, self.directions[0]) if self.model.relaxed else self.directions
        return theta, directions, is_stationary(quadratic.detach(), linear, directions.detach())

    def _chunk(self, theta: Tensor, directions: Tensor, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Energies, zero-temperature S_perp and stability at a slice of the wavevectors."""
        observable = self._seen(directions, part) if self.seen is None else self.seen[:, part]
        if not torch.is_grad_enabled() and not self.model.relaxed and self.q.device.type == "cpu":
            if self.basis is None and len(theta) < theta.shape[1]:
                one = torch.eye(len(theta), dtype=theta.dtype)
                return _compiled(one, self._expand(theta, directions, part, torch.arange(len(self.i))), observable)
            return _compiled(theta, self._kept(part), observable)
        energy, amplitude, stable = eigenmodes(self._hamiltonian(theta, directions, part), observable)
        return energy, (amplitude.real**2 + amplitude.imag**2).sum(-1), stable

    def _seen(self, directions: Tensor, part: slice) -> Complex[Tensor, "order q boson 3"]:
        """What the neutron sees of the boson operators."""
        return self._observable(torch.einsum("qsab,xsb->xqsa", self.filter[part] + 0j, local_frames(directions)[0]))

    def _observable(self, moment: Complex[Tensor, "order q site 3"]) -> Complex[Tensor, "order q boson 3"]:
        """V: the spin operator per ion at q is V . (b, b^dagger)."""
        moment = (self.spins / (2 * len(self.spins))).sqrt()[:, None] * moment
        return torch.cat((moment, moment.conj()), dim=-2)

    def _hamiltonian(self, theta: Tensor, directions: Tensor, part: slice) -> Complex[Tensor, "batch q boson boson"]:
        if self.model.relaxed:
            return self._expand(theta, directions, part, torch.arange(len(self.i)))
        basis = self._kept(part)
        flat = torch.view_as_real(basis).flatten(1)
        return torch.view_as_complex((theta @ flat).reshape(len(theta), *basis.shape[1:], 2))

    def _kept(self, part: slice) -> Complex[Tensor, "parameter q boson boson"]:
        """The basis at a slice of the wavevectors, as kept or made again."""
        return self._basis(part) if self.basis is None else self.basis[:, part]

    def _basis(self, part: slice) -> Complex[Tensor, "parameter q boson boson"]:
        """H of each parameter alone, for an order that does not follow the parameters."""
        one = torch.eye(len(self.linear), dtype=torch.float64, device=self.q.device)
        own = [(self.parameter == p).nonzero()[:, 0] for p in range(len(one))]
        rows = [self._expand(one[p : p + 1], self.directions, part, bonds) for p, bonds in enumerate(own)]
        return torch.cat(rows).contiguous()

    def _expand(
        self, theta: Tensor, directions: Tensor, part: slice, bonds: Tensor
    ) -> Complex[Tensor, "batch q boson boson"]:
        """The boson Hamiltonian of every row of `theta` in the local frames of `directions`, from these `bonds`."""
        u, n = local_frames(directions)
        N, i, j = len(self.spins), self.i[bonds], self.j[bonds]
        left = (u[:, i, :, None] * self.matrix[bonds]).sum(-2)
        size = 0.5 * (self.spins[i] * self.spins[j]).sqrt() * theta[:, self.parameter[bonds]]
        hop = size * (left * u[:, j].conj()).sum(-1)
        pair = size * (left * u[:, j]).sum(-1)
        phase = torch.exp(2j * math.pi * (self.displacement[bonds] @ self.model.supercell @ self.q[part].T))
        index = torch.cat([(i + r * N) * 2 * N + j + c * N for r in (0, 1) for c in (0, 1)])
        value = torch.cat((hop, pair, pair.conj(), hop.conj()), dim=1)[..., None] * phase.repeat(4, 1)
        H = value.new_zeros(len(theta), 4 * N * N, phase.shape[1]).index_add(1, index, value)
        hopping: Tensor = H.mT.reshape(len(theta), -1, 2 * N, 2 * N)
        return hopping + self._onsite(theta, u, n)[:, None]

    def _onsite(self, theta: Tensor, u: Tensor, n: Tensor) -> Complex[Tensor, "batch boson boson"]:
        """Anisotropy, and the exchange and applied fields along n (Toth & Lake eq. 26, each bond once)."""
        u, n = u.expand(len(theta), -1, -1), n.expand(len(theta), -1, -1)
        turned = torch.einsum("bp,piac,bic->bia", theta + 0j, self.anisotropy + 0j, u)
        force = torch.einsum("bp,piajc,bjc->bia", theta, self.quadratic, n) + torch.einsum(
            "bp,pia->bia", theta, self.linear
        )
        hop = (
            (turned * u.conj()).sum(-1) * self.spins - (force * n).sum(-1) / self.spins + theta[:, -1:] * REGULARISATION
        )
        pair = (turned * u).sum(-1) * self.spins
        upper = torch.cat((torch.diag_embed(hop), torch.diag_embed(pair)), dim=-1)
        lower = torch.cat((torch.diag_embed(pair.conj()), torch.diag_embed(hop.conj())), dim=-1)
        return torch.cat((upper, lower), dim=-2)

    def _bytes_per_q(self) -> int:
        return 16 * (2 * len(self.spins)) ** 2


def _compiled(theta: Tensor, basis: Tensor, observable: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Modes from the compiled kernel."""
    arrays = (x.contiguous().numpy() for x in (theta, basis, observable.resolve_conj()))
    energy, intensity, stable = (torch.from_numpy(x) for x in bosonic_modes(*arrays))
    return energy, intensity, stable


def _terms(model: SpinModel, field: Float[Tensor, "3"]) -> _Terms:
    """Bonds, anisotropy, classical energy and Zeeman term of a model; a spin along `field` is low in energy."""
    P, N, order = len(model.names) + 1, len(model.spins), {name: k for k, name in enumerate(model.names)}
    count = torch.tensor([len(c.i) for c in model.couplings], dtype=torch.int64)
    parameter = torch.tensor([order[c.name] for c in model.couplings], dtype=torch.int64).repeat_interleave(count)
    i, j, offset, matrix = (_joined(model, name) for name in ("i", "j", "offset", "matrix"))
    displacement = offset + model.positions[j] - model.positions[i]
    i, j = torch.cat((i, j)), torch.cat((j, i))
    matrix, parameter = torch.cat((matrix, matrix.mT)), parameter.repeat(2)
    anisotropy = torch.zeros(P, N, 3, 3, dtype=torch.float64)
    for term in model.anisotropies:
        anisotropy[order[term.name]].index_add_(0, term.site, term.matrix)
    scale = model.spins[i] * model.spins[j]
    quadratic = torch.zeros(P, N, N, 3, 3, dtype=torch.float64)
    quadratic.index_put_((parameter, i, j), scale[:, None, None] * matrix, accumulate=True)
    quadratic[:, range(N), range(N)] += 2 * (model.spins**2)[:, None, None] * anisotropy
    linear = torch.zeros(P, N, 3, dtype=torch.float64)
    linear[-1] = -MU_B * model.spins[:, None] * torch.einsum("a,iac->ic", field, model.g)
    displacement = torch.cat((displacement, -displacement))
    return _Terms(parameter, i, j, displacement, matrix, anisotropy, quadratic.transpose(2, 3).contiguous(), linear)


def _joined(model: SpinModel, name: str) -> Tensor:
    return torch.cat([getattr(coupling, name) for coupling in model.couplings])


def _filter(model: SpinModel, q: Float[Tensor, "q 3"]) -> Float[Tensor, "q site 3 3"]:
    """What the neutron sees of each ion's spin: form factor x (g / 2), perpendicular to Q."""
    wave = model.lattice.to_cartesian(q)
    size = wave.norm(dim=-1)
    table = {ion: form_factor(ion, size) if ion else torch.ones_like(size) for ion in set(model.ions)}
    factor = torch.stack([table[ion] for ion in model.ions], dim=-1)
    return torch.einsum("qs,qab,sbc->qsac", factor, transverse(wave), model.g / 2)
