"""Rows in other units than those of fit are told, and rows in the same units are not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from harmonium.estimators import (
    AutoencoderTransformer,
    BernoulliRBM,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    GaussianRBM,
    RBMClassifier,
)

RNG = np.random.default_rng(0)
BYTES = RNG.choice([0, 0, 40, 255, 255], size=(120, 24)).astype(np.uint8)
CLASSES = np.arange(120) % 2
TOLD = "was fitted to values from 0 to 255"

FITTED: list[Any] = [
    DBNClassifier([4], pretraining_epochs=1, epochs=1, random_state=0),
    DBNRegressor([4], pretraining_epochs=1, epochs=1, random_state=0),
    DBNTransformer([4], pretraining_epochs=1, random_state=0),
    AutoencoderTransformer([4, 2], pretraining_epochs=1, epochs=1, random_state=0),
    RBMClassifier(n_components=4, n_iter=1, random_state=0),
    BernoulliRBM(n_components=4, n_iter=1, scale=True, random_state=0),
    GaussianRBM(n_components=4, n_iter=1, random_state=0),
]


def ask(estimator: Any, X: Any) -> Any:
    return (estimator.predict if hasattr(estimator, "predict") else estimator.transform)(X)


def fitted(estimator: Any, X: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch teaches nothing
        return estimator.fit(X, CLASSES[: X.shape[0]])


@pytest.mark.parametrize("estimator", FITTED, ids=lambda e: type(e).__name__)
def test_shares_of_white_for_bytes_are_told(estimator: Any) -> None:
    fitted(estimator, BYTES)
    ask(estimator, BYTES[:10])
    with pytest.warns(UserWarning, match=TOLD):
        ask(estimator, BYTES[:10] / 255)


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianRBM(n_components=4, n_iter=1, random_state=0),
        BernoulliRBM(n_components=4, n_iter=1, scale=True, random_state=0),
        DBNTransformer([4], pretraining_epochs=1, scale=True, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_bytes_for_shares_of_white_are_told(estimator: Any) -> None:
    fitted(estimator, BYTES / 255)
    with pytest.warns(UserWarning, match="was fitted to values from 0 to 1"):
        ask(estimator, BYTES[:10])


def test_standardised_rows_for_measurements_are_told() -> None:
    X = RNG.normal(500, 20, size=(100, 3))
    estimator = fitted(GaussianRBM(n_components=4, n_iter=1, random_state=0), X)
    ask(estimator, X + 20)
    with pytest.warns(UserWarning, match="was fitted to values from 4"):
        ask(estimator, (X - 500) / 20)


def test_grey_values_to_16_as_shares_of_white_are_told_where_they_are_sparse_too() -> None:
    X = sparse.csr_matrix(RNG.choice([0, 0, 0, 8, 16], size=(120, 24)).astype(float))
    estimator = fitted(BernoulliRBM(n_components=4, n_iter=1, scale=True, random_state=0), X)
    ask(estimator, X[:5])
    with pytest.warns(UserWarning, match="was fitted to values from 0 to 16"):
        ask(estimator, X[:5] / 16)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((20, 24)),  # blank pictures
        np.eye(24)[:1] * 255,  # one pixel
        np.full((1, 24), 255.0),
        np.vstack([BYTES[:5] / 255, BYTES[5:6]]),
    ],
)
def test_unusual_rows_in_the_same_units_are_no_cause_to_warn(rows: NDArray[Any]) -> None:
    estimator = fitted(DBNTransformer([4], pretraining_epochs=1, random_state=0), BYTES)
    ask(estimator, rows)


def test_one_outlier_and_single_rows_of_counts_are_no_cause_to_warn() -> None:
    X = RNG.pareto(1.0, size=(300, 40)).round()
    estimator = GaussianRBM(n_components=4, n_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X)
    for row in X:
        ask(estimator, row[None])
    far = X.copy()
    far[0, 0] = 100 * X.max()
    ask(estimator, far)


def idle(kind: type, **parameters: Any) -> Any:
    """An estimator that learns nothing, so that it warns in `fit`."""
    return kind(**parameters, weight_std=1e-4, random_state=0)


@pytest.mark.parametrize(
    "estimator",
    [
        idle(BernoulliRBM, n_components=4, n_iter=1, learning_rate=0),
        idle(RBMClassifier, n_components=4, n_iter=1, learning_rate=0),
        idle(DBNTransformer, layers=[4], pretraining_epochs=1, pretraining_rate=0),
        idle(DBNClassifier, layers=[4], pretraining_epochs=1, pretraining_rate=0, epochs=0),
        idle(DBNClassifier, layers=[4], pretraining_epochs=0, epochs=1, learning_rate=0),
        idle(AutoencoderTransformer, layers=[1], pretraining_epochs=1, epochs=1, learning_rate=0),
    ],
    ids=lambda e: f"{type(e).__name__} {getattr(e, 'pretraining_epochs', '')}".strip(),
)
def test_warnings_name_the_line_that_called(estimator: Any) -> None:
    X, y = RNG.integers(0, 2, (60, 6)).astype(float), RNG.integers(0, 2, 60)
    with pytest.warns(ConvergenceWarning) as told:
        estimator.fit(X, y)
    with pytest.warns(UserWarning, match="was fitted to values from 0 to 1") as told_later:
        ask(estimator, 2 * X)
    assert {warning.filename for warning in [*told, *told_later]} == {__file__}
