"""The prior of a config, completed: what the model library suggests, and wide ranges for the nuisances left unsaid.

The ranges are read off the spectrum. With p the 95th percentile of its valid intensities and E the width of its energy
range: scale: six decades round p E / S (the sum rule gives about S per ion); background: up to p, and down to the 5th
percentile if that is negative; slopes: a background that changes by p over half of the range; a smooth background: each
term within p of zero, at its largest; the tail of an elastic line: up to p where it is highest; one that was measured:
up to what would make all of p out of its median (of a can: its 95th percentile); widths: from a fifth of a bin to a
fifth of the range, in |Q| from none; further terms of a polynomial width: up to that at the last energy; a tail: up to
0.6 of the signal, from a bin to half of the range long; an angular width: 0.1 to 5 degrees; terms of a response along
|Q|: -1 to 1. An offset of energies has none: the elastic line has to say. Of a table of peaks: outliers: 1 to 20 %; a
width added to the errors: up to three times the largest of them.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch

from sqwirrel.config.quantity import quantity
from sqwirrel.errors import InputError, meant
from sqwirrel.infer import Data, Simulator
from sqwirrel.learn.parts import Learnt, parts_of
from sqwirrel.model.laws import Distribution, Fixed
from sqwirrel.model.prior import KINDS, Prior
from sqwirrel.observe import Experiment, Joint, SmoothBackground, TemplateBackground
from sqwirrel.observe.background import ELASTIC, MEASURED
from sqwirrel.observe.joint import Part
from sqwirrel.observe.peaks import EXTRA, OUTLIERS
from sqwirrel.observe.smearing import exposure
from sqwirrel.spectra import Peaks, QShells, Spectrum

Entry = dict[str, Any]
TWIN: Entry = {"loguniform": [0.1, 10.0]}
"""Weight of a twin relative to the first orientation."""


def complete(given: Mapping[str, object], simulator: Simulator, data: Data) -> dict[str, Entry]:
    """An entry for every parameter of the simulator, in its order and in internal units."""
    known = {**_ranges(simulator, data), **suggested(simulator), **in_internal_units(given, simulator)}
    if missing := [name for name in simulator.names if name not in known]:
        others = f" (nor about {', '.join(missing[1:])})" if missing[1:] else ""
        raise InputError(
            f"[prior] says nothing about '{missing[0]}', and nothing suggests a range{others}; "
            f"give {missing[0]} = {{ uniform = [lo, hi] }}"
        )
    return {name: known[name] for name in simulator.names}


def suggested(simulator: Simulator) -> dict[str, Entry]:
    """What the model library suggests for the parameters of the model; of several models, the first that does."""
    parts = simulator.experiments.values() if isinstance(simulator, Joint) else [simulator]
    return {k: entry for each in reversed(list(parts)) for k, entry in _entries(each.model.prior, each.units).items()}


def of_the_data(given: Mapping[str, object], simulator: Learnt) -> list[str]:
    """Parameters whose range is read off the intensities, so that another measurement has another one."""
    names = dict.fromkeys(name for part in parts_of(simulator) for name in part.linear)
    said = [name for name in names if any(fnmatchcase(name, each) for each in given)]
    return [name for name in names if name not in said and name not in suggested(simulator)]


def _ranges(simulator: Simulator, data: Data) -> dict[str, Entry]:
    """Wide ranges for the nuisances of all measurements; a shared one has that of the first."""
    if not isinstance(simulator, Joint):
        return _from_data(simulator, data) if isinstance(data, Spectrum) else _from_peaks(data)
    given = data if isinstance(data, Mapping) else {}
    known: dict[str, Entry] = {}
    for label, part in simulator.experiments.items():
        own = _ranges(part, given[label])
        for name, public in zip(part.names, simulator.names_of[label], strict=True):
            if name in own:
                known.setdefault(public, own[name])
    return known


def _from_peaks(data: Data) -> dict[str, Entry]:
    """Ranges for the nuisances of a table of peaks."""
    most = _rounded(3 * float(data.error.max())) if isinstance(data, Peaks) else 1.0
    return {OUTLIERS: {"loguniform": [0.01, 0.2]}, EXTRA: {"uniform": [0.0, most], "unit": "meV"}}


def spelled(given: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Entries of names; one of a pattern, like K3*, holds for the parameters that it fits and no name or pattern before
    it names.
    """
    found = {name: entry for name, entry in given.items() if "*" not in name}
    for pattern in (each for each in given if "*" in each):
        fit = [name for name in names if fnmatchcase(name, pattern)]
        if not fit:
            raise InputError(f"[prior] '{pattern}' fits no parameter; the experiment has {', '.join(names)}")
        found = {**dict.fromkeys(fit, given[pattern]), **found}
    return found


