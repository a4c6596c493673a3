"""What was measured, in words and numbers."""

import json
import re
from collections.abc import Sequence
from html import escape

from sqwirrel.report.numbers import plain
from sqwirrel.report.pages.markup import Content, definitions, typeset


def every(said: Content | list[Content]) -> str:
    """What was measured, under its name where there are several."""
    if isinstance(said, dict):
        return _measured(said)
    return "".join(f"<h3>{escape(each['name'])}</h3>{_measured(each)}" for each in said)


def _measured(said: Content) -> str:
    if "numbers" in said:
        return definitions({each["name"]: escape(_number(each)) for each in said["numbers"]})
    sha = f" <br><small>SHA-256 <code>{said['sha256']}</code></small>" if said["sha256"] else ""
    file = f"{escape(said['file'])}{sha}"
    if "peaks" in said:
        return definitions({"file": file, **_measured_peaks(said), "as told": escape(_used(said["used"]))})
    rows = {
        "file": file,
        "kind": f"{said['kind']}, {_size(said)}; {said['intensity']}",
        "where": _where(said),
        "energy transfer": "{:.5g} to {:.5g} meV".format(*said["energy_range"]),
        "conditions": _conditions(said),
        "bins": _bins(said),
        **_under(said),
        "as told": escape(_used(said["used"])),
        **({"instrument": escape(_used(said["instrument"]))} if said["instrument"] else {}),
    }
    return definitions(rows)


def _number(said: Content) -> str:
    return f"{plain(said['value'])} ± {plain(said['error'])} {said['unit']}"


def _measured_peaks(said: Content) -> dict[str, str]:
    low, high = (plain(end) for end in said["energy_range"])
    least, most = (plain(end) for end in said["error_range"])
    return {
        "kind": f"{said['peaks']} {said['kind']}, at {said['wavevectors']} wavevectors",
        "energy transfer": f"{low} to {high} meV, errors {least} to {most} meV",
        "conditions": _conditions({"incident_energy": None, "final_energy": None, **said}),
    }


def _size(said: Content) -> str:
    points, energies = said["bins"]
    return f"{points} points" if "scans" in said else f"{points} × {energies} bins"


def _where(said: Content) -> str:
    """Where in reciprocal space, by what `content` says of each kind."""
    match said:
        case {"q_range": [low, high]}:
            return f"|Q| = {low:.3g} to {high:.3g} Å⁻¹"
        case {"corners": corners}:
            return "q = " + " → ".join(f"({corner})" for corner in corners)
        case {"scans": scans}:
            return f"{scans} scan{'s' if scans > 1 else ''}"
        case {"axes": axes, "axis_ranges": ranges, "grid": grid}:
            return typeset("; ".join([*map(_axis, axes, ranges, grid), *_set_up(said)]))
    raise KeyError(f"nothing says where a {said['kind']} is")


def _axis(direction: Sequence[float], ends: Sequence[float], bins: int) -> str:
    return f"{_hkl(direction)} × {ends[0]:.4g} to {ends[1]:.4g}, {bins} bin{'s' if bins > 1 else ''}"


def _set_up(said: Content) -> list[str]:
    """Origin and beam of a grid."""
    origin = [f"from {_hkl(said['origin'])}"] if "origin" in said else []
    return [*origin, f"beam along {_hkl(said['beam'])}"] if "beam" in said else origin


def _hkl(q: Sequence[float]) -> str:
    return f"({' '.join(f'{x:.3g}' for x in q)})"


def _bins(said: Content) -> str:
    used, zero, left = (said[key] for key in ("bins_measured", "bins_zero", "bins_unmeasured"))
    return f"{used} used ({zero} of them zero), {left} not measured or left out"


def _under(said: Content) -> dict[str, str]:
    """Of models of phonons alone."""
    words = {True: "multiphonon and incoherent scattering", False: "nothing (multiphonon = false)"}
    return {"under the modes": words[said["multiphonon"]]} if "multiphonon" in said else {}


def _conditions(said: Content) -> str:
    field = "" if not any(said["field"]) else f", field {said['field']} T"
    held = [
        f", {word} energy {said[f'{word}_energy']:g} meV" for word in ("incident", "final") if said[f"{word}_energy"]
    ]
    warm = "temperature unknown" if said["temperature"] is None else f"{said['temperature']:g} K"
    return f"{warm}{field}{''.join(held)}"


def _used(used: Content) -> str:
    """What the config took of the file, as it says it."""
    said = ", ".join(f"{key} {json.dumps(value)}" for key, value in used.items())
    return re.sub(r'["{}:]', "", said) or "everything"
