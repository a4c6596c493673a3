"""Scan: what every format of triple-axis scans comes down to, and the spectrum of points that it becomes.

Which column is what is one table for all formats, `COLUMNS`; a format adds names of its own, where they are not those
of something else elsewhere (M1 is a monitor at the ILL and the angle of the monochromator at Oak Ridge).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float64

from sqwirrel.errors import InputError, NothingCountedError
from sqwirrel.lattice import Lattice
from sqwirrel.spectra.measurement import Measurement
from sqwirrel.spectra.points import QPoints
from sqwirrel.spectra.readers.plain import Table
from sqwirrel.spectra.spectrum import Spectrum

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "h": ("h", "qh", "qx", "q(x)"),
    "k": ("k", "qk", "qy", "q(y)"),
    "l": ("l", "ql", "qz", "q(z)"),
    "energy": ("e", "en"),
    "counts": ("detector", "cnts", "counts"),
    "monitor": ("monitor",),
    "time": ("time", "min"),
    "mcu": ("mcu",),
    "incident_energy": ("ei",),
    "final_energy": ("ef",),
    "temperature": ("tsample", "tt", "t-act", "temp"),
    "field": ("persistent_field", "magfield", "hfield", "mf"),
}
"""Names of columns, in lower case, best first: a sensor at the sample before one far from it or a set point."""
STEADY = 0.2
"""Share of itself by which a temperature may vary within a scan (above 1 K) to be called one temperature."""

Column = Float64[np.ndarray, " row"]


@dataclass(frozen=True)
class Scan:
    """A scan as its file tells it. `stated` holds columns by what they are that the header gives and the table lacks,
    one value for all rows or one each; a fixed energy (meV) that the file does not name is None.
    """

    table: Table
    number: int
    lattice: Lattice
    plane: Float64[np.ndarray, "2 3"] | None
    incident_energy: float | None = None
    final_energy: float | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stated: Mapping[str, Column | float] = field(default_factory=dict)

    def name(self, what: str) -> str | None:
        """The column that holds `what` (a key of COLUMNS)."""
        return self.table.first((*self.names.get(what, ()), *COLUMNS[what]))

    def find(self, what: str) -> Column | None:
        """The values of `what`, from its column or from the header."""
        name = self.name(what)
        if name is not None:
            return self.table.column(name)
        given = self.stated.get(what)
        return None if given is None else np.broadcast_to(np.float64(given), (len(self.table),)).copy()

    def need(self, what: str) -> Column:
        """The same; refuses a scan without it."""
        found = self.find(what)
        if found is None:
            wanted = " or ".join(dict.fromkeys((*self.names.get(what, ()), *COLUMNS[what])))
            held = ", ".join(self.table.names[:8]) + (", ..." if len(self.table.names) > 8 else "")
            why = "fetch a complete copy" if what == "counts" else "a scan of angles alone does not say where it went"
            raise InputError(f"{self.table.path.name} has no column of {what} ({wanted}), only {held}; {why}")
        return found


def spectrum(scan: Scan) -> Spectrum:
    """The points of a scan with their counts; those that were not counted (no monitor) are unmeasured."""
    path = scan.table.path
    if not len(scan.table):
        raise NothingCountedError(f"{path.name} has no points: the scan was stopped before the first one")
    counts, energy = scan.need("counts"), scan.need("energy")
    q = np.stack([scan.need(what) for what in ("h", "k", "l")], axis=1)
    if (counts < 0).any():
        raise InputError(f"{path.name} has {counts.min():g} counts in a point; expected none below 0")
    exposure, unit = _exposure(scan)
    counted = np.isfinite(exposure) & (exposure > 0)
    if not counted.any():
        raise NothingCountedError(
            f"{path.name} counted nothing: the monitor is 0 in all of its points ({len(counts)}), the scan was stopped"
        )
    points = QPoints(scan.lattice, q, np.full(len(q), scan.number), scan.plane)
    measurement = Measurement(
        points,
        np.stack([energy, energy], axis=1),
        _temperature(scan, counted),
        field=_field(scan, counted),
        incident_energy=scan.incident_energy,
        final_energy=scan.final_energy,
        exposure=np.where(counted, exposure, 1.0)[:, None],
        exposure_unit=unit,
    )
    values, valid = torch.from_numpy(counts)[:, None], torch.from_numpy(counted)[:, None]
    return Spectrum.from_arrays(values, values.sqrt(), measurement, valid=valid, is_counts=True)


def _exposure(scan: Scan) -> tuple[Column, str | None]:
    """How long each point was counted, and the column that says so: the monitor, or time where that is dead or absent.

    `mcu` only where neither is there: it is what was asked for, and stands in points that were never counted.
    """
    found = [(scan.find(what), scan.name(what) or what) for what in ("monitor", "time")]
    known = [(column, name) for column, name in found if column is not None]
    if not known:
        asked = scan.find("mcu")
        return (np.ones(len(scan.table)), None) if asked is None else (asked, "mcu")
    return next((each for each in known if (each[0] > 0).any()), known[0])


def _temperature(scan: Scan, counted: np.ndarray) -> float | None:
    """Mean over the counted points, K; None where no sensor was read, or where the scan was one of temperature."""
    values = _sensor(scan, "temperature")[counted]
    values = values[np.isfinite(values)]
    if not len(values) or values.min() < 0 or np.ptp(values) > max(1.0, STEADY * values.mean()):
        return None
    return float(values.mean())


def _field(scan: Scan, counted: np.ndarray) -> Float64[torch.Tensor, "3"]:
    """Mean over the counted points, T, up from the scattering plane."""
    values = _sensor(scan, "field")[counted]
    strength = float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else 0.0
    if strength == 0:
        return torch.zeros(3, dtype=torch.float64)
    if scan.plane is None:
        raise InputError(
            f"{scan.table.path.name} has a field of {strength:g} T, but no scattering plane that it would stand on"
        )
    u, v = scan.lattice.to_cartesian(torch.from_numpy(scan.plane))
    return strength * torch.nn.functional.normalize(torch.linalg.cross(u, v), dim=0)


def _sensor(scan: Scan, what: str) -> Column:
    name = scan.name(what)
    given = scan.stated.get(what, np.nan)
    return np.broadcast_to(np.float64(given), (len(scan.table),)) if name is None else scan.table.sensor(name)


def held(column: Column | None) -> float | None:
    """The energy (meV) that a column holds all along, within 0.5 %; None where it moves or is not there."""
    if column is None or not len(column) or column.min() <= 0 or np.ptp(column) > 0.005 * column.mean():
        return None
    return float(np.median(column))


def trailing_number(name: str) -> int:
    """The scan number at the end of a file's name, 0 where there is none."""
    stem = name.rpartition("/")[2].partition(".")[0]
    digits = stem[len(stem.rstrip("0123456789")) :][-9:]
    return int(digits or 0)
