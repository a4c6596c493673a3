"""A table of peaks in a config."""

from pathlib import Path
from typing import Literal

from sqwirrel.config.places import Vector
from sqwirrel.config.quantity import Field, Temperature
from sqwirrel.config.table import Section


class PeaksEntry(Section):
    """A table of peaks among several measurements.

    The `lattice` (angstrom, degrees) is for a table that does not tell its own, and that of the model if it is left
    out; `columns` names those of a table that does not. With `extra_width` a width is added to all errors and inferred.
    `q_error = false` leaves errors of q aside, for tables whose errors of energies stand for them.

    With the columns "x" and "direction" in place of h, k and l the wavevectors lie on `lines`: for each direction the
    wavevector at x = 0 and what x = 1 adds to it, { 1 = [[0, 0, 0], [0, 1, 0]] } (rlu).
    """

    kind: Literal["peaks"]
    file: str
    lattice: tuple[float, float, float, float, float, float] | None = None
    columns: tuple[str, ...] | None = None
    lines: dict[int, tuple[Vector, Vector]] | None = None
    temperature: Temperature | None = None
    field: tuple[Field, Field, Field] | None = None
    extra_width: bool = False
    q_error: bool = True

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (Path(self.file),)
