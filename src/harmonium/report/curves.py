"""Learning curves as numbers for the page's script, which draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harmonium.metrics import PANELS, Curve, Panel, is_trusted
from harmonium.report.terms import TERMS, term_of

MOST_ROWS = 1_000
"""Maximum rows of a run on a page; if there are more, they are thinned evenly."""

Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Series:
    """The rows of one run, under its name in the legend."""

    name: str
    rows: Rows


def panels_of(runs: Sequence[Series]) -> list[Panel]:
    """The panels for which any row of any run has a value."""
    return [
        panel for panel in PANELS if any(panel.known_in(row) for run in runs for row in run.rows)
    ]


@dataclass(frozen=True)
class Charts:
    """Data for the script, under a unique name on the page."""

    name: str
    content: Mapping[str, Any]


def charts(name: str, runs: Sequence[Series]) -> Charts:
    """Charts of all panels, with a common crosshair and zoom.

    Parameters
    ----------
    name
        Name of the data on the page; different sets of charts need different names.
    runs
        With one run, training and held-out rows have different colours. With several, each run has
        a colour; held-out rows are solid and training rows dashed.
    """
    panels = panels_of(runs)
    content = {
        "runs": [_run(run) for run in runs],
        "panels": [_panel(panel, runs) for panel in panels],
    }
    return Charts(name, content)


def thinned(rows: Rows) -> Rows:
    """At most `MOST_ROWS` rows, evenly spread, always including the last one."""
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
        # of two curves of a run, the less informative one is dashed
        "dashed": is_compared and curve.role in ("training", "second") and bool(curve.label),
        "y": [_short(row.get(curve.key)) for row in rows],
        "error": [_short(error) for error in errors] if any(errors) else None,
        "doubtful": [number for number, row in enumerate(rows) if not is_trusted(row, curve.key)],
    }


def _short(value: float | None) -> float | None:
    """With the seven digits of a single-precision number."""
    return None if value is None else float(f"{value:.7g}")
