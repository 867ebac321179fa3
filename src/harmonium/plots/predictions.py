"""Figures of network outputs: confusion matrix, worst mistakes, codes in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from harmonium.plots import style
from harmonium.plots.arrays import FloatArray, ImageShape, check_image_shape, finite, whole_number
from harmonium.plots.sheets import grey_levels, mosaic

_MOST_NUMBERS = 20  # classes; with more, numbers in cells are illegible
_PALETTE = "tab10"
_LARGE_PALETTE = "tab20"


def confusion_matrix(
    counts: npt.ArrayLike, classes: Sequence[object], ax: Axes | None = None
) -> Axes:
    """Draw a confusion matrix: how often rows of each class were predicted as each class.

    Cells show counts and are coloured by their fraction of the class's rows, so that classes of
    different sizes can be compared.

    Parameters
    ----------
    counts
        Shape ``(n_classes, n_classes)``: ``counts[i, j]`` rows of class i were predicted as class
        j.
    classes
        Names of the classes, in order.
    ax
        The Axes to draw on; new by default.

    Raises
    ------
    ValueError
        If the counts are not a square table of non-negative numbers, or the number of names is
        wrong.
    """
    table = finite(counts, "counts", ("n_classes", "n_classes"))
    n = len(table)
    if table.shape != (n, n) or (table < 0).any():
        raise ValueError(
            f"counts has shape {table.shape} and a least value of {table.min():g}; pass counts of "
            "0 and more, shape (n_classes, n_classes)"
        )
    if len(classes) != n:
        raise ValueError(f"classes are {len(classes)} names, but counts has {n} classes")
    total = table.sum()
    right = np.trace(table)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    side = 1.6 + 0.42 * min(n, 2 * _MOST_NUMBERS)
    ax = style.plot_axes(ax, size=(side + 0.6, side))
    # most rows are on the diagonal: the square root makes the few mistakes visible
    image = ax.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if n <= _MOST_NUMBERS:
        for (i, j), count in np.ndenumerate(table):
            if count:
                ink = "white" if shares[i, j] > 0.4 else style.INK
                ax.text(j, i, f"{count:,.0f}", ha="center", va="center", fontsize=7, color=ink)
    step = -(-n // (2 * _MOST_NUMBERS))
    ticks = range(0, n, step)
    names = [str(classes[i]) for i in ticks]
    ax.set_xticks(ticks, names)
    ax.set_yticks(ticks, names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    wrong = total - right
    style.name(
        ax,
        f"{wrong:,.0f} of {total:,.0f} rows wrong ({wrong / max(total, 1):.2%})",
        "counts; colour: share of the class's rows",
        "predicted class",
        "true class",
    )
    style.colour_key(
        ax, image, ticks=[0, 0.1**0.5, 0.5**0.5, 1], tick_labels=["0", "10 %", "50 %", "100 %"]
    )
    return ax


def mistakes(
    images: npt.ArrayLike,
    captions: Sequence[str],
    image_shape: ImageShape,
    ax: Axes | None = None,
    *,
    n_columns: int = 8,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw misclassified pictures, each with a caption below it.

    Parameters
    ----------
    images
        Shape ``(n_images, height * width)``, the worst first.
    captions
        One for each, such as ``"4, not 9 (98 %)"``.
    image_shape
        ``(height, width)``.
    ax
        The Axes to draw on; new by default.
    n_columns
        Maximum number of pictures side by side.
    limits
        The values drawn as black and white, as in `tile`.

    Raises
    ------
    ValueError
        If there is no image, if one is not finite, if they do not fit `image_shape`, or if the
        number of captions is wrong.
    """
    values = finite(images, "images", ("n_images", "n_visible"))
    height, width = check_image_shape(image_shape, values.shape[1], "images")
    n = len(values)
    if len(captions) != n:
        raise ValueError(f"captions are {len(captions)}, but there are {n} images; pass one each")
    n_columns = min(whole_number(n_columns, "n_columns"), n)
    levels = grey_levels(values, limits).reshape(n, height, width)
    # a line of text takes a third of a picture's height, whatever its pixels
    gaps = (max(1, round(height / 3)), max(1, width // 8))
    whole = mosaic(levels, n_columns, gaps=gaps, fill=np.nan)
    whole = np.pad(whole, ((0, gaps[0]), (0, 0)), constant_values=np.nan)
    ax = style.picture_axes(ax, whole.shape)
    ax.imshow(whole, cmap="gray_r", vmin=0, vmax=1)
    for number, caption in enumerate(captions):
        row, column = divmod(number, n_columns)
        x = column * (width + gaps[1]) + (width - 1) / 2
        y = row * (height + gaps[0]) + height - 0.5 + gaps[0] / 2
        ax.text(x, y, caption, ha="center", va="center", fontsize=6, color=style.INK)
    ax.set(xticks=[], yticks=[])
    style.name(ax, "Worst mistakes", "what it is, what it was taken for, how surely")
    return ax


def codes(
    points: npt.ArrayLike,
    labels: npt.ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    names: tuple[str, str] = ("code 1", "code 2"),
) -> Axes:
    """Draw codes in two dimensions, coloured by class.

    Parameters
    ----------
    points
        Shape ``(n_rows, 2)``.
    labels
        Class of each row; None draws all in one colour.
    ax
        The Axes to draw on; new by default.
    names
        Labels of the two axes.

    Raises
    ------
    ValueError
        If points are not a finite table of two columns, or the number of labels is wrong.
    """
    table = finite(points, "points", ("n_rows", "2"))
    if table.shape[1] != 2:
        raise ValueError(f"points has shape {table.shape}; pass two columns, shape (n_rows, 2)")
    ax = style.plot_axes(ax, size=(6.0, 5.2))
    n = len(table)
    size = float(np.clip(20_000 / n, 2, 30))
    look: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.7}
    x, y = table.T
    subtitle = f"{n:,} rows"
    if labels is None:
        ax.scatter(x, y, color=style.BLUE, **look)
    else:
        of_rows = finite(labels, "labels", ("n_rows",))
        if len(of_rows) != n:
            raise ValueError(f"labels are {len(of_rows)}, but there are {n} points; pass one each")
        classes = np.unique(of_rows)
        colours = _colours(len(classes))
        # in the order of the rows: drawn by class, the last class would hide the others
        which = np.searchsorted(classes, of_rows)
        ax.scatter(x, y, c=colours[which], **look)
        for label, colour in zip(classes, colours, strict=True):
            ax.scatter([], [], color=colour, s=24, label=f"{label:g}")
        style.legend(
            ax,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            handletextpad=0.1,
            ncols=-(-len(classes) // 20),
        )
        subtitle += ", in the colours of their classes"
    ax.xaxis.set_minor_locator(NullLocator())
    style.name(ax, "Codes", subtitle, *names)
    return ax


def _colours(n: int) -> FloatArray:
    """One colour per class, from a qualitative palette if it has enough colours."""
    for name in (_PALETTE, _LARGE_PALETTE):
        palette = colormaps[name]
        if n <= palette.N:
            return np.asarray(palette(np.arange(n)))
    return np.asarray(colormaps["turbo"](np.linspace(0, 1, n)))
