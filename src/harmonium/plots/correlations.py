"""Associations between columns of tables, in the data and in samples side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure, SubFigure

from harmonium.plots import style
from harmonium.plots.arrays import FloatArray, finite
from harmonium.plots.tables import legible

_ROW = ("n_rows", "n_columns")


def associations(values: npt.ArrayLike) -> FloatArray:
    """Correlation of each pair of columns; NaN if a column is constant.

    Parameters
    ----------
    values
        Shape ``(n_rows, n_columns)``.

    Returns
    -------
    ndarray
        float64, shape ``(n_columns, n_columns)``, with 1 on the diagonal.
    """
    rows = finite(values, "values", _ROW)
    centred = rows - rows.mean(0)
    size = np.sqrt((centred**2).sum(0))
    # the remainder of a constant column after rounding is not variation
    size[size <= 1e-7 * np.sqrt(len(rows)) * np.abs(rows).max(0)] = np.nan
    scaled = centred / size
    found: FloatArray = scaled.T @ scaled
    return found


def nominal_associations(values: npt.ArrayLike) -> FloatArray:
    """Cramér's V of each pair of categorical columns, 0 to 1; NaN if a column is constant.

    Parameters
    ----------
    values
        Names of categories as numbers, shape ``(n_rows, n_columns)``.

    Returns
    -------
    ndarray
        float64, shape ``(n_columns, n_columns)``, with 1 on the diagonal.
    """
    rows = finite(values, "values", _ROW)
    groups = [np.unique(column, return_inverse=True)[1] for column in rows.T]
    ones = [np.eye(group.max() + 1)[group] for group in groups]
    found = np.full((len(ones), len(ones)), np.nan)
    for i, a in enumerate(ones):
        for j, b in enumerate(ones[: i + 1]):
            fewer = min(a.shape[1], b.shape[1]) - 1
            if fewer:
                expected = np.outer(a.mean(0), b.mean(0))
                squares = ((a.T @ b / len(rows) - expected) ** 2 / expected).sum()
                found[i, j] = found[j, i] = np.sqrt(squares / fewer)
    return found


def correlations(
    data: npt.ArrayLike,
    samples: npt.ArrayLike,
    columns: Sequence[str],
    figure: Figure | SubFigure | None = None,
    *,
    measure: str = "correlation",
    subtitle: str = "",
) -> Figure | SubFigure:
    """Draw the associations between columns of the data, and next to them those of samples.

    Parameters
    ----------
    data, samples
        As returned by `associations` or `nominal_associations`, shape ``(n_columns, n_columns)``;
        NaN cells stay empty.
    columns
        The name of each column.
    figure
        The figure to draw on; a new one by default.
    measure
        The name of the measure.
    subtitle
        A line below the title.

    Raises
    ------
    ValueError
        If an array is empty, or does not have shape ``(n_columns, n_columns)``.
    """
    both = [np.asarray(x, dtype=np.float64) for x in (data, samples)]
    n = len(columns)
    for x, name in zip(both, ("data", "samples"), strict=True):
        if not n or x.shape != (n, n):
            raise ValueError(f"{name} has shape {x.shape}; pass shape ({n}, {n}), a name a column")
    names = legible(columns)
    low = -1.0 if measure == "correlation" else 0.0
    cmap = style.DIVERGING if low else "Blues"
    if figure is None:
        side = 1.1 + 0.13 * max(n, 6)
        figure = style.new_figure((1.1 + 2 * side, 2.0 + side))
    head = f"{measure.capitalize()}s between columns"
    figure.suptitle(
        f"{head}\n{subtitle}" if subtitle else head,
        x=0.02, ha="left", fontsize=style.LABEL_SIZE + 1, color=style.INK,
    )  # fmt: skip
    axes = figure.subplots(1, 2, sharey=True)
    for ax, values, title in zip(axes, both, ("data", "samples"), strict=True):
        style.dress(ax)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        # the ones on the diagonal are known, and would dominate everything else
        shown = np.where(np.eye(n, dtype=bool), np.nan, values)
        image = ax.imshow(shown, cmap=cmap, vmin=low, vmax=1, interpolation="nearest")
        ax.set_xticks(range(n), names, rotation=90)
        ax.set_yticks(range(n), names)
        ax.set_title(title, loc="left", fontsize=style.LABEL_SIZE, color=style.INK, pad=4)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=[low, 0, 1] if low else [0, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=style.TICK_SIZE, labelcolor=style.INK, length=0)
    return figure
