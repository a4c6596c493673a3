"""One self-contained page of a result, report.html, and the same as data, report.json."""

import base64
import io
import json
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from sqwirrel.report import figures
from sqwirrel.report.content import content, in_words
from sqwirrel.report.corner import corner
from sqwirrel.report.numbers import plain
from sqwirrel.report.result import DRAWS, Result

Content = dict[str, Any]


def write(folder: Path, result: Result) -> Path:
    """Writes report.json and report.html into `folder` and says where the page is."""
    said = content(result)
    _put(folder / "report.json", json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    _put(folder / "report.html", html(said, result))
    return folder / "report.html"


def html(said: Content, result: Result) -> str:
    """The page."""
    template = Template(resources.files("sqwirrel.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(said["material"]),
        verdict=_typeset(escape(said["verdict"])),
        state="passed" if result.posterior.passed else "failed",
        measured=_measured(said["measured"]),
        parameters=_parameters(said),
        parameters_note=_note(_about_parameters(said)),
        checks=_checks(said["checks"]),
        basins=_basins(said),
        basins_note=_note(ABOUT_BASINS),
        record=_record(said["record"]),
        papers="".join(f"<li>{_linked(paper)}</li>" for paper in said["papers"]),
        **_figures(result),
    )


ABOUT_BASINS = """Starts are the best of the screened prior draws; those that end in the same maximum of the posterior
count as one solution. The log posterior counts from the best. A solution with probability 0 was not sampled: it is far
worse."""
ABOUT_MAPS = """One pair of axes for all; data and model share their colours, from the 1st to the 99th percentile. Grey
was not measured or not used. Residuals are in standard deviations, as the likelihood counts them: noise is salt and
pepper in the first map and rarely beyond ±4 in the second; what the model misses stands out there. Red: more was
measured than the model gives."""
ABOUT_CUTS = f"""Points: data with the standard deviations that the likelihood uses. Dark blue: 68 and 95 % of the model
alone, over {DRAWS} posterior draws. Light blue: 68 and 95 % of what a new measurement would give, counting noise
included. Bins beside badly covered ones have large errors, because the likelihood takes the variance of reduced data
from neighbours."""
ABOUT_CORNER = """Blue: 68 and 95 % of the posterior, nuisances marginalised; dots are weighted draws. Dashed red: the
Cramér–Rao bound at the best fit (68 %), which no unbiased estimate beats; a posterior is narrower where the prior says
more than the data."""


def _figures(result: Result) -> dict[str, str]:
    maps = (figures.data_map, figures.model_map, figures.residual_map, figures.misfit_map)
    names = ("data", "model at the best fit", "residuals", "smoothed residuals")
    cuts = [figures.cut(result, start, stop) for start, stop in figures.cut_rows(result)]
    orange = " Orange: the truth." if result.truth else ""
    return {
        "maps": "".join(_image(draw(result), f"Map of the {name}") for draw, name in zip(maps, names, strict=True)),
        "maps_note": _note(ABOUT_MAPS),
        "cuts": "".join(_image(cut, f"Energy cut {k}") for k, cut in enumerate(cuts, 1)),
        "cuts_note": _note(ABOUT_CUTS),
        "corner": _image(corner(result), "Posterior of the parameters in pairs"),
        "corner_note": _note(ABOUT_CORNER + orange),
    }


def _image(figure: Figure, words: str) -> str:
    """A figure inside the page; its lines and letters stay sharp, its maps are pixels."""
    buffer = io.BytesIO()
    with mpl.rc_context(figures.STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}"></figure>'


def _measured(said: Content) -> str:
    rows = {
        "file": f"{escape(said['file'])} <br><small>SHA-256 <code>{said['sha256']}</code></small>",
        "kind": f"{said['kind']}, {said['bins'][0]} × {said['bins'][1]} bins; {said['intensity']}",
        "where": _where(said),
        "energy transfer": f"{plain(said['energy_range'][0])} to {plain(said['energy_range'][1])} meV",
        "conditions": _conditions(said),
        "bins": _bins(said),
        "taken from the file": escape(_used(said["used"])),
    }
    return _definitions(rows)


def _where(said: Content) -> str:
    if "q_range" in said:
        return "|Q| = {:.3g} to {:.3g} Å⁻¹".format(*said["q_range"])
    return "q = " + " → ".join(f"({corner})" for corner in said["corners"])


def _bins(said: Content) -> str:
    used, zero, left = (said[key] for key in ("bins_measured", "bins_zero", "bins_unmeasured"))
    return f"{used} used ({zero} of them zero), {left} not measured or left out"


def _conditions(said: Content) -> str:
    field = "" if not any(said["field"]) else f", field {said['field']} T"
    incident = f", incident energy {said['incident_energy']:g} meV" if said["incident_energy"] else ""
    return f"{said['temperature']:g} K{field}{incident}"


def _used(used: Content) -> str:
    """What the config took of the file, as it says it."""
    said = ", ".join(f"{key} {json.dumps(value)}" for key, value in used.items())
    return re.sub(r'["{}:]', "", said) or "everything"


def _parameters(said: Content) -> str:
    with_truth = any("truth" in row for row in said["parameters"])
    extra = ["truth", "pull"] if with_truth else []
    keys = ["name", "value", *extra, "interval68", "interval95", "limit", "prior"]
    heads = ["", "median", *extra, "68 %", "95 %", "Cramér–Rao<br>limit (1 σ)", "prior"]
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


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _linked(paper: str) -> str:
    """A reference whose DOI or arXiv number is a link."""
    text = re.sub(r"doi:(\S+?)(?=[,;]?(\s|$))", r'<a href="https://doi.org/\1">doi:\1</a>', escape(paper))
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', text)


def _put(path: Path, text: str) -> None:
    """The file appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
