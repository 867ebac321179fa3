"""Distributions of parameters and of hidden activations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from harmonium.plots import style
from harmonium.plots.arrays import FloatArray, finite


def weight_histogram(
    weights: npt.ArrayLike,
    ax: Axes | None = None,
    *,
    visible_bias: npt.ArrayLike | None = None,
    hidden_bias: npt.ArrayLike | None = None,
) -> Axes:
    """Draw the distribution of the weights, and of the biases if given.

    Each group is a separate density on a logarithmic axis, so that both a few large weights among
    many small ones, and a handful of biases next to half a million weights, are visible.

    Parameters
    ----------
    weights, visible_bias, hidden_bias
        Of any shape.
    ax
        The Axes to draw on; new by default.

    Raises
    ------
    ValueError
        If an array is empty or not finite.
    """
    groups = {"weights": (finite(weights, "weights").ravel(), style.BLUE)}
    if visible_bias is not None:
        groups["visible biases"] = finite(visible_bias, "visible_bias").ravel(), style.ORANGE
    if hidden_bias is not None:
        groups["hidden biases"] = finite(hidden_bias, "hidden_bias").ravel(), style.GREEN

    ax = style.plot_axes(ax)
    for label, (values, colour) in groups.items():
        first = values[0]
        if np.ptp(values) <= 1e-9 * abs(first):
            # All equal, like biases before training: there is no range for a histogram.
            text = f"{label} ({values.size:,}, all {first:.3g})"
            ax.axvline(first, color=colour, linewidth=1.4, linestyle=(0, (4, 3)), label=text)
            continue
        text = f"{label} ({values.size:,})"
        density, edges = np.histogram(values, bins=_n_bins(values), density=True)
        ax.stairs(density, edges, color=colour, fill=True, alpha=0.18, linewidth=0)
        ax.stairs(density, edges, color=colour, linewidth=1.4, label=text)
    ax.set_yscale("log")
    ax.axvline(0, color=style.MUTED, linewidth=0.8, zorder=0)
    style.legend(ax)
    every, _ = groups["weights"]
    subtitle = f"weights: mean {every.mean():.2g}, standard deviation {every.std():.2g}"
    title = "Weights and biases" if len(groups) > 1 else "Weights"
    style.name(ax, title, subtitle, "value", "density (logarithmic)")
    return ax


def hidden_activity(mean_hidden: npt.ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the mean state of each hidden unit for each row, with units sorted by their average.

    A dead unit is a dark column at the left, a saturated unit a bright column at the right; an
    unusual row is a horizontal line.

    Parameters
    ----------
    mean_hidden
        Shape ``(n_rows, n_hidden)``. The colour scale is 0 to 1 if all values are in this range,
        else the range of the values.
    ax
        The Axes to draw on; new by default.

    Raises
    ------
    ValueError
        If the array is empty, has other than two axes, or is not finite.
    """
    values = _activity(mean_hidden)
    n_rows, n_hidden = values.shape
    ordered = values[:, np.argsort(values.mean(axis=0), kind="stable")]
    ax = style.plot_axes(ax)
    image = style.heat_map(ax, ordered, _activity_limits(values))
    subtitle = f"{n_hidden:,} units, {n_rows:,} rows"
    style.name(
        ax, "Activity of the hidden units", subtitle, "hidden unit, least active first", "row"
    )
    style.colour_key(ax, image, "mean state")
    return ax


def activity_histogram(mean_hidden: npt.ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw a histogram of the average activation of hidden units.

    Parameters
    ----------
    mean_hidden
        Shape ``(n_rows, n_hidden)``; the average is over rows.
    ax
        The Axes to draw on; new by default.

    Raises
    ------
    ValueError
        If the array is empty, has other than two axes, or is not finite.
    """
    values = _activity(mean_hidden)
    averages = values.mean(axis=0)
    ax = style.plot_axes(ax)
    counts, edges = np.histogram(averages, bins=40, range=_activity_limits(values))
    ax.stairs(counts, edges, color=style.BLUE, fill=True, alpha=0.8)
    ax.set_xlim(edges[0], edges[-1])
    middle = float(np.median(averages))
    ax.axvline(middle, color=style.INK, linewidth=1, linestyle=(0, (4, 3)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    style.name(
        ax,
        "Average activity of the hidden units",
        f"{averages.size:,} units over {len(values):,} rows; dashed: the median, {middle:.2g}",
        "mean state over rows",
        "hidden units",
    )
    return ax


def _activity(mean_hidden: npt.ArrayLike) -> FloatArray:
    return finite(mean_hidden, "mean_hidden", ("n_rows", "n_hidden"))


def _activity_limits(values: FloatArray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    # The full range of a binary unit, whatever part is used, so that epochs can be compared.
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _n_bins(values: FloatArray) -> int:
    """Return a number of bins from 10 to 100, such that bins hold several values."""
    return int(np.clip(np.sqrt(values.size), 10, 100))
