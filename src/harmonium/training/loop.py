"""The one loop over many updates, with or without rows of numbers in between."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from harmonium.arguments import check_count, check_type
from harmonium.datasets import Minibatches, Rows
from harmonium.kernels.threads import following
from harmonium.training.learner import Learner, Progress, Row, settle
from harmonium.training.watching import Look


def updates(state: Learner, batches: Minibatches, epochs: int) -> Iterator[int]:
    """Train until a total of ``epochs`` epochs, or early stopping, yielding after every update.

    Raises
    ------
    TypeError, ValueError
        At the first ``next()``, if an argument has the wrong type or is out of range, if the state
        cannot learn from the rows, or if all hidden units are identical.
    """
    _check(state, batches, epochs)
    targets = state.targets(batches)
    while state.update < epochs * len(batches) and not state.is_over:
        with following():
            _learn_(state, batches, targets)
            if state.update % len(batches) == 0:
                settle(state)
        yield state.update


def _learn_(state: Learner, batches: Minibatches, targets: Tensor | None) -> None:
    number, seed = state.update, state.seed
    if targets is None:
        batch, wanted = state.states(batches), None
    else:
        batch, wanted = batches.batch_with(targets, number, seed)
    state.learn_(batch, wanted, batches.batch_size, batches.weights(number, seed))


def run(
    state: Learner,
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
        Trained in place; what is said here is of an RBM, that of a network in `finetuning.run`.
        A partly trained state continues from where it is.
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
    watch = state.watch(batches, epochs * len(batches), every, held_out, monitor)
    yield from watched(state, batches, epochs, watch)


def watched(state: Learner, batches: Minibatches, epochs: int, watch: Progress) -> Iterator[Row]:
    """Train as `updates` does, and yield the rows of numbers that ``watch`` makes."""
    with following():
        watch(state)
    for _ in updates(state, batches, epochs):
        with following():
            row = watch(state)
        if row is not None:
            yield row


def _check(state: Learner, batches: Minibatches, epochs: int) -> None:
    check_type("state", state, Learner, "TrainingState.create(rbm)")
    check_type("batches", batches, Minibatches, "Minibatches(data, 100)")
    check_count("epochs", epochs, 0)
