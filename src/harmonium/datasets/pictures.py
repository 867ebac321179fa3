"""The range of grey values of pictures, that is, the value of white."""

from __future__ import annotations

import math

from torch import Tensor

from harmonium.datasets import mapped
from harmonium.datasets.encodings import AsIs, Encoding, Scaled
from harmonium.datasets.encodings.categories import is_integral

_GUESS = "the grey values"
_WHITE = 255
_DARK = 127  # if no value is above it, another scale is more likely than dark pictures in bytes


def picture_encoding(values: Tensor, white: float | None = None) -> tuple[Encoding, str | None]:
    """The initial encoding of pictures, and a sentence about it if it is a guess.

    Values from 0 to 1 are fractions of white already. If the largest value is above 127 and at most
    255, whole or fractional, values are grey values with 255 as white, however dark the pictures
    are. For other whole numbers from 0 upwards, white is the largest value: 16 in the UCI digits, 2
    in a mask of three areas, 65,535 in 16-bit pictures. Other values are left unchanged.

    Parameters
    ----------
    values
        All pictures, shape (n_rows, n).
    white
        The value of white, if known.

    Raises
    ------
    ValueError
        For a ``white`` that is not positive, and for values below 0 or above ``white``.
    """
    least, most = mapped.bounds(values)
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
        f"{_GUESS} go from {least:g} to {most:g}, so {most:g} was taken for white; if it is "
        "not, say what is (`white=255`, or `Data.as_pictures(height, width, white=255)`)"
    )


def guesses(note: str) -> bool:
    """Whether a note is one that `picture_encoding` has made."""
    return note.startswith(_GUESS)
