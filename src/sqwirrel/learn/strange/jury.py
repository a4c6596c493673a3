"""Jury: what a committee of classifiers says of measured data, and whether they are like anything it has seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqwirrel.learn.parts import Like
from sqwirrel.learn.rivals import Committee, Contest, load_committee
from sqwirrel.learn.rivals.kept import Contenders
from sqwirrel.learn.strange.familiar import Familiar
from sqwirrel.learn.strange.rivals import REFERENCE, like_any

CLEAR = 0.99
"""Probability above which odds are said, in nats: .9999 and 1.0000 may be 4 or 400."""


@dataclass(frozen=True)
class Opinion:
    """Probabilities of the rivals by name if one of them is right; how far the members of the committee disagree, nats,
    if there are two; how likely a simulated spectrum is at least as strange, by the worst of some scores, and by each;
    logarithms of the probabilities by each member.
    """

    probability: Mapping[str, float]
    disagreement: float | None
    likelier: float
    scores: Mapping[str, float]
    members: tuple[Mapping[str, float], ...] = ()

    @property
    def best(self) -> str:
        """The rival of most probability."""
        return self.ranked[0]

    @property
    def ranked(self) -> list[str]:
        """The rivals, the most probable first."""
        return sorted(self.probability, key=lambda name: -self.probability[name])

    def log_odds(self, one: str, other: str) -> float:
        """Of one rival against another by the whole committee, nats: the logarithm of a ratio of mean probabilities."""
        if not self.members:
            return math.log(max(self.probability[one], 1e-300)) - math.log(max(self.probability[other], 1e-300))
        return _log_sum([each[one] for each in self.members]) - _log_sum([each[other] for each in self.members])

    def by_member(self, one: str, other: str) -> tuple[float, ...]:
        """The same by each member."""
        return tuple(each[one] - each[other] for each in self.members)

    def __str__(self) -> str:
        apart = "" if self.disagreement is None else f", its members disagree by {self.disagreement:.2f} nats"
        return f"{self.answer}; a simulated spectrum is as strange with probability {self.likelier:.2g}{apart}"

    @property
    def answer(self) -> str:
        """The most probable rival, and how far from the next it is: a probability or, next to 1, odds in nats."""
        one, other = self.ranked[:2]
        if self.probability[one] > CLEAR:
            spread = _range(self.by_member(one, other), "{:.1f}")
            return f"{one}, log odds to {other} {self.log_odds(one, other):.1f} nats{spread}"
        spread = _range([math.exp(each[one]) for each in self.members], "{:.2g}")
        return f"{one} with probability {self.probability[one]:.2g}{spread}"

    def mapping(self) -> dict[str, object]:
        """Plain words and numbers."""
        best, others = self.best, self.ranked[1:]
        return {
            "best": best,
            "probability": dict(self.probability),
            "log_odds_of_best": {name: self.log_odds(best, name) for name in others},
            "log_odds_of_best_by_member": {name: list(self.by_member(best, name)) for name in others},
            "disagreement": self.disagreement,
            "likelier": self.likelier,
            "scores": dict(self.scores),
        }


@dataclass(frozen=True, eq=False)
class Jury:
    """A committee, the contest that it learnt from, and what is `familiar` to it."""

    committee: Committee
    contest: Contest
    familiar: Familiar

    @classmethod
    def of(cls, committee: Committee, contest: Contest, seed: int = 0, images: int = REFERENCE) -> "Jury":
        """With fresh noise on the simulations of all rivals: so many images make, and as many judge, what is usual."""
        return cls(committee, contest, like_any(committee, contest, seed=seed, images=images))

    @classmethod
    def load(cls, folder: Path, rivals: Contenders) -> "Jury":
        """The committee in a folder (`load_committee`), and what is usual among what it learnt from."""
        return cls.of(*load_committee(folder, rivals))

    def opinion(self, data: Like, *, translated: bool = False) -> Opinion:
        """Of a measurement, or of several by their labels; of what a translator made only if `translated` says so."""
        first, names = next(iter(self.contest.pairs.values())), self.contest.names
        x = first.image(data, translated=translated)
        return Opinion(
            dict(zip(names, self.committee.probability(x)[0].tolist(), strict=True)),
            float(self.committee.disagreement(x)) if len(self.committee.members) > 1 else None,
            float(self.familiar.likelier(x)),
            {name: float(each) for name, each in self.familiar.each(x).items()},
            tuple(dict(zip(names, each.tolist(), strict=True)) for each in self.committee.logs(x)[:, 0]),
        )


def _log_sum(logs: list[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(each - top) for each in logs))


def _range(values: Sequence[float], form: str) -> str:
    """The ends of several values in brackets, if they differ as they are shown."""
    ends = [form.format(end).replace("-", "−") for end in (min(values), max(values))] if len(values) > 1 else ["", ""]
    return f" ({ends[0]} to {ends[1]} by member)" if ends[0] != ends[1] else ""
