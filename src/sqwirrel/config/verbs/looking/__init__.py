"""What the verb show says of a file beside its numbers: how a rotation scan was put on a grid, its elastic line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqwirrel.config.several import binned_of, prepared, spectrum_of
from sqwirrel.config.toml import load
from sqwirrel.config.verbs.looking.bragg import of_aluminium
from sqwirrel.config.verbs.looking.line import elastic_line
from sqwirrel.spectra import Peaks, Spectrum, is_peaks, read, read_peaks

PIXELS = ("pixels_in_a_bin_at_least", "pixels_in_a_bin_median", "pixels_in_a_bin_at_most")
SCALED: Mapping[bool | None, str] = {True: "yes", False: "no", None: "not in the files"}
CAN = "Bragg lines at {} 1/angstrom; if the sample has none: a can, kind = 'can' in [instrument.background]"


def look_into(file: Path) -> tuple[Spectrum | Peaks, Mapping[str, object]]:
    """The spectrum or the peaks in a file, or the spectrum of a config as it is fitted, and what more is known."""
    if file.suffix != ".toml":
        if is_peaks(file):
            return read_peaks(file), {}
        return _with_line(read(file), {})
    config = load(file)
    section = config.one
    if section.crystal is None:
        return _with_line(spectrum_of(section, config.instrument), {})
    binned = binned_of(section)
    first, last = (f"{binned.psi[k]:g} degrees in {section.files[k].name}" for k in (0, -1))
    more = {
        "files": len(binned.psi),
        "psi": f"{first} to {last}",
        "mounted": section.crystal.words,
        **dict(zip(PIXELS, binned.spread, strict=True)),
        "multiplied_by_ki_over_kf": SCALED[binned.is_scaled],
    }
    return _with_line(prepared(section, binned.spectrum), more)


def _with_line(spectrum: Spectrum, more: dict[str, Any]) -> tuple[Spectrum, Mapping[str, object]]:
    line = elastic_line(spectrum)
    if line is None:
        return spectrum, more
    found, at = {**more, "elastic_line": str(line)}, of_aluminium(spectrum, line.fwhm)
    return spectrum, {**found, "aluminium": CAN.format(" and ".join(f"{q:.2f}" for q in at))} if at else found
