"""Familiar to a committee of classifiers: like the images of any of the rivals that it was trained on."""

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.learn.embed import Image
from sqwirrel.learn.rivals.classifier import Classifier, Committee
from sqwirrel.learn.rivals.contest import Contest
from sqwirrel.learn.rivals.embedding import pictures
from sqwirrel.learn.strange.components import Components
from sqwirrel.learn.strange.denoiser import Denoiser
from sqwirrel.learn.strange.familiar import Familiar, Levelled, Mahalanobis, Score, by_parts
from sqwirrel.learn.strange.pixels import noisier
from sqwirrel.learn.train import held_rows
from sqwirrel.seeds import stream

REFERENCE = 1024
"""Images that scores are made from; as many say how they go with brightness, and as many what is usual. The least
probability that they can tell is the number of scores over this.
"""


def like_any(
    committee: Committee,
    contest: Contest,
    denoiser: Denoiser | None = None,
    seed: int = 0,
    *,
    images: int = REFERENCE,
) -> Familiar:
    """What images of the rivals of a contest look like to the classifiers that were trained on it.

    Scores are made from simulations that training saw, and what is usual is told by those that it holds out. Features
    of images with more noise are among those that an image is compared with, so that noise which is not quite the
    simulated one is not strange.
    """
    learnt, held = contest.split(held_rows(contest))
    made = learnt.batch(images, seed, "familiar")
    planes = pictures(next(iter(contest.pairs.values())).measurements)
    members = [member for member in committee.members if isinstance(member, Classifier)]
    rough = noisier(made.x, stream(seed, "noisier"))
    known = [Mahalanobis.of(by_parts(member.features, rough), made.rival) for member in members]

    def features(x: Image) -> Float[Tensor, " batch"]:
        pairs = zip(members, known, strict=True)
        return torch.stack([far(member.features(x).double()) for member, far in pairs]).mean(0)

    def centroids(x: Image) -> Float[Tensor, " batch"]:
        return torch.stack([member.centroids.distance(member.context(x)).amin(1) for member in members]).mean(0)

    scores: dict[str, Score] = {
        "features": features,
        "components": Components.of(made.x, planes).score,
        "centroids": centroids,
    }
    if denoiser is not None:
        scores["autoencoder"] = denoiser.score
    level = held.batch(images, seed, "brightness").x
    levelled = {name: Levelled.of(score, level) for name, score in scores.items()}
    return Familiar.of(levelled, held.batch(images, seed, "usual").x)
