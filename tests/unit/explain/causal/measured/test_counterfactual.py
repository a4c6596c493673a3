"""What would have been measured: the data where nothing is changed, the simulation where there is no noise."""

from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.measured import counterfactual
from sqwirrel.explain.causal.measured.counterfactual import carried
from sqwirrel.infer import Settings, infer
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.observe import Experiment, Gaussian, Instrument, Poisson
from sqwirrel.observe.counting import Observed
from sqwirrel.spectra import Spectrum


def stronger(J):
    return 1.1 * J


def test_doing_what_is_true_already_gives_the_measured_data(chain) -> None:
    data = chain.experiment.sample(chain.truth, 1)
    posterior = chain.infer(data)
    found = counterfactual(chain.rival, posterior, data, {"J": lambda J: J}, draws=10)
    assert torch.equal(found.spectra[""].intensity, data.intensity)
    assert float(found.spectra[""].error.max()) == 0
    assert found.stable == 1


def test_without_noise_it_is_the_simulation(chain, counts) -> None:
    data = counts(chain.experiment(chain.truth)[0])
    posterior = chain.at_the_truth(data)
    found = counterfactual(chain.rival, posterior, data, {"J": stronger}, draws=3)
    other = chain.truth.clone()
    other[0, 0] *= 1.1
    assert torch.allclose(found.spectra[""].intensity, chain.experiment(other)[0], rtol=1e-9)
    set_to = counterfactual(chain.rival, posterior, data, {"J": -1.1, "background": 8}, draws=3)
    assert set_to.action == "do(J = -1.1, background = 8)"
    assert torch.allclose(set_to.spectra[""].intensity, chain.experiment(other)[0] + 2, rtol=1e-9)


def test_noise_of_reduced_data_is_carried_over_as_it_is(chain) -> None:
    experiment = Experiment(chain.experiment.model, chain.where, Instrument(counting=Gaussian()), samples=1)
    drawn = chain.experiment.sample(chain.truth, 1)
    data = Spectrum.from_arrays(drawn.intensity, drawn.intensity.clamp(min=1).sqrt(), chain.where)
    posterior = infer(experiment, chain.prior, data, Settings(screen=64, starts=2, draws=100, seed=2))
    one = replace(posterior, draws=posterior.draws[:1], log_weight=torch.zeros(1).double())
    found = counterfactual(Hypothesis(experiment, chain.prior), one, data, {"J": stronger}, draws=1)
    J, scale, background = one.draws[0].tolist()
    before, after = (
        experiment(experiment.pack(J=x, fwhm=0.5, scale=scale, background=background))[0] for x in (J, 1.1 * J)
    )
    assert torch.allclose(found.spectra[""].intensity - data.intensity, after - before, atol=1e-9)


def test_noise_of_counts_has_unit_variance_before_and_after() -> None:
    """Counts round 20 become counts round 60 with the scatter of these, and none is below zero."""
    n = 20_000
    generator = torch.Generator().manual_seed(1)
    mu, nu = torch.full((1, n), 20.0).double(), torch.full((1, n), 60.0).double()
    drawn = torch.poisson(mu[0], generator=generator)
    observed = Observed(drawn, drawn.clamp(min=1), torch.ones(1, n, dtype=torch.bool))
    found = carried(mu, nu, observed, Poisson())[0]
    assert float(found.mean()) == pytest.approx(60, rel=0.01)
    assert float(found.var()) == pytest.approx(60, rel=0.05)
    less = carried(nu, torch.zeros_like(nu), observed, Poisson())
    assert float(less.min()) >= 0
    assert float(less.max()) == pytest.approx(0, abs=1e-9)  # all of them lie below the expectation that they had


@pytest.mark.slow
def test_bands_hold_what_the_truth_would_have_made(chain) -> None:
    """The truth is known here: the counterfactual of a posterior that knows it lies in the intervals as often as it
    should, over a few noises (the bins of one move together).
    """
    inside, other = [], chain.truth.clone()
    other[0, 0] *= 1.1
    with torch.no_grad():
        mu, nu = chain.experiment(chain.truth)[0], chain.experiment(other)[0]
    for seed in range(30):
        data = chain.experiment.sample(chain.truth, 100 + seed)
        found = counterfactual(chain.rival, chain.infer(data), data, {"J": stronger}, draws=100)
        observed = Poisson().observe(data)
        ideal = carried(mu.reshape(1, -1), nu.reshape(1, -1), observed, Poisson()).view_as(mu)
        low, high = found.interval95[""]
        inside.append(float(((ideal >= low) & (ideal <= high)).double().mean()))
        low68, high68 = found.interval68[""]
        assert bool(((low <= low68) & (high68 <= high)).all())
    assert sum(inside) / len(inside) == pytest.approx(0.95, abs=0.05)


def test_a_counterfactual_says_that_nobody_measured_it(chain) -> None:
    data = chain.experiment.sample(chain.truth, 1)
    found = counterfactual(chain.rival, chain.infer(data), data, {"J": -1.1}, draws=5)
    with pytest.raises(InputError, match=r"translated to 'do\(J = -1.1\)', not measured"):
        found.spectra[""].check_measured()


def test_bins_that_were_not_measured_stay_so(chain) -> None:
    data = chain.experiment.sample(chain.truth, 1).exclude(2.0, 3.0)
    found = counterfactual(chain.rival, chain.infer(data), data, {"J": -1.1}, draws=5)
    assert torch.equal(found.spectra[""].valid, data.valid)
    assert float(found.interval95[""][:, ~data.valid].abs().max()) == 0


def test_actions_that_cannot_be_are_refused(chain) -> None:
    data = chain.experiment.sample(chain.truth, 1)
    posterior = chain.infer(data)
    with pytest.raises(InputError, match="'K' is none of the parameters J, fwhm, scale, background"):
        counterfactual(chain.rival, posterior, data, {"K": 1.0})
    with pytest.raises(InputError, match=r"do\(J = 1\) leaves no draw with a stable order"):
        counterfactual(chain.rival, posterior, data, {"J": 1.0})
    with pytest.raises(InputError, match="at least one draw; there are 1 spectra and 0 draws"):
        counterfactual(chain.rival, posterior, data, {"J": -1.1}, draws=0)
