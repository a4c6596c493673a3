"""What a user gives, checked once: tables of a model file with known keys, and arrays of the right shape."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sqwirrel.errors import InputError, meant, values_for

HUGE = 1e12
"""Nothing in a model is as large as this, in any unit of ours; arithmetic with such numbers would overflow."""


def table(value: object, where: str, required: str = "", optional: str = "") -> dict[str, Any]:
    """A table with exactly these keys (words of `required` and `optional`); unknown and missing ones are refused."""
    given = mapping(value, where)
    known = (*required.split(), *optional.split())
    if unknown := [key for key in given if key not in known]:
        raise InputError(
            f"{where} has the unknown key '{unknown[0]}'; known are {', '.join(known)}{meant(unknown[0], known)}"
        )
    if missing := [key for key in required.split() if key not in given]:
        raise InputError(f"{where} lacks the key '{missing[0]}'")
    return given


def tables(value: object, where: str, required: str = "", optional: str = "") -> list[dict[str, Any]]:
    """A list of such tables, [[name]] in TOML."""
    if not isinstance(value, list | tuple):
        raise InputError(f"{where} must be a list of tables, [[...]] in TOML, got {value!r}")
    return [table(entry, f"{where}, entry {k},", required, optional) for k, entry in enumerate(value, 1)]


def numbers(value: object, shape: tuple[int, ...], where: str) -> Float[Tensor, "..."]:
    """Finite numbers in an array of this shape."""
    try:
        array = torch.tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        array = torch.empty(0, dtype=torch.float64)
    if array.shape != shape or not bool((array.abs() < HUGE).all()):
        wanted = " x ".join(map(str, shape)) + " finite numbers" if shape else "one finite number"
        raise InputError(f"{where} must be {wanted}, got {value!r}")
    return array


def matrix(value: object, where: str) -> Float[Tensor, "3 3"]:
    """A 3 x 3 matrix, three numbers for a diagonal one, or a number for that multiple of the unit matrix."""
    if isinstance(value, int | float):
        return float(numbers(value, (), where)) * torch.eye(3, dtype=torch.float64)
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(x, int | float) for x in value):
        return torch.diag(numbers(value, (3,), where))
    try:
        return numbers(value, (3, 3), where)
    except InputError as error:
        raise InputError(f"{error}; three numbers stand for a diagonal matrix, one for a multiple of unity") from None


def switch(value: object, where: str) -> bool:
    """A truth value."""
    if not isinstance(value, bool):
        raise InputError(f"{where} must be true or false, got {value!r}")
    return value


def words(value: object, where: str) -> tuple[str, ...]:
    """A list of strings."""
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise InputError(f"{where} must be a list of strings, got {value!r}")
    return tuple(value)


def mapping(value: object, where: str) -> dict[str, Any]:
    """A table with any keys."""
    if not isinstance(value, Mapping):
        raise InputError(f"{where} must be a table of keys and values, got {value!r}")
    return dict(value)


def floats(value: object) -> Float[Tensor, "..."]:
    """Real numbers from a list, an array or a tensor."""
    return torch.as_tensor(value, dtype=torch.float64)


def integers(value: object) -> Int64[Tensor, "..."]:
    """Whole numbers from a list, an array or a tensor."""
    return torch.as_tensor(value, dtype=torch.int64)


def matrices(value: object, n: int, where: str) -> Float[Tensor, "entry 3 3"]:
    """One matrix each for `n` entries, or the one that all share."""
    given = floats(value)
    if given.shape not in {(3, 3), (n, 3, 3)}:
        raise InputError(f"the matrix of {where} has shape {tuple(given.shape)}; expected (3, 3) or ({n}, 3, 3)")
    return given.expand(n, 3, 3).clone()


def tensors(value: object, n: int, where: str) -> Float[Tensor, "entry 3 3"]:
    """As `matrices`; a number, or one number an entry, stands for that multiple of the unit matrix."""
    given = floats(value)
    isotropic = given[..., None, None] * torch.eye(3, dtype=torch.float64)
    return matrices(isotropic if given.shape in {(), (n,)} else given, n, where)


def unit_vectors(value: object, n: int, where: str) -> Float[Tensor, "entry 3"]:
    """`n` directions, made unit vectors."""
    given = floats(value)
    length = torch.linalg.vector_norm(given, dim=-1, keepdim=True)
    if given.shape != (n, 3) or bool((length == 0).any()):
        raise InputError(f"{where} needs {n} directions of three components, none zero, one per magnetic site")
    return torch.div(given, length)


def packed(
    model: str, names: Sequence[str], defaults: Mapping[str, float], values: Mapping[str, float]
) -> Float[Tensor, "1 parameter"]:
    """Parameters of a model in the order of `names`; those not given take their default."""
    if unknown := [name for name in values if name not in names]:
        raise InputError(f"model '{model}' has parameters {names}, got '{unknown[0]}'")
    known = {**defaults, **values}
    if missing := [name for name in names if name not in known]:
        raise InputError(f"model '{model}' needs {values_for(missing)}: give pack({missing[0]}=...)")
    return torch.tensor([[float(known[name]) for name in names]], dtype=torch.float64)
