"""Spin waves against an independent, plain numpy calculation of the same neutral cases (`../shared/peers`)."""

import pytest
import torch

from sqwirrel.simulate import SpinWaves
from tests.cases import from_peers, peers

Q = {"N16": 40, "N32": 12}


@pytest.mark.parametrize("gradients", [False, True], ids=["compiled", "differentiable"])
@pytest.mark.parametrize("name", ["fm_chain", "rb2mnf4", "N8", "N16", "N32", "tri120", "canted"])
def test_energies_and_s_perp_equal_the_independent_calculation(name: str, gradients: bool) -> None:
    case = peers("cases").CASES[name]()
    q = peers("cases").q_random(Q.get(name, 100), seed=11)
    energy, intensity = (torch.from_numpy(part) for part in peers("ref_numpy").energies_sqw(case, q))
    model = from_peers(case)
    with torch.set_grad_enabled(gradients):
        modes = SpinWaves(model, torch.from_numpy(q))(torch.ones(1, len(model.names), dtype=torch.float64))
    n = len(model.spins)
    assert bool(modes.stable.all())
    assert torch.allclose(modes.energy[0, :, :n], energy, rtol=0, atol=1e-8)
    edge = torch.linspace(0, float(energy.max()) + 1, 40, dtype=torch.float64)

    def below(line: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """Intensity below each edge, smooth, so that modes of one energy need not share theirs in the same way."""
        return (strength[..., None] * torch.sigmoid((edge - line[..., None]) / 0.05)).sum(-2)

    ours = below(modes.energy[0, :, :n], n * modes.intensity[0, :, :n])
    assert torch.allclose(ours, below(energy, intensity), rtol=0, atol=1e-8)
