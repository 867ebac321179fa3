"""Readers of tables: text with separated columns, and Parquet.

Both fill one array that is made beforehand. A column named ``label`` or ``labels`` becomes the
labels, columns named ``target`` or ``target_...`` the targets; all columns must be numbers.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays, as_bytes

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


# Text


@dataclass(frozen=True)
class _Layout:
    """How a text table is written; lines are counted from 1."""

    name: str
    delimiter: str
    header: list[str] | None
    first_line: int
    n_columns: int


def read_csv(path: Path) -> Arrays:
    """Read numbers separated by comma, semicolon or tab, with or without a header.

    Empty lines are left out. An empty cell counts as NaN. Whole numbers from 0 to 255, if all
    are such, are stored in bytes.
    """
    n_lines = sum(1 for _ in _lines(path))
    if not n_lines:
        raise ValueError(f"{path.name} is empty: it holds blank lines only")
    layout = _layout(path)
    n_rows = n_lines - (layout.header is not None)
    if not n_rows:
        raise ValueError(f"{path.name} is empty: it holds a header and no rows of numbers")
    label = _label_column(layout.header or ())
    wanted = _target_columns(layout.header or ())
    kept = [n for n in range(layout.n_columns) if n != label and n not in wanted]
    values = np.empty((n_rows, len(kept)), np.float32)
    labels = None if label is None else np.empty(n_rows)
    targets = np.empty((n_rows, len(wanted))) if wanted else None
    lines = islice(_lines(path), n_lines - n_rows, None)
    step = max(1, _BLOCK_CELLS // layout.n_columns)
    for start in range(0, n_rows, step):
        block = _parse(list(islice(lines, step)), start, layout)
        rows = slice(start, start + len(block))
        with np.errstate(over="ignore"):  # beyond float32: infinity, which is refused later
            values[rows] = block if len(kept) == block.shape[1] else block[:, kept]
        if labels is not None:
            labels[rows] = block[:, label]
        if targets is not None:
            targets[rows] = block[:, wanted]
    columns = layout.header and [layout.header[column] for column in kept]
    return Arrays(as_bytes(values), labels, columns, targets=targets)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield number, line


def _layout(path: Path) -> _Layout:
    number, line = next(_lines(path))
    # Neither tabs nor semicolons are parts of numbers, while a comma may be a decimal comma.
    delimiter = next((mark for mark in "\t;" if mark in line), ",")
    cells = _cells(line, delimiter)
    is_header = any(cell and _number(cell) is None for cell in cells)
    return _Layout(path.name, delimiter, cells if is_header else None, number, len(cells))


def _parse(block: list[tuple[int, str]], row: int, layout: _Layout) -> NDArray[np.float64]:
    try:
        numbers = np.loadtxt(
            [line for _, line in block],
            delimiter=layout.delimiter,
            comments=None,
            quotechar='"',
            ndmin=2,
        )
    except ValueError:
        return _parse_slowly(block, row, layout)
    return numbers if numbers.shape[1] == layout.n_columns else _parse_slowly(block, row, layout)


def _parse_slowly(block: list[tuple[int, str]], row: int, layout: _Layout) -> NDArray[np.float64]:
    """Parse cell by cell, so that a message can say where; empty cells become NaN."""
    numbers = np.empty((len(block), layout.n_columns))
    for offset, (number, line) in enumerate(block):
        where = f"row {row + offset} (line {number}) of {layout.name}"
        cells = _cells(line, layout.delimiter)
        if len(cells) != layout.n_columns:
            raise ValueError(
                f"{where} has {len(cells)} values, but line {layout.first_line} has "
                f"{layout.n_columns}; all lines need as many"
            )
        for column, cell in enumerate(cells):
            value = _number(cell) if cell else math.nan
            if value is None:
                label = repr(layout.header[column]) if layout.header else column
                raise ValueError(
                    f"{where}, column {label}, holds {cell!r}, which is not a number; columns are "
                    "separated by comma, semicolon or tab, and decimals written with a point"
                )
            numbers[offset, column] = value
    return numbers


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


# Parquet


def read_parquet(path: Path) -> Arrays:
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
