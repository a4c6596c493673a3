"""Resolution of a triple-axis spectrometer: rays followed exactly, closed forms, invariances, derivatives."""

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from sqwirrel.lattice import Lattice
from sqwirrel.observe.covariance import Reflector, Spectrometer, bragg_fwhm, covariance, split, vanadium_fwhm, volumes
from sqwirrel.observe.covariance.cooper_nathans import MINUTE
from sqwirrel.spectra import Measurement
from sqwirrel.spectra.points import QPoints
from sqwirrel.units import E_PER_K2, SIGMA

SPACING = 3.35416
WIDTHS = {
    "mono": (25.0, 30.0),
    "ana": (35.0, 20.0),
    "horizontal": (30.0, 20.0, 40.0, 25.0),
    "vertical": (60.0, 50.0, 80.0, 70.0),
}
CELL = Lattice(5.1, 6.2, 7.3, 80, 95, 110)
PLANE = [[1, 0, 0], [0, 1, 1]]
SENSES = list(product((-1, 1), repeat=3))


def spectrometer(senses: tuple[int, int, int] = (1, -1, 1), *, scale: float = 1.0, **change: Any) -> Spectrometer:
    widths = {
        name: torch.as_tensor(value, dtype=torch.float64) * scale
        for name, value in {**WIDTHS, **change}.items()
        if name in WIDTHS
    }
    rest = {name: value for name, value in change.items() if name not in WIDTHS}
    return Spectrometer(
        Reflector(SPACING, widths["mono"], senses[0]),
        Reflector(SPACING, widths["ana"], senses[2]),
        sample_sense=senses[1],
        horizontal=widths["horizontal"],
        vertical=widths["vertical"],
        **rest,
    )


def measurement(
    q: Any = ((1.2, 0.3, 0.3),), energy: Any = (3.0,), lattice: Lattice = CELL, plane: Any = PLANE
) -> Measurement:
    return Measurement(
        QPoints(lattice, q, plane=plane), [[e, e] for e in energy], 5.0, incident_energy=14.7, final_energy=14.7
    )


def rays(bragg: float, widths: Tensor, mosaic: Tensor, n: int, seed: torch.Generator) -> tuple[Tensor, Tensor]:
    """Wavevectors behind a monochromator and their weights: every ray reflected as its two directions tell.

    The nominal ray leaves along x. The difference of the directions gives the angle and so k; its direction tells which
    mosaic block reflected, and that one's weight.
    """
    far_h, near_h, far_v, near_v = (torch.randn(n, generator=seed, dtype=torch.float64) * width for width in widths)

    def direction(nominal: float, flat: Tensor, up: Tensor) -> Tensor:
        turn = nominal + flat
        return torch.stack((turn.cos() * up.cos(), turn.sin() * up.cos(), up.sin()), dim=-1)

    before, after = direction(-2 * bragg, far_h, far_v), direction(0.0, near_h, near_v)
    change = after - before
    k = 2 * math.pi / SPACING / change.norm(dim=-1)
    block = change / change.norm(dim=-1, keepdim=True)
    nominal = direction(math.copysign(math.pi / 2, bragg) - bragg, torch.zeros(1), torch.zeros(1))[0].double()
    side = torch.tensor([-nominal[1], nominal[0], 0], dtype=torch.float64)
    turned, leant = torch.asin(block @ side), torch.asin(block[:, 2])
    return k[:, None] * after, torch.exp(-((turned / mosaic[0]) ** 2 + (leant / mosaic[1]) ** 2) / 2)


def followed(senses: tuple[int, int, int], energy: float, modulus: float, scale: float, n: int) -> Tensor:
    """Covariance of (along, across, up, E) of rays through both crystals, by their exact kinematics."""
    seed = torch.Generator().manual_seed(3)
    horizontal, vertical, mono, ana = (
        torch.tensor(WIDTHS[name]) * MINUTE * scale for name in ("horizontal", "vertical", "mono", "ana")
    )
    ki, kf = ((e / E_PER_K2) ** 0.5 for e in (14.7 + energy, 14.7))
    first, last = (sense * math.asin(math.pi / SPACING / k) for sense, k in ((senses[0], ki), (senses[2], kf)))
    before, weight = rays(first, torch.cat((horizontal[:2], vertical[:2])), mono, n, seed)
    # behind the sample a ray runs backwards, and an anticlockwise turn is a clockwise one
    after, passed = rays(-last, torch.cat((horizontal[[3, 2]], vertical[[3, 2]])), ana, n, seed)
    turn = senses[1] * math.acos((ki**2 + kf**2 - modulus**2) / (2 * ki * kf))
    c, s = math.cos(turn), math.sin(turn)
    after = after @ torch.tensor([[c, s, 0], [-s, c, 0], [0, 0, 1]], dtype=torch.float64)
    q = before - after
    loss = E_PER_K2 * ((before**2).sum(-1) - (after**2).sum(-1))
    nominal = torch.tensor([ki - kf * c, -kf * s, 0], dtype=torch.float64)
    x = nominal / nominal.norm()
    y = torch.stack((-x[1], x[0], x[2]))
    return torch.cov(torch.stack((q @ x, q @ y, q[:, 2], loss)), aweights=weight * passed)


