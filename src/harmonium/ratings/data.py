"""`Ratings`: who rated what, and how; rows of users or of items."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import kernels
from harmonium.arguments import described, meant
from harmonium.kernels import Rated
from harmonium.rng import Lane

Orientation = Literal["item", "user"]
"""Whose ratings a row of the model holds."""

Names = tuple[int, ...] | tuple[str, ...]

_MOST_LEVELS = 100
"""Ratings with more different values than this are probably another column."""

Where = Callable[[int], str]
"""Names a rating for messages, from its number."""


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings of items by users, each pair once.

    Attributes
    ----------
    users, items
        The names of all users and items, whole numbers or text.
    user, item
        Number of the user and of the item of each rating, int64, shape (n_ratings,).
    level
        Number of its level, from 0, int64, shape (n_ratings,).
    scale
        The values of the levels, ascending.
    name
        What they are called in messages.
    """

    users: Names
    items: Names
    user: Tensor
    item: Tensor
    level: Tensor
    scale: tuple[float, ...]
    name: str = "the ratings"

    @classmethod
    def of(
        cls,
        users: Any,
        items: Any,
        ratings: Any,
        *,
        scale: Sequence[float] | None = None,
        known: Ratings | None = None,
        name: str = "the ratings",
        where: Where | None = None,
    ) -> Self:
        """Ratings from three columns of a long table.

        Parameters
        ----------
        users, items
            Who rated and what, whole numbers or text, shape (n_ratings,).
        ratings
            Numbers, shape (n_ratings,).
        scale
            All values that a rating can have; by default those that occur.
        known
            Ratings whose scale, users and items come first; others get the numbers after theirs.
        name, where
            How messages call the table, and a rating of it.

        Raises
        ------
        ValueError
            If there are none; if names or ratings are missing; if a rating is not on the scale; or
            if a user rated an item twice. The message names the row.
        """
        where = where or (lambda row: f"row {row:,} (from 0)")
        columns = [np.asarray(column).ravel() for column in (users, items, ratings)]
        _check_lengths(columns, name)
        called, numbers = [], []
        before = (() if known is None else known.users, () if known is None else known.items)
        for what, column, first in zip(("user", "item"), columns[:2], before, strict=True):
            names, codes = _numbered(column, first, what, where, name)
            called.append(names)
            numbers.append(codes)
        values = _as_numbers(columns[2], where, name)
        if known is not None and scale is None:
            scale = known.scale
        found = _scale_of(values, name) if scale is None else check_scale(scale)
        level = _levels(values, found, where, name)
        _refuse_twice(numbers[0], numbers[1], columns, where, name)
        user, item = (torch.from_numpy(codes) for codes in numbers)
        return cls(called[0], called[1], user, item, torch.from_numpy(level), found, name)

    @classmethod
    def from_sparse(
        cls,
        matrix: Any,
        *,
        scale: Sequence[float] | None = None,
        known: Ratings | None = None,
        name: str = "the matrix",
    ) -> Self:
        """Ratings from a SciPy sparse matrix, shape (n_users, n_items).

        Stored entries are ratings, also stored zeros. Users and items are named by their numbers.
        """
        if not hasattr(matrix, "tocoo"):
            raise TypeError(f"{name} is {described(matrix)}; pass a SciPy sparse matrix")
        cells, (n_users, n_items) = matrix.tocoo(), matrix.shape

        def where(row: int) -> str:
            return f"the entry of row {cells.row[row]}, column {cells.col[row]}"

        found = cls.of(
            cells.row, cells.col, cells.data, scale=scale, known=known, name=name, where=where
        )
        return found._widened(range(n_users), range(n_items))

    def beside(self, known: Ratings) -> Self:
        """The same ratings, with the numbers and the scale of known users and items.

        Users and items that are new get the numbers after theirs.
        """
        users, items = (
            [names[number] for number in numbers.tolist()]
            for names, numbers in ((self.users, self.user), (self.items, self.item))
        )
        return self.of(users, items, self.values, known=known, name=self.name)

    def __len__(self) -> int:
        return len(self.level)

    @property
    def values(self) -> Tensor:
        """The ratings, float64, shape (n_ratings,)."""
        return torch.tensor(self.scale, dtype=torch.float64)[self.level]

    def rows_and_columns(self, orientation: Orientation) -> tuple[Tensor, Tensor]:
        """Number of the row and of the column of each rating."""
        return (self.item, self.user) if orientation == "item" else (self.user, self.item)

    def shape(self, orientation: Orientation) -> tuple[int, int]:
        """Rows and columns."""
        shape = len(self.users), len(self.items)
        return shape[::-1] if orientation == "item" else shape

    def rated(self, orientation: Orientation, shape: tuple[int, int] | None = None) -> Rated:
        """The rows of these ratings: of items, with a column for each user, or the reverse.

        ``shape`` asks for more rows or columns than there are names.
        """
        rows, columns = self.rows_and_columns(orientation)
        n_rows, n_columns = shape or self.shape(orientation)
        order = torch.argsort(rows * n_columns + columns)
        starts = torch.zeros(n_rows + 1, dtype=torch.int64)
        torch.cumsum(rows.bincount(minlength=n_rows), 0, out=starts[1:])
        return Rated(starts, columns[order], self.level[order], n_columns)

    def take(self, index: Tensor) -> Self:
        """Some of the ratings, of the same users and items."""
        return replace(self, user=self.user[index], item=self.item[index], level=self.level[index])

    def split(self, share: float, seed: int) -> tuple[Self, Self | None]:
        """Hold out a random share of the ratings; returns those to learn from, and the others.

        A rating is held out only if its user and its item have others.
        """
        n = round(share * len(self))
        if not n:
            return self, None
        order = kernels.permutation(len(self), Lane.HELD_OUT.stream(seed))
        is_needed = torch.zeros(len(self), dtype=torch.bool)
        for names, whose in ((self.users, self.user), (self.items, self.item)):
            last = torch.full((len(names),), -1, dtype=torch.int64)
            last[whose[order]] = order  # the last of several is the one that is kept
            is_needed[last[last >= 0]] = True
        free = order[~is_needed[order]][:n]
        if not len(free):
            return self, None
        kept = torch.ones(len(self), dtype=torch.bool)
        kept[free] = False
        return self.take(kept.nonzero()[:, 0]), self.take(free.sort().values)

    def joined(self, other: Ratings | None) -> Self:
        """These ratings and others of the same users and items."""
        if other is None:
            return self
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("user", "item", "level"))
        user, item, level = (torch.cat(pair) for pair in pairs)
        return replace(self, user=user, item=item, level=level)

    def number_of(self, name: object, whose: Literal["user", "item"]) -> int:
        """The number of a user or of an item by name; 42, 42.0 and "42" are the same.

        Raises
        ------
        ValueError
            If there is none; suggests the nearest name.
        """
        numbers = self._user_numbers if whose == "user" else self._item_numbers
        found = numbers.get(_text(name))
        if found is None:
            n = len(numbers)
            shown = ", ".join(list(numbers)[:3])
            there = f"there are {n:,} {whose}s: {shown}{', ...' if n > 3 else ''}"
            raise ValueError(
                f"{whose} {name!r} is unknown to the model; {meant(str(name), numbers, there)}"
            )
        return found

    def numbers_of(self, users: Iterable[Any], items: Iterable[Any]) -> tuple[Tensor, Tensor]:
        """Numbers of users and of items by name; those that are unknown get the one after all."""
        known = (self._user_numbers, users), (self._item_numbers, items)
        found = [[numbers.get(_text(x), len(numbers)) for x in names] for numbers, names in known]
        return torch.tensor(found[0], dtype=torch.int64), torch.tensor(found[1], dtype=torch.int64)

    @cached_property
    def _user_numbers(self) -> dict[str, int]:
        return {str(name): number for number, name in enumerate(self.users)}

    @cached_property
    def _item_numbers(self) -> dict[str, int]:
        return {str(name): number for number, name in enumerate(self.items)}

    def _widened(self, users: Sequence[int], items: Sequence[int]) -> Self:
        """The same ratings, with the numbers of all rows and columns as names, in order."""
        by_user = torch.tensor([int(name) for name in self.users], dtype=torch.int64)
        by_item = torch.tensor([int(name) for name in self.items], dtype=torch.int64)
        user, item = by_user[self.user], by_item[self.item]
        return replace(self, users=tuple(users), items=tuple(items), user=user, item=item)


