"""One self-contained page of a result, report.html, and the same as data, report.json."""

import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from sqwirrel.report.content import content, in_words
from sqwirrel.report.corner import corner
from sqwirrel.report.numbers import plain
from sqwirrel.report.result import AnyResult, Whole
from sqwirrel.report.shown import image, note, sections
from sqwirrel.whole import put_text

Content = dict[str, Any]


def write(folder: Path, *results: AnyResult) -> Path:
    """Writes report.json and report.html of the measurements of one posterior into `folder`; says where the page is."""
    said = content(results)
    put_text(folder / "report.json", json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    put_text(folder / "report.html", html(said, *results))
    return folder / "report.html"


def html(said: Content, *results: AnyResult) -> str:
    """The page."""
    template = Template(resources.files("sqwirrel.report").joinpath("page.html").read_text(encoding="utf-8"))
    whole = Whole.of(results)
    orange = " Orange: the truth." if whole.truth else ""
    return template.substitute(
        title=escape(said["material"]),
        verdict=_typeset(escape(said["verdict"])),
        state="passed" if whole.posterior.passed else "failed",
        measured=_every(said["measured"]),
        parameters=_parameters(said),
        parameters_note=note(_about_parameters(said)),
        checks=_checks(said["checks"]),
        basins=_basins(said),
        basins_note=note(ABOUT_BASINS),
        record=_record(said["record"]),
        papers="".join(f"<li>{_linked(paper)}</li>" for paper in said["papers"]),
        figures=sections(results),
        corner=image(corner(results), "Posterior of the parameters in pairs"),
        corner_note=note(ABOUT_CORNER + orange),
    )


ABOUT_BASINS = """Starts are the best of the screened prior draws; those that end in the same maximum of the posterior
count as one solution. The log posterior counts from the best. A solution with probability 0 was not sampled: it is far
worse."""
ABOUT_CORNER = """Blue: 68 and 95 % of the posterior, nuisances marginalised; dots are weighted draws. Dashed red: the
Cramér–Rao bound at the best fit (68 %), which no unbiased estimate beats; a posterior is narrower where the prior says
more than the data."""


def _every(said: Content | list[Content]) -> str:
    """What was measured, under its name where there are several."""
    if isinstance(said, dict):
        return _measured(said)
    return "".join(f"<h3>{escape(each['name'])}</h3>{_measured(each)}" for each in said)


def _measured(said: Content) -> str:
    sha = f" <br><small>SHA-256 <code>{said['sha256']}</code></small>" if said["sha256"] else ""
    file = f"{escape(said['file'])}{sha}"
    if "peaks" in said:
        return _definitions({"file": file, **_measured_peaks(said), "taken from the file": escape(_used(said["used"]))})
    rows = {
        "file": file,
        "kind": f"{said['kind']}, {_size(said)}; {said['intensity']}",
        "where": _where(said),
        "energy transfer": f"{plain(said['energy_range'][0])} to {plain(said['energy_range'][1])} meV",
        "conditions": _conditions(said),
        "bins": _bins(said),
        "taken from the file": escape(_used(said["used"])),
    }
    return _definitions(rows)


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
            return _typeset("; ".join([*map(_axis, axes, ranges, grid), *_set_up(said)]))
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


def _parameters(said: Content) -> str:
    with_truth = any("truth" in row for row in said["parameters"])
    extra = ["truth", "pull"] if with_truth else []
    wider = ["widening"] if said["misfits"] else []
    keys = ["name", "value", *extra, "interval68", "interval95", *wider, "limit", "prior"]
    more = ["misfit widens<br>errors"] if wider else []
    heads = ["", "median", *extra, "68 %", "95 %", *more, "Cramér–Rao<br>limit (1 σ)", "prior"]
    rows, role = [], "model"
    for row in sorted(said["parameters"], key=lambda each: each["role"] != "model"):
        first = "first-nuisance " if row["role"] != role else ""
        role = row["role"]
        rows.append((f"{first}{role}", [escape(in_words(row).get(key, "–")) for key in keys]))
    return _table(heads, rows)


def _about_parameters(said: Content) -> str:
    fixed = ", ".join(f"{name} = {value:g}" for name, value in said["fixed"].items())
    held = f" Held fixed: {fixed}." if fixed else ""
    pull = (
        " Pull: median minus truth, over half of the 68 % interval."
        if any("truth" in row for row in said["parameters"])
        else ""
    )
    return (
        "In brackets: half of the 68 % interval, in the last digits. Grey rows are parameters of the instrument, whose "
        f"uncertainty is in the errors above it. Deviance per bin {plain(said['deviance_per_bin'])}.{held}{pull}"
    )


def _checks(checks: Iterable[Content]) -> str:
    rows = []
    for check in checks:
        state = "passed" if check["passed"] else "failed"
        value = plain(check["value"]) if check["value"] is not None else "infinite"
        rows.append(
            (
                "",
                [
                    f"{escape(check['words'])} <small><code>{check['name']}</code></small>",
                    f"={state}",
                    value,
                    f"~{escape(check['meaning'])}",
                ],
            )
        )
    return _table(["", "", "value", "meaning"], rows)


def _basins(said: Content) -> str:
    names = [row["name"] for row in said["parameters"] if row["role"] == "model"]
    best = said["basins"][0]["log_posterior"]
    rows = []
    for k, basin in enumerate(said["basins"], 1):
        depth = "–" if basin["log_posterior"] is None or best is None else f"{basin['log_posterior'] - best:.1f}"
        values = [f"{basin['parameters'][name]:.4g}" for name in names]
        rows.append(("", [str(k), *values, depth, str(basin["starts"]), f"{basin['probability']:.3g}"]))
    return _table(["", *names, "log posterior", "starts", "probability"], rows)


def _record(record: Content) -> str:
    files = "<br>".join(f"{escape(name)} <code>{sha}</code>" for name, sha in record["files"].items())
    listed = {key: ", ".join(f"{name} {value}" for name, value in record[key].items()) for key in ("versions", "seeds")}
    seconds = ", ".join(f"{stage} {value:.1f} s" for stage, value in record["seconds"].items())
    rows = {"made": record["created"], "on": record["machine"], "files": files, **listed, "time": seconds}
    return _definitions(rows)


def _definitions(rows: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{key}</dt><dd>{value or '–'}</dd>" for key, value in rows.items()) + "</dl>"


def _table(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table; a cell that starts with '~' is running text, one that starts with '=' is a class and its own word."""
    head = "".join(f"<th>{word}</th>" for word in heads)
    body = "".join(f'<tr class="{kind}">{"".join(map(_cell, cells))}</tr>' for kind, cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    match text[:1]:
        case "~":
            return f'<td class="text">{text[1:]}</td>'
        case "=":
            return f'<td class="{text[1:]}">{text[1:]}</td>'
        case _:
            return f"<td>{_typeset(text)}</td>"


def _typeset(text: str) -> str:
    """Numbers with a minus that is as long as a plus."""
    return re.sub(r"(?<![A-Za-z0-9.])-(?=[\d.])|(?<=\de)-(?=\d)", "−", text)


def _linked(paper: str) -> str:
    """A reference whose DOI or arXiv number is a link."""
    text = re.sub(r"doi:(\S+?)(?=[,;]?(\s|$))", r'<a href="https://doi.org/\1">doi:\1</a>', escape(paper))
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', text)
