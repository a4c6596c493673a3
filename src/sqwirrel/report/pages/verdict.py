"""One self-contained page of a verdict, report.html: which of some rivals, by whose word, and where that is decided."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from sqwirrel.explain.networks import Heard
from sqwirrel.report import figures
from sqwirrel.report.content import content, in_check_words, in_words
from sqwirrel.report.decision import Decision, headline
from sqwirrel.report.figures import networks
from sqwirrel.report.figures.rivals import is_map, rival_fits
from sqwirrel.report.numbers import plain
from sqwirrel.report.pages.markup import (
    Content,
    framed,
    image,
    note,
    papers,
    pictures,
    record,
    section,
    table,
    typeset,
    wide,
)
from sqwirrel.report.pages.measured import every
from sqwirrel.report.result import AnyResult, BulkResult, PeakResult
from sqwirrel.spectra import Spectrum
from sqwirrel.whole import put_text

ABOUT_RIVALS = """Log evidence: the logarithm of the mean likelihood of the stable draws of a prior, with its numerical
error; the log Bayes factor is the difference of two, 4.6 for odds of 100 : 1. Scatter: how many errors, by how windows
of bins differ, the log likelihood ratio is from zero. Probability: if one of these models is right. Stable: the share
of the prior for which the order is a minimum of the energy. Deviance is per bin, near 1 for a model that describes the
data. Each model has a report of its own behind its name."""
ABOUT_NETWORKS = """Networks answer for all spectra of the priors at once and know less than an evidence: odds of a few
nats beside a log Bayes factor of hundreds are usual. Strange: the share of simulated spectra that are at least as
unlike the others, by the worst of some scores and corrected for their number; below 1 % their
answer does not count."""
PARAMETERS = """Fixed values are in brackets. Where a factor stands behind, misfit makes the error so many times
larger than counting does."""
WIDER = 1.05
ABOUT_RATIO = """The difference of the log likelihoods of the two best, bin by bin, each at its best fit. Red speaks for
the first, blue for the second; the log Bayes factor also has what priors charge."""
ABOUT_HEARD = """Log odds that each bin adds to the decision of the networks, the mean of all of them (class activation:
the sum is the decision). Rank correlations are of sums over windows of bins: 1 for the same order, near 0 by chance."""
ABOUT_FITS = """Every fit is the best of its model. Data and fits share their colours, from the 1st to the 99th
percentile, and so do all residuals, in the standard deviations of the likelihood. In front of them stands what the
second would leave if the first were right and there were no noise: what the second leaves should look like it. Averaged
residuals show what single bins hide. Grey was not measured or not used."""
ABOUT_LINES = """Points: data with the standard deviations that the likelihood uses. Blue: the model at the points that
were measured, its median and 68 and 95 % over posterior draws."""


def write(folder: Path, decision: Decision) -> Path:
    """Writes report.html into `folder`; says where it is."""
    put_text(folder / "report.html", html(decision))
    return folder / "report.html"


def html(decision: Decision) -> str:
    """The page."""
    verdict, said = decision.verdict, {name: content(each) for name, each in decision.wholes.items()}
    best = said[verdict.best]
    sections = (
        section("rivals", "Evidence", wide(_rivals(decision)) + note(ABOUT_RIVALS)),
        _networks(decision),
        _where(decision),
        pictures("fits", "Best fits beside the data", _fits(decision), ABOUT_FITS),
        pictures("lines", "Best fits beside points and peaks", _lines(decision), ABOUT_LINES),
        section("parameters", "Parameters", wide(_parameters(said)) + note(PARAMETERS)),
        section("measured", "What was measured", every(best["measured"])),
        section("record", "Where this comes from", record(_recorded(decision))),
        section("papers", "Papers to cite", papers(dict.fromkeys(p for each in said.values() for p in each["papers"]))),
    )
    title = f"{best['material']}: {' or '.join(said)}?"
    return framed(title, headline(verdict), sections, passed=not verdict.undecided)


def _rivals(decision: Decision) -> str:
    """A row for each rival."""
    verdict, rows = decision.verdict, []
    for name in verdict.ranked:
        evidence, posterior = verdict.evidence[name], verdict.posteriors[name]
        value, error = verdict.log_bayes(name)
        other = name != verdict.best
        failed = [escape(in_check_words(check.name)) for check in posterior.checks if not check.passed]
        cells = [
            f'<a href="{escape(name)}/report.html">{escape(name)}</a>',
            f"{evidence.log:.1f} ± {evidence.error:.1f}",
            f"{value:.1f} ± {error:.1f}" if other else "–",
            plain(verdict.apart(name)) if other else "–",
            plain(verdict.probability[name]),
            f"{100 * evidence.stable:.0f} %",
            plain(posterior.deviance_per_bin),
            f"~{', '.join(failed) or 'none'}",
        ]
        rows.append(("", cells))
    bayes = f"log Bayes factor<br>of {escape(verdict.best)}"
    heads = ["", "log evidence", bayes, "over scatter", "probability", "stable", "deviance", "failed checks of the fit"]
    return table(heads, rows)


def _networks(decision: Decision) -> str:
    """What networks say: each of them, and how strange the data are to them."""
    opinion = decision.verdict.opinion
    if opinion is None:
        return ""
    others = opinion.ranked[1:]
    whole = [plain(opinion.log_odds(opinion.best, name)) for name in others]
    rows = [("", ["all together", plain(opinion.probability[opinion.best]), *whole])]
    members = list(zip(*(opinion.by_member(opinion.best, name) for name in others), strict=True))
    if len(members) > 1:
        rows += [("", [f"network {k}", "", *map(plain, each)]) for k, each in enumerate(members, 1)]
    best = escape(opinion.best)
    odds = table(["", f"probability<br>of {best}", *(f"log odds to<br>{escape(x)} (nats)" for x in others)], rows)
    strange = {"all scores": opinion.likelier, **opinion.scores}
    scores = table(
        ["strange by", "simulated spectra<br>at least as strange"],
        [("", [escape(name), f"{_percent(share)} %"]) for name, share in strange.items()],
    )
    apart = opinion.disagreement
    said = "" if apart is None else f" Its members disagree by {apart:.2f} nats (mutual information; 0 if they agree)."
    words = f"<p>{escape(opinion.answer)}.{said}</p>"
    return section("networks", "What networks say", words + wide(odds) + wide(scores) + note(ABOUT_NETWORKS))


def _where(decision: Decision) -> str:
    """Where the evidence is decided, beside where networks find it, and whether to believe that."""
    verdict, heard, parts = decision.verdict, decision.heard, []
    second = verdict.ranked[1]
    title, factor, maps = f"{verdict.best} − {second}", verdict.log_bayes(second)[0], verdict.ratio(second)
    for label, spectrum in _mapped(decision).items():
        shown = image(figures.ratio_map(spectrum, maps[label], title, factor), "Log likelihood ratio of each bin")
        if heard is not None:
            shown += image(heard_map(spectrum, heard, label), "What networks find in each bin")
        parts.append(_named(label, shown))
    drawn = f'<div class="side">{"".join(parts)}</div>{note(ABOUT_RATIO)}' if parts else ""
    if heard is None:
        return section("where", "Where it is decided", drawn) if drawn else ""
    doubts = "Do not read the map of the networks: " + "; ".join(heard.doubts)
    trust = doubts if heard.doubts else "Nothing speaks against the map of the networks"
    words = f'<p class="{"doubt" if heard.doubts else "trust"}">{typeset(escape(trust))}.</p>'
    return section("where", "Where it is decided", drawn + words + wide(_trust(heard)) + note(ABOUT_HEARD))


def heard_map(spectrum: Spectrum, heard: Heard, label: str) -> Figure:
    """What networks find for the best in every bin of a spectrum."""
    return networks.attribution_map(spectrum, heard.maps[label], heard.one, heard.other, "class activation")


def _mapped(decision: Decision) -> dict[str, Spectrum]:
    """Spectra that are maps."""
    spectra = {label: next(iter(each.values())).spectrum for label, each in decision.spectra.items()}
    return {label: each for label, each in spectra.items() if is_map(each.measurement)}


def _trust(heard: Heard) -> str:
    """Rank correlations, beside those that chance makes."""
    chance = (heard.chance_evidence, heard.chance_members)
    far, near = (f"{min(each):.2f} to {max(each):.2f}" if each else "–" for each in chance)
    labels = heard.by_label.items() if len(heard.by_label) > 1 else ()
    rows = [
        ["this map", f"{heard.evidence:.2f}", "–" if heard.members is None else f"{heard.members:.2f}"],
        *([escape(f"the same, {label}"), f"{each:.2f}", ""] for label, each in labels),
        [f"random weights, {len(heard.chance_evidence)} committees", far, near],
    ]
    heads = [
        "rank correlation",
        "with where the<br>evidence is decided",
        "between networks<br>of one committee",
    ]
    return table(heads, [("", row) for row in rows])


def _fits(decision: Decision) -> list[str]:
    return [
        _named(label, image(rival_fits(decision.spectra[label]), "Data, best fits and residuals"))
        for label in _mapped(decision)
    ]


def _lines(decision: Decision) -> list[str]:
    """Best fits of what is no map, rival by rival."""
    every = [(name, each) for name in decision.verdict.ranked for each in decision.results[name]]
    return [
        _named(f"{name}, {each.label}" if each.label else name, image(figure, "Data and model"))
        for name, each in every
        if (figure := _line(each)) is not None
    ]


def _line(result: AnyResult) -> Figure | None:
    """The best fit to peaks, or to points that are no map."""
    if isinstance(result, PeakResult):
        return figures.peak_fit(result)
    if isinstance(result, BulkResult) or is_map(result.spectrum.measurement):
        return None
    return figures.fit_lines(result)


def _parameters(said: Mapping[str, Content]) -> str:
    """A column for each rival, a row for each parameter."""
    rows, truth = [], dict[str, str]()
    known = {who: {row["name"]: row for row in each["parameters"]} for who, each in said.items()}
    every_row = {row["name"]: row for each in said.values() for row in each["parameters"]}
    for name, row in sorted(every_row.items(), key=lambda item: item[1]["role"] != "model"):
        truth |= {name: f"{row['truth']:.4g}"} if "truth" in row else {}
        cells = [_value(known[who].get(name), each["fixed"].get(name)) for who, each in said.items()]
        rows.append((row["role"], [escape(name), *cells]))
    extra = ["truth"] if truth else []
    rows = [(role, [*cells, *([truth.get(cells[0], "–")] if truth else [])]) for role, cells in rows]
    return table(["", *map(escape, said), *extra], rows)


def _value(row: Content | None, fixed: float | None) -> str:
    if row is not None:
        wider = row["widening"] or 1.0
        return escape(in_words(row)["value"]) + (f" × {wider:.1f}" if wider >= WIDER else "")
    return "–" if fixed is None else f"({fixed:g})"


def _recorded(decision: Decision) -> Content:
    of = decision.record
    seconds = {name: each.posterior.seconds for name, each in decision.wholes.items()}
    return {
        "created": of.created,
        "machine": of.machine,
        "files": dict(sorted(of.files.items())),
        "versions": dict(sorted(of.versions.items())),
        "seeds": dict(of.seeds),
        "seconds": seconds,
    }


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share > 0.1 else f"{100 * share:.2g}"


def _named(label: str, shown: str) -> str:
    return f"<h3>{escape(label)}</h3>{shown}" if label else shown
