"""Which visible units see the features: binary ones, or Gaussian ones of standardised features."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from harmonium.estimators.base import Estimator
from harmonium.estimators.rows import Scaling, check_unit_range


class VisibleEstimator(Estimator):
    """An estimator whose parameters ``visible`` and ``scale`` say how features become states."""

    visible: Any
    scale: Any

    def _make_scaling(self, X: Any, weights: Tensor | None) -> Scaling | None:
        if self.visible == "gaussian":
            return Scaling.of_moments(X, weights)
        return Scaling.of_range(X) if self.scale else None

    def _check_features(self, X: Any, scaling: Scaling | None) -> None:
        if scaling is None:
            check_unit_range(X, "visible='gaussian' or scale=True")