def in_frame(spread: Tensor, points: Measurement) -> Tensor:
    """The covariance with q along (x, y, up) in 1/angstrom."""
    lattice = points.points.lattice
    x = lattice.to_cartesian(points.points.q)[0]
    up = torch.linalg.cross(*lattice.to_cartesian(points.points.plane))
    x, up = x / x.norm(), up / up.norm()
    to = torch.zeros(4, 4, dtype=torch.float64)
    to[:3, :3] = lattice.reciprocal @ torch.stack((x, torch.linalg.cross(up, x), up)).T
    to[3, 3] = 1
    return to.T @ spread @ to


@pytest.mark.parametrize("senses", SENSES)
def test_rays_through_narrow_collimators_spread_as_computed(senses: tuple[int, int, int]) -> None:
    points = measurement()
    modulus = float(CELL.to_cartesian(points.points.q)[0].norm())
    found = followed(senses, 3.0, modulus, 0.3, 300_000)
    expected = in_frame(covariance(spectrometer(senses, scale=0.3), points)[0], points)
    sd = expected.diagonal().sqrt()
    assert float(((found - expected) / (sd[:, None] * sd)).abs().max()) < 0.015  # 1 / sqrt(rays that count) is 0.004
    assert float((expected / (sd[:, None] * sd)).fill_diagonal_(0).abs().max()) > 0.3  # a wrong sign would be seen


def test_without_mosaic_limits_collimators_alone_matter() -> None:
    """Elastic, with mosaics much wider than the beams: dE = E cot(t) sqrt(sum of the four angles squared)."""
    points = measurement(energy=(0.0,))
    open_ = spectrometer(mono=(1e5, 1e5), ana=(1e5, 1e5))
    k = math.sqrt(14.7 / E_PER_K2)
    bragg = math.asin(math.pi / SPACING / k)
    spread = in_frame(covariance(open_, points)[0], points)
    angles = torch.tensor(WIDTHS["horizontal"], dtype=torch.float64) * math.pi / 10800
    assert float(vanadium_fwhm(spread)) == pytest.approx(14.7 / math.tan(bragg) * float(angles.norm()), rel=1e-4)
    upright = torch.tensor(WIDTHS["vertical"], dtype=torch.float64) * MINUTE
    assert float(spread[2, 2].sqrt()) == pytest.approx(k * math.hypot(upright[1], upright[2]), rel=1e-4)


def test_perfect_crystals_tie_wavelength_to_angle() -> None:
    """Without mosaic the two collimators of a side act as one, of 1 / sqrt(1/a^2 + 1/b^2)."""
    points = measurement(energy=(0.0,))
    spread = in_frame(covariance(spectrometer(mono=(1e-4, 1e-4), ana=(1e-4, 1e-4)), points)[0], points)
    k = math.sqrt(14.7 / E_PER_K2)
    far = torch.tensor(WIDTHS["horizontal"], dtype=torch.float64) * MINUTE
    angle = torch.stack((far[:2], far[2:])).pow(-2).sum(1).pow(-0.5)
    lever = 2 * 14.7 / math.tan(math.asin(math.pi / SPACING / k))
    assert float(spread[3, 3].sqrt()) == pytest.approx(lever * float(angle.norm()), rel=1e-4)


def test_sample_mosaic_spreads_across_and_up_alone() -> None:
    points = measurement()
    plain, spread = (
        in_frame(covariance(spectrometer(**each), points)[0], points) for each in ({}, {"sample_mosaic": (40.0, 25.0)})
    )
    modulus = float(CELL.to_cartesian(points.points.q)[0].norm())
    added = torch.diag(
        torch.tensor([0, (40 * MINUTE * modulus) ** 2, (25 * MINUTE * modulus) ** 2, 0], dtype=torch.float64)
    )
    assert torch.allclose(spread - plain, added, atol=1e-15)


@pytest.mark.parametrize("senses", SENSES)
def test_a_mirrored_spectrometer_sees_the_mirrored_crystal(senses: tuple[int, int, int]) -> None:
    """All senses turned round is the same as the plane seen from below, or as q across turned round."""
    q = [[1.2, 0.3, 0.3], [0.4, -1.0, -1.0]]
    points, below = (measurement(q, (3.0, -2.0), plane=plane) for plane in (PLANE, PLANE[::-1]))
    mirrored = spectrometer(tuple(-sense for sense in senses))
    assert torch.allclose(covariance(spectrometer(senses), points), covariance(mirrored, below), rtol=1e-9, atol=1e-12)
    one, other = (in_frame(covariance(each, points)[0], points) for each in (spectrometer(senses), mirrored))
    sign = torch.tensor([1, -1, 1, 1], dtype=torch.float64)
    assert torch.allclose(one, other * sign[:, None] * sign, atol=1e-12)
    assert float((one - other).abs().max()) > 1e-5


