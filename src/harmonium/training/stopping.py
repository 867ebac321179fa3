"""Early stopping, and the best model so far, by rows that are not trained on."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import torch
from torch import nn

from harmonium.datasets import Minibatches
from harmonium.rbm import RBM
from harmonium.training.learner import Row

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Patience:
    """Early stopping: when training stops for lack of improvement.

    Held-out rows are evaluated during training. If the last improvement was at update u,
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
class Best(Generic[M]):
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

    network: M
    score: float
    update: int
    improved: int

    def look_(self, network: M, score: float, update: int, patience: Patience | None) -> None:
        """Keep a network of such a score after an update if it is better."""
        if score < self.score:
            if score < self.score * (1.0 if patience is None else patience.threshold):
                self.improved = update
            self.score, self.update = score, update
            copy_parameters_(network, self.network)


@torch.no_grad()
def copy_parameters_(source: nn.Module, target: nn.Module) -> None:
    """Overwrite a model's parameters with those of another model of the same shape."""
    for mine, other in zip(target.parameters(), source.parameters(), strict=True):
        mine.copy_(other)


@dataclass
class EarlyStopping:
    """Early stopping: keeps the best model by held-out error.

    If errors are equal, as happens with few held-out rows, the lower log loss wins.

    Parameters
    ----------
    patience
        Training ends after this many epochs without a better model.

    Attributes
    ----------
    model
        A copy of the best model so far; None before the first evaluation.
    error, log_loss
        Held-out error and log loss of that model.
    epoch
        Epochs after which it was reached.
    last_epoch
        Epochs of the newest model.
    """

    patience: float
    error: float = math.inf
    log_loss: float = math.inf
    epoch: float = 0.0
    last_epoch: float = 0.0
    model: RBM | None = None

    def __post_init__(self) -> None:
        """Reject a patience that would end training before it starts."""
        if not self.patience > 0:
            raise ValueError(f"patience is {self.patience}; pass a positive number of epochs")

    @property
    def is_over(self) -> bool:
        """Whether training should end."""
        return self.last_epoch - self.epoch >= self.patience

    def look(self, model: RBM, row: Row) -> None:
        """Record a model and its row of numbers, which includes ``held_out_error``."""
        self.last_epoch = row["epoch"]
        if (row["held_out_error"], row["held_out_log_loss"]) < (self.error, self.log_loss):
            self.error, self.log_loss = row["held_out_error"], row["held_out_log_loss"]
            self.epoch = row["epoch"]
            self.model = copy.deepcopy(model)
