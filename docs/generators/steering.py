"""The benchmark of a closed loop as tables and a figure."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]
COLOURS = ("#2166ac", "#1b7837", "#b2182b", "#762a83", "#999999")


def tables(result: Result) -> str:
    """What each rule needed, how well its intervals held, how often it decided wrongly; and what was published."""
    heads = (
        "task",
        "rule",
        "runs",
        "ended",
        "points",
        "minutes",
        "slower than the first",
        "in 90 %: J1, J2, D",
        "wrong",
    )
    rows = [
        (
            task,
            name,
            each["runs"],
            f"{100 * each['done']:.0f} %",
            *_spreads(each),
            f"{100 * each['slower']:.0f} %",
            *_held(each),
        )
        for task in ("refinement", "choice")
        for name, each in result[task].items()
    ]
    target = ", ".join(f"{100 * share:g} % for {name}" for name, share in result["target"].items())
    said = (
        f"Refinement: until the standard deviations are below {target}; choice: J1 alone against J1 and J2, until the "
        f"Bayes factor is {result['decisive']:g}. All rules begin with the priors alone and stop after "
        f"{result['most']['refinement']} and {result['most']['choice']} points at the latest; points and minutes "
        "(counting and moving) are medians, with quartiles, of all runs. *slower*: share of runs that took more "
        "minutes than the first rule for the same truth. Intervals are those of `infer` for runs that met the target."
    )
    return f"{said}\n\n{table(heads, rows)}\n\n{_published(result['published'])}"


def _spreads(each: Result) -> list[str]:
    return [
        f"{number(each[key]['median'])} [{number(each[key]['low'])}, {number(each[key]['high'])}]"
        for key in ("measurements", "minutes")
    ]


def _held(each: Result) -> tuple[str, str]:
    if "wrong" in each:
        return "", f"{100 * each['wrong']:.0f} %"
    held = ", ".join(f"{100 * share:.0f}" for share in each["coverage90"].values())
    return (held if each["done"] else ""), ""


def _published(known: Result) -> str:
    one, three, held, chosen = (known[k] for k in ("refinement", "refinement_three_seeds", "coverage_90", "choice"))
    at_random = f"{one['random_measurements']} and {one['random_seconds']} s at random"
    shares = ", ".join(f"{100 * share:.0f} % for {name}" for name, share in held.items())
    return (
        f"Published for a problem of this kind ({known['source']}; count rates, motors and targets differ, so only "
        f"ratios can be compared): refinement in {one['measurements']} measurements and {one['seconds']} s against "
        f"{at_random} (three seeds: {three['seconds']} against {three['random_seconds']} s); 90 % intervals that held "
        f"{shares}; a choice after {chosen['disagreement_measurements']} measurements by largest disagreement, "
        f"{chosen['greedy_measurements']} by greedy information gain."
    )


def draw(result: Result, axes: Axes) -> None:
    """Share of runs that had ended, against minutes: refinement full, choice dashed."""
    for task, line in (("refinement", "-"), ("choice", "--")):
        for (name, each), colour in zip(result[task].items(), COLOURS, strict=False):
            mine = [row for row in result["rows"] if (row["problem"], row["rule"]) == (task, name)]
            ended = sorted(row["minutes"] for row in mine if row["done"])
            steps = [k / each["runs"] for k in range(len(ended) + 1)]
            axes.step([0, *ended], steps, where="post", ls=line, color=colour, lw=1.2, label=f"{task}: {name}")
    axes.set(xlabel="minutes, counting and moving", ylabel="share of runs that had ended", ylim=(0, 1.02))
    axes.set_xlim(left=0)
    axes.legend(frameon=False, fontsize=7)
