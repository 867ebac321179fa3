"""Learning curves as numbers for the page's script, which draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harmonium.metrics import PANELS, Curve, Panel, is_trusted
from harmonium.report.terms import TERMS, term_of

MOST_ROWS = 1_000
"""Rows of a run that a page holds; of more, some are left out, evenly."""

Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Series:
    """The rows of one run, under the name that the legend gives it."""

    name: str
    rows: Rows


def panels_of(runs: Sequence[Series]) -> list[Panel]:
    """What there is to draw: a panel of which any row of any run knows something."""
    return [
        panel for panel in PANELS if any(panel.known_in(row) for run in runs for row in run.rows)
    ]


@dataclass(frozen=True)
class Charts:
    """What the script draws, under a name of its own on the page."""

    name: str
    content: Mapping[str, Any]


def charts(name: str, runs: Sequence[Series]) -> Charts:
    """Charts of all panels, one crosshair and one zoom for all of them.

    Parameters
    ----------
    name
        Of the data on the page: two sets of charts have two names.
    runs
        One run: its curves have the colours of training and of held-out rows. Several: a colour
        for each run, held-out rows in full and training rows dashed.
    """
    panels = panels_of(runs)
    content = {
        "runs": [_run(run) for run in runs],
        "panels": [_panel(panel, runs) for panel in panels],
    }
    return Charts(name, content)


def thinned(rows: Rows) -> Rows:
    """At most `MOST_ROWS` of them, evenly, the last one always."""
    step = -(-len(rows) // MOST_ROWS)
    return rows if step <= 1 else [*rows[:-1:step], rows[-1]]


def _run(run: Series) -> dict[str, Any]:
    rows = thinned(run.rows)
    return {
        "name": run.name,
        "epoch": [row["epoch"] for row in rows],
        "update": [int(row["update"]) for row in rows],
    }


def _panel(panel: Panel, runs: Sequence[Series]) -> dict[str, Any]:
    curves = [
        _curve(number, curve, thinned(run.rows), len(runs) > 1)
        for number, run in enumerate(runs)
        for curve in panel.curves
        if any(row.get(curve.key) is not None for row in run.rows)
    ]
    term = term_of(panel.title)
    positive = all(y is None or y > 0 for curve in curves for y in curve["y"])
    return {
        "title": panel.title,
        "unit": panel.unit,
        "explained": None if term is None else TERMS[term].replace("`", ""),
        "log": panel.is_logarithmic and positive,
        "share": panel.is_share,
        "zero": panel.has_zero_line,
        "curves": curves,
    }


def _curve(number: int, curve: Curve, rows: Rows, is_compared: bool) -> dict[str, Any]:
    errors = [row.get(f"{curve.key}_std_error") for row in rows]
    return {
        "run": number,
        "key": curve.key,
        "label": curve.label,
        "colour": f"run-{number + 1}" if is_compared else curve.role,
        # of two curves of a run, the one that says less is dashed
        "dashed": is_compared and curve.role in ("training", "second") and bool(curve.label),
        "y": [_short(row.get(curve.key)) for row in rows],
        "error": [_short(error) for error in errors] if any(errors) else None,
        "doubtful": [number for number, row in enumerate(rows) if not is_trusted(row, curve.key)],
    }


def _short(value: float | None) -> float | None:
    """With the seven digits that a single-precision number has."""
    return None if value is None else float(f"{value:.7g}")
