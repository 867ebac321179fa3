"""Reads text tables: .csv, .tsv, .txt, .dat, .data, .amat, gzipped or not.

This module reads arrays according to a `Layout` with Arrow's reader, some thousand rows at a time.
Only if that reader fails are lines read one by one, to find the faulty cell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays, open_unpacked
from harmonium.datasets.cell_columns import (
    CellColumn,
    numbers_of_words,
    of_words,
    truths_of_words,
)
from harmonium.datasets.cells import MISSING, decode, lines_of
from harmonium.datasets.classes import Classes
from harmonium.datasets.columnar import column_of, nulls_of, numbers_of
from harmonium.datasets.columns import Roles, called, choose
from harmonium.datasets.indices import find_indices
from harmonium.datasets.layouts import Layout, find_layout
from harmonium.datasets.mixed_arrays import arrays_of, is_mixed, said_of_words
from harmonium.datasets.narrowing import rounded_columns
from harmonium.datasets.precision import GrowingRows
from harmonium.datasets.reading import Reading
from harmonium.datasets.segments import Parser, each_segment
from harmonium.datasets.suspicions import remarks

_BLOCK_BYTES = 1 << 20
_BLOCK_ROWS = 256  # at least so many, unless these take more than
_MOST_BYTES = 1 << 26
_SHOWN = 3
_MARGIN = 1.02  # of room for more rows than the first ones promise
_JUDGED = 16  # every so many pieces, whether float32 is enough

Piece = TypeVar("Piece")


def read_text(path: Path, reading: Reading) -> Arrays:
    """Read a text table, with or without a header.

    Columns are separated by tab, semicolon, comma, bar or any number of spaces. Decimals have a
    point, or a comma if that is not the separator. True and False are 1 and 0. Blank lines are
    skipped. A table with words is one of mixed columns (`mixed_tables`).

    Raises
    ------
    ValueError
        For cells that are not numbers among numbers, and targets that are missing, with line,
        column and content; for lines of a different length; and for ambiguous layouts.
    """
    layout = find_layout(path, reading)
    try:
        return _Table(path, layout, reading).read()
    except ValueError:
        # decimals may first occur below the first lines
        if layout.separator == "," or any("." in cell for row in layout.body for cell in row):
            raise
        try:
            return _Table(path, dataclasses.replace(layout, decimal=","), reading).read()
        except ValueError:
            pass
        raise


class _Table:
    """The conversion of one table from text to arrays."""

    def __init__(self, path: Path, layout: Layout, reading: Reading) -> None:
        self.path, self.layout, self.reading = path, layout, reading
        indices = find_indices(layout.looks, reading)
        self.roles: Roles = choose(layout.looks, reading, path.name, [i.number for i in indices])
        named = {*self.roles.values, *self.roles.targets, self.roles.label}
        self.indices = [index for index in indices if index.number not in named]
        self.numbers = {*self.roles.values, *self.roles.targets}
        self.n_rows = 0
        self.missing: list[tuple[int, int]] = []
        self.n_missing = 0

    def read(self) -> Arrays:
        roles, looks, name = self.roles, self.layout.looks, self.path.name
        if is_mixed(looks, roles, self.reading):
            return self._read_mixed()
        values, targets, classes = self._collect(exact=False)
        self._refuse_missing()
        notes = [*self.layout.notes, *roles.notes]
        notes += [index.note(looks, name) for index in self.indices]
        labels = names = None
        if classes is not None:
            labels, names = classes.labels(self.reading)
            notes += classes.notes(self.reading)
        rows = values.values
        columns = None
        if self.layout.names is not None:
            columns = [looks[n].name or f"Unnamed: {n}" for n in roles.values]
        return Arrays(
            rows,
            labels,
            columns,
            targets=np.concatenate(targets) if roles.targets else None,
            classes=names,
            notes=[*notes, *remarks(rows, columns, labels is not None)],
            named=roles.named,
            row_names=self._row_names(),
        )

    def _row_names(self) -> list[str] | None:
        return next(filter(None, (index.names() for index in self.indices)), None)

    def _read_mixed(self) -> Arrays:
        """The table with units of its own for each column."""
        roles, looks, name = self.roles, self.layout.looks, self.path.name
        words = said_of_words(self.reading)
        called = {n: looks[n].name or str(n) for n in roles.values}
        self.numbers = {*roles.targets} | {
            n for n in roles.values if looks[n].kind == "number" and called[n] not in words
        }
        of_column: dict[int, list[Any]] = {n: [] for n in (*roles.values, *roles.targets)}
        classes = None if roles.label is None else Classes()
        for index in self.indices:
            index.begin()
        for table in self._pieces(self._types(), lambda table, n_bytes: table):
            for n, pieces in of_column.items():
                own = _column(table, n)
                pieces.append(numbers_of(own) if n in self.numbers else _words_of(own))
            if classes is not None and roles.label is not None:
                classes.add(*_words_of(_column(table, roles.label)))
            for index in self.indices:
                index.add(_column(table, index.number))
            self.n_rows += table.num_rows
        notes = [*self.layout.notes, *roles.notes]
        notes += [index.note(looks, name) for index in self.indices]
        cells = []
        for n in roles.values:
            if n in self.numbers:
                values = np.concatenate(of_column[n]).astype(np.float64)
                cells.append(CellColumn(called[n], _dtype(values), values))
            else:
                own_words = of_words(called[n], of_column[n])
                if looks[n].kind != "text" and called[n] not in words:
                    is_truth = looks[n].kind == "truth"
                    own_words = (truths_of_words if is_truth else numbers_of_words)(own_words)
                cells.append(own_words)
        targets = [np.concatenate(of_column[n]) for n in roles.targets]
        self._refuse_targets(targets)
        return arrays_of(
            cells, classes, targets, roles, notes, self.reading, name, self._row_names()
        )

    def _refuse_targets(self, targets: Sequence[NDArray[Any]]) -> None:
        for number, own in zip(self.roles.targets, targets, strict=True):
            rows = np.flatnonzero(np.isnan(own))
            self.missing += [(int(row), number) for row in rows[:_SHOWN]]
            self.n_missing += len(rows)
        self._refuse_missing()

    def _types(self) -> dict[int, str]:
        """Names of the Arrow types of all wanted columns, by number."""
        roles, looks = self.roles, self.layout.looks
        wanted = [*roles.values, *roles.targets, *(index.number for index in self.indices)]
        if roles.label is not None:
            wanted.append(roles.label)
        return {
            n: "binary" if n not in self.numbers
            else "bool" if looks[n].kind == "truth" else "float64"
            for n in wanted
        }  # fmt: skip

    def _collect(self, exact: bool) -> tuple[GrowingRows, list[NDArray[Any]], Classes | None]:
        """Read the file; a second time in float64 if float32 rounded too much."""
        roles = self.roles
        values, rounds = GrowingRows(len(roles.values)), False
        targets: list[NDArray[Any]] = []
        classes = None if roles.label is None else Classes()
        self.n_rows, self.missing, self.n_missing = 0, [], 0
        for index in self.indices:
            index.begin()
        n_bytes, n_bytes_read = self.path.stat().st_size, 0
        pieces = self._pieces(
            self._types(), lambda table, n_bytes: _Piece.of(table, n_bytes, roles, exact)
        )
        for n_pieces, piece in enumerate(pieces):
            n_bytes_read += piece.n_bytes
            n_rows = self.n_rows + len(piece.values)
            could_round = values.add(
                piece.values,
                piece.low,
                piece.high,
                n_expected=int(_MARGIN * n_rows * n_bytes / n_bytes_read),
            )
            if could_round or n_pieces % _JUDGED == 0:
                rounds |= not exact and piece.rounds(roles.values)
            targets.append(piece.targets)
            if classes is not None:
                assert piece.labels is not None
                classes.add(*piece.labels)
            for index in self.indices:
                index.add(_column(piece.table, index.number))
            self.n_missing += piece.n_missing
            self.missing += [(self.n_rows + row, column) for row, column in piece.missing]
            self.n_rows = n_rows
        if not exact and (rounds or values.rounds):
            return self._collect(exact=True)
        return values, targets, classes

    def _pieces(self, types: dict[int, str], make: Callable[[Any, int], Piece]) -> Iterator[Piece]:
        """What is made of each piece, an Arrow table of columns of these types, and its bytes."""
        import pyarrow as pa

        layout = self.layout
        missing = self.reading.missing_values
        parser = Parser(layout.separator, layout.decimal, layout.n_columns, types, missing)
        longest = max(sum(map(len, row)) + len(row) for row in layout.body)
        size = min(max(_BLOCK_BYTES, _BLOCK_ROWS * longest), max(_MOST_BYTES, 4 * longest))
        try:
            with open_unpacked(self.path) as stream:
                yield from each_segment(
                    lambda lines: make(parser.parse(lines), len(lines)),
                    stream,
                    layout.skipped,
                    size,
                )
        except pa.ArrowInvalid as error:
            raise self._fault() or ValueError(
                f"{self.path.name} is damaged, or no table of text: {error}"
            ) from None

    def _refuse_missing(self) -> None:
        """Reject targets that are missing; missing values and labels are no fault."""
        n, missing = self.n_missing, sorted(self.missing)[:_SHOWN]
        if not n:
            return
        wanted = {row for row, _ in missing}
        lines = {}
        for row, (line, text) in enumerate(self._rows()):
            if row in wanted:
                lines[row] = (line, self.layout.cells(text))
            if row == max(wanted):
                break
        where = [
            f"row {row} (line {lines[row][0]}), column {called(column, self.layout.looks)}, holds "
            f"{lines[row][1][column]!r}"
            for row, column in missing
            if row in lines
        ]
        raise ValueError(
            f"{self.path.name} has {n:,} {'targets' if n > 1 else 'target'} without a value; the "
            f"first: {'; '.join(where)} (rows and columns counted from 0); fill them in, leave "
            "those rows out, or leave the column out by `drop`"
        )

    def _rows(self) -> Iterator[tuple[int, str]]:
        """The lines that hold rows, with their numbers."""
        return ((n, line) for n, line in lines_of(self.path) if n > self.layout.skipped)

    def _fault(self) -> ValueError | None:
        """A description of the error at which Arrow's reader stops."""
        layout, name = self.layout, self.path.name
        for row, (line, text) in enumerate(self._rows()):
            if row < self.n_rows:
                continue
            cells = layout.cells(text)
            where = f"row {row} (line {line}) of {name}"
            if text.count('"') % 2:
                return ValueError(
                    f"{where} has a quote that is not closed in its line; close it, and write no "
                    "line breaks in cells"
                )
            if len(cells) != layout.n_columns:
                return ValueError(
                    f"{where} has {len(cells)} values, but line {layout.first_line} has "
                    f"{layout.n_columns}; all lines need as many"
                )
            for number in sorted(self.numbers):
                cell = cells[number]
                if cell in (*MISSING, *self.reading.missing_values):
                    continue
                is_truth = layout.looks[number].kind == "truth"
                if layout.number(cell) is not None and layout.is_truth(cell) == is_truth:
                    continue
                column = layout.looks[number].name or number
                hint = ""
                if number in self.roles.values and not self.reading.of_use:
                    hint = (
                        f"; `missing_values={cell!r}` takes such cells for missing, and "
                        f"`columns={{{column!r}: 'categorical'}}` all of the column's for words"
                    )
                if line == layout.first_line and layout.names is None:
                    hint = "; if that line names the columns, pass `header=True`"
                return ValueError(
                    f"{where}, column {called(number, layout.looks)}, holds {cell!r}, which is "
                    f"not a number{hint}"
                )
        return None


