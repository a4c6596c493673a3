"""Published Hamiltonians by name, one TOML file each, with the paper and the number or figure it reproduces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqwirrel.errors import InputError, meant
from sqwirrel.limits import is_file, settings
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.files import mcif
from sqwirrel.model.parse import parse, parse_crystal
from sqwirrel.model.phonon import library as springs
from sqwirrel.model.phonon.files import read_force_constants
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.parse import is_phonons
from sqwirrel.model.phonon.parse import parse as parse_springs
from sqwirrel.model.spin import SpinModel

FOLDER = Path(__file__).parent
COMPUTED, STRUCTURES = (".yaml", ".yml", ".json"), (".cif", ".mcif")
Name = str | Path | Mapping[str, Any]


def names() -> tuple[str, ...]:
    """Models of the library.

    >>> "mnf2" in names()
    True
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str | Path) -> SpinModel:
    """A model of spins of the library by name, or a model file by path (ending in .toml)."""
    return of_spins(find(name))


def of_spins(model: SpinModel | PhononModel) -> SpinModel:
    """The same, refused where it has no spins."""
    if isinstance(model, PhononModel):
        raise InputError(f"model '{model.name}' has springs, and this needs spins: an order or peaks of magnons")
    return model


def find(name: Name) -> SpinModel | PhononModel:
    """A model of spins as `load` finds it, or one of springs: published, in a file, or what another program computed.

    In place of a name there may be the tables of a model file.

    >>> find("al_80k").names[:3]
    ('K1xx', 'K1xy', 'K1zz')
    """
    if not isinstance(name, Mapping):
        if name in springs.names():
            return springs.load(str(name))
        if str(name).endswith(COMPUTED):
            return read_force_constants(name)
    mapping, folder = _read(name)
    return parse_springs(mapping, folder) if is_phonons(mapping) else parse(mapping, folder)


def has_springs(name: Name) -> bool:
    """Whether a model is one of springs, read no further than that takes."""
    if isinstance(name, Mapping):
        return is_phonons(name)
    if name in springs.names() or str(name).endswith(COMPUTED):
        return True
    return not str(name).endswith(STRUCTURES) and is_phonons(_read(name)[0])


def crystal(name: Name) -> Crystal:
    """The magnetic sites of a model, or all sites of a structure file by path (ending in .cif or .mcif)."""
    if not isinstance(name, Mapping) and str(name).endswith(STRUCTURES):
        return mcif.read(Path(name)).crystal if str(name).endswith(".mcif") else Crystal.from_cif(name)
    mapping, folder = _read(name)
    return parse_crystal(mapping.get("crystal", {}), folder)[0]


def _read(name: Name) -> tuple[dict[str, Any], Path]:
    """The tables of a model, and the folder where the files that it names are looked for."""
    if isinstance(name, Mapping):
        return dict(name), Path()
    path = Path(name) if str(name).endswith(".toml") else FOLDER / f"{name}.toml"
    if not is_file(path):
        raise InputError(
            f"there is no model '{name}'; the library has {', '.join(names())}, and models of phonons like al_80k "
            f"(sqwirrel list); or give a .toml file{meant(str(name), [*names(), *springs.names()])}"
        )
    return settings(path), path.parent
