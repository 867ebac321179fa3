"""How much is learned where users leave it open: batch sizes and epochs that count updates.

An epoch of a small table is an update or two, and from a number of epochs alone nothing follows
about what has been learned. So defaults are numbers of updates, which grow with the rows.
"""

from __future__ import annotations

BATCH_SIZE = 64
"""Rows a minibatch, where there are as many."""

PRETRAINING_UPDATES = 80
"""Of each layer, at least. Weights are wide at the start, so that few updates do."""

PRETRAINING_ROWS_AN_UPDATE = 4
"""More rows pay for an update each so many: 16 passes over them."""

FINETUNING_UPDATES = 200
"""With steps that adapt to each weight: enough for tables of a hundred rows."""

MOST_UPDATES = 25_000
"""Nobody waits for more without having asked for it."""


def batch_size_for(n_rows: int) -> int:
    """Rows a minibatch."""
    return min(n_rows, BATCH_SIZE)


def pretraining_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes over the rows that pretrain a layer."""
    n_updates = max(PRETRAINING_UPDATES, n_rows // PRETRAINING_ROWS_AN_UPDATE)
    return _epochs_of(n_updates, n_rows, batch_size)


def finetuning_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes over the rows that fine-tune a network: an update a row, and 200 at least."""
    return _epochs_of(max(FINETUNING_UPDATES, n_rows), n_rows, batch_size)


def _epochs_of(n_updates: int, n_rows: int, batch_size: int) -> int:
    n_batches = -(-n_rows // batch_size)
    return max(1, round(min(n_updates, MOST_UPDATES) / n_batches))
