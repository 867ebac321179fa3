"""Cells of a text table: numbers, True and False, text, or nothing; and the lines that hold them.

Everything here works on one line at a time.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from harmonium.datasets.arrays import open_unpacked
from harmonium.datasets.columns import Kind

_SPACES = " \t\r\n\f\v"  # others, such as \x1e, are damage

BLANK = " "
"""The separator of tables whose columns are separated by any number of spaces and tabs."""

MISSING = (
    "", "?", "NA", "N/A", "n/a", "na", "#N/A", "nan", "NaN", "NAN", "-nan", "null", "NULL", "Null",
    "None", "none", "<NA>", "NaT", "-", ".",
)  # fmt: skip
"""Spellings of missing values."""

TRUE = ("True", "TRUE", "true")
FALSE = ("False", "FALSE", "false")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.I | re.A)
_WHOLE = re.compile(r"[+-]?\d+", re.A)


def kind_of(cell: str, decimal: str = ".") -> Kind:
    """The kind of a single cell."""
    if cell in MISSING:
        return "empty"
    if cell in TRUE or cell in FALSE:
        return "truth"
    if decimal == ",":
        cell = "text" if "." in cell else cell.replace(",", ".")
    return "number" if _NUMBER.fullmatch(cell) else "text"


def is_whole(cell: str) -> bool:
    """Whether a cell is written as a whole number."""
    return _WHOLE.fullmatch(cell) is not None


def cells_of(line: str, separator: str) -> list[str]:
    """Split a line; quoted text is one cell."""
    if separator == BLANK:
        line = re.sub(r"[ \t]+", " ", line.strip(_SPACES))
    return [
        cell.strip() for cell in next(csv.reader([line.strip("\r\n")], delimiter=separator), [])
    ]


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text that are not blank, with their numbers from 1."""
    with open_unpacked(path) as stream:
        for number, line in enumerate(_split(stream), 1):
            text = decode(line)
            if number == 1:
                text = text.removeprefix("\ufeff")
            if text.strip(_SPACES):
                yield number, text


def decode(line: bytes) -> str:
    """Bytes as text: UTF-8, or else the Windows code page of western Europe."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def _split(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with any of the three line endings."""
    for line in stream:
        yield from line.splitlines() if b"\r" in line else [line]
