"""Energies of Euphonic with the acoustic sum rule imposed, kept in sum_rule.npz (README.md says how to run it).

`si/q` are wavevectors that its 5 x 5 x 5 supercell has (not q = 0), `si/realspace` and `si/none` THz there; `al/q` any,
`al/reciprocal` after the force constants of each atom with itself were made 2 % larger.
"""

import sys
from pathlib import Path

import numpy as np
from euphonic import ForceConstants
from make import both_ways

HERE = Path(__file__).parent


def thz(constants: ForceConstants, q: np.ndarray, asr: str | None) -> np.ndarray:
    """Mode by mode, lowest first."""
    return constants.calculate_qpoint_phonon_modes(q, asr=asr).frequencies.to("THz").magnitude


def stiffer(constants: ForceConstants) -> ForceConstants:
    """Each atom with itself by 2 %."""
    (own,) = np.flatnonzero((constants.cell_origins == 0).all(1))
    for k in range(constants.crystal.n_atoms):
        block = slice(3 * k, 3 * k + 3)
        constants._force_constants[own, block, block] *= 1.02
    return constants


def main(shared: Path) -> None:
    """Both."""
    random = np.random.default_rng(5)
    silicon = ForceConstants.from_json_file(shared / "Si-prim-555.json")
    aluminium = stiffer(both_ways(ForceConstants.from_phonopy(path=shared, summary_name="Al-444-lda.yaml")))
    n, q = random.integers(1, 5, (12, 3)) / 5, random.uniform(-2, 2, (12, 3))
    near = np.concatenate((q, 1e-3 * q[:2], np.eye(3)))
    fcc = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    np.savez_compressed(
        HERE / "sum_rule.npz",
        **{
            "si/q": n,
            "si/none": thz(silicon, n, None),
            "si/realspace": thz(silicon, n, "realspace"),
            "al/q": near,
            "al/reciprocal": thz(aluminium, near @ fcc.T, "reciprocal"),
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
