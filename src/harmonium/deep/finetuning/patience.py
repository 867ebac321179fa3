"""Early stopping of fine-tuning, and the best model by held-out rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from harmonium.datasets import Minibatches
from harmonium.deep.network import Network


@dataclass(frozen=True)
class Patience:
    """Early stopping: when fine-tuning stops for lack of improvement.

    Held-out rows are evaluated during training (`judge`). If the last improvement was at update u,
    training stops at update ``max(at_least, growth * u, u + after_best)``.

    Parameters
    ----------
    at_least
        Minimum number of updates.
    after_best
        Number of updates to wait for an improvement.
    growth
        Factor by which an improvement lengthens training, 1 or more.
    threshold
        A score below this fraction of the best score so far counts as an improvement. The best
        model is kept in any case.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    at_least: int = 0
    after_best: int = 0
    growth: float = 1.0
    threshold: float = 1.0

    def __post_init__(self) -> None:
        for name in ("at_least", "after_best"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; pass 0 or more updates")
        if not (math.isfinite(self.growth) and self.growth >= 1):
            raise ValueError(f"growth is {self.growth}; pass 1 or more")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; pass a share above 0, up to 1")
        if not self.at_least and not self.after_best:
            raise ValueError("at_least and after_best are both 0: nothing would be trained")

    @classmethod
    def of_epochs(cls, n: int, batches: Minibatches) -> Self:
        """Stop after ``n`` epochs without improvement."""
        return cls(after_best=n * len(batches))

    @classmethod
    def classic(cls, at_least: int = 5_000, growth: float = 2.0, threshold: float = 0.995) -> Self:
        """The rule of the Montréal deep learning tutorials (LISA lab, 2010), with its numbers.

        At least 5,000 mini-batches, and twice as many as at each improvement of half a per cent.
        The tutorials evaluate held-out rows once per epoch, or every ``at_least / 2`` mini-batches
        if that is less.
        """
        return cls(at_least=at_least, growth=growth, threshold=threshold)

    def until(self, improved: int) -> int:
        """The update after which training stops, if the last improvement was at ``improved``."""
        return max(self.at_least, math.ceil(self.growth * improved), improved + self.after_best)


@dataclass
class Best:
    """The best model so far, by held-out rows.

    Attributes
    ----------
    network
        A copy of the network.
    score
        Its `Network.criterion`; lower is better.
    update
        The update at which it was reached.
    improved
        The update of the last improvement that counts for `Patience`.
    """

    network: Network
    score: float
    update: int
    improved: int
