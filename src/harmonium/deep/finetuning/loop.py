"""Generators of updates, and of rows of numbers."""

from __future__ import annotations

from collections.abc import Iterator

from harmonium.arguments import check_count, check_type
from harmonium.datasets import Data, Minibatches
from harmonium.deep.finetuning.judging import Watch
from harmonium.deep.finetuning.state import FinetuningState
from harmonium.deep.finetuning.updating import settle, update
from harmonium.training import Row


def updates(state: FinetuningState, batches: Minibatches, epochs: int) -> Iterator[int]:
    """Train until ``epochs`` epochs in total, or until early stopping.

    Yields after every update. Patience is checked before the next one, so the caller's loop can
    evaluate held-out rows (`judge`) in between.

    Raises
    ------
    ValueError
        Before the first update, for rows or targets that the network cannot learn from.
    """
    check_type("state", state, FinetuningState, "FinetuningState.create(network)")
    check_type("batches", batches, Minibatches, "Minibatches(data, 100)")
    check_count("epochs", epochs, 0)
    data = batches.data
    check_type("batches.data", data, Data, "Minibatches of Data")
    assert isinstance(data, Data)
    state.network.check(data)
    targets = state.network.targets(data)
    while state.update < epochs * len(batches) and not state.is_over:
        number = state.update
        weights = batches.weights(number, state.seed)
        if targets is None:
            v, wanted = batches.batch(number, state.seed), None
        else:
            v, wanted = batches.batch_with(targets, number, state.seed)
        update(state, v, wanted, batches.batch_size, weights)
        if state.update % len(batches) == 0:
            settle(state)
        yield state.update


def run(
    state: FinetuningState,
    batches: Minibatches,
    epochs: int,
    every: int | None = None,
    held_out: Data | None = None,
) -> Iterator[Row]:
    """Train, and yield a row of numbers every ``every`` updates.

    Parameters
    ----------
    state
        Trained in place; a state that has seen some epochs continues from there.
    batches
        The training data: rows with labels (`Data.labels`) for a classifier, with targets
        (`Data.targets`) for a regressor, rows alone for an autoencoder.
    epochs
        Total number of epochs, including those that ``state`` has seen; early stopping may end
        training sooner.
    every
        Updates between two rows; by default an epoch.
    held_out
        Rows for choosing the best model (`FinetuningState.model`) and for early stopping.

    Yields
    ------
    dict
        ``update``, ``epoch``, ``learning_rate``, ``loss`` (mean of `Network.losses` over training
        rows since the last row of numbers, with dropout and before each update), the result of
        `judge`, and ``rows_per_second`` of training.

    Raises
    ------
    ValueError
        Before the first update, for data that do not fit the network.
    """
    check_type("state", state, FinetuningState, "FinetuningState.create(network)")
    check_type("batches", batches, Minibatches, "Minibatches(data, 100)")
    if held_out is not None:
        check_type("held_out", held_out, Data, "Data, such as a part of what it learns from")
    watch = Watch(state, batches, held_out, every or len(batches), last=epochs * len(batches))
    for _ in updates(state, batches, epochs):
        row = watch(state)
        if row is not None:
            yield row
