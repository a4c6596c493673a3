"""Checkpoints: weights (safetensors) and, beside them, what they were made for (JSON). No code runs on loading."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.learn.cnn import CNN
from sqwirrel.learn.npe import NPE, Ensemble, Regressor
from sqwirrel.learn.pairs import Pairs
from sqwirrel.learn.surrogate import Emulator
from sqwirrel.record import Record
from sqwirrel.spectra import QShells
from sqwirrel.whole import put_text

KINDS: dict[str, type[NPE] | type[Regressor] | type[CNN] | type[Emulator]] = {
    "npe": NPE,
    "regressor": Regressor,
    "cnn": CNN,
    "emulator": Emulator,
}
Estimator = NPE | Regressor | CNN | Emulator | Ensemble


@dataclass(frozen=True)
class Purpose:
    """What an estimator was trained for: free parameters, prior, model, and a digest of bins, coverage and errors."""

    names: tuple[str, ...]
    prior: str
    model: str
    bins: str

    @classmethod
    def of(cls, pairs: Pairs) -> "Purpose":
        """That of some pairs."""
        experiment = pairs.simulations.experiment
        return cls(pairs.prior.names, repr(pairs.prior), experiment.model.name, _bins(pairs))

    def check(self, pairs: Pairs, folder: Path) -> None:
        """Refuses pairs that the estimator was not trained for."""
        other = Purpose.of(pairs)
        for what in ("model", "names", "prior", "bins"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                raise InputError(
                    f"the estimator in {folder} was trained with other {what} ({_short(mine)}; here {_short(theirs)}); "
                    "train one for this measurement and prior"
                )


def save(folder: Path, estimator: Estimator, pairs: Pairs, record: Record) -> None:
    """Writes weights.safetensors and estimator.json; each appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "weights.part"
    save_file({name: each.contiguous() for name, each in estimator.state_dict().items()}, part)
    part.replace(folder / "weights.safetensors")
    purpose = Purpose.of(pairs)
    known = {"kind": kind_of(estimator), "members": members_of(estimator), "purpose": purpose.__dict__}
    put_text(folder / "estimator.json", json.dumps({**known, "record": json.loads(record.to_json())}, indent=1) + "\n")


def load(folder: Path, pairs: Pairs) -> Estimator:
    """The estimator that `save` wrote, for pairs of the same bins, prior and model; to be used, not to be trained."""
    try:
        known = json.loads((folder / "estimator.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "weights.safetensors")
        purpose = Purpose(**{**known["purpose"], "names": tuple(known["purpose"]["names"])})
        kind, members = KINDS[known["kind"]], int(known["members"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} holds no estimator: {Path(str(error.filename)).name} is missing") from None
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(f"the estimator in {folder} is damaged ({error}); train it again") from None
    purpose.check(pairs, folder)
    empty = kind.sized_for(pairs) if members == 0 else Ensemble([NPE.sized_for(pairs) for _ in range(members)])
    return _filled(empty, weights, folder).requires_grad_(requires_grad=False)


def kind_of(estimator: Estimator) -> str:
    """Its name among `KINDS`; an ensemble has that of its members."""
    one = estimator.members[0] if isinstance(estimator, Ensemble) else estimator
    return next(name for name, kind in KINDS.items() if isinstance(one, kind))


def members_of(estimator: Estimator) -> int:
    """How many there are in an ensemble, 0 for a single one."""
    return len(estimator.members) if isinstance(estimator, Ensemble) else 0


def _filled(estimator: Estimator, weights: dict[str, Tensor], folder: Path) -> Estimator:
    try:
        estimator.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"the weights in {folder} do not fit their network ({str(error)[:80]}...)") from None
    return estimator


def _bins(pairs: Pairs) -> str:
    """Digest of the energies, the coverage and the errors that images are made with, and of where the points lie."""
    measurement, digest = pairs.simulations.experiment.measurement, hashlib.sha256()
    valid, error = pairs.bins
    points = measurement.points
    where = points.edges if isinstance(points, QShells) else points.q
    for each in (measurement.energy, where, valid, error):
        digest.update(torch.as_tensor(each).double().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 60 else f"{text[:57]}..."
