"""Notes about columns of values that may be something else: classes, or row numbers.

This module only writes notes; it changes nothing, and the user can decide. It checks some of the
rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.naming import keyword

_ROWS, _CELLS = 2000, 1 << 20
_FEW = 20  # classes
_LEAST_ROWS = 10
_LEAST_PICTURE = 16  # pixels
_NAMES = (
    *("class", "classes", "y", "label", "labels", "species", "category", "target"),
    *("diagnosis", "outcome"),
)


def remarks(values: NDArray[Any], columns: Sequence[str] | None, has_label: bool) -> list[str]:
    """What the user should know about a table before training on all its columns.

    Parameters
    ----------
    values
        Shape (n_rows, n_columns).
    columns
        Names of the columns.
    has_label
        Whether the classes are known already.
    """
    some = values[: max(_LEAST_ROWS, min(_ROWS, _CELLS // values.shape[1]))]
    n_rows, n = some.shape
    if n_rows < _LEAST_ROWS or n < 2 or not np.isfinite(some).all():
        return []
    found = []
    for number in (0,) if columns is None else range(min(n, 3)):
        name = str(number) if columns is None else repr(columns[number])
        if _counts(some[:, number]):
            option = number if columns is None else columns[number]
            found.append(
                f"column {name} counts the rows, and is trained on like any other; "
                f"{keyword('drop', [option])} leaves it out"
            )
    if has_label:
        return found
    some = values[:: -(-len(values) // n_rows)]  # files may be sorted by class
    if not np.isfinite(some).all():
        return found
    for number in (n - 1, 0):
        others = some[:, :-1] if number else some[:, 1:]
        name = "" if columns is None else columns[number]
        if _is_few(some[:, number]) and (
            name.lower() in _NAMES
            or _are_real(others)
            or _is_beyond_states(some[:, number], others)
            or (not name and (_is_beside(others) or _has_fewest(some[:, number], others)))
        ):
            option = name or (-1 if number else 0)
            found.append(
                f"column {repr(name) if name else number} holds "
                f"{len(np.unique(some[:, number]))} whole numbers, as classes do, and is trained "
                f"on like any other; {keyword('label', [option])} takes it for labels"
            )
            break
    return found


def _counts(cells: NDArray[Any]) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    return bool(cells[0] in (0, 1)) and np.array_equal(
        cells, np.arange(len(cells), dtype=np.float64) + float(cells[0])
    )


def _is_few(cells: NDArray[Any]) -> bool:
    """Whether a column holds a few whole numbers, each several times."""
    different = np.unique(cells)
    return bool(
        2 <= len(different) <= min(_FEW, len(cells) // 3)
        and (different % 1 == 0).all()
        and np.ptp(different) < 2 * _FEW
    )


def _are_real(columns: NDArray[Any]) -> bool:
    """Whether every column holds numbers with decimals."""
    return bool((columns % 1 != 0).any(0).all())


def _is_beyond_states(cells: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether whole numbers above 1 occur only next to states or fractions of white."""
    return float(cells.max()) > 1 and float(others.min()) >= 0 and float(others.max()) <= 1


def _has_fewest(cells: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether a column has at most half as many different values as any other."""
    rows = np.sort(others, axis=0)
    different = 1 + (rows[1:] != rows[:-1]).sum(0)
    return 2 * len(np.unique(cells)) <= int(different.min())


def _is_beside(pixels: NDArray[Any]) -> bool:
    """Whether whole numbers next to a class are pixels of a square picture, with many values."""
    n = pixels.shape[1]
    is_square = n >= _LEAST_PICTURE and math.isqrt(n) ** 2 == n
    return is_square and bool((pixels % 1 == 0).all()) and float(pixels.max()) > 1
