"""The loop of `harmonium.training`, over a network."""

from __future__ import annotations

from collections.abc import Iterator

from harmonium import training
from harmonium.arguments import check_type
from harmonium.datasets import Data, Minibatches
from harmonium.deep.finetuning.state import FinetuningState
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
    yield from training.updates(state, batches, epochs)


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
    yield from training.run(state, batches, epochs, every, held_out)
