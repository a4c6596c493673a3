"""Force constants from other programs, as models; a file's format is known by its content."""

from pathlib import Path

from sqwirrel.errors import InputError
from sqwirrel.limits import check_file, head
from sqwirrel.model.phonon.files import euphonic, phonopy
from sqwirrel.model.phonon.model import PhononModel


def read_force_constants(path: str | Path) -> PhononModel:
    """The model in a phonopy.yaml (force constants and Born charges in it or beside it) or a JSON file of Euphonic.

    Its one parameter is "stiffness", a factor on all force constants, 1 unless fitted. Wavevectors are in reciprocal
    vectors of the unit cell of phonopy, or of the cell of Euphonic.
    """
    path = Path(path)
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
