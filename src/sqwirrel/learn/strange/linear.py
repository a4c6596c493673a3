"""The best linear guess of an image from the bins that were measured: principal components, each as far as it can be
told from the noise (N. Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series (1949)).
"""

import torch
from jaxtyping import Float32
from torch import Tensor, nn

Bins = Float32[Tensor, "batch bin"]


class LinearGuess(nn.Module):
    """Shares s of components A of the variances v, from y = A s + noise of weights W: (A' W A + 1 / v)^-1 A' W y."""

    mean: Tensor
    axes: Tensor
    variance: Tensor
    spread: Tensor

    def __init__(self, bins: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("spread", torch.ones(bins))
        self.register_buffer("axes", torch.zeros(components, bins))
        self.register_buffer("variance", torch.ones(components))

    def fit(self, clean: Bins) -> None:
        """Takes mean, principal components and their variances from images without noise."""
        self.mean.copy_(clean.mean(0))
        self.spread.copy_(clean.std(0).clamp(min=1e-2))
        _, size, axes = torch.linalg.svd(clean - self.mean, full_matrices=False)
        n = min(len(size), len(self.variance))
        self.axes[:n] = axes[:n]
        self.variance[:n] = (size[:n] ** 2 / len(clean)).clamp(min=1e-9)

    def forward(self, level: Bins, weight: Bins) -> Float32[Tensor, "batch component"]:
        """Shares, where each bin has the `weight` 1 / variance of its noise, 0 where nothing was measured."""
        normal = torch.stack([(weight * axis) @ self.axes.T for axis in self.axes], dim=1)
        right = ((level - self.mean) * weight) @ self.axes.T
        # in units of the prior's standard deviations the matrix is at least 1 on its diagonal
        unit = self.variance.sqrt()
        whole = unit[:, None] * normal * unit + torch.eye(len(unit)).to(level)
        found: Tensor = unit * torch.linalg.solve(whole, unit * right)
        return found

    def made(self, shares: Float32[Tensor, "batch component"]) -> Bins:
        """The image of some shares."""
        return self.mean + shares @ self.axes
