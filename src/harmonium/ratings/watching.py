"""Rows of numbers along the training of a model of ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.datasets import Minibatches
from harmonium.ratings.data import Ratings
from harmonium.ratings.rows import RatedRows
from harmonium.ratings.scores import log_probability, rmse
from harmonium.rng import Lane
from harmonium.training import Progress, Row

if TYPE_CHECKING:
    from harmonium.ratings.model import RatingRBM
    from harmonium.ratings.state import RatingState


class Watch(Progress):
    """Errors and log-probabilities of ratings.

    ``rmse`` is the root of the mean squared error, and ``rating_log_probability`` the mean
    log-probability, nats, of training ratings, each predicted from the others of its row: a
    pseudo-likelihood of what was observed. With ``held_out_`` before them they are of held-out
    ratings, predicted from the training ratings. At most 10,000 of each are looked at.
    """

    def __init__(
        self,
        state: RatingState,
        batches: Minibatches,
        held_out: Ratings | None,
        every: int,
        last: int,
    ) -> None:
        super().__init__(every, batches, last)
        rows = batches.data
        assert isinstance(rows, RatedRows)
        self._rows = rows
        streams = (Lane.WATCHED_ROWS.stream(state.seed, position) for position in (0, 1))
        self._train = _some(rows.ratings, next(streams))
        self._held_out = None if held_out is None else _some(held_out, next(streams))

    def numbers(self, state: RatingState) -> Row:  # noqa: D102
        found = _numbers(state.rbm, self._rows, self._train, "", own=True)
        if self._held_out is not None:
            found |= _numbers(state.rbm, self._rows, self._held_out, "held_out_", own=False)
            state.judge_(found["held_out_rmse"])
        return found


def _some(ratings: Ratings, stream: object) -> Ratings:
    if len(ratings) <= defaults.WATCHED_RATINGS:
        return ratings
    order = kernels.permutation(len(ratings), stream)  # type: ignore[arg-type]
    return ratings.take(order[: defaults.WATCHED_RATINGS].sort().values)


@torch.no_grad()
def _numbers(
    rbm: RatingRBM, rows: RatedRows, asked: Ratings, prefix: str, own: bool
) -> dict[str, float]:
    numbers, columns = asked.rows_and_columns(rows.orientation)
    some, at = numbers.unique(return_inverse=True)
    rated, pairs = rows.of(some)
    inputs = rbm.inputs_h_from_v(rated, rbm.exposure(pairs))
    levels: Tensor | None = asked.level if own else None
    found = rbm.probabilities(inputs, at, columns, levels)
    return {
        f"{prefix}rmse": rmse(rbm.expected(found), asked.values),
        f"{prefix}rating_log_probability": log_probability(found, asked.level),
    }
