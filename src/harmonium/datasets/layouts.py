"""The layout of a text table (separator, decimal mark, header, index), found from its first lines.

This module reads only the first lines. Ambiguous layouts are an error that names the deciding
option, because a wrong guess would lose a row or learn from row numbers.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from harmonium.datasets.cells import (
    BLANK,
    FALSE,
    MISSING,
    TRUE,
    cells_of,
    is_whole,
    kind_of,
    lines_of,
)
from harmonium.datasets.columns import Kind, Look
from harmonium.datasets.headers import could_be_numbers, is_header
from harmonium.datasets.reading import Reading

_SEPARATORS = ("\t", ";", ",", "|", BLANK)
_SAMPLE_LINES = 200
_SAMPLE_BYTES = 1 << 20
_SAMPLE_CELLS, _LEAST_LINES = 50_000, 5
_LINES_TO_SPLIT, _CELLS_TO_SPLIT = 50, 500  # a few lines reveal the separator
_SHOWN_VALUES = 3


@dataclass(frozen=True)
class Layout:
    """The layout of a text table.

    Parameters
    ----------
    separator
        The separator between cells; `BLANK` for any spaces and tabs.
    decimal
        The decimal mark: a point, or a comma.
    n_columns
        Cells per line.
    names
        The cells of the header; None if there is no header.
    skipped
        Lines before the first row of numbers, including blank lines.
    first_line
        The line, counted from 1, that the others must match.
    body
        Cells of the first rows.
    notes
        Descriptions of the choices and their reasons.
    """

    separator: str
    decimal: str
    n_columns: int
    names: tuple[str, ...] | None
    skipped: int
    first_line: int
    body: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """Properties of each column in the first rows."""
        names: Sequence[str | None] = self.names or [None] * self.n_columns
        columns = zip(*self.body, strict=True)
        return tuple(self._look(*column) for column in zip(names, columns, strict=True))

    def _look(self, name: str | None, cells: Sequence[str]) -> Look:
        kinds = Counter(kind_of(cell, self.decimal) for cell in cells)
        del kinds["empty"]
        kind: Kind = kinds.most_common(1)[0][0] if kinds else "empty"
        there = [cell for cell in cells if cell not in MISSING]
        if kind == "empty":
            there = [cell for cell in cells if cell]  # words for missing values, such as NA
        shown = kind in ("text", "empty")
        examples = tuple(islice(dict.fromkeys(there), _SHOWN_VALUES)) if shown else ()
        whole = kind == "number" and all(map(is_whole, there))
        return Look(name, kind, whole, examples)

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return cells_of(line, self.separator)

    @staticmethod
    def is_truth(cell: str) -> bool:
        """Whether a cell is True or False."""
        return cell in TRUE or cell in FALSE

    def number(self, cell: str) -> float | None:
        """The number in a cell, NaN for a missing value, None for text."""
        match kind_of(cell, self.decimal):
            case "empty":
                return math.nan
            case "truth":
                return float(cell in TRUE)
            case "number":
                return float(cell.replace(self.decimal, "."))
        return None


def find_layout(path: Path, reading: Reading) -> Layout:
    """Find the layout of a table.

    Raises
    ------
    ValueError
        For a text without rows, and if the first line could be a header or a row.
    """
    lines = _sample(path)
    comments, lines, words = _comments(lines)
    separator, decimal = _separators([line for _, line in lines])
    first_line = lines[0][0]
    width = len(cells_of(lines[0][1], separator))
    lines = lines[: max(_LEAST_LINES, _SAMPLE_CELLS // width)]  # fewer for very wide tables
    rows = [tuple(cells_of(line, separator)) for _, line in lines]
    n = Counter(map(len, rows[1:] or rows)).most_common(1)[0][0]
    names, has_own_line = None, True
    if words is not None and len(cells_of(words, separator)) == n:
        names, has_own_line = tuple(cells_of(words, separator)), False
    elif separator in (BLANK, "\t") and _is_of_r(rows, n):
        names = ("", *rows[0])
    elif _has_header(rows, reading, path.name, first_line, decimal):
        names = rows[0]
    if names is not None and has_own_line:
        lines, rows = lines[1:], rows[1:]
    if not lines:
        raise ValueError(f"{path.name} is empty: it holds a header and no rows of numbers")
    n = len(rows[0] if names is None else names)
    body = [row for row in rows if len(row) == n]
    if not body:  # rows and header differ in length, which the reader reports as an error
        body = [(*rows[0][:n], *[""] * (n - len(rows[0])))]
    _refuse_digits(body, path.name)
    where = first_line if has_own_line else comments[-1]
    header = "no header" if names is None else f"header: line {where}"
    if names is None and reading.header is None and could_be_numbers(rows[0]):
        header += f", though line {where} could be one of column numbers: `header=True` takes it so"
    return Layout(
        separator,
        decimal,
        n,
        names,
        lines[0][0] - 1,
        first_line,
        tuple(body),
        (header, *_say_comments(comments if has_own_line else comments[:-1])),
    )


def _has_header(
    rows: Sequence[Sequence[str]], reading: Reading, name: str, line: int, decimal: str
) -> bool:
    if reading.header is not None:
        return reading.header
    body = [row for row in rows[1:] if len(row) == len(rows[0])]
    return is_header(rows[0], body, name, line, decimal)


def _sample(path: Path) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    size = 0
    for number, line in lines_of(path):
        if "\0" in line:
            raise ValueError(
                f"{path.name} is no text in UTF-8: line {number} holds a zero byte; save it as "
                "text (CSV, UTF-8), or give it the suffix of its own format"
            )
        lines.append((number, line))
        size += len(line)
        if len(lines) == _SAMPLE_LINES or (size > _SAMPLE_BYTES and len(lines) > 1):
            break
    if not lines:
        raise ValueError(f"{path.name} is empty: it holds blank lines only")
    return lines


def _comments(
    lines: list[tuple[int, str]],
) -> tuple[list[int], list[tuple[int, str]], str | None]:
    """Leading comment lines after # or %, the rest, and the last comment if it may be a header.

    ``numpy.savetxt`` and much measurement software write such lines. A # before a number is not a
    comment but a damaged cell.
    """
    comments = []
    while len(lines) > 1 and re.match(r"\s*[#%]\s*[^\W\d]", lines[0][1]):
        comments.append(lines[0])
        lines = lines[1:]
    last = comments[-1][1].strip().lstrip("#%").strip() if comments else None
    return [number for number, _ in comments], lines, last


def _say_comments(comments: list[int]) -> Iterator[str]:
    if comments:
        which = f"line {comments[0]}" if len(comments) == 1 else f"lines 1 to {comments[-1]}"
        yield f"{which}, words behind #, left out"


def _separators(lines: list[str]) -> tuple[str, str]:
    """The separator and the decimal mark with which most cells are numbers."""
    lines = lines[: _LINES_TO_SPLIT if len(lines[0]) < _SAMPLE_CELLS else _LEAST_LINES]
    best, chosen = 0.0, (",", ".")
    for separator in _SEPARATORS:
        if not any((separator in line.strip()) for line in lines[:2]) and not (
            separator == BLANK and any("\t" in line.strip() for line in lines[:2])
        ):
            continue
        rows = [cells_of(line, separator) for line in lines]
        body = rows[1:] or rows
        n = Counter(map(len, body)).most_common(1)[0][0]
        if n == 1:
            continue
        alike = sum(len(row) == n for row in body) / len(body)
        cells = [cell for row in body for cell in row[:_CELLS_TO_SPLIT]]
        for decimal in ".," if separator != "," else ".":
            kinds = Counter(kind_of(cell, decimal) for cell in cells)
            numbers = (kinds["number"] + kinds["truth"] + 0.5 * kinds["empty"]) / len(cells)
            if alike + numbers > best + 1e-9:
                best, chosen = alike + numbers, (separator, decimal)
    return chosen


def _is_of_r(rows: Sequence[Sequence[str]], n_columns: int) -> bool:
    """Whether line 1 lacks a name above a column of row names, as with R's write.table."""
    return (
        len(rows) > 1
        and 0 < len(rows[0]) == n_columns - 1
        and all(kind_of(cell) == "text" for cell in rows[0])
        and (kind_of(rows[1][0]) == "text" or rows[1][0] == "1")
    )


def _refuse_digits(body: Sequence[Sequence[str]], name: str) -> None:
    """Reject lines such as 0110: they are not meant as one large number per row."""
    if any(len(row) != 1 for row in body):
        return
    cells = [row[0] for row in body]
    if len({len(cell) for cell in cells}) == 1 and any(re.fullmatch(r"0\d+", c) for c in cells):
        raise ValueError(
            f"the lines of {name} are digits without a separator, such as {cells[0]!r}; put a "
            "space or a comma between them"
        )
