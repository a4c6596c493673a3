"""Config files as text: reading with one sentence for what is wrong, overriding by dotted keys, writing."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from sqwirrel.config.sections import Config
from sqwirrel.errors import InputError, meant
from sqwirrel.limits import check_file, settings

MODEL_FILES, NAMED_IN_MODELS = (".toml", ".yaml", ".yml", ".json"), ("force_constants", "cif", "mcif")


def load(path: Path, changes: Iterable[str] = ()) -> Config:
    """The config in a file, with `changes` like "infer.seed=2" made first. Its paths become absolute."""
    check_file(path)
    table = _table(path)
    for change in changes:
        _change(table, change)
    try:
        config = Config.model_validate(table)
    except ValidationError as error:
        raise InputError(f"{path}: {_sentence(error)}") from None
    return _moved(config, lambda file: str((path.parent / file).resolve()))


def _table(path: Path) -> dict[str, Any]:
    """The tables of a config; data in its place get a word on what to do with them."""
    try:
        return settings(path)
    except InputError:
        if path.suffix == ".toml":
            raise
        raise InputError(
            f'{path.name} is no config; if it is data, name it in one, a file in TOML with model = "..." and '
            f'[measurement] file = "{path.name}", and give that'
        ) from None


def dumps(config: Config, folder: Path) -> str:
    """The config as TOML to be kept in `folder`: a file in or beside it is named from there, others absolutely."""

    def near(file: str) -> str:
        home = folder.resolve()
        return str(Path("..") / Path(file).relative_to(home.parent)) if home.parent in Path(file).parents else file

    kept = ("simulate", "measurements", "share", "causal", "rivals", "discriminate")
    idle = {name for name in kept if getattr(config, name) == Config.model_fields[name].default}
    tables = _moved(config, near).model_dump(mode="json", exclude_none=True, exclude=idle)
    return "\n".join(_lines(tables)) + "\n"


def _moved(config: Config, move: Any) -> Config:
    """The config with every path in it changed by `move`."""
    changed: dict[str, Any] = {"model": _told(config.model, move)}
    rivals = {name: each.model_copy(update={"model": _told(each.model, move)}) for name, each in config.rivals.items()}
    changed["rivals"] = rivals
    if config.measurement is not None:
        changed["measurement"] = _elsewhere(config.measurement, move)
    changed["measurements"] = {label: _elsewhere(entry, move) for label, entry in config.measurements.items()}
    changed["instrument"] = _retold(config.instrument, move)
    if config.truth is not None:
        changed["truth"] = config.truth.model_copy(update={"file": move(config.truth.file)})
    if config.infer.estimator is not None:
        changed["infer"] = config.infer.model_copy(update={"estimator": move(config.infer.estimator)})
    if config.discriminate.estimator is not None:
        estimator = move(config.discriminate.estimator)
        changed["discriminate"] = config.discriminate.model_copy(update={"estimator": estimator})
    if config.match is not None:
        told = config.match
        estimator, frames = told.estimator and move(told.estimator), tuple(move(each) for each in told.frames)
        changed["match"] = told.model_copy(update={"estimator": estimator, "frames": frames})
    if config.advise is not None:
        rivals = {name: move(folder) for name, folder in config.advise.rivals.items()}
        changed["advise"] = config.advise.model_copy(update={"result": move(config.advise.result), "rivals": rivals})
    return config.model_copy(update=changed)


def _told(model: Any, move: Any) -> Any:
    """A model, moved if it is a file or names one."""
    if isinstance(model, str):
        return move(model) if model.endswith(MODEL_FILES) else model
    inner = {key: _told(value, move) for key, value in model.items() if isinstance(value, Mapping)}
    named = {key: move(model[key]) for key in NAMED_IN_MODELS if isinstance(model.get(key), str)}
    return {**model, **inner, **named}


def _elsewhere(section: Any, move: Any) -> Any:
    """A measurement, or a resolution, with its files and those of its instrument moved."""
    named, changed = getattr(section, "file", None), {}
    if named is not None:
        changed["file"] = move(named) if isinstance(named, str) else [move(each) for each in named]
    if isinstance(getattr(section, "model", None), str):
        changed["model"] = _told(section.model, move)
    if hasattr(section, "instrument"):
        changed["instrument"] = _retold(section.instrument, move)
    return section.model_copy(update=changed)


def _retold(instrument: Any, move: Any) -> Any:
    """An instrument with the files of its resolution and its background moved."""
    parts = {name: _elsewhere(getattr(instrument, name), move) for name in ("resolution", "background")}
    return instrument.model_copy(update=parts)


def _change(table: dict[str, Any], change: str) -> None:
    """Set one dotted key; the value is TOML, or else taken for a string."""
    key, equals, text = change.partition("=")
    if not equals or not all(parts := key.strip().split(".")):
        raise InputError(f"--set {change} is not of the form key=value, like --set infer.seed=2")
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {change}: '{part}' is not a table of the config")
    try:
        table[parts[-1]] = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        table[parts[-1]] = text.strip()


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong, with the section and the key it is wrong in."""
    first = error.errors()[0]
    where, section = _place(first["loc"])
    head = f"[{'.'.join(where[:-1])}]" if where[:-1] else "the config"
    if not first["loc"]:
        return str(first["ctx"]["error"]) if "ctx" in first else first["msg"]
    match first["type"]:
        case "extra_forbidden" if where == ["measurement", "kind"]:
            return '[measurement] is a spectrum; a table of peaks goes into [measurements.NAME] with kind = "peaks"'
        case "extra_forbidden":
            return f"{head} has the unknown key '{where[-1]}'; {_known(section, where[-1])}"
        case "missing" if isinstance(first["loc"][-1], int):
            return f"{head} {where[-1]}: too few values, got {list(first['input'])}"
        case "missing":
            return f"{head} lacks the key '{where[-1]}'"
        case "value_error":
            return f"{head} {where[-1]}: {first['ctx']['error']}"
        case "union_tag_not_found" | "union_tag_invalid":
            return f"[{'.'.join(where)}] needs kind = one of {_kinds(section, where)}"
        case "tuple_type" | "list_type":
            return f"{head} {where[-1]}: expected a list in [ ], got {first['input']!r}"
        case _:
            return f"{head} {where[-1]} = {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _known(section: type[BaseModel], key: str) -> str:
    known = list(section.model_fields)
    return f"known are {', '.join(known)}{meant(key, known)}"


