"""Tables with named and typed columns: Parquet files, and pandas or polars data frames.

This module converts Arrow columns to arrays. The roles of columns are chosen as for text tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets import cell_columns
from harmonium.datasets.arrays import Arrays, as_bytes
from harmonium.datasets.cell_columns import is_text
from harmonium.datasets.classes import Classes
from harmonium.datasets.columns import LABELS, Look, Roles, choose
from harmonium.datasets.mixed_arrays import arrays_of, is_mixed
from harmonium.datasets.narrowing import rounded_columns
from harmonium.datasets.reading import Reading
from harmonium.datasets.row_names import HEADER, RowNames
from harmonium.datasets.suspicions import remarks

_SHOWN_VALUES = 3
_EXAMPLE_ROWS = 1000

_UNNAMED = "__index_level_"  # how pandas names the columns of an index without a name


def read_parquet(path: Path, reading: Reading) -> Arrays:
    """Read the columns of a Parquet file: numbers, True and False, text; null counts as NaN.

    The index columns that pandas adds are left out; one of text names the rows.

    Raises
    ------
    TypeError, ValueError
        For columns of other types, text columns without a role, and damaged files.
    """
    return next(_of_parquet(path, reading, whole=True))


def groups_of_parquet(path: Path, reading: Reading) -> Iterator[Arrays]:
    """The same, row group by row group."""
    return _of_parquet(path, reading, whole=False)


def _of_parquet(path: Path, reading: Reading, whole: bool) -> Iterator[Arrays]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            sizes = _Groups(file).sizes
            if whole or len(sizes) < 2:
                yield _read(_Groups(file), path.name, reading)
                return
            for number, size in enumerate(sizes):
                if size:
                    yield _read(_Groups(file, [number]), path.name, reading)
    except (pa.ArrowException, pa.ArrowKeyError, OSError, UnicodeError, OverflowError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ValueError(f"{path.name} is damaged, or no Parquet file: {error}") from None


def read_arrow(path: Path, reading: Reading) -> Arrays:
    """Read a file of Arrow's, which is also Feather's; raises what `read_parquet` raises."""
    return next(batches_of_arrow(path, reading, whole=True))


def batches_of_arrow(path: Path, reading: Reading, whole: bool = False) -> Iterator[Arrays]:
    """The same, one record batch after the other."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as stream, pa.ipc.open_file(stream) as file:
            n_batches = file.num_record_batches
            tables = (pa.Table.from_batches([file.get_batch(n)]) for n in range(n_batches))
            for table in [file.read_all()] if whole or n_batches < 2 else tables:
                if table.num_rows or whole:
                    yield _read(_Memory(table), path.name, reading)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ValueError(
            f"{path.name} is damaged, or no file of Arrow's (its streams, and Feather's first "
            f"version, are not read): {error}"
        ) from None


def is_frame(values: Any) -> bool:
    """Whether values are a table of pandas, polars, Arrow or another kind that Arrow can read."""
    return hasattr(values, "__arrow_c_stream__") and hasattr(values, "columns")


def read_frame(frame: Any, name: str, reading: Reading) -> Arrays:
    """Read a table in memory; the strings of a pandas index name the rows.

    Raises
    ------
    TypeError, ValueError
        For columns that are neither numeric nor have a role; names them.
    """
    import pyarrow as pa

    if not len(frame) or not len(frame.columns):
        raise ValueError(
            f"{name} is empty: {len(frame)} rows and {len(frame.columns)} columns; pass at least "
            "one of each"
        )
    is_pandas = type(frame).__module__.partition(".")[0] == "pandas"
    if is_pandas:
        frame = _plain_columns(frame, name, reading)
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False) if is_pandas else pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise TypeError(
            f"{name} holds a column that is neither numbers nor text: {error}"
        ) from None
    names = _index_of(frame)
    arrays = _read(_Memory(table), name, reading)
    return arrays if names is None else dataclasses.replace(arrays, row_names=names)


def _plain_columns(frame: Any, name: str, reading: Reading) -> Any:
    """A pandas frame whose columns Arrow takes: named by text, dense, no objects but text.

    Raises
    ------
    TypeError, ValueError
        For other objects, and names that stand twice.
    """
    kept = frame.rename(columns=str)
    twice = kept.columns[kept.columns.duplicated()]
    if len(twice):
        raise ValueError(f"two columns of {name} are named {twice[0]!r}; give each its own name")
    for column in {*map(str, reading.drop)} & {*kept.columns}:
        kept[column] = 0  # whatever it holds
    for column, dtype in kept.dtypes.items():
        if hasattr(dtype, "fill_value"):
            kept[column] = kept[column].sparse.to_dense()
        elif dtype.kind == "c":
            raise TypeError(
                f"column {column!r} of {name} holds complex numbers, and models learn from real "
                "ones; make two columns of them, or their size"
            )
    cell_columns.refuse_objects(kept, name)
    return kept


