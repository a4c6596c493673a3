"""Peaks: the mixture over assignments against brute force, its integral, its derivatives, and what is refused."""

import itertools
import math
from collections.abc import Sequence

import pytest
import scipy.stats
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.model import library
from sqwirrel.observe.peaks import PeakExperiment
from sqwirrel.observe.peaks.mixture import cut, drawn, log_match, log_mixture, mass
from sqwirrel.simulate import SpinWaves
from sqwirrel.spectra.peaks import Peaks

RB = library.load("rb2mnf4")


def table(q: Sequence[Sequence[float]], energy: Sequence[float], **known: object) -> Peaks:
    return Peaks(RB.lattice, q, energy, [0.05] * len(q), **{"temperature": 5.0, **known})


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def brute(match: torch.Tensor, inside: torch.Tensor, weight: torch.Tensor, eps: float) -> float:
    """The same sum by listing every subset of peaks and every assignment of it."""
    peaks, lines = match.shape
    total = norm = 0.0
    for kept in itertools.product([False, True], repeat=peaks):
        rows = [i for i in range(peaks) if kept[i]]
        chance = (1 - eps) ** len(rows) * eps ** (peaks - len(rows))
        ways = list(itertools.permutations(range(lines), len(rows)))
        every, here = (
            sum(math.prod(float(weight[a] * part[i, a]) for i, a in zip(rows, way, strict=True)) for way in ways)
            for part in (inside, match.exp())
        )
        if every > 0:
            norm, total = norm + chance, total + chance * here / every
    return math.log(total / norm)


@pytest.mark.parametrize(("peaks", "lines"), [(1, 1), (1, 4), (2, 2), (3, 5), (3, 2), (4, 4)])
def test_the_sum_over_assignments_is_that_of_brute_force(peaks: int, lines: int) -> None:
    """With fewer lines than peaks, too: then some peak is an outlier."""
    match, weight = 3 * random(2, 3, peaks, lines) - 1, random(2, 3, lines, seed=2)
    weight[0, 0, -1] *= lines == 1  # a line that no mode fills
    weight = weight / weight.sum(-1, keepdim=True).clamp(min=1e-300)
    outliers, inside = torch.tensor([0.1, 0.4], dtype=torch.float64), random(2, 3, peaks, lines, seed=3)
    found = log_mixture(match, inside, weight, outliers)
    for b, g in itertools.product(range(2), range(3)):
        if bool(weight[b, g].any()):
            expected = brute(match[b, g], inside[b, g], weight[b, g], float(outliers[b]))
            assert float(found[b, g]) == pytest.approx(expected, rel=1e-12)


def test_six_peaks_are_summed_over_all_ways() -> None:
    """Equal matches: every assignment counts alike, so that the density is that of one."""
    match, weight = torch.full((1, 1, 6, 8), 0.7).double(), random(1, 1, 8)
    eps = 0.2
    expected = math.log(sum(math.comb(6, k) * (1 - eps) ** k * eps ** (6 - k) * math.exp(0.7) ** k for k in range(7)))
    found = log_mixture(match, torch.ones_like(match), weight / weight.sum(), torch.tensor([eps]).double())
    assert float(found) == pytest.approx(expected, rel=1e-6)  # 0.7 is a float32


@pytest.mark.parametrize("peaks", [1, 2])
@pytest.mark.parametrize("line", [(1.0, 1.2, 2.5), (0.02, 4.03, 2.5), (2.5, 4.3, 6.0), (-0.3, 4.2, 60.0)])
def test_the_likelihood_integrates_to_one(peaks: int, line: tuple[float, ...]) -> None:
    """Over the ranges of all peaks of one wavevector, with three lines within, across the ends and outside.

    The bins are finer than the errors; two peaks have ranges of their own.
    """
    match, inside, span = [], [], 1.0
    for low in (0.0, 0.5)[:peaks]:
        energy = torch.arange(low + 0.005, 4, 0.01, dtype=torch.float64)
        start, end = torch.full_like(energy, low), torch.full_like(energy, 4.0)
        lines = torch.tensor(line).double().expand(1, len(energy), 3)
        variance = torch.full_like(lines, 0.1**2)
        match.append(log_match(energy, end - start, lines, variance)[0])
        inside.append(mass(start, end, lines, variance)[0])
        span *= 4 - low
    rows = torch.cartesian_prod(*(torch.arange(len(each)) for each in match)).reshape(-1, peaks).unbind(1)
    each, masses = (torch.stack([part[i] for part, i in zip(parts, rows, strict=True)], 1) for parts in (match, inside))
    weight = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64).expand(1, len(each), 3)
    density = log_mixture(each[None], masses[None], weight, torch.tensor([0.1]).double()).exp()
    assert float(density.sum() * 0.01**peaks / span) == pytest.approx(1, abs=0.01)


