"""train(): the only training loop."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.seeds import stream
from sqwirrel.whole import put_text

Progress = Callable[[int, int, float], None]
RATE, DECAY = 1e-3, 1e-4
LONGEST = 5.0
"""Gradients longer than this are cut to it."""
HELD = 512
"""At most this many held-out pairs, and at most a tenth of the simulations, judge the progress."""


Seen = TypeVar("Seen")
Given = TypeVar("Given", covariant=True)
Taken = TypeVar("Taken", contravariant=True)


@runtime_checkable
class Source(Protocol[Given]):
    """What can be learnt from: `Pairs`, for one, whose batches have fresh noise."""

    def __len__(self) -> int: ...

    def split(self, last: int) -> "tuple[Source[Given], Source[Given]]":
        """All but the last rows, and the last ones."""

    def batch(self, rows: int, seed: int, label: str) -> Given:
        """Random rows: a function of `seed` and `label`."""

    def every(self, generator: torch.Generator) -> Given:
        """Each row once."""


@runtime_checkable
class Trainable(Protocol[Taken]):
    """What can be trained: players with weights (an adversarial pair has two), each with a loss."""

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """The networks, by name."""

    def loss(self, player: str, batch: Taken) -> Float[Tensor, ""]:
        """What the player makes small."""


@runtime_checkable
class Judged(Protocol[Taken]):
    """What says itself how good it is, where losses do not: those of adversaries say nothing of progress."""

    def held(self, batch: Taken) -> float:
        """What training has to make small on held-out rows, for which there is no gradient."""


@dataclass(frozen=True)
class Effort:
    """How long to train: steps, rows a batch, steps between looks at held-out pairs, looks without progress before it
    ends, seed.
    """

    steps: int = 4000
    batch: int = 128
    every: int = 100
    patience: int = 10
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.every, self.patience) < 1:
            raise InputError(f"training needs steps, batch, every and patience of at least 1, got {self}")


@dataclass
class History:
    """Losses on held-out pairs (or what a `Judged` one says of them) at the steps looked at, the best step, and the
    seconds it took.
    """

    steps: list[int]
    losses: list[float]
    best: int = 0
    seconds: float = 0.0

    def is_over(self, effort: Effort) -> bool:
        """Whether it went on without progress for as long as that is waited for."""
        return bool(self.steps) and self.steps[-1] - self.best >= effort.patience * effort.every


def train(
    estimator: Trainable[Seen],
    pairs: Source[Seen],
    effort: Effort | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> History:
    """Trains in place and returns the losses; the estimator has its best weights afterwards.

    With a `folder` an interrupted training is gone on with, to the same numbers as one that was not; one of another
    effort or with another number of rows is refused. The learning rate falls to zero by a cosine (I. Loshchilov, F.
    Hutter, arXiv:1608.03983 and arXiv:1711.05101).
    """
    effort, modules = effort or Effort(), nn.ModuleDict(estimator.players)
    learn, held = _held_out(pairs, effort)
    optimisers = {
        name: torch.optim.AdamW(each.parameters(), RATE, weight_decay=DECAY) for name, each in modules.items()
    }
    settings = {**asdict(effort), "rows": len(pairs)}
    state = _State(modules, optimisers, History([], []), {}, folder, settings)
    first, clock = state.resumed(), time.perf_counter()
    before = state.history.seconds
    for step in range(effort.steps if state.history.is_over(effort) else first, effort.steps):
        batch = learn.batch(effort.batch, effort.seed, f"step {step}")
        for name, optimiser in optimisers.items():
            _step(estimator, name, modules[name], optimiser, batch, step / effort.steps)
        if (step + 1) % effort.every and step + 1 < effort.steps:
            continue
        loss = _loss(estimator, held)
        state.history.seconds = before + time.perf_counter() - clock
        state.looked(step + 1, loss)
        if progress is not None:
            progress(step + 1, effort.steps, loss)
        if state.history.is_over(effort):
            break
    modules.load_state_dict(state.best)
    return state.history


def _held_out(pairs: Source[Seen], effort: Effort) -> tuple[Source[Seen], Seen]:
    """Pairs to learn from, and fixed ones that are not among them."""
    if (last := held_rows(pairs)) < 1:
        raise InputError(f"{len(pairs)} simulations are too few to hold some out; make at least 10")
    first, other = pairs.split(last)
    return first, other.every(stream(effort.seed, "held out"))


def held_rows(pairs: Source[Seen]) -> int:
    """How many rows, the last ones, are not learnt from."""
    return min(HELD, len(pairs) // 10)


def _step(
    estimator: Trainable[Seen], name: str, module: nn.Module, optimiser: torch.optim.Optimizer, batch: Seen, done: float
) -> None:
    for group in optimiser.param_groups:
        group["lr"] = RATE * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * done))))
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(estimator.loss(name, batch))
    nn.utils.clip_grad_norm_(module.parameters(), LONGEST)
    optimiser.step()


def _loss(estimator: Trainable[Seen], batch: Seen) -> float:
    """What is `Judged` on held-out rows says so itself; else the loss of the first player, which others follow."""
    with torch.no_grad():
        if isinstance(estimator, Judged):
            return float(estimator.held(batch))
        return float(estimator.loss(next(iter(estimator.players)), batch))


@dataclass
class _State:
    """Where a training stands: on disk after every look, if it has a folder."""

    modules: nn.ModuleDict
    optimisers: dict[str, torch.optim.AdamW]
    history: History
    best: dict[str, Tensor]
    folder: Path | None
    settings: dict[str, int]

    def looked(self, step: int, loss: float) -> None:
        """Notes a loss, keeps the weights if they are the best, and all of it on disk."""
        if not loss < float("inf"):
            raise InputError(f"the training diverged: its loss is {loss} after {step} steps; check the simulations")
        if not self.history.losses or loss < min(self.history.losses):
            self.best = {name: each.clone() for name, each in self.modules.state_dict().items()}
            self.history.best = step
        self.history.steps.append(step)
        self.history.losses.append(loss)
        if self.folder is not None:
            self._write(self.folder)

    def resumed(self) -> int:
        """The step to go on with."""
        if self.folder is None or not (self.folder / "training.json").exists():
            return 0
        try:
            known = json.loads((self.folder / "training.json").read_text(encoding="utf-8"))
            before = dict(known.pop("settings"))
            self.history = History(**known)
            kept = load_file(self.folder / f"training-{self.history.steps[-1]}.safetensors")
        except (OSError, ValueError, TypeError, AttributeError, IndexError, KeyError, SafetensorError) as error:
            raise InputError(f"the training in {self.folder} cannot be gone on with ({error}); remove it") from None
        if changed := [f"{k} = {before.get(k)}, now {x}" for k, x in self.settings.items() if before.get(k) != x]:
            raise InputError(
                f"the training in {self.folder} is one with {'; '.join(changed)}; choose another folder, or remove it"
            )
        self.best = _under(kept, "best/")
        try:
            self.modules.load_state_dict(_under(kept, "now/"))
        except RuntimeError:
            raise InputError(
                f"the training in {self.folder} is one of another network, of this or another version; choose another "
                "folder, or remove it"
            ) from None
        for name, optimiser in self.optimisers.items():
            _restore(optimiser, _under(kept, f"optimiser/{name}/"))
        return self.history.steps[-1]

    def _write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"best/{k}": v for k, v in self.best.items()}
        tensors |= {f"now/{k}": v for k, v in self.modules.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            tensors |= {f"optimiser/{name}/{k}": v for k, v in _flat(optimiser).items()}
        part, step = folder / "training.part", self.history.steps[-1]
        save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, part)
        part.replace(folder / f"training-{step}.safetensors")
        put_text(folder / "training.json", json.dumps({**asdict(self.history), "settings": self.settings}) + "\n")
        for old in folder.glob("training-*.safetensors"):
            if old.name != f"training-{step}.safetensors":
                old.unlink()


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def _flat(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{k}/{what}": torch.as_tensor(each) for k, row in state.items() for what, each in row.items()}


def _restore(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    known = optimiser.state_dict()
    for name, each in tensors.items():
        k, what = name.split("/")
        known["state"].setdefault(int(k), {})[what] = each
    optimiser.load_state_dict(known)
