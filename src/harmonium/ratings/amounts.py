"""Default sizes of mini-batches and numbers of epochs, by the number of rows."""

from __future__ import annotations

from harmonium import defaults


def default_batch_size(n_rows: int) -> int:
    """Rows per mini-batch: 50, or fewer where an epoch would have less than 20 updates."""
    return min(defaults.RATING_BATCH_SIZE, -(-n_rows // defaults.RATING_BATCHES))


def default_epochs(n_batches: int) -> int:
    """Epochs: about 2,000 updates, but 60 epochs at most."""
    epochs = max(1, round(defaults.RATING_UPDATES / n_batches))
    return min(epochs, defaults.RATING_MOST_EPOCHS)
