"""Branches of a crystal along its standard path, over draws of a posterior, and the same as data."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.path import PAPER, Line, standard_path
from sqwirrel.report.content import in_check_words
from sqwirrel.report.phonons.states import LEVELS, States, levels, states
from sqwirrel.report.result import Whole
from sqwirrel.simulate.phonon.ended import astray, holding
from sqwirrel.simulate.phonon.phonons import Phonons

POINTS = 300
DRAWS, FEW = 400, 60
"""Posterior draws behind the bands, and of crystals with many atoms at least."""
ABOVE = 1.04
"""How far densities of states are drawn above the highest energy, times that."""
WORK, ROOM = 3e8, 2**21
"""About what 30 s of solving have (draws times points times branches^3), and matrix elements that are held at once."""


@dataclass(frozen=True, eq=False)
class Dispersion:
    """Energies of the branches (meV, highest first; imaginary ones negative) along `lines`, whose points follow each
    other: `levels` by their names, one or two rows each; `widened` is the 90 % band with the misfit in it, if there is
    one; `own` has the values that the model has itself, if any; `states`: none if all draws have many imaginary ones.
    `failed` names the checks that the answer has failed, `misfits` says that the bands lack what the model does.
    `astray` is the share of their energy that branches may be off by as springs end (`simulate.phonon.ended`).
    """

    model: PhononModel
    lines: tuple[Line, ...]
    draws: int
    levels: dict[str, Float[Tensor, "level q branch"]]
    widened: Float[Tensor, "2 q branch"] | None
    own: Float[Tensor, "q branch"] | None
    states: States | None
    failed: tuple[str, ...] = ()
    misfits: bool = False
    astray: float | None = None

    @property
    def ended(self) -> Float[Tensor, "2 q branch"] | None:
        """The 90 % band with what springs beyond the last ones may do, if that is known."""
        if self.astray is None:
            return None
        return holding(self.levels["median"][0], self.levels["band90"], self.astray)

    @property
    def origin(self) -> str:
        """What the values are that the model has itself."""
        if any(each.on_site is not None for each in self.model.springs):
            return "as imported"
        return "published" if self.model.papers else "of the model file"

    @property
    def doubt(self) -> str:
        """Which checks failed, and what the bands then lack; nothing if all passed."""
        if not self.failed:
            return ""
        lacking = "; the bands of counting do not hold the misfit" if self.misfits else ""
        return f"Failed checks: {', '.join(map(in_check_words, self.failed))}{lacking}."

    @property
    def widths(self) -> tuple[float, float]:
        """How wide the 90 % band is, meV, on average over points and branches; and that with the misfit in it."""
        low, high = self.levels["band90"]
        narrow = float((high - low).mean())
        return narrow, narrow if self.widened is None else float((self.widened[1] - self.widened[0]).mean())


def dispersion(whole: Whole) -> Dispersion | None:
    """That of a posterior of springs; none of spins."""
    model = whole.results[0].experiment.model
    if not isinstance(model, PhononModel):
        return None
    lines = standard_path(model, POINTS)
    q = torch.cat([line.q for line in lines])
    phonons = Phonons(model, q)
    n = max(FEW, min(DRAWS, int(WORK / (len(q) * (3 * len(model.positions)) ** 3))))
    theta = whole.of_model(whole.posterior.sample(n, seed=0))
    wider = whole.of_model(whole.posterior.widened.sample(n, seed=0)) if whole.posterior.tells_misfit else None
    known = set(model.names) <= set(model.defaults)
    energies = _energies(phonons, theta)
    found = {name: levels(energies, at) for name, at in LEVELS.items()}
    own = _energies(phonons, model.pack())[0] if known else None
    top = max(float(each.max()) for each in (*found.values(), *([own] if own is not None else [])))
    return Dispersion(
        model,
        lines,
        n,
        found,
        None if wider is None else levels(_energies(phonons, wider), LEVELS["band90"]),
        own,
        states(model, theta, ABOVE * top, known=known) if top > 0 else None,
        tuple(check.name for check in whole.posterior.checks if not check.passed),
        whole.posterior.misfits,
        astray(model),
    )


def _energies(phonons: Phonons, theta: Float[Tensor, "draw parameter"]) -> Float[Tensor, "draw q branch"]:
    rows = max(1, int(ROOM // (len(phonons.q) * phonons.basis.shape[-1] ** 2)))
    with torch.no_grad():
        return torch.cat([phonons.energies(part) for part in torch.split(theta, rows)])


def as_mapping(found: Dispersion) -> dict[str, Any]:
    """Numbers for machines, line by line: q in rlu of the model, lengths along the path in 1/A, energies in meV."""
    stops = torch.tensor([len(line.q) for line in found.lines]).cumsum(0).tolist()
    return {
        "model": found.model.name,
        "unit": "meV",
        "draws": found.draws,
        "failed_checks": list(found.failed),
        "misfits": found.misfits,
        "astray": found.astray,
        "levels": LEVELS,
        "path": PAPER,
        "lines": [
            {"from": line.names[0], "to": line.names[1], "q": line.q.tolist(), "along": line.along.tolist()}
            | _of_line(found, slice(stop - len(line.q), stop))
            for line, stop in zip(found.lines, stops, strict=True)
        ],
        **({} if found.states is None else {"density": _of_states(found.states, _key(found))}),
    }


def _of_line(found: Dispersion, part: slice) -> dict[str, Any]:
    """Energies on one line, by branch from the highest, at all its points; of bands the low ends first."""
    every = {name: rows[:, part].mT for name, rows in found.levels.items()}
    bands = {"widened90": found.widened, "ended90": found.ended}
    more = {name: band[:, part].mT for name, band in bands.items() if band is not None}
    return _lists(every | more) | ({_key(found): found.own[part].T.tolist()} if found.own is not None else {})


def _key(found: Dispersion) -> str:
    """Of the model's own values."""
    return found.origin.replace(" ", "_")


def _of_states(found: States, own: str) -> dict[str, Any]:
    """Densities in 1/meV; those of the values that the model has itself as `own`, all atoms first, then as neutrons see
    them.
    """
    rows = {"unit": "1/meV", "fwhm": found.fwhm, "draws": found.draws, "energy": found.energy.tolist()}
    rows |= {"total": _lists(found.total), "neutron_weighted": _lists(found.neutron)}
    return rows | ({own: found.own.tolist()} if found.own is not None else {})


def _lists(levels: dict[str, Tensor]) -> dict[str, Any]:
    return {name: (value[0] if len(value) == 1 else value).tolist() for name, value in levels.items()}
