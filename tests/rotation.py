"""NXSPE files of a crystal that was turned, made here with geometry that is written out by hand."""

import h5py
import numpy as np

from sqwirrel.units import E_PER_K2

SIDE = 2 * np.pi  # of a cubic cell: one reciprocal lattice unit is 1 / angstrom


def turned(q, psi):
    """A vector (rlu of that cell; u = a*, v = b*) in the laboratory, turned anticlockwise as seen from above."""
    h, k, l = np.moveaxis(np.asarray(q, dtype=float), -1, 0)  # noqa: E741
    c, s = np.cos(np.radians(psi)), np.sin(np.radians(psi))
    return np.stack([c * h - s * k, s * h + c * k, l], axis=-1)


def where(q, psi, incident_energy):
    """Polar angle and azimuth (degrees) of the detector that sees q, and the energy transfer there (meV)."""
    kf = np.sqrt(incident_energy / E_PER_K2) * np.array([1.0, 0, 0]) - turned(q, psi)
    polar = np.degrees(np.arccos(kf[0] / np.linalg.norm(kf)))
    return polar, np.degrees(np.arctan2(kf[2], kf[1])), incident_energy - E_PER_K2 * kf @ kf


def hkl(polar, azimuth, energy, psi, incident_energy):
    """(h, k, l) of every detector (row) at every energy (column)."""
    polar, azimuth = np.radians(polar)[:, None], np.radians(azimuth)[:, None]
    kf = np.sqrt((incident_energy - energy) / E_PER_K2)
    ki = np.sqrt(incident_energy / E_PER_K2)
    x = ki - kf * np.cos(polar)
    y, z = -kf * np.sin(polar) * np.cos(azimuth), -kf * np.sin(polar) * np.sin(azimuth)
    c, s = np.cos(np.radians(psi)), np.sin(np.radians(psi))
    return np.stack([c * x + s * y, -s * x + c * y, z], axis=-1)


def save(path, **changes):
    """A file of three detectors and four energies; None leaves out an entry."""
    polar = np.array([20.0, 30.0, 40.0])
    shape = (len(polar), 4)
    entry = {
        "definition": np.array([b"NXSPE"]),
        "NXSPE_info/fixed_energy": np.array([20.0]),
        "NXSPE_info/psi": np.array([10.0]),
        "NXSPE_info/ki_over_kf_scaling": np.array([1]),
        "data/data": np.full(shape, 3.0),
        "data/error": np.full(shape, 1.0),
        "data/energy": np.linspace(-2.0, 10.0, 5),
        "data/polar": polar,
        "data/azimuthal": np.zeros(len(polar)),
    } | changes
    with h5py.File(path, "w") as file:
        for name, values in entry.items():
            if values is not None:
                file[f"run/{name}"] = values
    return path
