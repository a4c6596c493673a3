"""Bulk numbers of magnons that do not interact: specific heat and ordered moment, from a mesh of the magnetic zone.

Where magnons are many they interact, and both laws end: well below the ordering temperature, a quarter of it say.
(F. Bloch, Z. Phys. 61, 206 (1930), doi:10.1007/BF01339661; P. W. Anderson, Phys. Rev. 86, 694 (1952),
doi:10.1103/PhysRev.86.694; R. Kubo, Phys. Rev. 87, 568 (1952), doi:10.1103/PhysRev.87.568)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import zone
from sqwirrel.simulate.bulk.found import Found, einstein
from sqwirrel.simulate.quadratic.eigen import eigenmodes
from sqwirrel.simulate.quadratic.once import first_order
from sqwirrel.simulate.quantum.zero_point import SLOW, STEADY
from sqwirrel.simulate.spinwave import SpinWaves
from sqwirrel.units import K_B, MOLAR_GAS

HEAT, MOMENT = (1, 192, 48, 24), (1, 192, 48, 12)
"""Points a direction of the finest mesh, by the number of directions in which modes disperse. Half of them are looked
at: modes of -q are those that gain energy at q."""
CORNERS = 4
"""Points a direction, from the zone centre on, that are asked for stability alone."""
CHUNK = 2**18
"""Matrix elements of all rows that are solved at once."""


class MagnonHeat:
    """Specific heat (J / K per mole of magnetic ions) at `temperatures` (K), in a field (T, Cartesian).

    C = R <x^2 e^x / (e^x - 1)^2> with x = E / k T, the mean over all modes. Phonons are not in it. Wrong where k T is
    below the steps of energy of the mesh: `Found.rough` says so.
    """

    def __init__(
        self, model: SpinModel, temperatures: Float[Tensor, " number"], field: Float[Tensor, "3"] | None = None
    ) -> None:
        self.warmth, where = K_B * temperatures, _meshes(model, HEAT)[:2]
        field = torch.zeros(3, dtype=torch.float64) if field is None else field
        self.waves = [SpinWaves(model, q, field=field) for q in where]
        self.soft = SpinWaves(model, _soft(model), field=field, keep=False)

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """One number for each temperature."""
        fine, rough = (waves(theta) for waves in self.waves)
        value, other = (MOLAR_GAS * self._mean(each.energy) for each in (fine, rough))
        stable = fine.stable.all(1) & rough.stable.all(1) & self.soft(theta).stable.all(1)
        return Found(value, (value - other).abs().detach(), stable)

    def _mean(self, energy: Float[Tensor, "batch q mode"]) -> Float[Tensor, "batch number"]:
        """Of all modes; one temperature after the other, which a curve of many asks for."""
        return torch.cat([einstein(energy, each[None]).mean((1, 2)) for each in self.warmth], dim=1)


class OrderedMoment:
    """Mean length of the ordered moments (mu_B per magnetic ion) at `temperatures` (K), in a field (T, Cartesian).

    m = 1/N sum_i g_i (S_i - <b_i^dagger b_i>), g_i the length of g n, n the direction of the spin. At 0 K zero-point
    motion alone takes from it (0.1966 of S on the square lattice with S = 1/2 without anisotropy); linear spin-wave
    theory, the first order in 1 / S. Of a ferromagnet it is the magnetisation. The limit of three meshes is taken by
    Aitken's rule; where there is none (one direction; two, without a gap and above 0 K), `Found.rough` is infinite.
    """

    def __init__(
        self, model: SpinModel, temperatures: Float[Tensor, " number"], field: Float[Tensor, "3"] | None = None
    ) -> None:
        self.model, self.warmth, self.q = model, K_B * temperatures, _meshes(model, MOMENT)
        field = torch.zeros(3, dtype=torch.float64) if field is None else field
        self.waves = SpinWaves(model, self.q[-1], field=field, keep=False)
        self.soft = SpinWaves(model, _soft(model), field=field, keep=False)
        self.elements = self.waves.expansion(torch.zeros(1, len(model.names), dtype=torch.float64)).elements

    def __call__(self, theta: Float[Tensor, "batch parameter"]) -> Found:
        """One number for each temperature."""
        expansion = self.waves.expansion(theta, self.elements)
        moment = torch.einsum("iab,xib->xia", self.model.g, expansion.directions).norm(dim=-1).expand(len(theta), -1)
        n, series, stable = moment.shape[1], list[Tensor](), expansion.stationary & self.soft(theta).stable.all(1)
        seen = torch.diag_embed((moment / n).sqrt().repeat(1, 2))[:, None] + 0j
        for q in self.q:
            total = theta.new_zeros(len(theta), len(self.warmth))
            for part in torch.split(q, max(1, CHUNK // (4 * n * n * len(theta)))):
                energy, amplitude, good = eigenmodes(expansion.at(part), seen)
                total = total + _bosons(energy, amplitude.real**2 + amplitude.imag**2, self.warmth)
                stable = stable & good.all(1)
            series.append(total / len(q))
        less, away = _limit(series)
        return Found(first_order((moment * self.model.spins).mean(1, keepdim=True) - less), away.detach(), stable)


def _bosons(
    energy: Float[Tensor, "batch q mode"],
    strength: Float[Tensor, "batch q mode boson"],
    warmth: Float[Tensor, " number"],
) -> Float[Tensor, "batch number"]:
    """Sum over q of <b^dagger b> of all sites with their weights: the mean of q and -q."""
    n, warm = energy.shape[-1] // 2, warmth > 0
    many = warm / torch.expm1((energy.abs()[..., None] / torch.where(warm, warmth, 1.0)).clamp(min=1e-12))
    still = strength[..., :n, n:].sum((1, 2, 3)) + strength[..., n:, :n].sum((1, 2, 3))
    return ((strength.sum(-1)[..., None] * many).sum((1, 2)) + still[:, None]) / 2


def _limit(series: list[Float[Tensor, "batch number"]]) -> tuple[Tensor, Tensor]:
    """The limit of three meshes, finest first, and how far the last of them is from it."""
    fine, middle, coarse = series
    step, before = fine - middle, middle - coarse
    still = step.detach().abs() < STEADY * (1 + fine.detach().abs())
    ratio = step / torch.where(still | (before == 0), 1.0, before)
    shrinks = ~still & (ratio > 0) & (ratio < SLOW)
    safe = torch.where(shrinks, ratio, 0.0)
    more = step * safe / (1 - safe)
    jumps = ~still & (ratio.abs() >= SLOW)
    return fine + more, torch.where(jumps, torch.inf, torch.where(shrinks, more.abs() / 4, step.abs()))


def _soft(model: SpinModel) -> Float[Tensor, "q 3"]:
    """Where an order that is no minimum is soft: the centre and the boundary of the magnetic zone, and halfway."""
    return zone.to_rlu(zone.grid(zone.coupled(model), CORNERS), model.supercell)


def _meshes(model: SpinModel, points: tuple[int, ...]) -> list[Float[Tensor, "q 3"]]:
    """Midpoints of the magnetic zone, of half of it where their number is even; the finest of three meshes first."""
    along = zone.coupled(model)
    finest, first = points[int(along.sum())], int(along.long().argmax())
    counts = [max(1, finest >> k) for k in range(3)]
    whole = [zone.grid(along, n, 0.5) for n in counts]
    half = [x if n % 2 else x[x[:, first] < 0.5] for n, x in zip(counts, whole, strict=True)]
    return [zone.to_rlu(x, model.supercell) for x in half]
