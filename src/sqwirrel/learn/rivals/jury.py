"""Jury: what a committee of classifiers says of measured data, and whether they are like anything it has seen."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from sqwirrel.learn.embed import Image
from sqwirrel.learn.parts import Like
from sqwirrel.learn.proposal import REFERENCE, Familiar
from sqwirrel.learn.rivals.classifier import Committee
from sqwirrel.learn.rivals.contest import Contest


@dataclass(frozen=True)
class Opinion:
    """Probabilities of the rivals by name if one of them is right; how far the members of the committee disagree, nats;
    and how likely a simulated spectrum is at least as strange.
    """

    probability: Mapping[str, float]
    disagreement: float
    likelier: float

    @property
    def best(self) -> str:
        """The rival of most probability."""
        return max(self.probability, key=lambda name: self.probability[name])

    def mapping(self) -> dict[str, object]:
        """Plain words and numbers."""
        return {
            "probability": dict(self.probability),
            "disagreement": self.disagreement,
            "likelier": self.likelier,
        }


@dataclass(frozen=True, eq=False)
class Jury:
    """A committee with the contest that it learnt from. `usual` are the distances of simulated spectra of any rival
    that `familiar` was not made from.
    """

    committee: Committee
    contest: Contest
    familiar: Familiar
    usual: Float[Tensor, "reference 2"]

    @classmethod
    def of(cls, committee: Committee, contest: Contest, seed: int = 0) -> "Jury":
        """With fresh noise on the simulations of all rivals."""
        x = contest.batch(2 * REFERENCE, seed, "reference").x
        features, pixels = committee.features(x).double(), x[:, 0].flatten(1)
        familiar = Familiar.of(features[:REFERENCE], pixels[:REFERENCE])
        return cls(committee, contest, familiar, familiar.distances(features[REFERENCE:], pixels[REFERENCE:]))

    def opinion(self, data: Like) -> Opinion:
        """Of a measurement, or of several by their labels."""
        x = next(iter(self.contest.pairs.values())).image(data)
        probability = dict(zip(self.contest.names, self.committee.probability(x)[0].tolist(), strict=True))
        return Opinion(probability, float(self.committee.disagreement(x)), float(self.likelier(x)))

    def likelier(self, x: Image) -> Float[Tensor, " batch"]:
        """Probability that a simulated spectrum is at least as strange as each of these images."""
        far = self.familiar.distances(self.committee.features(x).double(), x[:, 0].flatten(1))
        share = (1 + (self.usual >= far[:, None]).sum(1)) / (1 + len(self.usual))
        return (2 * share.amin(1)).clamp(max=1.0).double()
