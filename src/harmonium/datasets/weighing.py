"""`WeightedRows`: states of rows with how much each counts, and means over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harmonium.arguments import no_tensor
from harmonium.datasets import mapped
from harmonium.datasets.moments import effective_number, moments
from harmonium.kernels import few_of, permutation
from harmonium.rng import Stream

if TYPE_CHECKING:
    from harmonium.datasets.minibatches import Rows

_BLOCK = 1000  # rows processed at a time


@dataclass(frozen=True, eq=False)
class WeightedRows:
    """States of some rows, and how much each row counts, as one object.

    What takes means over rows takes either a tensor, whose rows count alike, or this. Rows of
    weight 0 are left out, and equal weights become None.

    Parameters
    ----------
    states
        Shape (n_rows, n_columns).
    weights
        Weight of each row, shape (n_rows,), 0 or more; None for rows that count alike. Only ratios
        matter.

    Raises
    ------
    TypeError
        If one of them is not a tensor.
    ValueError
        If weights are not one a row, or are negative, not finite or all 0.
    """

    states: Tensor
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        states, weights = self.states, self.weights
        if not isinstance(states, Tensor):
            raise no_tensor("states", states)
        if weights is None:
            return
        weights = checked_weights(weights, len(states), states.device)
        if not weights.all():
            states, weights = states[weights > 0], weights[weights > 0]
        object.__setattr__(self, "states", states)
        object.__setattr__(self, "weights", None if weights.eq(weights[0]).all() else weights)

    @classmethod
    def of(cls, rows: Tensor | WeightedRows, name: str = "visible") -> WeightedRows:
        """Rows as they are; those of a tensor count alike. TypeError for others, by their name."""
        if isinstance(rows, WeightedRows):
            return rows
        if not isinstance(rows, Tensor):
            raise no_tensor(name, rows)
        return cls(rows)

    @classmethod
    def from_data(
        cls, data: Rows, index: Tensor | None = None, stream: Stream | None = None
    ) -> WeightedRows:
        """Rows of data, with their weights.

        Parameters
        ----------
        data
            Rows such as `Data`.
        index, stream
            As for `Data.rows`; None for all rows.
        """
        if index is None:
            index = torch.arange(len(data), device=data.device)
        return cls(data.rows(index, stream), weights_of(data, index))

    def __len__(self) -> int:
        return len(self.states)

    @property
    def effective(self) -> float:
        """How many rows of equal weight tell as much (`moments.effective_number`)."""
        return len(self) if self.weights is None else effective_number(self.weights)

    def to(self, like: Tensor) -> WeightedRows:
        """The same rows on the device and in the type of another tensor."""
        return WeightedRows(self.states.to(like), self.weights)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Weighted mean and variance of every column, float64, as `Data.moments`."""
        return moments(self.states.split(_BLOCK), self.weights)

    def average(self, x: Tensor) -> Tensor:
        """Weighted mean over the first axis of numbers about these rows, shape (n_rows, ...)."""
        if self.weights is None:
            return x.mean(0)
        share = (self.weights / self.weights.sum()).to(x)
        mean: Tensor = torch.tensordot(share, x, 1)
        return mean

    def mean(self, values: Tensor) -> tuple[float, float]:
        """Weighted mean of one number a row, shape (n_rows,), and its standard error."""
        if self.weights is not None:
            return self.average(values).item(), math.sqrt(self.variance_of_mean(values))
        n = len(values)  # a single value has no spread
        return values.mean().item(), values.std().item() / math.sqrt(n) if n > 1 else math.nan

    def variance_of_mean(self, values: Tensor) -> float:
        """The square of the standard error of `mean`.

        It is that of rows drawn independently, whatever their weights stand for: the
        linearised variance of a ratio, Σw²(x − mean)² / (Σw)² (Cochran, 1977, "Sampling
        Techniques", chapter 6). It is divided by what that falls short of on average where weights
        say nothing about values, so that it is the usual one for equal weights. NaN for one row.
        """
        if len(values) < 2:
            return math.nan
        if self.weights is None:
            return values.var().item() / len(values)
        values = values.double()
        share = (self.weights / self.weights.sum()).to(values)
        squares = (share * (values - self.average(values))).square().sum().item()
        return squares / bessel(share)


def checked_weights(weights: object, n_rows: int, device: torch.device) -> Tensor:
    """Weights of rows in float64, on a device; ratios alone matter.

    Raises
    ------
    TypeError
        If they are not a tensor.
    ValueError
        If they are not one a row, or are negative, not finite or all 0.
    """
    if not isinstance(weights, Tensor):
        raise no_tensor("weights", weights)
    weights = weights.detach().to(device, torch.float64)
    good = (weights >= 0) & weights.isfinite()
    if weights.shape != (n_rows,) or not good.all() or not weights.any():
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}, or are negative, not finite or all 0; "
            f"pass shape ({n_rows},), 0 or more"
        )
    return weights


def bessel(share: Tensor) -> float:
    """What Σw²(x − mean)² is of Σw² var(x) on average, for weights that sum to 1.

    For n equal weights it is (n − 1) / n; in general, 1 − 2 Σw³ / Σw² + Σw².
    """
    squares = share.square().sum().item()
    return 1 - 2 * share.pow(3).sum().item() / squares + squares


def weights_of(data: Rows, index: Tensor | None = None) -> Tensor | None:
    """Weights of all rows, or of some; None if rows of the data count alike."""
    weights: Tensor | None = getattr(data, "unequal_weights", None)
    return weights if weights is None or index is None else weights.index_select(0, index)


def rows_by_weight(data: Rows, n: int, stream: Stream) -> Tensor:
    """Numbers of ``n`` rows drawn in proportion to their weights, which then count alike.

    For pictures of rows as a sample of their distribution. With weights, heavy rows come several
    times, as often as their weight says up to less than once (systematic sampling).
    """
    weights = weights_of(data)
    if weights is None:
        return some_rows(data, n, stream)
    order = some_rows(data, None, stream)
    n = min(n, len(order))
    share = weights[order].cumsum(0)
    places = (torch.arange(n, device=share.device) + 0.5) * (share[-1] / n)
    return order[torch.searchsorted(share, places).clamp_max(len(order) - 1)]


def some_rows(data: Rows, n: int | None, stream: Stream) -> Tensor:
    """Numbers of ``n`` rows in random order, none of weight 0; all such rows if there are fewer.

    They are drawn alike, and count by their weights afterwards.
    """
    weights = weights_of(data)
    counted = None if weights is None or bool(weights.all()) else weights.nonzero()[:, 0]
    n_rows = len(data) if counted is None else len(counted)
    order = order_of(data, n_rows, n, stream).to(data.device)
    return order if counted is None else counted[order]


def order_of(data: object, n_rows: int, n: int | None, stream: Stream) -> Tensor:
    """Numbers of the first ``n`` of this many rows in random order.

    Of many rows on disk they are others, and found in memory that grows with ``n`` alone.
    """
    values = getattr(data, "values", None)
    if n is not None and isinstance(values, Tensor) and mapped.is_large(values):
        return few_of(n_rows, min(n, n_rows), stream)
    return permutation(n_rows, stream)[:n]
