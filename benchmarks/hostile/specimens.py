"""Whole files to start from: measured ones, and those that our own writers make."""

import io
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.io
import torch

from benchmarks.hostile.hdf5 import whole
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.spectra import Beam, Measurement, QGrid, QPath, QPoints, QShells, Spectrum, write
from sqwirrel.spectra.points import Numbers
from sqwirrel.spectra.readers import ASKING, READERS

DATA = Path(__file__).parents[3] / "shared" / "data"
CUT = 'lattice = [5, 5, 5, 90, 90, 90]\nranges = { "[H,-H,0]" = [-0.1, 0.1], "[0,0,L]" = [-0.1, 0.1] }\n'
NAMED = 'axes = ["[H,H,0]", "energy"]\n'
ENERGY = "incident_energy = 800\n"
TOLD = {
    "mdhisto_1d_cut.nxs": "lattice = [5, 5, 14, 90, 90, 120]",
    "w2d_qe_d2d.sqw": "beam = [0, 0, 1]\nincident_energy = 140\n",
    "test_filetypes.spe": CUT,
    "test_filetypes.xyie": NAMED + CUT,
    "test_filetypes.iexy": NAMED + CUT,
    "spe_with_NANs.spe": ENERGY,
    "Fe4_2K_reduced_11l.spe": ENERGY,
}
DETECTORS = {"spe_with_NANs.spe": 5, "Fe4_2K_reduced_11l.spe": 16}
SPIN = {
    "cif": (
        "m.cif",
        "data_x\n_cell_length_a 4.8736\n_cell_length_b 4.8736\n_cell_length_c 3.2998\n_cell_angle_alpha 90\n"
        "_cell_angle_beta 90\n_cell_angle_gamma 90\n_space_group_name_H-M_alt 'P 42/m n m'\nloop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nMn1 Mn2+ 0 0 0\n"
        "F1 F1- 0.305 0.305 0\n",
    ),
    "mcif": (
        "m.mcif",
        "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 6\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
        "_cell_angle_gamma 90\n_parent_space_group.child_transform_Pp_abc 'a,b,2c;0,0,0'\nloop_\n"
        "_space_group_symop_magn_operation.xyz\n'x,y,z,+1'\n'-x,-y,-z,+1'\nloop_\n"
        "_space_group_symop_magn_centering.xyz\n'x,y,z,+1'\n'x,y,z+1/2,-1'\nloop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\nA Mn 0 0 0\n"
        "O O 0.5 0.5 0.25\nloop_\n_atom_site_moment.label\n_atom_site_moment.crystalaxis_x\n"
        "_atom_site_moment.crystalaxis_y\n_atom_site_moment.crystalaxis_z\nA 0 3.0(2) 0\n",
    ),
    "exchange": (
        "exchange.csv",
        "i,j,n1,n2,n3,J\n" + "".join(f"Mn_1,Mn_2,{-a},{-b},{-c},0.3\n" for a in (0, 1) for b in (0, 1) for c in (0, 1)),
    ),
    "tb2j": (
        "exchange.out",
        "Cell (Angstrom):\n4.8736 0.0 0.0\n0.0 4.8736 0.0\n0.0 0.0 3.2998\n\nAtoms:\nMn1 0.0 0.0 0.0 4.0 0.0 0.0 3.0\n"
        f"Mn2 2.4368 2.4368 1.6499 4.0 0.0 0.0 -3.0\n\nExchange:\n{88 * '-'}\n"
        "   Mn1   Mn2   (  0,   0,   0)  0.3040   ( 2.4, 2.4, 1.6)  3.8 \nJ_iso:  0.3040 \n"
        "[Testing!] DMI: ( 0.0000  0.0000  0.0000)\n[Testing!] J_ani:\n[[ 0. 0. 0.]\n [ 0. 0. 0.]\n [ 0. 0. 0.]]\n",
    ),
}


@dataclass(frozen=True)
class Specimen:
    """A whole file: its `format` as in the result, the `job` that reads it, and the files that belong beside it."""

    name: str
    format: str
    job: str
    content: bytes
    beside: dict[str, bytes] = field(default_factory=dict)


def collect(*, shared: bool = True) -> list[Specimen]:
    """All whole files, in a fixed order."""
    return [*written(), *of_models(), *(measured() if shared and DATA.exists() else [])]


def measured() -> list[Specimen]:
    """Every file of the shared data."""
    paths = [path for path in sorted(DATA.rglob("*")) if path.is_file()]
    return [
        Specimen(path.name, *_format(path), path.read_bytes(), dict(_beside(path.name, DETECTORS.get(path.name, 0))))
        for path in paths
    ]


def written() -> list[Specimen]:
    """Spectra of every kind of points, as our own writers leave them, and other formats that are quickly made."""
    spectra = {"shells.h5": shells(), "shells.csv": shells(), "grid.h5": grid(beam=True), "grid.csv": grid(beam=False)}
    spectra |= {"path.h5": path(), "scan.h5": scan()}
    with tempfile.TemporaryDirectory() as folder:
        for name, spectrum in spectra.items():
            write(Path(folder) / name, spectrum)
        for kind in OTHERS[:4]:
            whole(Path(folder) / kind, kind, 6, 8, np.linspace(5, 50, 6))
        scipy.io.savemat(Path(folder) / "mat", POWDER, do_compression=True)
        formats = {name: "csv" if name.endswith(".csv") else "sqwirrel" for name in spectra} | {o: o for o in OTHERS}
        made = [Specimen(name, kind, "spectrum", (Path(folder) / name).read_bytes()) for name, kind in formats.items()]
    made[-2].beside["mdhisto.toml"] = b"lattice = [5, 5, 5, 90, 90, 90]\n"
    return [
        *made,
        Specimen("peaks.csv", "peaks", "peaks", PEAKS.encode()),
        Specimen("map.json", "euphonic", "spectrum", MAP),
    ]


