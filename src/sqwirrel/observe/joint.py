"""Joint: several measurements of one Hamiltonian, whose parameters are shared by name."""

import re
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.observe.experiment import Experiment
from sqwirrel.observe.peaks import PeakExperiment
from sqwirrel.observe.smearing import usual_exposure

Part = Experiment | PeakExperiment | BulkExperiment


class Joint:
    """Experiments by their labels. Parameters of models are shared by name; nuisances get the suffix `_LABEL`, unless
    they are in `shared`. Models may differ: all their parameters are there.

    >>> from sqwirrel.model import library
    >>> from sqwirrel.spectra.peaks import Peaks
    >>> model = library.load("fm_chain")
    >>> table = Peaks(model.lattice, [[0.2, 0, 0]], [2.0], [0.1])
    >>> Joint({"a": PeakExperiment(model, table), "b": PeakExperiment(model, table)}).names
    ('J', 'outliers_a', 'outliers_b')
    """

    def __init__(self, experiments: Mapping[str, Part], *, shared: Sequence[str] = ()) -> None:
        self.experiments, self.shared = dict(experiments), tuple(shared)
        _check_labels(self.experiments)
        if unknown := [name for name in shared if not any(name in nuisances(each) for each in experiments.values())]:
            known = dict.fromkeys(name for each in experiments.values() for name in nuisances(each))
            raise InputError(f"'{unknown[0]}' cannot be shared, it is no nuisance of these: {', '.join(known)}")
        self.names_of = {label: self._named(label, each) for label, each in self.experiments.items()}
        self._check_names()
        _check_exposures(self.experiments, self.shared)

    @property
    def names(self) -> tuple[str, ...]:
        """All parameters: those of the models, then the nuisances in the order of the experiments."""
        every = self.names_of.values()
        models = [names[: len(each.model.names)] for each, names in zip(self.experiments.values(), every, strict=True)]
        return tuple(dict.fromkeys(name for names in (*models, *every) for name in names))

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter."""
        known = {name: unit for label, names in self.names_of.items() for name, unit in self._units(label, names)}
        return {name: known[name] for name in self.names}

    @property
    def defaults(self) -> dict[str, float]:
        """Published parameters of the models; the first model that has one decides."""
        return {k: x for each in reversed(self.experiments.values()) for k, x in each.model.defaults.items()}

    def pack(self, **values: float) -> Float[Tensor, "1 parameter"]:
        """Parameters in the order of `names`; those of the models not given take their published default."""
        known = {**self.defaults, **values}
        if unknown := [name for name in values if name not in self.names]:
            raise InputError(f"these measurements have parameters {self.names}, got '{unknown[0]}'")
        if missing := [name for name in self.names if name not in known]:
            raise InputError(f"these measurements need a value for '{missing[0]}'; the parameters are {self.names}")
        return torch.tensor([[float(known[name]) for name in self.names]], dtype=torch.float64)

    def rows(self, label: str, theta: Float[Tensor, "batch parameter"]) -> Float[Tensor, "batch own"]:
        """The parameters of one experiment, in its own order, of rows in the order of `names`."""
        return theta[:, [self.names.index(name) for name in self.names_of[label]]]

    def replaced(self, experiments: Mapping[str, Part]) -> "Joint":
        """The same with other experiments under the same labels."""
        return Joint({**self.experiments, **experiments}, shared=self.shared)

    def _named(self, label: str, experiment: Part) -> tuple[str, ...]:
        kept = {*experiment.model.names, *self.shared}
        return tuple(name if name in kept else f"{name}_{label}" for name in experiment.names)

    def _units(self, label: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
        return list(zip(names, self.experiments[label].units.values(), strict=True))

    def _check_names(self) -> None:
        models = {name for each in self.experiments.values() for name in each.model.names}
        _check_apart(self.names_of, {*models, *self.shared})
        unit: dict[str, str] = {}
        for label, experiment in self.experiments.items():
            names = self.names_of[label]
            if clash := [name for name in names[len(experiment.model.names) :] if name in models]:
                raise InputError(
                    f"'{clash[0]}' is a nuisance of '{label}' and a parameter of a model; choose another label, or "
                    "rename the parameter"
                )
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise InputError(f"'{label}' has two parameters called '{twice}'; choose another label")
            for name, own in self._units(label, names):
                if unit.setdefault(name, own) != own:
                    raise InputError(f"'{name}' is in '{unit[name]}' for one measurement and in '{own}' for '{label}'")


def nuisances(experiment: Part) -> tuple[str, ...]:
    """The parameters of an experiment that are not those of its model."""
    return experiment.names[len(experiment.model.names) :]


def _check_labels(experiments: Mapping[str, Part]) -> None:
    if not experiments:
        raise InputError("a joint inference needs at least one measurement; give {label: experiment}")
    if wrong := [label for label in experiments if not re.fullmatch(r"[A-Za-z0-9_]+", label)]:
        raise InputError(f"a measurement is called '{wrong[0]}'; use letters, digits and _ as it ends names, like ei25")


def _check_apart(names_of: Mapping[str, tuple[str, ...]], common: set[str]) -> None:
    """Refuses labels that make one name of two nuisances: `slope_b` and `b` do, of background and background_slope."""
    owner: dict[str, str] = {}
    for label, names in names_of.items():
        for name in names:
            if name not in common and owner.setdefault(name, label) != label:
                raise InputError(
                    f"'{name}' would be a nuisance of '{owner[name]}' and of '{label}'; choose another label"
                )


def _check_exposures(experiments: Mapping[str, Part], shared: tuple[str, ...]) -> None:
    """Refuses one scale or background for measurements that were counted for different times."""
    usual: dict[str, tuple[str, float]] = {}
    for label, each in experiments.items():
        if not isinstance(each, Experiment):
            continue
        counted = usual_exposure(each.measurement)
        for name in {*each.linear} & {*shared}:
            first, known = usual.setdefault(name, (label, counted))
            if abs(counted / known - 1) > SAME_EXPOSURE:
                raise InputError(
                    f"'{name}' is shared, but '{first}' was counted for {known:g} of its monitor at the median and "
                    f"'{label}' for {counted:g}; join them to one measurement, or do not share '{name}'"
                )


SAME_EXPOSURE = 0.01
"""Median exposures this near, relatively, are one."""
