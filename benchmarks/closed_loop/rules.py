"""Rules that choose the next candidate from what is believed."""

from collections.abc import Callable, Mapping

import torch

from benchmarks.closed_loop.square import COUNTING, KNOWN, Log, candidates, moving, spots
from sqwirrel.infer import Posterior
from sqwirrel.infer.advise import Probe, Rival, advise, advise_between
from sqwirrel.infer.advise.candidates import predicted
from sqwirrel.seeds import stream

Beliefs = Mapping[str, Posterior]
Rule = Callable[[Beliefs, Log, tuple[str, ...], int], int]
"""The candidate to measure next, from what is believed of each model, the points so far, the parameters that are not
known well enough, and a seed.
"""


WORTH = 2.0


def advised(beliefs: Beliefs, log: Log, wanted: tuple[str, ...], seed: int) -> int:
    """`advise`: shrinkage of the wanted errors per minute of moving and counting."""
    return _shrinking(beliefs, log, wanted, seed, is_moving=True)


def greedy(beliefs: Beliefs, log: Log, wanted: tuple[str, ...], seed: int) -> int:
    """The same for each point, wherever it is, of the parameters of the model that leads."""
    return _shrinking(beliefs, log, wanted, seed, is_moving=False)


def between(beliefs: Beliefs, log: Log, wanted: tuple[str, ...], seed: int) -> int:
    """`advise_between`: expected logarithm of the Bayes factor per minute of moving and counting."""
    del wanted
    return _separating(beliefs, log, seed).candidate


def learning(beliefs: Beliefs, log: Log, wanted: tuple[str, ...], seed: int) -> int:
    """`advise_between` once a single point is expected to bring a factor of `WORTH`, `advise` until then."""
    probe = _separating(beliefs, log, seed)
    return probe.candidate if probe.factor > WORTH else advised(beliefs, log, wanted, seed)


def disagreement(beliefs: Beliefs, log: Log, wanted: tuple[str, ...], seed: int) -> int:
    """Where the means of the models differ most, in standard deviations of the counts."""
    del log, wanted
    one, two = (
        candidates()(predicted(posterior, candidates(), KNOWN[name], 64, seed)).mean(0).flatten()
        for name, posterior in beliefs.items()
    )
    return int(((one - two).abs() / ((one + two) / 2).sqrt()).argmax())


def random(beliefs: Beliefs, log: Log, wanted: tuple[str, ...], seed: int) -> int:
    """Any candidate."""
    del beliefs, wanted
    generator = stream(seed, f"random {len(log.counts)}")
    return int(torch.randint(len(spots()), (1,), generator=generator))


def _separating(beliefs: Beliefs, log: Log, seed: int) -> Probe:
    rivals = {name: Rival(posterior, candidates(), KNOWN[name]) for name, posterior in beliefs.items()}
    return advise_between(rivals, minutes=COUNTING, moving=moving(log), pick=1, draws=64, seed=seed).probes[0]


def _shrinking(beliefs: Beliefs, log: Log, wanted: tuple[str, ...], seed: int, *, is_moving: bool) -> int:
    leader = max(beliefs, key=lambda name: beliefs[name].log_evidence)
    names = [name for name in wanted if name in beliefs[leader].names]
    way = moving(log) if is_moving else None
    advice = advise(
        beliefs[leader], candidates(), names, minutes=COUNTING, moving=way, pick=1, fixed=KNOWN[leader], seed=seed
    )
    return advice.picks[0].candidate