def _index_of(frame: Any) -> RowNames | None:
    """The index of a pandas frame, if it holds strings and nothing else."""
    index: Any = getattr(frame, "index", None)
    if not hasattr(index, "dtype") or index.dtype.kind in "biufcmM":
        return None
    if not all(isinstance(name, str) for name in index):
        return None
    return RowNames.of(index, HEADER if index.name is None else str(index.name))


class _Groups:
    """A Parquet file, read column by column: pyarrow's batches take several times the memory."""

    def __init__(self, file: Any, groups: Sequence[int] | None = None) -> None:
        self._file = file
        self.schema = file.schema_arrow
        self._groups = range(file.num_row_groups) if groups is None else groups
        self.sizes = [file.metadata.row_group(n).num_rows for n in self._groups]

    def column(self, group: int, number: int) -> Any:
        name = self.schema.field(number).name
        if self.schema.names.count(name) > 1:
            raise ValueError(f"two columns are named {name!r}; give each its own name")
        return self._file.read_row_group(self._groups[group], columns=[name]).column(0)


class _Memory:
    """A table in memory, treated as one row group."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.schema = table.schema
        self.sizes = [table.num_rows]

    def column(self, group: int, number: int) -> Any:
        return self._table.column(number)


def _read(source: _Groups | _Memory, name: str, reading: Reading) -> Arrays:
    indices = [
        number
        for number, field in enumerate(source.schema)
        if field.name.startswith(_UNNAMED) or _is_index(source.schema, number, reading)
    ]
    looks = [
        Look(field.name) if number in indices else _look(field, source, number)
        for number, field in enumerate(source.schema)
    ]
    _refuse_types(source, looks, reading, name, indices)
    roles = choose(looks, reading, name, left_out=indices)
    if is_mixed(looks, roles, reading):
        return _read_mixed(source, looks, roles, indices, reading, name)
    whole = all(looks[n].whole or looks[n].kind == "truth" for n in roles.values)
    n_rows = sum(source.sizes)
    values = np.empty((n_rows, len(roles.values)), np.float32)
    targets = np.empty((n_rows, len(roles.targets))) if roles.targets else None
    classes = None if roles.label is None else Classes()
    start = 0
    for group, size in enumerate(source.sizes):
        rows = slice(start, start + size)
        for place, column in enumerate(roles.values):
            cells = _numbers(source.column(group, column))
            if values.dtype == np.float32 and len(rounded_columns(cells[:, None])):
                values = values.astype(np.float64)
                # values that were rounded already are read again
                _fill(values[:start], source, roles, group)
                for before in range(place):
                    values[rows, before] = _numbers(source.column(group, roles.values[before]))
            with np.errstate(
                over="ignore", invalid="ignore"
            ):  # beyond float32: infinity, which is refused later
                values[rows, place] = cells
        for place, column in enumerate(roles.targets):
            assert targets is not None
            targets[rows, place] = _numbers(source.column(group, column))
        if classes is not None and roles.label is not None:
            _add(classes, source.column(group, roles.label))
        start += size
    arrays = _arrays(values, targets, classes, roles, looks, whole, reading, name)
    return dataclasses.replace(arrays, row_names=_names(source, indices))


def _read_mixed(
    source: _Groups | _Memory,
    looks: Sequence[Look],
    roles: Roles,
    indices: Sequence[int],
    reading: Reading,
    name: str,
) -> Arrays:
    """The table with units of its own for each column."""
    cells = [
        cell_columns.of_arrow(looks[n].name or str(n), _whole(source, n), name)
        for n in roles.values
    ]
    classes = None if roles.label is None else Classes()
    if classes is not None and roles.label is not None:
        _add(classes, _whole(source, roles.label))
    targets = [_numbers(_whole(source, n)) for n in roles.targets]
    names = _names(source, indices)
    return arrays_of(cells, classes, targets, roles, roles.notes, reading, name, names)


def _whole(source: _Groups | _Memory, number: int) -> Any:
    """A column of all row groups."""
    import pyarrow as pa

    pieces = [source.column(group, number) for group in range(len(source.sizes))]
    chunks = [chunk for piece in pieces for chunk in getattr(piece, "chunks", [piece])]
    return pa.chunked_array(chunks, source.schema.field(number).type).unify_dictionaries()


def _is_index(schema: Any, number: int, reading: Reading) -> bool:
    """Whether a column of text was the index of a frame, and the user says nothing else of it."""
    field = schema.field(number)
    if field.name not in (schema.pandas_metadata or {}).get("index_columns", []):
        return False
    said = {reading.label, *reading.target, *reading.drop, *LABELS}
    return is_text(field.type) and not said & {field.name, number, number - len(schema)}


def _names(source: _Groups | _Memory, indices: Sequence[int]) -> RowNames | None:
    """Names of the rows, if there is one index column, of text without gaps."""
    if len(indices) != 1 or not is_text(source.schema.field(indices[0]).type):
        return None
    header = source.schema.field(indices[0]).name
    columns = [source.column(group, indices[0]) for group in range(len(source.sizes))]
    if any(column.null_count for column in columns):
        return None
    names = (name for column in columns for name in column.to_pylist())
    return RowNames.of(names, HEADER if header.startswith(_UNNAMED) else header)


def _fill(
    values: NDArray[np.float64], source: _Groups | _Memory, roles: Roles, n_groups: int
) -> None:
    """Read the values of the first groups."""
    start = 0
    for group, size in enumerate(source.sizes[:n_groups]):
        for place, column in enumerate(roles.values):
            values[start : start + size, place] = _numbers(source.column(group, column))
        start += size


def _arrays(
    values: NDArray[Any],
    targets: NDArray[Any] | None,
    classes: Classes | None,
    roles: Roles,
    looks: Sequence[Look],
    whole: bool,
    reading: Reading,
    name: str,
) -> Arrays:
    labels = names = None
    if classes is not None:
        labels, names = classes.labels(reading)
    columns = [str(looks[n].name) for n in roles.values]
    return Arrays(
        as_bytes(values) if whole else values,
        labels,
        columns,
        targets=targets,
        classes=names,
        notes=[
            *roles.notes,
            *(classes.notes(reading) if classes else ()),
            *remarks(values, columns, labels is not None),
        ],
        named=roles.named,
    )


def _look(field: Any, source: _Groups | _Memory, number: int) -> Look:
    from pyarrow import types

    kind = field.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_boolean(kind):
        return Look(field.name, "truth")
    if types.is_integer(kind):
        return Look(field.name, "number", whole=True)
    if types.is_null(kind):
        return Look(field.name, "empty")
    if is_text(kind):
        cells = source.column(0, number)[:_EXAMPLE_ROWS].to_pylist() if source.sizes else []
        there = (str(cell) for cell in cells if cell is not None)
        return Look(field.name, "text", examples=tuple(islice(dict.fromkeys(there), _SHOWN_VALUES)))
    return Look(field.name)


def _refuse_types(
    source: _Groups | _Memory,
    looks: Sequence[Look],
    reading: Reading,
    name: str,
    indices: Sequence[int],
) -> None:
    """Reject dates, lists and the like, unless they are left out."""
    from pyarrow import types

    dropped = {*reading.drop}
    for number, field in enumerate(source.schema):
        kind = field.type
        if number in indices or dropped & {field.name, number, str(number), number - len(looks)}:
            continue
        if looks[number].kind == "number" and not (
            types.is_floating(kind)
            or types.is_decimal(kind)
            or types.is_integer(kind)
            or types.is_dictionary(kind)
        ):
            # says which row holds what
            cell_columns.of_arrow(field.name, _whole(source, number), name)


def _numbers(cells: Any) -> NDArray[Any]:
    """One column of one row group; booleans as 0 and 1, null as NaN."""
    from pyarrow import types

    if types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if types.is_boolean(cells.type):
        cells = cells.cast("uint8")
    elif types.is_decimal(cells.type) or types.is_null(cells.type):
        cells = cells.cast("float64")
    return cast(NDArray[Any], cells.to_numpy())


def _add(classes: Classes, cells: Any) -> None:
    """Collect labels: both numbers and text as written."""
    from pyarrow import types

    if types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if types.is_boolean(cells.type):
        cells = cells.cast("string").cast("string")
    cells = cells.combine_chunks()
    if hasattr(cells, "chunks"):
        cells = cells.chunk(0) if cells.num_chunks else cells
    encoded = cells.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    classes.add([str(value) for value in encoded.dictionary.to_pylist()], codes)
