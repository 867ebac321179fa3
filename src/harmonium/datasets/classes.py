"""Labels: whole numbers are kept, text becomes numbered classes.

This module converts cells to `Data.labels` and `Data.classes`, and matches them to a model's
classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.cell_columns import MISSING_WORDS
from harmonium.datasets.cells import FALSE, TRUE, decode
from harmonium.datasets.labels import UNKNOWN_LABEL
from harmonium.datasets.reading import Reading


class Classes:
    """Labels that arrive in pieces; values are numbered by first occurrence."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._pieces: list[NDArray[np.int64]] = []
        self.missing: list[tuple[int, str]] = []
        self._n = 0

    def add(self, values: Sequence[str], index: NDArray[np.integer]) -> None:
        """Add a piece: distinct values, and for each row the number of its value; −1 for null."""
        cells = [value.strip() for value in values]
        known = [-1 if cell in MISSING_WORDS else self._codes.setdefault(cell, len(self._codes))
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

    def notes(self, reading: Reading) -> list[str]:
        """How many labels are missing, if some are; none for rows to which a model is applied."""
        n = self.n_missing
        if not n or reading.of_use:
            return []
        rows = ", ".join(str(row) for row, _ in self.missing[:3])
        return [
            f"{n:,} {'row has' if n == 1 else 'rows have'} no label: row {rows}"
            f"{', ...' if n > len(self.missing[:3]) else ''} (counted from 0)"
        ]

    def labels(self, reading: Reading) -> tuple[NDArray[np.generic], tuple[str, ...] | None]:
        """The labels, and the names of the classes if they are not numbers.

        If `Reading` names the classes of a model, all other labels are unknown. If it names those
        of the training rows, of which these are another part, others come after them.
        """
        codes = np.concatenate(self._pieces) if self._pieces else np.empty(0, np.int64)
        values = list(self._codes)
        if reading.of_use and reading.classes is None:
            whole = [_is_whole(value) for value in values]
            codes = np.append(np.where(whole, np.arange(len(values)), -1), -1)[codes]
            values = [
                value if is_whole else "0" for value, is_whole in zip(values, whole, strict=True)
            ]
        classes = reading.classes
        if classes is not None and not reading.of_use:
            known = set(map(_plain, classes))
            classes = (*classes, *(value for value in values if _plain(value) not in known))
        return numbered(values, codes, classes)


def numbered(
    values: Sequence[str], codes: NDArray[np.int64], classes: Sequence[str] | None = None
) -> tuple[NDArray[np.generic], tuple[str, ...] | None]:
    """Labels of rows with the values ``values[codes]``; −1 stands for no value.

    Returns
    -------
    labels
        Whole numbers unchanged; otherwise numbers from 0 in the order of the sorted values, which
        the second result lists. `UNKNOWN_LABEL` for missing values. Fractional numbers are returned
        unchanged; the caller rejects them.
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
    """A canonical value, so that 1, 1.0 and " 1" are the same class."""
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


def _is_whole(value: str) -> bool:
    number = _number(value)
    return number is not None and number == math.floor(number)


def _is_digits(value: str) -> bool:
    return value.strip().lstrip("+-").isdigit() and abs(int(value)) < 2**62


def is_truth(values: Iterable[str]) -> bool:
    """Whether all values are True or False."""
    return all(value in TRUE or value in FALSE for value in values)


@dataclass(frozen=True)
class Answers:
    """Labels or targets, or both, as in `Arrays`."""

    labels: NDArray[Any] | None = None
    classes: tuple[str, ...] | None = None
    targets: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()

    def with_(self, other: Answers) -> Answers:
        """The union of two, of different kinds."""
        return Answers(
            other.labels if self.labels is None else self.labels,
            other.classes if self.classes is None else self.classes,
            other.targets if self.targets is None else self.targets,
            (*self.notes, *other.notes),
        )

    def _cells(self) -> list[str]:
        """The labels, as class names."""
        assert self.labels is not None
        names = self.classes
        return [names[label] if names else str(label) for label in self.labels.tolist()]

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """Concatenate consecutive rows; keeps only what all parts have."""
        labels = classes = targets = None
        if all(part.labels is not None for part in parts):
            if any(part.classes is not None for part in parts):
                flat = [cell for part in parts for cell in part._cells()]
                values = list(dict.fromkeys(flat))
                place = {value: code for code, value in enumerate(values)}
                labels, classes = numbered(values, np.asarray([place[cell] for cell in flat]))
            else:
                labels = np.concatenate([part.labels for part in parts if part.labels is not None])
        if all(part.targets is not None for part in parts):
            targets = np.concatenate([part.targets for part in parts if part.targets is not None])
        return cls(labels, classes, targets, parts[0].notes)


def answers(values: NDArray[Any], are_targets: bool, key: str) -> Answers:
    """The meaning of an array: classes as numbers, words or one-hot rows, or targets.

    Parameters
    ----------
    values
        Shape (n_rows,), (n_rows, 1) or (1, n_rows), or (n_rows, n) for targets and one-hot labels.
    are_targets
        Whether numbers are targets, even if they are whole.
    key
        The name of the array for messages.
    """
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    if values.dtype.kind in "US":
        cells = [decode(cell) if isinstance(cell, bytes) else cell for cell in values.reshape(-1)]
        codes = Classes()
        codes.add(cells, np.arange(len(cells)))
        labels, classes = codes.labels(Reading())
        return Answers(labels, classes, notes=(f"labels: array {key}",))
    if values.dtype == np.bool and values.ndim == 1:
        values = values.astype(np.uint8)
    if are_targets or values.dtype.kind not in "iuf":
        return Answers(targets=values, notes=(f"targets: array {key}",))
    if values.ndim == 2 and values.shape[1] > 1:
        if values.size and ((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all():
            note = f"labels: array {key}, one-hot of {values.shape[1]} classes"
            return Answers(values.argmax(1), notes=(note,))
        return Answers(targets=values, notes=(f"targets: array {key}",))
    if np.isfinite(values).all() and (values % 1 != 0).any():
        return Answers(targets=values, notes=(f"targets: array {key}, which are not whole",))
    return Answers(values, notes=(f"labels: array {key}",))
