"""Checks of plot arguments: finite numbers of the right shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
ImageShape: TypeAlias = tuple[int, int]


def finite(values: npt.ArrayLike, name: str, axes: Sequence[str] | None = None) -> FloatArray:
    """Return `values` as a float64 array, checked.

    Parameters
    ----------
    values
        Anything `numpy.asarray` takes; torch parameters and tensors on any device too.
    name
        Name of the array for messages.
    axes
        Names of the axes the array must have, such as ``("n_visible", "n_hidden")``; None allows
        any number of axes.

    Raises
    ------
    ValueError
        If the values are not numbers, the number of axes is wrong, the array is empty, or a value
        is not finite.
    """
    array = _as_numbers(values, name)
    if axes is not None and array.ndim != len(axes):
        raise ValueError(
            f"{name} has shape {array.shape}, but {len(axes)} axes are needed; "
            f"pass shape ({', '.join(axes)})"
        )
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape} and so holds nothing to draw")
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} holds NaN or infinity ({bad.sum():,} of {array.size:,} values, the first at "
            f"index {first}); only finite numbers can be drawn"
        )
    return array


def check_image_shape(image_shape: ImageShape, n_pixels: int, name: str) -> ImageShape:
    """Return `image_shape` as two ints if it holds `n_pixels`, the width of the array `name`.

    Raises
    ------
    ValueError
        If it is not a pair of positive whole numbers, or holds a different number of pixels.
    """
    try:
        height, width = (int(side) for side in image_shape)
        valid = height > 0 and width > 0 and (height, width) == tuple(image_shape)
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"image_shape is {image_shape!r}, but two positive whole numbers, (height, width), "
            "are needed"
        )
    if height * width != n_pixels:
        raise ValueError(
            f"image_shape ({height}, {width}) makes {height * width} pixels, but {name} has "
            f"{n_pixels} visible units; pass a shape whose product is {n_pixels}, "
            f"such as {_squarest(n_pixels)}"
        )
    return height, width


def pairs(
    originals: npt.ArrayLike, reconstructed: npt.ArrayLike, axes: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """Return both as `finite` does, if each original has a reconstruction.

    Raises
    ------
    ValueError
        As for `finite`, and if the shapes differ.
    """
    before = finite(originals, "originals", axes)
    after = finite(reconstructed, "reconstructed", axes)
    if before.shape != after.shape:
        raise ValueError(
            f"originals has shape {before.shape}, but reconstructed has shape {after.shape}; "
            "pass one reconstruction for each original"
        )
    return before, after


def with_completions(
    truth: npt.ArrayLike,
    completed: npt.ArrayLike,
    held: npt.ArrayLike,
    name: str,
    axes: tuple[str, str],
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Return rows and samples of each, called `name`, as `finite` does, and True for held columns.

    Raises
    ------
    ValueError
        As for `finite`, and if the shapes do not fit.
    """
    rows = finite(truth, "truth", axes)
    samples = finite(completed, name, (axes[0], "n_samples", axes[1]))
    mask = np.asarray(held, dtype=bool)
    if samples.shape[::2] != rows.shape or mask.shape != rows.shape[1:]:
        raise ValueError(
            f"truth has shape {rows.shape}, {name} {samples.shape} and held {mask.shape}; pass "
            f"({axes[0]}, {axes[1]}), ({axes[0]}, n_samples, {axes[1]}) and ({axes[1]},)"
        )
    return rows, samples, mask


def check_names(names: Sequence[str], n: int, name: str, things: str) -> Sequence[str]:
    """Return `names`, called `name`, if there is one for each of `n` things, else ValueError."""
    if len(names) != n:
        raise ValueError(f"{name} are {len(names)} names for {n} {things}")
    return names


def whole_number(value: int, name: str, least: int = 1) -> int:
    """Return `value` if it is a whole number of at least `least`, else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} is {value!r}, but a whole number of at least {least} is needed")
    return int(value)


def _as_numbers(values: Any, name: str) -> FloatArray:
    # torch refuses to convert a tensor that needs a gradient or is on another device to NumPy; when
    # drawn, both have an obvious meaning. Checking for the methods avoids importing torch here.
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        values = values.detach().cpu()
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be read as an array of numbers: {error}") from error


def _squarest(n_pixels: int) -> ImageShape:
    """Return the most nearly square (height, width) with `n_pixels` pixels."""
    height = next(side for side in range(math.isqrt(n_pixels), 0, -1) if n_pixels % side == 0)
    return height, n_pixels // height
