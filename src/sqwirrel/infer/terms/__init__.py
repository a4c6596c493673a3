"""The terms of a posterior: each set of data with the experiment that predicts it."""

from collections.abc import Mapping

from sqwirrel.errors import InputError
from sqwirrel.infer.terms.bulk import BulkTerm
from sqwirrel.infer.terms.peaks import PeaksTerm
from sqwirrel.infer.terms.spectrum import SpectrumTerm
from sqwirrel.infer.terms.term import Term, TermSlope
from sqwirrel.observe import Experiment
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.observe.joint import Joint, Part
from sqwirrel.observe.peaks import PeakExperiment
from sqwirrel.spectra import Spectrum
from sqwirrel.spectra.bulk import Bulk
from sqwirrel.spectra.peaks import Peaks

Simulator = Part | Joint
"""What predicts the data of a posterior."""
Kept = Spectrum | Peaks | Bulk
"""One measurement."""
Data = Kept | Mapping[str, Kept]
"""What a posterior is of: one measurement, or several by their labels."""

__all__ = [
    "BulkTerm",
    "Data",
    "Kept",
    "PeaksTerm",
    "Simulator",
    "SpectrumTerm",
    "Term",
    "TermSlope",
    "spectra_of",
    "terms_of",
]


def terms_of(simulator: Simulator, data: Data) -> tuple[Term, ...]:
    """The terms of `data`, under the names that `simulator` gives their parameters."""
    if not isinstance(simulator, Joint):
        if isinstance(data, Mapping):
            raise InputError("several measurements need a Joint of their experiments, Joint({label: experiment})")
        return (_term(simulator, data, simulator.names, ""),)
    given = data if isinstance(data, Mapping) else {}
    if missing := [label for label in simulator.experiments if label not in given]:
        raise InputError(f"there are no data for '{missing[0]}'; give {{label: data}} for every measurement")
    if unknown := [label for label in given if label not in simulator.experiments]:
        known = ", ".join(simulator.experiments)
        raise InputError(f"there are data called '{unknown[0]}' and no experiment for them; there are {known}")
    parts = simulator.experiments.items()
    return tuple(_term(each, given[label], simulator.names_of[label], label) for label, each in parts)


def spectra_of(data: Data) -> Spectrum | dict[str, Spectrum]:
    """The data, all of them spectra: what networks see."""
    if isinstance(data, Spectrum):
        return data
    given = data if isinstance(data, Mapping) else {"": data}
    found = {label: each for label, each in given.items() if isinstance(each, Spectrum)}
    if len(found) < len(given):
        raise InputError("networks see spectra alone; leave them out where there are peaks or bulk numbers")
    return found


def _term(experiment: Part, data: Kept, names: tuple[str, ...], label: str) -> Term:
    match experiment, data:
        case Experiment(), Spectrum():
            return SpectrumTerm.of(experiment, data, names, label)
        case PeakExperiment(), Peaks():
            return PeaksTerm.of(experiment, data, names, label)
        case BulkExperiment(), Bulk():
            return BulkTerm.of(experiment, data, names, label)
    raise InputError(
        f"the data{f' of {label!r}' if label else ''} are a {type(data).__name__} and their experiment is a "
        f"{type(experiment).__name__}; a Spectrum needs an Experiment, Peaks a PeakExperiment, "
        "Bulk a BulkExperiment"
    )
