"""Checks of what users pass: parameters, weights, hidden states, and features that are text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array
from torch import Tensor


def check_integers(estimator: Any, *, or_none: bool = False, **least: int) -> None:
    """Reject parameters that are not integers, or below their minimum; None may be allowed."""
    for name, bound in least.items():
        value = getattr(estimator, name)
        if value is not None or not or_none:
            check_integer(name, value, bound)


def check_integer(name: str, value: Any, least: int) -> None:
    """Reject a value that is not an integer, or below the minimum."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name} is {value!r}; pass an integer, {least} or more")


def check_numbers(estimator: Any, *, or_none: bool = False, **least: float) -> None:
    """Reject parameters that are not finite numbers, or below their minimum; None may be fine."""
    for name, bound in least.items():
        value = getattr(estimator, name)
        if value is None and or_none:
            continue
        good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if not good or float(value) < bound:
            raise ValueError(f"{name} is {value!r}; pass a number, {bound:g} or more")


def check_choice(estimator: Any, name: str, choices: Iterable[str]) -> None:
    """Reject a parameter that is not among the choices."""
    value = getattr(estimator, name)
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; pass {' or '.join(map(repr, choices))}")


def check_booleans(estimator: Any, *names: str) -> None:
    """Reject parameters that are neither True nor False."""
    for name in names:
        value = getattr(estimator, name)
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} is {value!r}; pass True or False")


def seed_of(random_state: Any) -> int:
    """The seed for harmonium's streams: an integer itself, or a draw from a `RandomState`.

    None draws from NumPy's global state, as everywhere in scikit-learn.
    """
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        seed = int(random_state)
        if not 0 <= seed < 2**32:
            raise ValueError(
                f"random_state is {seed}; pass an integer from 0 to 4294967295, a "
                "numpy.random.RandomState or None"
            )
        return seed
    return int(check_random_state(random_state).randint(2**32, dtype=np.uint64))


def width_of(weight_std: Any) -> float | None:
    """The parameter ``weight_std`` in the form for training."""
    return None if weight_std is None else float(weight_std)


def weights_of(sample_weight: Any, n_rows: int) -> NDArray[np.float64] | None:
    """Weights of rows, float64, shape (n_rows,); None if all are equal."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, but X has {n_rows} rows; pass one weight a "
            f"row, shape ({n_rows},)"
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = int(np.flatnonzero(~np.isfinite(weights) | (weights < 0))[0])
        raise ValueError(
            f"sample_weight holds {weights[bad]:g} at row {bad}; pass finite weights, none of them "
            "below 0"
        )
    if not weights.any():
        raise ValueError(
            "sample_weight is zero for all rows, and nothing is left to learn from; pass weights "
            "of which one at least is not zero"
        )
    return weights


def with_weight(
    weights: NDArray[np.float64] | None, *arrays: Any
) -> tuple[Tensor | None, *tuple[Any, ...]]:
    """The weights and arrays without the rows of weight zero, which are ignored."""
    if weights is None:
        return (None, *arrays)
    kept = np.flatnonzero(weights)
    if len(kept) < len(weights):
        weights, arrays = weights[kept], tuple(None if a is None else a[kept] for a in arrays)
    return (torch.tensor(weights), *arrays)


def weighted_mean(scores: NDArray[Any], sample_weight: Any) -> float:
    """Weighted mean score of rows, in float64."""
    weights = weights_of(sample_weight, len(scores))
    return float(np.average(scores.astype(np.float64), weights=weights))


def check_hidden(X: Any, n_columns: int) -> NDArray[Any]:
    """Hidden states or means as an array of numbers, with the right width."""
    X = check_array(X, dtype=(np.float32, np.float64), input_name="X")
    if X.shape[1] != n_columns:
        raise ValueError(
            f"X has {X.shape[1]} columns, but there are {n_columns} hidden units; pass what "
            "transform returned"
        )
    return np.asarray(X)


def refuse_text(X: Any) -> None:
    """Reject text columns of a pandas data frame; names them."""
    if not hasattr(X, "iloc") or not hasattr(X, "columns"):
        return
    for position, name in enumerate(X.columns):
        column = X.iloc[:, position]
        if getattr(column.dtype, "kind", "O") != "O":
            continue
        text = next((value for value in column if isinstance(value, str)), None)
        try:
            float(text or 0)  # scikit-learn accepts numbers written as text
        except ValueError as error:
            raise ValueError(
                f"X holds text in the column {name!r} ({text!r}, ...), and models learn from "
                "numbers; encode it, such as by sklearn.preprocessing.OneHotEncoder, or leave it "
                "out"
            ) from error