@dataclass(frozen=True)
class _Piece:
    """Some rows of the numeric columns, and their missing values."""

    table: Any
    n_bytes: int
    values: NDArray[Any]
    low: NDArray[Any]
    high: NDArray[Any]
    targets: NDArray[Any]
    labels: tuple[list[str], NDArray[np.integer]] | None
    n_missing: int
    missing: list[tuple[int, int]]

    @classmethod
    def of(cls, table: Any, n_bytes: int, roles: Roles, exact: bool) -> _Piece:
        n_missing = 0
        missing: list[tuple[int, int]] = []
        for number in roles.targets:
            column = _column(table, number)
            if column.null_count:
                n_missing += column.null_count
                rows = np.flatnonzero(nulls_of(column))[:_SHOWN]
                missing += [(int(row), number) for row in rows]
        labels = None
        if roles.label is not None:
            labels = _words_of(_column(table, roles.label))
        values = _side_by_side(table, roles.values, np.float64 if exact else np.float32)
        low, high = values.min(0), values.max(0)
        if low.min() >= 0 and high.max() <= 255:  # False for NaN
            small = values.astype(np.uint8)
            values = small if np.array_equal(small, values) else values
        targets = _side_by_side(table, roles.targets, np.float64)
        return cls(
            table, n_bytes, values, low, high, targets, labels, n_missing, sorted(missing)[:_SHOWN]
        )

    def rounds(self, numbers: Sequence[int]) -> bool:
        """Whether these columns lose more than rounding in float32."""
        return len(rounded_columns(_side_by_side(self.table, numbers, np.float64))) > 0


