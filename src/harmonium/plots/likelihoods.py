"""Log-likelihoods over time, each between a lower and an upper bound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from harmonium.plots import style

_OTHERS = (style.ORANGE, style.GREEN, "#8a6bb1", "#b8860b", style.MUTED)

Point = tuple[float, float, float]


def likelihoods_over_time(
    curves: Mapping[str, Sequence[Point]],
    ax: Axes | None = None,
    *,
    highlight: str = "",
    title: str = "Log-likelihood over time",
    subtitle: str = "",
) -> Axes:
    """Draw bands between lower and upper bounds against training time.

    Parameters
    ----------
    curves
        By name: points in order of time, each with seconds, lower and upper bound (nats per row).
        The name is drawn at the end of its curve.
    ax
        The Axes to draw on; new by default.
    highlight
        The name of the curve drawn in blue.
    title, subtitle
        Title and subtitle of the figure.

    Raises
    ------
    ValueError
        If there is nothing to draw, or a number is not finite.
    """
    if not any(curves.values()):
        raise ValueError("there are no points to draw; pass one curve of one point or more")
    for name, points in curves.items():
        for point in points:
            if not all(map(math.isfinite, point)):
                raise ValueError(f"{name} has the point {point}; only finite numbers can be drawn")
    ax = style.plot_axes(ax)
    style.grid(ax, "y")
    others = iter(_OTHERS * len(curves))
    last = max(points[-1][0] for points in curves.values() if points)
    for name, points in curves.items():
        if not points:
            continue
        colour = style.BLUE if name == highlight else next(others)
        seconds, lower, upper = zip(*points, strict=True)
        ax.fill_between(seconds, lower, upper, color=colour, alpha=0.25, linewidth=0)
        ax.plot(seconds, lower, color=colour, linewidth=1.6, marker="o", markersize=3.5)
        ax.plot(seconds, upper, color=colour, linewidth=0.8)
        ax.annotate(
            name,
            (seconds[-1], lower[-1]),
            (6, 0),
            textcoords="offset points",
            fontsize=style.TICK_SIZE,
            color=colour,
            fontweight="bold" if name == highlight else "normal",
            va="center",
        )
    # room for the names at the right
    ax.set_xlim(0, 1.22 * last)
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    style.name(ax, title, subtitle, x="seconds of training", y="nats a row")
    return ax
