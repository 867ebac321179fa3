"""Default batch sizes and epochs of the estimators, chosen by number of updates.

An epoch of a small table is only one or two updates, so the number of epochs says little about how
much is learned. The defaults are therefore numbers of updates, which grow with the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

BATCH_SIZE = 64
"""Rows per mini-batch, if there are that many."""

LARGE_BATCH_SIZE = 128
"""Small batches are avoided: there, the fixed cost of an update dominates."""

UPDATES_BEFORE_PATIENCE = 100
"""Patience counts epochs, and a small table needs many before anything is learned."""

MOST_UPDATES = 25_000
"""Upper limit of the defaults; more has to be requested."""


@dataclass(frozen=True)
class Updates:
    """Updates by default.

    Parameters
    ----------
    least
        As many at least.
    by_row
        Updates per row.
    few_rows
        Up to so many rows, one update per row.
    """

    least: int
    by_row: float
    few_rows: int = 0

    def epochs(self, n_rows: int, batch_size: int) -> int:
        """Passes over the rows that make about as many updates."""
        n_updates = max(self.least, min(n_rows, self.few_rows), int(self.by_row * n_rows))
        n_batches = -(-n_rows // batch_size)
        return max(1, round(min(n_updates, MOST_UPDATES) / n_batches))


# Initial weights are wide, so few updates of each layer suffice. Of many rows, features that are
# the result take 16 passes, and those below a network, which fine-tuning trains further, take 4.
FEATURES = Updates(50, 16 / BATCH_SIZE)
PRETRAINING = Updates(50, 4 / BATCH_SIZE)

# With adaptive step sizes: enough for a hundred rows, and for classes that are not linearly
# separable. Fewer steps and larger batches for targets, whose noise is easier to overfit.
FINETUNING = Updates(120, 1 / 2, few_rows=250)
REGRESSION = Updates(150, 1 / 2)
CLASSIFICATION = Updates(100, 1 / 2, few_rows=220)

# An autoencoder's updates pass through twice as many layers, and take twice as long.
UNROLLED_PRETRAINING = Updates(25, 1 / 10)
UNROLLED = Updates(90, 0.4)

FINETUNING_DECAY, DECAYING_UPDATES = 0.3, 250
"""Weight decay of adaptive steps, for this many updates; more updates share it."""

REGRESSION_DECAY = 0.5


def classification_batch_size_for(n_rows: int) -> int:
    """Rows per mini-batch of a classification RBM: a quarter of all, but from 64 to 128."""
    return min(n_rows, max(BATCH_SIZE, min(n_rows // 4, LARGE_BATCH_SIZE)))
