"""Is a parameter the same everywhere: closed forms, noise of the model, and two halves that truly differ."""

import pytest
import torch
from scipy import stats

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.measured import invariance, parts_by
from sqwirrel.explain.causal.measured.invariance import compared
from sqwirrel.infer import infer
from sqwirrel.infer.target import Target
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.model.laws import Fixed, Normal, Uniform
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Joint
from sqwirrel.spectra import Measurement, Spectrum
from tests.unit.explain.causal.measured.conftest import CHAIN, QUICK
from tests.unit.infer.toy import linear, noise, spectrum

HALF = torch.arange(6)[:, None].expand(6, 40) < 3
HALVES = {"near": {"": HALF}, "far": {"": ~HALF}}


def test_two_halves_of_a_linear_model_are_two_least_squares() -> None:
    toy, A = linear(("a", "b", "c"), 40)
    y = A @ torch.tensor([1.0, 0.5, 0.3]).double() + 0.5 * noise(40, 3)
    prior = Prior(**dict.fromkeys("abc", Normal(0, 1e4)), scale=Fixed(1), background=Fixed(0))
    target = Target.of(toy, prior, spectrum(toy, y))
    best = torch.linalg.lstsq(A, y).solution
    first = torch.arange(40) < 15
    found = compared(target, best[None], {"first": {"": first[None]}, "second": {"": ~first[None]}}, "abc").parts[0]
    mine, rest = (torch.linalg.lstsq(A[part], y[part]).solution for part in (first, ~first))
    cov, cov_rest = (0.25 * torch.linalg.inv(A[part].T @ A[part]) for part in (first, ~first))
    assert torch.allclose(found.value, mine, atol=1e-5)
    assert torch.allclose(found.rest, rest, atol=1e-5)
    assert torch.allclose(found.error, cov.diagonal().sqrt(), rtol=1e-5)
    away = mine - rest
    assert found.chi2 == pytest.approx(float(away @ torch.linalg.inv(cov + cov_rest) @ away), rel=1e-4)
    assert found.freedom == 3
    assert found.p == pytest.approx(stats.chi2.sf(found.chi2, 3), rel=1e-6)


def test_p_values_are_even_where_the_model_is_right(chain) -> None:
    p = []
    for seed in range(50):
        target, best = chain.fit(chain.experiment.sample(chain.truth, 200 + seed))
        found = compared(target, best, HALVES)
        assert found.parts[0].names == ("J",)
        p.append(found.parts[0].p)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert sum(each < 0.01 for each in p) <= 3


def test_a_coupling_that_differs_between_two_halves_is_found(chain, counts) -> None:
    """By six standard deviations of the difference, which the estimates tell as it is."""
    base = chain.experiment.sample(chain.truth, 5)
    target, best = chain.fit(base)
    (one, _) = compared(target, best, HALVES).parts
    error = float((one.error**2 + one.rest_error**2).sqrt())
    other = chain.truth.clone()
    other[0, 0] -= 6 * error
    drawn = torch.where(HALF, base.intensity, chain.experiment.sample(other, 6).intensity)
    data = counts(drawn)
    found = invariance(chain.rival, chain.infer(data), data, HALVES)
    assert set(found.broken) == {"near", "far"}
    assert not found.passed
    near = found.parts[0]
    assert float(near.value) - float(near.rest) == pytest.approx(6 * error, abs=3 * error)
    assert near.corrected < 1e-3
    assert "near: chi2 = " in str(found)


def test_what_a_part_does_not_tell_is_not_compared(chain) -> None:
    """Bins above the band have no J."""
    data = chain.experiment.sample(chain.truth, 1)
    above = (chain.where.energy_centres > 5).expand(6, 40)
    target, best = chain.fit(data)
    found = compared(target, best, {"above": {"": above}}, names=("J", "background")).parts[0]
    assert found.told.tolist() == [False, True]
    assert found.score[0].isnan()
    assert found.freedom == 1
    assert "J: " in str(found)
    assert "not told" in str(found)


def joint(chain, J: tuple[float, float, float]) -> tuple[Joint, Prior, dict[str, Spectrum]]:
    """Three measurements, two at 5 K and one at 20 K, each of its own J."""
    parts = {
        label: Experiment(CHAIN, Measurement(chain.where.points, chain.where.energy, T), chain.instrument, samples=1)
        for label, T in (("a", 5.0), ("b", 5.0), ("c", 20.0))
    }
    data = {
        label: each.sample(each.pack(J=x, fwhm=0.5, scale=150, background=6), 7)
        for (label, each), x in zip(parts.items(), J, strict=True)
    }
    free = {
        f"{name}_{label}": Uniform(*ends)
        for label in parts
        for name, ends in (("scale", (50, 400)), ("background", (0, 50)))
    }
    held = {f"fwhm_{label}": Fixed(0.5) for label in parts}
    return Joint(parts), Prior(J=Uniform(-2, -0.2, "meV"), **free, **held), data


def test_measurements_and_temperatures_are_parts(chain) -> None:
    together, prior, data = joint(chain, (-1.0, -1.0, -1.05))
    posterior = infer(together, prior, data, QUICK)
    rival = Hypothesis(together, prior)
    found = invariance(rival, posterior, data)
    assert [each.part for each in found.parts] == ["a", "b", "c"]
    assert "c" in found.broken
    by_temperature = parts_by(together, "temperature")
    assert list(by_temperature) == ["temperature = 5.0", "temperature = 20.0"]
    warm = invariance(rival, posterior, data, by_temperature).parts[1]
    assert warm.chi2 == pytest.approx(found.parts[2].chi2)
    assert warm.corrected == warm.p  # two halves are one test
    assert float(warm.value) == pytest.approx(-1.05, abs=4 * float(warm.error))


def test_parts_that_are_none_are_refused(chain) -> None:
    data = chain.experiment.sample(chain.truth, 1)
    posterior = chain.infer(data)

    def refused(parts, message, **more) -> None:
        with pytest.raises(InputError, match=message):
            invariance(chain.rival, posterior, data, parts, **more)

    refused(None, "one measurement has no parts of its own; give masks")
    refused({"x": {"b": HALF}}, "part 'x' names 'b'; the data are ''")
    refused({"x": {"": HALF[:3]}}, r"a mask of shape \(3, 40\); the spectrum has \(6, 40\)")
    refused({"x": {"": torch.zeros_like(HALF)}}, "part 'x' has no measured bin")
    refused(HALVES, "'fwhm' is not free; free are J, scale, background", names=("fwhm",))
    with pytest.raises(InputError, match="one measurement has one temperature"):
        parts_by(chain.experiment, "temperature")


def test_bins_that_were_not_measured_do_not_count(chain) -> None:
    data = chain.experiment.sample(chain.truth, 1)
    gap = (chain.where.energy_centres < 2).expand(6, 40)
    (one,), (other,) = (
        compared(*chain.fit(each), {"x": {"": mask}}).parts
        for each, mask in ((data.without(gap), HALF), (data.without(gap), HALF & ~gap))
    )
    assert one.chi2 == other.chi2
    assert torch.equal(one.value, other.value)