def check_scale(scale: Sequence[float]) -> tuple[float, ...]:
    """The values of a scale as floats.

    Raises
    ------
    ValueError
        If they are fewer than two, more than 100, not ascending or not finite.
    """
    values = tuple(float(value) for value in scale)
    ascending = all(a < b for a, b in itertools.pairwise(values))
    if not (2 <= len(values) <= _MOST_LEVELS and ascending and all(map(math.isfinite, values))):
        raise ValueError(
            f"the scale is {', '.join(f'{v:g}' for v in values[:8])}; pass 2 to {_MOST_LEVELS} "
            "different numbers in ascending order, such as 1,2,3,4,5"
        )
    return values


def _check_lengths(columns: Sequence[NDArray[Any]], name: str) -> None:
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        counted = ", ".join(str(len(column)) for column in columns)
        raise ValueError(f"users, items and ratings have lengths {counted}; pass one of each")
    if lengths == {0}:
        raise ValueError(f"{name} holds no ratings; pass a table with at least one")


def _numbered(
    column: NDArray[Any], first: Names, what: str, where: Where, name: str
) -> tuple[Names, NDArray[np.int64]]:
    """Names of users or items, those known already first, and the number of each rating's."""
    kind = column.dtype.kind
    if kind == "f":
        bad = np.flatnonzero(~np.isfinite(column) | (column != np.floor(column)))
        if len(bad):
            raise ValueError(
                f"the {what} of {where(int(bad[0]))} in {name} is {column[bad[0]]}; name each by a "
                "whole number or by text"
            )
        column = column.astype(np.int64)
    elif kind in "OUS":
        missing = np.array([cell is None or cell != cell or cell == "" for cell in column], bool)
        bad = np.flatnonzero(missing)
        if len(bad):
            raise ValueError(
                f"the {what} of {where(int(bad[0]))} in {name} is missing; leave the row out"
            )
        column = _whole(np.array([_text(cell) for cell in column]))
    elif kind not in "iu":
        raise TypeError(f"the {what}s of {name} are {column.dtype}; pass whole numbers or text")
    names, codes = np.unique(column, return_inverse=True)
    listed = names.tolist()
    if not first:
        return tuple(listed), codes.reshape(-1).astype(np.int64)
    known = {str(each): number for number, each in enumerate(first)}
    own = np.array([known.setdefault(str(each), len(known)) for each in listed], np.int64)
    same = type(first[0])
    new = [each for each in listed if known[str(each)] >= len(first)]
    if any(type(each) is not same for each in new):
        first, new = tuple(map(str, first)), [str(each) for each in new]
    new.sort(key=lambda each: known[str(each)])
    return (*first, *new), own[codes.reshape(-1)]


