"""Columns by name: their positions, and which are missing or unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

_SHOWN = 12  # names in a message
_MOST_NAMED = 50  # names in an option that a message suggests


def places(columns: Sequence[str] | None, wanted: Sequence[str], name: str) -> list[int]:
    """The positions of these columns.

    Parameters
    ----------
    columns
        Names of the columns of the data; None if they have no names.
    wanted
        The wanted names, in order.
    name
        The name of the data for messages.

    Raises
    ------
    ValueError
        If a name is missing or occurs more than once, or if there are no names.
    """
    if columns is None:
        raise ValueError(
            f"the columns of {name} have no names; pass them, as in from_array(..., columns=[...])"
        )
    if not wanted:
        raise ValueError(f"no column of {name} was named; pass one or more of {listed(columns)}")
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise ValueError(
            f"{name} has no column {listed(missing)}; its columns are {listed(columns)}"
        )
    twice = repeated(wanted) or [column for column in repeated(columns) if column in wanted]
    if twice:
        raise ValueError(
            f"{listed(twice)} names more than one column of {name}; give columns different names"
        )
    place = {column: number for number, column in enumerate(columns)}
    return [place[column] for column in wanted]


def keyword(option: str, columns: Sequence[str | int]) -> str:
    """The option that names these columns, as spelled in messages: `drop=['id', 'date']`."""
    if len(columns) > _MOST_NAMED:
        return f"`{option}=NAMES`"
    said = [str(column) if isinstance(column, str) else column for column in columns]
    value = said[0] if len(said) == 1 else said
    return f"`{option}={value!r}`"


def repeated(columns: Iterable[str]) -> list[str]:
    """Names that occur more than once."""
    return [column for column, n in Counter(columns).items() if n > 1]


def listed(columns: Sequence[str]) -> str:
    """Names for a message; a long list is shortened."""
    shown = [repr(column) for column in columns[:_SHOWN]]
    more = len(columns) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
