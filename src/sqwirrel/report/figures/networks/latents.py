"""Traversals: what maps an autoencoder makes when one of its latents goes from low to high and the others stay."""

from collections.abc import Sequence

import matplotlib as mpl
import torch
from jaxtyping import Bool, Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from sqwirrel.report.figures.style import STYLE, UNMEASURED, colours_of
from sqwirrel.spectra import Measurement, QShells

PANEL = (1.5, 1.35)


@mpl.rc_context(STYLE)
def traversal_sheet(
    made: Float[Tensor, "latent step point energy"],
    steps: Sequence[float],
    names: Sequence[str],
    measurement: Measurement,
    valid: Bool[Tensor, "point energy"],
) -> Figure:
    """A row for each latent, a map for each of `steps` (standard deviations of it); grey was not measured."""
    assert isinstance(measurement.points, QShells)
    rows, columns = made.shape[:2]
    wide, high = PANEL
    figure = Figure(figsize=(0.9 + wide * columns, 0.7 + high * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    colours, norm = colours_of(made[..., valid].flatten())
    edges = measurement.points.edges.numpy(), measurement.energy.numpy()
    for row, name in enumerate(names):
        for column, step in enumerate(steps):
            axes = panels[row, column]
            level = torch.where(valid, made[row, column], torch.nan)
            mesh = axes.pcolormesh(*edges, level.T.numpy(), cmap=colours, norm=norm, rasterized=True)
            axes.set_facecolor(UNMEASURED)
            if row == 0:
                axes.set_title(f"{step:+g} sd", fontsize=8, fontweight="normal")
        panels[row, 0].set_ylabel(f"{name}\nE (meV)", fontsize=7.5)
    for axes in panels[-1]:
        axes.set_xlabel("|Q| (1/Å)", fontsize=7.5)
    figure.colorbar(mesh, ax=panels, shrink=0.5, label="level (arb. units)")
    return figure
