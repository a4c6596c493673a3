"""What a page says of a crystal with springs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sqwirrel.cli import screen
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.files import read_force_constants
from sqwirrel.report.content import content
from sqwirrel.report.identified import combinations
from sqwirrel.report.pages import answer as page
from sqwirrel.report.pages import phonons as pages
from sqwirrel.report.phonons import springs, states
from sqwirrel.report.phonons.dispersion import as_mapping, dispersion
from sqwirrel.report.phonons.figure import branches
from sqwirrel.report.result import Whole
from sqwirrel.simulate.phonon.phonons import Phonons
from tests.unit.report.springs import aluminium, phonons_of, rock_salt

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.func loads it
NACL = Path(__file__).parents[2] / "reference" / "phonons" / "nacl" / "phonopy.yaml"
FIRST = ("K1xx", "K1xy", "K1zz")
SALT = {"K1xx": 10.0, "K1yy": 1.0, "K2axx": 1.0, "K2axy": 1.0, "K2azz": 0.1, "K2bxx": 0.5, "K2bxy": 0.6, "K2bzz": -0.1}


@pytest.fixture(autouse=True)
def _few_modes(monkeypatch):
    monkeypatch.setattr(states, "MODES", 2**12)


def aluminium_result(spread=0.3, *, misfits=False):
    model = aluminium()
    return phonons_of(model, {name: model.defaults[name] for name in FIRST}, spread, misfits=misfits)


def test_bands_hold_the_median_and_acoustic_branches_begin_at_zero():
    found = dispersion(Whole.of(phonons_of(rock_salt(), SALT, 0.05)))
    assert found.widened is None
    assert found.own is None
    median, (low68, high68), (low90, high90) = found.levels["median"][0], found.levels["band68"], found.levels["band90"]
    for low, high in ((low90, low68), (low68, median), (median, high68), (high68, high90)):
        assert bool((low <= high).all())
    assert float((high90 - low90)[:, 0].mean()) > 1.5 * float((high68 - low68)[:, 0].mean()) > 0
    start = 0
    for line in found.lines:
        for name, k in zip(line.names, (start, start + len(line.q) - 1), strict=True):
            if name == "Γ":
                assert float(median[k, 3:].abs().max()) < 1e-3  # two atoms: six branches, three of them acoustic
                assert float(median[k, :3].min()) > 1
        start += len(line.q)


def test_narrow_draws_round_published_springs_give_their_branches():
    """The springs that are fixed are filled in, in their order."""
    result = aluminium_result(1e-4)
    found = dispersion(Whole.of(result))
    model = aluminium()
    q = torch.cat([line.q for line in found.lines])
    expected = Phonons(model, q).energies(model.pack())[0]
    assert torch.allclose(found.own, expected)
    assert torch.allclose(found.levels["median"][0], expected, atol=1e-2)


def test_a_misfit_draws_the_wider_band():
    found = dispersion(Whole.of(aluminium_result(0.02, misfits=True)))
    narrow, wide = found.widths
    assert wide == pytest.approx(3 * narrow, rel=0.1)


def test_springs_that_end_have_a_wider_band():
    crystal = Crystal.from_spacegroup([4.03, 4.03, 4.03, 90, 90, 90], 225, {"Al": [0, 0, 0]})
    springs = {"K1xx": 10.4, "K1xy": 10.3, "K1zz": -2.6, "K2xx": 2.4, "K2yy": -0.1}
    model = born_von_karman(crystal, max_distance=4.2, values=springs)
    found = dispersion(Whole.of(phonons_of(model, {"K1xx": 10.4, "K1xy": 10.3, "K1zz": -2.6}, 0.02)))
    assert 0.04 < found.astray < 0.08
    middle = found.levels["median"][0]
    width = found.ended[1] - found.ended[0]
    assert bool((width + 1e-9 >= found.levels["band90"][1] - found.levels["band90"][0]).all())
    high = middle > middle.max() / 2
    assert float((width / (2 * middle))[high].median()) == pytest.approx(found.astray, rel=0.1)
    said = json.loads(json.dumps(as_mapping(found)))
    assert said["astray"] == found.astray
    assert np.concatenate([np.array(line["ended90"]) for line in said["lines"]], axis=-1).shape == (2, 3, len(middle))


def test_data_are_what_is_drawn():
    found = dispersion(Whole.of(aluminium_result(misfits=True)))
    said = json.loads(json.dumps(as_mapping(found), allow_nan=False))
    assert [(line["from"], line["to"]) for line in said["lines"]][:3] == [("Γ", "X"), ("X", "U"), ("K", "Γ")]
    told = {**found.levels, "widened90": found.widened, "published": found.own[None]}
    for name, rows in told.items():
        whole = np.concatenate([np.array(line[name]) for line in said["lines"]], axis=-1)  # (low and high) branch q
        assert whole == pytest.approx(rows.mT.numpy().reshape(whole.shape))
    assert said["density"]["total"]["band90"] == found.states.total["band90"].tolist()
    assert said["density"]["neutron_weighted"]["median"] == found.states.neutron["median"][0].tolist()
    q = np.concatenate([line["q"] for line in said["lines"]])
    assert q == pytest.approx(torch.cat([line.q for line in found.lines]).numpy())


def test_densities_of_states_integrate_to_one_and_neutrons_see_the_light_atoms_that_scatter():
    """Bands hold the median; of one element both densities are the same."""
    found = dispersion(Whole.of(phonons_of(rock_salt(), SALT, 0.05))).states
    for each in (found.total, found.neutron):
        assert float(torch.trapezoid(each["median"][0], found.energy)) == pytest.approx(1, abs=0.02)
        for name in ("band68", "band90"):
            assert bool((each[name][0] <= each["median"][0]).all() and (each["median"][0] <= each[name][1]).all())
    assert not torch.allclose(found.total["median"], found.neutron["median"], rtol=0.05)
    alone = dispersion(Whole.of(aluminium_result())).states
    assert torch.allclose(alone.total["median"], alone.neutron["median"])
    assert torch.allclose(alone.own[0], alone.own[1])


def test_the_page_speaks_of_neutrons_where_they_see_another_density():
    for result, differs in ((phonons_of(rock_salt(), SALT, 0.05), True), (aluminium_result(), False)):
        found = dispersion(Whole.of(result))
        assert found.states.differ == differs
        assert ("as neutrons see it" in pages.sections(Whole.of(result), found)) == differs


def test_energies_with_values_of_its_own_are_called_what_they_are():
    computed = replace(read_force_constants(NACL), polar=None)
    for model, values, origin in (
        (computed, {"stiffness": 1.0}, "as imported"),
        (replace(rock_salt(), defaults=SALT), SALT, "of the model file"),
        (aluminium(), {"K1xx": 10.0}, "published"),
    ):
        whole = Whole.of(phonons_of(model, values, 0.01))
        found = dispersion(whole)
        said = json.dumps(as_mapping(found))
        assert [f'"{each}"' in said for each in ("as_imported", "published")] == [
            origin == each for each in ("as imported", "published")
        ]
        assert f'"{origin.replace(" ", "_")}"' in said
        assert branches(found).legends[0].get_texts()[-1].get_text() == origin
        assert f"the model has by itself, {origin}." in pages.sections(whole, found)


def test_failed_checks_stand_beside_the_branches():
    for misfits in (True, False):
        whole = Whole.of(aluminium_result(misfits=misfits))
        found = dispersion(whole)
        said, shown = as_mapping(found), branches(found)._supxlabel
        assert said["failed_checks"] == ["predictive"] * misfits
        assert said["misfits"] == misfits
        words = "Failed checks: residuals like noise; the bands of counting do not hold the misfit."
        assert found.doubt == words * misfits
        assert (words in pages.sections(whole, found)) == misfits
        assert (shown.get_text() if shown else "") == words * misfits


def test_the_answer_that_is_printed_says_what_intervals_do_not_hold(capsys):
    for misfits in (True, False):
        screen.print_answer(aluminium_result(misfits=misfits).posterior)
        assert ("intervals are those of counting and do not hold the misfit" in capsys.readouterr().out) == misfits


def test_the_picture_names_corners_once_and_both_at_a_break():
    axes = branches(dispersion(Whole.of(aluminium_result()))).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Γ", "X", "U | K", "Γ", "L", "W", "X"]
    assert axes.get_ylim()[0] == 0


def test_unstable_draws_are_drawn_below_zero():
    result = aluminium_result()
    soft = replace(result.posterior, draws=result.posterior.draws - torch.tensor([0.0, 0.0, 12.0]))
    found = dispersion(Whole.of(replace(result, posterior=soft)))
    assert float(found.levels["median"].min()) < -1
    assert found.states is None
    assert branches(found).axes[0].get_ylim()[0] < -1


def test_the_page_has_the_picture_the_springs_and_what_is_fixed(tmp_path):
    result = aluminium_result()
    text = page.write(tmp_path, result).read_text(encoding="utf-8")
    for each in ('<section id="phonons">', '<section id="springs">', '<section id="identified">'):
        assert each in text
    assert 'alt="Branches along the standard path"' in text
    assert "[[K1xx, K1xy, 0], [K1xy, K1xx, 0], [0, 0, K1zz]]" in text
    assert (tmp_path / "dispersion.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "dispersion.json").read_text(encoding="utf-8"))["unit"] == "meV"
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert said == json.loads(json.dumps(content(result)))
    assert [bond["neighbours"] for bond in said["springs"]["bonds"]][:3] == [[12, 12], [6, 6], [24, 24]]
    assert said["measured"]["multiphonon"]
    assert "<dt>under the modes</dt><dd>multiphonon and incoherent scattering</dd>" in text


def test_a_page_of_spins_has_none_and_takes_an_older_dispersion_away(good, tmp_path):
    for name in ("dispersion.png", "dispersion.json"):
        (tmp_path / name).write_text("of an earlier answer")
    text = page.write(tmp_path, good).read_text(encoding="utf-8")
    assert 'id="phonons"' not in text
    assert 'id="identified"' not in text  # one free parameter of the model
    assert [path.name for path in tmp_path.glob("dispersion*")] == []


def test_combinations_are_the_best_known_first_and_know_of_the_misfit():
    """Draws as wide as each other in priors as wide as each other: 20 / 3^1/2 over 0.3."""
    result = aluminium_result(misfits=True)
    found = combinations(Whole.of(result))
    assert [each.narrower for each in found] == sorted((each.narrower for each in found), reverse=True)
    assert found[0].narrower == pytest.approx(20 / 3**0.5 / 0.3, rel=0.15)
    for each in found:
        assert each.misfit == pytest.approx(each.narrower / 3, rel=0.05)
        assert set(each.weights) == set(FIRST)
        first = each.text.split()[0]
        assert each.weights[first] == 1
        assert abs(each.weights[first]) >= max(map(abs, each.weights.values())) - 1e-9


def test_springs_bond_by_bond():
    rows = dict(springs.rows(springs.look(rock_salt())))
    assert rows["bond 1"] == "2.8200 A, Na to Cl, 6 neighbours of Na, 6 of Cl"
    assert rows["bond 2a"].endswith("12 neighbours")
    assert [each.name for each in springs.look(rock_salt(), 3).orbits] == ["1"]


def test_stiffness_along_and_across_is_the_trace_of_the_matrix():
    """Of a crystal with factors in its matrices, and with some that are not symmetric."""
    model = library.load("mg_290k")
    found = springs.look(model).orbits
    assert found[0].pattern == "[[K1xx, K1xy, K1xz], [K1xy, K1xx + 1.15 K1xy, -0.577 K1xz], [K1xz, -0.577 K1xz, K1zz]]"
    for each in found:
        values = torch.tensor([model.defaults[name] for name in each.names], dtype=torch.float64)
        M, n = torch.einsum("p,pab->ab", values, each.matrices), each.step / each.step.norm()
        along, across = springs.along_and_across(each, values[None])
        assert float(along) == pytest.approx(float(n @ M @ n))
        assert float(along + 2 * across) == pytest.approx(float(M.trace()))
