"""Speed comparison: bars in groups, with a line for the limit."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from harmonium.plots import style

_BAR = 0.78
_GAP = 1.1  # gap between two groups, in bars; holds the title of the lower group
_INCHES_A_BAR = 0.2
_QUIET = "#b8c4d0"
# Background of text, so that the line does not cross it.
_PAPER = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}


def speeds(
    groups: Mapping[str, Mapping[str, float]],
    labels: Mapping[str, Mapping[str, str]] | None = None,
    notes: Mapping[str, str] | None = None,
    ax: Axes | None = None,
    *,
    highlight: str = "",
    title: str = "Speed",
    subtitle: str = "",
) -> Axes:
    """Draw speeds as horizontal bars, in groups from top to bottom, with names at the left.

    Parameters
    ----------
    groups
        By title: the speed of each contestant, relative to the limit 1, where a line is drawn;
        shown from top to bottom.
    labels
        Text at the right edge of a bar, by title and contestant.
    notes
        Text at the right edge of a title.
    ax
        The Axes to draw on; by default a new figure with room for all bars.
    highlight
        The contestant whose bars are coloured.
    title, subtitle
        Title and subtitle of the figure.

    Raises
    ------
    ValueError
        If there is nothing to draw, or a speed is not a positive finite number.
    """
    n_bars = sum(map(len, groups.values()))
    if not n_bars:
        raise ValueError("there are no speeds to draw; pass one group with one bar or more")
    for group, bars in groups.items():
        for name, speed in bars.items():
            if not (math.isfinite(speed) and speed > 0):
                raise ValueError(
                    f"the speed of {name} in {group} is {speed}, but only positive finite numbers "
                    "can be drawn"
                )
    if ax is None:
        height = 1.15 + _INCHES_A_BAR * (n_bars + (1 + _GAP) * len(groups))
        ax = style.new_figure((7.6, height)).add_subplot()
    style.dress(ax)
    ax.spines["left"].set_visible(False)
    places: list[float] = []
    names: list[str] = []
    y = 0.0
    for group, bars in groups.items():
        ax.annotate(
            group,
            (0, y),
            xycoords=("axes fraction", "data"),
            fontsize=style.LABEL_SIZE,
            fontweight="bold",
            color=style.INK,
            va="center",
            bbox=_PAPER,
            zorder=3,
        )
        if notes is not None and group in notes:
            _at_the_right(ax, y, notes[group], style.MUTED)
        for name, speed in bars.items():
            y += 1
            chosen = name == highlight
            colour, ink = (style.BLUE, style.INK) if chosen else (_QUIET, style.MUTED)
            ax.barh(y, speed, _BAR, color=colour, zorder=2)
            ax.annotate(
                f"{speed:.2f}" if speed >= 0.01 else f"{speed:.1g}",
                (speed, y),
                (4, 0),
                textcoords="offset points",
                fontsize=style.TICK_SIZE,
                color=ink,
                fontweight="bold" if chosen else "normal",
                va="center",
                bbox=_PAPER,
                zorder=3,
            )
            if labels is not None and name in labels.get(group, {}):
                _at_the_right(ax, y, labels[group][name], ink, bold=chosen)
            places.append(y)
            names.append(name)
        y += _GAP + 1
    ax.set_yticks(places, names)
    ax.tick_params(axis="y", length=0)
    for tick in ax.get_yticklabels():
        if tick.get_text() == highlight:
            tick.set_fontweight("bold")
    ax.set_ylim(y - _GAP, -0.8)
    fastest = max(speed for bars in groups.values() for speed in bars.values())
    # room at the right for the text next to the longest bar
    ax.set_xlim(0, 1.4 * max(fastest, 1.0))
    ax.axvline(1, color=style.INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
    style.name(ax, title, subtitle, "dashed: the products alone, which every dense loop has to do")
    return ax


def _at_the_right(ax: Axes, y: float, text: str, colour: str, *, bold: bool = False) -> None:
    ax.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        fontsize=style.TICK_SIZE,
        color=colour,
        fontweight="bold" if bold else "normal",
        ha="right",
        va="center",
    )
