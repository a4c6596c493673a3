"""What simulations are of and what a network was trained for: everything that decides what an experiment predicts.

Each thing has a name and a few words, so that a refusal can say which of them differs. What no words hold is a checksum
behind them; numbers count to seven digits there, so that rounding on another machine makes no difference.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.model.laws import Fixed, LogUniform, Normal, Uniform
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.prior import Prior
from sqwirrel.model.spin import SpinModel
from sqwirrel.observe import Experiment, Joint
from sqwirrel.observe.smearing import exposure
from sqwirrel.spectra import Measurement, QShells

SUM = "sha256:"
ON_BINS = ("exposures", "resolution", "background", "counting", "coverage", "errors")
"""Things whose checksums differ on other bins anyway."""
BINS, ORDER = ("points", "energies"), "order of parameters"
WORDS_ALONE = ("name", "title", "labels", "papers", "defaults", "prior")
"""What a model says of itself and does not calculate with."""


@dataclass(frozen=True)
class Purpose:
    """Things that decide a prediction, and priors of parameters, by name and in words."""

    conditions: Mapping[str, str]
    prior: Mapping[str, str]

    @classmethod
    def of(cls, simulator: Experiment | Joint, prior: Prior, **more: str) -> "Purpose":
        """That of an experiment, or several, with a prior, and whatever else matters to what it is kept for."""
        if isinstance(simulator, Experiment):
            conditions = _experiment(simulator)
        else:
            labels = simulator.experiments.items()
            every = {label: _experiment(each) for label, each in labels if isinstance(each, Experiment)}
            conditions = {f"{name} ({label})": word for label, own in every.items() for name, word in own.items()}
            conditions["order of measurements"] = ", ".join(every)
        return cls(conditions | more | {ORDER: ", ".join(prior.names)}, _believed(prior, simulator.units))

    @classmethod
    def from_mapping(cls, known: Any, what: str) -> "Purpose":
        """What `mapping` gave, found with `what`, which is refused where it is from before there were conditions."""
        try:
            return cls(dict(known["conditions"]), dict(known["prior"]))
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{what} of an earlier version of sqwirrel, or damaged, and does not say all that it is for; make it "
                "anew in another folder"
            ) from None

    def mapping(self) -> dict[str, object]:
        """Plain words."""
        return {"conditions": dict(self.conditions), "prior": dict(self.prior)}

    def otherwise(self, now: "Purpose") -> str:
        """What differs from `now`, like "other energies and another temperature (5 K, now 100 K)"; empty if nothing."""
        names = [name for name in {**self.conditions, **now.conditions} if self._differs(name, now)]
        models = [name for name in names if _kind(name) == "model"]
        names, beliefs = (models[:1], []) if models else (names, self.beliefs(now))
        if any(_kind(name) in BINS for name in names):
            names = [name for name in names if _kind(name) not in ON_BINS or self._shown(name, now)]
        if beliefs and ORDER in names:
            names.remove(ORDER)
        said = [_another(name, self._shown(name, now)) for name in names]
        said += [_another("prior", f" ({'; '.join(beliefs)})")] if beliefs else []
        return " and ".join((", ".join(said[:-1]), said[-1])) if len(said) > 1 else "".join(said)

    def beliefs(self, now: "Purpose") -> list[str]:
        """Parameters whose priors differ, like "J1: 0.3 to 1 meV, now 0.2 to 1 meV"."""
        pairs = {
            name: (self.prior.get(name, "none"), now.prior.get(name, "none")) for name in {**self.prior, **now.prior}
        }
        return [f"{name}: {mine}, now {its}" for name, (mine, its) in pairs.items() if mine != its]

    def _differs(self, name: str, now: "Purpose") -> bool:
        return (self.conditions.get(name) or "") != (now.conditions.get(name) or "")

    def _shown(self, name: str, now: "Purpose") -> str:
        """Both in words, if these differ."""
        mine, its = (each.conditions.get(name, "").partition(SUM)[0].strip() or "none" for each in (self, now))
        return f" ({mine}, now {its})" if mine != its else ""


def bins_of(measurement: Measurement) -> dict[str, str]:
    """The conditions that bins are, of one measurement."""
    return {name: word for name, word in _measured(measurement).items() if name in BINS}


def digest(value: object) -> str:
    """Checksum of what something is made of: numbers, words, and whatever holds them."""
    sha = hashlib.sha256()
    _feed(sha, value)
    return SUM + sha.hexdigest()[:16]


def _experiment(experiment: Experiment) -> dict[str, str]:
    """What one experiment predicts is decided by this."""
    return _modelled(experiment) | _measured(experiment.measurement) | _averaged(experiment) | _seen(experiment)


def _kind(name: str) -> str:
    """The name of a thing without the label of the measurement that it is of."""
    return name.partition(" (")[0]


def _modelled(experiment: Experiment) -> dict[str, str]:
    """The model, and who lays out its modes."""
    view, model = experiment.view, experiment.model
    emulator = view.state_dict() if experiment.is_emulated and isinstance(view, nn.Module) else None
    return {
        "model": model.name,
        "terms, sites or order of the model": digest(_parts(model, *WORDS_ALONE)),
        "emulator": "" if emulator is None else digest(emulator),
        "twins": digest(experiment.twins),
    }


def _measured(measurement: Measurement) -> dict[str, str]:
    """Bins, and conditions they were measured under."""
    kind = "shells of |Q|" if isinstance(measurement.points, QShells) else type(measurement.points).__name__
    field = ", ".join(_number(x) for x in measurement.field.tolist())
    ends = {"incident energy": measurement.incident_energy, "final energy": measurement.final_energy}
    return {
        "points": f"{KINDS.get(kind, kind)} {digest(_parts(measurement.points, 'scan'))}",
        "energies": digest(measurement.energy),
        "temperature": "" if measurement.temperature is None else f"{_number(measurement.temperature)} K",
        "field": f"({field}) T",
        **{name: "" if x is None else f"{_number(x)} meV" for name, x in ends.items()},
        "exposures": "" if measurement.exposure is None else digest(exposure(measurement)),
    }


KINDS = {"QPath": "a path", "QGrid": "a grid", "QPoints": "scans"}


def _averaged(experiment: Experiment) -> dict[str, str]:
    """The points that the average over a bin is made of."""
    scene, control = experiment.scene, experiment.control
    powder = isinstance(experiment.measurement.points, QShells)
    return {
        "number of samples": str(scene.samples),
        "cell": f"{_number(experiment.cell)} 1/angstrom" if powder else "",
        "seed of the samples": "" if scene.is_sharp else str(experiment.seed),
        "anchor": "" if control is None else digest(list(control)),
    }


def _seen(experiment: Experiment) -> dict[str, str]:
    """The instrument, but for its noise."""
    instrument, where = experiment.instrument, experiment.measurement
    width = instrument.q_width if isinstance(where.points, QShells) else None
    return {
        "resolution": f"{_word(instrument.resolution, 'Resolution')} {digest(instrument.resolution)}",
        "width in |Q|": "" if width is None else f"{_word(width, 'QWidth')} {digest(width)}",
        "multiple scattering": "included" if instrument.multiple_scattering else "",
        "response along |Q|": f"of order {instrument.q_response}" if instrument.q_response else "",
        "several phonons at once": _several(experiment),
        "flux factor": "still in the data" if instrument.flux_factor else "taken out",
        "background": f"{_word(instrument.background, 'Background')} {digest(instrument.background.templates(where))}",
    }


def _several(experiment: Experiment) -> str:
    """What is under the modes of phonons; of spins nothing is."""
    if not isinstance(experiment.model, PhononModel):
        return ""
    return "included" if experiment.instrument.multiphonon else "taken off"


def _believed(prior: Prior, units: Mapping[str, str]) -> dict[str, str]:
    """Priors in words, like "0.3 to 1 meV"."""
    every = {**prior.free, **{name: Fixed(value) for name, value in prior.fixed.items()}}
    return {name: f"{_belief(each)} {units.get(name, '')}".strip() for name, each in every.items()}


def _belief(each: object) -> str:
    match each:
        case Uniform(lo, hi):
            return f"{_number(lo)} to {_number(hi)}"
        case LogUniform(lo, hi):
            return f"log-uniform {_number(lo)} to {_number(hi)}"
        case Normal(mean, sd):
            return f"{_number(mean)} +- {_number(sd)}"
        case Fixed(value):
            return f"held at {_number(value)}"
        case _:
            return f"{type(each).__name__} {digest(each)}"


def _another(name: str, shown: str) -> str:
    kind = _kind(name)
    plural = kind in {"energies", "points", "twins", "exposures", "errors"} or kind.startswith("terms")
    return f"{'other' if plural else 'another'} {name}{shown}"


def _word(part: object, family: str) -> str:
    """TableResolution is "table"."""
    return type(part).__name__.removesuffix(family).lower()


def _number(x: float) -> str:
    return f"{x:.9g}"


def _parts(whole: SpinModel | object, *without: str) -> dict[str, object]:
    """Fields of a dataclass."""
    return {each.name: getattr(whole, each.name) for each in fields(whole) if each.name not in without}  # type: ignore[arg-type]


def _feed(sha: Any, value: object) -> None:
    match value:
        case Tensor() | np.ndarray():
            given = torch.as_tensor(value).detach().cpu()
            real = torch.view_as_real(given) if given.is_complex() else given
            sha.update(f"{tuple(real.shape)}".encode())
            sha.update((real.double() + 0.0).float().contiguous().numpy().tobytes())  # no -0
        case bool() | int() | float():
            _feed(sha, torch.tensor(float(value), dtype=torch.float64))
        case str() | None:
            sha.update(f"{value!r};".encode())
        case Mapping():
            _feed(sha, list(value.items()))
        case list() | tuple():
            sha.update(f"{len(value)}:".encode())
            for each in value:
                _feed(sha, each)
        case _:
            sha.update(type(value).__name__.encode())
            known = _parts(value) if is_dataclass(value) else getattr(value, "__dict__", None)
            _feed(sha, repr(value) if known is None else known)