def test_a_mode_outside_the_range_has_no_part() -> None:
    """With the upper mode of a field above the range the lower one is the only one; half in, it counts by half."""
    model, q = RB, [[0.5, 0.4, 0.0]]
    field = {"field": (0, 0, 8.0)}
    upper, lower = PeakExperiment(model, table(q, [5.0], **field)).lines(RB.pack())[0].energy[0, 0].tolist()
    weight = PeakExperiment(model, table(q, [5.0], **field)).lines(RB.pack())[0].weight[0, 0]
    for top, share in (((upper + lower) / 2, 0.0), (upper, 0.5), (upper + 1, 1.0)):
        experiment = PeakExperiment(model, table(q, [lower], search=[[0.5, top]], **field))
        value, _ = experiment.log_likelihood(experiment.pack(outliers=0.1), experiment.peaks)
        part = float(weight[1] / (weight[1] + share * weight[0]))
        even = 0.1 / (top - 0.5)
        assert float(value) == pytest.approx(math.log(0.9 * part * scipy.stats.norm(0, 0.05).pdf(0) + even), abs=1e-6)


def test_masses_are_exact_far_outside_on_either_side() -> None:
    line, variance = torch.tensor([[[2.0, 1.0, 4.0, 0.0, 9.0]]]).double(), torch.full((1, 1, 5), 0.2**2).double()
    found = mass(torch.tensor([1.0]).double(), torch.tensor([2.0]).double(), line, variance)[0, 0]
    expected = [0.5, 0.5, scipy.stats.norm.sf(10), scipy.stats.norm.sf(5), 1e-30]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


SPIRAL = library.load("triangular")
Q = [[0.2, 0.1, 0.05], [0.2, 0.1, 0.05], [0.4, 0.3, 0.0], [0.1, 0.05, 0.3]]


def spiral(**known: object) -> Peaks:
    return Peaks(SPIRAL.lattice, Q, [1.5, 1.1, 1.9, 0.6], [0.05, 0.03, 0.1, 0.05], **{"temperature": 2.0, **known})


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"q_error": [[0.01, 0.02, 0.0]] * 4},
        {"search": [[0.1, 3.0]] * 4},
        {"search": [[1.06, 1.55], [0.9, 1.55], [0.37, 1.92], [0.5, 0.98]]},  # with modes across its ends
    ],
)
@pytest.mark.parametrize("blur", [0.0, 0.2])
def test_gradient_is_that_of_finite_differences(known: dict[str, object], blur: float) -> None:
    check_gradient(PeakExperiment(SPIRAL, spiral(**known), extra=True).blurred(blur))


def check_gradient(experiment: PeakExperiment) -> None:
    theta = experiment.pack(outliers=0.1, peak_width_extra=0.02)
    found = experiment.slope(theta, experiment.peaks)
    value, stable = experiment.log_likelihood(theta, experiment.peaks)
    assert bool(stable.all())
    assert torch.allclose(found.log_likelihood, value, rtol=1e-10, atol=0)
    step = 1e-6 * torch.eye(theta.shape[1], dtype=torch.float64)
    up, down = (experiment.log_likelihood(theta + sign * step, experiment.peaks)[0] for sign in (1, -1))
    assert torch.allclose(found.gradient[0], (up - down) / 2e-6, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "q", "energy", "step"),
    [
        ("cu2v2o7", [0, 2.0, 0], 3.2, [0, 0.02, 0]),
        ("fm_chain", [0.5, 0, 0], 3.9, [0.05, 0, 0]),
        ("fm_chain", [0, 0, 0], 0.1, [0.05, 0, 0]),
    ],
)
def test_gradient_where_modes_cross_and_at_extrema(name: str, q: list[float], energy: float, step: list[float]) -> None:
    model = library.load(name)
    check_gradient(PeakExperiment(model, Peaks(model.lattice, [q], [energy], [0.1], q_error=[step]), extra=True))


