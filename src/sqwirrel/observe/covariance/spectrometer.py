"""A triple-axis spectrometer as the Cooper-Nathans approximation knows it: crystals, collimations, senses.

All angles are full widths at half maximum in minutes of arc, spacings in angstrom. A sense is +1 where neutrons turn
anticlockwise, seen from above, and -1 where clockwise. Widths may be tensors with leading batch axes; derivatives with
respect to them go through.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float64
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.spectra.points import Numbers, as_tensor

SPACINGS = {
    "PG002": 3.35416,
    "PG004": 1.67708,
    "SI111": 3.13560,  # a = 5.43102 angstrom
    "GE111": 3.26659,  # a = 5.6579 angstrom
    "GE220": 2.00037,
    "GE311": 1.70592,
    "CU111": 2.08706,  # a = 3.6149 angstrom
    "CU220": 1.27806,
    "BE002": 1.79160,  # c = 3.5832 angstrom
    "HEUSLER": 3.437,  # Cu2MnAl (111)
}
"""Spacings of crystals that are known by name, at room temperature, angstrom."""
WIDE_OPEN = 600.0
"""What stands for no collimation, minutes: ten degrees. Widths depend on it where nothing else limits a beam."""
Fixed = Literal["initial", "final"]
PLACES = ("pre_mono", "pre_sample", "post_sample", "post_ana")


@dataclass(frozen=True, eq=False)
class Reflector:
    """A monochromator or an analyser: `spacing` (angstrom, or a name of `SPACINGS`), `mosaic` (horizontal, vertical;
    minutes FWHM), `sense` of scattering.
    """

    spacing: float
    mosaic: Float64[Tensor, "*batch 2"]
    sense: int

    def __init__(self, spacing: float | str, mosaic: Numbers, sense: int) -> None:
        object.__setattr__(self, "spacing", spacing_of(spacing) if isinstance(spacing, str) else spacing)
        object.__setattr__(self, "mosaic", _widths(mosaic, 2, "the mosaic of a reflector"))
        object.__setattr__(self, "sense", _checked_sense(sense))
        if not 0 < self.spacing < float("inf"):
            raise InputError(f"the spacing of a reflector is {self.spacing} angstrom; it must be positive")


@dataclass(frozen=True, eq=False)
class Spectrometer:
    """Two reflectors and a sample between four collimators each way, in the order of flight; minutes FWHM.

    `sample_mosaic` is (horizontal, vertical), zero for a perfect crystal. The energy that is `fixed` is that of the
    measurement. `notes` say what a description left open and what was taken for it.
    """

    monochromator: Reflector
    analyser: Reflector
    sample_sense: int
    sample_mosaic: Float64[Tensor, "*batch 2"]
    horizontal: Float64[Tensor, "*batch 4"]
    vertical: Float64[Tensor, "*batch 4"]
    fixed: Fixed
    notes: tuple[str, ...]

    def __init__(
        self,
        monochromator: Reflector,
        analyser: Reflector,
        *,
        sample_sense: int,
        horizontal: Numbers,
        vertical: Numbers,
        sample_mosaic: Numbers = (0.0, 0.0),
        fixed: Fixed = "final",
        notes: tuple[str, ...] = (),
    ) -> None:
        object.__setattr__(self, "monochromator", monochromator)
        object.__setattr__(self, "analyser", analyser)
        object.__setattr__(self, "sample_sense", _checked_sense(sample_sense))
        object.__setattr__(self, "sample_mosaic", _widths(sample_mosaic, 2, "the mosaic of the sample", zero=True))
        object.__setattr__(self, "horizontal", _widths(horizontal, 4, "the horizontal collimation"))
        object.__setattr__(self, "vertical", _widths(vertical, 4, "the vertical collimation"))
        object.__setattr__(self, "fixed", fixed)
        object.__setattr__(self, "notes", notes)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Spectrometer":
        """The spectrometer of a description in nested tables, as TAVI keeps them in JSON.

        `monochromator` and `analyzer` hold `type` (a name) or `d_spacing` (angstrom), `mosaic_h`, `mosaic_v` and
        `sense` ("+" or "-"), `goniometer` the `sense` at the sample, `collimators` the widths `h_pre_mono`,
        `h_pre_sample`, `h_post_sample`, `h_post_ana`, and the same with `v_`; `sample`, if there, `mosaic_h` and
        `mosaic_v`. All in minutes FWHM. `fixed` is "initial" or "final", which is the default. Other keys, such as
        sizes, distances and curvatures, are not used: Cooper and Nathans do not know them. A collimation that is
        absent or zero is `WIDE_OPEN`.
        """
        notes: list[str] = []
        collimators = _table(mapping, "collimators")
        perfect = {"mosaic_h": 0.0, "mosaic_v": 0.0}
        sample = _table(mapping, "sample") if "sample" in mapping else perfect
        if sample is perfect:
            notes.append("no sample mosaic is given: the sample is taken for a perfect crystal")
        fixed = mapping.get("fixed", "final")
        if fixed not in ("initial", "final"):
            raise InputError(f"fixed = {fixed!r} in the spectrometer; it must be 'initial' or 'final'")
        return cls(
            _reflector(mapping, ("monochromator",), notes),
            _reflector(mapping, ("analyzer", "analyser"), notes),
            sample_sense=_sense(_table(mapping, "goniometer"), "goniometer"),
            horizontal=[_collimation(collimators, f"h_{place}", notes) for place in PLACES],
            vertical=[_collimation(collimators, f"v_{place}", notes) for place in PLACES],
            sample_mosaic=[_number(sample, f"mosaic_{axis}", "sample") for axis in "hv"],
            fixed=fixed,
            notes=tuple(notes),
        )

    def with_mosaic(self, sample_mosaic: Numbers) -> "Spectrometer":
        """The same with another mosaic of the sample (horizontal, vertical; minutes)."""
        return Spectrometer(
            self.monochromator,
            self.analyser,
            sample_sense=self.sample_sense,
            horizontal=self.horizontal,
            vertical=self.vertical,
            sample_mosaic=sample_mosaic,
            fixed=self.fixed,
            notes=self.notes,
        )


def spacing_of(name: str) -> float:
    """Spacing of a reflector by its name, angstrom; spelling of PG002, pg(002) or Pg-002 is all one."""
    key = re.sub(r"[^A-Z0-9]", "", name.upper())
    if key not in SPACINGS:
        raise InputError(f"the reflector '{name}' is not known; give d_spacing in angstrom or one of {list(SPACINGS)}")
    return SPACINGS[key]


def _widths(values: Numbers, count: int, what: str, *, zero: bool = False) -> Tensor:
    """Widths in minutes, with any batch axes before the last."""
    widths = as_tensor(values)
    if widths.ndim < 1 or widths.shape[-1] != count or not bool(((widths >= 0) if zero else (widths > 0)).all()):
        least = "at least 0" if zero else "positive"
        raise InputError(f"{what} needs {count} widths in minutes (FWHM), {least}; got {widths.tolist()}")
    return widths


def _checked_sense(sense: int) -> int:
    if sense not in (-1, 1):
        raise InputError(f"a scattering sense is {sense}; it must be +1 (anticlockwise from above) or -1")
    return sense


def _table(mapping: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The first of these tables that is there."""
    found = next((mapping[name] for name in names if name in mapping), None)
    if not isinstance(found, Mapping):
        raise InputError(f"the spectrometer lacks the table '{names[0]}'; found {sorted(mapping)}")
    return found


