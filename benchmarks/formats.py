"""Every measured file and what is understood of it, or why it is refused, and whether our own HDF5 keeps all of it.

    python -m benchmarks.formats [--json FILE]

One row a file of ../shared/data: bins, unmeasured ones, ranges, lattice, fixed energy, temperature; `kept` says that
the spectrum written to .h5 and read again is the same, bit by bit. Scans of NiTiO3 are counted, not listed. Values are
compared with those stated in the data by `pytest tests/reference/test_formats.py test_scans.py test_readers.py`.
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from sqwirrel.errors import InputError
from sqwirrel.spectra import QShells, Spectrum, read, write

DATA = Path(__file__).parents[2] / "shared" / "data"
TEXTS = ("LICENSE", "LICENCE", "README")


def main() -> None:
    """Prints the table, and writes it if asked for."""
    parser = argparse.ArgumentParser(description="What is understood of every measured file.")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--quick", action="store_true", help="the same: it is quick")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("formats needs ../shared/data, which is not here: nothing was run")
    rows = [row(path) for path in files()]
    scans = Counter(each["outcome"] for each in rows if "nitio3/scans" in each["file"])
    for each in rows:
        if "nitio3/scans" not in each["file"]:
            print(" | ".join(str(value) for value in each.values()))
    print(f"nitio3/scans: {dict(scans)}; not kept: {[each['file'] for each in rows if each.get('kept') is False]}")
    if options.json:
        options.json.write_text(json.dumps({"benchmark": "formats", "rows": rows}, indent=1) + "\n")


def files() -> list[Path]:
    """All that may be a measurement."""
    every = sorted(path for path in DATA.rglob("*") if path.is_file())
    return [path for path in every if not path.name.startswith(TEXTS)]


def row(path: Path) -> dict[str, Any]:
    """What is understood of a file."""
    name = path.relative_to(DATA).as_posix()
    try:
        spectrum = read(path)
    except InputError as error:
        return {"file": name, "outcome": "refused", "why": str(error)}
    where = spectrum.measurement
    lattice = None if isinstance(where.points, QShells) else where.points.lattice
    return {
        "file": name,
        "outcome": "read",
        "points": type(where.points).__name__,
        "bins": where.shape,
        "unmeasured": int((~spectrum.valid).sum()),
        "energy_meV": [round(each, 3) for each in where.range],
        "cell": None if lattice is None else [round(each, 3) for each in (lattice.a, lattice.b, lattice.c)],
        "incident_meV": where.incident_energy,
        "final_meV": where.final_energy,
        "temperature_K": where.temperature,
        "kept": is_kept(spectrum),
    }


def is_kept(spectrum: Spectrum) -> bool:
    """Whether our HDF5 gives back the same values, errors, mask, bins and conditions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kept.h5"
        write(path, spectrum)
        again = read(path)
    pairs = [(getattr(spectrum, name), getattr(again, name)) for name in ("intensity", "error", "valid")]
    here, there = spectrum.measurement, again.measurement
    pairs += [(here.energy, there.energy), (here.field, there.field)]
    places = ("edges",) if isinstance(here.points, QShells) else ("q", "box")
    pairs += [(getattr(here.points, name), getattr(there.points, name)) for name in places]
    if here.exposure is not None and there.exposure is not None:
        pairs.append((here.exposure, there.exposure))
    conditions = ("temperature", "incident_energy", "final_energy", "exposure_unit")
    return (
        type(here.points) is type(there.points)
        and (here.exposure is None) == (there.exposure is None)
        and spectrum.is_counts == again.is_counts
        and all(getattr(here, name) == getattr(there, name) for name in conditions)
        and all(torch.equal(one, other) for one, other in pairs)
    )


if __name__ == "__main__":
    main()
