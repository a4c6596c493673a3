"""Lattice dynamics of a crystal: atoms, and springs between them whose strengths are the parameters.

    energy = sum_atoms p^2 / 2 m - sum_springs theta_p sum_bonds u_i . M . u_j
             + what of each atom with itself keeps it as it is if all move alike

Each bond is counted once, theta is in N/m where the matrices are numbers, matrices are Cartesian.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import inputs
from sqwirrel.model.phonon.nuclei import nucleus
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.model.prior import Prior
from sqwirrel.units import MB_PER_BARN, MB_PER_FM2, RECOIL


@dataclass(frozen=True, eq=False)
class Polar:
    """What long-range electric fields add: Born charges (units of e) and the high-frequency dielectric tensor.

    A displacement u of an atom is a dipole charges @ u. The interaction of dipoles is multiplied by the parameter
    `name`. Where its springs are force constants found in a supercell (rows: whole numbers of the vectors of the cell
    that repeats), these hold it already as far as the supercell shows it, and what they hold is taken out first.
    """

    charges: Float[Tensor, "atom 3 3"]
    dielectric: Float[Tensor, "3 3"]
    name: str = "stiffness"
    supercell: Int64[Tensor, "3 3"] | None = None

    def __post_init__(self) -> None:
        """Converts arrays and refuses a medium that does not screen."""
        object.__setattr__(self, "charges", inputs.floats(self.charges))
        object.__setattr__(self, "dielectric", inputs.floats(self.dielectric))
        if self.supercell is not None:
            object.__setattr__(self, "supercell", inputs.integers(self.supercell))
        if not bool((torch.linalg.eigvalsh((self.dielectric + self.dielectric.T) / 2) > 0).all()):
            raise InputError(f"the dielectric tensor {self.dielectric.tolist()} must have positive eigenvalues")


@dataclass(frozen=True, eq=False)
class PhononModel:
    """Atoms and springs; linear in its parameters, the strengths of the springs.

    `lattice` is the cell that wavevectors refer to; rows of `primitive` are the cell that repeats, in its vectors;
    `positions` and the offsets of springs are fractional in that one. `masses` in u, `lengths` (coherent scattering) in
    fm and `incoherent` cross-sections in barn are those of the elements where they are not given. `prior` is a
    suggestion for the parameters, N/m.
    """

    name: str
    title: str
    lattice: Lattice
    positions: Float[Tensor, "atom 3"]
    elements: tuple[str, ...]
    springs: tuple[Springs, ...]
    primitive: Float[Tensor, "3 3"] = field(default_factory=lambda: torch.eye(3, dtype=torch.float64))
    masses: Float[Tensor, " atom"] = None  # type: ignore[assignment]
    lengths: Float[Tensor, " atom"] = None  # type: ignore[assignment]
    incoherent: Float[Tensor, " atom"] = None  # type: ignore[assignment]
    polar: Polar | None = None
    defaults: Mapping[str, float] = field(default_factory=dict)
    papers: tuple[str, ...] = ()
    prior: Prior = field(default_factory=Prior)

    def __post_init__(self) -> None:
        """Converts arrays, looks up nuclei, and checks all against each other."""
        object.__setattr__(self, "positions", inputs.floats(self.positions).reshape(-1, 3))
        object.__setattr__(self, "primitive", inputs.floats(self.primitive))
        for key in ("elements", "springs", "papers"):
            object.__setattr__(self, key, tuple(getattr(self, key)))
        for key, of in (("masses", "mass"), ("lengths", "length"), ("incoherent", "incoherent")):
            given = getattr(self, key)
            found = [getattr(nucleus(each), of) for each in self.elements] if given is None else given
            object.__setattr__(self, key, inputs.floats(found).expand(len(self.positions)).clone())
        object.__setattr__(self, "defaults", {name: float(value) for name, value in self.defaults.items()})
        _check(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters in the order of theta: those of the springs, each name once."""
        return tuple(dict.fromkeys(each.name for each in self.springs))

    @property
    def theory(self) -> tuple[str, ...]:
        """Books behind its modes and what neutrons see of them."""
        return (
            "M. Born, K. Huang, Dynamical Theory of Crystal Lattices, Oxford (1954)",
            "G. L. Squires, Introduction to the Theory of Thermal Neutron Scattering, Cambridge (2012), "
            "doi:10.1017/CBO9781139107808",
            "V. F. Sears, Neutron News 3, 26 (1992), doi:10.1080/10448639208218770",
        )

    @property
    def strength(self) -> float:
        """What the modes of an atom add up to, about: at 3 / A and 20 meV, mb / sr."""
        return float(RECOIL * 3**2 / (2 * 20) * (self.coherent_per_sr / self.masses).mean())

    @property
    def coherent_per_sr(self) -> Float[Tensor, " atom"]:
        """Coherent cross-section over 4 pi, mb / sr."""
        return MB_PER_FM2 * self.lengths**2

    @property
    def incoherent_per_sr(self) -> Float[Tensor, " atom"]:
        """Incoherent cross-section over 4 pi, mb / sr."""
        return MB_PER_BARN * self.incoherent / (4 * math.pi)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter; none of a factor on force constants that a program found."""
        factors = {each.name for each in self.springs if each.on_site is not None}
        return {name: "" if name in factors else "N/m" for name in self.names}

    @property
    def cell(self) -> Lattice:
        """The cell that repeats, in the orientation of the lattice."""
        return Lattice.from_vectors(self.primitive @ self.lattice.vectors)

    def pack(self, **values: float) -> Float[Tensor, "1 parameter"]:
        """Parameters in the order of `names`; those not given take the published default."""
        return inputs.packed(self.name, self.names, self.defaults, values)


def _check(model: PhononModel) -> None:
    n = len(model.positions)
    if len(model.elements) != n:
        raise InputError(
            f"model '{model.name}' has {n} positions and {len(model.elements)} elements; give one of each per atom"
        )
    if not bool((model.masses > 0).all()):
        raise InputError(f"model '{model.name}' has the masses {model.masses.tolist()} u; they must be positive")
    for each in model.springs:
        ends = torch.cat((each.i, each.j))
        if bool(((ends < 0) | (ends >= n)).any()):
            raise InputError(f"'{each.name}' of model '{model.name}' names an atom outside 0 to {n - 1}")
        if each.on_site is not None and each.on_site.shape != (n, 3, 3):
            raise InputError(f"'{each.name}' of model '{model.name}' needs on_site of shape ({n}, 3, 3)")
    if model.polar is not None and model.polar.charges.shape != (n, 3, 3):
        raise InputError(f"model '{model.name}' needs Born charges of shape ({n}, 3, 3)")
    if model.polar is not None and model.polar.name not in model.names:
        raise InputError(f"'{model.polar.name}' of the Born charges is none of the parameters {model.names}")
    for what, given in (("default", (*model.defaults,)), ("prior", (*model.prior.names, *model.prior.fixed))):
        if unknown := [name for name in given if name not in model.names]:
            raise InputError(f"model '{model.name}' has parameters {model.names}, got a {what} for '{unknown[0]}'")
