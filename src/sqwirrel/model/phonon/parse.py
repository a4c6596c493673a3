"""Model files of crystals with springs: tables in TOML, checked and carried over the crystal by symmetry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqwirrel.errors import InputError
from sqwirrel.model import inputs
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import bonds_of, model_of
from sqwirrel.model.phonon.files import read_force_constants
from sqwirrel.model.phonon.library.far import prior_of
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.nuclei import element_of
from sqwirrel.model.prior import Prior
from sqwirrel.model.symmetry import BondOrbit

FILE = "force_constants"


def is_phonons(mapping: Mapping[str, object]) -> bool:
    """Whether the tables of a model are those of springs, or name force constants that another program found."""
    return "springs" in mapping or FILE in mapping


def parse(mapping: Mapping[str, object], folder: Path = Path()) -> PhononModel:
    """All springs that symmetry leaves free, from the tables of a model file; files are looked for in `folder`.

    Keys: name, title, papers, [crystal] (cell, spacegroup and sites, each a label that begins with an element, a
    position and, if the label does not, the element; or cif), [springs] (max_distance, A; for more of them, whose
    strengths are believed to fall off as published ones do, far, A, stiffest, N/m, and like, a structure),
    [defaults] and [prior] of K1xx, ..., N/m. Or force_constants, a file of another program, and sum_rule, whether to
    impose it: see `read_force_constants`.
    """
    if FILE in mapping:
        return _imported(mapping, folder)
    file = inputs.table(mapping, "the model", "name crystal springs", "title papers defaults prior")
    crystal = _crystal(inputs.mapping(file["crystal"], "[crystal]"), folder)
    orbits, believed = _springs(inputs.mapping(file["springs"], "[springs]"), crystal)
    given = inputs.mapping(file.get("defaults", {}), "[defaults]")
    return model_of(
        crystal,
        orbits,
        name=str(file["name"]),
        title=str(file.get("title", file["name"])),
        papers=inputs.words(file.get("papers", []), "papers"),
        defaults={name: float(inputs.numbers(value, (), f"[defaults] {name}")) for name, value in given.items()},
        prior=Prior.from_mapping({**believed, **inputs.mapping(file.get("prior", {}), "[prior]")}),
    )


def _springs(table: Mapping[str, Any], crystal: Crystal) -> tuple[list[BondOrbit], dict[str, Any]]:
    """Orbits of bonds with springs, and what is believed of the far ones."""
    near = _length(inputs.table(table, "[springs]", "max_distance", "far stiffest like"), "max_distance")
    if "far" not in table:
        inputs.table(table, "[springs] without far", "max_distance")
        return bonds_of(crystal, near), {}
    inputs.table(table, "[springs] with far", "max_distance far stiffest", "like")
    if (reach := _length(table, "far")) <= near:
        raise InputError(
            f"[springs] far = {reach:g} A is not beyond max_distance = {near:g} A; give a longer one, or none"
        )
    elements = frozenset(site.element or element_of(site.kind) for site in crystal.sites)
    orbits, stiffest = bonds_of(crystal, reach), float(inputs.numbers(table["stiffest"], (), "[springs] stiffest"))
    return orbits, prior_of(orbits, near, stiffest, str(table.get("like", "")), but=elements)


def _length(table: Mapping[str, Any], key: str) -> float:
    return float(inputs.numbers(table[key], (), f"[springs] {key}"))


def _imported(mapping: Mapping[str, object], folder: Path) -> PhononModel:
    file = inputs.table(mapping, "a model of force constants", FILE, "sum_rule")
    if not isinstance(file[FILE], str):
        raise InputError(f"{FILE} must be the path of a file, got {file[FILE]!r}")
    return read_force_constants(folder / file[FILE], sum_rule=inputs.switch(file.get("sum_rule", False), "sum_rule"))


def _crystal(table: Mapping[str, Any], folder: Path) -> Crystal:
    if "cif" in table:
        inputs.table(table, "[crystal]", "cif")
        return Crystal.from_cif(folder / str(table["cif"]))
    inputs.table(table, "[crystal]", "cell spacegroup sites")
    entries = inputs.tables(table["sites"], "[[crystal.sites]]", "label position", "element")
    sites = {
        str(entry["label"]): inputs.numbers(entry["position"], (3,), f"position of site '{entry['label']}'").tolist()
        for entry in entries
    }
    cell = inputs.numbers(table["cell"], (6,), "[crystal] cell").tolist()
    found = Crystal.from_spacegroup(cell, table["spacegroup"], sites)
    return found.of_elements({str(entry["label"]): str(entry["element"]) for entry in entries if "element" in entry})
