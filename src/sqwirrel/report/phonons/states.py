"""The density of states of a crystal with springs and what neutrons see of it, over draws of a posterior."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.phonon.density import SIGMA, Density, neutron_weighted
from sqwirrel.simulate.phonon.dynamical import STILL

LEVELS = {"median": (0.5,), "band68": (0.16, 0.84), "band90": (0.05, 0.95)}
"""Parts of the draws that are below each line, of whatever is drawn over a posterior."""
DRAWS, MODES = 100, 2**15
"""Posterior draws behind the bands, and modes behind each density."""
LEAST, WORK = (40, 2**12), 3e8
"""Of both at least, and about what 30 s of solving have (draws times modes times branches^2), which crystals with many
atoms would take longer than.
"""
ROWS = 2**19
"""Modes that are worked on at once."""
LINES, FINE, SHARPNESS = 240, 1200, 40
"""Energies, bins of a histogram before it is made smooth, and how many times narrower than their range lines are (full
width at half maximum).
"""

IMAGINARY = 0.01
"""Modes with imaginary energies are left out; draws with more than this share of them have no density."""

Levels = dict[str, Float[Tensor, "level line"]]


@dataclass(frozen=True, eq=False)
class States:
    """Densities of states, 1/meV, that integrate to one, at energies (meV) and as broad as `fwhm` (meV).

    `total` is the mean of all atoms, `neutron` weighs them by cross-section over mass; `published` has both with the
    model's own parameters, if it has them. `draws` are those with few imaginary energies.
    """

    energy: Float[Tensor, " line"]
    fwhm: float
    total: Levels
    neutron: Levels
    published: Float[Tensor, "2 line"] | None
    draws: int


def states(model: PhononModel, theta: Float[Tensor, "draw parameter"], top: float, *, known: bool) -> States | None:
    """Those of draws (the first, at most `DRAWS`) up to an energy (meV); none if every draw has many imaginary ones."""
    each = (3 * len(model.positions)) ** 2
    modes = max(LEAST[1], min(MODES, int(WORK / (LEAST[0] * each))))
    n = max(LEAST[0], min(DRAWS, int(WORK / (modes * each))))
    density, lines = Density(model, modes=modes), Lines(top)
    with torch.no_grad():
        found = torch.cat([_both(density, part, lines) for part in torch.split(theta[:n], max(1, ROWS // modes))])
        own = _both(density, model.pack(), lines)[0] if known else None
    found = found[found.isfinite().all(-1).all(-1)]
    if not len(found):
        return None
    total, neutron = ({name: levels(each, at) for name, at in LEVELS.items()} for each in found.unbind(1))
    own = own if own is None or bool(own.isfinite().all()) else None
    return States(lines.energy, lines.fwhm, total, neutron, own, len(found))


def levels(rows: Float[Tensor, "draw *shape"], at: tuple[float, ...]) -> Float[Tensor, "level *shape"]:
    """What these parts of the rows are below."""
    return torch.quantile(rows, rows.new_tensor(at), dim=0)


class Lines:
    """Gaussians at any energies up to `top` (meV), summed by way of a fine histogram: each is shared by two bins."""

    def __init__(self, top: float) -> None:
        self.energy, self.fwhm = torch.linspace(0, top, LINES, dtype=torch.float64), top / SHARPNESS
        self.bins = torch.linspace(0, (1 + 3 / SHARPNESS) * top, FINE, dtype=torch.float64)
        sigma = SIGMA * self.fwhm
        away = (self.energy[:, None] - self.bins) / sigma
        self.shape = torch.exp(-(away**2) / 2) / (sigma * math.sqrt(2 * math.pi))

    def __call__(
        self, at: Float[Tensor, "draw mode"], share: Float[Tensor, "draw mode atom"]
    ) -> Float[Tensor, "draw atom line"]:
        """Sums of `share`, 1/meV; what lies beyond the bins is left out."""
        place = at / (self.bins[1] - self.bins[0])
        inside = (place < FINE - 1)[..., None] * share
        below = place.floor().clamp(max=FINE - 2)
        rest = (place - below)[..., None]
        index = below.long()[..., None].expand_as(share)
        filled = share.new_zeros(len(share), FINE, share.shape[-1])
        filled.scatter_add_(1, index, (1 - rest) * inside).scatter_add_(1, index + 1, rest * inside)
        return torch.einsum("lf,bfi->bil", self.shape, filled)


def _both(density: Density, theta: Tensor, lines: Lines) -> Float[Tensor, "draw 2 line"]:
    """Of all atoms and as neutrons see it; NaN where more than `IMAGINARY` of the modes have an imaginary energy."""
    at, share, _ = density.shares(theta)
    real = at.flatten(1) > STILL
    found = lines(at.flatten(1), share.flatten(1, 2) * real[..., None])
    found = torch.stack((found.mean(1), neutron_weighted(density.model, found)), 1)
    steady = (~real).double().mean(1) <= IMAGINARY
    return torch.where(steady[:, None, None], found, torch.nan)
