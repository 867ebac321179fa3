"""Choice of visible units: binary, or Gaussian for standardised features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harmonium.datasets.states import suit_binary_units, white_of
from harmonium.estimators.base import Estimator
from harmonium.estimators.convergence import warn_user
from harmonium.estimators.rows import (
    ArrayRows,
    Scaling,
    check_unit_range,
    is_in_unit_range,
    range_of,
)

PRECISION = 4.0
"""Precision for standardised features: noise of half a standard deviation.

Noise as wide as the features themselves would leave nothing for the hidden units to explain; the
optimum would be weights near zero.
"""


def precision_for(n_features: int) -> float:
    """Precision of standardised features below a stack: 16 for a few, 4 for a hundred or more.

    A shape in two columns needs units that resolve a quarter of a standard deviation; many columns
    add up, so each may be less precise.
    """
    return min(_MOST_PRECISION, max(PRECISION, 50 / math.sqrt(n_features)))


_MOST_PRECISION = 16.0

VISIBLE = ("auto", "binary", "gaussian")


class VisibleEstimator(Estimator):
    """An estimator with parameters ``visible`` and ``scale`` for the encoding of features."""

    visible: Any
    scale: Any
    visible_: str

    def _choose_scaling(self, X: Any, weights: Tensor | None) -> Scaling | None:
        """Choose the visible units, and the encoding of values as their states."""
        self.visible_, scaling = self._units_for(X, weights)
        return scaling

    def _units_for(self, X: Any, weights: Tensor | None) -> tuple[str, Scaling | None]:
        if self.visible == "gaussian":
            return "gaussian", Scaling.of_moments(X, weights)
        scaling = Scaling.of_range(X) if self.scale else None
        if self.visible == "binary":
            return "binary", scaling
        mean, var = ArrayRows(X, scaling, dtype=torch.float64).moments(weights)
        low, high = (torch.from_numpy(end) for end in range_of(X))
        if scaling is not None:
            low, high = (scaling.encode(end) for end in (low, high))
        if suit_binary_units(mean, var, low, high):
            return "binary", scaling
        white = white_of(mean, var, low, high)
        if white is None:
            return "gaussian", Scaling.of_moments(X, weights)
        n = X.shape[1]
        return "binary", Scaling(np.zeros(n), np.full(n, white), clip=True)

    def _check_features(self, X: Any, scaling: Scaling | None) -> None:
        if scaling is None:
            check_unit_range(X, "visible='auto', visible='gaussian' or scale=True")

    def _fitted_rows(self, X: Any) -> tuple[Any, ArrayRows]:
        """Checked features, and their states for the fitted model.

        New rows can be slightly outside the range of the training rows after a scaler. They are
        clipped, as with ``scale=True``, but with a warning.
        """
        X = self._checked_fitted_X(X)
        scaling = self._scaling
        if scaling is None and not is_in_unit_range(X):
            scaling = clipped(X, type(self).__name__)
        else:
            self._warn_of_other_units(X)
        return X, self._rows(X, scaling)


def clipped(X: Any, name: str) -> Scaling:
    """Clip values outside 0 ... 1, with a warning in the name of an estimator."""
    low, high = range_of(X)
    warn_user(
        f"X has values from {low.min():g} to {high.max():g}, but {name} was fitted to values from "
        "0 to 1, which its binary units take: values outside are taken as 0 or 1. If the rows are "
        "in other units than those of fit, scale them alike"
    )
    n = X.shape[1]
    return Scaling(np.zeros(n), np.ones(n), clip=True)
