"""What the columns of a mixed table are, judged by what they hold.

Each threshold below is a constant with its reason. Nothing is judged where the user has said it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.datasets.cell_columns import CellColumn
from harmonium.datasets.encodings.table_columns import (
    OTHER,
    Bins,
    Categories,
    Category,
    Counts,
    Kind,
    RealNumbers,
    TableColumn,
)

# A weight of a word that occurs in fewer rows is hardly learned. Of small tables, it is this share.
RARE_ROWS, RARE_SHARE = 10, 1e-3
# One-hot units for more words cost time and rows; the rest is pooled.
MOST_CATEGORIES = 50
# Words that are pooled in more rows than this share tell little: names, identifiers, free text.
MOST_POOLED = 0.5
# With fewer rows, different words in each of them need not be identifiers.
LEAST_IDENTIFIED = 20
# Numbers with so few different values are levels, such as years of school. Each is in some rows: if
# one is rare, others may be missing here, and would be unknown to the model.
MOST_LEVELS, ROWS_A_LEVEL = 20, 5
# A Gaussian unit suits a column whose distribution function is this near to a normal one: a single
# value in a fifth of the rows, or a skewness of 1, is about as far as that.
NORMAL_DISTANCE = 0.1
# The share of that normal distribution that may lie beyond the values that occur: a model would say
# that somebody is -3 years old. Bins avoid that, if there are rows enough to fill them.
MOST_BEYOND = 0.02
# Bins of equal probability: so many rows at least in each, for a standard error of its share of a
# tenth, and no more bins than still make small steps.
ROWS_A_BIN, LEAST_BINS, MOST_BINS = 100, 4, 20
# How much smaller bins may be beside values that have a bin of their own.
MOST_SMALLER = 10
# Training values that are kept of each bin, from which draws are made.
SAMPLES_A_BIN = 16
# Numbers of which more than this share are different hardly ever repeat.
CONTINUOUS = 0.5

# Decimals of the user's numbers that are kept in samples, and how float32 rounds what is stored.
MOST_DECIMALS, ROUNDING = 6, 1e-7

_SHOWN = 30  # letters of a word in a message

_IDENTIFIER = re.compile(r"(.*[_ .-])?(id|uuid|guid|key|index|row|rownum)", re.I)


class LeftOut(NamedTuple):
    """A column that is no part of the model, and why."""

    name: str
    why: str
    is_constant: bool = False  # nothing to learn from, whatever kind it is said to be


@dataclass(frozen=True)
class _Numbers:
    """Different values of a column, ascending, and how many rows hold each."""

    values: NDArray[np.float64]
    counts: NDArray[np.intp]

    @property
    def n(self) -> int:
        return int(self.counts.sum())


def judged(column: CellColumn, table: str) -> TableColumn | LeftOut:
    """What a column is, by its cells; or why it is left out.

    Raises
    ------
    ValueError
        For dates.
    """
    found = _Numbers(*np.unique(column.observed, return_counts=True))
    if not found.n:
        return LeftOut(column.name, "no value at all", is_constant=True)
    if len(found.values) == 1:
        only = found.values[0] if column.words is None else column.words[int(found.values[0])]
        shown = repr(only) if column.words is not None else f"{only:g}"
        if column.dtype == "bool":
            shown = str(bool(only))
        gaps = " where it has a value" if found.n < len(column.values) else ""
        return LeftOut(column.name, f"always {shown}{gaps}", is_constant=True)
    if column.words is not None:
        column.refuse_dates(table)
        return _words(column, found)
    if len(found.values) == 2:
        return _levels(column, found)
    if _is_identifier(column, found):
        return LeftOut(column.name, "another whole number in each row, as identifiers have")
    if len(found.values) <= MOST_LEVELS and found.counts.min() >= ROWS_A_LEVEL:
        return _levels(column, found)
    if _is_normal(found):
        return _gaussian(column)
    return _binned(column, found)


def said(column: CellColumn, kind: Kind, table: str) -> TableColumn:
    """A column of the kind that the user named.

    Raises
    ------
    ValueError
        If its cells cannot be of that kind; names the first such row.
    """
    asked = f"`columns={{{column.name!r}: {kind!r}}}`"
    column = column.as_words() if kind == "categorical" and column.dtype != "bool" else column
    found = _Numbers(*np.unique(column.observed, return_counts=True))
    if len(found.values) < 2:
        raise ValueError(
            f"{asked}, but column {column.name!r} of {table} has "
            f"{'one value in all rows' if found.n else 'no value at all'}, from which there is "
            "nothing to learn; leave it out"
        )
    if kind == "binary" and len(found.values) != 2:
        raise ValueError(
            f"{asked}, but column {column.name!r} of {table} has {len(found.values)} different "
            "values; binary columns have two"
        )
    if kind in ("binary", "categorical", "ordinal"):
        if column.words is None:
            if len(found.values) > 10 * MOST_CATEGORIES:
                raise ValueError(
                    f"{asked}, but column {column.name!r} of {table} has {len(found.values):,} "
                    "different numbers; `binned` and `gaussian` suit such columns"
                )
            return _levels(column, found)
        if kind == "ordinal" and not column.ordered:
            raise ValueError(
                f"{asked}, but column {column.name!r} of {table} holds words without an order; "
                "make an ordered Categorical of them in pandas, or numbers"
            )
        return _pooled(column, found)[0]
    if column.words is not None:
        row = int(np.flatnonzero(~np.isnan(column.values))[0])
        raise ValueError(
            f"{asked}, but row {row}, column {column.name!r} of {table} holds "
            f"{column.words[int(column.values[row])]!r}, which is not a number (rows counted from "
            "0)"
        )
    if kind in ("binomial", "poisson"):
        trials = max(1, int(found.values[-1])) if kind == "binomial" else None
        counts = Counts(column.name, column.dtype, trials)
        wrong = np.flatnonzero(~np.isnan(column.values) & counts.fault(column.values))
        if len(wrong):
            raise ValueError(
                f"{asked}, but row {wrong[0]}, column {column.name!r} of {table} holds "
                f"{column.values[wrong[0]]:g}, and counts are whole numbers from 0 (rows counted "
                "from 0)"
            )
        return counts
    return _gaussian(column) if kind == "gaussian" else _binned(column, found)


def refitted(column: TableColumn, values: NDArray[np.float64]) -> TableColumn:
    """The column with mean, standard deviation or bins of these values alone.

    Parameters
    ----------
    column
        As judged by more rows.
    values
        Those of the training rows that are observed.
    """
    if len(values) == 0 or (values == values[0]).all():
        return column
    cells = CellColumn(column.name, column.dtype, values)
    if isinstance(column, RealNumbers):
        return _gaussian(cells)
    if isinstance(column, Bins):
        return _binned(cells, _Numbers(*np.unique(values, return_counts=True)))
    return column


def _words(column: CellColumn, found: _Numbers) -> TableColumn | LeftOut:
    pooled, n_pooled = _pooled(column, found)
    n_different = len(found.values)
    if n_different == found.n and found.n >= LEAST_IDENTIFIED:
        assert column.words is not None
        first = column.words[int(column.observed[0])][:_SHOWN]
        return LeftOut(
            column.name,
            f"another word in each row, such as {first!r}, as identifiers and free text have",
        )
    if n_pooled > MOST_POOLED * found.n:
        return LeftOut(
            column.name,
            f"{n_different:,} different words in {found.n:,} rows, most of them rare, as names "
            "and free text have",
        )
    return pooled


def _pooled(column: CellColumn, found: _Numbers) -> tuple[Categories, int]:
    """The categories of a column of words, and in how many rows they are pooled."""
    assert column.words is not None
    words = {column.words[int(k)]: int(n) for k, n in zip(found.values, found.counts, strict=True)}
    least = min(RARE_ROWS, math.ceil(RARE_SHARE * found.n))
    by_count = sorted(words, key=lambda word: (-words[word], word))
    kept = {word for word in by_count[:MOST_CATEGORIES] if words[word] >= least}
    if len(kept) < 2:
        kept = set(by_count[: MOST_CATEGORIES if len(by_count) <= MOST_CATEGORIES else 1])
    rare = [word for word in words if word not in kept]
    if column.ordered:  # in the user's order, without what occurs nowhere
        kept, rare = set(words), []
        order = [word for word in column.words if word in kept]
    else:
        order = sorted(kept - {OTHER} if rare else kept, key=_by_number)
    categories = (*order, OTHER) if rare else tuple(order)
    pooled = sum(words[word] for word in rare)
    own = Categories(column.name, column.dtype, categories, column.ordered, bool(rare))
    return own, pooled


def _by_number(word: str) -> tuple[float, str]:
    """Words in their order; numbers among them in theirs."""
    try:
        return float(word), word
    except ValueError:
        return math.inf, word


def _levels(column: CellColumn, found: _Numbers) -> Categories:
    categories: tuple[Category, ...] = tuple(
        bool(x) if column.dtype == "bool" else int(x) if x == int(x) else float(x)
        for x in found.values.tolist()
    )
    return Categories(column.name, column.dtype, categories, ordered=True)


def _is_identifier(column: CellColumn, found: _Numbers) -> bool:
    """Whether whole numbers differ in all rows, and count them or are called identifiers."""
    if found.n < LEAST_IDENTIFIED or len(found.values) < found.n:
        return False
    if not (found.values == np.floor(found.values)).all():
        return False
    counts = found.values[-1] - found.values[0] == found.n - 1
    return bool(counts) or _IDENTIFIER.fullmatch(column.name) is not None


def _is_normal(found: _Numbers) -> bool:
    """Whether a Gaussian unit describes a column: its distribution, and its range."""
    share = found.counts / found.n
    mean = float(share @ found.values)
    std = math.sqrt(float(share @ (found.values - mean) ** 2))
    after = np.cumsum(share)
    expected = torch.special.ndtr(torch.from_numpy((found.values - mean) / std)).numpy()
    distance = np.maximum(np.abs(after - expected), np.abs(after - share - expected)).max()
    beyond = expected[0] + 1 - expected[-1]
    has_full_bins = found.n >= MOST_BINS * ROWS_A_BIN
    return bool(distance <= NORMAL_DISTANCE and (beyond <= MOST_BEYOND or not has_full_bins))


def _gaussian(column: CellColumn) -> RealNumbers:
    there = column.observed
    mean, std = float(there.mean()), float(there.std())
    return RealNumbers(column.name, column.dtype, mean, std, _decimals(there))


def _decimals(values: NDArray[np.float64]) -> int | None:
    """How many decimals all values are written with, as far as float32 tells; None for many."""
    for decimals in range(MOST_DECIMALS + 1):
        if (np.abs(values - np.round(values, decimals)) <= ROUNDING * np.abs(values)).all():
            return decimals
    return None


def _binned(column: CellColumn, found: _Numbers) -> Bins:
    """Bins of about equal probability; a value that fills one alone has its own.

    Bins that such values do not need go to the others, so that the rest of a column that is nearly
    always 0 is told apart, too.
    """
    n_bins = min(MOST_BINS, max(LEAST_BINS, found.n // ROWS_A_BIN))
    alone = found.counts >= found.n / n_bins
    others = found.n - int(found.counts[alone].sum())
    wanted = max(others / max(1, n_bins - int(alone.sum())), found.n / n_bins / MOST_SMALLER)
    last: list[int] = []  # of each bin but the last, the number of its last value
    filled = 0
    for k, count in enumerate(found.counts.tolist()):
        if alone[k] and filled:  # ends the bin before it
            last.append(k - 1)
            filled = 0
        filled += count
        if alone[k] or filled >= wanted:
            last.append(k)
            filled = 0
    last = [k for k in last if k < len(found.values) - 1] or [(len(found.values) - 1) // 2]
    edges = tuple(
        float(found.values[k] + 0.5 * (found.values[k + 1] - found.values[k])) for k in last
    )
    samples = []
    for start, stop in zip(
        [0, *(k + 1 for k in last)], [*(k + 1 for k in last), None], strict=True
    ):
        repeated = np.repeat(found.values[start:stop], found.counts[start:stop])
        at = (np.arange(SAMPLES_A_BIN) + 0.5) / SAMPLES_A_BIN * len(repeated)
        own = repeated[at.astype(np.intp)] if len(repeated) > SAMPLES_A_BIN else repeated
        samples.append(tuple((own[:1] if (own == own[0]).all() else own).tolist()))
    continuous = len(found.values) > CONTINUOUS * found.n
    decimals = _decimals(found.values)
    return Bins(column.name, column.dtype, edges, tuple(samples), continuous, decimals)
