"""Checkpoints: weights (safetensors) and, beside them, what they were made for (JSON). No code runs on loading."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.learn.cnn import CNN
from sqwirrel.learn.embed import Projection
from sqwirrel.learn.kept.purpose import Purpose, digest
from sqwirrel.learn.npe import NPE, Ensemble, Regressor
from sqwirrel.learn.pairs import Pairs
from sqwirrel.learn.surrogate import Emulator
from sqwirrel.record import Record
from sqwirrel.whole import put_text

KINDS: dict[str, type[NPE] | type[Regressor] | type[CNN] | type[Emulator]] = {
    "npe": NPE,
    "regressor": Regressor,
    "cnn": CNN,
    "emulator": Emulator,
}
BEGUN = "purpose.json"
Estimator = NPE | Regressor | CNN | Emulator | Ensemble


@dataclass(frozen=True)
class Known:
    """What estimator.json says: the kind, how many are in an ensemble (0 for a single one), what it was trained for,
    and number and seed of the simulations.
    """

    kind: str
    members: int
    purpose: Purpose
    rows: int
    seed: int

    def check(self, pairs: Pairs, folder: Path) -> None:
        """Refuses pairs that the estimator was not trained for."""
        now = purpose_of(pairs)
        if different := self.purpose.otherwise(now):
            written = "; priors that are read off the data must be written out in the config"
            raise InputError(
                f"the network in {folder} was trained for {different}; train one for this measurement and prior"
                + written * bool(self.purpose.beliefs(now))
            )


def purpose_of(pairs: Pairs) -> Purpose:
    """What an estimator is for that learns from some pairs: what they are of, how it was counted, coverage, errors."""
    kept, noise = pairs.simulations, dict[str, str]()
    for part in pairs.parts:
        (valid, error), counting, label = part.bins, part.experiment.instrument.counting, f" ({part.label})"
        own = {
            "counting": f"{type(counting).__name__.lower()} {digest(counting)}",
            "coverage": digest(valid),
            "errors": digest(error),
        }
        noise |= {name + label * bool(part.label): word for name, word in own.items()}
    return Purpose.of(kept.simulator, kept.prior, **noise)


def begun(folder: Path, pairs: Pairs, settings: Mapping[str, object]) -> bool:
    """Whether a folder holds a training for these pairs with these settings, finished or not; others are refused."""
    if not any(folder.glob("member-*/training.json")):
        if (folder / "estimator.json").exists():
            raise InputError(f"{folder} holds a network that was not trained there; choose another folder")
        return False
    known = json_in(folder / BEGUN)
    told = known if isinstance(known, dict) else {}
    if different := Purpose.from_mapping(known, f"{folder} holds a network").otherwise(purpose_of(pairs)):
        raise InputError(f"{folder} holds a network for {different}; choose another folder")
    before = told.get("settings", {})
    if changed := [f"{name} = {before.get(name)}, now {x}" for name, x in settings.items() if before.get(name) != x]:
        raise InputError(
            f"{folder} holds a network that is trained with {'; '.join(changed)}; choose another folder, or remove all "
            "in it but 'simulations' to train anew on these"
        )
    return True


def begin(folder: Path, pairs: Pairs, settings: Mapping[str, object]) -> None:
    """Notes what is going to be trained, and with what settings."""
    told = {**purpose_of(pairs).mapping(), "settings": dict(settings)}
    put_text(folder / BEGUN, json.dumps(told, indent=1) + "\n")


def is_finished(folder: Path) -> bool:
    """Whether a folder holds an estimator."""
    return all((folder / name).is_file() for name in ("estimator.json", "weights.safetensors"))


def save(folder: Path, estimator: Estimator, pairs: Pairs, record: Record) -> None:
    """Writes weights.safetensors and estimator.json; each appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    put_weights(folder, estimator)
    known = {
        "kind": kind_of(estimator),
        "members": members_of(estimator),
        "purpose": purpose_of(pairs).mapping(),
        "simulations": {"rows": len(pairs), "seed": pairs.simulations.seed},
    }
    put_text(folder / "estimator.json", json.dumps({**known, "record": json.loads(record.to_json())}, indent=1) + "\n")


def known(folder: Path) -> Known:
    """What the estimator in a folder is, and is for; one that was left by an earlier version is refused."""
    file = folder / "estimator.json"
    if not file.is_file():
        raise InputError(f"{folder} holds no estimator: {file.name} is missing")
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        purpose = Purpose.from_mapping(told["purpose"], f"the network in {folder} is")
        made = told["simulations"]
        if told["kind"] not in KINDS:
            raise KeyError(told["kind"])
        return Known(told["kind"], int(told["members"]), purpose, int(made["rows"]), int(made["seed"]))
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"the estimator in {folder} is damaged ({error}); train it again") from None


def load(folder: Path, pairs: Pairs) -> Estimator:
    """The estimator that `save` wrote, for pairs of the same bins, prior and model; to be used, not to be trained."""
    told = known(folder)
    told.check(pairs, folder)
    weights = weights_in(folder)
    empty = _empty(told, pairs, weights)
    fill(empty, weights, folder)
    return empty.requires_grad_(requires_grad=False)


def _empty(told: Known, pairs: Pairs, weights: Mapping[str, Tensor]) -> Estimator:
    """A network that the weights fit; filters, which bins alone do not give, are among them."""
    kind = KINDS[told.kind]
    if kind is not NPE:
        return kind.sized_for(pairs)
    filters = weights.get("embed.filters", weights.get("members.0.embed.filters"))
    members = [
        NPE.sized_for(pairs, embed=None if filters is None else Projection(filters))
        for _ in range(max(1, told.members))
    ]
    return Ensemble(members) if told.members else members[0]


def kind_of(estimator: Estimator) -> str:
    """Its name among `KINDS`; an ensemble has that of its members."""
    one = estimator.members[0] if isinstance(estimator, Ensemble) else estimator
    return next(name for name, kind in KINDS.items() if isinstance(one, kind))


def members_of(estimator: Estimator) -> int:
    """How many there are in an ensemble, 0 for a single one."""
    return len(estimator.members) if isinstance(estimator, Ensemble) else 0


def put_weights(folder: Path, network: nn.Module) -> None:
    """Writes weights.safetensors, whole or not at all."""
    part = folder / "weights.part"
    save_file({name: each.contiguous() for name, each in network.state_dict().items()}, part)
    part.replace(folder / "weights.safetensors")


def weights_in(folder: Path) -> dict[str, Tensor]:
    """The weights that were put into a folder."""
    try:
        return load_file(folder / "weights.safetensors")
    except FileNotFoundError:
        raise InputError(f"{folder} holds no estimator: weights.safetensors is missing") from None
    except SafetensorError as error:
        raise InputError(f"the estimator in {folder} is damaged ({error}); train it again") from None


def fill(network: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    """Puts weights from a folder into a network that they fit."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"the weights in {folder} do not fit their network ({str(error)[:80]}...); they were trained by another "
            "version, or damaged: train again, into another folder"
        ) from None


def json_in(file: Path) -> object:
    """What is in a file of JSON; None if it is none, or not there."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
