"""Pictures of visible units: filters, samples along chains, reconstructions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from harmonium.plots import style
from harmonium.plots.arrays import (
    FloatArray,
    ImageShape,
    check_image_shape,
    check_names,
    finite,
    pairs,
    whole_number,
    with_completions,
)
from harmonium.plots.sheets import grey_levels, mosaic, near_square, scale_each, value_limits

_NOT_GIVEN = (0.72, 0.80, 0.90)


def filters(
    weights: npt.ArrayLike,
    image_shape: ImageShape | None,
    ax: Axes | None = None,
    n: int | None = None,
    *,
    strongest_first: bool = False,
    cmap: str | Colormap = style.DIVERGING,
) -> Axes:
    """Draw the weights of each hidden unit as a picture, on its own scale centred at zero.

    Parameters
    ----------
    weights
        Shape ``(n_visible, n_hidden)``.
    image_shape
        ``(height, width)`` of the visible units. None if they are not a picture: then the weights
        are drawn as a heat map on one scale, with one row per hidden unit and one column per
        visible unit.
    ax
        The Axes to draw on; by default those of a new figure, available as ``ax.figure`` of the
        result.
    n
        Maximum number of filters to draw; all by default.
    strongest_first
        Sort by the Euclidean norm of the filters, largest first, instead of by number.
    cmap
        Colours from negative to positive, such as ``"gray"``.

    Raises
    ------
    ValueError
        If `weights` is empty, not finite, or does not fit `image_shape`.
    """
    rows = finite(weights, "weights", ("n_visible", "n_hidden")).T
    n_hidden, n_visible = rows.shape
    order = np.arange(n_hidden)
    if strongest_first:
        order = np.argsort(-np.linalg.norm(rows, axis=1), kind="stable")
    if n is not None:
        order = order[: whole_number(n, "n")]
    rows = rows[order]
    title = f"Filters of {_how_many(len(rows), n_hidden, 'hidden unit')}"

    if image_shape is None:
        largest = float(np.abs(rows).max()) or 1.0
        ax = style.plot_axes(ax)
        image = style.heat_map(ax, rows, (-largest, largest), cmap)
        name = "hidden unit, largest norm first" if strongest_first else "hidden unit"
        style.name(ax, title, "one row a hidden unit, all on one scale", "visible unit", name)
        style.colour_key(ax, image, "weight")
        return ax

    shape = check_image_shape(image_shape, n_visible, "weights")
    pictures = scale_each(rows).reshape(-1, *shape)
    whole = mosaic(pictures, near_square(len(rows), shape), gaps=(1, 1), fill=np.nan)
    ax = style.picture_axes(ax, whole.shape, right=0.75)
    image = ax.imshow(whole, cmap=cmap, vmin=-1, vmax=1)
    ax.set(xticks=[], yticks=[])
    order_named = ", the largest norm first" if strongest_first else ""
    style.name(ax, title, f"each on its own scale{order_named}")
    style.colour_key(ax, image, ticks=[-1, 0, 1], tick_labels=["−max", "0", "+max"])
    return ax


def samples(
    chains: npt.ArrayLike,
    image_shape: ImageShape | None,
    ax: Axes | None = None,
    *,
    sweeps_per_sample: int | None = None,
    limits: tuple[float, float] | None = None,
    chain_names: Sequence[str] | None = None,
) -> Axes:
    """Draw samples of several chains: one row per chain, with time running to the right.

    If each chain has only one picture, the pictures form an approximately square grid; if chains
    have names, one row per name.

    Parameters
    ----------
    chains
        Shape ``(n_chains, n_samples, n_visible)``: states, or means for a smoother display.
    image_shape
        ``(height, width)`` of the visible units. None if they are not a picture: then a heat map is
        drawn with one row per sample and one column per visible unit; chains are stacked, and time
        runs down within each.
    ax
        The Axes to draw on; new by default.
    sweeps_per_sample
        Sweeps between neighbouring samples of a chain, for the label.
    limits
        The values drawn as black and white, as in `tile`; by default the smallest and the largest
        value.
    chain_names
        Name of each chain, such as the class that it shows; its number by default. Only for
        pictures.

    Raises
    ------
    ValueError
        If `chains` is empty, not finite, or does not fit `image_shape`, or if the number of names
        is wrong.
    """
    values = finite(chains, "chains", ("n_chains", "n_samples", "n_visible"))
    n_chains, n_samples, n_visible = values.shape
    title = f"Samples of {style.plural(n_chains, 'chain')}"
    time = "sample of the chain"
    if sweeps_per_sample is not None:
        sweeps = style.plural(whole_number(sweeps_per_sample, "sweeps_per_sample"), "sweep")
        time += f", {sweeps} apart"

    if image_shape is None:
        gap = max(1, round(0.15 * n_samples)) if n_chains > 1 else 0
        ax = _table(ax, values, limits, gap)
        style.name(ax, title, f"one row a {time}; its time runs down", "visible unit", "chain")
        return ax

    shape = check_image_shape(image_shape, n_visible, "chains")
    if chain_names is not None:
        check_names(chain_names, n_chains, "chain_names", "chains")
    pictures = grey_levels(values, limits).reshape(-1, *shape)
    if n_samples == 1 and chain_names is not None:
        return _named_rows(pictures, chain_names, title, ax)
    if n_samples == 1:
        whole = mosaic(pictures, near_square(n_chains, shape), gaps=(1, 1), fill=np.nan)
        ax = style.grey_picture(ax, whole)
        style.name(ax, title, "one of each chain")
        return ax
    whole = mosaic(pictures, n_samples, gaps=(1, 1), fill=np.nan)
    left = 0.6 if chain_names is None else style.room_for(chain_names)
    ax = style.grey_picture(ax, whole, left=left, bottom=0.5)
    style.number_blocks(ax, "x", n_samples, shape[1], 1)
    which = "chain"
    if chain_names is None:
        style.number_blocks(ax, "y", n_chains, shape[0], 1)
    else:
        which = ""
        style.name_blocks(ax, chain_names, shape[0], 1)
    subtitle = "one row a chain; its own time runs to the right"
    style.name(ax, title, subtitle, f"{time}  →", which)
    return ax


def _named_rows(pictures: FloatArray, names: Sequence[str], title: str, ax: Axes | None) -> Axes:
    """One picture of each chain, with those of the same name in one row."""
    rows = {name: [i for i, of in enumerate(names) if of == name] for name in dict.fromkeys(names)}
    most = max(map(len, rows.values()))
    cells = np.full((len(rows), most, *pictures.shape[1:]), np.nan)
    for row, chosen in enumerate(rows.values()):
        cells[row, : len(chosen)] = pictures[chosen]
    whole = mosaic(cells.reshape(-1, *pictures.shape[1:]), most, gaps=(1, 1), fill=np.nan)
    ax = style.grey_picture(ax, whole, left=style.room_for(rows))
    style.name_blocks(ax, list(rows), pictures.shape[1], 1)
    style.name(ax, title, "one of each chain; one row a class")
    return ax


def reconstructions(
    originals: npt.ArrayLike,
    reconstructed: npt.ArrayLike,
    image_shape: ImageShape | None,
    ax: Axes | None = None,
    *,
    n_columns: int = 10,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw originals, each above its reconstruction.

    Parameters
    ----------
    originals, reconstructed
        Both of shape ``(n_rows, n_visible)``, with corresponding rows.
    image_shape
        ``(height, width)`` of the visible units. None if they are not a picture: then a heat map is
        drawn with one column per visible unit, in which each original is a strip above its
        reconstruction.
    ax
        The Axes to draw on; new by default.
    n_columns
        Maximum number of pairs side by side; ignored if `image_shape` is None.
    limits
        The values drawn as black and white, as in `tile`; by default the smallest and the largest
        of both arrays.

    Raises
    ------
    ValueError
        If an array is empty or not finite, the shapes differ, or they do not fit `image_shape`.
    """
    before, after = pairs(originals, reconstructed, ("n_rows", "n_visible"))
    n_rows, n_visible = before.shape
    both = np.stack([before, after], axis=1)
    title = f"Reconstructions of {style.plural(n_rows, 'row')}"
    subtitle = "each original above its reconstruction"

    if image_shape is None:
        ax = _table(ax, both, limits, gap=1 if n_rows > 1 else 0)
        style.name(ax, title, subtitle, "visible unit", "row")
        return ax

    shape = check_image_shape(image_shape, n_visible, "originals")
    height, width = shape
    n_columns = min(whole_number(n_columns, "n_columns"), n_rows)
    levels = grey_levels(both, limits).reshape(n_rows, 2, height, width)
    seam = np.full((n_rows, 1, width), np.nan)
    upon_each_other = np.concatenate([levels[:, 0], seam, levels[:, 1]], axis=1)
    between = max(2, height // 4)
    whole = mosaic(upon_each_other, n_columns, gaps=(between, 1), fill=np.nan)
    ax = style.grey_picture(ax, whole, left=1.0)
    tops = np.arange(-(-n_rows // n_columns)) * (2 * height + 1 + between)
    middle = (height - 1) / 2
    ax.set_yticks(
        np.concatenate([tops + middle, tops + height + 1 + middle]),
        ["original"] * len(tops) + ["reconstructed"] * len(tops),
    )
    style.name(ax, title, subtitle)
    return ax


def completions(
    truth: npt.ArrayLike,
    completed: npt.ArrayLike,
    held: npt.ArrayLike,
    image_shape: ImageShape,
    ax: Axes | None = None,
    *,
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw completed pictures: the true picture, the given part, and the completions.

    The parts that were not given are tinted. The completions of each picture run to the right; with
    one completion per picture, several pictures are drawn side by side.

    Parameters
    ----------
    truth
        The true pictures, shape ``(n_images, n_visible)``.
    completed
        Samples of each, or means for a smoother display, shape
        ``(n_images, n_samples, n_visible)``.
    held
        True where a pixel was given, shape ``(n_visible,)``.
    image_shape
        ``(height, width)``.
    ax
        The Axes to draw on; new by default.
    limits
        The values drawn as black and white, as in `tile`; by default the smallest and the largest
        value.

    Raises
    ------
    ValueError
        If an array is empty or not finite, or shapes do not fit.
    """
    rows, samples, mask = with_completions(
        truth, completed, held, "completed", ("n_images", "n_visible")
    )
    height, width = shape = check_image_shape(image_shape, rows.shape[1], "truth")
    n_images, n_samples, _ = samples.shape
    every = np.concatenate([rows[:, None], rows[:, None], samples], 1)
    levels = grey_levels(every, limits).reshape(-1, *shape)
    n_parts = n_samples + 2
    tints = np.zeros((n_images, n_parts, *shape))
    tints[:, 1] = ~mask.reshape(shape)
    n_beside = n_parts
    if n_samples == 1:
        n_beside *= near_square(n_images, (height, n_parts * width))
    grey = mosaic(levels, n_beside, gaps=(2, 1), fill=np.nan)
    tint = mosaic(tints.reshape(-1, *shape), n_beside, gaps=(2, 1), fill=0)
    colours = np.repeat(np.nan_to_num(grey, nan=1.0)[..., None], 3, axis=-1)
    colours[tint > 0] = _NOT_GIVEN
    ax = style.picture_axes(ax, grey.shape, left=0.3, bottom=0.9)
    ax.imshow(colours)
    ax.set_yticks([])
    parts = ["true", "given", *(str(i) for i in range(n_samples))]
    if n_samples == 1:
        parts = ["true", "given", "completed"] * (n_beside // n_parts)
    places = (width + 1) * np.arange(len(parts)) + (width - 1) / 2
    ax.set_xticks(places, parts, rotation=90 if n_samples == 1 or n_samples > 8 else 0)
    title = f"Completions of {style.plural(n_images, 'picture')}"
    subtitle = "true picture, the given part (the rest is tinted), completions"
    style.name(ax, title, subtitle, "" if n_samples == 1 else "number of the completion  →")
    return ax


def _table(
    ax: Axes | None, blocks: FloatArray, limits: tuple[float, float] | None, gap: int
) -> Axes:
    """Draw a heat map of blocks of rows, with their numbers at the left."""
    ax = style.plot_axes(ax, size=(6.4, 4.6))
    # the colour scale of a table increases upwards, whatever the order of the limits
    low, high = sorted(value_limits(blocks, limits))
    image = style.heat_map(ax, mosaic(blocks, 1, gaps=(gap, 0), fill=np.nan), (low, high))
    style.number_blocks(ax, "y", blocks.shape[0], blocks.shape[1], gap)
    style.colour_key(ax, image, "value")
    return ax


def _how_many(shown: int, n: int, noun: str) -> str:
    return style.plural(n, noun) if shown == n else f"{shown:,} of {style.plural(n, noun)}"
