"""The .spe files of direct-geometry spectrometers, with the .phx or .par beside them, and those that DAVE writes.

A line with the numbers of detectors and of energy bins; `### Phi Grid`, `### Energy Grid` (bin edges, meV), then for
each detector `### S(Phi,w)` and `### Errors` (one standard deviation), in eight columns of ten characters. Masked
detectors hold -1e30 or NaN. The Phi grid is a dummy: scattering angles come from `.phx` (columns 3, 4, 5: angle,
azimuth, width of the angle, degrees) or `.par` (columns 1 to 4: distance (m), angle, azimuth of the opposite sign
(degrees), width (m)) of the same name, or the only one in the folder. The file holds no incident energy, and no angle
of the crystal. (MSlice and Horace manuals: "File formats".)

DAVE names the axes instead (`### [H,H,0]`, `### E (meV)`), gives bin centres and one 0 more, and masks with -1e20.
"""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from sqwirrel.errors import InputError
from sqwirrel.limits import head, text_lines
from sqwirrel.spectra.pixels import Run
from sqwirrel.spectra.readers import cut as cuts
from sqwirrel.spectra.readers.beside import Known
from sqwirrel.spectra.readers.cut import Axis, Cut
from sqwirrel.spectra.readers.text.numbers import block, floats, measured, row, whole
from sqwirrel.spectra.rebin import edges_from_centres
from sqwirrel.spectra.rings import Rings, to_spectrum
from sqwirrel.spectra.spectrum import Spectrum

Array = Float64[np.ndarray, "..."]
Section = tuple[str, list[str]]
"""A title and the lines below it."""


APART = 0.1
"""Degrees by which two files may place a detector differently."""


class Detectors(NamedTuple):
    """Scattering angle, its width, and azimuth of each, degrees; 90 is above the beam."""

    two_theta: Float64[np.ndarray, " detector"]
    width: Float64[np.ndarray, " detector"]
    azimuth: Float64[np.ndarray, " detector"]


class Held(NamedTuple):
    """The sections of a file, and its values and errors."""

    sections: list[Section]
    values: Float64[np.ndarray, "detector energy"]
    errors: Float64[np.ndarray, "detector energy"]


def sniff(path: Path) -> bool:
    """Whether the file starts with two numbers and a title after ###."""
    first = head(path)[:2]
    return len(first) == 2 and len(floats(first[0])) == 2 and first[1].startswith("###")


def read(path: Path, known: Known) -> Spectrum:
    """The |Q|, energy map of the detectors, or the cut that DAVE wrote."""
    held = _held(path)
    if not _are_detectors(held):
        return cuts.to_spectrum(_named(*held, path), known)
    energy, valid, seen = _energy(held, path), measured(held.values, held.errors), _detectors(held, path)
    incident_energy = _incident(energy, valid, known)
    return to_spectrum(Rings(seen.two_theta, seen.width, energy, incident_energy, held.values, held.errors, valid))


def run(path: Path, known: Known) -> Run:
    """The detectors one by one, at one angle of a crystal; where .phx and .par are there, both agree on azimuths."""
    held = _held(path)
    if not _are_detectors(held):
        raise InputError(f"{path.name} is a cut that was made of detectors already; read it alone")
    values, errors, sides = held.values, held.errors, [_table(each, held, path) for each in _beside(path)]
    seen = sides[-1]
    away = np.abs((sides[0].azimuth - seen.azimuth + 180) % 360 - 180)
    if (away > APART).any():
        worst = int(away.argmax())
        raise InputError(
            f"the .par and the .phx beside {path.name} have detector {worst + 1} at azimuths of "
            f"{sides[0].azimuth[worst]:g} and {seen.azimuth[worst]:g} degrees (.par holds the opposite sign); "
            "remove the one that is wrong"
        )
    valid, energy = measured(values, errors), _energy(held, path)
    return Run(
        path.name,
        _incident(energy, valid, known),
        None,
        None,
        energy,
        seen.two_theta,
        seen.azimuth,
        len(values),
        lambda start, stop: (values[start:stop], errors[start:stop], valid[start:stop]),
    )


def _held(path: Path) -> Held:
    lines = text_lines(path)
    detectors, energies = whole(floats(lines[0]), "detectors and energies", path)
    sections = _sections(lines[1:])
    if detectors < 1 or energies < 1 or len(sections) != 2 + 2 * detectors:
        raise InputError(
            f"{path.name} says that it has {detectors} detectors and {energies} energies, but has {len(sections)} "
            f"sections; expected {2 + 2 * detectors}. Fetch a complete copy"
        )
    return Held(sections, *(_stack(sections[start::2], energies, path) for start in (2, 3)))


