"""Jury: what a committee of classifiers says of measured data, and whether they are like anything it has seen."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqwirrel.learn.parts import Like
from sqwirrel.learn.rivals.classifier import Committee
from sqwirrel.learn.rivals.contest import Contest
from sqwirrel.learn.strange.familiar import Familiar
from sqwirrel.learn.strange.rivals import REFERENCE, like_any


@dataclass(frozen=True)
class Opinion:
    """Probabilities of the rivals by name if one of them is right; how far the members of the committee disagree, nats,
    if there are two; how likely a simulated spectrum is at least as strange, by the worst of some scores, and by each.
    """

    probability: Mapping[str, float]
    disagreement: float | None
    likelier: float
    scores: Mapping[str, float]

    @property
    def best(self) -> str:
        """The rival of most probability."""
        return max(self.probability, key=lambda name: self.probability[name])

    def __str__(self) -> str:
        apart = "" if self.disagreement is None else f", its members disagree by {self.disagreement:.2f} nats"
        return f"a simulated spectrum is as strange with probability {self.likelier:.2g}{apart}"

    def mapping(self) -> dict[str, object]:
        """Plain words and numbers."""
        return {
            "probability": dict(self.probability),
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

    def opinion(self, data: Like) -> Opinion:
        """Of a measurement, or of several by their labels."""
        x = next(iter(self.contest.pairs.values())).image(data)
        return Opinion(
            dict(zip(self.contest.names, self.committee.probability(x)[0].tolist(), strict=True)),
            float(self.committee.disagreement(x)) if len(self.committee.members) > 1 else None,
            float(self.familiar.likelier(x)),
            {name: float(each) for name, each in self.familiar.each(x).items()},
        )
