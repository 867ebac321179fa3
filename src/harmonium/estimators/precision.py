"""Rejects features that float32 cannot represent, by name, before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.datasets.narrowing import rounded_columns
from harmonium.estimators.rows import ArrayRows, Scaling, range_of

_SAMPLE = 256  # rows by which features are judged

_SHOWN = 5


def check_precision(
    X: Any, scaling: Scaling | None, dtype: torch.dtype, names: Sequence[str] | None
) -> None:
    """Reject features whose states, in this type, would not distinguish the values.

    Parameters
    ----------
    X
        Dense array or CSR matrix, checked by scikit-learn.
    scaling
        How values become states; None uses them unchanged.
    dtype
        Type of the states.
    names
        Names of the features; None if they have none.

    Raises
    ------
    ValueError
        Names the features, and says what would work.
    """
    if scaling is not None:
        bad = ~(np.isfinite(scaling.shift) & np.isfinite(scaling.scale))
        if bad.any():
            raise ValueError(
                f"{_listed(bad, names)} of X holds values so large that their differences, or the "
                "squares of these, are beyond float64; divide it by a constant"
            )
        low, high = range_of(X)
        too_small = (scaling.scale == 0) & (low < high) & (np.abs([low, high]).max(0) < _TINY)
        if too_small.any():
            raise ValueError(
                f"{_listed(too_small, names)} of X varies by so little that the square is 0 in "
                "float64; multiply it by a constant"
            )
    if dtype == torch.float64:
        return
    few = X[np.linspace(0, X.shape[0] - 1, min(X.shape[0], _SAMPLE)).astype(np.intp)]
    states = torch.cat(list(ArrayRows(few, scaling, dtype=torch.float64).blocks())).numpy()
    limit = float(np.finfo(np.float32).max)
    beyond = (np.abs(states) > limit).any(0)
    if beyond.any():
        raise ValueError(
            f"{_listed(beyond, names)} of X holds values beyond {limit:.2g}, the limit of "
            "float32; standardise it, or pass dtype='float64'"
        )
    lost = np.zeros(X.shape[1], bool)
    lost[rounded_columns(states)] = True
    refuse_rounded(lost, names, "as it is" if scaling is None else "once it is scaled")


def refuse_rounded(lost: NDArray[np.bool_], names: Sequence[object] | None, how: str) -> None:
    """Reject features whose values float32 cannot tell apart, if there are any.

    Parameters
    ----------
    lost
        Whether float32 loses each feature, bool, shape (n_features,).
    names
        Names of the features; None if they have none.
    how
        In which form float32 has them, such as "as it is".

    Raises
    ------
    ValueError
        Names the features, and says what would work.
    """
    if lost.any():
        raise ValueError(
            f"float32 cannot tell the values of {_listed(lost, names)} of X apart, {how}: most of "
            "them differ by less than its seven digits hold. Remove values that lie far from all "
            "others, or subtract an offset and standardise"
        )


# Squares of smaller numbers vanish in float64
_TINY = 1e-150


def _listed(which: NDArray[np.bool_], names: Sequence[object] | None) -> str:
    numbers = np.flatnonzero(which)
    shown = [str(n) if names is None else repr(str(names[n])) for n in numbers[:_SHOWN]]
    more = ", ..." if len(numbers) > _SHOWN else ""
    return f"column{'s' if len(numbers) > 1 else ''} {', '.join(shown)}{more}"
