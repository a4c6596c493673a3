"""Where to measure next: the value of every candidate in (q, energy), the picks in their order, and what they bring."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from sqwirrel.infer.advise import Advice, Pick, Probe, Separation
from sqwirrel.report.axes import Across, across
from sqwirrel.report.figures.style import ACCENT, INK, STYLE
from sqwirrel.spectra import Measurement, QPath, QShells

SIZE = (9.0, 3.8)
MOST_CORNERS = 6


@mpl.rc_context(STYLE)
def advice(told: Advice | Separation, candidates: Measurement, bins: int) -> Figure:
    """A map of gain per minute with a letter at every place to go, and beside it what is expected after each visit.

    `candidates` are bins along a path, or points of a scan: `bins` energies at each wavevector in turn.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _gains(left, told, candidates, bins)
    _promises(right, told)
    return figure


def _gains(axes: Axes, told: Advice | Separation, candidates: Measurement, bins: int) -> None:
    axis = _axis(candidates, bins)
    energy = candidates.energy_centres.reshape(-1, bins)[0]
    step = (energy[1] - energy[0]) if bins > 1 else energy.new_tensor(1.0)
    edges = torch.cat((energy - step / 2, energy[-1:] + step / 2))
    gain = told.gain.reshape(-1, bins)
    mesh = axes.pcolormesh(axis.edges.numpy(), edges.numpy(), gain.T.numpy(), cmap="viridis", rasterized=True, vmin=0.0)
    what = "shrinkage of log σ" if isinstance(told, Advice) else "log Bayes factor"
    axes.figure.colorbar(mesh, ax=axes, label=f"{what} per minute")
    picks = told.picks if isinstance(told, Advice) else told.probes
    _ringed(axes, _letters(picks), (axis.edges[1:] + axis.edges[:-1]) / 2, energy)
    axes.set(title="What one point now would tell", xlabel=axis.label, ylabel="energy (meV)")
    if axis.ticks:
        axes.set_xticks(axis.ticks, axis.names)


def _letters(picks: Sequence[Pick | Probe]) -> dict[int, str]:
    """A letter for every candidate that was picked, in order; the number of its first pick beyond Z."""
    found: dict[int, str] = {}
    for pick in picks:
        n = len(found)
        found.setdefault(pick.candidate, ascii_uppercase[n] if n < len(ascii_uppercase) else str(n + 1))
    return found


def _ringed(
    axes: Axes, letters: Mapping[int, str], q: Float[Tensor, " point"], energy: Float[Tensor, " energy"]
) -> None:
    """A ring with its letter round each candidate that was picked."""
    for candidate, letter in letters.items():
        point, bin_ = divmod(candidate, len(energy))
        place = float(q[point]), float(energy[bin_])
        axes.plot(*place, "o", ms=9, mfc="white", mec=ACCENT, mew=1.2)
        axes.annotate(letter, place, ha="center", va="center_baseline", fontsize=7, color=INK)


def _axis(candidates: Measurement, bins: int) -> Across:
    """Along the path that the wavevectors are, or by their number where they turn too often or do not move."""
    points = candidates.points
    assert not isinstance(points, QShells)
    q = points.q[::bins] if candidates.is_scan else points.q
    line = QPath(points.lattice, q, torch.zeros(3, 3, dtype=torch.float64))
    found = across(Measurement(line, [0.0, 1.0], None))
    if len(q) > 1 and len(found.names) <= MOST_CORNERS and bool((found.edges.diff() > 0).all()):
        return found
    shown = np.unique(np.linspace(0, len(q) - 1, min(len(q), 5)).round().astype(int))
    names = tuple("\n".join(f"{x:.3g}" for x in (q[k] + 0.0).tolist()) for k in shown)
    return Across(torch.arange(len(q) + 1) - 0.5, "wavevectors in turn (rlu)", tuple(map(float, shown)), names)


def _promises(axes: Axes, told: Advice | Separation) -> None:
    picks: Sequence[Pick | Probe] = told.picks if isinstance(told, Advice) else told.probes
    minutes = np.cumsum([0.0, *(each.minutes for each in picks)])
    if isinstance(told, Advice):
        for name, now in told.before.items():
            axes.plot(minutes, [1.0, *(pick.sd[name] / now for pick in told.picks)], "o-", ms=3, lw=1.0, label=name)
        axes.set(title="What is promised", ylabel="error, of that now", ylim=(0, 1.05))
        axes.legend()
    else:
        axes.plot(minutes, [1.0, *(probe.factor for probe in told.probes)], "o-", ms=3, lw=1.0, color=INK)
        axes.axhline(told.decisive, color="#999999", lw=0.8)
        axes.set(title="What is promised", ylabel="Bayes factor of the true model", yscale="log")
    letters = _letters(picks)
    for pick, time in zip(picks, minutes[1:], strict=True):
        axes.annotate(letters[pick.candidate], (time, 0), xycoords=("data", "axes fraction"), xytext=(0, 3), fontsize=7,
                      textcoords="offset points", ha="center", color="#777777")  # fmt: skip
    axes.set_xlabel("minutes, moving and counting")
