"""How good predictions of ratings are."""

from __future__ import annotations

import torch
from torch import Tensor


def rmse(predicted: Tensor, ratings: Tensor) -> float:
    """Root of the mean squared error of predicted ratings, in units of the scale."""
    return float((predicted - ratings).square().mean().sqrt())


def mae(predicted: Tensor, ratings: Tensor) -> float:
    """Mean absolute error of predicted ratings, in units of the scale."""
    return float((predicted - ratings).abs().mean())


def log_probability(probabilities: Tensor, levels: Tensor) -> float:
    """Mean log-probability of the levels that were given, nats."""
    own = probabilities.gather(1, levels[:, None])
    return float(own.clamp_min(torch.finfo(own.dtype).tiny).log().mean())


def ndcg(users: Tensor, predicted: Tensor, ratings: Tensor, k: int = 10) -> float:
    """Normalised discounted cumulative gain at ``k`` (Järvelin and Kekäläinen, 2002), 0 to 1.

    The items that a user rated are ranked by predicted rating. The gain of the item at rank i, from
    1, is ``2^rating − 1``, discounted by ``log2(i + 1)``; the sum over the first ``k`` is divided
    by that of the best ranking. The result is the mean over users. Of items with equal predictions,
    the one that comes first in the table is ranked first. Users whose gains are all zero are left
    out.

    Parameters
    ----------
    users
        Number of the user of each rating, int64, shape (n,).
    predicted, ratings
        Predicted and given ratings, shape (n,).
    k
        How many items are recommended.
    """
    if not len(users):
        return float("nan")
    gains = torch.exp2(ratings.double()) - 1
    sums = [_discounted(users, order, gains, k) for order in (predicted, gains)]
    made, best = sums
    some = best > 0
    return float((made[some] / best[some]).mean())


def _discounted(users: Tensor, by: Tensor, gains: Tensor, k: int) -> Tensor:
    """The discounted gains of the first ``k`` of each user, ranked by these numbers."""
    order = torch.argsort(by, descending=True, stable=True)
    order = order[torch.argsort(users[order], stable=True)]
    sorted_users = users[order]
    _, lengths = sorted_users.unique_consecutive(return_counts=True)
    first = torch.cumsum(lengths, 0) - lengths
    rank = torch.arange(len(users)) - first.repeat_interleave(lengths)
    discounted = torch.where(rank < k, gains[order] / torch.log2(rank + 2.0), 0.0)
    group = torch.arange(len(lengths)).repeat_interleave(lengths)
    return torch.zeros(len(lengths), dtype=torch.float64).index_add_(0, group, discounted)
