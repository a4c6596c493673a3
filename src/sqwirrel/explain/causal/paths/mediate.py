"""Mediation: how much of what an intervention does to a spectrum goes through energies, intensities, thermal factors
and the instrument.

With do(theta: a -> b) every path is switched by itself: energies of b with intensities, thermal factors and nuisances
of a, and so on. These are natural indirect effects (J. Pearl, Direct and indirect effects, Proc. 17th Conf. Uncertainty
in Artificial Intelligence, 411 (2001), arXiv:1301.2300), which a simulator can evaluate and an experiment cannot.

Modes of a and b are the same mode if they have the same number in the order of energy at the same wavevector. Where two
modes cross between a and b their energies and intensities are exchanged: what looks like a change of both then undoes
itself in the whole, and `rest` of the shares is negative there. Degenerate modes share their intensity evenly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.design import Changes
from sqwirrel.explain.causal.paths.exchange import Exchange, replaced, standing_in
from sqwirrel.explain.causal.paths.squares import Shares, Squares
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer.terms import SpectrumTerm
from sqwirrel.observe.experiment import ROWS_BYTES, Experiment
from sqwirrel.observe.views.view import View

ENERGIES, INTENSITIES, THERMAL, MULTIPHONON, INSTRUMENT = (
    "energies",
    "intensities",
    "thermal",
    "multiphonon",
    "instrument",
)
COPIES = 8
"""Sets of modes that one pair holds at once, about."""
Deviations = Callable[[Float[Tensor, "pair point energy"]], Float[Tensor, "pair point energy"]]
"""From expected intensities to a scale on which the noise has unit variance: 2 (x + 3/8)^1/2 of counts."""


@dataclass(frozen=True, eq=False)
class Routes:
    """Expected intensities before and after an intervention, and with one path switched `alone`, by its name.

    Paths: mode energies; intensities before the thermal factor (structure factors, with the 1 / E of a phonon's
    amplitude); thermal factors (Bose, Debye-Waller), with the energies of the other side; what is under the phonons, if
    the experiment has it; the instrument, which is all parameters that are not the model's. `stable` says that the
    order is one on both sides.
    """

    before: Float[Tensor, "pair point energy"]
    after: Float[Tensor, "pair point energy"]
    alone: dict[str, Float[Tensor, "pair point energy"]]
    stable: Bool[Tensor, " pair"]

    def squares(self, deviations: Deviations, regions: Bool[Tensor, "region point energy"]) -> Squares:
        """Of the changes of every pair, in standard deviations."""
        still = deviations(self.before)
        alone = {name: deviations(each) - still for name, each in self.alone.items()}
        return Squares.of(deviations(self.after) - still, alone, regions)


def mediation(
    experiment: Experiment,
    before: Float[Tensor, "pair parameter"],
    after: Float[Tensor, "pair parameter"],
    deviations: Deviations,
    regions: Bool[Tensor, "region point energy"],
    *,
    seed: int = 0,
) -> Shares:
    """Shares of each path over pairs of rows, in the order of `experiment.names`; spectra are not kept."""
    squares, good = _squares(experiment, before, after, deviations, regions)
    return Shares.of(squares, seed, good)


def mediated(system: Spectra, changes: Changes, cause: str, of: Int64[Tensor, " cell"], *, seed: int = 0) -> Shares:
    """Shares of each path in what the interventions of a causal map on one cause did to its regions, `of` each cell.

    The modes of both sides are found anew. Means are plain ones: those of the edges are corrected for how far
    interventions went, so that `effect` is not quite theirs. Spectra alone have paths: a peak is an energy, and a bulk
    number is no reading of an instrument; regions that are one of these get none.
    """
    if cause not in system.prior.names:
        raise InputError(f"'{cause}' is no cause of this map; its causes are {', '.join(system.prior.names)}")
    k, after = system.prior.names.index(cause), changes.base.clone()
    after[:, k] = changes.other[:, k]
    sides = [system.target.full(rows) for rows in (changes.base, after)]
    maps, numbers, found = system.maps(of), torch.arange(int(of.max()) + 1)[:, None, None], []
    for term in (each for each in system.terms if isinstance(each, SpectrumTerm)):
        start, end = (system.target.own(term, each) for each in sides)
        found.append(_squares(term.experiment, start, end, partial(_steady, term), maps[term.label] == numbers))
    if not found:
        raise InputError("there is no spectrum among the data of this map, and only spectra have paths")
    squares, good = zip(*found, strict=True)
    return Shares.of(reduce(Squares.plus, squares), seed, torch.stack(good).all(0))


def _steady(term: SpectrumTerm, expected: Tensor) -> Tensor:
    """Expectations where noise has unit variance, 0 in the bins that were not measured."""
    valid, seen = term.observed.valid, torch.zeros_like(expected)
    seen[:, valid] = term.experiment.instrument.counting.steady(expected[:, valid], term.observed)
    return seen


def _squares(
    experiment: Experiment, before: Tensor, after: Tensor, deviations: Deviations, regions: Tensor
) -> tuple[Squares, Bool[Tensor, " pair"]]:
    """Squares of all pairs, some at once, and which are stable."""
    _check(experiment, before, after)
    size = max(1, ROWS_BYTES // (COPIES * experiment.view.bytes_per_row))
    found = []
    with torch.no_grad():
        for part in zip(torch.split(before, size), torch.split(after, size), strict=True):
            each = routes(experiment, *part)
            found.append((each.squares(deviations, regions), each.stable))
    squares, good = zip(*found, strict=True)
    return Squares.joined(squares), torch.cat(good)


def routes(
    experiment: Experiment, before: Float[Tensor, "pair parameter"], after: Float[Tensor, "pair parameter"]
) -> Routes:
    """Spectra of pairs of rows, all at once (see `mediation` for many), in the order of `experiment.names`.

    For spin waves and phonons, of powders, crystals, twins and crystals in a beam. Not for emulated experiments, those
    that are anchored, and widths in q that are a parameter.
    """
    view, names = _check(experiment, before, after), paths(experiment)
    sides, n = (before, after), len(experiment.model.names)
    solved = [Exchange.of(solver, (before[:, :n], after[:, :n])) for solver in view.solvers]

    def seen(energy: int, structure: int, thermal: int, under: int, instrument: int) -> tuple[Tensor, Tensor]:
        pairs = zip(view.solvers, solved, strict=True)
        every = [standing_in(solver, each.modes(energy, structure, thermal)) for solver, each in pairs]
        theta = torch.cat((sides[under][:, :n], sides[instrument][:, n:]), dim=1)
        modelled = len(experiment.modelled)
        laid = replaced(view, solvers=nn.ModuleList(every))(theta[:, :modelled])
        return experiment.observe(laid.grid, theta[:, modelled:]), laid.stable

    order = (ENERGIES, INTENSITIES, THERMAL, MULTIPHONON, INSTRUMENT)
    (start, steady), (end, still) = seen(0, 0, 0, 0, 0), seen(1, 1, 1, 1, 1)
    alone = {name: seen(*(int(name == each) for each in order))[0] for name in names}
    return Routes(start, end, alone, steady & still)


def paths(experiment: Experiment) -> tuple[str, ...]:
    """Names of the paths from parameters to a spectrum."""
    under = isinstance(experiment.view, View) and experiment.view.incoherent is not None
    return (ENERGIES, INTENSITIES, THERMAL, *((MULTIPHONON,) if under else ()), INSTRUMENT)


def _check(experiment: Experiment, before: Tensor, after: Tensor) -> View:
    """The view of an experiment that mediation knows; refuses others, and rows that are not its parameters."""
    for rows in (before, after):
        if rows.ndim != 2 or rows.shape != before.shape or rows.shape[1] != len(experiment.names):
            raise InputError(
                f"rows before and after have the shapes {tuple(before.shape)} and {tuple(after.shape)}; expected as "
                f"many of both, with {len(experiment.names)} parameters each: {', '.join(experiment.names)}"
            )
    if experiment.is_emulated:
        raise InputError("an emulator has no modes to exchange; give the experiment itself, modelled_again()")
    if experiment.control is not None:
        raise InputError(
            "an anchored experiment adds to its modes what better averages gave for all paths at once; give the "
            "experiment before it was anchored, with more samples if need be"
        )
    if not isinstance(experiment.view, View):
        raise InputError(
            "widths in q that are a parameter move the points that modes are at, so that they cannot be matched; leave "
            "q_scale out of the resolution"
        )
    return experiment.view
