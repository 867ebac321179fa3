"""scikit-learn's own checks of estimators, none of them skipped or expected to fail."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from harmonium.estimators import (
    AutoencoderTransformer,
    BernoulliRBM,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    GaussianRBM,
    RBMClassifier,
    RBMImputer,
)

# float64, because rows that are repeated and rows that have weights must give the same to seven
# digits; batches as large as the data, because only then the rows' order does not matter.
EXACT: dict[str, Any] = {"batch_size": 200, "n_iter": 2, "dtype": "float64"}
LONGER: dict[str, Any] = EXACT | {"n_iter": 40}
DEEP: dict[str, Any] = {
    "pretraining_epochs": 2,
    "pretraining_batch_size": 200,
    "features": "mean",
    "dtype": "float64",
}
FINE: dict[str, Any] = DEEP | {"layers": (4,), "batch_size": 200, "momentum": 0.9}

ESTIMATORS = [
    BernoulliRBM(n_components=3, scale=True, **EXACT),
    GaussianRBM(n_components=3, learn_precision=True, **EXACT),
    RBMClassifier(
        n_components=4, scale=True, learning_rate=1.0, momentum=0.9, **EXACT | {"n_iter": 40}
    ),
    DBNTransformer(layers=(4, 3), visible="gaussian", **DEEP),
    DBNClassifier(scale=True, epochs=60, learning_rate=1.0, **FINE),
    DBNRegressor(visible="gaussian", epochs=60, learning_rate=0.2, **FINE),
    AutoencoderTransformer(visible="gaussian", epochs=3, **FINE),
    RBMImputer(n_components=3, n_iter=2, n_sweeps=16),
]


@pytest.fixture(autouse=True)
def _array_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it scikit-learn skips its check of array API dispatch."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


# The checks fit noise, a few rows of it, from which there is nothing to learn: estimators say so.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_is_content(estimator: Any, check: Callable[[Any], None]) -> None:
    try:
        check(estimator)
    except unittest.SkipTest as skipped:  # what a check needs, such as pandas, is not installed
        pytest.fail(f"a check was skipped: {skipped}")
