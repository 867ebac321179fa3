"""Figures of aligned sequences: contact maps, precision, effects of mutations, logos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Affine2D

from harmonium.plots import style
from harmonium.plots.arrays import FloatArray

# Letters by what their side chains are, and the bases of nucleic acids.
_KINDS = {
    "acidic": ("DE", "#c8453c"),
    "basic": ("KRH", "#2f6fa7"),
    "polar": ("STNQGP", "#3d9a83"),
    "hydrophobic": ("AVILMFWYC", "#2b2f36"),
}
_BASES = {"A": "#3d9a83", "C": "#2f6fa7", "G": "#e07b39", "U": "#c8453c", "T": "#c8453c"}
_GAP_COLOUR = "#9aa1ab"

# Its I has serifs: a plain bar would be stretched into a block.
_FONT = FontProperties(family="monospace", weight="bold")

# A logo shows at most so many sites, and letters that are higher than this part of the highest.
_MOST_SITES, _SMALLEST_LETTER = 40, 0.02


def contact_map(
    pairs: npt.ArrayLike,
    n_sites: int,
    distances: npt.ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    cut_off: float = 8.0,
    subtitle: str = "",
) -> Axes:
    """Draw contacts of a structure below the diagonal, and predicted ones above it.

    Parameters
    ----------
    pairs
        Sites of predicted contacts, counted from 0, shape (n_pairs, 2).
    n_sites
        Number of sites.
    distances
        Å, shape (n_sites, n_sites); NaN where unknown. Without them, predictions are drawn alone.
    ax
        Where to draw; a new figure by default.
    cut_off
        Sites nearer than this are in contact.
    subtitle
        A line below the title.
    """
    ax = style.plot_axes(ax, size=(5.2, 5.4))
    predicted = np.asarray(pairs, np.int64).reshape(-1, 2)
    low, high = predicted.min(1, initial=n_sites), predicted.max(1, initial=0)
    ax.plot([0, n_sites + 1], [0, n_sites + 1], color=style.FAINT, linewidth=0.8, zorder=0)
    size = max(1.0, 300 / n_sites)
    if distances is None:
        ax.scatter(high + 1, low + 1, size, style.BLUE, marker="s", linewidths=0)
    else:
        apart = np.asarray(distances, np.float64)
        row, column = np.nonzero(np.tril(apart < cut_off, -1))
        ax.scatter(
            column + 1, row + 1, size, style.MUTED, marker="s", linewidths=0,
            label=f"nearer than {cut_off:g} Å",
        )  # fmt: skip
        between = apart[low, high]
        for chosen, colour, label in (
            (between < cut_off, style.BLUE, "predicted, in contact"),
            (between >= cut_off, style.ORANGE, "predicted, not in contact"),
            (np.isnan(between), style.FAINT, "predicted, distance unknown"),
        ):
            if chosen.any():
                ax.scatter(
                    high[chosen] + 1, low[chosen] + 1, size, colour, marker="s", linewidths=0,
                    label=label,
                )  # fmt: skip
        ax.legend(
            fontsize=style.TICK_SIZE, frameon=False, ncols=2, loc="lower center",
            bbox_to_anchor=(0.5, -0.32), markerscale=max(1.0, (20 / size) ** 0.5),
        )  # fmt: skip
    ticks = MaxNLocator(steps=[1, 2, 5, 10], integer=True).tick_values(1, n_sites)
    ticks = [1, *(tick for tick in ticks if 1 < tick <= n_sites)]  # sites count from 1
    ax.set_xticks(ticks)
    ax.set_yticks(ticks)
    ax.set_xlim(0, n_sites + 1)
    ax.set_ylim(n_sites + 1, 0)
    ax.set_aspect("equal")
    style.name(ax, "Contacts", subtitle, "site", "site")
    return ax


def precision_curve(
    curve: npt.ArrayLike,
    ax: Axes | None = None,
    *,
    others: dict[str, npt.ArrayLike] | None = None,
    subtitle: str = "",
) -> Axes:
    """Draw the share of contacts among the best 1, 2, ... pairs.

    Parameters
    ----------
    curve
        Shape (n_pairs,).
    ax
        Where to draw; a new figure by default.
    others
        Further curves by name.
    subtitle
        A line below the title.
    """
    ax = style.plot_axes(ax)
    for (name, values), colour in zip(
        {"": curve, **(others or {})}.items(),
        (style.BLUE, style.ORANGE, style.GREEN, style.MUTED, style.INK),
        strict=False,
    ):
        drawn = np.asarray(values, np.float64)
        ax.plot(np.arange(1, len(drawn) + 1), drawn, color=colour, label=name or "this model")
    if others:
        ax.legend(fontsize=style.TICK_SIZE, frameon=False)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(0, 1.02)
    style.name(ax, "Precision", subtitle, "best pairs", "share in contact")
    return ax


def contacts(
    pairs: npt.ArrayLike,
    n_sites: int,
    distances: npt.ArrayLike | None = None,
    curve: npt.ArrayLike | None = None,
    *,
    cut_off: float = 8.0,
    subtitle: str = "",
) -> Figure:
    """Draw a `contact_map` and, if there is one, the `precision_curve` beside it."""
    figure = style.new_figure((5.2 if curve is None else 10.4, 5.6))
    axes = figure.subplots(1, 1 if curve is None else 2, squeeze=False)[0]
    contact_map(pairs, n_sites, distances, axes[0], cut_off=cut_off, subtitle=subtitle)
    if curve is not None:
        precision_curve(curve, style.dress(axes[1]), subtitle=f"nearer than {cut_off:g} Å")
    return figure


def mutation_map(
    effects: npt.ArrayLike,
    letters: str,
    wild_type: str,
    positions: Sequence[int | None],
    ax: Axes | None = None,
    *,
    subtitle: str = "",
) -> Axes:
    """Draw the effect of every single mutation, with dots at the wild type's own letters.

    Parameters
    ----------
    effects
        Differences of log-probability, nats, shape (n_sites, n_letters).
    letters, wild_type
        The letters of the columns; the letter of each site.
    positions
        Position of each site on the whole sequence; None at a gap.
    ax
        Where to draw; a new figure by default.
    subtitle
        A line below the title.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    values = np.asarray(effects, np.float64)
    if values.shape != (len(wild_type), len(letters)) or len(positions) != len(wild_type):
        raise ValueError(
            f"effects have shape {values.shape}; pass a row for each of the {len(wild_type)} sites "
            f"and a column for each of the {len(letters)} letters"
        )
    if ax is None:
        ax = style.plot_axes(None, size=(max(6.4, 0.055 * len(wild_type) + 1.5), 3.6))
    style.dress(ax)
    # a few hopeless mutations would leave no colours for the others
    size = float(np.quantile(np.abs(values), 0.98)) or 1.0
    image = style.heat_map(ax, values.T, (-size, size), style.DIVERGING)
    sites = [site for site, letter in enumerate(wild_type) if letter in letters]
    ax.scatter(
        sites, [letters.index(wild_type[site]) for site in sites], 3, style.INK, linewidths=0
    )
    ax.set_yticks(range(len(letters)), list(letters), fontsize=6)
    step = 10 if len(wild_type) > 50 else 5
    known = [(site, place) for site, place in enumerate(positions) if place and place % step == 0]
    ax.set_xticks([site for site, _ in known], [str(place) for _, place in known])
    style.colour_key(ax, image, "nats")
    style.name(ax, "Effects of single mutations", subtitle, "position", "letter")
    return ax


