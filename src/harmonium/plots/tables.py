"""Figures of tables: named columns, in the data and in samples of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from harmonium.plots import style
from harmonium.plots.arrays import FloatArray, check_names, finite, whole_number

LONGEST_NAME = 22
"""Maximum characters of a column's name in a figure; longer names lose their middle."""

MOST_VALUES = 12
"""Maximum number of distinct values for which a column is drawn as bars, one per value."""

Letters: TypeAlias = str | Sequence[Sequence[str] | None] | None
"""What the values 0, 1, 2, ... stand for: letters, in all columns, or words, column by column."""

_ROW = ("n_rows", "n_columns")

# Below a pair of bars: how long a word may be, how many fit, and how many letters fit lengthwise.
_LONGEST_WORD, _MOST_WORDS, _ROOM = 12, 24, 24


def legible(columns: Sequence[str], longest: int = LONGEST_NAME) -> list[str]:
    """Names of columns for figures: short, on one line, and unique.

    Parameters
    ----------
    columns
        Names; an empty name becomes the number of its column.
    longest
        Maximum characters of each name, at least 5; more are added to distinguish similar names.

    Examples
    --------
    >>> legible(["alcohol", "alcohol", "proline content of the sample in milligrams"])
    ['alcohol', 'alcohol (2)', 'proline con…milligrams']
    """
    # a dollar sign would begin a formula
    plain = [
        " ".join(str(name).split()).replace(r"\$", "$").replace("$", r"\$") for name in columns
    ]
    shown = [_shortened(name, longest) or f"column {i}" for i, name in enumerate(plain)]
    by_name: dict[str, list[int]] = {}
    for i, name in enumerate(shown):
        by_name.setdefault(name, []).append(i)
    for places in [places for places in by_name.values() if len(places) > 1]:
        for i, told_apart in zip(places, _by_difference([plain[i] for i in places]), strict=True):
            shown[i] = told_apart
    n_seen: Counter[str] = Counter()
    taken, unlike = set(shown), []
    for name in shown:
        n_seen[name] += 1
        told_apart = name
        while n_seen[name] > 1 and told_apart in taken:
            told_apart = f"{name} ({n_seen[name]})"
            n_seen[name] += told_apart in taken
        taken.add(told_apart)
        unlike.append(told_apart)
    return unlike


def _shortened(name: str, longest: int) -> str:
    if len(name) <= longest:
        return name
    head = longest // 2
    return f"{name[:head].rstrip()}…{name[-(longest - 1 - head) :].lstrip()}"


def _by_difference(names: list[str]) -> list[str]:
    """Shorten long names with equal beginnings and ends, keeping the part that differs."""
    if len(set(names)) == 1:
        return [_shortened(name, LONGEST_NAME) for name in names]
    first = _common_beginning(names)
    last = _common_beginning([name[len(first) :][::-1] for name in names])[::-1]
    return [
        f"{first[:5].rstrip()}…{_shortened(name[len(first) : len(name) - len(last)], 12)}"
        f"{'…' * (len(last) > 4)}{last[-4:].lstrip()}"
        for name in names
    ]


def _common_beginning(names: list[str]) -> str:
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def distances(data: npt.ArrayLike, samples: npt.ArrayLike, *, nominal: bool = False) -> FloatArray:
    """Distance between the distributions of each column in samples and in the data, 0 to 1.

    Parameters
    ----------
    data, samples
        Shape ``(n_rows, n_columns)``; they may differ in the number of rows.
    nominal
        Whether values are names without an order. If so, the distance is the total variation
        distance, half the sum of absolute differences of the frequencies; otherwise, it is the
        largest difference of the two distribution functions (Kolmogorov-Smirnov).

    Returns
    -------
    ndarray
        float64, shape ``(n_columns,)``.
    """
    of_data, of_samples = _both(data, samples)
    found = np.empty(of_data.shape[1])
    for column, (a, b) in enumerate(zip(of_data.T, of_samples.T, strict=True)):
        values = np.unique(np.concatenate([a, b]))
        if nominal:
            found[column] = np.abs(_shares(a, values) - _shares(b, values)).sum() / 2
        else:
            below = (np.searchsorted(np.sort(x), values, side="right") / len(x) for x in (a, b))
            found[column] = np.abs(np.subtract(*below)).max()
    return found


def words_of(letters: Letters, column: int) -> Sequence[str] | None:
    """What the values of a column stand for; None for numbers."""
    return letters if letters is None or isinstance(letters, str) else letters[column]


def written(value: float, words: Sequence[str] | None) -> str:
    """A value as it is written in a figure; what is between two words stays a number."""
    if words is not None and value in range(len(words)):
        return legible([words[int(value)]], _LONGEST_WORD)[0]
    return f"{value:.4g}".replace("-", "−")


