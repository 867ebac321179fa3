"""Cells of a table of text: numbers, True and False, text, or nothing; and the lines they stand in.

What belongs here looks at one line at a time.
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
"""The separator of tables whose columns stand apart by any number of spaces and tabs."""

MISSING = (
    "", "?", "NA", "N/A", "n/a", "na", "#N/A", "nan", "NaN", "NAN", "-nan", "null", "NULL", "Null",
    "None", "none", "<NA>", "NaT", "-", ".",
)  # fmt: skip
"""How cells without a value are written."""

TRUE = ("True", "TRUE", "true")
FALSE = ("False", "FALSE", "false")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.I | re.A)
_WHOLE = re.compile(r"[+-]?\d+", re.A)


def kind_of(cell: str, decimal: str = ".") -> Kind:
    """What a single cell holds."""
    if cell in MISSING:
        return "empty"
    if cell in TRUE or cell in FALSE:
        return "truth"
    if decimal == ",":
        cell = "text" if "." in cell else cell.replace(",", ".")
    return "number" if _NUMBER.fullmatch(cell) else "text"


def is_whole(cell: str) -> bool:
    """Whether a cell is a whole number, written as one."""
    return _WHOLE.fullmatch(cell) is not None


def cells_of(line: str, separator: str) -> list[str]:
    """Split a line; what stands in quotes is one cell."""
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
    """Bytes as text: UTF-8, or else what Windows writes in western Europe."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def _split(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that end in any of the three ways."""
    for line in stream:
        yield from line.splitlines() if b"\r" in line else [line]
