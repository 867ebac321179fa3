"""Parsing text in pieces of whole lines, several at a time, by Arrow's reader of CSV.

What belongs here knows separators and types of columns, and nothing of what columns mean. Arrow
parses one piece on one core; pieces come back in their order, and few are held at a time.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from harmonium.datasets.arrays import Readable
from harmonium.datasets.cells import BLANK, FALSE, MISSING, TRUE

Result = TypeVar("Result")

_MOST_THREADS = 8
_BLANK_LINES = re.compile(rb"(?<=[\r\n])[ \t\f\v]+(?=[\r\n]|\Z)|\A[ \t\f\v]+(?=[\r\n])")


@dataclass(frozen=True)
class Parser:
    """Makes a table of Arrow's of a piece of text.

    Parameters
    ----------
    separator, decimal
        As in a `Layout`.
    n_columns
        Cells a line.
    types
        Names of Arrow's types of those columns that are wanted, by number.
    """

    separator: str
    decimal: str
    n_columns: int
    types: dict[int, str]

    @cached_property
    def _options(self) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.csv

        wanted = {str(number): pa.type_for_alias(kind) for number, kind in self.types.items()}
        return {
            "parse_options": pyarrow.csv.ParseOptions(delimiter=self.separator),
            "convert_options": pyarrow.csv.ConvertOptions(
                check_utf8=False,
                column_types=wanted,
                include_columns=list(wanted),
                null_values=MISSING,
                true_values=TRUE,
                false_values=FALSE,
                decimal_point=self.decimal,
            ),
        }

    def parse(self, text: bytes) -> Any:
        """Parse whole lines; `pyarrow.ArrowInvalid` where that cannot be."""
        import pyarrow as pa
        import pyarrow.csv

        if self.separator == BLANK:
            text = _stripped(re.sub(rb"[ \t]+", b" ", text))
        elif self.n_columns == 1:
            text = _stripped(text)
        try:
            table = self._table(text)
            # a quote that is not closed takes the lines below it into its cell
            if table.num_rows != text.count(b"\n") and table.num_rows != _n_lines(text):
                raise pa.ArrowInvalid("a cell goes on over several lines")
            return table
        except pa.ArrowInvalid:
            # blank lines of spaces are rare, and looking for them takes time
            without = _BLANK_LINES.sub(b"", text)
            if without == text or not without.strip():
                raise
            return self._table(without)

    def _table(self, text: bytes) -> Any:
        import pyarrow as pa
        import pyarrow.csv

        names = [str(number) for number in range(self.n_columns)]
        options = pyarrow.csv.ReadOptions(
            column_names=names, use_threads=False, block_size=len(text) + 1
        )
        return pyarrow.csv.read_csv(pa.BufferReader(text), options, **self._options)


def pieces(stream: Readable, n_skipped: int, size: int) -> Iterator[bytes]:
    """A text in pieces of whole lines, about ``size`` bytes each, without its first lines."""
    rest = b""
    while block := stream.read(size):
        if n_skipped:
            n_skipped, block = _skip_lines(n_skipped, rest + block)
            rest = b""
            if n_skipped:
                rest = block
                continue
        # a line ends in any of the three ways; \r\n must not come apart
        end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1
        if not end:
            rest += block
            continue
        piece, rest = rest + block[:end], block[end:]
        if not piece.isspace():
            yield piece
    if n_skipped:
        n_skipped, rest = _skip_lines(n_skipped, rest + b"\n")
    if rest.strip():
        yield rest


def in_parallel(work: Callable[[bytes], Result], todo: Iterator[bytes]) -> Iterator[Result]:
    """Work on pieces, as many at a time as there are cores, and yield the results in order."""
    n = min(_MOST_THREADS, _cores())
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(n, thread_name_prefix="harmonium-reader") as pool:
        try:
            for piece in todo:
                pending.append(pool.submit(work, piece))
                if len(pending) > n:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _skip_lines(n: int, text: bytes) -> tuple[int, bytes]:
    """Leave out whole lines at the beginning; returns how many are still to be left out."""
    for _ in range(n):
        found = re.search(rb"\r\n|\n|\r(?!\Z)", text)
        if found is None:
            break
        text, n = text[found.end() :], n - 1
    return n, text


def _n_lines(text: bytes) -> int:
    return sum(bool(line.strip()) for line in re.split(rb"\r\n|\n|\r", text))


def _stripped(text: bytes) -> bytes:
    return re.sub(rb"(?<=[\r\n])[ \t]+|^[ \t]+|[ \t]+(?=[\r\n])|[ \t]+$", b"", text)
