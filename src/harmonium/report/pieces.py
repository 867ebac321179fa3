"""What a page is made of: words and numbers, of which the templates make HTML.

In words, what users type stands between backquotes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Note:
    """A paragraph with a heading; ``kind`` is a word beside it, such as how serious it is."""

    heading: str
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers in rows; the first column names each row. A header of empty words is left out."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A PNG file's content, and what it shows, for those too who cannot see it.

    It stands on white paper unless ``look`` says otherwise.
    """

    title: str
    caption: str
    png: bytes
    look: str = "paper"


@dataclass(frozen=True)
class Section:
    """A part of the page that can be jumped to.

    Attributes
    ----------
    name, heading
        Of the place that links lead to, and what stands there.
    template
        What shows its facts, and words what only a page says: ``templates/sections/TEMPLATE.html``.
    facts
        By the names that the template gives them.
    """

    name: str
    heading: str
    template: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """All that a page shows: its template, ``templates/TEMPLATE.html``, and the facts for it."""

    template: str
    facts: Mapping[str, Any]


def sentence(words: str) -> str:
    """With a capital and a full stop."""
    return f"{words[0].upper()}{words[1:]}."


def minus(numbers: str) -> str:
    """Numbers with the sign that is meant, not a hyphen."""
    return numbers.replace("-", "−")


def number(value: float) -> str:
    """Two decimals, or three digits of what is smaller than 1."""
    return minus(f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}")


def with_error(row: Mapping[str, float], key: str) -> str:
    """A number of a row, with its standard error where that is known."""
    error = row.get(f"{key}_std_error")
    return number(row[key]) + (f" ± {error:.2f}" if error else "")


def data_uri(png: bytes) -> str:
    """A PNG file's content as the address of a picture."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
