"""Resolutions that rescalculator 2.0.1 computes (W. Ratcliff, MIT licence), kept in cooper_nathans.json.

    pip install rescalculator==2.0.1 && python tests/reference/peer_cooper_nathans.py

Its lattice (icp-lattice-calculator 0.1.1) adds 1e-3 to a denominator of reciprocal angles, which moves |Q| of oblique
cells by some 1e-4 1/angstrom; that is set to nothing here.
"""

import json
from importlib.metadata import version
from math import pi
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent / "cooper_nathans.json"
TAU = {"pg(002)": 1.87325, "ge(111)": 1.92366, "ge(220)": 3.14131, "pg(004)": 3.74650}
"""Reciprocal spacings of rescalculator, 1/angstrom."""
CONSTANT = 2.072
"""hbar^2 / 2 m of rescalculator, meV angstrom^2."""
CUBIC, HEXAGONAL = (5.0, 5.0, 5.0, 90, 90, 90), (5.034785, 5.034785, 13.812004, 90, 90, 120)
OBLIQUE = (5.1, 6.2, 7.3, 80.0, 95.0, 110.0)
THERMAL = {"crystals": ("pg(002)", "pg(002)"), "mosaic": (30, 30, 30, 30), "sample": (0, 0), "fixed_energy": 14.7}
COLD = {"crystals": ("pg(002)", "pg(002)"), "mosaic": (30, 30, 90, 90), "sample": (30, 30), "fixed_energy": 4.8}
HOT = {"crystals": ("ge(220)", "pg(004)"), "mosaic": (15, 12, 40, 25), "sample": (12, 12), "fixed_energy": 60.0}
NARROW = {"horizontal": (20, 20, 20, 40), "vertical": (60, 70, 80, 90)}
WIDE = {"horizontal": (60, 40, 80, 120), "vertical": (600, 120, 150, 300)}


def _case(cell: Any, plane: Any, q: Any, energy: float, base: Any, collimation: Any, **change: Any) -> dict[str, Any]:
    """`senses` are those of the monochromator, the sample and the analyser; rescalculator has -1 at the sample."""
    place = {"cell": cell, "plane": plane, "q": q, "energy": energy, "senses": (1, -1, 1), "fixed": "final"}
    return {**place, **base, **collimation, **change}


HK0, HHL, ODD = ((1, 0, 0), (0, 1, 0)), ((1, 1, 0), (0, 0, 1)), ((1, 0, 0), (0, 1, 1))
CASES = [
    _case(CUBIC, HK0, (1, 0, 0), 0.0, THERMAL, NARROW),
    _case(CUBIC, HK0, (1.5, 0.3, 0), 8.0, THERMAL, WIDE),
    _case(CUBIC, HK0, (-1.2, 1.7, 0), -5.0, THERMAL, NARROW, sample=(25, 25)),
    _case(CUBIC, HHL, (1, 1, 1), 15.0, THERMAL, WIDE, sample=(40, 15)),
    _case(CUBIC, HHL, (0.9, 0.9, -1.3), 3.0, THERMAL, WIDE, fixed="initial"),
    _case(CUBIC, HK0, (1, 0.5, 0), 6.0, THERMAL, WIDE, senses=(1, -1, -1)),
    _case(CUBIC, HK0, (1, 0.5, 0), 6.0, THERMAL, WIDE, senses=(-1, -1, 1)),
    _case(CUBIC, HK0, (1, 0.5, 0), 6.0, THERMAL, NARROW, senses=(-1, -1, -1), fixed="initial"),
    _case(HEXAGONAL, HHL, (-0.5, -0.5, 3.0), 1.5, COLD, WIDE),
    _case(HEXAGONAL, HHL, (0.5, 0.5, 1.2), -0.7, COLD, NARROW, fixed="initial"),
    _case(OBLIQUE, HK0, (2, -1, 0), 20.0, HOT, WIDE),
    _case(OBLIQUE, ODD, (1.1, 2.2, 2.2), 40.0, HOT, NARROW, fixed="initial"),
    _case(OBLIQUE, ODD, (-2.0, 1.3, 1.3), 40.0, HOT, WIDE, crystals=("ge(111)", "ge(220)"), senses=(1, -1, -1)),
    _case(OBLIQUE, ODD, (1.3, -0.2, -0.2), -3.0, THERMAL, NARROW, crystals=("ge(111)", "pg(002)"), sample=(10, 20)),
]


def peer(case: dict[str, Any]) -> tuple[np.ndarray, float, float]:
    """Covariance of (h, k, l, E), and the peak of the resolution function for the same time and the same monitor."""
    import lattice_calculator
    from rescalculator import TASResolution

    lattice_calculator.lattice_calculator.eps = 0
    cell = [np.array([float(x)]) for x in case["cell"]]
    first, second = (np.array([vector], dtype=float) for vector in case["plane"])
    lattice = lattice_calculator.Lattice(*cell, orient1=first, orient2=second)
    lattice.npts = 1
    place = [np.array([float(x)]) for x in (*case["q"], case["energy"])]
    found = [TASResolution(lattice, backend="numpy").ResMatS(*place, [_setup(case, moncor)]) for moncor in (0, 1)]
    axes = np.zeros((4, 4))
    axes[0, :3], axes[1, :3], axes[3, :3] = lattice.x[:, 0], lattice.y[:, 0], lattice.z[:, 0]
    axes[2, 3] = 1
    spread = np.linalg.inv(np.asarray(found[0][1])[..., 0])
    peaks = [float(np.ravel(peak)[0]) for peak, _ in found]
    return axes.T @ spread @ axes, peaks[0], peaks[1]


def _setup(case: dict[str, Any], moncor: int) -> dict[str, Any]:
    (mono, ana), mosaic = case["crystals"], case["mosaic"]
    return {
        "efixed": case["fixed_energy"],
        "infin": 1 if case["fixed"] == "initial" else -1,
        "dir1": case["senses"][0],
        "dir2": case["senses"][2],
        "mono": {"tau": mono, "mosaic": mosaic[0], "vmosaic": mosaic[1]},
        "ana": {"tau": ana, "mosaic": mosaic[2], "vmosaic": mosaic[3]},
        "sample": {"mosaic": case["sample"][0], "vmosaic": case["sample"][1]},
        "hcol": case["horizontal"],
        "vcol": case["vertical"],
        "moncor": moncor,
    }


def spacing(crystal: str) -> float:
    """What rescalculator takes for the spacing of a crystal, angstrom."""
    return 2 * pi / TAU[crystal]


def main() -> None:
    """Write the file."""
    rows = []
    for case in CASES:
        covariance, peak, for_monitor = peer(case)
        rows.append({**case, "covariance": covariance.tolist(), "peak": peak, "peak_for_monitor": for_monitor})
    made = {name: version(name) for name in ("rescalculator", "icp-lattice-calculator", "numpy")}
    FILE.write_text(json.dumps({"made_with": made, "cases": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
