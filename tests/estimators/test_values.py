"""Values as they came: large offsets, integers, constants, and numbers that float32 has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import sparse

from harmonium.estimators import (
    AutoencoderTransformer,
    BernoulliRBM,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    GaussianRBM,
    RBMClassifier,
)

# Rounding shows in a few epochs, from which estimators rightly say that little was learnt
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 60
SECONDS = 1_700_000_000  # of this decade, since 1970


def make(kind: type, **options: Any) -> Any:
    settings: dict[str, Any] = {"random_state": 0}
    if kind in (BernoulliRBM, GaussianRBM, RBMClassifier):
        settings |= {"n_components": 5, "n_iter": 3}
    else:
        settings |= {"layers": (5, 3), "pretraining_epochs": 3}
    if kind in (DBNClassifier, DBNRegressor, AutoencoderTransformer):
        settings |= {"epochs": 5}
    if kind is RBMClassifier:
        settings |= {"weight_std": 0.3}  # far enough from base rates after so few updates
    if kind is BernoulliRBM:
        settings |= {"scale": True}
    elif kind is not GaussianRBM:
        settings |= {"visible": "gaussian"}
    return kind(**settings | options)


ALL = pytest.mark.parametrize(
    "kind",
    [
        AutoencoderTransformer,
        BernoulliRBM,
        DBNClassifier,
        DBNRegressor,
        DBNTransformer,
        GaussianRBM,
        RBMClassifier,
    ],
)
# what goes back from codes or chains to features
BACK = pytest.mark.parametrize(
    "kind", [AutoencoderTransformer, BernoulliRBM, DBNTransformer, GaussianRBM]
)


def table(seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Integers, of which the first column tells the class."""
    generator = np.random.RandomState(seed)
    X = generator.randint(0, 100, (N, 4))
    return X.astype(np.int64), (X[:, 0] > 50).astype(np.int64)


def outputs(estimator: Any, X: Any) -> NDArray[Any]:
    for method in ("predict_proba", "transform", "predict"):
        if hasattr(estimator, method):
            return np.asarray(getattr(estimator, method)(X), np.float64)
    raise AssertionError


# Rounding of states of size 1 in float32, through a few layers and updates
CLOSE: dict[str, float] = {"rtol": 1e-4, "atol": 1e-5}


@ALL
@pytest.mark.parametrize("offset", [SECONDS, 10**8, -(10**12)])
def test_an_offset_changes_nothing(kind: type, offset: int) -> None:
    X, y = table()
    expected = outputs(make(kind).fit(X.astype(np.float64), y), X.astype(np.float64))
    assert expected.std(0).max() > 1e-3  # rows differ, so that there is something to lose
    far = X + offset
    for came in (far, far.astype(np.float64), pd.DataFrame(far)):
        np.testing.assert_allclose(outputs(make(kind).fit(came, y), came), expected, **CLOSE)


@ALL
@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.int32),
        lambda X: X.astype(np.int64),
        lambda X: X.astype(np.uint32),
        lambda X: sparse.csr_matrix(X.astype(np.int64)),
        lambda X: sparse.csr_matrix(X.astype(np.float64)),
        lambda X: (
            pd.DataFrame({"a": X[:, 0].astype(np.int64), "b": X[:, 1].astype(np.float32)})
            .assign(c=X[:, 2].astype(np.int32), d=X[:, 3].astype(np.float64))
            .rename(columns=str)
        ),
        lambda X: pd.DataFrame(X).astype("Int64"),
    ],
    ids=["int32", "int64", "uint32", "sparse int64", "sparse float64", "mixed frame", "Int64"],
)
def test_unix_seconds_are_no_constant_whatever_their_type(
    kind: type, convert: Callable[[Any], Any]
) -> None:
    X, y = table()
    X[:, 0] += SECONDS
    expected = outputs(make(kind).fit(X.astype(np.float64), y), X.astype(np.float64))
    came = convert(X)
    np.testing.assert_allclose(outputs(make(kind).fit(came, y), came), expected, **CLOSE)


@BACK
def test_large_numbers_come_back_as_large_numbers(kind: type) -> None:
    X, _ = table()
    X[:, 0] += SECONDS
    estimator = make(kind).fit(X)
    back = estimator.inverse_transform(estimator.transform(X.astype(np.float32)))
    assert back.dtype == np.float64
    # float32 has one number in 128 there: values between those are kept
    assert (back[:, 0] % 128 != 0).all()
    assert (np.abs(back[:, 0] - X[:, 0].mean()) < 500).all()
    if kind is not AutoencoderTransformer:
        drawn = estimator.sample(20, n_sweeps=5, random_state=0)
        assert drawn.dtype == np.float64
        assert (np.abs(drawn[:, 0] - X[:, 0].mean()) < 500).all()


def test_small_numbers_come_back_in_the_type_of_the_model() -> None:
    estimator = make(GaussianRBM).fit(table()[0])
    assert estimator.sample(3, n_sweeps=2).dtype == np.float32


