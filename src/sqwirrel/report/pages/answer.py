"""One self-contained page of a result, report.html, and the same as data, report.json."""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

from sqwirrel.report.content import content, in_words
from sqwirrel.report.corner import corner, left_out
from sqwirrel.report.identified import combinations
from sqwirrel.report.numbers import plain
from sqwirrel.report.pages import phonons
from sqwirrel.report.pages.markup import Content, framed, image, note, papers, record, section, table, typeset, wide
from sqwirrel.report.pages.measured import every
from sqwirrel.report.pages.shown import sections
from sqwirrel.report.phonons.dispersion import Dispersion, dispersion
from sqwirrel.report.result import AnyResult, Whole
from sqwirrel.whole import put_text


def write(folder: Path, *results: AnyResult) -> Path:
    """Writes report.json and report.html of the measurements of one posterior into `folder`; says where the page is."""
    said, whole = content(results), Whole.of(results)
    branches = dispersion(whole)
    put_text(folder / "report.json", json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    phonons.keep(folder, branches)
    put_text(folder / "report.html", _html(said, whole, branches))
    return folder / "report.html"


def html(said: Content, *results: AnyResult) -> str:
    """The page."""
    whole = Whole.of(results)
    return _html(said, whole, dispersion(whole))


def _html(said: Content, whole: Whole, branches: Dispersion | None) -> str:
    orange = " Orange: the truth." if whole.truth else ""
    posterior = f'<div class="corner">{image(corner(whole), "Posterior of the parameters in pairs")}</div>'
    every_section = (
        section("measured", "What was measured", every(said["measured"])),
        section("parameters", "Parameters", wide(_parameters(said)) + note(_about_parameters(said))),
        section("checks", "Checks", wide(_checks(said["checks"]))),
        sections(whole.results),
        phonons.sections(whole, branches),
        _identified(whole),
        section(
            "corner", "Posterior of the model’s parameters", posterior + note(ABOUT_CORNER + orange + left_out(whole))
        ),
        section("basins", "Every solution found", wide(_basins(said)) + note(ABOUT_BASINS)),
        section("record", "Where this comes from", record(said["record"])),
        section("papers", "Papers to cite", papers(said["papers"])),
    )
    return framed(said["material"], said["verdict"], every_section, passed=whole.posterior.passed)


ABOUT_BASINS = """Starts are the best of the screened prior draws; those that end in the same maximum of the posterior
count as one solution. The log posterior counts from the best. A solution with probability 0 was not sampled: it is far
worse."""
ABOUT_CORNER = """Blue: 68 and 95 % of the posterior, nuisances marginalised; dots are weighted draws. Dashed red: the
Cramér–Rao bound at the best fit (68 %), which no unbiased estimate beats; a posterior is narrower where the prior says
more than the data."""


ABOUT_IDENTIFIED = """Uncorrelated combinations of the model’s parameters, the best known first: how many times smaller
the standard deviation of each is than that of the prior. About 1: the data say nothing of it, and the answer is the
prior’s. Parameters with less than a tenth of the largest share are left out of the words; report.json has all."""


def _identified(whole: Whole) -> str:
    """Nothing of a single parameter: the table of parameters says it."""
    found, misfits = combinations(whole), whole.posterior.tells_misfit
    if not found:
        return ""
    heads = ["combination", "narrower than<br>the prior", *(["with the misfit<br>in its error"] if misfits else [])]
    rows = [
        ("", [f"~{typeset(escape(each.text))}", *(f"× {x:.3g}" for x in (each.narrower, each.misfit)[: 1 + misfits])])
        for each in found
    ]
    return section("identified", "What the data fix", wide(table(heads, rows)) + note(ABOUT_IDENTIFIED))


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
    return table(heads, rows)


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
    return table(["", "", "value", "meaning"], rows)


def _basins(said: Content) -> str:
    names = [row["name"] for row in said["parameters"] if row["role"] == "model"]
    best = said["basins"][0]["log_posterior"]
    rows = []
    for k, basin in enumerate(said["basins"], 1):
        depth = "–" if basin["log_posterior"] is None or best is None else f"{basin['log_posterior'] - best:.1f}"
        values = [f"{basin['parameters'][name]:.4g}" for name in names]
        rows.append(("", [str(k), *values, depth, str(basin["starts"]), f"{basin['probability']:.3g}"]))
    return table(["", *names, "log posterior", "starts", "probability"], rows)
