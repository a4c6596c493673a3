"""[advise]: candidates for the next measurement."""

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from sqwirrel.config.places import EnergyBins, Path, Vector
from sqwirrel.config.quantity import Energy, Wavenumber
from sqwirrel.config.table import Section
from sqwirrel.errors import InputError
from sqwirrel.infer.advise import Speeds
from sqwirrel.lattice import Lattice


class Plane(Section):
    """Wavevectors on a parallelogram: `counts` of them along both `sides` from an `origin` (rlu), ends included."""

    origin: Vector = (0.0, 0.0, 0.0)
    sides: tuple[Vector, Vector]
    counts: tuple[PositiveInt, PositiveInt]

    def build(self) -> Float[Tensor, "point 3"]:
        """The wavevectors, the second side running faster."""
        origin, sides = (torch.tensor(each, dtype=torch.float64) for each in (self.origin, self.sides))
        one, two = (
            torch.linspace(0, 1, n, dtype=torch.float64) if n > 1 else torch.zeros(1).double() for n in self.counts
        )
        return origin + torch.cartesian_prod(one, two) @ sides


class Motion(Section):
    """How fast the instrument moves: q (1/angstrom) and energy (meV) per minute, both at once; minutes to settle after
    a move; where it stands (h, k, l, meV), if that matters.
    """

    q: Annotated[Wavenumber, Field(gt=0)]
    energy: Annotated[Energy, Field(gt=0)]
    settle: NonNegativeFloat = 0.0
    start: tuple[float, float, float, float] | None = None

    def build(self, lattice: Lattice) -> Speeds:
        """The minutes of a move."""
        return Speeds(lattice, self.q, self.energy, self.settle, self.start)


class Advise(Section):
    """Where to measure next. Candidates are all `energy` at each wavevector: of a `path`, of `points`, or of a `plane`.

    `result` is the folder that `sqwirrel infer` left for what was measured so far. Then the errors of the `wanted`
    parameters (of the model, if left out) shall shrink. With `rivals`, folders of other models' answers to the same
    data by their names, the models shall be told apart. A candidate is counted for `minutes`; what the instrument would
    count then is the intensity of the data times `factor`: the ratio of the counting times, or for reduced data the
    counts per unit of intensity.
    """

    result: str
    rivals: dict[str, str] = Field(default={})
    path: Path | None = None
    points: tuple[Vector, ...] = ()
    plane: Plane | None = None
    energy: EnergyBins
    wanted: tuple[str, ...] = ()
    minutes: PositiveFloat = 1.0
    factor: PositiveFloat = 1.0
    motion: Motion | None = None
    pick: PositiveInt = 8
    draws: Annotated[int, Field(ge=16)] = 64
    seed: int = 1

    @model_validator(mode="after")
    def _one_place(self) -> "Advise":
        if sum((self.path is not None, bool(self.points), self.plane is not None)) != 1:
            raise InputError("[advise] needs one of path, points and plane: the wavevectors of the candidates")
        if self.rivals and self.wanted:
            raise InputError("[advise] has rivals, to tell models apart, and wanted parameters; give one of them")
        return self

    def moving(self, lattice: Lattice) -> Speeds | None:
        """Minutes of a move; None if moving is free."""
        return None if self.motion is None else self.motion.build(lattice)

    def q(self, lattice: Lattice) -> Float[Tensor, "point 3"]:
        """The wavevectors, rlu."""
        if self.path is not None:
            return self.path.build(lattice).q
        return self.plane.build() if self.plane is not None else torch.tensor(self.points, dtype=torch.float64)
