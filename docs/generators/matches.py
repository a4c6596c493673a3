"""Translators between two kinds of images, as tables and a figure."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table
from sqwirrel.learn.translate.inside import LOOKS

Result = dict[str, Any]
WHICH = """**Which route when** (numbers of this run). Errors in J1 and J2 of the first {first} maps, in % of
the prior's width, from the best to the worst route: {order}. The full instrument model had {right} % of verdicts
right and {wrong} % wrong above 99 %, {held} % of J1 and J2 in their 90 % intervals, at {seconds} s a map; networks that
learnt from simulations behind the whole instrument {learnt_right} %, {learnt_wrong} %, {learnt_held} % and
{learnt_seconds} s, after {learnt_minutes} minutes of training. So constants and verdicts come from the
raw map and its instrument model, by the likelihood or, of many maps, by networks that learnt behind it. Networks that
know nothing of the instrument do not know that they see a translation: after the translator, which had no pair, their
90 % intervals hold {translated_held} % of the truths, {translated_right} % of verdicts are right and
{translated_wrong} % wrong above 99 %. It is of use for a first guess or a look; no error and no verdict may be taken
from there, nor after the autoencoder or the linear guess. Of few maps, ECE is in part chance."""
FIRST = 20
"""Maps that routes are compared on."""
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
    found = f"{said}\n\n{table(heads, rows)}\n\n{also}\n\n{table(heads_too, took)}"
    if "limit" not in result:
        return found
    share, error = (number(result["limit"][key]) for key in ("mode_shift_below_a_tenth", "mode_error_median"))
    return (
        f"{found}\n\nWho knows the model and the whole instrument could tell positions of modes to {error} of the "
        f"resolution (median Cramer-Rao bound of the same maps), a share of {share} of them within a tenth."
    )


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


def domain(result: Result) -> str:
    """What is refused of each domain and of what is outside, in %."""
    known = [name for name in ("rb2mnf4", "pcsmo", "frame") if name in result]
    kinds = dict.fromkeys(kind for name in known for kind in result[name]["outside_refused"])
    rows = [("fresh maps of the domain itself", *(number(100 * result[name]["inside_refused"]) for name in known))]
    for kind in kinds:
        each = [
            [result[name][key].get(kind) for key in ("outside_refused", "outside_refused_with_noise")] for name in known
        ]
        rows.append(
            (kind.replace("_", " "), *("" if one is None else f"{100 * one:g}, {100 * two:g}" for one, two in each))
        )
    first = result[known[0]]
    said = (
        f"Shares of maps that are refused, %. Each domain is known by {first['maps']} maps or more, of which "
        f"{first['held_out']} are held out; all from outside has the grid, the size, the errors and the gaps of the "
        "domain, as it is and with noise on top."
    )
    measured = result["frame"]["measured"]
    far = 100 * measured["share_as_far"] / len(LOOKS)
    frame = (
        f"The measured frame of PCSMO at 70 meV beside those simulated: {far:.0f} % of held-out ones or more "
        f"are as far, whichever of {len(LOOKS)} ways it is looked at; "
        f"{'refused' if measured['refused'] else 'not refused'}."
    )
    nearly = ", ".join(
        f"{k.replace('_', ' ')} {100 * x:g}" for k, x in result["rb2mnf4"]["nearly_inside_refused"].items()
    )
    return f"{said}\n\n{table(('maps', *known), rows)}\n\n{frame} Nearly maps of rb2mnf4, refused in %: {nearly}."


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
        "known; *fitted*: a width and a polynomial instead. *networks that learnt artefacts* learnt from simulations "
        f"behind that instrument, with gaps. Minutes of training: {took}."
    )
    heads = ("route", "maps", "right", "ECE", "Brier", "wrong above 99 %", "seconds of one thread")
    also = "Constants where J2 is free. Bias and root mean square error in % of the width of the prior."
    more = ("route", "constant", "truths in 68 %", "truths in 90 %", "bias", "rms error", "rms error / stated")
    return f"{said}\n\n{table(heads, verdicts)}\n\n{also}\n\n{table(more, constants)}\n\n{which(result)}"


def which(result: Result) -> str:
    """What follows from the routes; refuses results that do not say it."""
    routes, truth = result["routes"], "true clean map"
    known = {"": "instrument model", "learnt_": "networks that learnt artefacts", "translated_": "translator"}
    told = {
        f"{short}{key}": value
        for short, name in known.items()
        for key, value in (
            ("held", " and ".join(_two(routes[name], "coverage_90"))),
            ("right", f"{100 * routes[name]['verdict']['accuracy']:.0f}"),
            ("wrong", f"{100 * routes[name]['verdict']['false_decisive']:.2g}"),
            ("seconds", number(routes[name]["seconds"])),
        )
    }
    order = sorted((name for name in routes if name != truth), key=lambda name: _error(routes[name]))
    if not set(order[:3]) >= {"instrument model", "networks that learnt artefacts"}:
        raise ValueError(f"the text on routes is wrong for this result: the best are {order[:3]}")
    each = "; ".join(f"{name} {' and '.join(_two(routes[name], 'rms_of_first'))}" for name in order)
    minutes = sum(took for name, took in result["minutes"].items() if name.endswith("network, with artefacts"))
    fewest = min(routes, key=lambda name: routes[name]["posterior"]["J1"]["maps"])
    fewer = f" ({fewest}: {n})" if (n := routes[fewest]["posterior"]["J1"]["maps"]) < FIRST else ""
    return WHICH.format(**told, order=each, first=f"{FIRST}{fewer}", learnt_minutes=f"{minutes:.0f}")


def _two(route: Result, key: str) -> list[str]:
    return [f"{100 * route['posterior'][name][key]:.2g}" for name in ("J1", "J2")]


def _error(route: Result) -> float:
    return float(sum(route["posterior"][name]["rms_of_first"] for name in ("J1", "J2")))


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
