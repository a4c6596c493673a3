"""The verb that plans: where to measure next, from the answers that `infer` left in folders."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqwirrel.config.questions.advise import Advise
from sqwirrel.config.sections import Config
from sqwirrel.config.several import experiment
from sqwirrel.config.toml import dumps
from sqwirrel.config.verbs.folders import CONFIG, reopened
from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior
from sqwirrel.infer.advise import Advice, Pick, Probe, Rival, Separation, advise, advise_between
from sqwirrel.infer.advise.candidates import Moving, places
from sqwirrel.lattice import Lattice
from sqwirrel.observe import ConstantBackground, Experiment
from sqwirrel.record import Record
from sqwirrel.report import figures
from sqwirrel.spectra import Measurement, QPath, QPoints, QShells
from sqwirrel.units import E_PER_K2
from sqwirrel.whole import put_text

Told = Advice | Separation


def advise_into(folder: Path, config: Config) -> Told:
    """What [advise] asks for; leaves advice.json and advice.png."""
    section = config.advise
    if section is None:
        raise InputError("the config lacks [advise]: candidates, and the folder that sqwirrel infer left")
    known = {"": _rival(section.result, section)}
    known |= {name: _rival(place, section) for name, place in section.rivals.items()}
    told = _between(known, section) if section.rivals else _shrinking(known[""], section)
    folder.mkdir(parents=True, exist_ok=True)
    put_text(folder / "config.toml", dumps(config, folder))
    put_text(folder / "record.json", Record.start(seeds={"advise": section.seed}, files=config.files).to_json())
    put_text(folder / "advice.json", json.dumps(_mapping(told, known[""].candidates, section), indent=1) + "\n")
    figures.save(figures.advice(told, known[""].candidates.measurement, section.energy.bins), folder / "advice.png")
    return told


def _shrinking(known: Rival, section: Advise) -> Advice:
    return advise(
        known.posterior,
        known.candidates,
        section.wanted,
        minutes=section.minutes,
        moving=_moving(known.candidates, section),
        pick=section.pick,
        fixed=known.fixed,
        draws=section.draws,
        seed=section.seed,
    )


def _between(known: Mapping[str, Rival], section: Advise) -> Separation:
    first = known[""].candidates.model
    if first.name in section.rivals:
        raise InputError(f"[advise] has a rival named '{first.name}', as the model of the result; choose another name")
    return advise_between(
        {name or first.name: rival for name, rival in known.items()},
        minutes=section.minutes,
        moving=_moving(known[""].candidates, section),
        pick=section.pick,
        draws=section.draws,
        seed=section.seed,
    )


def _rival(place: str, section: Advise) -> Rival:
    """An answer that `infer` left, and what it predicts for the candidates, in counts."""
    folder = Path(place)
    if not (folder / CONFIG).is_file():
        raise InputError(f"[advise] '{folder}' holds no {CONFIG}; give a folder that sqwirrel infer has left")
    work, posterior = reopened(folder)
    if posterior.abstains:
        logging.getLogger("sqwirrel").warning("'%s' is no answer: the advice holds if it were one", folder)
    if not isinstance(work.experiment.instrument.background, ConstantBackground):
        raise InputError(
            f"[advise] the answer in '{folder}' has a background that depends on its bins, and says nothing of others; "
            "infer again with background kind = 'constant'"
        )
    where = _candidates(work.experiment.measurement, section)
    candidates = experiment(work.config.instrument, work.experiment.model, where, work.config.one)
    return _in_counts(posterior, candidates, work.prior.fixed, section.factor)


def _moving(candidates: Experiment, section: Advise) -> Moving | None:
    """Minutes of a move, infinite to where no neutron of the incident energy, if one is known, is scattered."""
    lattice, incident = lattice_of(candidates), candidates.measurement.incident_energy
    free = section.moving(lattice)
    if incident is None:
        return free
    if not bool(_reached(lattice, incident, places(candidates)).any()):
        raise InputError(f"[advise] no candidate is within reach of neutrons of {incident:g} meV; choose other places")

    def moving(here: Tensor | None, there: Tensor) -> Tensor:
        way = torch.zeros(len(there), dtype=there.dtype) if free is None else free(here, there)
        return torch.where(_reached(lattice, incident, there), way, torch.inf)

    return moving


def _reached(lattice: Lattice, incident: float, place: Float[Tensor, "candidate 4"]) -> Bool[Tensor, " candidate"]:
    """|k_i - k_f| <= |Q| <= k_i + k_f at (h, k, l, E)."""
    size, left = lattice.to_cartesian(place[:, :3]).norm(dim=1), incident - place[:, 3]
    ki, kf = (incident / E_PER_K2) ** 0.5, (left.clamp(min=0) / E_PER_K2).sqrt()
    return (left > 0).logical_and(size >= (ki - kf).abs()).logical_and(size <= ki + kf)


def lattice_of(candidates: Experiment) -> Lattice:
    """That in which the measurement writes wavevectors; the model may have a larger cell."""
    points = candidates.measurement.points
    assert not isinstance(points, QShells)
    return points.lattice


def _candidates(measured: Measurement, section: Advise) -> Measurement:
    """Every energy at every wavevector, under the conditions of what was measured: bins, or points if it was a scan."""
    points = measured.points
    if isinstance(points, QShells):
        raise InputError("[advise] finds places in (q, energy) of a crystal; this result is of a powder")
    q, edges = section.q(points.lattice), section.energy.build()
    if not isinstance(points, QPoints):
        line = QPath(points.lattice, q, torch.zeros(3, 3, dtype=torch.float64))
        return replace(measured, points=line, energy=edges, exposure=None, exposure_unit=None)
    centres = ((edges[:-1] + edges[1:]) / 2).repeat(len(q))
    every = QPoints(points.lattice, q.repeat_interleave(section.energy.bins, 0), plane=points.plane)
    rows = centres[:, None].expand(-1, 2)
    return replace(measured, points=every, energy=rows, exposure=None, exposure_unit=None)


def _in_counts(posterior: Posterior, candidates: Experiment, fixed: Mapping[str, float], factor: float) -> Rival:
    """All that the intensity is linear in, times `factor`."""
    by = [factor if name in candidates.linear else 1.0 for name in posterior.names]
    draws = posterior.draws * torch.tensor(by, dtype=posterior.draws.dtype)
    known = {name: value * (factor if name in candidates.linear else 1.0) for name, value in fixed.items()}
    return Rival(replace(posterior, draws=draws), candidates, known)


def _mapping(told: Told, candidates: Experiment, section: Advise) -> dict[str, Any]:
    """The advice as one object: what to do in order, and the value of every candidate."""
    found: dict[str, Any] = {"minutes": section.minutes, "picks": _picks(told)}
    if isinstance(told, Advice):
        found = {"wanted": list(told.before), "before": dict(told.before), **found}
        unit = "mean logarithm by which the wanted errors shrink, per minute"
    else:
        unit = "expected logarithm of the Bayes factor of the true model, per minute"
    edges = section.energy.build()
    return {
        **found,
        "gain": {
            "unit": unit,
            "q": section.q(lattice_of(candidates)).tolist(),
            "energy": ((edges[1:] + edges[:-1]) / 2).tolist(),
            "values": told.gain.reshape(-1, section.energy.bins).tolist(),
        },
    }


def _picks(told: Told) -> list[dict[str, Any]]:
    rows, spent = [], 0.0
    for each in told.picks if isinstance(told, Advice) else told.probes:
        spent += each.minutes
        row = {"q": list(each.q), "energy": sum(each.energy) / 2, "minutes": each.minutes, "spent": spent}
        rows.append(row | (_promise(each) if isinstance(each, Pick) else _odds(each)))
    return rows


def _promise(pick: Pick) -> dict[str, Any]:
    return {"sd": dict(pick.sd)}


def _odds(probe: Probe) -> dict[str, Any]:
    counts = {name: {"mean": mean, "sd": sd} for name, (mean, sd) in probe.counts.items()}
    return {"bayes_factor": probe.factor, "counts": counts}
