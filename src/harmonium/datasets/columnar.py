"""Arrow's columns as NumPy arrays, without a copy and without pandas.

This module reads Arrow's buffers. Arrow's ``to_numpy`` would import pandas if it is installed,
which takes longer than reading a small table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {"double": np.float64, "float": np.float32, "int32": np.int32}


def column_of(table: Any, number: int) -> Any:
    """A column of a table as one Arrow array."""
    column = table.column(number)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def numbers_of(column: Any) -> NDArray[Any]:
    """Numbers of a column of doubles, floats or int32; NaN for missing values.

    True and False are 1 and 0.
    """
    kind = str(column.type)
    if kind == "bool":
        bits: NDArray[Any] = _bits(column)
        if column.null_count:
            bits = np.where(nulls_of(column), np.nan, bits)
        return bits
    data = np.frombuffer(column.buffers()[1] or b"", _DTYPES[kind])
    data = data[column.offset : column.offset + len(column)]
    if column.null_count:
        data = np.where(nulls_of(column), -1 if kind == "int32" else np.nan, data)
    return data


def nulls_of(column: Any) -> NDArray[np.bool]:
    """True where a column has no value."""
    return _bits(column.is_null()).astype(bool)


def _bits(column: Any) -> NDArray[np.uint8]:
    packed = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return np.unpackbits(packed, bitorder="little")[column.offset : column.offset + len(column)]
