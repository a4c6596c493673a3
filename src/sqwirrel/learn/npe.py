"""NPE: a neural posterior estimator, a spline flow over the unconstrained coordinates given features of a spectrum.

C. Durkan, A. Bekasov, I. Murray, G. Papamakarios, Neural Spline Flows (2019), arXiv:1906.04032; D. Greenberg,
M. Nonnenmacher, J. Macke, Automatic Posterior Transformation (2019), arXiv:1905.07488.
"""

import math
from collections.abc import Mapping, Sequence

import torch
import zuko
from jaxtyping import Float32
from torch import Tensor, nn

from sqwirrel.learn.embed import FEATURES, Embedding, Features, Image, embedding
from sqwirrel.learn.pairs import Batch, Pairs
from sqwirrel.seeds import stream

TRANSFORMS, HIDDEN = 4, (64, 64)


class NPE(nn.Module):
    """Log density and draws of z for images of spectra."""

    def __init__(self, embed: Embedding, parameters: int, seed: int = 0) -> None:
        super().__init__()
        self.embed = embed
        self.flow = zuko.flows.NSF(parameters, FEATURES, transforms=TRANSFORMS, hidden_features=HIDDEN)
        initialise(self, seed)

    @classmethod
    def sized_for(cls, pairs: Pairs, seed: int = 0, embed: Embedding | None = None) -> "NPE":
        """A network for the bins and the free parameters of some pairs, with an embedding of its own if given."""
        return cls(_fitted(pairs, seed, embed), len(pairs.prior.names), seed)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"posterior": self}

    def loss(self, player: str, batch: Batch) -> Float32[Tensor, ""]:
        """Mean of - log q(z | x)."""
        del player
        return -self.log_prob(batch.z, batch.x).mean()

    def log_prob(self, z: Float32[Tensor, "batch parameter"], x: Image) -> Float32[Tensor, " batch"]:
        """Log density of z for the image in the same row."""
        density: Tensor = self.flow(self.embed(x)).log_prob(z)
        return density

    def features(self, x: Image) -> Features:
        """What the flow knows of each image."""
        with torch.no_grad():
            known: Tensor = self.embed(x)
            return known

    def sample(self, x: Image, n: int, seed: int) -> Float32[Tensor, "batch n parameter"]:
        """`n` draws for every image."""
        with torch.no_grad(), _seeded(seed, "posterior"):
            drawn: Tensor = self.flow(self.embed(x)).sample((n,))
        return drawn.movedim(0, 1)


class Ensemble(nn.Module):
    """Estimators that were trained apart: their mean density, draws from each alike (B. Lakshminarayanan, A. Pritzel,
    C. Blundell, Deep Ensembles (2017), arXiv:1612.01474).
    """

    def __init__(self, members: Sequence[NPE]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def log_prob(self, z: Float32[Tensor, "batch parameter"], x: Image) -> Float32[Tensor, " batch"]:
        """Log of the mean density."""
        each = torch.stack([member.log_prob(z, x) for member in self.members])  # type: ignore[operator]
        return torch.logsumexp(each, 0) - math.log(len(self.members))

    def sample(self, x: Image, n: int, seed: int) -> Float32[Tensor, "batch n parameter"]:
        """`n` draws for every image, the members taking turns."""
        share = -(-n // len(self.members))
        each = [member.sample(x, share, seed + k) for k, member in enumerate(self.members)]  # type: ignore[operator]
        return torch.stack(each, 2).flatten(1, 2)[:, :n]

    def features(self, x: Image) -> Features:
        """Those of the first member."""
        known: Tensor = self.members[0].features(x)  # type: ignore[operator]
        return known


class Regressor(nn.Module):
    """A plain network for comparison: the mean of z, without an uncertainty, from the same features as `NPE`."""

    def __init__(self, embed: Embedding, parameters: int, seed: int = 0) -> None:
        super().__init__()
        self.embed, self.head = embed, nn.Linear(FEATURES, parameters)
        initialise(self, seed)

    @classmethod
    def sized_for(cls, pairs: Pairs, seed: int = 0) -> "Regressor":
        """A network for the bins and the free parameters of some pairs."""
        return cls(_fitted(pairs, seed), len(pairs.prior.names), seed)

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """What is trained."""
        return {"mean": self}

    def forward(self, x: Image) -> Float32[Tensor, "batch parameter"]:
        """The mean of z."""
        mean: Tensor = self.head(self.embed(x))
        return mean

    def loss(self, player: str, batch: Batch) -> Float32[Tensor, ""]:
        """Mean squared error."""
        del player
        return torch.nn.functional.mse_loss(self(batch.x), batch.z)


def _fitted(pairs: Pairs, seed: int, embed: Embedding | None = None) -> Embedding:
    """An embedding for the bins of some pairs, standardised on a few of them."""
    embed = embedding(*pairs.measurements) if embed is None else embed
    embed.fit(pairs.batch(min(512, len(pairs.simulations)), seed, "moments").x)
    return embed


class _seeded:  # noqa: N801 (a context)
    """Draws of torch's global generator that zuko uses, from a stream; it is as before afterwards."""

    def __init__(self, seed: int, label: str) -> None:
        self.start = int(torch.randint(2**62, (), generator=stream(seed, label)))

    def __enter__(self) -> None:
        self.before = torch.get_rng_state()
        torch.manual_seed(self.start)

    def __exit__(self, *_: object) -> None:
        torch.set_rng_state(self.before)


def initialise(network: nn.Module, seed: int) -> None:
    """Weights that depend on the seed alone."""
    with _seeded(seed, "weights"):
        for module in network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # type: ignore[operator]