def _kinds(section: type[BaseModel], where: list[str]) -> str:
    key = next(key for key in reversed(where) if key in section.model_fields)
    classes = _classes(section.model_fields[key].annotation)
    return ", ".join(f"'{kind}'" for each in classes for kind in get_args(each.model_fields["kind"].annotation))


def _place(loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel]]:
    """The keys of an error's place as the user wrote them (without pydantic's tags), and the section of the last."""
    keys: list[str] = []
    section: type[BaseModel] = Config
    inside: list[type[BaseModel]] = []
    for part in loc:
        if keys and keys[-1] in section.model_fields:
            inside = _classes(section.model_fields[keys[-1]].annotation)
        tagged = [each for each in inside if part == each.__name__ or part in _tags(each)]
        if tagged:
            section = tagged[0]
        elif isinstance(part, str) and "[" not in part and part not in _plain(section, keys):
            section = inside[0] if len(inside) == 1 else section
            keys.append(part)
    return keys or ["config"], section


def _plain(section: type[BaseModel], keys: list[str]) -> set[str]:
    """Names of the plain types (str, ...) that the last key may have: pydantic puts them behind it."""
    known = section.model_fields.get(keys[-1]) if keys else None
    return set() if known is None else {getattr(each, "__name__", "") for each in get_args(known.annotation)}


def _classes(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _classes(part)]


def _tags(section: type[BaseModel]) -> tuple[str, ...]:
    return get_args(section.model_fields["kind"].annotation) if "kind" in section.model_fields else ()


def _lines(table: Mapping[str, Any], name: str = "") -> Iterable[str]:
    """A table as lines of TOML: plain values first, then the tables in it; the leaves of priors stay inline."""
    leaf = name == "prior" or name.endswith(".prior")
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping) and not leaf}
    if name and (len(inner) < len(table) or not table):
        yield f"\n[{name}]"
    for key, value in table.items():
        if key not in inner:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in inner.items():
        yield from _lines(value, f"{name}.{_key(key)}" if name else _key(key))


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return repr(value)
