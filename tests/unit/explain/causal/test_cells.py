"""Cells of peaks and of bulk numbers: what interventions are told by where there is no spectrum."""

import pytest
import torch

from sqwirrel import Prior, Uniform, causal_map
from sqwirrel.errors import InputError
from sqwirrel.explain.causal.cells import cells_of
from sqwirrel.explain.causal.edges import ABSENT, PRESENT
from sqwirrel.explain.causal.paths import mediated
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.infer.terms import terms_of
from sqwirrel.model import library
from sqwirrel.observe import Joint, PeakExperiment
from sqwirrel.observe.bulk import BulkExperiment
from sqwirrel.spectra import Peaks
from sqwirrel.spectra.bulk import Bulk, BulkNumber

CHAIN = library.load("fm_chain")
H, NUMBERS = (0.1, 0.2, 0.3), (BulkNumber("curie_weiss", 15.5, 0.4), BulkNumber("specific_heat", 5.2, 0.02, 10.0))


def energy(h):
    """Of the chain, J = -1, S = 1: 2 (1 - cos 2 pi h)."""
    return [2 * (1 - torch.cos(torch.tensor(2 * torch.pi * x))).item() for x in h]


@pytest.fixture(scope="module")
def joint():
    table = Peaks(CHAIN.lattice, [[x, 0, 0] for x in H], energy(H), [0.005, 0.01, 0.02])
    parts = {"tas": PeakExperiment(CHAIN, table), "bulk": BulkExperiment(CHAIN, Bulk(NUMBERS))}
    return Joint(parts), {"tas": table, "bulk": Bulk(NUMBERS)}


@pytest.fixture(scope="module")
def prior():
    return Prior(J=Uniform(-2, -0.5, "meV"), outliers_tas=Uniform(0.01, 0.2))


def test_every_peak_and_number_is_a_node_of_its_own(joint, prior):
    found = causal_map(*joint[:1], prior, joint[1], pairs=16)
    assert found.regions.sizes.tolist() == [1] * 5
    state = dict(zip(found.names, found.edges.state.T, strict=True))
    assert bool((state["J"] == PRESENT).all())
    assert bool((state["outliers_tas"] == ABSENT).all())


def test_effects_are_those_of_the_closed_form(joint, prior):
    """Energies and the Curie-Weiss temperature are linear in J: d' is their slope times what J moves by on average."""
    found = causal_map(*joint[:1], prior, joint[1], pairs=256, width=0.3)
    moved = 0.3 * 1.5 / 12**0.5  # root of half the mean square distance of two even numbers
    system = Spectra.of(*joint[:1], prior, joint[1])
    of = system.maps(found.regions.of)
    effect = found.edges.effect[:, 0]
    expected = torch.tensor(energy(H)) / torch.tensor([0.005, 0.01, 0.02]) * moved
    torch.testing.assert_close(effect[of["tas"]], expected.to(effect), rtol=0.01, atol=0)
    assert float(effect[of["bulk"]][0]) == pytest.approx(15.4727 / 0.4 * moved, rel=0.01)


def test_slopes_are_those_of_differences(joint, prior):
    system = Spectra.of(*joint[:1], prior, joint[1])
    theta, step = torch.tensor([[-1.1, 0.05]], dtype=torch.float64), 1e-4
    ways = step * torch.eye(2, dtype=torch.float64)
    expected = (system.see(theta + ways)[0] - system.see(theta - ways)[0]) / (2 * step)
    torch.testing.assert_close(system.slope(theta), expected, rtol=1e-6, atol=1e-6)


def test_what_each_datum_adds_is_its_information(joint, prior):
    """One parameter that all data know: 1 / sigma^2 is the sum of theirs, and of the prior's."""
    inverse = causal_map(*joint[:1], prior, joint[1], pairs=16).inverse
    alone = (inverse.alone[:, 0] ** -2 - prior.sd[0] ** -2).sum() + prior.sd[0] ** -2
    assert float(inverse.sigma[0] ** -2) == pytest.approx(float(alone), rel=1e-6)
    assert int(inverse.inflation[:, 0].argmax()) == int(inverse.alone[:, 0].argmin())


def test_peaks_stay_with_their_modes_where_these_come_near_each_other():
    """A two-mode model with a gap: a peak of the upper mode is not handed to the lower one by an intervention."""
    model = library.load("canted")
    q = [[0.12, 0.23, 0.0]]
    here = PeakExperiment(model, Peaks(model.lattice, q, [1.0], [0.1])).modes(model.pack())[0][0, 0]
    top, low = float(here.max()), float(here.min())
    assert top - low > 0.1
    table = Peaks(model.lattice, q * 2, [top, low], [0.1, 0.1])
    (term,) = terms_of(where := PeakExperiment(model, table), table)
    theta = torch.cat((model.pack(), torch.tensor([[0.05]])), 1)
    cells = cells_of(term, theta)
    torch.testing.assert_close(cells.see(theta)[0][0] * 0.1, torch.tensor([top, low], dtype=torch.float64))
    far = theta * 1.05
    torch.testing.assert_close(cells.see(far)[0][0] * 0.1, where.modes(far)[0][0, 0, [0, -1]])


def test_what_has_no_bins_has_no_path(joint, prior):
    system = Spectra.of(*joint[:1], prior, joint[1])
    found = causal_map(*joint[:1], prior, joint[1], pairs=16)
    with pytest.raises(InputError, match="only spectra have paths"):
        mediated(system, found.changes, "J", found.regions.of)


def test_cells_have_words(joint, prior):
    assert Spectra.of(*joint[:1], prior, joint[1]).singles == {
        "tas": ("peak at 0.382 meV, q = (0.1, 0, 0)", "peak at 1.382 meV, q = (0.2, 0, 0)", "peak at 2.618 meV, q = (0.3, 0, 0)"),
        "bulk": ("Curie-Weiss temperature", "specific heat at 10 K"),
    }  # fmt: skip
