"""Where pixels of a crystal lie, against Horace: its files hold mounting, detectors, runs, and Q of every pixel.

`wref.sqw` are 186 runs of iron on MAPS, detectors all round the beam; its Q are too long by 0.05 % throughout, as of a
constant hbar^2 / (2 m_n) that was rounded to 2.07 meV angstrom^2. The other is a triclinic cell with all five angles.
"""

import numpy as np
import pytest

from sqwirrel.lattice import Lattice
from sqwirrel.spectra import Goniometer
from sqwirrel.spectra.pixels import Run
from sqwirrel.spectra.readers.horace import stream
from sqwirrel.spectra.readers.horace.binary import Binary
from sqwirrel.units import E_PER_K2


def headers(path):
    """(efix, lattice, goniometer, psi, energy edges) of each run, and angles of detectors (degrees) by their number."""
    with path.open("rb") as file:
        held = Binary(file, path)
        held.skip(10 + 8 + 8)
        for _ in range(3):
            held.text()
        runs = []
        for _ in range(held.integer()):
            held.text(), held.text()
            efix, _ = held.floats(1)[0], held.integer()
            cell, u, v, angles = held.floats(6), held.floats(3), held.floats(3), np.degrees(held.floats(5))
            psi, omega, dpsi, gl, gs = angles.tolist()
            mounted = Goniometer(Lattice(*cell.tolist()), tuple(u.tolist()), tuple(v.tolist()), dpsi, gl, gs, omega)
            runs.append((efix, mounted, psi, held.take("<f4", held.integer()).astype(float)))
            held.skip(4 * (4 + 16 + 4))
            stream._labels(held)
        held.text(), held.text()
        group, _, polar, azimuth, _, _ = held.take("<f4", 6 * held.integer()).reshape(6, -1, order="A").astype(float)
    return runs, dict(zip(group.astype(int), zip(polar, azimuth, strict=True), strict=True))


@pytest.mark.parametrize(
    ("name", "start", "count", "constant", "quadrants"),
    [
        ("wref.sqw", 3225270 - 36 * 59992, 59992, 2.07, 4),
        ("test_sqw_file_read_write_v3_3.sqw", 13462, 7680, E_PER_K2, 2),
    ],
)
def test_pixels_lie_where_horace_puts_them(name, start, count, constant, quadrants, measured):
    path = measured(f"formats/{name}")
    runs, detectors = headers(path)
    pixels = np.frombuffer(path.read_bytes(), "<f4", 9 * count, start).reshape(-1, 9).astype(float)
    seen, furthest = set(), 0.0
    for number in np.unique(pixels[:, 4]).astype(int):
        efix, mounted, psi, edges = runs[number - 1]
        mine = pixels[pixels[:, 4] == number]
        polar, azimuth = np.array([detectors[int(each)] for each in mine[:, 5]]).T
        run = Run(name, efix, psi, None, edges, polar, azimuth, 1, lambda *_: None)
        kf = run.kf[mine[:, 6].astype(int) - 1]
        lab = run.ki * np.array([1, 0, 0]) - kf[:, None] * run.directions
        reciprocal = mounted.lattice.reciprocal.numpy()
        busing_levy = np.linalg.cholesky(reciprocal @ reciprocal.T)  # a* along x and b* in the xy plane
        away = lab @ mounted.to_rlu(psi).T @ busing_levy * (E_PER_K2 / constant) ** 0.5 - mine[:, :3]
        furthest = max(furthest, np.abs(away).max() / np.abs(mine[:, :3]).max())
        seen |= {tuple(signs) for signs in np.sign(run.directions[:, 1:])}
    assert furthest < 3e-7  # seven digits of float32; mountings and angles are kept in it, too
    assert len(seen) >= quadrants  # left or right of the beam, above or below it
