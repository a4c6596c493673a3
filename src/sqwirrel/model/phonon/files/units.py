"""Units of force constants, lengths and masses as programs spell them."""

import re
from pathlib import Path

from sqwirrel.errors import InputError

BOHR, HARTREE, EV = 0.529177210903, 27.211386245988, 16.02176634
"""Bohr radius, A; Hartree energy, eV; 1 eV / A^2 in N/m (CODATA 2018)."""
RY = HARTREE / 2
ELECTRON = 5.48579909065e-4
"""Mass of an electron, u (CODATA 2018)."""
UNITS = {
    "A": {"angstrom": 1.0, "au": BOHR, "bohr": BOHR},
    "u": {"amu": 1.0, "unified_atomic_mass_unit": 1.0, "electron_mass": ELECTRON},
    "eV": {"ev": 1.0, "electron_volt": 1.0, "millielectron_volt": 1e-3, "hartree": HARTREE, "ry": RY, "mry": RY / 1000},
}


def unit(spelled: str, kind: str, path: Path) -> float:
    """A unit in ours of this kind: "A", "u" or "eV"."""
    known = UNITS[kind]
    if spelled.strip().lower() not in known:
        raise InputError(f"{path.name} has the unit '{spelled}' where one of {', '.join(known)} is expected")
    return known[spelled.strip().lower()]


def stiffness(spelled: str, path: Path) -> float:
    """A unit such as "eV/angstrom^2", "hartree/angstrom.au" or "hartree / bohr ** 2" in N/m."""
    parts = re.sub(r"\s", "", spelled).replace("**", "^").split("/")
    below = [piece for part in parts[1:] for piece in re.split(r"[.*]", part)]
    lengths = [name for piece in below for name in [piece.removesuffix("^2")] * (2 if piece.endswith("^2") else 1)]
    if len(lengths) != 2:
        raise InputError(f"{path.name} has force constants in '{spelled}'; expected an energy by two lengths")
    return EV * unit(parts[0], "eV", path) / (unit(lengths[0], "A", path) * unit(lengths[1], "A", path))
