"""Missing values of rows of numbers: NaN, and the user's own codes, such as -1 or 999."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets.masks import Mask
from harmonium.datasets.naming import keyword
from harmonium.datasets.narrowing import blocks
from harmonium.datasets.reading import Reading

_SHOWN = 3


def filled(
    rows: NDArray[Any], name: str, columns: Sequence[str] | None, reading: Reading
) -> tuple[NDArray[Any], NDArray[np.bool] | None, list[str]]:
    """Rows with the first observed value of a column in each hole.

    Returns
    -------
    rows
        Of the same type, or float32 if bytes had holes; the same array if nothing is missing.
    observed
        True where a value is observed, shape (n_rows, n); None if all are.
    notes
        How much is missing.

    Raises
    ------
    ValueError
        If a column has no value at all, or if a row of training has none; names the first.
    """
    codes = [float(code) for code in reading.missing_values if _is_number(code)]
    if rows.dtype == np.uint8 and not codes:
        return rows, None, []
    if not any((_missing(block, codes)).any() for block in blocks(rows)):
        return rows, None, []
    missing = np.concatenate([_missing(block, codes) for block in blocks(rows)])
    observed = ~missing
    if not reading.is_piece:
        refuse_empty_columns(observed, name, columns)
    if not reading.of_use:
        refuse_empty_rows(observed, name)
    wide = rows.copy()
    firsts = rows[observed.argmax(0), np.arange(rows.shape[1])]
    firsts[~observed.any(0)] = 0
    wide[missing] = np.broadcast_to(firsts, rows.shape)[missing]
    return wide, observed, [told(observed, columns)]


def first_values(values: Tensor, mask: Mask | None) -> Tensor:
    """The first observed value of each column, which stands where one is missing."""
    if mask is None:
        return values[0]
    first = mask.observed().to(torch.uint8).argmax(0)
    return values[first, torch.arange(values.shape[1])]


def refilled(values: Tensor, mask: Mask | None, firsts: Tensor) -> Tensor:
    """Values with these numbers where one is missing, as if all rows had been read at once."""
    return values if mask is None else torch.where(mask.observed(), values, firsts.to(values))


def refuse_empty_columns(
    observed: NDArray[np.bool], name: str, columns: Sequence[str] | None
) -> None:
    """Reject columns without any value; names them."""
    empty = np.flatnonzero(~observed.any(0))
    if len(empty):
        options: list[str | int] = [columns[n] if columns else n for n in empty.tolist()]
        which = f"column {options[0]!r}" if len(empty) == 1 else f"{len(empty)} columns"
        raise ValueError(
            f"{which} of {name} {'has' if len(empty) == 1 else 'have'} no value in any of the "
            f"{len(observed)} rows; {keyword('drop', options)} leaves "
            f"{'it' if len(empty) == 1 else 'them'} out"
        )


def refuse_empty_rows(observed: NDArray[np.bool], name: str) -> None:
    """Reject rows without any value, from which nothing is learned; names the first."""
    empty = np.flatnonzero(~observed.any(1))
    if len(empty):
        shown = ", ".join(map(str, empty[:_SHOWN].tolist()))
        raise ValueError(
            f"{len(empty)} {'row has' if len(empty) == 1 else 'rows have'} no value in any column "
            f"of {name}: {shown}{', ...' if len(empty) > _SHOWN else ''} (counted from 0); leave "
            f"{'it' if len(empty) == 1 else 'them'} out"
        )


_TOLD = " values are missing ("


def tells(note: str) -> bool:
    """Whether a note is one that `told` has made."""
    return _TOLD in note


def told(observed: NDArray[np.bool], columns: Sequence[str] | None) -> str:
    """How many values are missing, and in which columns most."""
    by_column = (~observed).sum(0)
    most: list[int] = np.argsort(-by_column, kind="stable")[:_SHOWN].tolist()
    shown = [f"{named(n, columns)} {by_column[n]:,}" for n in most if by_column[n]]
    n_missing, n_columns = int(by_column.sum()), int((by_column > 0).sum())
    more = ", ..." if n_columns > len(shown) else ""
    return (
        f"{n_missing:,} of {observed.size:,}{_TOLD}{n_missing / observed.size:.2%}), "
        f"in {int((~observed).any(1).sum()):,} of {len(observed):,} rows: {', '.join(shown)}{more}"
    )


def named(number: int, columns: Sequence[str] | None) -> str:
    """A column by its name; one that has none, or is named by a number, as ``column 3``."""
    name = str(number) if columns is None else columns[number]
    return f"column {name}" if name.isdecimal() else name


def _missing(block: NDArray[Any], codes: Sequence[float]) -> NDArray[np.bool]:
    missing = np.isnan(block) if block.dtype.kind == "f" else np.zeros(block.shape, bool)
    for code in codes:
        missing |= block == code
    return missing


def _is_number(code: str) -> bool:
    try:
        return math.isfinite(float(code))
    except ValueError:
        return False
