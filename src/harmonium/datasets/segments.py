"""Parses text in segments of whole lines, several in parallel, with Arrow's CSV reader.

This module knows separators and column types, but not the roles of columns. Arrow parses one
segment per core; segments are returned in order, and only a few are held at a time.
"""

from __future__ import annotations

import io
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from queue import SimpleQueue
from typing import Any, TypeVar

from harmonium.datasets.cells import BLANK, FALSE, MISSING, TRUE

Result = TypeVar("Result")

_MOST_THREADS = 8
_AHEAD = 2  # segments queued per core, so that no core waits while rows are collected
_PEEK = 64
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK_LINES = re.compile(rb"(?<=[\r\n])[ \t\f\v]+(?=[\r\n]|\Z)|\A[ \t\f\v]+(?=[\r\n])")


@dataclass(frozen=True)
class Segment:
    """Some whole lines of a text, in a buffer that is reused after they are parsed."""

    buffer: bytearray
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def text(self) -> memoryview:
        """The lines, without a copy."""
        return memoryview(self.buffer)[self.start : self.stop]

    @property
    def is_blank(self) -> bool:
        """Whether all lines are empty."""
        return self.text[:_PEEK].tobytes().isspace() and self.text.tobytes().isspace()

    @property
    def is_quoted(self) -> bool:
        """Whether there is any quotation mark."""
        return self.buffer.find(b'"', self.start, self.stop) >= 0


@dataclass(frozen=True)
class Parser:
    """Parses a piece of text into an Arrow table.

    Parameters
    ----------
    separator, decimal
        As in a `Layout`.
    n_columns
        Cells per line.
    types
        Names of the Arrow types of the wanted columns, by number.
    missing
        Further spellings of missing values among numbers.
    """

    separator: str
    decimal: str
    n_columns: int
    types: dict[int, str]
    missing: tuple[str, ...] = ()

    @cached_property
    def _conversion(self) -> Any:
        import pyarrow as pa
        import pyarrow.csv

        missing = (*MISSING, *self.missing)
        wanted = {str(number): pa.type_for_alias(kind) for number, kind in self.types.items()}
        return pyarrow.csv.ConvertOptions(
            check_utf8=False,
            column_types=wanted,
            include_columns=list(wanted),
            # also behind a comma and a space
            null_values=[f"{space}{word}" for word in missing for space in ("", " ")],
            true_values=TRUE,
            false_values=FALSE,
            decimal_point=self.decimal,
        )

    def parse(self, segment: Segment) -> Any:
        """Parse whole lines; raises `pyarrow.ArrowInvalid` if that fails."""
        import pyarrow as pa

        text: bytes | memoryview = segment.text
        quoted = segment.is_quoted
        if self.separator == BLANK:
            text = _stripped(re.sub(rb"[ \t]+", b" ", text))
        elif self.n_columns == 1:
            text = _stripped(text)
        try:
            table = self._table(text, quoted)
            # an unclosed quote pulls the lines below into its cell
            if quoted and table.num_rows != _n_lines(text):
                raise pa.ArrowInvalid("a cell goes on over several lines")
            return table
        except pa.ArrowInvalid:
            # lines of only spaces are rare, and searching for them takes time
            without = _BLANK_LINES.sub(b"", text)
            if without == text or not without.strip():
                raise
            return self._table(without, quoted)

    def _table(self, text: bytes | memoryview, quoted: bool) -> Any:
        import pyarrow as pa
        import pyarrow.csv

        names = [str(number) for number in range(self.n_columns)]
        return pyarrow.csv.read_csv(
            pa.BufferReader(text),
            pyarrow.csv.ReadOptions(
                column_names=names, use_threads=False, block_size=len(text) + 1
            ),
            pyarrow.csv.ParseOptions(delimiter=self.separator, quote_char='"' if quoted else False),
            self._conversion,
        )


def each_segment(
    work: Callable[[Segment], Result], stream: io.BufferedIOBase, n_skipped: int, size: int
) -> Iterator[Result]:
    """Process a text in segments of about ``size`` bytes, skipping its first lines.

    One segment per core is processed at a time. Results are in the order of the text, and must not
    refer to the text, because its memory is reused.
    """
    free: SimpleQueue[bytearray] = SimpleQueue()

    def work_and_free(segment: Segment) -> Result:
        try:
            return work(segment)
        finally:
            free.put(segment.buffer)

    return _in_parallel(work_and_free, _segments(stream, n_skipped, size, free))


def _segments(
    stream: io.BufferedIOBase, n_skipped: int, size: int, free: SimpleQueue[bytearray]
) -> Iterator[Segment]:
    rest = b""
    at_end = False
    while not at_end:
        # the system clears new memory, which takes longer than reading into it
        buffer = bytearray() if free.empty() else free.get()
        if len(buffer) < len(rest) + size:
            buffer = bytearray(len(rest) + size)
        buffer[: len(rest)] = rest
        n_read = stream.readinto(memoryview(buffer)[len(rest) :])
        at_end, stop = not n_read, len(rest) + n_read
        # a line has any of the three endings; \r\n must not be split
        end = stop if at_end else _end_of_line(buffer, stop)
        start = 0
        if n_skipped:
            if at_end and not buffer.endswith((b"\n", b"\r"), 0, stop):
                buffer[stop:] = b"\n"
                end = stop = stop + 1
            n_skipped, start = _skip_lines(n_skipped, buffer, end)
        rest = bytes(memoryview(buffer)[end:stop])
        segment = Segment(buffer, start, end)
        if start < end and not n_skipped and not segment.is_blank:
            yield segment
        else:
            free.put(buffer)


def _end_of_line(text: bytearray, stop: int) -> int:
    """The position after the last line that certainly ends before ``stop``."""
    return max(text.rfind(b"\n", 0, stop), text.rfind(b"\r", 0, stop - 1)) + 1


def _in_parallel(work: Callable[[Segment], Result], todo: Iterator[Segment]) -> Iterator[Result]:
    """Process segments, one per core at a time, and yield the results in order."""
    n = min(_MOST_THREADS, _cores())
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(n, thread_name_prefix="harmonium-reader") as pool:
        try:
            for segment in todo:
                pending.append(pool.submit(work, segment))
                if len(pending) > _AHEAD * n:
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


def _skip_lines(n: int, text: bytearray, stop: int) -> tuple[int, int]:
    """Skip whole lines at the beginning.

    Returns how many are still to be skipped, and where the others start.
    """
    start = 0
    while n and start < stop:
        found = _LINE_END.search(text, start, stop)
        if found is None:
            break
        start, n = found.end(), n - 1
    return n, start


def _n_lines(text: bytes | memoryview) -> int:
    return sum(bool(line.strip()) for line in _LINE_END.split(text))


def _stripped(text: bytes | memoryview) -> bytes:
    return re.sub(rb"(?<=[\r\n])[ \t]+|^[ \t]+|[ \t]+(?=[\r\n])|[ \t]+$", b"", text)
