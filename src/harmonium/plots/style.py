"""The common style of all figures: colours, sizes, and new Axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

# A blue and an orange that are distinct for every kind of colour blindness and in grey print.
BLUE = "#2f6fa7"
ORANGE = "#e07b39"
GREEN = "#3d9a83"
INK = "#2b2f36"
MUTED = "#6b7280"
FAINT = "#d5d9df"

DIVERGING = "RdBu_r"
SEQUENTIAL = "viridis"

DPI = 200
LABEL_SIZE = 9
TICK_SIZE = 8
TITLE_SIZE = 11

# A picture's pixel is a square with a whole number of device pixels per side, so that it stays
# crisp; as many as these bounds (height, width) allow.
_LARGEST_PICTURE = (1300, 1500)
_NARROWEST_FIGURE = 4.0
_TOP = 0.62


def new_figure(size: tuple[float, float]) -> Figure:
    """Return an empty figure of `size` inches with automatic layout."""
    figure = Figure(figsize=size, dpi=DPI)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    return figure


def plot_axes(ax: Axes | None, *, size: tuple[float, float] = (6.4, 3.8)) -> Axes:
    """Return the caller's Axes, or those of a new figure of `size` inches, in the common style."""
    if ax is None:
        ax = new_figure(size).add_subplot()
    return dress(ax)


def picture_axes(
    ax: Axes | None,
    shape: tuple[int, int],
    *,
    left: float = 0.2,
    right: float = 0.2,
    bottom: float = 0.2,
) -> Axes:
    """Return the caller's Axes, or those of a new figure that shows pixels crisply.

    `shape` is ``(height, width)`` in pixels. The margins, in inches, hold numbers, names and the
    colour scale next to the picture.
    """
    if ax is None:
        height, width = shape
        zoom = max(1, min(_LARGEST_PICTURE[0] // height, _LARGEST_PICTURE[1] // width))
        picture_height, picture_width = zoom * height / DPI, zoom * width / DPI
        figure_width = max(_NARROWEST_FIGURE, left + picture_width + right)
        figure_height = bottom + picture_height + _TOP
        ax = Figure(figsize=(figure_width, figure_height), dpi=DPI).add_axes(
            (
                left / figure_width,
                bottom / figure_height,
                picture_width / figure_width,
                picture_height / figure_height,
            )
        )
    dress(ax)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return ax


def dress(ax: Axes) -> Axes:
    """Give an Axes thin grey lines and small readable labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(MUTED)
    ax.tick_params(which="both", labelsize=TICK_SIZE, labelcolor=INK, color=MUTED)
    return ax


def legend(at: Axes | Figure | SubFigure, *entries: Any, **options: Any) -> None:
    """Add a legend without a frame, in small print."""
    at.legend(*entries, **{"frameon": False, "fontsize": TICK_SIZE, "labelcolor": INK, **options})


def grid(ax: Axes, axis: Literal["x", "y"]) -> None:
    """Draw faint lines across, behind what is drawn."""
    ax.grid(axis=axis, color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)


def name(
    ax: Axes, title: str, subtitle: str = "", x: str = "", y: str = "", *, size: float = TITLE_SIZE
) -> None:
    """Write the title, an explanatory line below it, and the labels of both axes."""
    ax.set_title(title, loc="left", fontsize=size, color=INK, pad=21 if subtitle else 8)
    if subtitle:
        line = ax.annotate(
            subtitle,
            (0, 1),
            (0, 8),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=LABEL_SIZE,
            color=MUTED,
        )
        # A layout engine would shrink the Axes to make room for this line, small Axes to nothing.
        line.set_in_layout(ax.figure.get_layout_engine() is None)
    # Left-aligned like the title, so that a label wider than a narrow picture is not cut off.
    ax.set_xlabel(x, fontsize=LABEL_SIZE, color=INK, loc="left")
    ax.set_ylabel(y, fontsize=LABEL_SIZE, color=INK)


def colour_key(
    ax: Axes,
    image: AxesImage,
    label: str = "",
    ticks: Sequence[float] | None = None,
    tick_labels: Sequence[str] | None = None,
) -> None:
    """Add a short colour scale at the top right of an image."""
    box = ax.inset_axes((1.02, 0.55, 0.018, 0.45))
    bar = ax.figure.colorbar(image, cax=box, ticks=ticks)
    bar.outline.set_visible(False)
    if tick_labels is not None:
        bar.set_ticklabels(list(tick_labels))
    bar.set_label(label, fontsize=LABEL_SIZE, color=INK)
    box.tick_params(labelsize=TICK_SIZE, labelcolor=INK, length=0)


def grey_picture(ax: Axes | None, picture: npt.NDArray[np.float64], **margins: float) -> Axes:
    """Draw grey levels from 0, black, to 1, white, on `picture_axes`."""
    ax = picture_axes(ax, picture.shape, **margins)
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    return ax


def heat_map(
    ax: Axes,
    values: npt.NDArray[np.float64],
    limits: tuple[float, float],
    cmap: str | Colormap = SEQUENTIAL,
) -> AxesImage:
    """Draw a matrix as coloured cells that fill the Axes; NaN cells stay empty."""
    low, high = limits
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(
            MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
        )
    # Without "nearest", wide but low cells would be blurred into their neighbours.
    return ax.imshow(values, cmap=cmap, vmin=low, vmax=high, aspect="auto", interpolation="nearest")


def number_blocks(ax: Axes, axis: Literal["x", "y"], n: int, size: float, gap: float) -> None:
    """Label `n` blocks of `size` cells, `gap` cells apart, with their indices at the centres."""
    most = 12 if axis == "x" else 20
    step = next(s * 10**e for e in count() for s in (1, 2, 5) if n <= most * s * 10**e)
    shown = range(0, n, step)
    places = [i * (size + gap) + (size - 1) / 2 for i in shown]
    set_ticks = ax.set_xticks if axis == "x" else ax.set_yticks
    set_ticks(places, [str(i) for i in shown])


def name_blocks(ax: Axes, names: Sequence[str], size: float, gap: float) -> None:
    """Write a name next to each of the blocks that `number_blocks` would number, from the top."""
    step = -(-len(names) // 40)
    places = [i * (size + gap) + (size - 1) / 2 for i in range(0, len(names), step)]
    ax.set_yticks(places, [str(name) for name in names[::step]])


def plural(n: int, noun: str, of_several: str = "") -> str:
    """A number with its noun, such as "1 chain" and "2 chains"."""
    return f"{n:,} {noun if n == 1 else of_several or noun + 's'}"


def room_for(names: Iterable[str]) -> float:
    """Width in inches that names need at the left of a picture."""
    return max(0.6, 0.2 + 0.065 * max(map(len, names)))