def in_internal_units(given: Mapping[str, object], experiment: Simulator) -> dict[str, Entry]:
    """The entries as given, their units checked against the parameters'."""
    given = spelled(given, experiment.names)
    if unknown := [name for name in given if name not in experiment.names]:
        raise InputError(
            f"[prior] names '{unknown[0]}', but the experiment has parameters {', '.join(experiment.names)}"
            f"{meant(unknown[0], experiment.names)}"
        )
    bare = {name: _bare(name, entry, experiment.units[name]) for name, entry in given.items()}
    return _entries(Prior.from_mapping(bare), experiment.units)


def _entries(prior: Prior, unit: Mapping[str, str]) -> dict[str, Entry]:
    """A prior as the tables that it is made from."""
    every: dict[str, Distribution | Fixed] = {**prior.free, **{name: Fixed(x) for name, x in prior.fixed.items()}}
    return {name: _entry(each, unit[name]) for name, each in every.items()}


def _entry(distribution: Distribution | Fixed, unit: str) -> Entry:
    kind = next(name for name, known in KINDS.items() if type(distribution) is known)
    *numbers, _ = vars(distribution).values()
    entry = {kind: numbers[0] if kind == "fixed" else numbers}
    return entry | {"unit": unit} if unit in {"meV", "1/angstrom"} else entry


def _bare(name: str, entry: object, expected: str) -> object:
    """An entry with its numbers in the unit `expected` and without it."""
    if isinstance(entry, str) or (isinstance(entry, Mapping) and "value" in entry):
        return _converted(name, entry, expected)
    if not isinstance(entry, Mapping) or "unit" not in entry:
        return entry
    unit = entry["unit"]
    factor = 1.0 if unit == expected else _converted(name, {"value": 1.0, "unit": unit}, expected)
    return {key: _times(factor, value) for key, value in entry.items() if key != "unit"}


def _times(factor: float, value: object) -> object:
    """The numbers in `value` times `factor`; anything else is left for the prior to refuse."""
    if isinstance(value, list):
        return [_times(factor, each) for each in value]
    return factor * value if isinstance(value, int | float) else value


def _converted(name: str, value: object, expected: str) -> float:
    try:
        return quantity(value, expected or "dimensionless")
    except InputError as error:
        raise InputError(f"[prior] {name}: {error}") from None


