"""The columns of a mixed table: what each is, what it holds, and how much of it is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harmonium.report.facts import Facts
from harmonium.report.pieces import Section, Table, minus

HEADER = ("column", "units", "holds", "missing")
"""What `rows_of` tells of each column."""

_TEXT = (1, 2)
_SHOWN_CATEGORIES = 5
_MOST_LINES = 40
_MIXED = "TableEncoding"


def section(facts: Facts) -> Section | None:
    """The table of columns; None for other rows."""
    rows = rows_of(facts.config["data"])
    if not rows:
        return None
    return Section("columns", "Columns", "columns", {"table": Table("", HEADER, rows, text=_TEXT)})


def n_values(data: Mapping[str, Any]) -> int:
    """The user's columns; in a column of categories, each category is a separate state.

    Parameters
    ----------
    data
        What ``config.json`` of a run keeps of its data.
    """
    n_states = int(data["n_columns"]) // int(data["encoding"].get("n_categories", 1))
    return len(data.get("columns") or ()) or n_states


def rows_of(data: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """A row for each column of a mixed table; none for other rows.

    Parameters
    ----------
    data
        What ``config.json`` of a run keeps of its data.
    """
    encoding = data["encoding"]
    if encoding.get("kind") != _MIXED:
        return []
    missing = data.get("missing", {})
    return [
        (
            column["name"],
            column["kind"],
            _holds(column),
            f"{missing[column['name']]:,}" if column["name"] in missing else "",
        )
        for column in encoding["columns"]
    ]


def lines(data: Mapping[str, Any], indent: str = " " * 10) -> Iterator[str]:
    """The same as lines of text, at most so many; arguments as of `rows_of`."""
    rows = rows_of(data)
    if not rows:
        return
    shown = [HEADER, *rows[:_MOST_LINES]]
    widths = [max(len(row[place]) for row in shown) for place in range(len(HEADER))]
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[-1] = row[-1].rjust(widths[-1])
        yield f"{indent}{'  '.join(cells)}".rstrip()
    if len(rows) > _MOST_LINES:
        yield f"{indent}... and {len(rows) - _MOST_LINES:,} more, in config.json and on the page"


def _holds(column: Mapping[str, Any]) -> str:
    match column["kind"]:
        case "gaussian":
            return minus(f"{column['mean']:.4g} ± {column['std']:.4g}")
        case "binned":
            low, high = column["samples"][0][0], column["samples"][-1][-1]
            return minus(f"{low:g} to {high:g}, in {len(column['samples'])} bins")
        case "binomial":
            return f"counts from 0 to {column['trials']:,}"
        case "poisson":
            return "counts"
    categories = [_plain(category) for category in column["categories"]]
    if len(categories) <= _SHOWN_CATEGORIES + 1:
        return ", ".join(categories)
    first, n_more = categories[:_SHOWN_CATEGORIES], len(categories) - _SHOWN_CATEGORIES
    return f"{', '.join(first)} and {n_more} more"


def _plain(category: str | float | bool) -> str:
    is_number = isinstance(category, float | int) and not isinstance(category, bool)
    return minus(f"{category:g}") if is_number else str(category)
