"""The density of states of a crystal with springs and what neutrons see of it, over draws of a posterior."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.phonon.density import Density, Lines, neutron_weighted

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
LINES, SHARPNESS = 240, 40
"""Energies, and how many times narrower than their range lines are (full width at half maximum)."""

IMAGINARY = 0.01
"""Modes with imaginary energies are left out; draws with more than this share of them have no density."""

Levels = dict[str, Float[Tensor, "level line"]]


@dataclass(frozen=True, eq=False)
class States:
    """Densities of states, 1/meV, that integrate to one, at energies (meV) and as broad as `fwhm` (meV).

    `total` is the mean of all atoms, `neutron` weighs them by cross-section over mass; `own` has both with the values
    that the model has itself, if it has them. `draws` are those with few imaginary energies.
    """

    energy: Float[Tensor, " line"]
    fwhm: float
    total: Levels
    neutron: Levels
    own: Float[Tensor, "2 line"] | None
    draws: int

    @property
    def differ(self) -> bool:
        """Whether neutrons see another density than that of all atoms."""
        return not torch.allclose(self.total["median"], self.neutron["median"], rtol=1e-3)


def states(model: PhononModel, theta: Float[Tensor, "draw parameter"], top: float, *, known: bool) -> States | None:
    """Those of draws (the first, at most `DRAWS`) up to an energy (meV); none if every draw has many imaginary ones."""
    each = (3 * len(model.positions)) ** 2
    modes = max(LEAST[1], min(MODES, int(WORK / (LEAST[0] * each))))
    n = max(LEAST[0], min(DRAWS, int(WORK / (modes * each))))
    density = Density(model, modes=modes)
    lines = Lines(torch.linspace(0, top, LINES, dtype=torch.float64), top / SHARPNESS)
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


def _both(density: Density, theta: Tensor, lines: Lines) -> Float[Tensor, "draw 2 line"]:
    """Of all atoms and as neutrons see it; NaN where more than `IMAGINARY` of the modes have an imaginary energy."""
    found = density(theta, lines, imaginary=IMAGINARY)
    return torch.stack((found.mean(1), neutron_weighted(density.model, found)), 1)
