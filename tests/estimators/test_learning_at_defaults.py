"""Estimators without arguments learn on ordinary tables, and say so where they have not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, load_wine, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from harmonium.estimators import (
    AutoencoderTransformer,
    BernoulliRBM,
    DBNClassifier,
    DBNRegressor,
    GaussianRBM,
    RBMClassifier,
)

CLASSIFIERS = pytest.mark.parametrize("make", [DBNClassifier, RBMClassifier])

IRIS = load_iris(return_X_y=True)
WINE = load_wine(return_X_y=True)


def score(estimator: Any, X: NDArray[Any], y: NDArray[Any], seed: int = 0) -> float:
    train, test, wanted, expected = train_test_split(X, y, test_size=0.4, random_state=seed)
    return float(estimator.fit(train, wanted).score(test, expected))


# What the features look like


@CLASSIFIERS
@pytest.mark.parametrize(
    ("name", "scaled"),
    [
        ("raw", lambda X: X),
        ("0 to 1", lambda X: MinMaxScaler().fit_transform(X)),
        ("standardised, float32", lambda X: StandardScaler().fit_transform(X).astype(np.float32)),
        ("whole numbers", lambda X: np.round(10 * X).astype(np.uint8)),
        ("far from zero", lambda X: 1e6 + X),
    ],
)
def test_iris_is_learnt_whatever_its_scale(make: Any, name: str, scaled: Any) -> None:
    estimator = make(random_state=0)
    # two in sixty or so lie among the flowers of another kind, for any classifier
    assert score(estimator, scaled(IRIS[0]), IRIS[1]) > 0.85
    assert estimator.visible_ == "gaussian"


@CLASSIFIERS
@pytest.mark.parametrize("options", [{}, {"scale": True}, {"scale": True, "visible": "binary"}])
def test_wine_is_learnt_in_its_own_units_and_scaled(make: Any, options: dict[str, Any]) -> None:
    assert score(make(random_state=0, **options), *WINE) > 0.9


@CLASSIFIERS
def test_shapes_that_no_line_divides_are_learnt(make: Any) -> None:
    circles = make_circles(300, noise=0.05, factor=0.5, random_state=3)
    assert score(make(random_state=0), *circles) > 0.9  # a line: half


@pytest.mark.parametrize("make", [BernoulliRBM, GaussianRBM, AutoencoderTransformer])
def test_features_tell_rings_apart(make: Any) -> None:
    X, y = make_circles(300, noise=0.05, factor=0.5, random_state=3)
    features = make_pipeline(MinMaxScaler(clip=True), make(random_state=0), StandardScaler())
    # of the columns themselves, or where all hidden units switch at the mean: half
    assert score(make_pipeline(features, LogisticRegression()), X, y) > 0.9


@CLASSIFIERS
def test_pictures_are_learnt_as_states(make: Any) -> None:
    X, y = load_digits(return_X_y=True)
    estimator = make(random_state=0)
    assert score(estimator, X[:500], y[:500]) > 0.85
    assert estimator.visible_ == "binary"
    # a white of 16 or of 1, bytes or floats, dense or sparse: the same pictures
    kept = train_test_split(np.arange(500), test_size=0.4, random_state=0)[0]
    expected = estimator.predict_proba(X[:50])
    for pictures in (X / 16, sparse.csr_matrix(X.astype(np.uint8))):
        found = make(random_state=0).fit(pictures[kept], y[kept]).predict_proba(pictures[:50])
        np.testing.assert_allclose(found, expected, atol=1e-3)


@CLASSIFIERS
def test_thirty_rows_and_a_rare_class_are_learnt(make: Any) -> None:
    X, y = make_moons(30, noise=0.05, random_state=0)
    assert make(random_state=0).fit(X, y).score(X, y) > 0.8
    rare = np.r_[np.where(IRIS[1] == 0)[0][:4], np.where(IRIS[1] == 1)[0]]
    fitted = make(random_state=0).fit(IRIS[0][rare], IRIS[1][rare])
    assert fitted.score(IRIS[0][rare], IRIS[1][rare]) > 0.95


@CLASSIFIERS
@pytest.mark.parametrize(
    "names", [np.array(["x", "y", "z"]), np.array([7, -2, 900]), np.array([1.0, 2.0, 4.0])]
)
def test_labels_come_back_as_they_were(make: Any, names: NDArray[Any]) -> None:
    fitted = make(random_state=0).fit(IRIS[0], names[IRIS[1]])
    assert fitted.predict(IRIS[0][:5]).dtype == names.dtype
    assert set(fitted.predict(IRIS[0]).tolist()) == set(names.tolist())
    flags = make(random_state=0).fit(IRIS[0], IRIS[1] == 0)
    assert flags.predict(IRIS[0][:1]).tolist() == [True]


def test_pretraining_costs_nothing() -> None:
    for X, y in (IRIS, make_moons(300, noise=0.2, random_state=5)):
        with_it, without = (
            np.mean([score(DBNClassifier(random_state=s, **options), X, y, s) for s in range(3)])
            for options in ({}, {"pretraining_epochs": 0})
        )
        # means over 180 rows or more, whose standard error is about 0.02
        assert with_it > without - 0.04


@pytest.mark.parametrize("options", [{}, {"scale": True}])
def test_a_regressor_explains_what_a_line_does_and_more(options: dict[str, Any]) -> None:
    generator = np.random.RandomState(0)
    X = generator.rand(300, 5) * [1, 10, 100, 1, 1] + [0, 0, 1000, 0, 0]
    line = X[:, 0] + X[:, 1] / 10
    curve = 4 * (X[:, 3] - 0.5) ** 2
    y = 1e5 + 1e3 * (line + curve)
    linear = np.var(line) / (np.var(line) + np.var(curve))
    assert score(DBNRegressor(random_state=0, **options), X, y) > linear


# What did not learn says so


@CLASSIFIERS
def test_a_classifier_that_has_learnt_nothing_says_what_helps(make: Any) -> None:
    name = "n_iter" if make is RBMClassifier else "epochs"
    for options in ({"learning_rate": 1e-6}, {"learning_rate": 1e-3, name: 1}):
        with pytest.warns(
            ConvergenceWarning, match=f"{make.__name__} predicts .*leaving (out )?{name}"
        ):
            make(random_state=0, **options).fit(*IRIS)


def test_a_regressor_that_has_learnt_nothing_says_what_helps() -> None:
    with pytest.warns(ConvergenceWarning, match="no better than the mean of the targets .*epochs"):
        DBNRegressor(learning_rate=1e-6, random_state=0).fit(*IRIS)


def test_pretraining_that_made_constants_says_what_helps() -> None:
    options: dict[str, Any] = {"weight_std": 1e-4, "pretraining_epochs": 1}
    with pytest.warns(ConvergenceWarning, match="layer 1 of the pretrained DBNClassifier are all"):
        DBNClassifier(random_state=0, **options).fit(*IRIS)


@CLASSIFIERS
def test_a_rare_class_that_nothing_tells_apart_is_no_failure(make: Any) -> None:
    generator = np.random.RandomState(0)
    X, y = generator.randn(400, 3), np.arange(400) % 20 == 0
    X[y, 0] += 1.0  # enough for probabilities, not for a prediction
    make(random_state=0).fit(X, y)  # a warning would be an error


def test_patience_waits_until_something_is_learnt() -> None:
    for make in (DBNClassifier, RBMClassifier):
        fitted = make(patience=1, random_state=0).fit(*IRIS)
        assert fitted.score(*IRIS) > 0.8