def _from_data(experiment: Part, spectrum: Spectrum) -> dict[str, Entry]:
    """Wide ranges for the nuisances of `experiment`."""
    if not isinstance(experiment, Experiment):
        return {}
    low, high = _percentiles(spectrum)
    bottom, top = experiment.measurement.range
    span, bin_width = _energies(experiment)
    scale = _rounded(high * span / experiment.model.strength)
    slope, width = _rounded(2 * high / span), {"uniform": [_rounded(bin_width / 5), _rounded(span / 5)], "unit": "meV"}
    ranges: dict[str, Entry] = {
        "fwhm": width,
        "fwhm_0": width,
        "fwhm_scale": {"uniform": [0.5, 2.0]},
        "q_fwhm_scale": {"uniform": [0.5, 2.0]},
        "tail": {"uniform": [0.0, 0.6]},
        "tail_length": {"uniform": [_rounded(bin_width), _rounded(span / 2)], "unit": "meV"},
        "multiple": {"uniform": [0.0, 1.0]},
        "scale": {"loguniform": [_rounded(scale * 1e-3), _rounded(scale * 1e3)]},
        "background": {"uniform": [min(0.0, low), high]},
        "background_slope": {"uniform": [-slope, slope]},
    }
    reach = max(abs(bottom), abs(top))
    bends = {f"fwhm_{k}": _rounded(span / 5 / reach**k) for k in range(1, 5)}
    bends |= dict.fromkeys(_smooth(experiment), high) | dict.fromkeys(experiment.instrument.responses, 1.0)
    turned: dict[str, Entry] = {name: TWIN for name in experiment.modelled if name.startswith("twin_")}
    bent: dict[str, Entry] = {name: {"uniform": [-most, most]} for name, most in bends.items()}
    return (
        ranges | bent | turned | _along_q(experiment, high) | _elastic(experiment, high) | _measured(experiment, high)
    )


def _energies(experiment: Experiment) -> tuple[float, float]:
    """Width of the energy range, and that of a bin; scans are taken for fifty bins."""
    edges, (bottom, top) = experiment.measurement.energy, experiment.measurement.range
    span = max(top - bottom, 1.0) if experiment.measurement.is_scan else top - bottom
    return span, span / 50 if experiment.measurement.is_scan else float(edges.diff().min())


def _smooth(experiment: Experiment) -> tuple[str, ...]:
    """Terms of a smooth background."""
    background = experiment.instrument.background
    return background.names if isinstance(background, SmoothBackground) else ()


def _elastic(experiment: Experiment, high: float) -> dict[str, Entry]:
    """The tail of the elastic line, which nobody measures at its top."""
    background = experiment.instrument.background
    if ELASTIC not in background.names:
        return {}
    tail = background.templates(experiment.measurement)[background.names.index(ELASTIC)]
    return {ELASTIC: {"uniform": [0.0, _rounded(high / float(tail.max()))]}}


def _measured(experiment: Experiment, high: float) -> dict[str, Entry]:
    """The amplitude of a background that is another spectrum."""
    background = experiment.instrument.background
    if not isinstance(background, TemplateBackground):
        return {}
    seen = background.spectrum.intensity[background.spectrum.valid].abs()
    level = float(seen.median() if background.amplitude == MEASURED else seen.quantile(0.95)) or high
    return {background.amplitude: {"uniform": [0.0, _rounded(high / level)]}}


def _along_q(experiment: Experiment, high: float) -> dict[str, Entry]:
    """The nuisances that only a powder map has."""
    points = experiment.measurement.points
    if not isinstance(points, QShells):
        return {}
    span = float(points.edges[-1] - points.edges[0])
    slope = _rounded(2 * high / span)
    return {
        "fwhm_q": {"uniform": [0.0, _rounded(span / 5)], "unit": "1/angstrom"},
        "fwhm_angle": {"uniform": [0.1, 5.0]},
        "background_slope_q": {"uniform": [-slope, slope]},
    }


def _percentiles(spectrum: Spectrum) -> tuple[float, float]:
    """The 5th and 95th percentile of what was measured; the second is never 0."""
    if not bool(spectrum.valid.any()):
        raise InputError("no bin of this spectrum was measured (all are NaN, masked or excluded); check [measurement]")
    values = (spectrum.intensity / exposure(spectrum.measurement))[spectrum.valid]
    low, high = torch.quantile(values, values.new_tensor([0.05, 0.95])).tolist()
    return _rounded(low), _rounded(high if high > 0 else float(values.abs().max()) or 1.0)


def _rounded(value: float) -> float:
    """Two digits: a range that nobody mistakes for a result."""
    return float(f"{value:.1e}")
