"""Which combinations of the model's parameters the data fix, and which they leave as the prior has them."""

from typing import Any, NamedTuple

import torch

from sqwirrel.infer.checks.identify import directions, spelled
from sqwirrel.report.result import Whole

SMALL = 0.1
"""Parameters with less than this part of the largest share are left out of the words."""


class Combination(NamedTuple):
    """In words, the largest share first; how many times narrower than the prior it is, by counting and with the misfit
    in its error; weights of all parameters.
    """

    text: str
    narrower: float
    misfit: float
    weights: dict[str, float]


def combinations(whole: Whole) -> list[Combination]:
    """Uncorrelated combinations of the free parameters of the model, the best known first; none of fewer than two."""
    posterior = whole.posterior
    columns = [k for k, name in enumerate(posterior.names) if name in whole.model_names]
    if len(columns) < 2:
        return []
    names = [posterior.names[k] for k in columns]
    sd = torch.tensor([whole.prior.free[name].sd for name in names], dtype=torch.float64)
    found = directions(names, posterior.draws[:, columns], posterior.log_weight.exp(), sd)
    covariance = (posterior.widened if posterior.tells_misfit else posterior).covariance[columns][:, columns]
    rows = []
    for each in reversed(found):
        w = torch.tensor(each.weights, dtype=torch.float64)
        share = (w * sd).abs()
        order = [k for k in share.argsort(descending=True).tolist() if share[k] >= SMALL * share.max()]
        w = w / w[order[0]]
        wider = float((w @ covariance @ w).clamp(min=0).sqrt() / (w * sd).norm())
        text = spelled([names[k] for k in order], w[order].tolist())
        rows.append(Combination(text, _over(each.ratio), _over(wider), dict(zip(names, w.tolist(), strict=True))))
    return rows


def _over(ratio: float) -> float:
    return 1 / max(ratio, 1e-300)


def as_mappings(found: list[Combination]) -> list[dict[str, Any]]:
    """Numbers for machines."""
    return [
        {
            "combination": each.text,
            "narrower_than_prior": each.narrower,
            "with_misfit": each.misfit,
            "weights": each.weights,
        }
        for each in found
    ]
