"""Causal maps of measured spectra, and the graph against saliency, as tables and figures."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]
COLOURS = ("#2166ac", "#b2182b", "#1b7837", "#762a83")
WORDS = {"hamiltonian": "", "instrument": " (instrument)", "held": " (held)"}


def tables(result: Result) -> str:
    """Maps, what fixes what, refits, score tests, parts."""
    sets = result["sets"]
    said = (
        "Maps about measured posteriors, 64 interventions on each cause (32 of PCSMO) over .3 of its prior round the "
        "best fit, or over so many standard deviations to both sides (*over*); errors larger by the root of the mean "
        "squared residual where that is above 1. *No constant*: bins of regions that have no constant of the model as "
        "a parent. All refits are of regions that constants need most, not of random ones."
    )
    parts = (_maps(sets), _fixed(sets), _refits(result), _missing(sets), _parts(sets), _frame(result))
    return "\n\n".join((said, *(part for part in parts if part)))


def _maps(sets: Result) -> str:
    heads = (
        "data",
        "over",
        "causes",
        "bins",
        "no constant",
        "regions",
        "score",
        "undecided",
        "seconds",
        "deviance per bin",
    )
    rows = [
        (
            f"`{name}`",
            ".3 of the prior" if one["times"] is None else f"{one['times']:g} σ",
            *(one[key] for key in ("causes", "bins", "unmoved", "regions")),
            number(one["score"]),
            f"{100 * one['undecided']:.0f} %",
            *(number(one[key]) for key in ("seconds", "deviance_per_bin")),
        )
        for name, one in sets.items()
    ]
    return table(heads, rows)


def _fixed(sets: Result) -> str:
    rows = [
        (f"`{name}`", cause, number(each["sigma"]), *(_region(each[key]) for key in ("needs", "alone")))
        for name, one in sets.items()
        for cause, each in one["fixed"].items()
    ]
    heads = ("data", "constant", "error, meV", "error without this region", "error from this region alone")
    return f"Which region fixes which constant, by the inverse map.\n\n{table(heads, rows)}"


def _region(each: Result) -> str:
    where = "; ".join(" ".join(filter(None, place)) for place in list(each["places"].items())[:2])
    return f"× {number(each['factor'])}: R{each['region']}, {each['bins']} bins, {where}"


def _refits(result: Result) -> str:
    rows = []
    for name, one in [*result["sets"].items(), ("all", {**result["all"], "refits": ()})]:
        rank, (least, most) = one["rank_correlation"], one["ratios"]
        refits = one["refits"]
        shifts = [abs(shift) for each in refits for shift in each["shift"].values()]
        rows.append(
            (
                f"`{name}`",
                len(refits) or sum(len(each["refits"]) for each in result["sets"].values()),
                one["knockouts"],
                "" if rank is None else number(rank),
                f"{number(one['median_ratio'])} ({number(least)} to {number(most)})",
                f"{100 * one['within_a_quarter']:.0f} %",
                f"{number(max(shifts))}" if shifts else "",
            )
        )
    heads = ("data", "refits", "errors", "rank correlation", "realised over predicted", "within 25 %", "largest shift")
    said = (
        "Errors of constants when `infer` is asked again without a region, against what the inverse map predicted; "
        "shifts of medians are in the errors of the refit, without the factor for the deviance."
    )
    return f"{said}\n\n{table(heads, rows)}"


def _missing(sets: Result) -> str:
    rows = []
    for name, one in sets.items():
        each = one["missing"]
        first = "; ".join(
            f"{c['name']}{WORDS[c['kind']]} {c['score']:+.1f} ({c['score_with_excess']:+.1f}): "
            f"{c['value']:.2g} {c['unit']}".strip()
            for c in each["first"][:4]
        )
        asked = f"{each['asked']} ({each['asked_with_excess']})"
        rows.append((f"`{name}`", f"{each['tested']} of {each['candidates']}", asked, first))
    heads = ("data", "tested", "asked for", "the first, score in standard deviations")
    said = "Score test of terms that models lack; in brackets with errors as large as the residuals are."
    return f"{said}\n\n{table(heads, rows)}"


def _parts(sets: Result) -> str:
    rows = [
        (
            f"`{name}`",
            each["part"],
            f"{number(each['chi2'])} ({number(each['chi2_with_excess'])}) of {each['freedom']}",
            ", ".join(f"{cause} {score:+.1f}" for cause, score in each["scores"].items()),
        )
        for name, one in sets.items()
        for each in one["parts"]
    ]
    heads = ("data", "part", "χ²", "constants, standard deviations from the rest")
    return f"Constants in parts of the data against the rest, linearised at the best fit.\n\n{table(heads, rows)}"


def _frame(result: Result) -> str:
    if "frame" not in result:
        return ""
    one = result["frame"]
    return (
        f"A map of {one['causes']} causes on all pixels of the PCSMO frame (240 × 400, {one['bins']} measured), "
        f"64 interventions on each: {number(one['seconds'])} s on {one['threads']} thread, "
        f"{number(one['seconds_with_reading'])} s with reading and setting up."
    )


def draw(result: Result, axes: Axes) -> None:
    """Realised against predicted."""
    for (name, one), colour in zip(result["sets"].items(), COLOURS, strict=False):
        pairs = [(row["predicted"][key], row["realised"][key]) for row in one["refits"] for key in row["predicted"]]
        axes.plot(*zip(*pairs, strict=True), "o", ms=3.5, alpha=0.7, color=colour, label=name)
    ends = axes.get_xlim()
    axes.plot(ends, ends, color="#333333", lw=0.6)
    axes.set(xscale="log", yscale="log", xlabel="error grows by, predicted", ylabel="error grows by, refits")
    axes.legend(frameon=False)


HEADS = {
    "network deletion": "network: deletion",
    "network insertion": "insertion",
    "network left": "left at 5 %",
    "likelihood deletion": "likelihood: deletion",
    "likelihood left": "left at 5 %",
    "to the mean: deletion": "to the mean image: deletion",
    "to the mean: insertion": "insertion",
}


def saliency(result: Result) -> str:
    """What decisions do when bins are replaced in the order of each map."""
    rows = [
        (
            name.replace("_", " "),
            *(_with_error(each[key]) for key in HEADS),
            _with_error(result["tiles"][name]),
        )
        for name, each in result["methods"].items()
    ]
    said = (
        f"{result['frames']} held-out frames of Goodenough and dimer at 20 000 magnetic counts, of which the network "
        f"({number(result['training_minutes'])} min of training) says {100 * result['right']:.0f} % right. Bins are "
        "replaced by counts of the best fit of the other model; a decision is 1 before and 0 after. *Tiles*: rank "
        "correlation with what the replacement of single tiles does to the network. Errors are over frames."
    )
    graph = result["methods"]
    better = [
        f"{name.replace('_', ' ')} {graph[name]['network deletion'][2]:+.3f} ± {graph[name]['network deletion'][3]:.3f}"
        for name in ("cam", "grad_cam", "integrated_gradients", "random")
    ]
    said_more = f"Deletion of the network's decision, frame by frame, over that of the graph: {', '.join(better)}."
    return f"{said}\n\n{table(('order', *HEADS.values(), 'tiles'), rows)}\n\n{said_more}"


def _with_error(each: list[float]) -> str:
    return f"{number(each[0])} ± {number(each[1])}"
