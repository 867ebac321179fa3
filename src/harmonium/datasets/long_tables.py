"""Long tables, one row a rating: some columns of a text table, a Parquet file or a data frame.

This module reads columns as they are written; `harmonium.ratings` makes ratings of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.arguments import meant
from harmonium.datasets.arrays import open_unpacked
from harmonium.datasets.cells import BLANK, cells_of, decode, kind_of
from harmonium.datasets.tables import is_frame

_SEPARATORS = "\t;,|"
_DOUBLE = b"::"  # between the columns of MovieLens 1M and 10M


@dataclass(frozen=True)
class LongTable:
    """Some columns of a table, and where each of its rows is.

    Attributes
    ----------
    name
        What the table is called in messages.
    columns
        The columns asked for, each of shape (n_rows,): whole numbers, floats, or text.
    content
        The text that it was read from; None if it was none.
    skipped
        Lines before the first row.
    """

    name: str
    columns: tuple[NDArray[Any], ...]
    content: bytes | None = field(default=None, repr=False)
    skipped: int = 0

    def where(self, row: int) -> str:
        """Names a row for messages: its line, from 1, or its number, from 0."""
        if self.content is None:
            return f"row {row:,} (from 0)"
        lines = (n for n, line in enumerate(self.content.splitlines(), 1) if line.strip())
        return f"line {next(n for k, n in enumerate(lines) if k == row + self.skipped):,}"


def read_long(source: Any, columns: Sequence[str | int], header: bool | None = None) -> LongTable:
    """Read some columns of a long table.

    Parameters
    ----------
    source
        The path of a text table or a Parquet file, or a table in memory.
    columns
        By name, or by number from 0. If a text has no header line, names are those of its first
        columns, in this order.
    header
        Whether line 1 of a text names the columns; by default it does if it has these names, or if
        the last of these columns has no number there.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no such file, it cannot be read, or it lacks a column.
    """
    import pyarrow as pa

    if is_frame(source):
        name = f"the {type(source).__module__.partition('.')[0]} table"
        if type(source).__module__.partition(".")[0] == "pandas":
            numbers = _numbers(columns, list(map(str, source.columns)), name)
            some = source.iloc[:, numbers]
            some = some.set_axis([f"{k}" for k in range(len(numbers))], axis=1)
            table = pa.Table.from_pandas(some, preserve_index=False)
        else:
            table = pa.table(source)
            table = table.select(_numbers(columns, table.column_names, name))
        return LongTable(name, tuple(_values(table.column(k)) for k in range(len(columns))))
    path = Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; pass a file with a rating in each row")
    if path.suffix in (".parquet", ".pq"):
        return _read_parquet(path, columns)
    return _read_text(path, columns, header)


def _read_parquet(path: Path, columns: Sequence[str | int]) -> LongTable:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(path).names
        wanted = [names[number] for number in _numbers(columns, names, path.name)]
        table = pyarrow.parquet.read_table(path, columns=wanted)
    except pa.ArrowException as error:
        raise ValueError(f"{path.name} is damaged, or no Parquet file: {error}") from None
    return LongTable(path.name, tuple(_values(table.column(name)) for name in wanted))


def _read_text(path: Path, columns: Sequence[str | int], header: bool | None) -> LongTable:
    import pyarrow as pa
    import pyarrow.csv

    with open_unpacked(path) as stream:
        content = stream.read().removeprefix(b"\xef\xbb\xbf")
    first = next((line for line in content.splitlines() if line.strip()), b"")
    if not first:
        raise ValueError(f"{path.name} is empty; pass a file with a rating in each row")
    body = content
    if _DOUBLE in first:
        body = first = content.replace(_DOUBLE, b"\t")
        first = next(line for line in body.splitlines() if line.strip())
    line = decode(first)
    separator = next((each for each in _SEPARATORS if each in line), BLANK)
    cells = cells_of(line, separator)
    if separator == BLANK:
        body, separator = re.sub(rb"[ \t]+", b"\t", _stripped(body)), "\t"
    if header is None:
        header = _is_header(columns, cells)
    if header:
        numbers = _numbers(columns, cells, path.name)
    else:
        places_of = (k if not _is_number(column) else column for k, column in enumerate(columns))
        numbers = _numbers(list(places_of), [""] * len(cells), path.name)
    places = [f"{k}" for k in range(len(cells))]
    wanted = [places[number] for number in numbers]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(body),
            read_options=pyarrow.csv.ReadOptions(column_names=places, skip_rows=int(header)),
            parse_options=pyarrow.csv.ParseOptions(delimiter=separator),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.string()),
                check_utf8=False,
            ),
        )
    except pa.ArrowException as error:
        raise ValueError(f"{path.name} is no table of {len(cells)} columns: {error}") from None
    found = tuple(_values(table.column(name)) for name in wanted)
    return LongTable(path.name, found, content, int(header))


def _stripped(content: bytes) -> bytes:
    return b"\n".join(line.strip() for line in content.splitlines())


def _is_number(column: str | int) -> bool:
    return not isinstance(column, str) or column.strip().lstrip("-").isdecimal()


def _is_header(columns: Sequence[str | int], cells: Sequence[str]) -> bool:
    """Whether a line has the names of the columns, or text where the last of them has numbers."""
    named = [column for column in columns if not _is_number(column)]
    if named and all(column in cells for column in named):
        return True
    place = int(columns[-1]) if _is_number(columns[-1]) else len(columns) - 1
    return -len(cells) <= place < len(cells) and kind_of(cells[place]) == "text"


def _numbers(columns: Sequence[str | int], names: Sequence[str], name: str) -> list[int]:
    """The numbers of columns, from 0, each of them once."""
    numbers = [_number(column, names, name) for column in columns]
    for place, number in enumerate(numbers):
        if number in numbers[:place]:
            both = f"{columns[numbers.index(number)]} and {columns[place]}"
            raise ValueError(f"{both} are the same column of {name}; pass a different one for each")
    return numbers


def _number(column: str | int, names: Sequence[str], name: str) -> int:
    """The number of a column, from 0."""
    if isinstance(column, str) and column in names:
        return list(names).index(column)
    if _is_number(column):
        number = int(column)
        if not -len(names) <= number < len(names):
            raise ValueError(
                f"{name} has {len(names)} columns, and column {number} (from 0) was asked for; "
                f"pass -{len(names)} to {len(names) - 1}"
            )
        return number % len(names)
    there = f"its columns are {', '.join(map(str, names))}"
    raise ValueError(f"{name} has no column {column!r}; {meant(str(column), names, there)}")


def _values(column: Any) -> NDArray[Any]:
    """A column of Arrow as an array: numbers as they are, and text, of which few cells differ."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and not column.null_count:
        chunks: list[NDArray[Any]] = [chunk.to_numpy() for chunk in column.chunks]
        return np.concatenate(chunks) if chunks else np.empty(0)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        coded = column.combine_chunks().dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.combine_chunks()
        codes = np.array(coded.indices.fill_null(-1).to_numpy())
        different = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
        cells: NDArray[Any] = different[codes]
        return cells
    return np.array(column.to_pylist(), dtype=object)
