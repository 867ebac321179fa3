"""Detects rows in other units than those of fit, such as fractions of white instead of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.estimators.convergence import warn_user
from harmonium.estimators.rows import range_of

_SMALL_SHARE = 1 / 16  # of a feature's range: grey values 0 to 16, given as fractions of white
_SMALL_MEAN = 1 / 8  # of the mean of the rows of fit: rows of small values differ from it by less
_FAR_FEATURES = 0.1  # fraction of the features whose means are outside by their whole range
_ROUNDING = 1e-6  # relative to a value: a feature that varies by less in fit may be float32 later
_LEAST_CELLS, _LEAST_ROWS = 16, 10
_LOOKED_AT = 1000  # rows: this must be cheap compared with a transform


@dataclass(frozen=True, eq=False)
class Ranges:
    """Smallest, largest and mean value of each feature in the rows of fit, float64."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]

    @classmethod
    def of(cls, X: Any) -> Ranges:
        """The ranges of an array or a CSR matrix."""
        return cls(*range_of(X), _mean_of(X))

    def warn_of_other_units(self, X: Any, name: str) -> None:
        """Warn about rows that are nearly all at one end of the ranges, or far outside.

        States of such rows hardly differ, and neither do the outputs of a model. Single rows of
        small values, outliers, and rows that hold only the smallest value are accepted.

        Parameters
        ----------
        X
            Rows to which the estimator is applied.
        name
            Name of the estimator.
        """
        X = X[:: -(-X.shape[0] // _LOOKED_AT)]
        low, high = range_of(X)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            span = self.high - self.low
            largest = np.maximum(np.abs(self.low), np.abs(self.high))
            varies = (span > _ROUNDING * largest) & np.isfinite(span)
            if not varies.any():
                return
            least, most, mean, usual = (
                ((values - self.low) / span)[varies]
                for values in (low, high, _mean_of(X), self.mean)
            )
        is_far = ((mean < -1) | (mean > 2)).mean() >= _FAR_FEATURES
        is_at_low_end = (
            X.shape[0] * len(most) >= _LEAST_CELLS
            and least.min() >= 0
            and 0 < most.max() <= _SMALL_SHARE * (1 + 1e-6)
            and mean.mean() <= _SMALL_MEAN * usual.mean()
        )
        is_narrow_outside = (
            X.shape[0] >= _LEAST_ROWS
            and (most - least).max() <= _SMALL_SHARE
            and ((mean < 0) | (mean > 1)).mean() >= 0.5
        )
        if is_far or is_at_low_end or is_narrow_outside:
            warn_user(
                f"X has values from {low.min():g} to {high.max():g}, but {name} was fitted to "
                f"values from {self.low.min():g} to {self.high.max():g}. If the rows are in "
                "other units than those of fit, such as shares of white for bytes, scale them "
                "alike; otherwise the output means little"
            )


def _mean_of(X: Any) -> NDArray[np.float64]:
    """Mean of each feature, of an array or a CSR matrix."""
    mean: NDArray[np.float64] = np.asarray(X.mean(0), dtype=np.float64).ravel()
    return mean
