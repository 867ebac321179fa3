"""Defaults that learn, and fits that have learnt nothing and say so."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from harmonium.estimators import (
    AutoencoderTransformer,
    BernoulliRBM,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    GaussianRBM,
    RBMClassifier,
)

TABLES = {"iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer}
SCALES: dict[str, Any] = {
    "raw": lambda X: X,
    "standardised": lambda X: StandardScaler().fit_transform(X),
    "from 0 to 1": lambda X: MinMaxScaler(clip=True).fit_transform(X),
}


def table(name: str, scale: str = "raw") -> tuple[NDArray[Any], NDArray[Any]]:
    X, y = TABLES[name](return_X_y=True)
    return SCALES[scale](X), y


@pytest.mark.parametrize("name", ["iris", "wine"])
@pytest.mark.parametrize("scale", SCALES)
def test_an_autoencoder_at_its_defaults_is_far_better_than_the_mean_row(
    name: str, scale: str
) -> None:
    X, _ = table(name, scale)
    coder = AutoencoderTransformer(random_state=0).fit(X)
    codes = coder.transform(X)
    standard = StandardScaler().fit(X)
    error = standard.transform(coder.inverse_transform(codes)) - standard.transform(X)
    of_mean = X.shape[1]  # squared error of the mean row, in units of standard deviations
    of_two_components = {"iris": 0.042, "wine": 0.446}[name]
    assert (error**2).sum(1).mean() < (of_two_components + 0.1) * of_mean
    assert (codes.std(0) > 0.1).all()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("batch_size", [None, 10, 10_000])
@pytest.mark.parametrize("kind", [DBNTransformer, GaussianRBM])
def test_features_at_defaults_tell_classes_apart_whatever_the_batch(
    kind: type, batch_size: int | None, name: str
) -> None:
    X, y = table(name)
    options: dict[str, Any] = {}
    if batch_size is not None:
        key = "pretraining_batch_size" if kind is DBNTransformer else "batch_size"
        options[key] = batch_size
    features = kind(random_state=0, **options).fit(X).transform(X)
    found = LogisticRegression(max_iter=1000).fit(features, y).score(features, y)
    assert found > {"iris": 0.8, "wine": 0.9, "breast cancer": 0.88}[name]


@pytest.mark.parametrize("batch_size", [10, 10_000])
def test_features_of_bernoulli_rbm_are_of_use_where_scikit_learns_are_not(batch_size: int) -> None:
    X, y = table("wine", "from 0 to 1")
    features = BernoulliRBM(batch_size=batch_size, random_state=0).fit_transform(X)
    assert LogisticRegression(max_iter=1000).fit(features, y).score(features, y) > 0.9


# Fits that have learnt nothing


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            BernoulliRBM,
            {"scale": True, "weight_std": 0.01},
            "pass weight_std=None, a larger n_iter",
        ),
        (GaussianRBM, {"learning_rate": 0.0, "weight_std": 1e-3}, "a smaller batch_size"),
        (
            DBNTransformer,
            {"weight_std": 1e-3, "pretraining_epochs": 1, "visible": "gaussian"},
            "features of layer 1 .* more pretraining_epochs",
        ),
    ],
)
def test_features_that_are_constant_are_warned_of_with_cause_and_remedy(
    kind: type, options: dict[str, Any], message: str
) -> None:
    X, _ = table("wine")
    with pytest.warns(ConvergenceWarning, match="all but constant") as told:
        kind(random_state=0, **options).fit(X)
    assert len(told) == 1
    with pytest.warns(ConvergenceWarning, match=message):
        kind(random_state=0, **options).fit(X)


def test_an_autoencoder_that_returns_the_mean_row_says_so() -> None:
    X, _ = table("wine")
    with pytest.warns(ConvergenceWarning, match=r"\d+% of that of the mean row. .* more epochs"):
        AutoencoderTransformer(layers=(8, 2), epochs=1, learning_rate=1e-9, random_state=0).fit(X)


def test_rows_that_are_all_alike_are_no_fault_of_training() -> None:
    X = np.tile([1.0, 0.0, 1.0], (20, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BernoulliRBM(n_components=3, random_state=0).fit(X)
        AutoencoderTransformer(layers=(3, 2), visible="binary", random_state=0).fit(X)


# How a fit went


def fit_all(**both: Any) -> list[tuple[Any, int]]:
    """Each estimator, fitted to a small table, and the epochs it was asked for."""
    X, y = table("iris", "from 0 to 1")
    single = {"n_components": 6, "n_iter": 4, "random_state": 0, **both}
    deep = {"layers": (6, 3), "pretraining_epochs": 3, "random_state": 0, **both}
    return [
        (BernoulliRBM(**single).fit(X), 4),
        (GaussianRBM(**single).fit(X), 4),
        (RBMClassifier(**single).fit(X, y), 4),
        (DBNTransformer(**deep).fit(X), 6),
        (DBNClassifier(epochs=5, **deep).fit(X, y), 5),
        (DBNRegressor(epochs=5, **deep).fit(X, y), 5),
        (AutoencoderTransformer(epochs=5, **deep).fit(X), 5),
    ]


# three or four epochs of six hidden units have nothing to be proud of
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("verbose", [0, 1])
def test_a_fit_says_how_many_epochs_it_took_and_how_the_loss_fell(verbose: int) -> None:
    X, y = table("iris", "from 0 to 1")
    for estimator, n_iter in fit_all(verbose=verbose):
        assert estimator.n_iter_ == n_iter
        assert len(estimator.loss_curve_) == n_iter
        assert all(isinstance(loss, float) and np.isfinite(loss) for loss in estimator.loss_curve_)
        before = list(estimator.loss_curve_)
        estimator.partial_fit(X[:20], y[:20])
        assert estimator.n_iter_ == n_iter + 1
        assert estimator.loss_curve_[:-1] == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_curve_is_the_same_whether_epochs_are_told_or_not() -> None:
    for (quiet, _), (loud, _) in zip(fit_all(), fit_all(verbose=1), strict=True):
        np.testing.assert_allclose(quiet.loss_curve_, loud.loss_curve_, rtol=1e-6)


def test_losses_of_learning_fall() -> None:
    X, y = table("wine")
    for estimator in (
        AutoencoderTransformer(random_state=0).fit(X),
        DBNClassifier(random_state=0).fit(X, y),
        DBNRegressor(random_state=0).fit(X, y),
        RBMClassifier(random_state=0).fit(X, y),
    ):
        curve = estimator.loss_curve_
        assert np.mean(curve[-3:]) < 0.8 * curve[0]


def test_the_last_loss_is_minus_the_score_of_the_rows_looked_at() -> None:
    X, _ = table("iris")
    fitted = GaussianRBM(n_components=6, n_iter=4, random_state=0).fit(X[:10])
    assert fitted.loss_curve_[-1] == pytest.approx(-fitted.score(X[:10]), rel=1e-5)