@pytest.mark.parametrize("offset", [0, 10**8, SECONDS])
def test_targets_with_an_offset_are_predicted_as_well(offset: int) -> None:
    X, _ = table()
    y = X[:, 1] / 50 - 1.0 + offset
    estimator = make(DBNRegressor, epochs=60, batch_size=10, learning_rate=0.1).fit(X, y)
    predicted = estimator.predict(X.astype(np.float32))
    assert 1 - ((predicted - y) ** 2).sum() / ((y - y.mean()) ** 2).sum() > 0.8
    assert predicted.dtype == (np.float32 if offset == 0 else np.float64)
    before = predicted.copy()
    estimator.partial_fit(X, y)
    assert np.abs(estimator.predict(X) - before).max() < 1  # and did not jump by an offset


# Constants


@BACK
@pytest.mark.parametrize("noise", [0.0, 1e-15], ids=["constant", "but for rounding"])
def test_a_constant_column_is_sampled_and_reconstructed_as_that_constant(
    kind: type, noise: float
) -> None:
    generator = np.random.RandomState(0)
    X = np.c_[5 + 0.01 * generator.randn(N), np.full(N, 7.3)]
    X[::2, 1] += noise
    estimator = make(kind).fit(X)
    back = [estimator.inverse_transform(estimator.transform(X))]
    if kind is not AutoencoderTransformer:
        back.append(estimator.sample(300, n_sweeps=20, random_state=0))
    if kind in (BernoulliRBM, GaussianRBM):
        back.append(estimator.gibbs(X))
    for values in back:
        np.testing.assert_allclose(values[:, 1], 7.3, rtol=1e-6)
    if kind is GaussianRBM:
        # other columns keep their scale
        assert 0.005 < back[1][:, 0].std() < 0.02
        np.testing.assert_array_equal(estimator.scale_ == 0, [False, True])


@BACK
def test_a_column_that_begins_to_vary_is_no_constant_any_more(kind: type) -> None:
    X, _ = table()
    estimator = make(kind).partial_fit(X[:1])  # one row: every column is a constant
    np.testing.assert_allclose(
        estimator.inverse_transform(estimator.transform(X[:1]))[0], X[0], rtol=1e-6
    )
    estimator.partial_fit(X)
    codes = estimator.transform(X)
    assert estimator.inverse_transform(codes).std(0).max() > 0


def test_what_a_constant_column_brings_later_is_not_lost() -> None:
    X = np.c_[np.random.RandomState(0).randn(N), np.full(N, 7.3)]
    estimator = make(GaussianRBM).fit(X)
    other = X.copy()
    other[:, 1] = 9
    assert not np.array_equal(estimator.transform(other), estimator.transform(X))


# What float32 cannot hold


@pytest.mark.parametrize("kind", [DBNClassifier, DBNRegressor, GaussianRBM, RBMClassifier])
def test_columns_that_float32_cannot_tell_apart_are_refused_by_name(kind: type) -> None:
    X, y = table()
    frame = pd.DataFrame(X.astype(np.float64), columns=["a", "time", "c", "d"])
    frame.loc[7, "time"] = 1e12  # beside it, all others are the same once they are scaled
    with pytest.raises(ValueError, match=r"the values of column 'time' of X apart, once it is"):
        make(kind).fit(frame, y)
    with pytest.raises(ValueError, match=r"the values of column 1 of X apart"):
        make(kind).fit(frame.to_numpy(), y)


def test_double_precision_holds_them() -> None:
    X, y = table()
    X = X.astype(np.float64)
    X[7, 1] = 1e12
    make(GaussianRBM, dtype="float64").fit(X)
    make(RBMClassifier, dtype="float64").fit(X, y)


def test_values_that_are_not_standardised_are_refused_where_float32_rounds_them() -> None:
    X, _ = table()
    far = X + SECONDS
    with pytest.raises(ValueError, match="columns 0, 1, 2, 3 of X apart, as it is"):
        make(GaussianRBM, standardize=False).fit(far)
    huge = X * 1e40
    with pytest.raises(ValueError, match=r"columns 0, 1, 2, 3 of X holds values beyond 3.4e\+38"):
        make(GaussianRBM, standardize=False).fit(huge)


@ALL
@pytest.mark.parametrize(("scale", "message"), [(1e300, "beyond float64"), (1e-200, "is 0 in")])
def test_squares_beyond_float64_are_refused(kind: type, scale: float, message: str) -> None:
    X, y = table()
    far = (X - 50.0) * np.array([1, scale, 1, 1])
    far[0, 1], far[1, 1] = 1e8 * scale, -1e8 * scale
    if kind is BernoulliRBM:  # which needs no squares
        if scale > 1:
            with pytest.raises(ValueError, match=r"column 1 of X holds values so large"):
                make(kind).fit(far)
        return
    with pytest.raises(ValueError, match=message):
        make(kind).fit(far, y)


def test_a_column_of_text_is_refused_by_its_name() -> None:
    frame = pd.DataFrame({"size": [0.0, 1.0] * 10, "kind": ["red", "blue"] * 10})
    for estimator in (RBMClassifier(), BernoulliRBM(), DBNClassifier()):
        with pytest.raises(ValueError, match=r"text in the column 'kind' \('red', \.\.\.\)"):
            estimator.fit(frame, [0, 1] * 10)
