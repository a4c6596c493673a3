"""Powder maps of phonons by Euphonic, for `benchmarks.phonon_powder`: run by a Python that has Euphonic.

    python benchmarks/peers/euphonic_maps.py JOB.json RESULT.npz

What `euphonic.powder.sample_sphere_structure_factor` does at one |Q| is done for every bin of |Q|, with its own even
(golden) directions, turned as a whole at random from bin to bin; lengths are spread over the bin, so that a map is the
mean over bins and has no error but that of few points. Modes by its C extension, one thread.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import euphonic
import numpy as np
from euphonic import DebyeWaller, ForceConstants, ureg
from euphonic.powder import _get_qpts_sphere, _qpts_cart_to_frac
from numpy.typing import NDArray

Array = NDArray[np.float64]


def main(job: dict[str, Any], result: Path) -> None:
    """Maps on fine energy bins (mb / sr / meV per atom), and seconds, of every number of directions asked for."""
    constants = ForceConstants.from_json_file(job["constants"])
    crystal = constants.crystal
    seen = {
        "scattering_lengths": {kind: b * ureg("fm") for kind, b in job["lengths"].items()},
        "dw": DebyeWaller(crystal, np.array(job["motion"]) / 2 * ureg("angstrom**2"), job["temperature"] * ureg("K")),
    }
    bins = np.array(job["energy"]) * ureg("meV")
    edges, generator = np.array(job["edges"]), np.random.default_rng(job["seed"])
    constants.calculate_qpoint_phonon_modes(np.full((4, 3), 0.1), use_c=True, n_threads=1)  # nothing is timed cold
    keep(result, version=np.array(euphonic.__version__))
    for count, repeats in job["directions"]:
        maps, seconds = [], []
        for _ in range(repeats):
            points = [
                _qpts_cart_to_frac(sphere(count, generator) * ends(low, high, count, generator), crystal)
                for low, high in zip(edges[:-1], edges[1:], strict=True)
            ]
            clock = time.perf_counter()
            rows = []
            for q in points:
                modes = constants.calculate_qpoint_phonon_modes(q, use_c=True, n_threads=1)
                line = modes.calculate_structure_factor(**seen).calculate_1d_average(bins)
                rows.append(line.y_data.to("mbarn/meV").magnitude)
            seconds.append(time.perf_counter() - clock)
            maps.append(np.array(rows))
        keep(result, **{f"maps/{count}": np.array(maps), f"seconds/{count}": np.array(seconds)})


def sphere(count: int, generator: np.random.Generator) -> Array:
    """Directions, turned by a random rotation."""
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    return _get_qpts_sphere(count, sampling="golden") @ turn


def ends(low: float, high: float, count: int, generator: np.random.Generator) -> Any:
    """Lengths between two |Q| (1/angstrom), even in volume: a radical inverse, as even beside golden directions."""
    index, share, digit = np.arange(count), np.full(count, generator.random()), 0.5
    while digit * count > 0.5:
        share, index, digit = share + digit * (index % 2), index // 2, digit / 2
    return (low**3 + (high**3 - low**3) * (share % 1))[:, None] ** (1 / 3) * ureg("1/angstrom")


def keep(result: Path, **more: NDArray[Any]) -> None:
    """Adds to what is there, so that a run that is cut short has what it did."""
    held = dict(np.load(result)) if result.exists() else {}
    np.savez(result, **held, **more)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
