"""Checks of numbers that are passed as parameters or states."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harmonium.arguments import described

_TO_DTYPE = {torch.float32: "float", torch.float64: "double", torch.float16: "half"}


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


def refuse(x: Tensor, outside: Tensor, name: str, expected: str, remedy: str) -> None:
    """Raise a ValueError if any value is ``outside``; says how many, and names the first."""
    n = int(outside.sum())
    if n:
        place = ", ".join(str(int(i)) for i in outside.nonzero()[0])
        first = x[outside][0].item()
        raise ValueError(
            f"{name}: {n} of {x.numel()} values are not {expected} "
            f"(the first is {first:g}, at [{place}]); {remedy}"
        )


def of_other_dtype(states: str, x: Tensor, like: Tensor, owner: str) -> str:
    """The message for states of another dtype than the parameters of a layer or an RBM."""
    to = _TO_DTYPE.get(like.dtype)
    pass_ = f"x.{to}()" if to else f"x.to({like.dtype})"
    convert = f", or convert the {owner}: {owner.lower()}.to({x.dtype})"
    return (
        f"{states} are {x.dtype}, but this {owner}'s parameters are {like.dtype}; pass {pass_}"
        + convert * x.dtype.is_floating_point
    )