def _side_by_side(table: Any, numbers: Sequence[int], dtype: type[Any]) -> NDArray[Any]:
    """Columns as rows; NaN for missing values, 0 and 1 for False and True."""
    with np.errstate(over="ignore", invalid="ignore"):  # infinity is rejected later
        wanted = table.select([str(number) for number in numbers])
        if wanted.num_rows and set(map(str, wanted.schema.types)) == {"double"}:
            (batch,) = wanted.combine_chunks().to_batches()
            side_by_side: NDArray[Any] = batch.to_tensor(null_to_nan=True).to_numpy()
            return side_by_side.astype(dtype)
        rows = np.empty((table.num_rows, len(numbers)), dtype)
        for place, number in enumerate(numbers):
            rows[:, place] = numbers_of(_column(table, number))
    return rows


def _column(table: Any, number: int) -> Any:
    return column_of(table, table.schema.get_field_index(str(number)))


def _words_of(column: Any) -> tuple[list[str], NDArray[np.integer]]:
    """Different cells of a binary column, decoded, and the number of each row's."""
    cells = column.dictionary_encode()
    return [decode(cell) for cell in cells.dictionary.to_pylist()], numbers_of(cells.indices)


def _dtype(values: NDArray[np.float64]) -> str:
    there = values[~np.isnan(values)]
    return "int64" if (there == np.floor(there)).all() else "float64"
