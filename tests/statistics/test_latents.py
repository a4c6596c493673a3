"""Heads on latents where the posterior is known: numbers with normal noise, and a normal prior."""

import pytest
import torch

from sqwirrel.learn.latent.heads import Told, as_image, posterior, regressor
from sqwirrel.learn.train import Effort, train
from sqwirrel.seeds import stream

NOISE = 0.5
ROWS = 4000


def told(rows, seed):
    z = torch.randn(rows, 2, generator=stream(seed, "z"))
    seen = z + NOISE * torch.randn(rows, 2, generator=stream(seed, "noise"))
    turned = seen @ torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    return Told(z, as_image(torch.cat((turned, torch.zeros(rows, 1)), 1))), seen


@pytest.fixture(scope="module")
def learnt():
    known, _ = told(ROWS, 1)
    flow, mean = posterior(known), regressor(known)
    for head in (flow, mean):
        train(head, known, Effort(steps=400, batch=256, every=100))
    return flow, mean


def test_the_regressor_gives_the_posterior_mean(learnt):
    held, seen = told(1000, 2)
    with torch.no_grad():
        found = learnt[1](held.x)
    # the mean is seen / (1 + noise^2); 0.06 is what 4000 rows leave, a fifth of the posterior's width being 0.09
    assert float((found - seen / (1 + NOISE**2)).square().mean().sqrt()) < 0.06


def test_the_flow_has_the_width_and_the_coverage_of_the_posterior(learnt):
    held, seen = told(600, 3)
    draws = learnt[0].sample(held.x, 200, seed=1)
    width = NOISE / (1 + NOISE**2) ** 0.5
    assert float(draws.std(1).mean()) == pytest.approx(width, rel=0.06)
    assert float((draws.mean(1) - seen / (1 + NOISE**2)).square().mean().sqrt()) < 0.25 * width
    for level in (0.5, 0.9):
        low, high = (draws.quantile(0.5 + side * level / 2, dim=1) for side in (-1, 1))
        inside = float(((held.z >= low) & (held.z <= high)).float().mean())
        # 1200 trials scatter by 1.4 points at 50 %; the rest is what training leaves
        assert inside == pytest.approx(level, abs=0.04)
