"""Large disordered cells by Lanczos: their broadened spectra are those of all modes, their sums exact after few steps."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from sqwirrel.model.magnetic.order import Spiral
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import Modes, SpinWaves
from sqwirrel.simulate.compiled import broadened
from tests.cases import build, neighbours, random_q, repeated, tensor

PROMISED = broadened.ACCURACY
ONE = torch.ones(1, 2, dtype=torch.float64)


@pytest.fixture(autouse=True)
def no_cell_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqwirrel.simulate.spinwave.LARGE", 1)


def square(
    cells: tuple[int, int], *, general: bool = False, relaxed: bool = False, D: float = -0.02, seed: int = 0
) -> SpinModel:
    """A square antiferromagnet along z whose exchange varies by 30 % from bond to bond, and so does its anisotropy.

    In general, exchange differs at random in the plane, too, and the sites have g-tensors of their own.
    """
    rng, n = np.random.default_rng(seed), cells[0] * cells[1]
    places, cell = repeated([[0, 0, 0]], (*cells, 1))
    vectors = np.diag([3.0, 3, 8])
    bonds = neighbours(vectors * np.array([[cells[0]], [cells[1]], [1]]), places, 3.0, along=(1, 1, 0))
    exchange = rng.uniform(0.7, 1.3, (len(bonds[0]), 1, 1)) * np.eye(3)
    if general:
        exchange[:, :2, :2] += 0.05 * rng.normal(size=(len(exchange), 2, 2))
    return build(
        vectors,
        places,
        np.outer((-1.0) ** cell.sum(1), [0, 0, 1]),
        {"J": (bonds, exchange)},
        anisotropies={"D": D * np.diag([0, 0, 1]) * rng.uniform(0.7, 1.3, (n, 1, 1))},
        spin=2.5,
        g=2 * np.eye(3) + (0.2 * rng.normal(size=(n, 3, 3)) if general else 0),
        supercell=(*cells, 1),
        relaxed=relaxed,
    )


def spiral(chains: int, seed: int = 0) -> SpinModel:
    """Chains with J2 = -J1 / 2, their strengths and the ferromagnetic exchange between them at random: cos 2 pi k = 1/2."""
    rng = np.random.default_rng(seed)
    places, _ = repeated([[0, 0, 0]], (1, chains, 1))
    site, strength = np.arange(chains), rng.uniform(0.7, 1.3, (chains, 1, 1)) * np.eye(3)
    near, far, side = (np.broadcast_to(step, (chains, 3)) for step in ([1, 0, 0], [2, 0, 0], [0, 0, 0]))
    side = np.where(site[:, None] == chains - 1, [0, 1, 0], side)
    model = build(
        np.diag([3.0, 3, 8]),
        places,
        np.tile([1.0, 0, 0], (chains, 1)),
        {
            "J": (
                (
                    np.tile(site, 3),
                    np.concatenate((site, site, (site + 1) % chains)),
                    np.concatenate((near, far, side)),
                ),
                np.concatenate((-strength, 0.5 * strength, rng.uniform(-0.9, -0.3, (chains, 1, 1)) * np.eye(3))),
            )
        },
        anisotropies={"D": np.diag([0, 0, 0.1])},
        supercell=(1, chains, 1),
    )
    return dataclasses.replace(model, spiral=Spiral(tensor([1 / 6, 0, 0]), tensor([0, 0, 1])))


CASES = {
    "collinear, 32 sublattices": (square((8, 4)), {}),
    "collinear, 128 sublattices": (square((16, 8)), {}),
    "collinear, isotropic": (square((16, 8), D=0.0), {}),
    "general, 32 sublattices": (square((8, 4), general=True), {}),
    "general, 128 sublattices": (square((16, 8), general=True), {"temperature": 30.0}),
    "canted in a field": (square((8, 8), relaxed=True), {"temperature": 300.0, "field": tensor([3.0, 0, 1])}),
    "spiral": (spiral(40), {"temperature": 10.0}),
}


def modes(model: SpinModel, q: Tensor, theta: Tensor = ONE, fwhm: float | None = None, **conditions: object) -> Modes:
    with torch.no_grad():
        return SpinWaves(model, q, fwhm=fwhm, **conditions)(theta[:, : len(model.names)])


def error(ours: Modes, exact: Modes, fwhm: float) -> float:
    """Largest difference of the spectra of both sides, broadened by a Gaussian, relative to their largest value at a q."""
    top = float(exact.energy.max()) + 3 * fwhm
    line = torch.linspace(-top, top, int(8 * top / fwhm)).double()
    mine, theirs = (
        torch.stack([(x.intensity * torch.exp(-(((e - x.energy) / (0.42466 * fwhm)) ** 2) / 2)).sum(-1) for e in line])
        for x in (ours, exact)
    )
    return float(((mine - theirs).abs().amax(0) / theirs.amax(0))[exact.stable].max())


@pytest.mark.parametrize("share", [0.02, 0.06, 0.2])
@pytest.mark.parametrize("case", CASES)
def test_broadened_spectra_keep_the_promised_accuracy(case: str, share: float) -> None:
    """Relative to the largest value at each wavevector; the width is a share of the highest energy."""
    model, conditions = CASES[case]
    q = random_q(6)
    exact = modes(model, q, **conditions)
    fwhm = share * float(exact.energy.max())
    ours = modes(model, q, fwhm=fwhm, **conditions)
    assert bool((ours.stable & exact.stable).all())
    assert error(ours, exact, fwhm) < PROMISED


@pytest.mark.parametrize("seed", range(8))
def test_the_promise_holds_for_random_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = square((8, 6), general=bool(seed % 2), D=float(-(10 ** rng.uniform(-3, 0))), seed=seed)
    q, fwhm = random_q(8, seed), float(rng.uniform(0.3, 3))
    exact, ours = modes(model, q, temperature=seed), modes(model, q, fwhm=fwhm, temperature=seed)
    assert error(ours, exact, fwhm) < PROMISED


@pytest.mark.parametrize("general", [False, True])
def test_susceptibility_signed_sum_and_first_moment_are_exact_after_few_steps(general: bool) -> None:
    """Sums of I / |E|, I sign E and I |E| over both sides: Gauss quadrature with a width of half of the band.

    Exact up to rounding; both sides have their intensity without thermal weights where the gain side is their mirror.
    """
    model, q = square((16, 8), general=general), random_q(5)
    conditions = {"temperature": 1e9}  # n + 1 and n are k_B T / |E| there, the same on both sides
    exact, few = modes(model, q, **conditions), modes(model, q, fwhm=15.0, **conditions)
    assert int((few.intensity > 0).sum(-1).max()) < exact.energy.shape[-1] / 2
    for power in (0, 1, 2):
        ours, theirs = (
            (each.intensity * torch.where(each.intensity > 0, each.energy, 1.0) ** power).sum(-1)
            for each in (few, exact)
        )
        size = (exact.intensity * exact.energy.abs() ** power).sum(-1)
        assert float(((ours - theirs).abs() / size).max()) < 1e-8


def test_stability_is_that_of_all_modes_at_every_wavevector_and_row() -> None:
    """Random easy-plane anisotropy makes the moments along z unstable at some wavevectors only."""
    model, q = square((8, 8)), random_q(40) * tensor([0.03, 0.03, 1])
    theta = tensor([[1.0, 1.0], [1.0, -0.005], [1.0, -0.05], [-1.0, 1.0]])
    exact, ours = modes(model, q, theta), modes(model, q, theta, fwhm=2.0)
    assert torch.equal(ours.stable, exact.stable)
    assert 0 < int(exact.stable[1:3].sum()) < 80
    assert not bool(ours.intensity[~ours.stable].any())
    assert bool(ours.energy.isfinite().all())


def test_a_width_that_sees_every_mode_gets_the_modes() -> None:
    model, q = square((8, 4), general=True), torch.cat((random_q(3), torch.zeros(1, 3).double()))
    exact, ours = modes(model, q), modes(model, q, fwhm=1e-3)
    n = exact.energy.shape[-1] // 2
    for name in ("energy", "intensity"):
        found, expected = getattr(ours, name), getattr(exact, name)
        assert torch.equal(torch.cat((found[..., :n], found[..., -n:]), -1), expected)
    assert not bool(ours.intensity[..., n:-n].any())


def test_lines_are_in_the_order_of_modes() -> None:
    for model in (square((8, 8)), square((8, 8), general=True)):
        ours = modes(model, random_q(4), fwhm=1.0)
        assert bool((ours.energy.diff(dim=-1) <= 0).all())
        above, below = ours.energy.chunk(2, dim=-1)
        assert bool((above >= 0).all() & (below <= 0).all())
        assert ours.energy.shape[-1] == SpinWaves(model, random_q(1), fwhm=1.0).modes
