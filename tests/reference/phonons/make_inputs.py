"""The inputs beside this file from the examples of phonopy 4.10.0 (BSD-3-Clause, LICENSE.phonopy.txt).

    pip download --no-deps --no-binary :all: phonopy==4.10.0 and unpack it, then, where Euphonic and phonopy are
    installed (see README.md): python tests/reference/phonons/make_inputs.py phonopy-4.10.0/example

nacl/phonopy.yaml: VASP forces of example/NaCl, everything in one file; Born charges of the example add up to 3e-4 e,
which phonopy and Euphonic deal with differently: here to nothing.
quartz/: CP2K forces of example/SiO2-CP2K-xyz (hartree / angstrom bohr), in three files, as phonopy's users keep them;
the BORN file of the example has elements up to 0.013 that symmetry forbids, with which programs deal differently: here
they are averaged away.
"""

import lzma
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import phonopy
from phonopy import Phonopy
from phonopy.file_IO import parse_BORN, parse_FORCE_SETS, write_force_constants_to_hdf5
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

HERE = Path(__file__).parent


def nacl(examples: Path) -> None:
    """Two displacements in 64 atoms."""
    example = examples / "NaCl"
    made = phonopy.load(
        example / "phonopy_disp.yaml",
        force_sets_filename=example / "FORCE_SETS",
        born_filename=example / "BORN",
        is_compact_fc=True,
    )
    charges = np.round(made.nac_params["born"], 12)
    made.nac_params = {**made.nac_params, "born": charges - charges.mean(0)}
    settings = {"force_sets": False, "displacements": False, "force_constants": True}
    made.save(HERE / "nacl/phonopy.yaml", settings=settings)


def quartz(examples: Path) -> None:
    """Twelve displacements in 72 atoms; the cell is that of Punitcell.inp."""
    example = examples / "SiO2-CP2K-xyz"
    text = (example / "Punitcell.inp").read_text()
    number = r"(-?\d+\.\d+)\s+(-?\d+\.\d+)\s+(-?\d+\.\d+)"
    cell = [[float(x) for x in row] for row in re.findall(rf"^\s+[ABC] {number}", text, re.MULTILINE)]
    atoms = re.findall(rf"^\s+(Si|O) {number}", text, re.MULTILINE)
    unit = PhonopyAtoms(symbols=[a[0] for a in atoms], cell=cell, positions=[[float(x) for x in a[1:]] for a in atoms])
    made = Phonopy(unit, np.diag([2, 2, 2]), primitive_matrix=np.eye(3), calculator="cp2k")
    with tempfile.NamedTemporaryFile("wb") as file:
        file.write(lzma.decompress((example / "FORCE_SETS.xz").read_bytes()))
        file.flush()
        made.dataset = parse_FORCE_SETS(filename=file.name)
    made.produce_force_constants(calculate_full_force_constants=False)
    made.symmetrize_force_constants()
    electric = parse_BORN(made.primitive, filename=example / "BORN")
    charges, dielectric = symmetrize_borns_and_epsilon(electric["born"], electric["dielectric"], unit)
    rows = (dielectric, charges[0], charges[3])  # those of Si 1 and O 1
    lines = [repr(electric["factor"]), *(" ".join(f"{x:.12f}" for x in row.flat) for row in rows)]
    (HERE / "quartz/BORN").write_text("\n".join(lines) + "\n")
    write_force_constants_to_hdf5(
        made.force_constants,
        HERE / "quartz/force_constants.hdf5",
        made.primitive.p2s_map,
        "hartree/angstrom.au",
        "gzip",
    )
    made.save(HERE / "quartz/phonopy.yaml", settings={"force_sets": False, "displacements": False})


if __name__ == "__main__":
    nacl(Path(sys.argv[1]))
    quartz(Path(sys.argv[1]))
