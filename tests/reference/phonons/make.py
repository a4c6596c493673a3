"""Energies and one-phonon structure factors by Euphonic and phonopy, kept in values.npz (README.md says how to run it).

Of each case: `q` (reciprocal vectors of its unit cell), and by program `thz` (mode by mode, lowest first) and
`intensity`, without thermal motion, at 0 K, with the scattering lengths `lengths` (fm, in the order of the atoms):
Euphonic's own number (mb / sr per atom), phonopy's without its unit conversion, which is
|sum b Q.e / (2 m)^1/2|^2 / frequency (fm^2 / angstrom^2 u THz).
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import phonopy
from euphonic import ForceConstants, ureg
from phonopy.spectrum.dynamic_structure_factor import DynamicStructureFactor

HERE = Path(__file__).parent
LENGTHS = {"Al": 3.449, "Si": 4.1491, "Na": 3.63, "Cl": 9.577, "O": 5.803}
SPECIAL = [
    [0, 0, 0],
    [1, 0, 0],
    [0.5, 0.5, 0.5],
    [0.5, 0, 0],
    [0, 0, 0.5],
    [0.25, 0.25, 0.25],
    [2, 1, 0.3],
    [1, 1, 1.01],
]
CLOSE = [[1e-3, 0, 0], [0, 0, 1e-3], [2 + 6e-4, 8e-4, 5e-4], [1e-4, 2e-4, 0]]


def q_of(seed: int) -> np.ndarray:
    """Symmetric ones, some next to a Bragg point, and some anywhere."""
    return np.concatenate((SPECIAL, CLOSE, np.random.default_rng(seed).uniform(-3, 3, (12, 3))))


def by_euphonic(constants: ForceConstants, q: np.ndarray) -> dict[str, np.ndarray]:
    """`q` in reciprocal vectors of the primitive cell; sums of dipoles are longer than usual, to 1e-9 or so."""
    modes = constants.calculate_qpoint_phonon_modes(q, asr=None, splitting=False, dipole_parameter=1.0)
    seen = modes.calculate_structure_factor(scattering_lengths={k: v * ureg("fm") for k, v in LENGTHS.items()})
    return {
        "thz": modes.frequencies.to("THz").magnitude,
        "intensity": seen.structure_factors.to("mbarn").magnitude,
        "lengths": np.array([LENGTHS[kind] for kind in constants.crystal.atom_type]),
    }


def loaded(path: Path) -> phonopy.Phonopy:
    """With what is beside it."""
    beside = {}
    if (path.parent / "BORN").exists():
        beside = {
            "born_filename": path.parent / "BORN",
            "force_constants_filename": path.parent / "force_constants.hdf5",
        }
    return phonopy.load(path, symmetrize_fc=False, is_compact_fc=True, **beside)


def for_euphonic(path: Path) -> ForceConstants:
    """All in one file: Euphonic reads a BORN file only if it lists all atoms.

    In its formulas the first index of a Born charge is the displacement, in phonopy's and the paper's (X. Gonze, C.
    Lee, Phys. Rev. B 55, 10355) it is the field; Euphonic 2.1.1 does not transpose what it reads, so that is done here.
    """
    made = loaded(path)
    exact = ""
    if made.nac_params:
        made.nac_params = {**made.nac_params, "born": made.nac_params["born"].transpose(0, 2, 1)}
        exact = f"unit_conversion_factor: {made.nac_params['factor']!r}"  # written with six decimals
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "phonopy.yaml"
        made.save(file, settings={"force_sets": False, "displacements": False, "force_constants": True})
        if exact:
            head, nac, rest = file.read_text().partition("nac:")
            file.write_text(head + nac + re.sub(r"\bunit_conversion_factor: .*", exact, rest))
        return both_ways(ForceConstants.from_phonopy(path=folder))


def both_ways(constants: ForceConstants) -> ForceConstants:
    """Each bond with the mean of what is written for its two directions: Euphonic takes one of them, phonopy the mean."""
    inverse = np.linalg.inv(constants.sc_matrix)
    kinds = [tuple(np.round(n @ inverse % 1, 6) % 1) for n in constants.cell_origins]
    back = [kinds.index(tuple(np.round(-n @ inverse % 1, 6) % 1)) for n in constants.cell_origins]
    constants._force_constants = (constants._force_constants + constants._force_constants[back].transpose(0, 2, 1)) / 2
    return constants


def by_phonopy(path: Path, q: np.ndarray) -> dict[str, np.ndarray]:
    """Its structure factors come with thermal motion, which is set to nothing.

    phonopy leaves out the sum over near dipoles; with more reciprocal vectors than usual, that is nothing.
    """
    made = loaded(path)
    if made.nac_params:
        made.nac_params = {**made.nac_params, "G_cutoff": 2.5}
    made.run_mesh([2, 2, 2], is_mesh_symmetry=False, with_eigenvectors=True)
    seen = DynamicStructureFactor(made.mesh, q, 0.0, scattering_lengths=LENGTHS, factor=made.unit_conversion_factor)
    seen._thermal_displacement_matrices = np.zeros((len(made.primitive), 3, 3))
    seen.run()
    return {
        "thz": seen.frequencies,
        "intensity": seen.dynamic_structure_factors / seen._unit_conversion_factor,
        "lengths": np.array([LENGTHS[kind] for kind in made.primitive.symbols]),
    }


def main(shared: Path) -> None:
    """All cases."""
    found = {}

    def keep(case: str, seed: int, primitive: np.ndarray, **by: object) -> None:
        found[f"{case}/q"] = q = q_of(seed)
        for program, run in by.items():
            for key, value in run(q @ primitive.T).items():
                found[f"{case}/{program}/{key}"] = value

    fcc = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    al, nacl, quartz = shared / "Al-444-lda.yaml", HERE / "nacl/phonopy.yaml", HERE / "quartz/phonopy.yaml"
    silicon = ForceConstants.from_json_file(shared / "Si-prim-555.json")
    keep("si", 1, np.eye(3), euphonic=lambda q: by_euphonic(silicon, q))
    for case, seed, path, primitive in (("al", 2, al, fcc), ("nacl", 3, nacl, fcc), ("quartz", 4, quartz, np.eye(3))):
        constants = for_euphonic(path)
        if path.parent.parent == HERE:
            held = json.loads(json.dumps(constants.to_dict(), default=lambda array: array.tolist()))
            text = json.dumps({"__euphonic_class__": "ForceConstants", **held}, separators=(",", ":"))
            (path.parent / "euphonic.json").write_text(text + "\n")
        keep(
            case,
            seed,
            primitive,
            euphonic=lambda q, it=constants: by_euphonic(it, q),
            phonopy=lambda q, it=path: by_phonopy(it, q),
        )
    np.savez_compressed(HERE / "values.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
