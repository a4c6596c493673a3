"""Results of rival models: who is told from whom, what is strange, where networks look, what evidence says."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]
PARTS = {"three": "three models", "goodenough or dimer": "Goodenough or dimer"}


def told(result: Result) -> str:
    """Accuracy and calibration by counts; probabilities of the measured frame and of strange ones."""
    rows = [
        (counts, said, *_scores(each[part]))
        for counts, each in result["by_counts"].items()
        for part, said in PARTS.items()
    ]
    rows.append(("as measured", "three models", *_scores(result["like_measured"])))
    heads = ("magnetic counts", "between", "right", "ECE", "Brier", "wrong above 99 %", "above 99 %")
    frames = {"the measured frame": result["measured"], **result["strange"]}
    strange = [
        (
            name,
            *(f"{p:.3f}" for p in each["probability"].values()),
            number(each["disagreement"]),
            number(each["likelier"]),
        )
        for name, each in frames.items()
    ]
    models = list(result["measured"]["probability"])
    cost = result["network"]
    said = (
        f"{result['sizes']['rows']} simulations of each model to learn from, {result['sizes']['held']} held out, that "
        f"nobody had looked at; {cost['parameters']} parameters, {number(cost['training_minutes'])} min of training."
    )
    also = (
        "Frames that no model made, and the measured one; the last column is the share of simulated frames that are as "
        f"strange (rejected below 0.01; of held-out ones {100 * result['rejected_inside']:.1f} % are); area under the "
        f"curve, in and out of distribution, {number(result['auroc'])}."
    )
    verdict = (
        f"\n\nVerdict of networks and evidence on the measured frame: {result['verdict']}"
        if result.get("verdict")
        else ""
    )
    heads_too = ("frame", *models, "disagreement", "as strange")
    return f"{said}\n\n{table(heads, rows)}\n\n{also}\n\n{table(heads_too, strange)}{verdict}"


def _scores(each: Mapping[str, Any]) -> tuple[str, ...]:
    shares = (f"{100 * each[name]:.1f} %" for name in ("accuracy",))
    rare = (f"{100 * each[name]:.2f} %" for name in ("false_decisive", "decisive"))
    return (*shares, f"{each['ece']:.3f}", f"{each['brier']:.3f}", *rare)


def draw_told(result: Result, axes: Axes) -> None:
    """A reliability diagram: how often answers are right, against how sure they were."""
    axes.plot([0.3, 1], [0.3, 1], color="#333333", lw=0.6)
    for k, (counts, each) in enumerate(result["by_counts"].items()):
        rows = [row for row in each["three"]["reliability"] if row[2] >= 20]
        sure, right, n = zip(*rows, strict=True)
        error = [(p * (1 - p) / m) ** 0.5 for p, m in zip(right, n, strict=True)]
        axes.errorbar(sure, right, error, fmt="osD^"[k % 4] + "-", ms=3, lw=0.8, color=f"C{k}", label=counts)
    axes.set(xlabel="probability of the answer", ylabel="share of right answers")
    axes.legend(frameon=False, fontsize=7, title="magnetic counts", title_fontsize=7)


def weighed(result: Result) -> str:
    """Evidence of each rival for the measured frame, and its constants."""
    rows = [
        (
            name,
            f"{each['log_evidence'][0]:.0f} ± {each['log_evidence'][1]:.0f}",
            number(each["deviance_per_bin"]),
            "" if each["apart"] is None else number(each["apart"]),
            ", ".join(
                f"{key} {number(at)} [{number(low)}, {number(high)}]"
                for key, (at, low, high) in each["parameters"].items()
            ),
        )
        for name, each in result["evidence"].items()
    ]
    heads = (
        "model",
        "log evidence",
        "deviance a bin",
        "advantage of the best, in its own scatter",
        "constants, meV (95 %)",
    )
    return table(heads, rows)


def looked(result: Result) -> str:
    """How far maps of each method agree with the physical one."""
    wrong = result["labels at random"]
    rows = [
        (
            method.replace("_", " "),
            *(f"{at:.2f} ± {error:.2f}" for at, error in (each["rank_correlation"], each["top5_overlap"])),
            "" if each["randomised"] is None else ", ".join(f"{x:.2f}" for x in each["randomised"]),
            f"{wrong[method]['rank_correlation'][0]:.2f}" if method in wrong else "",
            ", ".join(number(x) for x in each["areas"]["deletion"]),
            ", ".join(number(x) for x in each["areas"]["insertion"]),
        )
        for method, each in result["methods"].items()
    ]
    heads = (
        "method",
        "rank correlation with the physical map",
        "overlap of the five largest tiles",
        "random weights: mean, largest",
        "labels at random",
        "deletion, random order",
        "insertion, random order",
    )
    tops = [
        (name.replace("_", " "), "; ".join(each[:5]))
        for name, each in {"physics, held-out frames": result["physics"], **result["measured"]}.items()
    ]
    said = f"{result['frames']} held-out frames of Goodenough and dimer; 60 tiles of E_i and energy."
    on_frame = "Tiles that speak most for Goodenough on the measured frame, and their share of all that does:"
    return f"{said} {_physical(result)}\n\n{table(heads, rows)}\n\n{on_frame}\n\n{table(('method', 'tiles'), tops)}"


def _physical(result: Result) -> str:
    """What the physical map is against."""
    if "log_ratio" not in result:
        return "Made when the physical map was against the nearest simulation of the other model, not its best fit."
    ratios = result["log_ratio"]
    return (
        "Expected log likelihood ratio against the best fit of the other model, at 20 000 counts: "
        f"{number(ratios[0])} at least, median {number(ratios[len(ratios) // 2])}."
    )


def cleaned(result: Result) -> str:
    """What cleaning does to held-out frames and to the measured one."""
    raw, still = (result["held_out"][name] for name in ("raw", "without noise"))
    said = (
        f"Networks are asked about {raw['raw']['n']} held-out frames like the measured one, and about the measured one "
        "itself: as they are, as a few numbers (linear, autoencoder) make them, between the two as the errors of both "
        "say (restored), and after a translator that had no pairs. A committee of networks learnt from raw frames, one "
        "network from frames without noise. Squared errors are in units of the noise."
    )
    heads = (
        "frames", "squared error", "right", "calibration error", "measured frame", "odds of the next (nats)",
        "learnt without noise: right", "calibration error", "Goodenough for the measured frame",
    )  # fmt: skip
    rows = [
        (
            name,
            f"{each['squared_error']:.2f}",
            f"{100 * each['accuracy']:.1f} %",
            f"{each['ece']:.3f}",
            (seen := result["measured"][name])["best"],
            f"{min(seen['log_odds_of_best'].values()):.1f}",
            f"{100 * still[name]['accuracy']:.1f} %",
            f"{still[name]['ece']:.3f}",
            f"{result['measured_by_network_without_noise'][name]['goodenough']:.2g}",
        )
        for name, each in raw.items()
    ]
    found = f"{said}\n\n{table(heads, rows)}"
    if not result["posterior"]:
        return found
    names = ("JF1", "JA", "Jperp", "JF2", "JF3", "D")
    answers = [
        (kind, *("{:.2f} [{:.2f}, {:.2f}]".format(*posterior[name]) for name in names))
        for kind, posterior in result["posterior"].items()
    ]
    said = "Goodenough's constants (meV, 95 %) from each of them."
    return f"{found}\n\n{said}\n\n{table(('from', *names), answers)}"
