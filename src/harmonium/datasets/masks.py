"""`Mask`: which values of rows are observed; and states of rows beside what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from torch import Tensor

from harmonium.rng import Stream

_BLOCK = 1000  # rows processed at a time


@dataclass(frozen=True, eq=False)
class Mask:
    """Which values of rows are observed, one bit a value; the others are missing.

    Parameters
    ----------
    bits
        uint8, shape (n_rows, ⌈n_columns / 8⌉), the first column in the highest bit. `of` makes it.
    n_columns
        Values of a row.
    """

    bits: Tensor
    n_columns: int

    def __post_init__(self) -> None:
        expected = -(-self.n_columns // 8)
        if self.bits.dtype != torch.uint8 or self.bits.shape[1:] != (expected,):
            raise ValueError(
                f"the bits of a mask of {self.n_columns} columns are {self.bits.dtype} of shape "
                f"{tuple(self.bits.shape)}; pass uint8 of shape (n_rows, {expected}), or make it "
                "with Mask.of(observed)"
            )

    @classmethod
    def of(cls, observed: Tensor) -> Mask:
        """The mask of a table of booleans, bool, shape (n_rows, n_columns): True is observed."""
        if observed.dtype != torch.bool or observed.dim() != 2:
            raise TypeError(
                f"observed is {observed.dtype} of shape {tuple(observed.shape)}; pass bool of "
                "shape (n_rows, n_columns)"
            )
        bits = np.packbits(observed.cpu().numpy(), axis=1)
        return cls(torch.from_numpy(bits).to(observed.device), observed.shape[1])

    def __len__(self) -> int:
        return len(self.bits)

    def __repr__(self) -> str:
        return f"Mask({len(self)} rows × {self.n_columns} columns, {self.n_missing} missing)"

    def observed(self, index: Tensor | slice | None = None) -> Tensor:
        """Whether each value is observed, of some rows or all: bool, shape (rows, n_columns)."""
        bits = self.bits if index is None else self.bits[index]
        places = torch.arange(7, -1, -1, dtype=torch.uint8, device=bits.device)
        return (bits.unsqueeze(2) >> places & 1).flatten(1)[:, : self.n_columns].bool()

    def take(self, rows: Tensor | slice) -> Mask:
        """The mask of some rows."""
        return Mask(self.bits[rows], self.n_columns)

    def columns(self, numbers: Tensor) -> Mask:
        """The mask of some columns, by number."""
        return Mask.of(self.observed()[:, numbers])

    def to(self, device: torch.device | str) -> Mask:
        """The same mask on a device."""
        return Mask(self.bits.to(device), self.n_columns)

    @cached_property
    def missing_by_column(self) -> Tensor:
        """How many values of each column are missing, int64, shape (n_columns,)."""
        missing = torch.zeros(self.n_columns, dtype=torch.int64, device=self.bits.device)
        for first in range(0, len(self), _BLOCK):
            missing += (~self.observed(slice(first, first + _BLOCK))).sum(0)
        return missing

    @property
    def n_incomplete(self) -> int:
        """In how many rows a value is missing."""
        blocks = (slice(first, first + _BLOCK) for first in range(0, len(self), _BLOCK))
        return sum(int((~self.observed(rows)).any(1).sum()) for rows in blocks)

    @property
    def n_missing(self) -> int:
        """How many values are missing."""
        return int(self.missing_by_column.sum())


@dataclass(frozen=True, eq=False)
class MaskedRows:
    """States of rows, and which of their columns are observed.

    Attributes
    ----------
    states
        float32, shape (rows, n_columns). Where nothing is observed it holds some state of the
        column, which means nothing.
    observed
        bool, shape (rows, n_columns). The columns of a one-hot unit are observed together.
    """

    states: Tensor
    observed: Tensor

    def __len__(self) -> int:
        return len(self.states)

    def where_observed(self, otherwise: float = 0.0) -> Tensor:
        """The observed states, and this number in place of the others; new memory."""
        return torch.where(self.observed, self.states, otherwise)


class Masked(Protocol):
    """Rows of which values may be missing, as `Data` are."""

    mask: Mask | None

    @property
    def name(self) -> str:
        """Their name for messages."""

    @property
    def device(self) -> torch.device:
        """The device of the states."""

    def __len__(self) -> int: ...

    def masked_rows(self, index: Tensor, stream: Stream | None = None) -> MaskedRows:
        """States of some rows, and which of them are observed."""

    def observed(self, index: Tensor) -> Tensor:
        """Whether each state column of some rows is observed."""

    def moments(self, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of every column where it is observed, float64."""


def has_missing(data: object) -> TypeGuard[Masked]:
    """Whether values of these rows are missing; rows without a mask have all of them."""
    return getattr(data, "mask", None) is not None


def masked_rows(data: Any, index: Tensor, stream: Stream | None = None) -> MaskedRows:
    """States of some rows, as `Data.rows`, and which of them are observed, if need be all."""
    if has_missing(data):
        return data.masked_rows(index, stream)
    states = data.rows(index, stream)
    return MaskedRows(states, torch.ones_like(states, dtype=torch.bool))


def refuse_missing(data: object, what: str) -> None:
    """Refuse rows with missing values for ``what``, which takes none; names how many there are.

    Raises
    ------
    ValueError
        If values are missing.
    """
    if has_missing(data):
        assert data.mask is not None
        raise ValueError(
            f"{data.mask.n_missing:,} values of {data.name} are missing, and {what} takes whole "
            "rows; leave those rows or columns out, or fill them in"
        )
