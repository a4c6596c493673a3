"""Bulk numbers in a config."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, PositiveFloat

from sqwirrel.config.places import Vector
from sqwirrel.config.quantity import Field, Temperature
from sqwirrel.config.table import Section, listed
from sqwirrel.spectra.bulk import Bulk, BulkNumber

LIKE = "{ value = -80.0, error = 3.0 }"
Zero = (0.0, 0.0, 0.0)


class Number(Section):
    """A number with its error, one standard deviation."""

    value: float
    error: PositiveFloat

    def build(self, kind: str) -> BulkNumber:
        """The number."""
        return BulkNumber(kind, **self.model_dump())


class Conditioned(Number):
    """A number at a temperature and in a field (Cartesian)."""

    temperature: Temperature = 0.0
    field: tuple[Field, Field, Field] = Zero


class Heat(Conditioned):
    """A specific heat, J / K per mole of magnetic ions, or of atoms in a model of phonons: of magnons alone, or of
    phonons alone, which is for you to separate.
    """

    temperature: Temperature


class Sound(Number):
    """A velocity of sound (m / s) along a `direction` (rlu), of the acoustic `branch` 1 (the fastest) to 3."""

    direction: Vector
    branch: Literal[1, 2, 3] = 1


Listed = BeforeValidator(partial(listed, like=LIKE))


class BulkEntry(Section):
    """Bulk numbers among several measurements, each a table with `value` and `error`, or a list of such tables:
    Curie-Weiss temperature (K), specific heats (J / mol / K), ordered moments (mu_B per magnetic ion), velocities of
    sound (m / s).
    """

    kind: Literal["bulk"]
    curie_weiss: Annotated[tuple[Number, ...], Listed] = ()
    specific_heat: Annotated[tuple[Heat, ...], Listed] = ()
    ordered_moment: Annotated[tuple[Conditioned, ...], Listed] = ()
    sound_velocity: Annotated[tuple[Sound, ...], Listed] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """None: the numbers are in the config."""
        return ()

    def build(self) -> Bulk:
        """The numbers, in the order of the keys."""
        kinds = [name for name in type(self).model_fields if name != "kind"]
        return Bulk(tuple(each.build(kind) for kind in kinds for each in getattr(self, kind)))
