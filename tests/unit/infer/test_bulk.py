"""Bulk numbers in a posterior: the closed form of a linear law, and what they add to peaks."""

from dataclasses import replace

import pytest
import torch

from sqwirrel import LogUniform, Prior, Settings, Uniform, infer
from sqwirrel.errors import InputError
from sqwirrel.infer.terms import BulkTerm, Term, spectra_of, terms_of
from sqwirrel.model import library
from sqwirrel.observe import Joint, PeakExperiment
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.spectra import Peaks
from sqwirrel.spectra.bulk import Bulk, BulkNumber

MODEL = library.load("mnf2")
CURIE = BulkNumber("curie_weiss", -80.0, 2.0)


@pytest.fixture
def term():
    bulk = Bulk((CURIE, BulkNumber("specific_heat", 0.5, 0.02, 10.0)))
    return BulkTerm.of(BulkExperiment(MODEL, bulk), bulk, MODEL.names)


def test_it_is_a_term(term):
    assert isinstance(term, Term)
    assert term.size == 2


def test_gradient_is_that_of_the_deviance(term):
    theta, step = MODEL.pack(J2=0.31), 1e-5
    slope = term.slope(theta)
    ways = step * torch.eye(4, dtype=torch.float64)
    expected = -(term.deviance(theta + ways) - term.deviance(theta - ways)) / (4 * step)
    torch.testing.assert_close(slope.gradient[0], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(slope.deviance, term.deviance(theta))
    assert float(term.deviance(MODEL.pack(J2=-0.3))) == float("inf")


def test_normalisation_is_that_of_normal_laws(term):
    likelihood = term.log_normalisation - term.deviance(MODEL.pack()) / 2
    value = term.experiment.predict(MODEL.pack()).value[0]
    normal = torch.distributions.Normal(value, term.bulk.error).log_prob(term.bulk.value).sum()
    assert float(likelihood) == pytest.approx(float(normal))


def test_the_posterior_of_a_straight_line_is_the_closed_form():
    """theta_CW is linear in J2: the posterior is a normal law, with all else fixed."""
    bulk = Bulk((CURIE,))
    prior = Prior.from_mapping({"J2": {"uniform": [0.1, 0.6], "unit": "meV"}, "J1": -0.056, "J3": 0.008, "D": -0.019})
    posterior = infer(BulkExperiment(MODEL, bulk), prior, bulk, Settings(screen=32, starts=1, draws=1000))
    slope = -8.75 / 3 * 8 / 0.08617333262
    expected = (-80.0 + 8.75 / 3 / 0.08617333262 * (2 * -0.056 + 4 * 0.008)) / slope
    assert float(posterior.median[0]) == pytest.approx(expected, abs=4 * abs(2 / slope) / 1000**0.5)
    assert float(posterior.covariance[0, 0].sqrt()) == pytest.approx(abs(2 / slope), rel=0.1)
    assert float(posterior.limit[0]) == pytest.approx(abs(2 / slope), rel=1e-3)
    assert all(check.passed for check in posterior.checks), [each.name for each in posterior.checks if not each.passed]


def test_a_number_that_the_model_cannot_have_fails_its_check():
    """The two contradict each other: J = -1 makes 15.5 K."""
    chain = library.load("fm_chain")
    bulk = Bulk((BulkNumber("curie_weiss", 40.0, 0.5),))
    table = Peaks(chain.lattice, [[0.1 * k, 0, 0] for k in (1, 2, 3)], [0.382, 1.382, 2.618], [0.01] * 3)
    joint = Joint({"tas": PeakExperiment(chain, table), "squid": BulkExperiment(chain, bulk)})
    assert joint.names == ("J", "outliers_tas")
    prior = Prior(J=Uniform(-1.5, -0.5, "meV"), outliers_tas=LogUniform(0.01, 0.2))
    posterior = infer(joint, prior, {"tas": table, "squid": bulk}, Settings(screen=32, starts=1, draws=100))
    checks = {each.name: each for each in posterior.checks}
    assert not checks["bulk_described_squid"].passed
    assert "Curie-Weiss temperature, which the model has at" in checks["bulk_described_squid"].meaning


def test_a_mesh_that_is_too_coarse_fails_its_check():
    """3 mK is below the steps of the mesh: the number is made of the mesh, and told so."""
    chain = library.load("fm_chain")
    cold = BulkNumber("specific_heat", 1.0, 1e-3, 0.003)
    value = float(BulkExperiment(chain, Bulk((cold,))).predict(chain.pack(J=-1.0)).value)
    bulk = Bulk((replace(cold, value=value),))
    prior = Prior(J=Uniform(-1.5, -0.5, "meV"))
    posterior = infer(BulkExperiment(chain, bulk), prior, bulk, Settings(screen=16, starts=1, draws=100))
    checks = {each.name: each for each in posterior.checks}
    assert checks["bulk_described"].passed
    assert not checks["bulk_mesh"].passed


def test_data_of_another_experiment_are_refused():
    bulk, other = Bulk((CURIE,)), Bulk((BulkNumber("ordered_moment", 4.9, 0.1),))
    with pytest.raises(InputError, match="others than those of the experiment"):
        terms_of(BulkExperiment(MODEL, bulk), other)
    with pytest.raises(InputError, match="the data are a Bulk and their experiment is a PeakExperiment"):
        terms_of(PeakExperiment(MODEL, Peaks(MODEL.lattice, [[0.2, 0, 0]], [3.0], [0.1])), bulk)
    with pytest.raises(InputError, match="leave them out where there are peaks or bulk numbers"):
        spectra_of({"squid": bulk})
