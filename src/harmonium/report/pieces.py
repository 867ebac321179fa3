"""Building blocks of a page: text and numbers, which the templates render as HTML.

In text, code is between backquotes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Note:
    """A paragraph with a heading; ``kind`` is a label, such as how serious it is."""

    heading: str
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers in rows; the first column names each row. An empty header is omitted.

    ``text`` are the numbers of further columns that hold text: these are aligned to the left.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Sequence[int] = ()


@dataclass(frozen=True)
class Picture:
    """The content of a PNG file, and a description, also for screen readers.

    Its background is white unless ``look`` says otherwise.
    """

    title: str
    caption: str
    png: bytes
    look: str = "paper"


@dataclass(frozen=True)
class Section:
    """A section of the page that links can point to.

    Attributes
    ----------
    name, heading
        The link target, and the heading.
    template
        The template, which contains the text specific to pages:
        ``templates/sections/TEMPLATE.html``.
    facts
        The values, by their names in the template.
    """

    name: str
    heading: str
    template: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """The content of a page: its template, ``templates/TEMPLATE.html``, and the facts for it."""

    template: str
    facts: Mapping[str, Any]


def sentence(words: str) -> str:
    """Capitalised, with a full stop."""
    return f"{words[0].upper()}{words[1:]}."


def minus(numbers: str) -> str:
    """Numbers with a minus sign instead of a hyphen."""
    return numbers.replace("-", "−")


def number(value: float) -> str:
    """Two decimals, or three digits for numbers below 1."""
    return minus(f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}")


def with_error(row: Mapping[str, float], key: str) -> str:
    """A number of a row, with its standard error if known."""
    error = row.get(f"{key}_std_error")
    return number(row[key]) + (f" ± {error:.2f}" if error else "")


def data_uri(png: bytes) -> str:
    """The content of a PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
