"""Committees on disk: weights (safetensors) and, beside them, what every rival was (JSON). No code runs on loading.

A folder also has the simulations that were learnt from, in simulations/NAME; those that lack are made again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqwirrel.errors import InputError
from sqwirrel.learn.checkpoint import BEGUN, fill, json_in, purpose_of, put_weights, weights_in
from sqwirrel.learn.kept.purpose import Purpose
from sqwirrel.learn.pairs import Pairs, simulations
from sqwirrel.learn.rivals.classifier import Classifier, Committee
from sqwirrel.learn.rivals.contest import Contest
from sqwirrel.record import Record
from sqwirrel.whole import put_text

KNOWN = "committee.json"
Contenders = Mapping[str, Pairs]
"""Pairs of every rival by name; those before any was simulated say what they would be of."""


@dataclass(frozen=True)
class _Made:
    """Number and seed of the simulations of a rival."""

    rows: int
    seed: int


def begun(folder: Path, rivals: Contenders, settings: Mapping[str, object]) -> bool:
    """Whether a folder holds a training for these rivals with these settings, finished or not; others are refused."""
    known = json_in(folder / BEGUN)
    told = known if isinstance(known, dict) else {}
    if "rivals" not in told:
        if (folder / "estimator.json").exists() or any(folder.glob("member-*/training.json")):
            raise InputError(f"{folder} holds networks that are no committee of known rivals; choose another folder")
        return False
    _check(folder, told, rivals)
    before = told.get("settings", {})
    if changed := [f"{name} = {before.get(name)}, now {x}" for name, x in settings.items() if before.get(name) != x]:
        raise InputError(f"{folder} holds a committee that is trained with {'; '.join(changed)}; choose another folder")
    return True


def begin(folder: Path, rivals: Contenders, settings: Mapping[str, object]) -> None:
    """Notes what is going to be trained, and with what settings."""
    folder.mkdir(parents=True, exist_ok=True)
    put_text(folder / BEGUN, json.dumps({"rivals": _purposes(rivals), "settings": dict(settings)}, indent=1) + "\n")


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a committee."""
    return all((folder / name).is_file() for name in (KNOWN, "weights.safetensors"))


def save_committee(folder: Path, committee: Committee, contest: Contest, record: Record) -> None:
    """Writes weights.safetensors and committee.json; each appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    put_weights(folder, committee)
    made = {name: {"rows": len(each), "seed": each.simulations.seed} for name, each in contest.pairs.items()}
    told = {"rivals": _purposes(contest.pairs), "members": len(committee.members), "simulations": made}
    put_text(folder / KNOWN, json.dumps({**told, "record": json.loads(record.to_json())}, indent=1) + "\n")


def load_committee(folder: Path | str, rivals: Contenders) -> tuple[Committee, Contest]:
    """The committee that `save_committee`, or sqwirrel train, left in a folder, and the contest that it learnt from.

    `rivals` are pairs of each by name, made of simulations or of none (`Simulations.none`). InputError if the committee
    is for other rivals, priors, bins, errors or ways to count. It is to be used, not to be trained.
    """
    folder, found = Path(folder), {}
    for name, made in _made(folder, rivals).items():
        each, where = rivals[name], folder / "simulations" / name
        kept = simulations(each.simulations.simulator, each.prior, made.rows, made.seed, where, keep=False)
        found[name] = Pairs(kept, each.like)
    contest = Contest.of(found)
    told = json_in(folder / KNOWN)
    members = told["members"] if isinstance(told, dict) else 1
    empty = Committee([Classifier.empty(contest) for _ in range(members)])
    fill(empty, weights_in(folder), folder)
    return empty.requires_grad_(requires_grad=False), contest


def _made(folder: Path, rivals: Contenders) -> dict[str, _Made]:
    """What the committee in a folder learnt from; one for other rivals is refused."""
    told = json_in(folder / KNOWN)
    if not isinstance(told, dict):
        raise InputError(
            f"{folder} holds no committee: {KNOWN} is missing or damaged; train one on a config with rivals by "
            "sqwirrel train (a path in a config is relative to its folder)"
        )
    _check(folder, told, rivals)
    try:
        return {name: _Made(int(each["rows"]), int(each["seed"])) for name, each in told["simulations"].items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the committee in {folder} is damaged ({error}); train it again") from None


def _purposes(rivals: Contenders) -> dict[str, object]:
    return {name: purpose_of(each).mapping() for name, each in rivals.items()}


def _check(folder: Path, told: Mapping[str, object], rivals: Contenders) -> None:
    known = told.get("rivals")
    names = list(known) if isinstance(known, dict) else []
    if names != list(rivals):
        raise InputError(f"the committee in {folder} tells {names} apart, not {list(rivals)}; train one for these")
    for name, each in rivals.items():
        before = Purpose.from_mapping(known[name] if isinstance(known, dict) else None, f"{folder} holds a committee")
        now = purpose_of(each)
        if different := before.otherwise(now):
            raise InputError(f"the committee in {folder} was trained with {different} of '{name}'; train one for these")
