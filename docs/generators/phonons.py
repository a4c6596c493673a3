"""Published phonon models: what is in the library, what is noted about it, and what was left out."""

import torch

from generators.tables import number, table
from sqwirrel.model.phonon import library
from sqwirrel.simulate.phonon.phonons import Phonons

GPA = 1.66053907e-27 / 1e-30 * 1e-20 / 6.582119569e-13**2 / 1e9
"""u / angstrom^3 (meV angstrom)^2 / hbar^2 in GPa."""
STEP = 1e-3
"""1/angstrom: a wavevector that is short beside the zone."""


def page() -> str:
    """Tables of models, notes and sets left out."""
    heads = ("name", "model", "fitted", "along, GPa", "across, GPa", "papers")
    notes = [(f"`{name}`", note) for name in library.by_temperature() if (note := library.published(name).get("note"))]
    parts = (
        table(heads, [_row(name) for name in library.by_temperature()]),
        "What is not as the source has it, or known to be far from measurement:",
        table(("name", "note"), notes),
        "Left out:",
        table(("name", "reason"), [(f"`{name}`", reason) for name, reason in library.LEFT_OUT.items()]),
    )
    return "\n\n".join(parts)


def _row(name: str) -> tuple[str, ...]:
    model, entry = library.load(name), library.published(name)
    way = [[0.0, 0.0, STEP]] if entry["structure"] == "hcp" else [[STEP, 0.0, 0.0]]
    q = model.lattice.to_rlu(torch.tensor(way, dtype=torch.float64))
    slopes = Phonons(model, q).energies(model.pack())[0, 0, -3:-1] / STEP
    density = float(model.masses.sum()) / model.cell.volume
    along, across = (slopes**2 * density * GPA).tolist()
    return f"`{name}`", model.title, entry.get("remark", ""), number(along), number(across), "; ".join(model.papers)
