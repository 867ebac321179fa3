"""Headers of NumPy's files, read without pickles."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


def npy_header(
    stream: Any, name: str, damage: tuple[type[BaseException], ...] = ()
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is in Fortran order, and type of an array of NumPy's; pickles are not read.

    Raises
    ------
    ValueError
        If it is damaged, or no array of NumPy's. ``damage`` and OSError pass.
    """
    # NumPy's header readers evaluate only literals, and pickles are never read.
    parsers: dict[tuple[int, int], Callable[..., Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    passes: tuple[type[BaseException], ...] = (OSError, *damage)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in parsers:
            raise ValueError(f"version {version} is not read")
        with warnings.catch_warnings():
            # NumPy warns about headers from Python 2, which are fine
            warnings.simplefilter("ignore", UserWarning)
            shape, transposed, dtype = parsers[version](stream)
    except passes:
        raise
    except Exception as error:  # a damaged header can raise any exception in NumPy
        raise ValueError(f"{name} is damaged, or no array of NumPy's: {error}") from None
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize >= 2**63:
        raise ValueError(f"{name} is damaged: its header promises an array of shape {shape}")
    return shape, transposed, dtype
