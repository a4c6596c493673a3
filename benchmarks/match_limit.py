"""How well modes could be told from maps with artefacts: the Cramer-Rao bound of who knows model and instrument.

Unknown are J1, J2, D, the scale, and the sizes of two backgrounds of known shapes; counts are Poisson's.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.match_maps import COUNTS, DECAY, ENERGY, SHARP, WIDE, Artefacts, experiment
from benchmarks.match_scores import modes, peak

STEPS = (1e-3, 5e-4, 2e-4, 1e-2)
"""Half of the distances over which derivatives by J1, J2, D and scale are taken."""


def limit(theta: Float[Tensor, "row parameter"], clean: Tensor, seen: Artefacts) -> dict[str, float]:
    """Standard errors of mode positions in units of the resolution, and the share that would be within a tenth; `theta`
    are J1, J2, D, scale of each map.
    """
    energy = ((ENERGY[1:] + ENERGY[:-1]) / 2).expand_as(seen.expected)
    wide, sharp = zip(*(slopes(theta, k) for k in range(len(STEPS))), strict=True)
    known = torch.stack((*wide, torch.exp(-energy / DECAY), torch.ones_like(energy)), dim=1)
    weight = COUNTS / seen.expected.clamp(min=1e-3) * seen.valid
    covariance = torch.linalg.inv(torch.einsum("baij,bij,bcij->bac", known, weight, known))[
        :, : len(STEPS), : len(STEPS)
    ]
    moved = torch.stack(sharp, dim=1)
    error = torch.einsum("bap,bac,bcp->bp", moved, covariance, moved).sqrt()[modes(clean, seen.valid > 0)]
    within = torch.erf(0.1 * WIDE / error.clamp(min=1e-9) / 2**0.5)
    return {"mode_error_median": float(error.median()) / WIDE, "mode_shift_below_a_tenth": float(within.mean())}


def slopes(theta: Float[Tensor, "row parameter"], k: int) -> tuple[Tensor, Tensor]:
    """What one parameter does to maps behind the instrument, and to positions of clean modes."""
    step = STEPS[k] * torch.eye(len(STEPS), dtype=torch.float64)[k]
    wide, sharp = ([signal(fwhm, theta + sign * step) for sign in (1, -1)] for fwhm in (WIDE, SHARP))
    return (wide[0] - wide[1]) / (2 * STEPS[k]), (peak(sharp[0]) - peak(sharp[1])) / (2 * STEPS[k])


def signal(fwhm: float, theta: Float[Tensor, "row parameter"]) -> Tensor:
    """Maps of lines of a width."""
    made, beliefs = experiment(fwhm)
    known = dict(zip(beliefs.names, theta.T, strict=True)) | {
        name: theta.new_full((len(theta),), value) for name, value in beliefs.fixed.items()
    }
    with torch.no_grad():
        found = made.signal(torch.stack([known[name] for name in made.names], dim=1)).expected
    return found * known["scale"][:, None, None]