def mutants(
    effects: npt.ArrayLike,
    letters: str,
    wild_type: str,
    positions: Sequence[int | None],
    measured: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    *,
    subtitle: str = "",
    measured_subtitle: str = "",
) -> Figure:
    """Draw a `mutation_map` and, below it, scores and measurements of mutants, if there are any."""
    width = max(6.4, 0.055 * len(wild_type) + 1.5)
    figure = style.new_figure((width, 3.6 if measured is None else 7.2))
    rows = figure.subplots(1 if measured is None else 2, 1, squeeze=False)[:, 0]
    mutation_map(effects, letters, wild_type, positions, rows[0], subtitle=subtitle)
    if measured is not None:
        scores_beside_measurements(*measured, rows[1], subtitle=measured_subtitle)
    return figure


def scores_beside_measurements(
    scores: npt.ArrayLike, measured: npt.ArrayLike, ax: Axes | None = None, *, subtitle: str = ""
) -> Axes:
    """Draw a point for each mutant: its score, and what was measured; NaN is left out."""
    ax = style.plot_axes(ax, size=(4.2, 3.8))
    x, y = np.asarray(scores, np.float64), np.asarray(measured, np.float64)
    ax.scatter(x, y, 4, style.BLUE, alpha=0.4, linewidths=0)
    style.name(ax, "Mutants", subtitle, "score, nats", "measured")
    return ax


