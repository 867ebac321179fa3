"""Diagnostic figures: autocorrelation of chains, moments compared with data, singular values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harmonium.plots import style
from harmonium.plots.arrays import FloatArray, finite

_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.INK)

# More points than this hide each other and add no information.
_MOST_POINTS = 5000


def autocorrelation(
    functions: Mapping[str, npt.ArrayLike], ax: Axes | None = None, *, sweeps_per_lag: int = 1
) -> Axes:
    """Draw autocorrelation functions, one line per observable, over a logarithmic lag.

    Parameters
    ----------
    functions
        Autocorrelation at lags 0, 1, ..., shape ``(n_lags,)``, by name of the observable; up to
        four have different colours.
    ax
        The Axes or figure to draw on; new by default.
    sweeps_per_lag
        Sweeps between two lags.

    Raises
    ------
    ValueError
        If there is no function, or one is empty or not finite.
    """
    if not functions:
        raise ValueError("functions is empty, so there is no autocorrelation to draw")
    lines = {name: finite(values, name, ("n_lags",)) for name, values in functions.items()}
    ax = style.plot_axes(ax)
    ax.axhline(0, color=style.MUTED, linewidth=0.8)
    for i, (name, rho) in enumerate(lines.items()):
        # lag 0, where all are 1, cannot be shown on a logarithmic axis
        lags = sweeps_per_lag * np.arange(1, len(rho))
        ax.plot(lags, rho[1:], color=_COLOURS[i % len(_COLOURS)], label=name, linewidth=1.5)
    ax.set_xscale("log")
    ax.set_ylim(min(-0.1, *(float(rho.min()) for rho in lines.values())), 1.02)
    style.legend(ax)
    style.name(
        ax,
        "How long chains remember",
        "autocorrelation about the mean of all chains; it should fade to 0",
        "sweeps (logarithmic)",
        "autocorrelation",
    )
    return ax


def singular_values(spectra: Mapping[int, npt.ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw the singular values of the weights, one line per update; later lines are darker.

    Parameters
    ----------
    spectra
        Singular values, shape ``(n,)``, largest first, by the number of the update.
    ax
        The Axes or figure to draw on; new by default.

    Raises
    ------
    ValueError
        If there is none, or one is empty or not finite.
    """
    if not spectra:
        raise ValueError("spectra is empty, so there are no singular values to draw")
    lines = {update: finite(spectra[update], f"spectra[{update}]", ("n",)) for update in spectra}
    ax = style.plot_axes(ax)
    updates = sorted(lines)
    for i, update in enumerate(updates):
        strength = 1.0 if i == len(updates) - 1 else 0.25 + 0.5 * i / len(updates)
        label = f"update {update:,}" if i in (0, len(updates) - 1) else None
        values = lines[update]
        ax.plot(
            np.arange(1, len(values) + 1),
            values,
            color=style.BLUE,
            alpha=strength,
            linewidth=1.5,
            marker="o" if len(values) <= 25 else "",
            markersize=3,
            label=label,
        )
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(ax)
    kept = "1 checkpoint" if len(updates) == 1 else f"{len(updates)} checkpoints"
    style.name(ax, "Singular values of the weights", kept, "rank", "singular value")
    return ax


def moments(
    data_means: npt.ArrayLike,
    chain_means: npt.ArrayLike,
    data_covariances: npt.ArrayLike,
    chain_covariances: npt.ArrayLike,
    figure: Figure | None = None,
) -> Figure:
    """Draw means and covariances of chains against those of the data, a point per column or pair.

    Parameters
    ----------
    data_means, chain_means
        Shape ``(n_columns,)``.
    data_covariances, chain_covariances
        Shape ``(n, n)``; pairs of different columns are drawn, at most 5,000 of them, evenly
        spaced. With a single column there are none.
    figure
        The Axes or figure to draw on; new by default.

    Raises
    ------
    ValueError
        If an array is empty, not finite, has wrong dimensions, or differs in shape from its
        counterpart.
    """
    means = (
        finite(data_means, "data_means", ("n_columns",)),
        finite(chain_means, "chain_means", ("n_columns",)),
    )
    matrices = (
        finite(data_covariances, "data_covariances", ("n", "n")),
        finite(chain_covariances, "chain_covariances", ("n", "n")),
    )
    for name, (ours, theirs) in (("means", means), ("covariances", matrices)):
        if ours.shape != theirs.shape:
            raise ValueError(
                f"data_{name} have shape {ours.shape} and chain_{name} {theirs.shape}; pass "
                "those of the same columns"
            )
    upper = np.triu_indices(len(matrices[0]), 1)
    step = max(1, -(-len(upper[0]) // _MOST_POINTS))
    ours, theirs = (matrix[upper][::step] for matrix in matrices)
    panels = [("Means", "a point a column", *means)]
    if len(ours):
        panels.append(("Covariances", f"{len(ours):,} pairs of columns", ours, theirs))
    figure = figure or style.new_figure((3.6 * len(panels), 3.7))
    for i, (title, what, x, y) in enumerate(panels):
        ax = style.dress(figure.add_subplot(1, len(panels), i + 1))
        against(ax, x, y)
        style.name(ax, title, what, "data", "chains" if i == 0 else "")
    return figure


def against(ax: Axes, x: FloatArray, y: FloatArray) -> None:
    """Draw points on a square with the diagonal, where both are equal."""
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    room = 0.05 * (high - low) or 0.05
    ends = (low - room, high + room)
    ax.plot(ends, ends, color=style.MUTED, linewidth=0.8, zorder=0)
    ax.scatter(x, y, s=6, color=style.BLUE, alpha=0.5, linewidths=0)
    ax.set_xlim(ends)
    ax.set_ylim(ends)
    ax.set_box_aspect(1)
