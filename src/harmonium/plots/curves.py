"""Learning curves: the rows of a run as small multiples, with training and held-out values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator, StrMethodFormatter

from harmonium.metrics import PANELS, Panel, Role, is_trusted
from harmonium.plots import style
from harmonium.plots.arrays import FloatArray

_COLOURS: Mapping[Role, str] = {
    "training": style.BLUE,
    "held-out": style.ORANGE,
    "first": style.BLUE,
    "second": style.ORANGE,
}


def learning_curves(
    rows: Sequence[Mapping[str, Any]], figure: Figure | SubFigure | None = None
) -> Figure | SubFigure:
    """Draw the metrics of a run against its updates.

    Parameters
    ----------
    rows
        The rows that training yields, in order. Drawn are ``log_likelihood``,
        ``pseudo_log_likelihood`` and ``reconstruction_error``, each also with ``held_out_`` before
        it, and a band of one standard error where there is a ``..._std_error``;
        ``free_energy_gap``, ``update_ratio``, ``dead_hidden``, ``saturated_hidden``,
        ``visible_flip_rate``, ``hidden_flip_rate`` and ``learning_rate``; of fine-tuning also
        ``held_out_error``, ``loss``, ``held_out_loss`` and ``held_out_squared_error``. Intervals
        whose log-likelihood cannot be trusted (``log_likelihood_warning``) are grey. Keys may be
        missing or None in any row; panels without values are omitted. The horizontal axis is
        ``update``, or else ``epoch``, or else the index of the row.
    figure
        The figure to draw on; a new one by default.

    Raises
    ------
    ValueError
        If there is no row, if no row has a key that is drawn, or if a value is not a finite number.
    """
    rows = list(rows)
    if not rows:
        raise ValueError("rows is empty, so there are no learning curves to draw")
    panels = [panel for panel in PANELS if any(panel.known_in(row) for row in rows)]
    if not panels:
        known = ", ".join(curve.key for panel in PANELS for curve in panel.curves)
        raise ValueError(
            "no row has a metric that is drawn; the first row has "
            f"{', '.join(sorted(rows[0])) or 'no keys'}, and drawn are {known}"
        )
    time, positions = _time(rows)
    lines = [
        {curve.key: _column(rows, positions, curve.key) for curve in panel.curves}
        for panel in panels
    ]
    bands = [
        {curve: _column(rows, positions, f"{curve.key}_std_error") for curve in panel.curves}
        for panel in panels
    ]

    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    # The first panel, the most important one, takes the places that would stay empty.
    n_spare = n_rows * n_columns - len(panels)
    if figure is None:
        figure = style.new_figure((0.4 + 3.2 * n_columns, 0.2 + 2.45 * n_rows))
    grid = figure.add_gridspec(n_rows, n_columns)
    for i, (panel, series, errors) in enumerate(zip(panels, lines, bands, strict=True)):
        row, column = divmod(i + n_spare, n_columns)
        place = grid[row, column] if i else grid[0, : n_spare + 1]
        # The bottom row has the label of the common axis.
        ax = figure.add_subplot(place)
        _draw(ax, panel, series, time if row == n_rows - 1 else "")
        _shade(ax, panel, rows, positions)
        for curve, (x, error) in errors.items():
            at, y = series[curve.key]
            if len(x) and np.array_equal(x, at):
                colour = _COLOURS[curve.role]
                ax.fill_between(x, y - error, y + error, color=colour, alpha=0.15, linewidth=0)
    return figure


def _draw(
    ax: Axes, panel: Panel, series: Mapping[str, tuple[FloatArray, FloatArray]], time: str
) -> None:
    style.dress(ax)
    style.grid(ax, "y")
    if panel.has_zero_line:
        ax.axhline(0, color=style.MUTED, linewidth=0.8)
    for curve in panel.curves:
        x, y = series[curve.key]
        if len(x):
            # A line hides the positions of its points, and a single point has no line.
            marker = "o" if len(x) <= 25 else ""
            colour, label = _COLOURS[curve.role], curve.label
            ax.plot(x, y, color=colour, label=label, linewidth=1.5, marker=marker, markersize=3)
    if len(panel.curves) > 1:
        style.legend(ax)
    if panel.is_logarithmic and all((y > 0).all() for _, y in series.values()):
        ax.set_yscale("log")
    if panel.is_share:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    style.name(ax, panel.title, x=time, y=panel.unit, size=style.LABEL_SIZE + 1)


def _shade(
    ax: Axes, panel: Panel, rows: Sequence[Mapping[str, Any]], positions: FloatArray
) -> None:
    """Grey intervals where no number of the panel can be trusted."""
    key = panel.curves[0].key
    between = (positions[1:] + positions[:-1]) / 2
    edges = np.concatenate([positions[:1], between, positions[-1:]])
    label = "not to be trusted"
    for i, row in enumerate(rows):
        if not is_trusted(row, key):
            ax.axvspan(edges[i], edges[i + 1], color=style.MUTED, alpha=0.15, lw=0, label=label)
            label = ""
    if not label:
        style.legend(ax)


def _time(rows: Sequence[Mapping[str, Any]]) -> tuple[str, FloatArray]:
    for key in ("update", "epoch"):
        if all(row.get(key) is not None for row in rows):
            return key, np.array([_number(row[key], key, i) for i, row in enumerate(rows)])
    return "row", np.arange(len(rows), dtype=np.float64)


def _column(
    rows: Sequence[Mapping[str, Any]], positions: FloatArray, key: str
) -> tuple[FloatArray, FloatArray]:
    """Return positions and values of the rows that have `key`."""
    known = [i for i, row in enumerate(rows) if row.get(key) is not None]
    return positions[known], np.array([_number(rows[i][key], key, i) for i in known])


def _number(value: Any, key: str, index: int) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(
            f"{key} of rows[{index}] is {value!r}, but only finite numbers can be drawn"
        )
    return number