def distributions(
    data: npt.ArrayLike,
    samples: npt.ArrayLike,
    columns: Sequence[str],
    figure: Figure | SubFigure | None = None,
    *,
    n_beside: int = 3,
    nominal: bool = False,
    letters: Letters = None,
    title: str = "Columns of the data and of samples",
) -> Figure | SubFigure:
    """Draw the distribution of each column, with data and samples overlaid.

    Columns with few distinct values have a pair of bars for each value; others have histograms,
    whose outermost bins include all values beyond them.

    Parameters
    ----------
    data, samples
        In the user's units, shape ``(n_rows, n_columns)``; they may differ in the number of rows.
    columns
        The name of each column.
    figure
        The Axes or figure to draw on; new by default.
    n_beside
        Maximum number of columns side by side.
    nominal
        Whether values are names without an order, which are always drawn as bars.
    letters
        The letters that the values 0, 1, 2, ... of all columns stand for; or for each column the
        words that its values stand for, None for numbers.
    title
        Title of the figure.

    Raises
    ------
    ValueError
        If an array is empty or not finite, or the numbers of columns differ.
    """
    of_data, of_samples = _both(data, samples)
    names = legible(check_names(columns, of_data.shape[1], "columns", "columns"))
    n = len(names)
    n_beside = min(n, whole_number(n_beside, "n_beside"))
    n_below = -(-n // n_beside)
    if figure is None:
        figure = style.new_figure((max(3.4, 2.1 * n_beside), 0.65 + 1.3 * n_below))
    figure.suptitle(title, x=0.02, ha="left", fontsize=style.TITLE_SIZE, color=style.INK)
    axes = figure.subplots(n_below, n_beside, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.set_visible(False)
    for place, (ax, name, a, b) in enumerate(
        zip(axes, names, of_data.T, of_samples.T, strict=False)
    ):
        style.dress(ax)
        ax.spines["left"].set_visible(False)
        values = np.unique(np.concatenate([a, b]))
        if nominal or len(values) <= MOST_VALUES:
            _draw_bars(ax, a, b, values, words_of(letters, place))
        else:
            _draw_histograms(ax, a, b)
        ax.set_yticks([])
        ax.set_ylim(bottom=0)
        ax.set_title(name, loc="left", fontsize=style.LABEL_SIZE, color=style.INK, pad=3)
    entries = axes[0].get_legend_handles_labels()
    style.legend(figure, *entries, fontsize=style.LABEL_SIZE, loc="upper right", ncols=2)
    return figure


def _draw_bars(
    ax: Axes, a: FloatArray, b: FloatArray, values: FloatArray, words: Sequence[str] | None
) -> None:
    places = np.arange(len(values))
    for shift, of, colour, label in (
        (-0.2, a, style.BLUE, "data"),
        (0.2, b, style.ORANGE, "samples"),
    ):
        ax.bar(places + shift, _shares(of, values), 0.4, color=colour, label=label)
    if words is not None:
        told = [written(value, words) for value in values]
        step = -(-len(values) // _MOST_WORDS)
        is_long = sum(map(len, told[::step])) > _ROOM
        ax.set_xticks(places[::step], told[::step], fontsize=6, rotation=90 * is_long)
        return
    step = -(-len(values) // 8)
    ax.set_xticks(places[::step], [f"{value:.6g}" for value in values[::step]])


def _draw_histograms(ax: Axes, a: FloatArray, b: FloatArray) -> None:
    low, high = float(a.min()), float(a.max())
    reach = (high - low) or float(np.ptp(b)) or 1.0
    # a few outliers must not squeeze all others into one bin
    low = min(low, max(float(np.quantile(b, 0.005)), low - reach))
    high = max(high, min(float(np.quantile(b, 0.995)), high + reach))
    edges = np.linspace(low, high, int(np.clip(np.sqrt(len(a)), 8, 30)) + 1)
    counts = [np.histogram(np.clip(x, low, high), edges)[0] / len(x) for x in (a, b)]
    ax.stairs(counts[0], edges, color=style.BLUE, fill=True, alpha=0.45, label="data")
    ax.stairs(counts[1], edges, color=style.ORANGE, linewidth=1.6, label="samples")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3))
    plain = ScalarFormatter(useOffset=False)
    plain.set_powerlimits((-4, 7))
    ax.xaxis.set_major_formatter(plain)
    ax.xaxis.get_offset_text().set_fontsize(style.TICK_SIZE)


def shares(
    data: npt.ArrayLike,
    samples: npt.ArrayLike,
    columns: Sequence[str],
    ax: Axes | None = None,
    *,
    title: str = "Columns of the data and of samples",
    subtitle: str = "",
) -> Axes:
    """Draw the fraction of ones in each two-valued column, in the data and in samples.

    Parameters
    ----------
    data, samples
        Fractions from 0 to 1, shape ``(n_columns,)``.
    columns
        The name of each column; the first is at the top.
    ax
        The Axes or figure to draw on; new by default.
    title, subtitle
        Title and subtitle of the figure.

    Raises
    ------
    ValueError
        If an array is empty or not finite, or the numbers of columns differ.
    """
    a, b = (finite(x, name, ("n_columns",)) for x, name in ((data, "data"), (samples, "samples")))
    names = legible(check_names(columns, len(a), "columns", "columns"))
    if len(a) != len(b):
        raise ValueError(f"data has {len(a)} columns, and samples {len(b)}; pass as many")
    ax = style.plot_axes(ax, size=(6.0, 1.5 + 0.2 * max(len(a), 8)))
    places = np.arange(len(a))
    ax.hlines(places, np.minimum(a, b), np.maximum(a, b), color=style.FAINT, linewidth=2)
    ax.plot(a, places, "o", color=style.BLUE, markersize=5, label="data")
    (rings,) = ax.plot(b, places, "o", color=style.ORANGE, markersize=6, label="samples")
    rings.set(markerfacecolor="none", markeredgewidth=1.5)
    ax.set_yticks(places, names)
    ax.set_ylim(len(a) - 0.4, -0.6)
    style.grid(ax, "x")
    ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    below = -0.35 / (0.2 * max(len(a), 8))
    style.legend(ax, loc="upper right", bbox_to_anchor=(1, below), ncols=2)
    style.name(ax, title, subtitle, "rows that have a 1")
    return ax


def weights_by_column(
    weights: npt.ArrayLike,
    columns: Sequence[str],
    ax: Axes | None = None,
    *,
    n_columns: int = 40,
    n_hidden: int = 40,
    nouns: tuple[str, str] = ("column", "columns"),
) -> Axes:
    """Draw weights as a heat map, with one named line per column and one cell per hidden unit.

    If there are too many, the columns and hidden units with the largest weights are drawn, and the
    title gives the total numbers.

    Parameters
    ----------
    weights
        Shape ``(n_visible, n_hidden)``.
    columns
        Meaning of each visible unit: the name of its column, or its column and category.
    ax
        The Axes or figure to draw on; new by default.
    n_columns, n_hidden
        Maximum numbers to draw.
    nouns
        Singular and plural nouns for them in the title.

    Raises
    ------
    ValueError
        If the weights are empty or not finite, or the number of names is wrong.
    """
    every = finite(weights, "weights", ("n_visible", "n_hidden"))
    names = legible(check_names(columns, len(every), "columns", "columns"))
    kept = strongest(every, whole_number(n_columns, "n_columns"))
    norms = np.linalg.norm(every, axis=0)
    units = np.argsort(-norms, kind="stable")[: whole_number(n_hidden, "n_hidden")]
    shown = every[kept][:, units]
    largest = float(np.abs(shown).max()) or 1.0
    ax = style.plot_axes(ax, size=(6.4, 1.3 + 0.19 * max(len(kept), 8)))
    image = style.heat_map(ax, shown, (-largest, largest), style.DIVERGING)
    ax.set_yticks(range(len(kept)), [names[column] for column in kept])
    step = -(-len(units) // 16)
    ax.set_xticks(range(0, len(units), step), [str(unit) for unit in units[::step]])
    ax.tick_params(length=0)
    subtitle = "hidden units by the size of their weights, the largest first"
    title = (
        f"Weights of {_of(len(kept), len(every), nouns)} "
        f"and {_of(len(units), every.shape[1], ('hidden unit', 'hidden units'))}"
    )
    style.name(ax, title, subtitle, "hidden unit")
    style.colour_key(ax, image, "weight")
    return ax


def strongest(rows: npt.ArrayLike, n: int) -> npt.NDArray[np.intp]:
    """The indices of at most ``n`` rows with the largest norm, in order."""
    every = finite(rows, "rows", ("n_rows", "n"))
    chosen = np.argsort(-np.linalg.norm(every, axis=1), kind="stable")[:n]
    return np.sort(chosen)


def _of(shown: int, n: int, nouns: tuple[str, str]) -> str:
    many = style.plural(n, *nouns)
    return many if shown == n else f"{shown:,} of {many}"


def _shares(of: FloatArray, values: FloatArray) -> FloatArray:
    """Sorted distinct values, and the fraction of rows with each."""
    counts = np.bincount(np.searchsorted(values, of), minlength=len(values))
    return counts / len(of)


def _both(data: npt.ArrayLike, samples: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = finite(data, "data", _ROW), finite(samples, "samples", _ROW)
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"data has {a.shape[1]} columns, but samples has {b.shape[1]}; pass as many"
        )
    return a, b
