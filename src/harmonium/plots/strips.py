"""Rows of tables as coloured strips: samples, reconstructions and completions, column by column.

Strips are vertical, with the names of the columns at the left. Each column has its own colour
scale, because columns are measured in different units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from harmonium.plots import style
from harmonium.plots.arrays import FloatArray, check_names, finite, pairs, with_completions
from harmonium.plots.tables import Letters, legible, words_of, written

Limits: TypeAlias = tuple[npt.ArrayLike, npt.ArrayLike] | None

_CHAINS = ("n_chains", "n_samples", "n_columns")
_NO_SPREAD = 0.5


def sample_strips(
    chains: npt.ArrayLike,
    columns: Sequence[str],
    ax: Axes | None = None,
    *,
    sweeps_per_sample: int | None = None,
    chain_names: Sequence[str] | None = None,
    limits: Limits = None,
    letters: Letters = None,
    title: str = "",
) -> Axes:
    """Draw samples of a table: one vertical strip per sample, chains side by side.

    Parameters
    ----------
    chains
        In the user's units, shape ``(n_chains, n_samples, n_columns)``.
    columns
        The name of each column.
    ax
        The Axes to draw on; new by default.
    sweeps_per_sample
        Sweeps between neighbouring samples of a chain, for the label.
    chain_names
        Name of each chain, such as the class that it shows; its number by default.
    limits
        The ends of the colour scale of each column, two arrays of shape ``(n_columns,)``; by
        default the smallest and the largest value shown.
    letters
        The letters that the values 0, 1, 2, ... of all columns stand for; or for each column the
        words that its values stand for, None for numbers.
    title
        Title of the figure.

    Raises
    ------
    ValueError
        If `chains` is empty or not finite, or the number of names is wrong.
    """
    values = finite(chains, "chains", _CHAINS)
    n_chains, n_samples, _ = values.shape
    ax = _axes(ax, values.shape[2])
    _draw(ax, list(values), columns, _gap(n_samples), limits, letters)
    _name_blocks(ax, n_chains, n_samples, _gap(n_samples), chain_names)
    subtitle = "a strip a sample; each column on its own scale, which stands at the right"
    along = "chain"
    if n_samples > 1:
        along += "; its own time runs to the right"
        if sweeps_per_sample is not None:
            along += f", {style.plural(sweeps_per_sample, 'sweep')} a sample"
    style.name(ax, title or f"Samples of {style.plural(n_chains, 'chain')}", subtitle, along)
    return ax


def reconstruction_strips(
    originals: npt.ArrayLike,
    reconstructed: npt.ArrayLike,
    columns: Sequence[str],
    ax: Axes | None = None,
    *,
    limits: Limits = None,
    letters: Letters = None,
) -> Axes:
    """Draw rows of a table as vertical strips, each next to its reconstruction.

    Parameters
    ----------
    originals, reconstructed
        In the user's units, both of shape ``(n_rows, n_columns)``.
    columns
        The name of each column.
    ax
        The Axes to draw on; new by default.
    limits, letters
        As for `sample_strips`.

    Raises
    ------
    ValueError
        If an array is empty or not finite, or shapes or names do not fit.
    """
    before, after = pairs(originals, reconstructed, ("n_rows", "n_columns"))
    ax = _axes(ax, before.shape[1])
    _draw(ax, list(np.stack([before, after], 1)), columns, 1, limits, letters)
    _name_blocks(ax, len(before), 2, 1, None)
    title = f"Reconstructions of {style.plural(len(before), 'row')}"
    subtitle = "left each row, right its reconstruction; each column on its own scale"
    style.name(ax, title, subtitle, "row")
    return ax


def completion_strips(
    truth: npt.ArrayLike,
    completions: npt.ArrayLike,
    held: npt.ArrayLike,
    columns: Sequence[str],
    ax: Axes | None = None,
    *,
    limits: Limits = None,
    letters: Letters = None,
) -> Axes:
    """Draw completed rows of a table as vertical strips, each next to the true row.

    The columns that were held are at the top, above a gap, with blue names.

    Parameters
    ----------
    truth
        The true rows, in the user's units, shape ``(n_rows, n_columns)``.
    completions
        Samples for each row, shape ``(n_rows, n_samples, n_columns)``.
    held
        True where a column was held, shape ``(n_columns,)``.
    columns
        The name of each column.
    ax
        The Axes to draw on; new by default.
    limits, letters
        As for `sample_strips`.

    Raises
    ------
    ValueError
        If an array is empty or not finite, or shapes or names do not fit.
    """
    rows, values, mask = with_completions(
        truth, completions, held, "completions", ("n_rows", "n_columns")
    )
    n_rows, n_samples, n_columns = values.shape
    wide = max(1, round(n_samples / 4))  # the true row must be visible next to many samples
    seam = np.full((1, n_columns), np.nan)
    blocks = [
        np.concatenate([np.repeat(row[None], wide, 0), seam, samples])
        for row, samples in zip(rows, values, strict=True)
    ]
    order = np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)])
    n_held = int(mask.sum())
    ax = _axes(ax, n_columns + 1)
    names = check_names(columns, n_columns, "columns", "columns")
    size, gap = len(blocks[0]), _gap(len(blocks[0]))
    if limits is not None:
        limits = (np.asarray(limits[0])[order], np.asarray(limits[1])[order])
    if letters is not None and not isinstance(letters, str):
        letters = [letters[i] for i in order]
    sorted_blocks = [block[:, order] for block in blocks]
    _draw(ax, sorted_blocks, [names[i] for i in order], gap, limits, letters, n_held)
    _name_blocks(ax, n_rows, size, gap, None)
    for label in ax.get_yticklabels()[:n_held]:
        label.set(color=style.BLUE, fontweight="bold")
    subtitle = "left of each seam the true row; blue names were held, the others completed"
    style.name(ax, f"Completions of {style.plural(n_rows, 'row')}", subtitle, "row")
    return ax


def _axes(ax: Axes | None, n_columns: int) -> Axes:
    return style.plot_axes(ax, size=(6.6, 1.35 + 0.19 * max(n_columns, 8)))


def _gap(n: int) -> int:
    return max(1, round(0.15 * n))


def _draw(
    ax: Axes,
    blocks: list[FloatArray],
    columns: Sequence[str],
    gap: int,
    limits: Limits,
    letters: Letters,
    n_above: int = 0,
) -> None:
    """Blocks of rows side by side; the first ``n_above`` columns are above a gap."""
    names = legible(check_names(columns, blocks[0].shape[1], "columns", "columns"))
    apart = np.full((gap, blocks[0].shape[1]), np.nan)
    parts = [part for block in blocks for part in (block, apart)][:-1]
    table = np.concatenate(parts).T
    if limits is None:
        low, high = np.nanmin(table, 1, keepdims=True), np.nanmax(table, 1, keepdims=True)
    else:
        low, high = (np.asarray(end, dtype=np.float64).reshape(-1, 1) for end in limits)
    spread = np.where(high > low, high - low, 1)
    scaled = np.where(
        high > low, (table - low) / spread, np.where(np.isnan(table), np.nan, _NO_SPREAD)
    )
    places = np.arange(len(table), dtype=float)
    if n_above:
        scaled = np.insert(scaled, n_above, np.nan, axis=0)
        places[n_above:] += 1
    style.heat_map(ax, scaled, (0, 1))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    # with many names, only those that have room are written
    step = -(-len(names) // 60)
    ax.set_yticks(places[::step], names[::step])
    both = [
        [written(end[place, 0], words_of(letters, place)) for end in (low, high)]
        for place in range(0, len(names), step)
    ]
    ends = [a if a == b else f"{a} … {b}" for a, b in both]
    right = ax.secondary_yaxis("right")
    right.set_yticks(places[::step], ends)
    right.tick_params(length=0, labelsize=style.TICK_SIZE - 1, labelcolor=style.MUTED)
    right.spines[:].set_visible(False)


def _name_blocks(ax: Axes, n: int, size: int, gap: int, names: Sequence[str] | None) -> None:
    if names is None:
        style.number_blocks(ax, "x", n, size, gap)
        return
    check_names(names, n, "chain_names", "chains")
    places = [i * (size + gap) + (size - 1) / 2 for i in range(n)]
    is_long = sum(map(len, names)) > 60
    ax.set_xticks(places, legible(names, 14) if len(set(names)) == n else list(names))
    if is_long:
        ax.tick_params(axis="x", labelrotation=90)
