"""Laws to propose from: mixtures of Student-t laws, cut off where a prior ends."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

FREEDOM = 6
"""Degrees of freedom of the proposals. With 16, effective draws are 86 % in place of 76 %, and posteriors of 500 draws
are 2 % too narrow on average, up to 16 % where their tails are long (`benchmarks.rb2mnf4_posterior`).
"""
TRIED = 8192
"""Draws that tell which share of a proposal is inside the prior."""


@dataclass(frozen=True, eq=False)
class StudentMixture:
    """A mixture of multivariate Student-t laws, cut off at the ends of a box."""

    share: Float[Tensor, " component"]
    centre: Float[Tensor, "component parameter"]
    root: Float[Tensor, "component parameter parameter"]
    """Lower Cholesky factors of the scale matrices."""
    box: Float[Tensor, "parameter 2"]
    """Lowest and highest value of each parameter, infinite where there is none."""

    def sample(self, n: int, seed: torch.Generator) -> Float[Tensor, "n parameter"]:
        """`n` independent draws."""
        draws = self._anywhere(n, seed)
        while len(draws := draws[self._inside(draws)]) < n:
            draws = torch.cat((draws, self._anywhere(n, seed)))
        return draws[:n]

    @cached_property
    def log_inside(self) -> float:
        """Log of the share of the laws that is inside the box."""
        if not bool(self.box.isfinite().any()):
            return 0.0
        draws = self._anywhere(TRIED, torch.Generator().manual_seed(0))
        return math.log(max(1, int(self._inside(draws).sum())) / TRIED)

    @property
    def inside_error(self) -> float:
        """How well that is known."""
        return math.sqrt(math.expm1(-self.log_inside) / TRIED)

    def _inside(self, y: Tensor) -> Tensor:
        return ((y > self.box[:, 0]) & (y < self.box[:, 1])).all(1)

    def _anywhere(self, n: int, seed: torch.Generator) -> Tensor:
        which = torch.multinomial(self.share, n, replacement=True, generator=seed)
        p = self.centre.shape[1]
        normal = torch.randn(n, p + FREEDOM, generator=seed, dtype=self.centre.dtype)
        stretch = (FREEDOM / (normal[:, p:] ** 2).sum(1)).sqrt()
        return self.centre[which] + torch.einsum("nab,nb->na", self.root[which], normal[:, :p]) * stretch[:, None]

    def log_prob(self, y: Float[Tensor, "n parameter"]) -> Float[Tensor, " n"]:
        """Log density inside the box, normalised."""
        p = y.shape[1]
        away = (y - self.centre[:, None]).mT
        size2 = (torch.linalg.solve_triangular(self.root, away, upper=False) ** 2).sum(1)
        volume = self.root.diagonal(dim1=-2, dim2=-1).log().sum(-1)[:, None]
        norm = math.lgamma((FREEDOM + p) / 2) - math.lgamma(FREEDOM / 2) - p / 2 * math.log(FREEDOM * math.pi)
        each = self.share.log()[:, None] + norm - volume - (FREEDOM + p) / 2 * torch.log1p(size2 / FREEDOM)
        return torch.logsumexp(each, dim=0) - self.log_inside
