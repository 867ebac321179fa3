"""The loop of `harmonium.training`, over ratings."""

from __future__ import annotations

from collections.abc import Iterator

from harmonium.arguments import check_type
from harmonium.datasets import Minibatches
from harmonium.ratings.data import Ratings
from harmonium.ratings.state import RatingState
from harmonium.training import Row, watched


def run(
    state: RatingState,
    batches: Minibatches,
    epochs: int,
    every: int | None = None,
    held_out: Ratings | None = None,
) -> Iterator[Row]:
    """Train, and yield a row of numbers every ``every`` updates.

    Parameters
    ----------
    state
        Trained in place; a state that has seen some epochs continues from there.
    batches
        Mini-batches of `RatedRows`.
    epochs
        Total number of epochs, including those that ``state`` has seen; early stopping may end
        training sooner.
    every
        Updates between two rows; by default an epoch.
    held_out
        Ratings for choosing the best model (`RatingState.model`) and for early stopping.

    Yields
    ------
    dict
        ``update``, ``epoch``, ``learning_rate``, ``rows_per_second``, and what `Watch` measures.

    Raises
    ------
    TypeError, ValueError
        As `training.updates`, and for held-out ratings that are none.
    """
    check_type("state", state, RatingState, "RatingState.create(rbm)")
    watch = state.watch(batches, epochs * len(batches), every, held_out)
    yield from watched(state, batches, epochs, watch)
