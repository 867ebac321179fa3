"""Labels as they are written: whole numbers stay what they are, text becomes numbered classes.

What belongs here is the way from cells to `Data.labels` and `Data.classes`, and back to a model's
classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.cells import FALSE, TRUE

UNKNOWN_LABEL = -(2**63)
"""The label of a row to be judged whose class is not known."""

_MISSING = frozenset(
    ("", "?", "NA", "N/A", "n/a", "#N/A", "nan", "NaN", "NAN", "null", "NULL", "<NA>")
)  # "none" and "-" may be classes


class Classes:
    """Labels that come in pieces, each value numbered as it first occurs."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._pieces: list[NDArray[np.int64]] = []
        self.missing: list[tuple[int, str]] = []
        self._n = 0

    def add(self, values: Sequence[str], index: NDArray[np.integer]) -> None:
        """Take a piece: distinct values, and for each row the number of its value; −1 for null."""
        cells = [value.strip() for value in values]
        known = [-1 if cell in _MISSING else self._codes.setdefault(cell, len(self._codes))
                 for cell in cells]  # fmt: skip
        codes = np.append(np.asarray(known, np.int64), -1)[index]
        for row in np.flatnonzero(codes < 0)[:3]:
            self.missing.append((self._n + int(row), cells[index[row]] if index[row] >= 0 else ""))
        self._pieces.append(codes)
        self._n += len(codes)

    @property
    def n_missing(self) -> int:
        """Rows without a label."""
        return sum(int((piece < 0).sum()) for piece in self._pieces)

    def labels(
        self, classes: Sequence[str] | None = None
    ) -> tuple[NDArray[np.generic], tuple[str, ...] | None]:
        """The labels, and what the classes are called where they have other names.

        Parameters
        ----------
        classes
            Names of a model's classes: labels are their numbers, and others are unknown.
        """
        codes = np.concatenate(self._pieces) if self._pieces else np.empty(0, np.int64)
        return numbered(list(self._codes), codes, classes)


def numbered(
    values: Sequence[str], codes: NDArray[np.int64], classes: Sequence[str] | None = None
) -> tuple[NDArray[np.generic], tuple[str, ...] | None]:
    """Labels of rows whose values are ``values[codes]``; −1 stands for no value.

    Returns
    -------
    labels
        Whole numbers as they are; else numbers from 0 in the order of the sorted values, which
        the second result names. `UNKNOWN_LABEL` where there is no value. Numbers with a fraction
        are returned as they are, for a caller to refuse.
    classes
        Names of the classes, or None.
    """
    if classes is not None:
        place = {_plain(name): number for number, name in enumerate(classes)}
        table = [place.get(_plain(value), UNKNOWN_LABEL) for value in values]
        return np.asarray([*table, UNKNOWN_LABEL], np.int64)[codes], tuple(classes)
    as_numbers = [_number(value) for value in values]
    if all(number is not None for number in as_numbers):
        whole = all(number == math.floor(number) for number in as_numbers if number is not None)
        if not whole:
            return np.asarray([*as_numbers, math.nan], np.float64)[codes], None
        exact = [int(value) if _is_digits(value) else int(float(value)) for value in values]
        return np.asarray([*exact, UNKNOWN_LABEL], np.int64)[codes], None
    order = sorted(range(len(values)), key=lambda code: values[code])
    place_of = np.full(len(values) + 1, UNKNOWN_LABEL, np.int64)
    place_of[order] = np.arange(len(values))
    return place_of[codes], tuple(values[code] for code in order)


def _plain(value: str) -> str:
    """A value such that 1, 1.0 and " 1" are the same class."""
    number = _number(value)
    return (
        str(int(number)) if number is not None and number == math.floor(number) else value.strip()
    )


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in value else None


def _is_digits(value: str) -> bool:
    return value.strip().lstrip("+-").isdigit() and abs(int(value)) < 2**62


def is_truth(values: Iterable[str]) -> bool:
    """Whether all values are True or False."""
    return all(value in TRUE or value in FALSE for value in values)