def _incident(energy: Array, valid: Bool[np.ndarray, "detector energy"], known: Known) -> float:
    """The incident energy, told beside the file; refuses one that neutrons have lost more than."""
    incident_energy = known.needed_energy("a .spe file")
    most = float(energy[:-1][valid.any(0)].max(initial=-np.inf))
    if most >= incident_energy:
        raise InputError(
            f"{known.name} has measured bins from {most:g} meV on, which a neutron of {incident_energy:g} meV cannot "
            "lose; check incident_energy"
        )
    return incident_energy


def _are_detectors(held: Held) -> bool:
    return "phi" in held.sections[0][0].lower()


def _energy(held: Held, path: Path) -> Float64[np.ndarray, " edge"]:
    title, lines = held.sections[1]
    return block(lines, held.values.shape[1] + 1, title, path)


def _sections(lines: list[str]) -> list[Section]:
    starts = [n for n, line in enumerate(lines) if line.startswith("###")]
    stops = [*starts[1:], len(lines)]
    return [(lines[n].strip("# \n"), lines[n + 1 : stop]) for n, stop in zip(starts, stops, strict=True)]


def _stack(sections: list[Section], count: int, path: Path) -> Float64[np.ndarray, "detector energy"]:
    return np.array([block(lines, count, title, path) for title, lines in sections])


def _detectors(held: Held, path: Path) -> Detectors:
    """Where each detector is, by the .phx, which knows the angular width itself, before the .par."""
    return _table(_beside(path)[-1], held, path)


def _named(sections: list[Section], values: Array, errors: Array, path: Path) -> Cut:
    """The cut along the axes that DAVE named."""
    axes = []
    for (title, lines), count in zip(sections, values.shape, strict=False):
        centres = block(lines, count + 1, title, path)[:count]
        if count < 2 or not (np.diff(centres) > 0).all():
            raise InputError(f"the axis '{title}' of {path.name} should hold at least two ascending bin centres")
        axes.append(Axis(title, edges_from_centres(centres), cuts.direction(title)))
    return Cut(tuple(axes), values, errors, measured(values, errors))


def _table(source: Path, held: Held, path: Path) -> Detectors:
    """Where a file says that each detector is; on the other side of the beam where its angle is negative."""
    detectors = len(held.values)
    lines = [line for line in text_lines(source) if line.strip()]
    count = whole(floats(lines[0])[:1], "detectors", source)[0] if lines and floats(lines[0]) else -1
    if count != detectors or len(lines) <= detectors:
        raise InputError(f"{source.name} holds {count} detectors, but {path.name} has {detectors}; give the right file")
    is_par = source.suffix.lower() == ".par"
    wide = _columns(lines[1], 6 if is_par else 7, source)
    table = np.array([row(line, wide, "detectors", source) for line in lines[1 : detectors + 1]])
    if not table[:, 1].any() if is_par else wide == 6 and table[:, 1].any():
        raise InputError(
            f"{source.name} has {wide} columns, the second of which is {'' if is_par else 'not '}zero everywhere, as "
            f"in a {'.phx' if is_par else '.par'}; name it by what it is"
        )
    if not is_par:
        angle, azimuth, width = table[:, 2], table[:, 3], table[:, 4]
    else:
        angle, azimuth, width = table[:, 1], -table[:, 2], np.degrees(2 * np.arctan(table[:, 3] / 2 / table[:, 0]))
    return Detectors(np.abs(angle), width, np.where(angle < 0, (azimuth + 180) % 360, azimuth))


def _columns(line: str, most: int, source: Path) -> int:
    """How many columns a table of detectors has: the last, their numbers, may be missing."""
    for count in sorted((most, most - 1), key=lambda n: n != len(line.split())):
        with suppress(InputError):
            return len(row(line, count, "detectors", source))
    return most


def _beside(path: Path) -> list[Path]:
    """The .par or .phx of the same name, or the only one in the folder; both, .phx last, if they have one name."""
    nearby = sorted(each for each in path.parent.iterdir() if each.suffix.lower() in (".phx", ".par"))
    same = [each for each in nearby if each.stem == path.stem] or nearby
    if len({each.stem for each in same}) != 1:
        found = f"there are {len(nearby)} .phx and .par files beside it"
        named = f" ({', '.join(each.name for each in nearby[:4])})" if nearby else ""
        raise InputError(
            f"{path.name} holds no scattering angles, and {found}{named}; put one there, of any name, or of its own: "
            f"{path.stem}.phx"
        )
    return same
