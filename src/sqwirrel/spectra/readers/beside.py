"""What a file does not say, said beside it.

`cut.iexy` may have a `cut.iexy.toml` with any of

    incident_energy = 25.0                       # meV
    temperature = 5.0                            # K
    lattice = [5.4, 5.4, 19.3, 90, 90, 90]       # angstrom, degrees
    axes = ["[H,H,0]", "energy"]                 # of a table of bare columns, in their order; "|Q|" for a powder
    ranges = { "[0,0,L]" = [-0.1, 0.1] }         # what was integrated over, rlu; for "energy" in meV
    beam = [0, 0, 1]                             # along k_i of a crystal that stood still, in place of that range
    empty_bins = "measured"                      # or "unmeasured": bins in which a file counts no event
    psi = 30.0                                   # degrees, of one file of a crystal that was turned

A reader asks for what it needs and does not find; what the file says itself is never replaced.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.limits import is_file, settings
from sqwirrel.spectra.spectrum import Spectrum

HUGE = 1e300

EXAMPLES = {
    "incident_energy": "incident_energy = 25.0",
    "lattice": "lattice = [a, b, c, alpha, beta, gamma]",
    "axes": 'axes = ["|Q|", "energy"]',
}


@dataclass(frozen=True, eq=False)
class Known:
    """What the user knows of the file called `name`, in internal units."""

    name: str
    incident_energy: float | None = None
    temperature: float | None = None
    lattice: Lattice | None = None
    axes: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    beam: tuple[float, float, float] | None = None
    empty_bins: str | None = None
    psi: float | None = None

    def asks(self, what: str, example: str) -> InputError:
        """The complaint that the file does not hold `what`, with the line that would tell it."""
        return InputError(f"{self.name} does not hold {what}; write {example} into {self.name}.toml beside it")

    def needed_lattice(self) -> Lattice:
        """The lattice; asks for it."""
        if self.lattice is None:
            raise self.asks("the lattice", EXAMPLES["lattice"])
        return self.lattice

    def needed_psi(self) -> float:
        """The angle of the crystal; asks for it."""
        if self.psi is None:
            raise InputError(
                f"{self.name} does not hold psi, the angle of the crystal (degrees); write psi = 30.0 into "
                f"{self.name}.toml beside it, or psi = [...], one for each file, into [measurement.crystal] of a config"
            )
        return self.psi

    def needed_energy(self, kind: str) -> float:
        """The incident energy, of a file that is `kind`; asks for it."""
        if self.incident_energy is None:
            raise InputError(
                f"{self.name} is {kind}, which holds no incident energy; write {EXAMPLES['incident_energy']} into "
                f"{self.name}.toml beside it, or incident_energy into [measurement] of the config"
            )
        return self.incident_energy

    def are_empty_bins_measured(self, number: int) -> bool:
        """Whether bins without events, so many, counted nothing, or nothing could reach them; asks for it."""
        if self.empty_bins is None:
            raise self.asks(
                f"whether its {number} bins without events were measured",
                'empty_bins = "measured" (neutron events, of which they got none) or empty_bins = "unmeasured" '
                "(reduced data, each bin of which is an event: none of them lies there)",
            )
        return self.empty_bins == "measured"

    def filled(self, spectrum: Spectrum) -> Spectrum:
        """The spectrum with temperature and incident energy where its file left them open."""
        measurement = spectrum.measurement
        told = {name: getattr(self, name) for name in ("temperature", "incident_energy")}
        new = {name: value for name, value in told.items() if value is not None and getattr(measurement, name) is None}
        return Spectrum(spectrum.data, replace(measurement, **new)) if new else spectrum


def known(path: Path, incident_energy: float | None = None) -> Known:
    """What is written beside the file, and the incident energy (meV) if it is given here."""
    beside = path.with_name(f"{path.name}.toml")
    found = _parse(beside) if is_file(beside) else {}
    if incident_energy is not None:
        found["incident_energy"] = incident_energy
    return Known(path.name, **found)


def _parse(beside: Path) -> dict[str, Any]:
    table = settings(beside)
    allowed = {each.name for each in fields(Known)} - {"name"}
    if unknown := set(table) - allowed:
        raise InputError(f"{beside.name} has the key '{min(unknown)}'; expected some of {', '.join(sorted(allowed))}")
    return {name: _READ[name](name, value, beside) for name, value in table.items()}


def _number(name: str, value: object, beside: Path) -> float:
    return _numbers(name, [value], 1, beside)[0]


def _numbers(name: str, value: object, count: int, beside: Path) -> tuple[float, ...]:
    if (
        not isinstance(value, list)
        or len(value) != count
        or not all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
    ):
        expected = "a number" if count == 1 else f"{count} numbers"
        raise InputError(f"{name} in {beside.name} should be {expected}, got {value}")
    if not all(abs(each) < HUGE for each in value):
        raise InputError(f"{name} in {beside.name} should be finite, got {value}")
    return tuple(float(each) for each in value)


def _lattice(name: str, value: object, beside: Path) -> Lattice:
    return Lattice(*_numbers(name, value, 6, beside))


def _words(name: str, value: object, beside: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"{name} in {beside.name} should be a list of names, got {value}")
    return tuple(value)


def _ranges(name: str, value: object, beside: Path) -> dict[str, tuple[float, ...]]:
    if not isinstance(value, dict):
        raise InputError(f'{name} in {beside.name} should be a table such as {{ "[0,0,L]" = [-0.1, 0.1] }}')
    return {key: _numbers(f"the range of {key}", pair, 2, beside) for key, pair in value.items()}


def _empty(name: str, value: object, beside: Path) -> str:
    if value not in ("measured", "unmeasured"):
        raise InputError(f"{name} in {beside.name} should be 'measured' or 'unmeasured', got {value}")
    return str(value)


def _vector(name: str, value: object, beside: Path) -> tuple[float, ...]:
    return _numbers(name, value, 3, beside)


_READ: Mapping[str, Any] = {
    "incident_energy": _number,
    "temperature": _number,
    "lattice": _lattice,
    "axes": _words,
    "ranges": _ranges,
    "beam": _vector,
    "empty_bins": _empty,
    "psi": _number,
}
