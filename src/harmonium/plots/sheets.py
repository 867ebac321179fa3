"""Raster sheets: many small images in one array, made in milliseconds without a figure."""

from __future__ import annotations

import math
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from harmonium.plots.arrays import FloatArray, ImageShape, check_image_shape, finite, whole_number

Sheet: TypeAlias = npt.NDArray[np.uint8]
_Number = TypeVar("_Number", np.uint8, np.float64)

_WHITE = 255


def tile(
    images: npt.ArrayLike,
    image_shape: ImageShape,
    n_columns: int | None = None,
    *,
    spacing: int = 1,
    limits: tuple[float, float] | None = None,
) -> Sheet:
    """Arrange images in rows, left to right and top to bottom, as one grey picture.

    Parameters
    ----------
    images
        Shape ``(n_images, height * width)``.
    image_shape
        ``(height, width)`` of one image.
    n_columns
        Images in a row; by default a sheet somewhat wider than high.
    spacing
        White pixels between neighbours; there is no border around the sheet.
    limits
        The values drawn as black and white, ``(black, white)``; values beyond them are clipped.
        Either order is allowed: ``(1, 0)`` draws dark ink on white paper. By default the smallest
        and the largest value of all images; if these are equal, everything is mid-grey.

    Returns
    -------
    Sheet
        uint8. ``n_rows * height + (n_rows - 1) * spacing`` pixels high and accordingly wide.

    Raises
    ------
    ValueError
        If `images` is empty, not finite, or does not fit `image_shape`; if an option is out of
        range.

    Examples
    --------
    >>> tile([[0, 1], [1, 0]], (1, 2), n_columns=2)
    array([[  0, 255, 255, 255,   0]], dtype=uint8)
    """
    values = finite(images, "images", ("n_images", "n_visible"))
    shape = check_image_shape(image_shape, values.shape[1], "images")
    gap = whole_number(spacing, "spacing", least=0)
    if n_columns is None:
        n_columns = near_square(len(values), shape)
    n_columns = whole_number(n_columns, "n_columns")
    levels = np.rint(255 * grey_levels(values, limits)).astype(np.uint8)
    return mosaic(levels.reshape(-1, *shape), n_columns, gaps=(gap, gap), fill=_WHITE)


def filter_sheet(
    weights: npt.ArrayLike,
    image_shape: ImageShape | None,
    n_columns: int | None = None,
    *,
    spacing: int = 1,
) -> Sheet:
    """Arrange the filters of hidden units, each on its own scale: grey is 0, lighter is positive.

    Parameters
    ----------
    weights
        Shape ``(n_visible, n_hidden)``.
    image_shape
        ``(height, width)`` of the visible units. None if they are not a picture: then the sheet has
        one row of pixels per hidden unit and one column per visible unit, all on one scale.
    n_columns, spacing
        As for `tile`; ignored if `image_shape` is None.

    Returns
    -------
    Sheet
        uint8, ready for `save_sheet`.

    Raises
    ------
    ValueError
        As for `tile`.
    """
    rows = finite(weights, "weights", ("n_visible", "n_hidden")).T
    if image_shape is None:
        whole = scale_each(rows.reshape(1, -1))
        return tile(whole, rows.shape, 1, limits=(-1, 1))
    check_image_shape(image_shape, rows.shape[1], "weights")
    return tile(scale_each(rows), image_shape, n_columns, spacing=spacing, limits=(-1, 1))


def scale_each(images: npt.ArrayLike) -> FloatArray:
    """Divide each row by its largest absolute value, so that it is in [-1, 1] and zero stays zero.

    Parameters
    ----------
    images
        Shape ``(n_images, n_pixels)``. A row of zeros is unchanged.
    """
    values = finite(images, "images", ("n_images", "n_pixels"))
    largest = np.abs(values).max(axis=1, keepdims=True)
    # Divided, not multiplied by an inverse: the inverse of a subnormal number would overflow.
    scaled: FloatArray = values / np.where(largest > 0, largest, 1.0)
    return scaled


def grey_levels(values: FloatArray, limits: tuple[float, float] | None) -> FloatArray:
    """Map values to [0, 1], with ``limits = (black, white)`` going to 0 and 1.

    Raises
    ------
    ValueError
        If the limits given are equal or not finite.
    """
    black, white = value_limits(values, limits)
    if black == white:
        return np.full_like(values, 0.5)
    return np.clip((values - black) / (white - black), 0.0, 1.0)


def value_limits(values: FloatArray, limits: tuple[float, float] | None) -> tuple[float, float]:
    """Return checked `limits`, or the smallest and the largest of `values` if they are None.

    Raises
    ------
    ValueError
        If the limits given are equal or not finite.
    """
    if limits is None:
        return float(values.min()), float(values.max())
    black, white = limits
    if black == white or not (math.isfinite(black) and math.isfinite(white)):
        raise ValueError(
            f"limits are {limits}, but two different finite values (black, white) are needed"
        )
    return black, white


def mosaic(
    images: npt.NDArray[_Number], n_columns: int, *, gaps: tuple[int, int], fill: float
) -> npt.NDArray[_Number]:
    """Join images ``(n, height, width)`` into one; gaps are ``(below, beside)`` in pixels."""
    n, height, width = images.shape
    n_rows = -(-n // n_columns)
    below, beside = gaps
    cells = np.full((n_rows * n_columns, height + below, width + beside), fill, dtype=images.dtype)
    cells[:n, :height, :width] = images
    grid = cells.reshape(n_rows, n_columns, height + below, width + beside).swapaxes(1, 2)
    joined = grid.reshape(n_rows * (height + below), n_columns * (width + beside))
    return joined[: joined.shape[0] - below, : joined.shape[1] - beside]


def near_square(n_images: int, image_shape: ImageShape) -> int:
    """Return the number of columns for a sheet with an aspect of about 5:4 and few empty places."""
    height, width = image_shape
    ideal = math.sqrt(1.25 * n_images * height / width)
    near = range(max(1, math.ceil(0.85 * ideal)), max(1, math.floor(1.2 * ideal)) + 1)
    # Small sheets may have no whole number that close.
    candidates = near or [max(1, round(ideal))]
    return min(n_images, min(candidates, key=lambda n: (-n_images % n, abs(n - ideal))))
