"""Halves of a spectrum tell equally much, and bins that tell nothing do not count."""

from dataclasses import replace

import torch

from sqwirrel.explain.causal.measured import halves, objections
from sqwirrel.explain.causal.system import Spectra
from sqwirrel.observe import Experiment


def test_halves_tell_equally_much(chain) -> None:
    data = chain.experiment.sample(chain.truth, 1)
    system = Spectra.of(chain.experiment, chain.prior, data)
    middle = torch.tensor([-1.0, 150.0, 6.0], dtype=torch.float64)
    found = halves(system, middle, ["J"])
    assert list(found) == ["energy", "momentum"]
    told = system.maps(system.slope(middle[None])[0] ** 2)[""]
    for parts in found.values():
        low, high = (part[""] for part in parts.values())
        assert bool((low ^ high).all())
        share = float(told[low].sum() / told.sum())
        assert abs(share - 0.5) < 0.3  # there are six momenta
    low = next(iter(found["energy"].values()))[""]
    assert torch.equal(low, (torch.arange(low.shape[1]) < int(low[0].sum())).expand(low.shape))


def test_nothing_speaks_against_the_truth_and_an_offset_is_asked_for(chain, counts) -> None:
    for shift, asked in ((0.0, False), (0.12, True)):
        where = replace(chain.where, energy=chain.where.energy + shift)
        elsewhere = Experiment(chain.experiment.model, where, chain.instrument, samples=1)
        data = counts(elsewhere.sample(chain.truth, 3).intensity)
        posterior = chain.infer(data)
        system = Spectra.answered(chain.rival, posterior, data)
        found = objections(chain.rival, posterior, data, system, ("J",), None)
        assert ("energy_offset" in found.asked) == asked
        assert found.passed != asked
