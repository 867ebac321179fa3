"""How much is learned where users leave it open: batch sizes and epochs that count updates.

An epoch of a small table is an update or two, and from a number of epochs alone nothing follows
about what has been learned. So defaults are numbers of updates, which grow with the rows.
"""

from __future__ import annotations

BATCH_SIZE = 64
"""Rows a minibatch, where there are as many."""

LARGE_BATCH_SIZE = 128
"""Of a small batch, what an update costs is hardly that of its rows."""

PRETRAINING_UPDATES = 50
"""Of each layer, at least. Weights are wide at the start, so that few updates do."""

PRETRAINING_PASSES = 4
"""Over many rows, below a network that is fine-tuned: it goes on from there by itself."""

FEATURE_PASSES = 16
"""Over many rows, where the features are the result."""

FINETUNING_UPDATES = 120, 250
"""With steps that adapt to each weight: enough for a hundred rows, and for shapes that no line
divides."""

FINETUNING_DECAY, DECAYING_UPDATES = 0.3, 250
"""Weight decay of these steps, over so many; where there are more, they share it."""

REGRESSION_UPDATES, REGRESSION_DECAY = 150, 0.5
"""Fewer steps and larger batches for targets: there is more noise to learn by heart."""

CLASSIFICATION_UPDATES = 100, 220
"""The same of a classification RBM."""

UPDATES_BEFORE_PATIENCE = 100
"""Patience counts epochs, of which a small table has many before anything is learned."""

MOST_UPDATES = 25_000
"""Nobody waits for more without having asked for it."""


UNROLLED_PRETRAINING_UPDATES, UNROLLED_PRETRAINING_ROWS_AN_UPDATE = 25, 10
"""Of an autoencoder: its updates go through twice as many layers, and take twice as long."""

UNROLLED_UPDATES, UNROLLED_SHARE = 90, 0.4
"""Its fine-tuning: at least, and updates a row."""


def batch_size_for(n_rows: int) -> int:
    """Rows a minibatch."""
    return min(n_rows, BATCH_SIZE)


def regression_batch_size_for(n_rows: int) -> int:
    """Rows a minibatch, of which a network learns targets."""
    return min(n_rows, LARGE_BATCH_SIZE)


def classification_batch_size_for(n_rows: int) -> int:
    """Rows a minibatch of a classification RBM: a quarter of all, but from 64 to 128."""
    return min(n_rows, max(BATCH_SIZE, min(n_rows // 4, LARGE_BATCH_SIZE)))


def pretraining_epochs_for(n_rows: int, batch_size: int, passes: int) -> int:
    """Passes over the rows that pretrain a layer: so many, and 50 updates at least."""
    return _epochs_of(max(PRETRAINING_UPDATES, passes * n_rows // BATCH_SIZE), n_rows, batch_size)


def finetuning_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes that fine-tune a network: an update a row from 120 to 250, and one for two beyond."""
    few, enough = FINETUNING_UPDATES
    return _epochs_of(max(few, min(n_rows, enough), n_rows // 2), n_rows, batch_size)


def regression_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes over the rows that learn targets: an update for two rows, and 150 at least."""
    return _epochs_of(max(REGRESSION_UPDATES, n_rows // 2), n_rows, batch_size)


def classification_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes of a classification RBM: an update a row from 100 to 220, and one for two beyond."""
    few, enough = CLASSIFICATION_UPDATES
    return _epochs_of(max(few, min(n_rows, enough), n_rows // 2), n_rows, batch_size)


def unrolled_pretraining_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes over the rows that pretrain a layer of an autoencoder."""
    n_updates = max(UNROLLED_PRETRAINING_UPDATES, n_rows // UNROLLED_PRETRAINING_ROWS_AN_UPDATE)
    return _epochs_of(n_updates, n_rows, batch_size)


def unrolled_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes over the rows that fine-tune an autoencoder."""
    return _epochs_of(max(UNROLLED_UPDATES, int(UNROLLED_SHARE * n_rows)), n_rows, batch_size)


def _epochs_of(n_updates: int, n_rows: int, batch_size: int) -> int:
    n_batches = -(-n_rows // batch_size)
    return max(1, round(min(n_updates, MOST_UPDATES) / n_batches))
