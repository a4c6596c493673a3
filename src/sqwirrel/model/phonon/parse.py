"""Model files of crystals with springs: tables in TOML, checked and carried over the crystal by symmetry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqwirrel.model import inputs
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import bonds_of, model_of
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.prior import Prior


def is_phonons(mapping: Mapping[str, object]) -> bool:
    """Whether the tables of a model are those of springs."""
    return "springs" in mapping


def parse(mapping: Mapping[str, object], folder: Path = Path()) -> PhononModel:
    """All springs that symmetry leaves free, from the tables of a model file; a CIF file is looked for in `folder`.

    Keys: name, title, papers, [crystal] (cell, spacegroup and sites, each a label that begins with an element, a
    position and, if the label does not, the element; or cif), [springs] (max_distance, A), [defaults] and [prior] of
    K1xx, ..., N/m.
    """
    file = inputs.table(mapping, "the model", "name crystal springs", "title papers defaults prior")
    springs = inputs.table(file["springs"], "[springs]", "max_distance")
    reach = float(inputs.numbers(springs["max_distance"], (), "[springs] max_distance"))
    crystal = _crystal(inputs.mapping(file["crystal"], "[crystal]"), folder)
    orbits = bonds_of(crystal, reach)
    given = inputs.mapping(file.get("defaults", {}), "[defaults]")
    return model_of(
        crystal,
        orbits,
        name=str(file["name"]),
        title=str(file.get("title", file["name"])),
        papers=inputs.words(file.get("papers", []), "papers"),
        defaults={name: float(inputs.numbers(value, (), f"[defaults] {name}")) for name, value in given.items()},
        prior=Prior.from_mapping(inputs.mapping(file.get("prior", {}), "[prior]")),
    )


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
