"""Whether the first line of a table is a header or a row.

This module answers only this question. If both are possible, it is an error: a header taken for a
row would be trained on, and a row taken for a header would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from harmonium.datasets import cells as written

_ROLES = ("label", "labels", "class", "target", "targets", "y", "index", "id", "species")
_FEW = 2  # columns for which a row may well be 0, 1
_ROWS_TO_TRUST = 10


def is_header(
    first: Sequence[str],
    body: Sequence[Sequence[str]],
    name: str,
    line: int,
    decimal: str = ".",
) -> bool:
    """Whether the first line is a header.

    Parameters
    ----------
    first
        Its cells.
    body
        The rows below it, with equally many cells.
    name, line
        The name of the table for messages, and the number of the line.
    decimal
        The decimal mark of the table.

    Raises
    ------
    ValueError
        If the line could be either.
    """
    kinds = [written.kind_of(cell, decimal) for cell in first]
    below = [[row[number] for row in body] for number in range(len(first))]
    numbers = [n for n, kind in enumerate(kinds) if kind in ("number", "truth")]
    names = [n for n, kind in enumerate(kinds) if kind == "text" and _has_letters(first[n])]
    if not numbers:
        return _is_all_names(first, names, below, decimal)
    known = {*numbers, *names}
    marks = [n for n in range(len(first)) if n not in known]
    if marks == [0] and not first[0]:
        marks = []  # there is no name above row numbers
    if marks or not all(written.is_whole(first[n]) for n in numbers):
        return False  # a row with a missing or damaged cell, or with decimals
    values = [int(first[n]) for n in numbers]
    rises = all(a < b for a, b in pairwise(values))
    runs = values == list(range(values[0], values[0] + len(values))) and rises
    misfits = sum(
        not _fits(value, below[n], decimal) for n, value in zip(numbers, values, strict=True)
    )
    if len(numbers) == len(first):
        return _is_numbered(values, runs, rises, misfits, below, name, line)
    if any(first[n] in below[n] for n in names) or not runs:
        return False
    if not names:  # the first cell is empty: pandas writes no name above row numbers
        counts = _counts_rows(below[0])
        if not counts and misfits < len(numbers):
            raise _either(first, name, line)
        return True
    are_roles = all(first[n].lower() in _ROLES or first[n].startswith("Unnamed") for n in names)
    if misfits < len(numbers) and not (are_roles and misfits):
        if are_roles and values[0] in (0, 1):
            raise _either(first, name, line)
        return False
    if len(numbers) <= _FEW and not are_roles:
        raise _either(first, name, line)
    return True


def could_be_numbers(cells: Sequence[str]) -> bool:
    """Whether a line is 0, 1, ... as pandas numbers columns."""
    return list(cells) == [str(number) for number in range(len(cells))]


def _is_all_names(
    first: Sequence[str], names: Sequence[int], below: Sequence[Sequence[str]], decimal: str
) -> bool:
    """Whether a line without numbers is a header: there are numbers below, or rows differ."""
    if not names:
        return False
    if not any(below):
        return True
    if any(_is_mostly_numbers(below[n], decimal) for n in names):
        return True
    return len({*first}) == len(first) and not any(first[n] in below[n] for n in names)


def _is_numbered(
    values: Sequence[int],
    runs: bool,
    rises: bool,
    misfits: int,
    below: Sequence[Sequence[str]],
    name: str,
    line: int,
) -> bool:
    """Whether a line of whole numbers is a header, as pandas writes for columns without names."""
    n = len(values)
    rows = len(below[0])
    if not runs or values[0] not in (0, 1):
        decimals = rows and all(not any(map(written.is_whole, cells)) for cells in below)
        if rises and n > _FEW and decimals and rows > 1:
            raise _either(values, name, line)
        return False
    second = [cells[0] for cells in below] if rows else []
    if not rows or second == [str(value + n) for value in values]:
        return False  # the rows continue the count
    if n <= _FEW:
        # every other two-valued row starts like this
        if values[0] == 0 and misfits == n:
            raise _either(values, name, line)
        return False
    if misfits == n or (misfits and rows >= _ROWS_TO_TRUST):
        return True
    raise _either(values, name, line)


def _fits(value: int, cells: Sequence[str], decimal: str) -> bool:
    """Whether a whole number could be a value of a column, which has whole numbers around it."""
    whole = [int(cell) for cell in cells if written.is_whole(cell)]
    return bool(whole) and min(whole) <= value <= max(whole)


def _counts_rows(cells: Sequence[str]) -> bool:
    return cells[:1] in (["0"], ["1"]) and all(
        cell == str(number) for number, cell in enumerate(cells, int(cells[0]))
    )


def _is_mostly_numbers(cells: Sequence[str], decimal: str) -> bool:
    kinds = [written.kind_of(cell, decimal) for cell in cells]
    numbers = sum(kind in ("number", "truth") for kind in kinds)
    return numbers > sum(kind == "text" for kind in kinds)


def _has_letters(cell: str) -> bool:
    return any(character.isalpha() for character in cell)


def _either(cells: Sequence[object], name: str, line: int) -> ValueError:
    shown = ", ".join(map(str, cells[:5])) + (", ..." if len(cells) > 5 else "")
    return ValueError(
        f"line {line} of {name} ({shown}) could be a header of column numbers, as pandas writes "
        "one, or a row; say which by `header=True` or `header=False`"
    )
