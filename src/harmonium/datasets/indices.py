"""Columns without a name: row numbers and names written by pandas or R, which are not values.

This module finds them, verifies them, and reports them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from harmonium.datasets.cells import decode
from harmonium.datasets.columns import Look
from harmonium.datasets.naming import keyword
from harmonium.datasets.reading import Reading

_UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)?")


class Index:
    """A column without a name; all its cells have to be checked.

    Parameters
    ----------
    number
        Number of the column.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.begin()

    def begin(self) -> None:
        """Reset."""
        self._pieces: list[Any] = []
        self._next = [0, 1]
        self._n = 0

    def add(self, cells: Any) -> None:
        """Add some cells, as a binary Arrow array."""
        if not self._pieces and self._next:
            expected = [np.arange(start, start + len(cells)).astype(str) for start in self._next]
            seen = cells.to_numpy(zero_copy_only=False)
            try:
                text = np.char.strip(seen.astype("S"))
            except (TypeError, ValueError):
                text = np.empty(0, "S1")
            still = [
                start + len(cells)
                for start, counted in zip(self._next, expected, strict=True)
                if np.array_equal(text, counted.astype("S"))
            ]
            if still:
                self._next = still
                self._n += len(cells)
                return
            start = self._next[0] - self._n
            self._pieces = [np.arange(start, start + self._n).astype(str).astype("S").tolist()]
            self._next = []
        self._pieces.append(cells.to_pylist())

    def _cells(self) -> list[bytes]:
        return [(cell or b"").strip() for piece in self._pieces for cell in piece]

    def names(self) -> list[str] | None:
        """The names of the rows; None if the column counts them or is empty."""
        cells = self._cells()
        return [decode(cell) for cell in cells] if any(cells) else None

    def note(self, looks: Sequence[Look], name: str) -> str:
        """A note that the column is left out, and why.

        Raises
        ------
        ValueError
            If its cells are neither row numbers or row names, nor all empty.
        """
        column = f"column {self.number}" + (
            f" ({looks[self.number].name!r})" if looks[self.number].name else ""
        )
        if not self._pieces:
            first = self._next[0] - self._n
            return f"index: {column} has no name and counts the rows from {first}; it is left out"
        cells = self._cells()
        if not any(cells):
            return f"{column} has neither a name nor a value; it is left out"
        look = looks[self.number]
        could_be = self.number == 0 or bool(look.name)  # pandas calls it "Unnamed: 0"
        if could_be and (look.kind == "text" or look.whole) and len({*cells}) == len(cells):
            return f"index: {column} has no name, and another value in each row; it names the rows"
        raise ValueError(
            f"column {self.number} of {name} has no name, and is no index: its values repeat or "
            f"have decimals; leave it out by {keyword('drop', [self.number])}, or name it in the "
            "header"
        )


def find_indices(looks: Sequence[Look], reading: Reading) -> list[Index]:
    """The columns without a name, if others have one."""
    if all(look.name is None for look in looks):
        # a separator at the end of each line starts an empty column
        is_nothing = len(looks) > 1 and looks[-1].kind == "empty" and not looks[-1].examples
        return [Index(len(looks) - 1)] if is_nothing else []
    named = {*reading.target, *reading.drop, reading.label}
    return [
        Index(number)
        for number, look in enumerate(looks)
        if (not look.name or _UNNAMED.fullmatch(look.name))
        and not named & {number, str(number), number - len(looks), look.name or number}
    ]