def test_information_of_one_sharp_mode_is_that_of_least_squares() -> None:
    """One mode a wavevector and no outlier to speak of: J' V^-1 J, and 1 / (1 - eps)^2 for each peak."""
    q = [[0.5, 0.4, 0.0], [0.5, 0.2, 0.0], [0.3, 0.3, 0.0]]
    experiment = PeakExperiment(RB, table(q, [5.0, 6.0, 4.0]))
    theta = experiment.pack(outliers=1e-4)
    exact = experiment.lines(theta)[0].energy[0, :, 0]
    found = experiment.slope(theta, table(q, exact.tolist())).information[0]
    step = 1e-5 * torch.eye(4, dtype=torch.float64)[:3]
    up, down = (experiment.lines(theta + sign * step)[0].energy[..., 0] for sign in (1, -1))
    J = (up - down) / 2e-5 / 0.05
    assert torch.allclose(found[:3, :3], J @ J.T, rtol=1e-3)
    stray = 1e-4 * 0.05 * (2 * math.pi) ** 0.5 / (1.5 * float(exact.max()))
    assert float(found[3, 3]) == pytest.approx(3 + 3 * stray / 1e-4**2, rel=0.3)
    assert not bool(found[3, :3].any())


def test_modes_of_one_energy_are_one_line() -> None:
    """Rb2MnF4 has two modes of one energy: one line with all the weight, and two peaks cannot both be it."""
    lines, stable = PeakExperiment(RB, table([[0.2, 0.1, 0.0]], [5.4])).lines(RB.pack())
    assert bool(stable.all())
    assert lines.weight[0, 0].tolist() == pytest.approx([1, 0])
    two = PeakExperiment(RB, table([[0.2, 0.1, 0.0]] * 2, [5.43, 5.43]))
    theta = two.pack(outliers=0.1)
    omega = float(lines.energy[0, 0, 0])
    both, _ = two.log_likelihood(theta, table([[0.2, 0.1, 0.0]] * 2, [omega, omega]))
    span = 1.5 * 5.43
    # eps / (2 eps (1 - eps) + eps^2) of all is one of two peaks an outlier, either of them
    one_stray = 2 * 0.9 * 0.1 * scipy.stats.norm(0, 0.05).pdf(0) / span
    expected = math.log((one_stray + 0.1**2 / span**2) / (2 * 0.9 * 0.1 + 0.1**2))
    assert float(both) == pytest.approx(expected, rel=1e-9)


def test_lines_are_the_modes_with_softened_weights_and_what_the_error_of_q_does() -> None:
    peaks = spiral(q_error=[[0.01, 0.0, 0.0]] * 4)
    lines, _ = PeakExperiment(SPIRAL, peaks).lines(SPIRAL.pack())
    modes = SpinWaves(SPIRAL, peaks.q, temperature=2.0)(SPIRAL.pack())
    n = modes.energy.shape[-1] // 2
    assert torch.allclose(lines.energy, modes.energy[..., :n])
    soft = modes.intensity[..., :n] + 0.1 * modes.intensity[..., :n].mean(-1, keepdim=True)
    assert torch.allclose(lines.weight, soft / soft.sum(-1, keepdim=True))
    step = torch.tensor([[0.01, 0.0, 0.0]], dtype=torch.float64)
    up, down = (SpinWaves(SPIRAL, peaks.q + sign * step)(SPIRAL.pack()).energy[..., :n] for sign in (1, -1))
    assert torch.allclose(lines.variance, ((up - lines.energy) ** 2 + (down - lines.energy) ** 2) / 2)
    assert torch.allclose(lines.variance[:, 2:], ((up - down) / 2)[:, 2:] ** 2, rtol=0.02)  # there is a slope
    assert float(lines.variance.max()) > 1e-5