OTHERS = ("nxspe", "iqe", "mantid", "mdhisto", "mat")
POWDER = {
    "x": np.array([np.arange(5.0), np.arange(4.0)], dtype=object),
    "y": np.ones((3, 4)),
    "e": np.ones((3, 4)),
    "labels": {"x": "Energy transfer (meV)", "y": "|Q| (1/A)"},
}
PEAKS = (
    "# lattice [angstrom, degrees]: 5.19 5.56 7.54 90 90 90\n# temperature [K]: 5\nh,k,l,energy,error,intensity,fwhm\n"
    + "".join(f"0,{k / 10},1,{10 + k / 7:.3f},0.2,{100 + k},0.5\n" for k in range(40))
)
MAP = (
    b'{"__euphonic_class__": "Spectrum2D", "x_data": [0, 1, 2], "x_data_unit": "1 / angstrom", "y_data": [0, 1, 2, 3], '
    b'"y_data_unit": "millielectron_volt", "z_data": [[1, 2, 3], [4, 5, NaN]], "z_data_unit": "dimensionless"}'
)


def of_models() -> list[Specimen]:
    """Structures, tables of exchange and model files."""
    texts = [Specimen(name, kind, kind, text.encode()) for kind, (name, text) in SPIN.items()]
    models = [library.FOLDER / f"{name}.toml" for name in ("mnf2", "nitio3", "yb2ti2o7")]
    return texts + [Specimen(each.name, "model", "model", each.read_bytes()) for each in models]


def shells() -> Spectrum:
    """Raw counts of a powder, one bin of them unmeasured."""
    return _spectrum(Measurement(QShells(np.linspace(0, 2, 9)), np.linspace(-2, 8, 21), 5.0, incident_energy=20.0))


def grid(*, beam: bool) -> Spectrum:
    """A map of a crystal."""
    edges = [np.linspace(0, 1, 6), np.linspace(-0.5, 0.5, 4), [-0.1, 0.1]]
    axes = [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]
    cell = Lattice(5, 5, 14, 90, 90, 120)
    points = QGrid(cell, axes, edges, (0, 0, 1), Beam((0, 0, 1), 30.0) if beam else None)
    return _spectrum(Measurement(points, np.linspace(0, 10, 6), 2.0, incident_energy=30.0))


def path() -> Spectrum:
    """A cut along a line of a crystal."""
    q = np.linspace(0, 1, 11)[:, None] * [1.0, 0.5, 0.0]
    return _spectrum(Measurement(QPath(Lattice(4, 4, 6), q, np.diag([0.1, 0.1, 0.2])), np.linspace(0, 5, 8), None))


def scan() -> Spectrum:
    """Points of two scans with their monitors."""
    q, energy = np.linspace(0, 1, 12)[:, None] * [1.0, 1.0, 0.0], np.linspace(1, 6, 12)
    points = QPoints(Lattice(5, 5, 14, 90, 90, 120), q, np.repeat([3, 4], 6), [[1, 0, 0], [0, 0, 1]])
    energies, exposure = np.stack([energy, energy], axis=1), np.full((12, 1), 1000.0)
    return _spectrum(Measurement(points, energies, 5.0, final_energy=14.7, exposure=exposure))


def _spectrum(measurement: Measurement) -> Spectrum:
    values = torch.from_numpy(np.random.default_rng(1).poisson(20.0, measurement.shape).astype(np.float64))
    valid = torch.ones(measurement.shape, dtype=torch.bool)
    valid[0, 0] = False
    return Spectrum.from_arrays(values, values.sqrt(), measurement, valid=valid, is_counts=True)


def _beside(name: str, detectors: int) -> Iterable[tuple[str, bytes]]:
    if name in TOLD:
        yield f"{name}.toml", TOLD[name].encode()
    if detectors:
        rows = [f"{10:10d}{0:10d}{10.0 + 5 * n:10.4f}{0:10d}{0.5:10.4f}{0.5:10.4f}{n:10d}" for n in range(detectors)]
        yield f"{Path(name).stem}.phx", "\n".join([str(detectors), *rows]).encode()


def _format(path: Path) -> tuple[str, str]:
    """The format and the job of a measured file."""
    if path.parent.name == "resolution":
        return "covariance", "covariance"
    if path.parent.name == "instrument":
        return "spectrometer", "spectrometer"
    if path.parent.name == "peaks" or "modes" in path.name:
        return "peaks", "peaks"
    readers = {**READERS, **ASKING}
    return next((name for name, reader in readers.items() if reader.sniff(path)), "foreign"), "spectrum"


def as_bytes(values: Numbers) -> bytes:
    """An array as numpy saves it."""
    file = io.BytesIO()
    np.save(file, np.asarray(values))
    return file.getvalue()