def _reflector(mapping: Mapping[str, Any], names: tuple[str, ...], notes: list[str]) -> Reflector:
    table = _table(mapping, *names)
    if "d_spacing" not in table and "type" not in table:
        raise InputError(f"the spectrometer lacks the key '{names[0]}.type', or 'd_spacing' in angstrom")
    spacing = _number(table, "d_spacing", names[0]) if "d_spacing" in table else str(table["type"])
    curved = [key for key in ("curved_h", "curved_v") if table.get(key)]
    if curved:
        notes.append(f"{names[0]}: {' and '.join(curved)} is ignored, the crystal is taken for flat")
    mosaic = [_number(table, key, names[0]) for key in ("mosaic_h", "mosaic_v")]
    return Reflector(spacing, mosaic, _sense(table, names[0]))


def _sense(table: Mapping[str, Any], where: str) -> int:
    known = {"+": 1, "-": -1, "+1": 1, "-1": -1}
    if "sense" not in table:
        raise InputError(f"the spectrometer lacks the key '{where}.sense', '+' or '-'")
    if str(table["sense"]) not in {*known, "1"}:
        raise InputError(f"{where}.sense = {table['sense']!r}; it must be '+' (anticlockwise from above) or '-'")
    return known.get(str(table["sense"]), 1)


def _number(table: Mapping[str, Any], key: str, where: str, default: float | None = None) -> float:
    if key not in table and default is not None:
        return default
    if key not in table:
        raise InputError(f"the spectrometer lacks the key '{where}.{key}'")
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}.{key} = {value!r}; it must be a number")
    return float(value)


def _collimation(table: Mapping[str, Any], key: str, notes: list[str]) -> float:
    """Minutes; none is wide open, and noted."""
    width = _number(table, key, "collimators", default=0.0)
    if width == 0:
        notes.append(f"collimators.{key}: none, taken as {WIDE_OPEN:g}' FWHM")
    return width or WIDE_OPEN
