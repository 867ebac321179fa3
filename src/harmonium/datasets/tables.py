"""Readers of tables: text with separated columns, and Parquet.

Both fill one array that is made beforehand. A column named ``label`` or ``labels`` becomes the
labels, columns named ``target`` or ``target_...`` the targets; all columns must be numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays, as_bytes
from harmonium.datasets.reading import Reading

_LABELS = ("label", "labels")
_TARGET = "target"
_BLOCK_CELLS = 1 << 17


def _label_column(columns: Sequence[str]) -> int | None:
    names = [name.lower() for name in columns]
    return next((names.index(name) for name in _LABELS if name in names), None)


def _target_columns(columns: Sequence[str]) -> list[int]:
    return [
        number
        for number, name in enumerate(columns)
        if name.lower() in (_TARGET, f"{_TARGET}s") or name.lower().startswith(f"{_TARGET}_")
    ]


# Parquet


def read_parquet(path: Path, reading: Reading) -> Arrays:
    """Read the columns of a Parquet file, all of them numbers or booleans; null counts as NaN.

    The index columns that pandas adds are left out.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ImportError(
            f"reading {path.name} needs pyarrow, which is not installed; "
            "pip install 'harmonium[parquet]'"
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            return _read_parquet_file(file, path.name)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path.name} is damaged, or no Parquet file: {error}") from None


def _read_parquet_file(file: Any, name: str) -> Arrays:
    from pyarrow import types

    schema = file.schema_arrow
    columns = [field for field in schema if not field.name.startswith("__index_level_")]
    whole = [types.is_boolean(field.type) or types.is_integer(field.type) for field in columns]
    others = [
        f"{field.name!r} ({field.type})"
        for field, is_whole in zip(columns, whole, strict=True)
        if not is_whole and not types.is_floating(field.type)
    ]
    if others:
        raise TypeError(
            f"{name} has columns that are not numbers: {', '.join(others)}; leave them out, "
            "or number their categories"
        )
    names = [field.name for field in columns]
    label, wanted = _label_column(names), _target_columns(names)
    kept = [n for n in range(len(names)) if n != label and n not in wanted]
    values = np.empty((file.metadata.num_rows, len(kept)), np.float32)
    labels = None if label is None else np.empty(len(values))
    targets = np.empty((len(values), len(wanted))) if wanted else None
    # Column by column: pyarrow's batches of rows take several times the memory of a row group.
    start = 0
    for group in range(file.num_row_groups):
        rows = slice(start, start + file.metadata.row_group(group).num_rows)
        with np.errstate(over="ignore"):
            for target, column in enumerate(kept):
                values[rows, target] = _numbers(file, group, names[column])
        if labels is not None and label is not None:
            labels[rows] = _numbers(file, group, names[label])
        for target, column in enumerate(wanted):
            assert targets is not None
            targets[rows, target] = _numbers(file, group, names[column])
        start = rows.stop
    return Arrays(
        as_bytes(values) if all(whole[column] for column in kept) else values,
        labels,
        [names[column] for column in kept],
        targets=targets,
    )


def _numbers(file: Any, group: int, name: str) -> NDArray[Any]:
    """One column of one row group; booleans as 0 and 1, null as NaN."""
    from pyarrow import types

    cells = file.read_row_group(group, columns=[name]).column(name)
    numbers = cells.cast("uint8") if types.is_boolean(cells.type) else cells
    return cast(NDArray[Any], numbers.to_numpy())
