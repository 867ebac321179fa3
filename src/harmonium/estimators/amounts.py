"""Default batch sizes and epochs of the estimators, chosen by number of updates.

An epoch of a small table is only one or two updates, so the number of epochs says little about how
much is learned. The defaults are therefore numbers of updates, which grow with the number of rows.
"""

from __future__ import annotations

BATCH_SIZE = 64
"""Rows per mini-batch, if there are that many."""

LARGE_BATCH_SIZE = 128
"""Small batches are avoided: there, the fixed cost of an update dominates."""

PRETRAINING_UPDATES = 50
"""Minimum updates of each layer. Initial weights are wide, so few updates suffice."""

PRETRAINING_PASSES = 4
"""Pretraining over many rows below a network, which fine-tuning trains further."""

FEATURE_PASSES = 16
"""Pretraining over many rows if the features are the result."""

FINETUNING_UPDATES = 120, 250
"""With adaptive step sizes: enough for a hundred rows, and for classes that are not linearly
separable."""

FINETUNING_DECAY, DECAYING_UPDATES = 0.3, 250
"""Weight decay of these steps, for this many updates; more updates share it."""

REGRESSION_UPDATES, REGRESSION_DECAY = 150, 0.5
"""Fewer steps and larger batches for targets, whose noise is easier to overfit."""

CLASSIFICATION_UPDATES = 100, 220
"""The same for a classification RBM."""

UPDATES_BEFORE_PATIENCE = 100
"""Patience counts epochs, and a small table needs many before anything is learned."""

MOST_UPDATES = 25_000
"""Upper limit of the defaults; more has to be requested."""


UNROLLED_PRETRAINING_UPDATES, UNROLLED_PRETRAINING_ROWS_AN_UPDATE = 25, 10
"""For an autoencoder: its updates pass through twice as many layers, and take twice as long."""

UNROLLED_UPDATES, UNROLLED_SHARE = 90, 0.4
"""Its fine-tuning: minimum updates, and updates per row."""


def batch_size_for(n_rows: int) -> int:
    """Rows per mini-batch."""
    return min(n_rows, BATCH_SIZE)


def regression_batch_size_for(n_rows: int) -> int:
    """Rows per mini-batch for training on targets."""
    return min(n_rows, LARGE_BATCH_SIZE)


def classification_batch_size_for(n_rows: int) -> int:
    """Rows per mini-batch of a classification RBM: a quarter of all, but from 64 to 128."""
    return min(n_rows, max(BATCH_SIZE, min(n_rows // 4, LARGE_BATCH_SIZE)))


def pretraining_epochs_for(n_rows: int, batch_size: int, passes: int) -> int:
    """Passes over the rows to pretrain a layer: this many, and at least 50 updates."""
    return _epochs_of(max(PRETRAINING_UPDATES, passes * n_rows // BATCH_SIZE), n_rows, batch_size)


def finetuning_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes to fine-tune a network: an update per row from 120 to 250, one per two rows beyond."""
    few, enough = FINETUNING_UPDATES
    return _epochs_of(max(few, min(n_rows, enough), n_rows // 2), n_rows, batch_size)


def regression_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes to train on targets: an update per two rows, and at least 150."""
    return _epochs_of(max(REGRESSION_UPDATES, n_rows // 2), n_rows, batch_size)


def classification_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes of a classification RBM: an update per row from 100 to 220, then one per two rows."""
    few, enough = CLASSIFICATION_UPDATES
    return _epochs_of(max(few, min(n_rows, enough), n_rows // 2), n_rows, batch_size)


def unrolled_pretraining_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes over the rows to pretrain a layer of an autoencoder."""
    n_updates = max(UNROLLED_PRETRAINING_UPDATES, n_rows // UNROLLED_PRETRAINING_ROWS_AN_UPDATE)
    return _epochs_of(n_updates, n_rows, batch_size)


def unrolled_epochs_for(n_rows: int, batch_size: int) -> int:
    """Passes over the rows to fine-tune an autoencoder."""
    return _epochs_of(max(UNROLLED_UPDATES, int(UNROLLED_SHARE * n_rows)), n_rows, batch_size)


def _epochs_of(n_updates: int, n_rows: int, batch_size: int) -> int:
    n_batches = -(-n_rows // batch_size)
    return max(1, round(min(n_updates, MOST_UPDATES) / n_batches))
