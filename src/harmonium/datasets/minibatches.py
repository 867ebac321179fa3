"""Shuffled mini-batches, whose order depends only on the seed and the update."""

from __future__ import annotations

from os import PathLike
from typing import Protocol

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.arguments import described, is_whole
from harmonium.datasets import mapped
from harmonium.datasets.block_order import BlockOrder
from harmonium.datasets.masks import MaskedRows, masked_rows
from harmonium.datasets.weighing import checked_weights
from harmonium.rng import Lane, Stream


class Rows(Protocol):
    """Rows that are converted to states on request, such as `Data`.

    They may have ``unequal_weights``, as `Data` do, and then count by them.
    """

    @property
    def name(self) -> str:
        """Their name for messages."""

    @property
    def device(self) -> torch.device:
        """The device of the states, on which row numbers are required."""

    @property
    def n_columns(self) -> int:
        """Columns of the states."""

    def __len__(self) -> int: ...

    def rows(self, index: Tensor, stream: Stream | None = None) -> Tensor:
        """States of some rows, shape (len(index), n_columns), new memory."""

    def moments(self, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of every column, float64; rows count by weight."""


def check_rows(name: str, data: Rows) -> None:
    """Reject objects that do not provide rows as `Data` do, such as a tensor or a path.

    Raises
    ------
    TypeError
        Says how to create data from the object.
    """
    if not all(hasattr(data, attribute) for attribute in ("rows", "moments", "n_columns", "name")):
        made = "Data('mine', x)" if isinstance(data, Tensor) else "datasets.from_array(x)"
        if isinstance(data, str | PathLike):
            made = "datasets.load(path)"
        raise TypeError(f"{name} is {described(data)}; pass Data, such as {made}")


class Minibatches:
    """Mini-batches that contain every row once per epoch, in a new random order each epoch.

    Rows of weight 0 are in none of them.

    Rows on disk that are more than `mapped.BUFFER_BYTES` are shuffled block by block
    (`BlockOrder`), all others as a whole.

    There is no internal position: any batch can be requested directly, so a resumed run sees the
    same rows as an uninterrupted one. The rows stay in their stored form on their device; only the
    current batch is converted to floating-point states.

    Parameters
    ----------
    data
        The training rows.
    batch_size
        Rows per batch; the last of an epoch may be shorter. None for 100, or all rows if there are
        fewer.
    weights
        Weight of each row, shape (n_rows,), 0 or more: a row of weight 2 counts as two rows of
        weight 1. Every row still occurs once per epoch. Weights are normalised to mean 1, so only
        ratios matter. None for the weights of the data, if they have any.

    Attributes
    ----------
    row_weights
        Weight of each row of the data, float64, of mean 1 over the rows above 0; None for equal
        weights.

    Raises
    ------
    TypeError
        If the data are not `Data`, or a number has the wrong type.
    ValueError
        If a batch would be empty or larger than the data; if weights are not one per row, or are
        negative, not finite or all 0.
    """

    def __init__(
        self,
        data: Rows,
        batch_size: int | None = None,
        weights: Tensor | None = None,
    ) -> None:
        check_rows("data", data)
        counted = None  # the numbers of rows above weight 0, where there are others
        weights = getattr(data, "unequal_weights", None) if weights is None else weights
        if weights is not None:
            weights = checked_weights(weights, len(data), data.device)
            if not weights.all():
                counted = weights.nonzero()[:, 0]
            weights = weights / weights[weights > 0].mean()
        n_rows = len(data) if counted is None else len(counted)
        if batch_size is None:
            batch_size = min(defaults.BATCH_SIZE, n_rows)
        if not is_whole(batch_size):
            raise TypeError(f"batch_size is {described(batch_size)}; pass a whole number")
        if not 1 <= batch_size <= n_rows:
            raise ValueError(
                f"batch_size is {batch_size}, but {data.name} has {n_rows} training rows"
                f"{'' if counted is None else ' of a weight above 0'}; pass 1 to {n_rows}"
            )
        self.data = data
        self._counted = counted
        self._n_rows = n_rows
        self.batch_size = batch_size
        self.row_weights = weights
        self._order: tuple[int, int, Tensor] | None = None
        values = getattr(data, "values", None)
        self._by_block = None
        if isinstance(values, Tensor) and mapped.is_large(values):
            if counted is not None:
                raise ValueError(
                    f"{n_rows:,} of the {len(data):,} rows of {data.name} have a weight above 0, "
                    "and rows on disk are taken block by block; leave the others out of the file"
                )
            self._by_block = BlockOrder.of(values)

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-self._n_rows // self.batch_size)

    def batch(self, update: int, seed: int) -> Tensor:
        """The states that update number ``update`` learns from, shape (rows, n_columns)."""
        return self._states(self.rows(update, seed), update, seed)

    def masked_batch(self, update: int, seed: int) -> MaskedRows:
        """The same states, and which of them are observed, of data with missing values."""
        rows = self.rows(update, seed)
        return masked_rows(self.data, rows, Lane.BATCH.stream(seed, update))

    def batch_with(self, values: Tensor, update: int, seed: int) -> tuple[Tensor, Tensor]:
        """The same states, and the entries of ``values`` for their rows.

        Parameters
        ----------
        values
            One entry for each row of the data, such as its label, shape (n_rows, ...).
        update, seed
            As for `batch`.
        """
        rows = self.rows(update, seed)
        return self._states(rows, update, seed), values.index_select(0, rows)

    def weights(self, update: int, seed: int) -> Tensor | None:
        """Weight of each row of that batch, float64, shape (rows,); None for equal weights."""
        return None if self.row_weights is None else self.row_weights[self.rows(update, seed)]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Weighted mean and variance of every column, float64."""
        return self.data.moments(self.row_weights)

    def rows(self, update: int, seed: int) -> Tensor:
        """The numbers of the rows that update number ``update`` learns from, int64."""
        epoch, number = divmod(update, len(self))
        start = number * self.batch_size
        if self._by_block is not None:
            stop = min(start + self.batch_size, self._n_rows)
            return self._by_block.rows(epoch, seed, start, stop)
        return self._epoch_order(epoch, seed)[start : start + self.batch_size]

    def _states(self, rows: Tensor, update: int, seed: int) -> Tensor:
        return self.data.rows(rows, Lane.BATCH.stream(seed, update))

    def _epoch_order(self, epoch: int, seed: int) -> Tensor:
        """The order of an epoch's rows; the last result is cached."""
        if self._order is None or self._order[:2] != (epoch, seed):
            order = kernels.permutation(self._n_rows, Lane.EPOCH.stream(seed, epoch))
            order = order.to(self.data.device)
            order = order if self._counted is None else self._counted[order]
            self._order = (epoch, seed, order)
        return self._order[2]
