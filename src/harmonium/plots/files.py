"""Writes pictures to files atomically."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from harmonium.files import whole_file
from harmonium.plots.arrays import whole_number


def save(
    figure_or_axes: Figure | SubFigure | Axes,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    caption: str = "",
) -> Path:
    """Write a figure, or the figure an Axes belongs to, in the format given by the suffix.

    The suffix is ``.png``, ``.pdf``, ``.svg`` or another that matplotlib supports. An existing file
    is replaced; nothing is left behind if writing fails.

    Parameters
    ----------
    figure_or_axes, path
        What to write, and where.
    title, caption
        What the picture shows, in a few words and in a sentence. A PNG file stores both (as
        ``Title`` and ``Description``); other formats do not.

    Raises
    ------
    ValueError
        If matplotlib does not support the suffix.
    FileNotFoundError
        If the folder does not exist.
    """
    path = Path(path)
    figure = _whole_figure(figure_or_axes)
    formats = figure.canvas.get_supported_filetypes()
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in formats:
        raise ValueError(
            f"{path} ends in {path.suffix or 'no suffix'}, which names no picture format; "
            f"use one of {', '.join('.' + name for name in sorted(formats))}"
        )
    words = {"Title": title, "Description": caption} if suffix == "png" and title else None
    with whole_file(path) as file, _boxes_for_unknown_letters():
        figure.savefig(file, format=suffix, metadata=words)
    return path


def png(figure_or_axes: Figure | SubFigure | Axes) -> bytes:
    """A figure, or the figure an Axes belongs to, as the content of a PNG file."""
    content = io.BytesIO()
    with _boxes_for_unknown_letters():
        _whole_figure(figure_or_axes).savefig(content, format="png")
    return content.getvalue()


@contextmanager
def _boxes_for_unknown_letters() -> Iterator[None]:
    """Draw a box for a letter that no font has, without matplotlib's warning for each of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        yield


def _whole_figure(figure_or_axes: Figure | SubFigure | Axes) -> Figure:
    figure = figure_or_axes.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise ValueError("the Axes belongs to no figure, so there is nothing to save")
    return figure


def save_sheet(
    path: str | os.PathLike[str], sheet: npt.NDArray[np.uint8], *, zoom: int = 1
) -> Path:
    """Write a raster sheet as PNG without a figure: 500 MNIST filters take about 20 ms.

    Parameters
    ----------
    path
        Ends in ``.png``. An existing file is replaced; nothing is left behind if writing fails.
    sheet
        uint8, shape ``(height, width)`` for grey or ``(height, width, 3)`` for colour, as returned
        by `tile`.
    zoom
        Side, in pixels, of the square drawn for one pixel of the sheet.

    Raises
    ------
    ValueError
        If the suffix is not ``.png``, if the array is not such a sheet, or if `zoom` is not a
        positive whole number.
    FileNotFoundError
        If the folder does not exist.
    """
    path = Path(path)
    sheet = np.asarray(sheet)
    if path.suffix.lower() != ".png":
        raise ValueError(
            f"{path} ends in {path.suffix or 'no suffix'}, but sheets are written as .png"
        )
    grey_or_colour = sheet.ndim == 2 or (sheet.ndim == 3 and sheet.shape[2] == 3)
    if sheet.dtype != np.uint8 or not grey_or_colour or sheet.size == 0:
        raise ValueError(
            f"sheet is {sheet.dtype} of shape {sheet.shape}, but uint8 of shape (height, width) or "
            "(height, width, 3) is needed; harmonium.plots.tile makes one from images"
        )
    zoom = whole_number(zoom, "zoom")
    enlarged = sheet.repeat(zoom, axis=0).repeat(zoom, axis=1)
    with whole_file(path) as file:
        # Up to six times as fast as the default level, for files at most a tenth larger.
        Image.fromarray(enlarged).save(file, format="png", compress_level=1)
    return path
