"""A quantity in a config file: a number in the internal unit, "0.3 meV", or { value = 0.3, unit = "meV" }."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from sqwirrel import units
from sqwirrel.errors import InputError


def quantity(value: object, expected: str) -> float:
    """`value` as a number in the internal unit `expected`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(float(value))
    written = f"expected a number in {expected}, or one with a unit like '0.3 {expected}'"
    number, unit = _parts(value, written)
    try:
        return _finite(units.to_internal(float(number), unit, expected))
    except TypeError:
        raise InputError(f"{value!r} is not a quantity; {written}") from None
    except InputError:
        raise
    except ValueError:
        raise InputError(f"'{value}' is not a quantity; {written}") from None


def _parts(value: object, written: str) -> tuple[Any, str]:
    if isinstance(value, str) and len(parts := value.split(maxsplit=1)) == 2:
        return parts[0], parts[1]
    if isinstance(value, Mapping) and set(value) == {"value", "unit"}:
        return value["value"], str(value["unit"])
    raise InputError(f"{value!r} is not a quantity; {written}")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise InputError(f"a quantity is {value}; expected a finite number")
    return value


Energy = Annotated[float, BeforeValidator(lambda value: quantity(value, "meV"))]
Wavenumber = Annotated[float, BeforeValidator(lambda value: quantity(value, "1/angstrom"))]
Temperature = Annotated[float, BeforeValidator(lambda value: quantity(value, "K"))]
Field = Annotated[float, BeforeValidator(lambda value: quantity(value, "T"))]