def test_conventions_of_the_lattice_change_nothing() -> None:
    """Nor its orientation, nor which vectors of the plane are named, nor a doubled cell, whose h are twice as large."""
    q, energy = torch.tensor([[1.2, 0.3, 0.3], [0.4, -1.0, -1.0]], dtype=torch.float64), (3.0, -2.0)
    expected = covariance(spectrometer(), measurement(q, energy))
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    turned = Lattice.from_vectors(CELL.vectors @ turn * torch.linalg.det(turn).sign())
    factor = torch.tensor([2.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    doubled = Lattice.from_vectors(CELL.vectors * factor[:3, None])
    plane = torch.tensor(PLANE) * factor[:3]
    for points, scale in (
        (measurement(q, energy, turned), torch.ones_like(factor)),
        (measurement(q, energy, plane=[[1, 1, 1], [-1, 2, 2]]), torch.ones_like(factor)),
        (measurement(q * factor[:3], energy, doubled, plane), factor),
    ):
        found = covariance(spectrometer(), points)
        assert torch.allclose(found, expected * scale[:, None] * scale, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("fixed", ["initial", "final"])
def test_derivatives_are_those_of_finite_differences(fixed: str) -> None:
    points = measurement([[1.2, 0.3, 0.3], [0.4, -1.0, -1.0]], (3.0, -2.0))
    start = torch.cat([torch.tensor(value, dtype=torch.float64) for value in (*WIDTHS.values(), (15.0, 20.0))])

    def numbers(widths: Tensor) -> Tensor:
        mono, ana, horizontal, vertical, sample = widths.split((2, 2, 4, 4, 2), dim=-1)
        built = spectrometer(
            mono=mono, ana=ana, horizontal=horizontal, vertical=vertical, sample_mosaic=sample, fixed=fixed
        )
        return torch.cat((covariance(built, points).flatten().mul(1e4), *(v.log() for v in volumes(built, points))))

    slopes = torch.autograd.functional.jacobian(numbers, start)
    step = 1e-3
    finite = torch.stack(
        [(numbers(start + step * e) - numbers(start - step * e)) / (2 * step) for e in torch.eye(14).double()], dim=1
    )
    assert torch.allclose(slopes, finite, rtol=1e-6, atol=1e-8)
    assert bool((slopes.abs().amax(0) > 1e-4).all())


def test_a_batch_of_spectrometers_is_each_of_them() -> None:
    points = measurement([[1.2, 0.3, 0.3], [0.4, -1.0, -1.0]], (3.0, -2.0))
    scales = torch.tensor([1.0, 1.3, 0.7], dtype=torch.float64)
    rows = {name: scales[:, None] * torch.tensor(value, dtype=torch.float64) for name, value in WIDTHS.items()}
    together, volume = covariance(spectrometer(**rows), points), volumes(spectrometer(**rows), points)
    assert together.shape == (3, 2, 4, 4)
    for n, scale in enumerate(scales.tolist()):
        alone = spectrometer(scale=scale)
        assert torch.allclose(together[n], covariance(alone, points), rtol=1e-12)
        assert torch.allclose(volume.final[n], volumes(alone, points).final, rtol=1e-12)


def test_volumes_are_integrals_over_the_rays_of_wide_mosaics() -> None:
    """One side in the limit of a mosaic far wider than the beams, which has the density 1 / (2 pi m n) where it counts:
    (2 pi)^2 a b c d (angles) times k^3 cot(t) / 2 (d^3k of g, n and the vertical n) / (2 sin t) (leaning of a block).
    """
    wide = 1e5
    k = math.sqrt(14.7 / E_PER_K2)
    bragg = math.asin(math.pi / SPACING / k)
    angles = torch.tensor([*WIDTHS["horizontal"][2:], *WIDTHS["vertical"][2:]], dtype=torch.float64) * MINUTE
    jacobian = k**3 / math.tan(bragg) / 2 / (2 * math.sin(bragg))
    expected = (2 * math.pi) ** 2 * float(angles.prod()) * jacobian / (2 * math.pi * (wide * MINUTE) ** 2)
    found = volumes(spectrometer(ana=(wide, wide)), measurement())
    assert float(found.final) == pytest.approx(expected, rel=1e-4)


def test_split_and_widths_are_those_of_the_gaussian() -> None:
    spread = covariance(spectrometer(), measurement())[0]
    q, slope, sd = split(spread)
    energy = slope @ q @ slope + sd**2
    again = torch.cat((torch.cat((q, (q @ slope)[:, None]), 1), torch.cat((q @ slope, energy[None]))[None]))
    assert torch.allclose(again, spread, rtol=1e-10, atol=1e-14)
    assert float(bragg_fwhm(spread, torch.tensor([0.0, 0, 0, 1]).double())) == pytest.approx(
        float(sd) / SIGMA, rel=1e-9
    )
    assert float(vanadium_fwhm(spread)) == pytest.approx(float(spread[3, 3].sqrt()) / SIGMA)
    assert float(vanadium_fwhm(spread)) > float(sd) / SIGMA
