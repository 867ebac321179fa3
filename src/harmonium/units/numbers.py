"""Checks of numbers that are passed as parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harmonium.arguments import described


def finite_array(name: str, value: Any, dtype: torch.dtype) -> Tensor:
    """Convert to a tensor of a dtype in which all numbers are finite.

    Raises
    ------
    TypeError
        If it is not an array of real numbers.
    ValueError
        If a number is not finite.
    """
    try:
        # Python's numbers are float64, which torch would round to its default dtype
        typed = hasattr(value, "dtype")
        array = torch.as_tensor(value, dtype=None if typed else torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} is {described(value)}; pass an array of numbers") from error
    if array.is_complex() or array.dtype == torch.bool:
        raise TypeError(f"{name} has dtype {array.dtype}; pass real numbers")
    array = array.detach().to(dtype)
    n = int(array.isfinite().logical_not().sum())
    if n:
        raise ValueError(
            f"{n} of {array.numel()} values of {name} are infinite or NaN as {dtype}; pass finite "
            "numbers"
        )
    return array
