"""When fine-tuning stops, and what it keeps: the best model by held-out rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from harmonium.datasets import Minibatches
from harmonium.deep.network import Network


@dataclass(frozen=True)
class Patience:
    """How many updates are made before fine-tuning stops for want of improvement.

    Held-out rows are looked at now and then (`judge`). After the last improvement, at update u,
    training goes on to update ``max(at_least, growth * u, u + after_best)``.

    Parameters
    ----------
    at_least
        Updates that are made in any case.
    after_best
        Updates without improvement that are waited for.
    growth
        By what factor an improvement lengthens the training, 1 or more.
    threshold
        What counts as an improvement is a score below this share of the best one so far. The best
        model is kept whether it counts or not.

    Raises
    ------
    ValueError
        If a number is out of its range.
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
        """The rule of the deep learning tutorials of Montréal (LISA lab, 2010), with its numbers.

        5,000 minibatches, and twice as many as have been seen at each improvement by half a
        per cent. The tutorials look at the held-out rows once an epoch, or after ``at_least / 2``
        minibatches where that is less.
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
        A copy of it.
    score
        Its `Network.criterion`; lower is better.
    update
        When it was.
    improved
        When the score was last lowered by as much as counts for `Patience`.
    """

    network: Network
    score: float
    update: int
    improved: int