def test_the_error_of_q_counts_where_modes_cross_and_at_an_extremum() -> None:
    """alpha-Cu2V2O7 at (0, 2, 0): the two branches move by 0.25 and 0.045 meV either way. A chain at the zone boundary
    and at its Goldstone mode: E = 2 (1 - cos 2 pi h) meV."""
    vanadate, step = library.load("cu2v2o7"), 0.02
    peaks = Peaks(vanadate.lattice, [[0, 2.0, 0]], [5.0], [0.1], q_error=[[0, step, 0]])
    spread = PeakExperiment(vanadate, peaks).lines(vanadate.pack())[0].variance[0, 0].sqrt()
    assert sorted(spread[spread > 0].tolist())[-2:] == pytest.approx([0.045, 0.25], rel=0.1)
    chain = library.load("fm_chain")
    ends = Peaks(chain.lattice, [[0.5, 0, 0], [0, 0, 0]], [4.0, 0.1], [0.1] * 2, q_error=[[step, 0, 0]] * 2)
    spread = PeakExperiment(chain, ends).lines(chain.pack(J=-1.0))[0].variance[0, :, 0].sqrt()
    assert spread.tolist() == pytest.approx([2 * (1 - math.cos(2 * math.pi * step))] * 2, rel=1e-6)


def test_wavevectors_are_those_of_the_lattice_of_the_table() -> None:
    """Doubled along a: h is twice that of the model, for q as for its error. Another crystal is refused."""
    cell = RB.lattice
    double = Lattice(2 * cell.a, cell.b, cell.c)
    own = table([[0.5, 0.1, 0.0]], [5.0], q_error=[[0.02, 0.01, 0.0]])
    twice = Peaks(double, [[1.0, 0.1, 0.0]], [5.0], [0.05], q_error=[[0.04, 0.01, 0.0]], temperature=5.0)
    for one, other in zip(*(PeakExperiment(RB, each).lines(RB.pack())[0] for each in (own, twice)), strict=True):
        assert torch.allclose(one, other, rtol=1e-9)
    with pytest.raises(InputError, match="no simple multiple"):
        PeakExperiment(RB, Peaks(Lattice(1.4 * cell.a, cell.b, cell.c), own.q, own.energy, own.error))


def test_an_error_along_a_line_moves_q_as_a_whole() -> None:
    """Along (1, 1, 0) of the square lattice both components move the mode the same way: their effects add up."""
    q, step = [[0.6, 0.6, 0.0]], [0.01, 0.01, 0.0]
    along = PeakExperiment(RB, table(q, [5.0], q_error=[[step]])).lines(RB.pack())[0].variance[0, 0, 0]
    alone = PeakExperiment(RB, table(q, [5.0], q_error=[step])).lines(RB.pack())[0].variance[0, 0, 0]
    up, down = (SpinWaves(RB, torch.tensor(q) + s * torch.tensor([step]))(RB.pack()).energy[0, 0, 0] for s in (1, -1))
    assert float(along) == pytest.approx(float((up - down) / 2) ** 2, rel=0.01)
    assert float(along) == pytest.approx(2 * float(alone), rel=0.01)


def test_drawn_lines_follow_the_law_of_the_mixture() -> None:
    """Two peaks, lines of weights 0.8 and 0.2 and none: frequencies of all outcomes within four standard errors."""
    weight, generator = torch.tensor([0.8, 0.2, 0.0], dtype=torch.float64), torch.Generator().manual_seed(3)
    outcomes = {(0, 1): 0.245, (1, 0): 0.245, (0, -1): 0.168, (-1, 1): 0.042, (-1, -1): 0.09}
    halved = {(0, 1): 0.49 / 3, (1, 0): 0.98 / 3, (0, -1): 0.21 * 2 / 3, (-1, 1): 0.042, (-1, -1): 0.09}
    eps = torch.tensor(0.3).double()
    for half, expected in ((1.0, outcomes), (0.5, halved)):  # the range of the first peak holds half of the first line
        inside = torch.tensor([[half, 1, 1], [1, 1, 1]]).double()
        rows = torch.stack([drawn(weight, inside, eps, generator) for _ in range(4000)])
        for outcome, chance in expected.items():
            share = float((rows == torch.tensor(outcome)).all(1).double().mean())
            assert abs(share - chance) < 4 * (chance / 4000) ** 0.5, outcome


