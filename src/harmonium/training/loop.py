"""Loops over many updates, with or without rows of numbers in between."""

from __future__ import annotations

from collections.abc import Iterator

from harmonium.arguments import check_count, check_type, described
from harmonium.datasets import Minibatches, Rows, check_rows
from harmonium.training.state import TrainingState
from harmonium.training.updating import check_start, settle, update
from harmonium.training.watching import (
    Look,
    Row,
    Watch,
    check_every,
    default_every,
    default_monitor,
)


def updates(state: TrainingState, batches: Minibatches, epochs: int) -> Iterator[int]:
    """Train until a total of ``epochs`` epochs, yielding after every update.

    Raises
    ------
    TypeError, ValueError
        At the first ``next()``, if an argument has the wrong type or is out of range, or if all
        hidden units are identical.
    """
    _check(state, batches, epochs)
    for number in range(state.update, epochs * len(batches)):
        batch, weights = batches.batch(number, state.seed), batches.weights(number, state.seed)
        update(state, batch, batches.batch_size, weights)
        if state.update % len(batches) == 0:
            settle(state)
        yield state.update


def run(
    state: TrainingState,
    batches: Minibatches,
    epochs: int,
    every: int | None = None,
    held_out: Rows | None = None,
    monitor: Look | None = None,
) -> Iterator[Row]:
    """Train, and yield a row of numbers at regular intervals.

    Stopping early, plotting and saving are ordinary lines in the body of the caller's ``for``.

    Parameters
    ----------
    state
        Trained in place. A partly trained state continues from where it is.
    batches
        The training data.
    epochs
        Total number of epochs, including those that ``state`` has already seen.
    every
        Updates from one row to the next. The default is `default_every`, which gives about thirty
        rows or more.
    held_out
        Held-out rows to evaluate besides the training rows.
    monitor
        Evaluates the model instead of `default_monitor`, which uses rows of ``batches`` and of
        ``held_out``.

    Yields
    ------
    dict
        ``update``, ``epoch``, ``learning_rate``, what `Monitor` and `Monitor.log_likelihood`
        return, ``update_ratio`` (`diagnostics.update_ratio`), ``rows_per_second`` and
        ``sweeps_per_second`` (chains times sweeps); for tempered chains also `Replicas.row`.

    Raises
    ------
    TypeError, ValueError
        As `updates`.
    """
    _check(state, batches, epochs)
    if held_out is not None:
        check_rows("held_out", held_out)
    if monitor is not None and not callable(monitor):
        raise TypeError(f"monitor is {described(monitor)}; pass Monitor(data), or None")
    if every is not None:
        check_every(every)
    else:
        every = default_every(batches, state, epochs * len(batches))
    if monitor is None:
        monitor = default_monitor(state, batches, held_out, every, epochs * len(batches))
    watch = Watch(monitor, every, batches, last=epochs * len(batches))
    watch(state)
    for _ in updates(state, batches, epochs):
        row = watch(state)
        if row is not None:
            yield row


def _check(state: TrainingState, batches: Minibatches, epochs: int) -> None:
    check_type("state", state, TrainingState, "TrainingState.create(rbm)")
    check_type("batches", batches, Minibatches, "Minibatches(data, 100)")
    check_count("epochs", epochs, 0)
    if state.update == 0:
        check_start(state)