def sequence_logos(
    weights: Sequence[npt.ArrayLike],
    letters: str,
    names: Sequence[str],
    inputs: Sequence[npt.ArrayLike] | None = None,
    positions: Sequence[int] | None = None,
    figure: Figure | SubFigure | None = None,
    *,
    n_sites: int = _MOST_SITES,
) -> Figure | SubFigure:
    """Draw what hidden units read: a logo each, and beside it the distribution of its input.

    A letter is as high as its weight, above zero if it raises the input, and below if it lowers it.
    The sites with the largest weights are drawn, in their order.

    Parameters
    ----------
    weights
        Of each unit, shape (n_sites, n_letters).
    letters
        The letters.
    names
        A line above each logo.
    inputs
        Of each unit, its input for rows of data.
    positions
        The number of each site; by default 1, 2, ....
    figure
        Where to draw; a new figure by default.
    n_sites
        Most sites of a logo.

    Raises
    ------
    ValueError
        If there is no unit, or the shapes do not fit.
    """
    drawn = [np.asarray(each, np.float64) for each in weights]
    if not drawn or any(each.ndim != 2 or each.shape[1] != len(letters) for each in drawn):
        raise ValueError(
            f"weights have shapes {[each.shape for each in drawn]}; pass one or more units, each "
            f"with a row for a site and a column for each of the {len(letters)} letters"
        )
    if figure is None:
        figure = style.new_figure((9.0, 0.6 + 1.25 * len(drawn)))
    axes = figure.subplots(
        len(drawn), 1 if inputs is None else 2, squeeze=False,
        width_ratios=None if inputs is None else [4, 1],
    )  # fmt: skip
    for place, (own, title) in enumerate(zip(drawn, names, strict=True)):
        _logo(axes[place, 0], own, letters, positions, n_sites)
        axes[place, 0].set_title(title, loc="left", fontsize=style.TICK_SIZE, color=style.INK)
        if inputs is not None:
            ax = style.dress(axes[place, 1])
            ax.hist(np.asarray(inputs[place], np.float64), 40, color=style.BLUE)
            ax.set_yticks([])
    if inputs is not None:
        axes[-1, 1].set_xlabel("input", fontsize=style.LABEL_SIZE, color=style.INK)
    axes[-1, 0].set_xlabel("site", fontsize=style.LABEL_SIZE, color=style.INK)
    return figure


def _logo(
    ax: Axes, weights: FloatArray, letters: str, positions: Sequence[int] | None, n_sites: int
) -> None:
    style.dress(ax)
    norms = np.linalg.norm(weights, axis=1)
    shown = np.sort(np.argsort(-norms, kind="stable")[:n_sites])
    up, down = (np.clip(side * weights[shown], 0, None).sum(1).max() for side in (1, -1))
    least = _SMALLEST_LETTER * max(up, down)
    colours = _colours(letters)
    for place, site in enumerate(shown):
        for side in (1, -1):
            height = 0.0
            # the smallest letters stand next to the line
            for letter in np.argsort(np.abs(weights[site])):
                size = side * weights[site, letter]
                if size > least:
                    low = height if side > 0 else -height - size
                    _draw_letter(ax, letters[letter], place, low, size, colours[letters[letter]])
                    height += size
    ax.axhline(0, color=style.MUTED, linewidth=0.6)
    ax.set_xlim(-0.6, len(shown) - 0.4)
    room = max(up + down, 1e-12)
    ax.set_ylim(-down - 0.04 * room, up + 0.04 * room)
    numbers = [site + 1 if positions is None else positions[site] for site in shown]
    ax.set_xticks(range(len(shown)), [str(number) for number in numbers], fontsize=5, rotation=90)
    ax.yaxis.set_major_locator(MaxNLocator(3))


def _draw_letter(ax: Axes, letter: str, place: int, low: float, height: float, colour: str) -> None:
    # a gap is a thin line as a character, and would be stretched into a block
    path = TextPath((0, 0), "–" if letter == "-" else letter, size=1, prop=_FONT)
    box = path.get_extents()
    scale = Affine2D().translate(-box.x0, -box.y0).scale(0.86 / box.width, height / box.height)
    ax.add_patch(
        PathPatch(
            scale.translate(place - 0.43, low).transform_path(path), facecolor=colour, linewidth=0
        )
    )


def _colours(letters: str) -> dict[str, str]:
    if set(letters) <= {*"ACGTUN-"}:
        return {letter: _BASES.get(letter, _GAP_COLOUR) for letter in letters}
    by_kind = {letter: colour for own, colour in _KINDS.values() for letter in own}
    return {letter: by_kind.get(letter, _GAP_COLOUR) for letter in letters}
