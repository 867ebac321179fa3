"""Frames: small grey sheets of pictures, so that a page can hold many."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from harmonium.files import whole_file
from harmonium.plots.arrays import ImageShape, check_image_shape, finite, whole_number
from harmonium.plots.sheets import grey_levels, mosaic

# A third of the bytes of 256 levels, with hardly any visible difference.
_N_LEVELS = 32
_WHITE, _TRANSPARENT = 254, 255


def save_frame(
    path: str | os.PathLike[str],
    images: npt.ArrayLike,
    image_shape: ImageShape,
    n_columns: int,
    limits: tuple[float, float],
) -> Path:
    """Write images as one grey PNG, pixel for pixel.

    100 filters of MNIST take 4 ms and 27 kB. The gaps between images are transparent, so the sheet
    looks right on any background.

    Parameters
    ----------
    path
        An existing file is replaced; nothing is left behind if writing fails.
    images
        Shape ``(n_images, height * width)``.
    image_shape
        ``(height, width)`` of one image.
    n_columns
        Maximum number of images in a row.
    limits
        The values drawn as black and white, ``(black, white)``; use the same for all frames of a
        film to avoid flicker. Values are rounded to 32 grey levels.

    Raises
    ------
    ValueError
        As for `tile`.
    FileNotFoundError
        If the folder does not exist.
    """
    values = finite(images, "images", ("n_images", "n_visible"))
    shape = check_image_shape(image_shape, values.shape[1], "images")
    levels = np.rint(grey_levels(values, limits) * (_N_LEVELS - 1)) / (_N_LEVELS - 1)
    grey = np.rint(_WHITE * levels).astype(np.uint8).reshape(-1, *shape)
    n_columns = min(len(grey), whole_number(n_columns, "n_columns"))
    sheet = mosaic(grey, n_columns, gaps=(1, 1), fill=_TRANSPARENT)
    path = Path(path)
    with whole_file(path) as file:
        Image.fromarray(sheet).save(
            file,
            format="png",
            transparency=_TRANSPARENT,
            # as small as with the best compression, in a fifth of its time
            compress_type=zlib.Z_RLE,
        )
    return path