def test_peaks_for_which_there_is_one_line_are_drawn() -> None:
    """Two peaks, one line: one of them is an outlier."""
    weight, generator = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.Generator().manual_seed(3)
    rows = [drawn(weight, torch.ones(2, 2).double(), torch.tensor(0.01).double(), generator) for _ in range(50)]
    assert all(sorted(row.tolist())[0] == -1 for row in rows)
    assert any(row.tolist() == [0, -1] for row in rows)


@pytest.mark.parametrize("line", [1.7, 1.0, 2.3, -3.0])
def test_energies_are_drawn_within_the_range(line: float) -> None:
    """By the quantiles of the truncated normal law; from a line 40 standard deviations below, at the nearer end."""
    even = torch.linspace(0.001, 0.999, 51).double()
    low, high, variance = (torch.tensor(x).double().expand(51) for x in (1.0, 2.0, 0.01))
    found = cut(low, high, torch.tensor(line).double().expand(51), variance, even)
    law = scipy.stats.truncnorm((1 - line) / 0.1, (2 - line) / 0.1, loc=line, scale=0.1)
    expected = [1.0] * 51 if line < 0 else law.ppf(even).tolist()
    assert found.sort().values.tolist() == pytest.approx(sorted(expected), abs=1e-6 if line > 0 else 1e-3)


def test_simulated_peaks_scatter_as_they_should() -> None:
    q = [[0.5, 0.05 + 0.4 * k / 200, 0.0] for k in range(200)]
    experiment = PeakExperiment(RB, table(q, [5.0] * 200, search=[[1.0, 12.0]] * 200))
    theta = experiment.pack(outliers=0.1)
    peaks = experiment.sample(theta, 1)
    away = (peaks.energy - experiment.lines(theta)[0].energy[0, :, 0]) / 0.05
    near = away.abs() < 5
    assert 180 - 4 * 18**0.5 < int(near.sum()) < 180 + 4 * 18**0.5
    assert float(away[near].square().mean()) == pytest.approx(1, abs=4 * (2 / 180) ** 0.5)
    assert bool(((peaks.energy[~near] > 1) & (peaks.energy[~near] < 12)).all())


def test_simulated_peaks_lie_in_the_range_of_the_table() -> None:
    """A chain's mode at 2 meV, errors as wide as the range: each sample is a table that was searched like this one."""
    chain = library.load("fm_chain")
    for known in ({"search": [[1.5, 2.5]] * 20}, {}):
        peaks = Peaks(chain.lattice, [[0.25 + k / 1e4, 0, 0] for k in range(20)], [2.0] * 20, [1.0] * 20, **known)
        experiment = PeakExperiment(chain, peaks)
        energy = torch.stack([experiment.sample(experiment.pack(outliers=0.05), seed).energy for seed in range(20)])
        assert bool((energy > experiment.low).all())
        assert bool((energy < experiment.high).all())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PeakExperiment(RB, table([[0.2, 0, 0]], [-1.0])), "peak 1 of the table has an energy of -1 meV"),
        (lambda: PeakExperiment(RB, table([[0.2, 0, 0]] * 7, [1.0] * 7)), "more than 6 peaks"),
        (lambda: PeakExperiment(RB, table([[0.2, 0, 0]], [1.0], search=[[2, 3]])), "outside the range"),
        (lambda: PeakExperiment(RB, table([[0.2, 0, 0]], [1.0])).pack(), "needs a value for 'outliers'"),
        (lambda: PeakExperiment(RB, table([[0.2, 0, 0]], [1.0])).pack(scale=1), "got 'scale'"),
    ],
)
def test_what_cannot_be_is_one_sentence(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_an_order_that_is_unstable_is_said() -> None:
    experiment = PeakExperiment(RB, table([[0.5, 0.45, 0.0]], [1.0]))
    theta = experiment.pack(D=0.09, outliers=0.1)
    assert not bool(experiment.log_likelihood(theta, experiment.peaks)[1])
    with pytest.raises(InputError, match="not a minimum"):
        experiment.sample(theta, 1)
