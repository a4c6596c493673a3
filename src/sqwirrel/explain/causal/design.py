"""Randomised interventions: pairs of rows that differ in one cause.

Pick and freeze (I. M. Sobol, Math. Comput. Simul. 55, 271 (2001), doi:10.1016/S0378-4754(00)00270-6): base rows and
others from one scrambled Sobol sequence; in row i of a pair the cause i alone has the value of the other row.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.lib.format import open_memmap
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.averages import Average, averaged, controls
from sqwirrel.explain.causal.system import System
from sqwirrel.model.prior import Prior

LARGEST = 2**30
"""Changes that are kept at once: pairs times causes times cells (4 bytes each)."""
FEWEST = 16
"""Pairs of a cause that an order must be found for."""


@dataclass(frozen=True, eq=False)
class Changes:
    """What `pairs` interventions on each cause change in every cell, in standard deviations; `even` are both
    rows as shares of what causes may be, and `good` says which had a stable order on both sides.
    """

    base: Float[Tensor, "pair cause"]
    other: Float[Tensor, "pair cause"]
    even: Float[Tensor, "pair 2 cause"]
    change: Float[np.ndarray, "pair cause cell"]
    good: Bool[Tensor, "pair cause"]

    @property
    def length(self) -> Float[Tensor, "pair cause"]:
        """How far each goes, as a share of what it may."""
        return (self.even[:, 0] - self.even[:, 1]).abs()

    def energy(self, cause: int) -> Float[Tensor, "pair cell"]:
        """Half the squared change of each cell by every intervention on a cause."""
        return torch.from_numpy(self.change[:, cause] ** 2 / 2)

    def average(self, cause: int, values: Float[Tensor, "pair cell"]) -> Average:
        """Of something that interventions on a cause did."""
        good = self.good[:, cause]
        return averaged(values, controls(self.even, cause, int(good.sum())), good)


def window(
    prior: Prior, middle: Float[Tensor, " cause"], width: float | Float[Tensor, " cause"]
) -> Float[Tensor, "cause 2"]:
    """Probabilities between which each cause is varied: `width` of its prior round `middle`, inside the prior."""
    low = torch.minimum((prior.cumulative(middle[None])[0] - width / 2).clamp(min=0), 1 - torch.as_tensor(width))
    return torch.stack((low, low + width), -1)


def intervene(
    system: System,
    pairs: int,
    seed: int,
    within: Float[Tensor, "cause 2"] | None = None,
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Changes:
    """Pairs of simulations that differ in one cause, everything between the probabilities `within` of the prior.

    With a `folder` what is done is kept there, and an interrupted run goes on.
    """
    base, other, even = _rows(system.prior, pairs, seed, within)
    first, _ = system.see(base[:1])
    shape = (*base.shape, first.shape[1])
    if np.prod(shape) > LARGEST:
        raise InputError(
            f"{pairs} pairs of {base.shape[1]} causes in {first.shape[1]} bins are too many to keep at once; use "
            f"fewer pairs, or wider bins ([measurement] rebin)"
        )
    change, state = _kept(folder, shape, base, other, first)
    for n in np.flatnonzero(state[:, 0] < 0).tolist():
        if progress is not None:
            progress(n, pairs)
        change[n], state[n] = _one(system, base[n], other[n])
    good = torch.from_numpy(np.array(state)) == 1
    _check(system.prior.names, good)
    return Changes(base, other, even, change, good)


def _rows(
    prior: Prior, pairs: int, seed: int, within: Float[Tensor, "cause 2"] | None
) -> tuple[Float[Tensor, "pair cause"], Float[Tensor, "pair cause"], Float[Tensor, "pair 2 cause"]]:
    p = len(prior.names)
    engine = torch.quasirandom.SobolEngine(2 * p, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    u = even = engine.draw(pairs, dtype=torch.float64).reshape(pairs, 2, p)
    if within is not None:
        u = within[:, 0] + u * (within[:, 1] - within[:, 0])
    u = u.clamp(1e-9, 1 - 1e-9)
    return prior.quantile(u[:, 0]), prior.quantile(u[:, 1]), even


def _one(
    system: System, base: Float[Tensor, " cause"], other: Float[Tensor, " cause"]
) -> tuple[Float[np.ndarray, "cause cell"], Bool[np.ndarray, " cause"]]:
    """All interventions on one base row."""
    p = len(base)
    rows = base.repeat(p + 1, 1)
    rows[torch.arange(p), torch.arange(p)] = other
    z, stable = system.see(rows)
    good = stable[:p] & stable[p]
    return torch.where(good[:, None], z[:p] - z[p], 0.0).numpy().astype(np.float32), good.numpy()


def _kept(
    folder: Path | None, shape: tuple[int, ...], base: Tensor, other: Tensor, first: Tensor
) -> tuple[Float[np.ndarray, "pair cause cell"], np.ndarray]:
    """Room for changes, and which pairs are done (-1 where not, else whether good): from `folder` if it is of these."""
    if folder is None:
        return np.zeros(shape, dtype=np.float32), np.full(shape[:2], -1, dtype=np.int8)
    folder.mkdir(parents=True, exist_ok=True)
    parts = (base, other, first.float())
    mine = hashlib.sha256(b"".join(part.contiguous().numpy().tobytes() for part in parts)).hexdigest()
    of, files = folder / "of.txt", (folder / "changes.npy", folder / "state.npy")
    if of.exists() and of.read_text() == mine:
        return open_memmap(files[0], mode="r+"), open_memmap(files[1], mode="r+")
    if of.exists():
        logging.getLogger("sqwirrel").warning("'%s' holds simulations of something else; they are made anew", folder)
        of.unlink()
    change = open_memmap(files[0], mode="w+", dtype=np.float32, shape=shape)
    state = open_memmap(files[1], mode="w+", dtype=np.int8, shape=shape[:2])
    state[:] = -1
    of.write_text(mine)
    return change, state


def _check(names: tuple[str, ...], good: Bool[Tensor, "pair cause"]) -> None:
    left = good.sum(0)
    if bool((left < min(FEWEST, len(good))).any()):
        k = int(left.argmin())
        raise InputError(
            f"the order is unstable on one side of {len(good) - int(left[k])} of {len(good)} interventions on "
            f"'{names[k]}'; narrow the prior, or its width, to where the order holds"
        )
