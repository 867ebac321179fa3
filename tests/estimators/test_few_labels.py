"""`RBMClassifier` where most rows have no label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from harmonium.classification import class_log_probabilities
from harmonium.estimators import RBMClassifier
from harmonium.estimators.labels import known_labels

N = 60

# a few updates teach little, and the estimator says so
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def table(n_without: int = 40) -> tuple[NDArray[Any], NDArray[Any]]:
    """Binary rows of two blocks, and labels of some of them."""
    draw = np.random.RandomState(0)
    y = draw.randint(3, size=N)
    X = (draw.rand(N, 6) < np.where(np.repeat(np.eye(3), 2, axis=1)[y] == 1, 0.9, 0.1)) * 1.0
    y[:n_without] = -1
    return X, y


def estimator(**options: Any) -> RBMClassifier:
    return RBMClassifier(n_components=4, n_iter=5, random_state=0, **options)


@pytest.mark.parametrize(
    ("y", "labels", "known"),
    [
        ([0, -1, 2, 0], [0, 2, 0], [True, False, True, True]),
        (np.array([0.0, np.nan, 2.0]), [0, 2], [True, False, True]),
        (["a", None, "b"], ["a", "b"], [True, False, True]),
        (["a", float("nan"), "b"], ["a", "b"], [True, False, True]),
        (["a", -1, "b"], ["a", "b"], [True, False, True]),
        ([0, None, -1, 1], [0, 1], [True, False, False, True]),
        ([True, None, False], [True, False], [True, False, True]),
        (["a", None, "longer"], ["a", "longer"], [True, False, True]),
    ],
    ids=str,
)
def test_what_stands_for_no_label(y: Any, labels: list[Any], known: list[bool]) -> None:
    filled, is_known = known_labels(y)
    assert is_known is not None and is_known.tolist() == known
    assert filled[is_known].tolist() == labels
    assert np.isin(filled, labels).all()


@pytest.mark.parametrize(
    "y", [[-1, 1, 1, -1], [0, 1, 2], ["a", "b"], [-1, -2, 1], np.array([0.5, 1.0])], ids=str
)
def test_labels_that_are_all_there(y: Any) -> None:
    filled, known = known_labels(y)
    assert filled is y and known is None


def test_data_frames_may_lack_labels() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = table()
    labels = pandas.Series(y).where(y >= 0).astype("Int64")
    assert labels.isna().sum() == 40
    found = estimator().fit(X, labels)
    np.testing.assert_array_equal(found.classes_, [0, 1, 2])
    text = pandas.Series(np.array(["a", "b", "c"])[y]).where(y >= 0)
    same = estimator().fit(X, text)
    np.testing.assert_array_equal(same.classes_, ["a", "b", "c"])
    torch.testing.assert_close(found.model_.weights, same.model_.weights)


@pytest.mark.parametrize("generative_weight", [0.01, None])
@pytest.mark.parametrize("sparse", [False, True])
def test_rows_without_a_label_are_learned_from(
    generative_weight: float | None, sparse: bool
) -> None:
    X, y = table()
    if sparse:
        X = pytest.importorskip("scipy.sparse").csr_matrix(X)
    found = estimator(generative_weight=generative_weight).fit(X, y)
    assert found.n_labelled_ == 20 and len(found.loss_curve_) == 5
    alone = estimator(generative_weight=generative_weight, batch_size=20).fit(X[40:], y[40:])
    assert not torch.equal(found.model_.weights, alone.model_.weights)
    assert np.isin(found.predict(X), [0, 1, 2]).all()


def test_discriminative_training_takes_labelled_rows_alone() -> None:
    X, y = table()
    both = [
        estimator(generative_weight=0.0, batch_size=20, visible="binary").fit(*rows)
        for rows in ((X, y), (X[40:], y[40:]))
    ]
    assert torch.equal(both[0].model_.weights, both[1].model_.weights)


def test_the_loss_curve_is_about_labelled_rows() -> None:
    X, y = table()
    found = estimator().fit(X, y)
    known = torch.from_numpy(y[40:])
    log_p = class_log_probabilities(found.model_, torch.from_numpy(X[40:]).float())
    # 10 of 20 labelled rows are looked at, evenly spread
    index = torch.linspace(0, 19, 10, dtype=torch.float64).round().long()
    expected = -log_p[index, known[index]].mean()
    assert found.loss_curve_[-1] == pytest.approx(float(expected), rel=1e-5)


def test_early_stopping_holds_labelled_rows_out(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = table()
    made = estimator(patience=2, validation_fraction=0.5)
    kept, held = made._split(y >= 0, 0)
    assert (y[held] >= 0).all() and len(held) == 10 and len(kept) == 50
    made.fit(X, y)
    assert made.n_labelled_ == 10


def test_weights_count_beside_missing_labels() -> None:
    """A row of weight 2 is two rows, with a label or without one."""
    X, y = table()
    weight = np.random.RandomState(1).randint(3, size=N)
    again = np.repeat(np.arange(N), weight)
    options = {"batch_size": 200, "learning_rate": 0.5, "dtype": "float64", "n_chains": 10}
    weighted = estimator(**options).fit(X, y, weight)
    repeated = estimator(**options).fit(X[again], y[again])
    torch.testing.assert_close(
        weighted.model_.weights, repeated.model_.weights, rtol=1e-7, atol=1e-8
    )


def test_partial_fit_takes_rows_without_a_label() -> None:
    X, y = table()
    made = estimator().partial_fit(X, y, classes=[0, 1, 2])
    made.partial_fit(X[:30], y[:30])
    assert len(made.loss_curve_) == 2 and np.isnan(made.loss_curve_[1])
    assert made.model_.weights.isfinite().all()


def test_no_label_at_all_is_refused() -> None:
    X, _ = table()
    for y in ([None] * N, np.full(N, np.nan)):
        with pytest.raises(ValueError, match=r"^y holds no label at all; a classifier needs rows"):
            estimator().fit(X, y)
    with pytest.raises(ValueError, match=r"^y holds one class alone"):
        estimator().fit(X, np.full(N, -1))


def test_rows_without_labels_help() -> None:
    """9 of 600 rows have a label; judged by 400 others."""
    draw = np.random.RandomState(0)
    of_class, y = draw.rand(3, 40) < 0.5, np.arange(1000) % 3
    X = (of_class[y] ^ (draw.rand(1000, 40) < 0.3)).astype(np.float32)
    few = np.where(np.arange(600) < 9, y[:600], -1)
    made = RBMClassifier(n_components=8, learning_rate=10.0, momentum=0.5, random_state=0)
    alone = clone(made).fit(X[:9], y[:9])
    found = made.fit(X[:600], few)
    wrong, wrong_alone = (fitted.predict(X[600:]) != y[600:] for fitted in (found, alone))
    # McNemar: rows that one of the two gets wrong are as likely either's
    better, worse = (wrong_alone & ~wrong).sum(), (wrong & ~wrong_alone).sum()
    assert better - worse > 4 * np.sqrt(better + worse)


def test_rows_without_a_label_do_not_count_in_the_score() -> None:
    X, y = table()
    found = estimator().fit(X, y)
    known = y >= 0
    assert found.score(X, y) == found.score(X[known], y[known])
    weights = np.arange(N) + 1.0
    assert found.score(X, y, weights) == found.score(X[known], y[known], weights[known])
    with pytest.raises(ValueError, match="no label at all; pass the classes"):
        found.score(X, np.full(N, -1))
    with pytest.raises(ValueError, match="have a label have weight 0"):
        estimator().fit(X, y, sample_weight=~known)


def test_an_update_says_how_many_rows_had_a_label() -> None:
    X, y = table()
    assert estimator().partial_fit(X, y, classes=[0, 1, 2]).n_labelled_ == N - 40
