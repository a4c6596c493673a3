"""The config reference: every section, key, type and default, read off the pydantic classes that check a file."""

import inspect
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic_core import PydanticUndefined

from generators.tables import table
from sqwirrel.config import Config, quantity
from sqwirrel.config.table import Section

QUANTITIES = {
    quantity.Energy: "energy (meV)",
    quantity.Wavenumber: "wavenumber (1/Å)",
    quantity.Temperature: "temperature (K)",
    quantity.Field: "field (T)",
}
WORDS = {str: "text", bool: "true or false", int: "whole number", float: "number", type(None): "", Any: "anything"}
LIMITS = {
    Gt: (">", "gt"),
    Ge: ("at least", "ge"),
    Lt: ("<", "lt"),
    Le: ("at most", "le"),
    MinLen: ("length at least", "min_length"),
}


def sections() -> list[tuple[str, type[Section]]]:
    """Every section with its place in a file (the first of several), the root first; kinds of one section follow each
    other.
    """
    known: dict[type[Section], str] = {}
    return [(place, each) for place, each in _walk("", Config) if known.setdefault(each, place) == place]


def every_key() -> set[str]:
    """Every dotted key that a file may hold."""
    return {f"{place}.{key}".lstrip(".") for place, section in sections() for key in section.model_fields}


def page() -> str:
    """One table a section."""
    return "\n".join(_section(place, section) for place, section in sections())


def _walk(place: str, section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    yield place, section
    for key, hint in get_type_hints(section, include_extras=True).items():
        if key in section.model_fields:
            for inner in _sections_in(hint):
                name = f"{key}.NAME" if get_origin(hint) is dict else key
                yield from _walk(f"{place}.{name}".lstrip("."), inner)


def _sections_in(hint: Any) -> list[type[Section]]:
    if isinstance(hint, type) and issubclass(hint, Section):
        return [hint]
    return [found for part in get_args(hint) for found in _sections_in(part)]


def _section(place: str, section: type[Section]) -> str:
    hints = get_type_hints(section, include_extras=True)
    rows = [(f"`{key}`", _words(hints[key]), _default(field)) for key, field in section.model_fields.items()]
    title = f"`[{place}]`" if place else "The file"
    if "kind" in section.model_fields:
        title += ", kind " + " or ".join(f"`{kind}`" for kind in get_args(section.model_fields["kind"].annotation))
    return f"## {title}\n\n{inspect.cleandoc(section.__doc__ or '')}\n\n{table(('key', 'value', 'default'), rows)}"


def _words(hint: Any) -> str:
    """A type in words."""
    for known, words in QUANTITIES.items():
        if hint == known:
            return words
    if hint in WORDS:
        return WORDS[hint]
    if isinstance(hint, type) and issubclass(hint, Section):
        return "table"
    parts, origin = get_args(hint), get_origin(hint)
    if origin is Literal:
        return " or ".join(f'`"{part}"`' for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(words for part in parts if (words := _words(part))))
    if origin in (tuple, list):
        inner = [_words(part) for part in parts if part is not Ellipsis]
        return f"list of [{', '.join(inner)}]" if origin is list or Ellipsis in parts else f"[{', '.join(inner)}]"
    if origin is dict:
        return "table"
    if hasattr(hint, "__metadata__"):
        return _words(parts[0]) + _limits(hint.__metadata__)
    return str(hint)


def _limits(metadata: Any) -> str:
    found = []
    for each in metadata:
        for inner in (each, *getattr(each, "metadata", ())):
            if type(inner) in LIMITS:
                words, name = LIMITS[type(inner)]
                found.append(f"{words} {getattr(inner, name)}")
    return f", {', '.join(found)}" if found else ""


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, Section):
        return "its own defaults"
    if field.default in ({}, ()):
        return "empty"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
