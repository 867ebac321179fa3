"""Samples beside data: agreement of numbers, and distributions of several sets of rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harmonium.plots import style
from harmonium.plots.arrays import FloatArray, finite
from harmonium.plots.diagnosis import against

# The first set is the data; those after it have colours, the last of them again where there are
# more.
_COLOURS = (style.INK, style.BLUE, style.ORANGE, style.GREEN, style.MUTED)

_BINS = 40
_MOST_MARKED = 60


def agreement(
    panels: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    figure: Figure | None = None,
    *,
    title: str = "",
    what: str = "",
) -> Figure:
    """Draw numbers of samples against the same numbers of the data, a panel for each set.

    Parameters
    ----------
    panels
        Numbers of the data and of the samples, shape ``(n,)`` each, by the name of the samples.
    figure
        The figure to draw on; new by default.
    title, what
        What the numbers are, and a line below it.

    Raises
    ------
    ValueError
        If there is no panel, or numbers are not finite or differ in shape.
    """
    if not panels:
        raise ValueError("panels is empty, so there is nothing to draw")
    both = {}
    for name, (x, y) in panels.items():
        both[name] = finite(x, f"data of {name}", ("n",)), finite(y, name, ("n",))
        if both[name][0].shape != both[name][1].shape:
            raise ValueError(
                f"data of {name} has shape {both[name][0].shape} and {name} has shape "
                f"{both[name][1].shape}; pass the same numbers of both"
            )
    figure = figure or style.new_figure((3.4 * len(both), 3.8))
    for i, (name, (x, y)) in enumerate(both.items()):
        ax = style.dress(figure.add_subplot(1, len(both), i + 1))
        against(ax, x, y)
        style.name(ax, title if i == 0 else "", what if i == 0 else "", "data", name)
    return figure


def linkage_decay(
    distances: npt.ArrayLike,
    r2: Mapping[str, npt.ArrayLike],
    ax: Axes | None = None,
    *,
    unit: str = "columns",
) -> Axes:
    """Draw the mean r² of pairs of columns over their distance, a line for each set of rows.

    Parameters
    ----------
    distances
        Middle of each bin, shape ``(n_bins,)``.
    r2
        Mean r² in each bin, shape ``(n_bins,)``, by the name of the rows, the data first; NaN for
        an empty bin.
    ax
        The Axes to draw on; new by default.
    unit
        What distances are counted in.

    Raises
    ------
    ValueError
        If there are no rows, or shapes differ.
    """
    x = finite(distances, "distances", ("n_bins",))
    ax = style.plot_axes(ax)
    for name, colour, values in _coloured(r2):
        y = np.asarray(values, dtype=np.float64)
        if y.shape != x.shape:
            raise ValueError(f"{name} has shape {y.shape} and distances {x.shape}; pass one a bin")
        there = np.isfinite(y) & (y > 0)
        ax.plot(x[there], y[there], color=colour, label=name, linewidth=1.5, marker="o", ms=3)
    ax.set_xscale("log")
    ax.set_yscale("log")
    style.legend(ax, markerscale=2)
    style.name(
        ax, "Linkage disequilibrium", "mean squared correlation of pairs", f"distance, {unit}", "r²"
    )
    return ax


def population_counts(shares: Mapping[str, npt.ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw how often 0, 1, 2, ... units are active at a time, a line for each set of rows.

    Parameters
    ----------
    shares
        Share of the rows by the number of active units, shape ``(n_units + 1,)``, by the name of
        the rows, the data first.
    ax
        The Axes to draw on; new by default.

    Raises
    ------
    ValueError
        If there are no rows, or a value is not finite.
    """
    ax = style.plot_axes(ax)
    for name, colour, values in _coloured(shares):
        y = finite(values, name, ("n_units + 1",))
        there = np.flatnonzero(y)
        marker = "o" if len(there) <= _MOST_MARKED else ""
        ax.plot(there, y[there], color=colour, label=name, linewidth=1.5, marker=marker, ms=3)
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # numbers of units, not halves of them
    style.legend(ax, markerscale=2)
    style.name(ax, "Active units", "share of the rows in which as many are", "number", "share")
    return ax


def nearest_distances(
    distances: Mapping[str, npt.ArrayLike], ax: Axes | None = None, *, unit: str = "columns"
) -> Axes:
    """Draw the distribution of distances to the nearest training row, for each set of rows.

    Parameters
    ----------
    distances
        Shape ``(n_rows,)``, by the name of the rows, in the colours that they have beside the data.
    ax
        The Axes to draw on; new by default.
    unit
        What distances are counted in.

    Raises
    ------
    ValueError
        If there are no rows, or a distance is not finite.
    """
    ax = style.plot_axes(ax)
    sets = [(name, c, finite(x, name, ("n_rows",))) for name, c, x in _coloured(distances, 1)]
    low, high = (float(end) for end in _ends(np.concatenate([x for _, _, x in sets])))
    edges = np.linspace(low, high, _BINS + 1)
    for name, colour, x in sets:
        shares = np.histogram(x, edges)[0] / len(x)
        ax.stairs(shares, edges, color=colour, label=name, linewidth=1.5)
    style.legend(ax, markerscale=2)
    style.name(
        ax, "Distance to the nearest training row", "", f"distance, {unit}", "share of the rows"
    )
    return ax


def components(
    coordinates: Mapping[str, npt.ArrayLike], explained: npt.ArrayLike, figure: Figure | None = None
) -> Figure:
    """Draw rows on the first two principal components of the data, each set over the data.

    Parameters
    ----------
    coordinates
        Shape ``(n_rows, 2)``, by the name of the rows, the data first.
    explained
        Share of the data's variance along each, shape ``(2,)``.
    figure
        The figure to draw on; new by default.

    Raises
    ------
    ValueError
        If there are fewer than two sets, or they have other shapes.
    """
    shares = finite(explained, "explained", ("n_components",))
    sets = [(n, c, finite(x, n, ("n_rows", "n_components"))) for n, c, x in _coloured(coordinates)]
    if len(sets) < 2 or any(x.shape[1] < 2 for _, _, x in sets):
        raise ValueError("pass two sets of rows or more, of two components each: data and samples")
    data, others = sets[0], sets[1:]
    figure = figure or style.new_figure((3.4 * len(others), 3.9))
    for i, (name, colour, x) in enumerate(others):
        ax = style.dress(figure.add_subplot(1, len(others), i + 1))
        for label, c, points in ((data[0], style.FAINT, data[2]), (name, colour, x)):
            ax.scatter(
                points[:, 0], points[:, 1], s=4, color=c, alpha=0.6, linewidths=0, label=label
            )
        style.legend(ax, markerscale=2)
        head = ("Principal components", "of the data, with rows on them") if i == 0 else ("", "")
        style.name(ax, *head, f"1st ({shares[0]:.1%})", f"2nd ({shares[1]:.1%})" if i == 0 else "")
    return figure


def _coloured(
    sets: Mapping[str, npt.ArrayLike], first: int = 0
) -> list[tuple[str, str, npt.ArrayLike]]:
    if not sets:
        raise ValueError("there is no set of rows to draw")
    last = len(_COLOURS) - 1
    return [(name, _COLOURS[min(i, last)], x) for i, (name, x) in enumerate(sets.items(), first)]


def _ends(values: FloatArray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
