"""Force constants from other programs, as models; a file's format is known by its content."""

import logging
from pathlib import Path

from sqwirrel.errors import InputError
from sqwirrel.limits import check_file, head
from sqwirrel.model.phonon.files import euphonic, phonopy
from sqwirrel.model.phonon.files.sum_rule import energy_at_zero, imposed
from sqwirrel.model.phonon.model import PhononModel

FORMATS = {"euphonic": euphonic, "phonopy": phonopy}
RESTING = 0.1
"""Energies, meV, of acoustic phonons at a Bragg point that are worth a word: below what a measurement shows."""


def read_force_constants(path: str | Path, *, sum_rule: bool = False) -> PhononModel:
    """The model in a phonopy.yaml (force constants and Born charges in it or beside it) or a JSON file of Euphonic.

    Its one parameter is "stiffness", a factor on all force constants, 1 unless fitted. Wavevectors are in reciprocal
    vectors of the unit cell of phonopy, or of the cell of Euphonic. Force constants are those of the file; with
    `sum_rule` acoustic phonons begin at zero (`sum_rule.imposed` says how). Without it, that they do not is logged.
    """
    model = _read(Path(path))
    if sum_rule:
        return imposed(model)
    if (energy := energy_at_zero(model)) > RESTING:
        logging.getLogger("sqwirrel").warning(
            "%s breaks the acoustic sum rule: when all atoms move alike (q = 0) forces are of %.2g meV and not 0; "
            "sum_rule = true, beside force_constants in [model], imposes it",
            path,
            energy,
        )
    return model


def _read(path: Path) -> PhononModel:
    check_file(path)
    start = head(path)
    if euphonic.sniff(start):
        return euphonic.read(path)
    if phonopy.sniff(start):
        return phonopy.read(path)
    raise InputError(
        f"{path.name} is neither a phonopy.yaml nor force constants of Euphonic in JSON; FORCE_CONSTANTS and "
        "force_constants.hdf5 are read with the phonopy.yaml beside them: give that"
    )
