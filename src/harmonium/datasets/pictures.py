"""What is white: the range of the grey values of pictures."""

from __future__ import annotations

import math

from torch import Tensor

from harmonium.datasets.encodings import AsIs, Encoding, Scaled
from harmonium.datasets.encodings.categories import is_integral

_WHITE = 255
_DARK = 127  # nothing above it: rather another scale than pictures in bytes that are all dark


def picture_encoding(values: Tensor, white: float | None = None) -> tuple[Encoding, str | None]:
    """The encoding that pictures start with, and a sentence about it if it is a guess.

    Values from 0 to 1 are shares of white already. Whole numbers above 127 and up to 255, or
    fractions of such, are grey values of which 255 is white, however dark the pictures are. For
    other whole numbers from 0 upwards white is the largest value: 16 in the digits of the UCI
    repository, 2 in a mask of three areas, 65,535 in pictures of 16 bits. Other values are left
    as they are.

    Parameters
    ----------
    values
        All pictures, shape (n_rows, n).
    white
        The value of white where it is known.

    Raises
    ------
    ValueError
        For a ``white`` that is not positive, and values below 0 or above it.
    """
    least, most = (float(bound) for bound in values.aminmax())
    if white is not None:
        if not (math.isfinite(white) and white > 0):
            raise ValueError(f"white is {white}; pass a positive number, such as 255")
        if least < 0 or most > white:
            raise ValueError(
                f"values range from {least:g} to {most:g}, but white is {white:g}, and grey values "
                f"are from 0 to it; pass a white of {most:g} or more"
                + (", and pictures without negative values" if least < 0 else "")
            )
        return Scaled(0.0, float(white)), None
    if least < 0 or most <= 1:
        return AsIs(), None
    if _DARK < most <= _WHITE:
        return Scaled(0.0, float(_WHITE)), None
    if not is_integral(values):
        return AsIs(), None
    return Scaled(0.0, most), (
        f"the grey values go from {least:g} to {most:g}, so {most:g} was taken for white; if it is "
        "not, say what is (`white=255`, or `Data.as_pictures(height, width, white=255)`)"
    )
