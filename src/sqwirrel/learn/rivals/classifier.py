"""Classifier: which of some rival models made a spectrum, by a network whose decision lies on the spectrum's own axes.

The decision is a weighted sum of features, which are sums over places (`embedding`). The weights depend on all of them:
where two models differ depends on their parameters, which the whole spectrum tells.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from sqwirrel.learn.embed import Embedding, Features, Image, ScatteredEmbedding
from sqwirrel.learn.npe import initialise
from sqwirrel.learn.rivals.centroids import Centroids
from sqwirrel.learn.rivals.contest import Contest, Labelled
from sqwirrel.learn.rivals.embedding import PooledEmbedding
from sqwirrel.learn.train import held_rows
from sqwirrel.spectra import QPoints

MOMENTS, PIECES, BINS = 512, 4, 50_000_000
"""Images whose moments standardise all; how many times more have their components taken, of so many bins at most."""
HIDDEN = 256
"""Units of the layers that weigh features."""
CHUNK = 128
"""Images that are looked at together where many are."""
HELD, STEPS = 2048, 100
"""Spectra, of simulations that were not learnt from, that say the temperature, and most steps in search of it."""


class Head(nn.Module):
    """Log odds as a sum of features, with weights that depend on all of them."""

    def __init__(self, features: int, rivals: int) -> None:
        super().__init__()
        self.features, self.rivals = features, rivals
        self.base = nn.Linear(features, rivals)
        self.hidden = nn.Sequential(nn.Linear(features, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU())
        self.turn = Quiet(HIDDEN, rivals * features)

    def context(self, features: Features) -> Float32[Tensor, "batch hidden"]:
        """What weighs features. It is bounded: odds grow no faster than features."""
        found: Tensor = self.hidden((features / 2).tanh())
        return found

    def weight(self, features: Features) -> Float32[Tensor, "batch rival feature"]:
        """What a unit of each feature adds to the log odds."""
        change: Tensor = self.turn(self.context(features))
        every: Tensor = self.base.weight + change.reshape(-1, self.rivals, self.features)
        return every

    def forward(self, features: Features) -> Float32[Tensor, "batch rival"]:
        """Log odds, up to a constant."""
        return torch.einsum("brf,bf->br", self.weight(features), features) + self.base.bias


class Quiet(nn.Linear):
    """A layer that says nothing before it is trained."""

    def reset_parameters(self) -> None:
        """All zero."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class Classifier(nn.Module):
    """Logarithms of odds of `rivals`, up to a constant, for images of spectra; temperature 1 until it is fitted."""

    temperature: Tensor

    def __init__(self, embed: Embedding, rivals: int, seed: int = 0) -> None:
        super().__init__()
        self.embed, self.head, self.centroids = embed, Head(embed.size, rivals), Centroids(rivals, HIDDEN)
        self.register_buffer("temperature", torch.ones(()))
        self.seen: tuple[Tensor, Tensor] | None = None  # the last images and their features, which centroids see next
        initialise(self, seed)

    @classmethod
    def sized_for(cls, contest: Contest, seed: int = 0) -> "Classifier":
        """A network for the bins and the rivals of a contest, fitted to images of the simulations that `train` sees."""
        network, held = cls.empty(contest, seed), held_rows(contest)
        learnt = contest.split(held)[0] if held else contest
        first = learnt.batch(MOMENTS, seed, "moments").x
        network.embed.fit(first)
        if isinstance(network.embed, PooledEmbedding):
            n = max(1, min(PIECES, BINS // first[:, 0].numel()))
            pieces = (learnt.batch(MOMENTS, seed, f"components {k}") for k in range(n))
            network.embed.fit_components((piece.clean, piece.x) for piece in pieces)
        return network

    @classmethod
    def empty(cls, contest: Contest, seed: int = 0) -> "Classifier":
        """The same before it has seen any image."""
        parts = next(iter(contest.pairs.values())).parts
        measurements = [part.experiment.measurement for part in parts]
        if len(parts) == 1 and isinstance(measurements[0].points, QPoints):
            return cls(ScatteredEmbedding(measurements[0]), len(contest.names), seed)
        counted = [part.is_poisson for part in parts]
        return cls(PooledEmbedding(measurements, counted), len(contest.names), seed)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained: the network that tells rivals apart, and centroids that see what weighs its features."""
        return {
            "classifier": nn.ModuleDict({"embed": self.embed, "head": self.head}),
            "centroids": self.centroids,
        }

    def forward(self, x: Image) -> Float32[Tensor, "batch rival"]:
        """Log odds."""
        odds: Tensor = self.head(self.embed(x)) / self.temperature
        return odds

    @torch.no_grad()
    def features(self, x: Image) -> Features:
        """What the decision is made of."""
        known: Tensor = self.embed(x)
        return known

    @torch.no_grad()
    def context(self, x: Image) -> Float32[Tensor, "batch hidden"]:
        """What the features together say of how each is to be weighed."""
        found: Tensor = self.head.context(self.embed(x))
        return found

    def certainty(self, x: Image) -> Float32[Tensor, "batch rival"]:
        """How certain it is that each rival makes such images, 0 to 1; small for all where none does."""
        with torch.no_grad():
            certain: Tensor = self.centroids(self.context(x))
            return certain

    def loss(self, player: str, batch: Labelled) -> Float32[Tensor, ""]:
        """Mean of - log p(rival | x); that of the centroids."""
        if player == "centroids":
            known = self.seen[1] if self.seen is not None and self.seen[0] is batch.x else self.features(batch.x)
            self.seen = None
            return self.centroids.loss(self.head.context(known), batch.rival)
        features = self.embed(batch.x)
        self.seen = batch.x, features.detach()
        return nn.functional.cross_entropy(self.head(features) / self.temperature, batch.rival)

    def fit_temperature(self, contest: Contest, seed: int, spectra: int = HELD) -> None:
        """Makes probabilities as sure as they are right on the simulations that `train` holds out (C. Guo et al., On
        Calibration of Modern Neural Networks (2017), arXiv:1706.04599).
        """
        held = contest.split(held_rows(contest))[1]
        batch = held.batch(spectra, seed, "temperature")
        with torch.no_grad():
            odds = torch.cat([self(piece).double() for piece in torch.split(batch.x, CHUNK)]) * self.temperature
        log = torch.zeros((), dtype=torch.float64, requires_grad=True)
        doubt = 1 / (len(held) + 2)  # so many simulations say no more than that, though all be right
        search = torch.optim.LBFGS([log], max_iter=STEPS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            search.zero_grad()
            loss = nn.functional.cross_entropy(odds / log.exp(), batch.rival, label_smoothing=doubt)
            torch.autograd.backward(loss)
            return loss

        with torch.enable_grad():
            search.step(closure)  # type: ignore[no-untyped-call]
        self.temperature.copy_(log.detach().exp())


class Committee(nn.Module):
    """Classifiers that were trained apart; where they disagree none of them knows (B. Lakshminarayanan, A. Pritzel, C.
    Blundell, Deep Ensembles (2017), arXiv:1612.01474).
    """

    def __init__(self, members: Sequence[Classifier]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @torch.no_grad()
    def logs(self, x: Image) -> Float[Tensor, "member batch rival"]:
        """Logarithms of the probabilities by every member: exact where a probability is next to 0 or 1."""
        return torch.stack([member(x).double().log_softmax(1) for member in self.members])

    def each(self, x: Image) -> Float[Tensor, "member batch rival"]:
        """Probabilities by every member."""
        return self.logs(x).exp()

    def probability(self, x: Image) -> Float[Tensor, "batch rival"]:
        """The mean of all."""
        return self.each(x).mean(0)

    def disagreement(self, x: Image) -> Float[Tensor, " batch"]:
        """Mutual information between the answer and who gives it, nats; 0 if all say the same."""
        each = self.each(x)
        return _entropy(each.mean(0)) - _entropy(each).mean(0)


def _entropy(p: Float[Tensor, "*batch rival"]) -> Float[Tensor, "*batch"]:
    return -torch.xlogy(p, p).sum(-1)
