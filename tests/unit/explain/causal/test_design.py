"""Designs: one cause changes in a pair; what is done is kept; unstable rows are left out, counted, and refused if many."""

import logging

import numpy as np
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.causal_map import causal_map
from sqwirrel.explain.causal.design import intervene, window
from tests.unit.explain.causal.linear import NAMES, Linear


def test_a_pair_differs_in_one_cause():
    system = Linear()
    changes = intervene(system, 16, 1)
    for k in range(4):
        theta = changes.base.clone()
        theta[:, k] = changes.other[:, k]
        expected = (system.see(theta)[0] - system.see(changes.base)[0]).float().numpy()
        np.testing.assert_allclose(changes.change[:, k], expected, atol=1e-6)


def test_rows_are_inside_the_window_and_the_window_inside_the_prior():
    system = Linear()
    within = window(system.prior, torch.tensor([0.05, 0.5, 0.99, 0.5], dtype=torch.float64), 0.3)
    torch.testing.assert_close(within[:, 0], torch.tensor([0, 0.35, 0.7, 0.35], dtype=torch.float64))
    changes = intervene(system, 64, 1, within)
    rows = torch.cat((changes.base, changes.other))
    assert (rows >= within[:, 0]).all()
    assert (rows <= within[:, 1]).all()
    torch.testing.assert_close(changes.length * 0.3, (changes.base - changes.other).abs())


class InterruptedRunError(Exception):
    """Somebody pressed a key."""


def stop_at(pair):
    def progress(done, _):
        if done == pair:
            raise InterruptedRunError

    return progress


def test_an_interrupted_run_goes_on_and_gives_the_same_bits(tmp_path):
    system, whole = Linear(), intervene(Linear(), 16, 1)
    with pytest.raises(InterruptedRunError):
        intervene(system, 16, 1, folder=tmp_path, progress=stop_at(9))
    system.rows = 0
    found = intervene(system, 16, 1, folder=tmp_path)
    assert system.rows == 1 + 7 * 5  # one to see whether the folder is of this system
    assert (found.change == whole.change).all()
    assert torch.equal(found.good, whole.good)


def test_another_prior_starts_anew(tmp_path, caplog):
    intervene(Linear(), 16, 1, folder=tmp_path)
    with caplog.at_level(logging.WARNING, "sqwirrel"):
        found = intervene(Linear(highest=0.5), 16, 1, folder=tmp_path)
    assert caplog.messages == [f"'{tmp_path}' holds simulations of something else; they are made anew"]
    assert (found.change == intervene(Linear(highest=0.5), 16, 1).change).all()


def test_unstable_rows_are_left_out_and_counted():
    """b moves its blocks by 30 b wherever there is an order, so that what is left says the same."""
    system = Linear(ceiling=0.9)
    found = causal_map(system, 64, 1, width=1.0)
    rows = found.changes
    base, other = rows.base[:, 0] > 0.9, rows.other[:, 0] > 0.9
    assert found.lost == {"a": int((base | other).sum())} | dict.fromkeys(NAMES[1:], int(base.sum()))
    assert 0 < found.lost["b"] < found.lost["a"]
    assert found.edges.effect.max() == pytest.approx((40 * 30**2 / 12) ** 0.5, rel=1e-5)


def test_too_many_unstable_rows_are_refused():
    with pytest.raises(InputError) as refused:
        intervene(Linear(ceiling=0.3), 64, 1)
    lost = int(((rows := intervene(Linear(), 64, 1)).base[:, 0] > 0.3).logical_or(rows.other[:, 0] > 0.3).sum())
    assert str(refused.value) == (
        f"the order is unstable on one side of {lost} of 64 interventions on 'a'; narrow the prior, or its width, to "
        "where the order holds"
    )


@pytest.mark.parametrize("pairs", [8, 65])
def test_pairs_are_a_power_of_two(pairs):
    with pytest.raises(InputError, match=f"^{pairs} pairs of interventions; use a power of two, 16 or more"):
        causal_map(Linear(), pairs)


@pytest.mark.parametrize("width", [0.0, 1.5])
def test_width_is_a_share_of_the_prior(width):
    with pytest.raises(InputError, match=r"it is a share of the prior, above 0 and at most 1$"):
        causal_map(Linear(), 16, width=width)


def test_more_changes_than_can_be_kept_are_refused(monkeypatch):
    monkeypatch.setattr("sqwirrel.explain.causal.design.LARGEST", 16 * 4 * 160 - 1)
    with pytest.raises(InputError) as refused:
        intervene(Linear(), 16, 1)
    assert str(refused.value) == (
        "16 pairs of 4 causes in 160 bins are too many to keep at once; use fewer pairs, or wider bins "
        "([measurement] rebin)"
    )