def _text(name: object) -> str:
    """A name as text; a whole number in floating point, as in a column with gaps, is one."""
    is_whole = isinstance(name, float | np.floating) and float(name).is_integer()
    return str(int(name) if is_whole else name)  # type: ignore[call-overload]


def _whole(column: NDArray[Any]) -> NDArray[Any]:
    """Text as whole numbers, if all of it is written as such, without signs or leading zeros."""
    if all(cell.isdecimal() and (cell == "0" or cell[0] != "0") for cell in column):
        try:
            return column.astype(np.int64)
        except (ValueError, OverflowError):
            return column
    return column


def _as_numbers(column: NDArray[Any], where: Where, name: str) -> NDArray[np.float64]:
    """Ratings as numbers; text is read, and what is missing or no number is refused."""
    try:
        values = column.astype(np.float64)
    except (TypeError, ValueError):
        for row, cell in enumerate(column):
            try:
                float(cell)
            except (TypeError, ValueError):
                said = "missing" if cell in (None, "") else repr(str(cell))
                raise ValueError(
                    f"the rating of {where(row)} in {name} is {said}; pass a number, such as 4 or "
                    "3.5, or leave the row out"
                ) from None
        raise
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"the rating of {where(int(bad[0]))} in {name} is {values[bad[0]]}; leave out the rows "
            "of what was not rated"
        )
    return values


def _scale_of(values: NDArray[np.float64], name: str) -> tuple[float, ...]:
    found = np.unique(values)
    if len(found) > _MOST_LEVELS:
        raise ValueError(
            f"{name} holds {len(found):,} different ratings, from {found[0]:g} to {found[-1]:g}; "
            "check that this is the column of ratings, or round them to a few levels"
        )
    if len(found) < 2:
        raise ValueError(
            f"all ratings of {name} are {found[0]:g}; pass their `scale`, such as '1,2,3,4,5', if "
            "others are possible"
        )
    return tuple(found.tolist())


def _levels(
    values: NDArray[np.float64], scale: tuple[float, ...], where: Where, name: str
) -> NDArray[np.int64]:
    steps = np.array(scale)
    level = np.searchsorted(steps, values).clip(max=len(scale) - 1)
    bad = np.flatnonzero(steps[level] != values)
    if len(bad):
        shown = ", ".join(f"{value:g}" for value in scale)
        raise ValueError(
            f"the rating of {where(int(bad[0]))} in {name} is {values[bad[0]]:g}, which is not on "
            f"the scale {shown}; correct it, or say all values that a rating can have with `scale`"
        )
    return level.astype(np.int64)


def _refuse_twice(
    user: NDArray[np.int64],
    item: NDArray[np.int64],
    columns: Sequence[NDArray[Any]],
    where: Where,
    name: str,
) -> None:
    pairs = user * (int(item.max()) + 1) + item
    order = np.argsort(pairs, kind="stable")
    same = np.flatnonzero(np.diff(pairs[order]) == 0)
    if len(same):
        first = same[np.argmin(order[same + 1])]
        before, again = int(order[first]), int(order[first + 1])
        raise ValueError(
            f"user {columns[0][again]} rated item {columns[1][again]} twice in {name}: "
            f"{where(before)} and {where(again)}; keep one of them"
        )
