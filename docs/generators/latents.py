"""Two-stage learning of powder phonon maps: heads on latents, measured aluminium, an extractor for many crystals."""

from typing import Any

from matplotlib.axes import Axes

from generators.tables import number, table

Result = dict[str, Any]


def tables(result: Result) -> str:
    """What autoencoders, heads and the likelihood say, part by part."""
    parts = {"theirs": _theirs, "measured": _measured, "family": _family}
    return "\n\n".join(write(result[name]) for name, write in parts.items() if name in result)


def _theirs(part: Result) -> str:
    names, sizes = part["names"], part["sizes"]
    rows = [
        (name, head, *_row({**each[head], "coverage": each[head]["coverage_of_latent_draws"]}), _gaps(each))
        for name, each in part["methods"].items()
        for head in ("as they are", "normalised")
    ]
    ours = part["ours"]
    rows.append((ours["body"], "flow", *_row(ours), ""))
    if more := ours.get("likelihood"):
        said = f"flow, likelihood ({more['rows']} maps, noise {100 * more['noise']:g} % of their range)"
        rows.append((ours["body"], said, *_row(more), ""))
    heads = ("autoencoder", "head, labels", *(f"`{name}`" for name in names), "90 % holds", "gap")
    spent = ", ".join(f"{name} {number(each['training_s'])}" for name, each in part["methods"].items())
    spent += f", flow with its autoencoder {number(ours['training_s'])}"
    said = (
        f"The setting of Su and Li: {sizes['rows']} simulations without noise, {sizes['held']} held out; error in "
        "standard deviations of the prior (1 knows nothing); for flow and likelihood as many others that nobody had "
        "looked at. *90 % holds*: truths in central intervals, of latent "
        "draws through a regressor or of a flow; *gap*: mean mutual information gap of the latents, to the "
        "constants and to the combinations that a map tells best. "
        + f"Coverage of the flow at {', '.join(ours['coverage'])} %: "
        + ", ".join(f"{100 * sum(each) / len(each):.1f}" for each in ours["coverage"].values())
        + f". Seconds of training: {spent}; of a posterior {number(ours['seconds'])}, of the likelihood "
        + f"{number(more['seconds']) if more else 'not run'} a map."
    )
    return f"{said}\n\n{table(heads, rows)}"


def _row(each: Result) -> tuple[str, ...]:
    return (*map(number, each["rmse"]), _at(each["coverage"], "90"))


def _gaps(each: Result) -> str:
    """Mean over constants, and over combinations."""
    return ", ".join(f"{sum(x) / len(x):.2f}" for x in (each["gap"], each["gap_of_combinations"]))


def _at(coverage: dict[str, list[float]] | None, level: str) -> str:
    return "" if coverage is None else ", ".join(f"{100 * share:.0f}" for share in coverage[level])


def _measured(part: Result) -> str:
    names = part["names"]
    rows = [(how, k, *_answer(each, names), *_strange(each)) for how in part["softening_50_to_540"]
            for k, each in part[how].items()]  # fmt: skip
    rows += [
        (name, k, *map(number, x["answer"]), *[""] * (len(names) - len(x["answer"])), number(x["mean_energy"]), "", "")
        for name, each in part["theirs"].items() for k, x in each["maps"].items()
    ]  # fmt: skip
    soft = ", ".join(f"{how} {number(x)} %" for how, x in part["softening_50_to_540"].items() if x is not None)
    soft += "".join(f", {name} {number(each['softening_50_to_540'])} %" for name, each in part["theirs"].items())
    simulated = part["simulated"]
    pairs = [(how, *map(number, simulated[how]["rmse"]), _at(simulated[how]["coverage"], "90"))
             for how in ("flow", "likelihood")]  # fmt: skip
    said = (
        "Measured aluminium: the flow before and after the encoder was fine-tuned on the maps at 50 and 540 K, the "
        "likelihood, and the regressors of the table above. 280 K and both other spectrometers were never seen. "
        "*strange*: reconstruction error and distance of the latents over what is usual, and the share of simulated "
        f"maps that are as strange. Softening of the mean energy from 50 to 540 K: {soft} (published: "
        f"{part['published']['softening']})."
    )
    also = (
        f"{simulated['rows']} simulated maps with a noise of {100 * simulated['noise']:g} % of their range: error in "
        f"standard deviations of the prior, and truths in 90 % intervals; {number(simulated['seconds'])} s a map for "
        "the likelihood."
    )
    heads = ("method", "map", *(f"`{name}`" for name in names), "mean energy, meV", "strange", "as strange")
    heads_too = ("method", *(f"`{name}`" for name in names), "90 % holds")
    return f"{said}\n\n{table(heads, rows)}\n\n{also}\n\n{table(heads_too, pairs)}"


def _answer(each: Result, names: list[str]) -> tuple[str, ...]:
    pairs = zip(each["answer"], each["interval90"], strict=True)
    shown = [f"{number(x)} [{number(low)}, {number(high)}]" for x, (low, high) in pairs]
    return (*shown[: len(names)], f"{number(each['mean_energy'])} ± {number(each['mean_energy_sd'])}")


def _strange(each: Result) -> tuple[str, str]:
    if "over_usual" not in each:
        return f"deviance a bin {number(each['deviance_per_bin'])}", ""
    both = ("reconstruction", "latents")
    return tuple(", ".join(number(each[what][name]) for name in both) for what in ("over_usual", "as_strange"))  # type: ignore[return-value]


def _family(part: Result) -> str:
    rows = [(name, *map(number, each["rmse"]), number(each["mean"]), number(each["seconds"]))
            for name, each in part["methods"].items()]  # fmt: skip
    kinds = list(next(iter(part["reconstruction"].values())))
    made = [(name, *(number(each[k]) for k in kinds)) for name, each in part["reconstruction"].items()]
    n = part["simulations"]
    said = (
        f"Silicon from {n['silicon']} simulations, errors on {n['held']} held out, in standard deviations of the "
        f"prior; extractors learnt from {n['family']} maps of each structure. Seconds are of the head, or "
        "of all from scratch."
    )
    heads = ("method", *(f"`{name}`" for name in part["names"]), "mean", "seconds")
    also = "What extractors miss of held-out maps of each structure, root mean square, over the range of a map:"
    return f"{said}\n\n{table(heads, rows)}\n\n{also}\n\n{table(('extractor of', *kinds), made)}"


def draw(result: Result, axes: Axes) -> None:
    """Errors of each force constant, method by method."""
    part = result["theirs"]
    rows = {name: each["normalised"]["rmse"] for name, each in part["methods"].items()}
    rows["flow"] = part["ours"]["rmse"]
    if more := part["ours"].get("likelihood"):
        rows["likelihood"] = more["rmse"]
    for k, (name, errors) in enumerate(rows.items()):
        axes.plot(errors, "osv^D<>ph*X"[k % 11] + "-", ms=4, lw=0.8, color=f"C{k % 10}", label=name)
    axes.set_xticks(range(len(part["names"])), part["names"])
    axes.set(yscale="log", ylabel="rms error / sd of prior")
    axes.legend(frameon=False, fontsize=7, ncols=2)
