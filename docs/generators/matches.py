"""Translators between two kinds of images, as tables and a figure."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]
WHICH = """**Which route when** (numbers of the saved run). The full instrument model wins: errors in J1 and J2 are 1.6
and 4.0 % of the prior's width, 92 % of J1 and J2 lie in their 90 % intervals, 84 % of verdicts are right and none is
wrong above 99 %, at some 2 s a map. Where the width and the background were not known but fitted, errors were 1.6 and
4.3 %. So constants and verdicts come from the raw map and its instrument model, wherever there is one. The translator
brings networks that know nothing of the instrument from 10 to 3.5 % in J1 and from 24 to 8.3 % in J2, in 0.04 s and
without any pair: of use for a first guess or a look. But the networks do not know that they see a translation: their
90 % intervals hold 27 % of the truths or fewer, and verdicts on J2 are no better than chance (53 % right, 42 %
wrong above 99 %). No error and no verdict may be taken from there, and the same holds after the autoencoder, whose
errors were larger, and the linear guess. Networks that learn from simulations with the artefacts in them were not
compared here. Of 80 and 40 maps, ECE is in part chance."""
COLUMNS = ("nrmse", "ssim", "intensity_mean", "intensity_off_median", "mode_shift_90", "mode_shift_below_a_tenth")


def tables(result: Result) -> str:
    """Every method beside the truth, in both directions, and what translators took."""
    heads = ("direction", "method", *(name.replace("_", " ") for name in COLUMNS))
    rows = [
        (way, method, *(number(each[name]) for name in COLUMNS))
        for way, methods in result["against_truth"].items()
        for method, each in methods.items()
    ]
    ways = list(result["against_truth"])
    took = [
        (
            name,
            each["parameters"],
            number(each["training"]["minutes"]),
            number(each["seconds_per_frame"]),
            *(
                f"{number(each['feature_distance'][way][when]['value'])}"
                for way in ways
                for when in ("before", "after")
            ),
            ", ".join(f"{number(each['feature_distance'][way]['after']['p'])}" for way in ways),
        )
        for name, each in result["translators"].items()
    ]
    said = (
        f"{result['held_out']} held-out pairs of maps, {result['maps']} maps of each kind to learn from, unpaired. "
        "Root mean square distance over that of the truth, structural similarity, intensity over the true one (mean, "
        "and median of how far it is off), and how far maxima moved, in units of the resolution "
        f"({number(result['resolution_meV'])} meV): nine in ten by less, and the share below a tenth. "
        "*identity* is the image as it came, *best* what is expected with the mean background; the autoencoder learnt "
        "from pairs, which no other method has."
    )
    also = "Weights, minutes of training, seconds for a frame of 240 x 400 (one thread), energy distances of features."
    distances = [f"{way}, {when}" for way in ways for when in ("before", "after")]
    heads_too = ("kind", "weights", "minutes", "seconds", *distances, "p after")
    return f"{said}\n\n{table(heads, rows)}\n\n{also}\n\n{table(heads_too, took)}"


def techniques(result: Result) -> str:
    """Each technique before and after, in both directions."""
    names = ("nrmse", "ssim", "intensity")
    rows = [
        (
            name,
            way,
            *(f"{number(each[way]['before'][key])} → {number(each[way]['after'][key])}" for key in names),
            number(each["minutes"]),
        )
        for name, each in result["techniques"].items()
        for way in ("to clean", "to seen")
    ]
    said = (
        f"{result['images']} generated images of each kind, unpaired; {result['held_out']} held-out pairs, before → "
        "after translation."
    )
    return f"{said}\n\n{table(('images', 'direction', *names, 'minutes'), rows)}"


def measured(result: Result) -> str:
    """Correlations with maps that were left out."""
    rows = [
        (
            name,
            *(number(each[key]) for key in ("before", "measured_to_simulated", "simulated_to_measured")),
            "; ".join(each["doubts"]) or "none",
        )
        for name, each in result["left_out"].items()
    ]
    said = (
        f"Aluminium: {result['simulations']} simulations and the measured maps at other temperatures; one of these is "
        "learnt from, the other judges the training. Correlation of the left-out map with a simulation of published "
        "constants, as they are and with either translated. "
        "Images translated to simulated ones scatter little, as they are copies of the one map that judges."
    )
    heads = ("left out", "as they are", "map translated", "simulation translated", "doubts of the translator")
    return f"{said}\n\n{table(heads, rows)}"


def routes(result: Result) -> str:
    """Verdict and constants after each route, and what to do."""
    verdicts = [
        (
            name,
            each["verdict"]["n"],
            *(number(each["verdict"][key]) for key in ("accuracy", "ece", "brier", "false_decisive")),
            number(each["seconds"]),
        )
        for name, each in result["routes"].items()
    ]
    constants = [
        (
            name,
            constant,
            *(number(one[key]) for key in ("coverage_68", "coverage_90")),
            *(f"{100 * one[key]:.2g}" for key in ("bias", "rms")),
            number(one["rms_over_stated"]),
        )
        for name, each in result["routes"].items()
        for constant, one in each["posterior"].items()
    ]
    sizes, minutes = result["sizes"], result["minutes"]
    took = ", ".join(f"{name} {number(each)}" for name, each in minutes.items())
    one, other = result["hypotheses"]
    said = (
        f"Maps with artefacts, background the same in all, {sizes['held']} each of {one} and {other}, fewer with a "
        f"likelihood. Networks learnt from {sizes['rows']} clean maps of each, with one stray count a bin at most, "
        "and nothing else; *true clean map* is the best that they can do, *counted* has noise drawn as they know it. "
        "*instrument model*: likelihood of the raw map with the resolution, the gaps and the shapes of the background "
        f"known; *fitted*: a width and a polynomial instead. Minutes of training: {took}."
    )
    heads = ("route", "maps", "right", "ECE", "Brier", "wrong above 99 %", "seconds of one thread")
    also = "Constants where J2 is free. Bias and root mean square error in % of the width of the prior."
    more = ("route", "constant", "truths in 68 %", "truths in 90 %", "bias", "rms error", "rms error / stated")
    return f"{said}\n\n{table(heads, verdicts)}\n\n{also}\n\n{table(more, constants)}\n\n{WHICH}"


def draw_routes(result: Result, axes: Axes) -> None:
    """Errors of the constants, route by route."""
    for k, constant in enumerate(next(iter(result["routes"].values()))["posterior"]):
        errors = [100 * each["posterior"][constant]["rms"] for each in result["routes"].values()]
        axes.plot(errors, list(result["routes"]), "os^"[k], label=constant)
    axes.set(xlabel="root mean square error, % of the width of the prior", xscale="log")
    axes.legend(frameon=False)


def draw(result: Result, axes: Axes) -> None:
    """Distances from the truth, method by method."""
    for k, (way, methods) in enumerate(result["against_truth"].items()):
        axes.plot([each["nrmse"] for each in methods.values()], list(methods), "os"[k], label=way)
    axes.set(xlabel="root mean square distance over that of the truth")
    axes.legend(frameon=False)
