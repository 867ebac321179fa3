"""The estimator of ratings, with scikit-learn's own tools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_score

from harmonium.estimators import RBMRecommender


def ratings() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two groups of users who like opposite halves of the items."""
    rng = np.random.default_rng(1)
    pairs = np.argwhere(rng.random((60, 30)) < 0.5)
    likes = (pairs[:, 0] % 2) == (pairs[:, 1] % 2)
    return pairs, np.where(likes, 4, 2) + rng.integers(-1, 2, len(pairs))


def test_a_recommender_is_cross_validated_and_recommends() -> None:
    X, y = ratings()
    recommender = RBMRecommender(n_components=6, l2=0.001, learning_rate=0.03, random_state=0)
    cv = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(
        recommender, X, y, cv=cv, scoring="neg_root_mean_squared_error", error_score="raise"
    )
    # who knows the groups has an error of 0.8, the mean rating one of 1.3
    assert (-scores < 1.0).all() and y.std() > 1.2
    fitted = clone(recommender).fit(X, y)
    items, expected = fitted.recommend(4, n=3)
    assert (items % 2 == 0).all() and len(expected) == 3
    p = fitted.predict_proba(X[:5])
    assert p.shape == (5, 5) and np.allclose(p.sum(1), 1)
    assert np.array_equal(fitted.predict(X[:5]), p @ fitted.scale_)
    again = clone(recommender).fit(X, y)
    assert np.array_equal(again.predict(X), fitted.predict(X))


def test_pairs_matrices_and_frames_give_the_same() -> None:
    X, y = ratings()
    recommender = RBMRecommender(n_components=3, n_iter=2, random_state=0)
    of_pairs = recommender.fit(X, y).predict(X)
    matrix = scipy.sparse.csr_array((y, X.T), shape=(60, 30))
    assert np.array_equal(clone(recommender).fit(matrix).predict(X), of_pairs)
    frame = pd.DataFrame(X, columns=["user", "item"])
    assert np.array_equal(clone(recommender).fit(frame, y).predict(frame), of_pairs)
    assert np.isfinite(recommender.predict([[999, 1], [1, 999]])).all()


def test_what_cannot_be_learned_from_is_refused() -> None:
    X, _ = ratings()
    for told, arguments in (
        ("y is None; pass the ratings", (X,)),
        ("leave y out", (scipy.sparse.csr_array(np.eye(3)), [1])),
        ("pass two columns", (np.ones((3, 3)), [1, 2, 3])),
    ):
        with pytest.raises(ValueError, match=told):
            RBMRecommender().fit(*arguments)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"orientation": "film"}, "orientation is 'film'; pass 'item' or 'user'"),
        ({"level_weights": "film"}, "level_weights is 'film'; pass 'linear' or 'free'"),
        ({"n_components": 0}, "n_components is 0; pass an integer"),
        ({"batch_size": 0}, "batch_size is 0; pass an integer"),
        ({"n_iter": 1.5}, "n_iter is 1.5; pass an integer"),
        ({"conditional": "no"}, "conditional is 'no'; pass True or False"),
        ({"scale": 5}, "scale is 5; pass all values"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused_by_their_name(wrong: dict[str, Any], told: str) -> None:
    X, y = ratings()
    with pytest.raises(ValueError, match=told):
        RBMRecommender(**wrong).fit(X, y)


def test_names_that_are_whole_numbers_may_be_floating_point() -> None:
    X, y = ratings()
    fitted = RBMRecommender(n_components=3, n_iter=2, random_state=0).fit(X.astype(float), y)
    expected = fitted.predict(X)
    assert len(np.unique(expected)) > 1
    assert np.array_equal(fitted.predict(X.astype(float)), expected)
    assert np.array_equal(fitted.predict(X.astype(object) * 1.0), expected)
    assert fitted.predict(X[:0]).shape == (0,)
    assert np.array_equal(fitted.recommend(4.0)[0], fitted.recommend(4)[0])


def test_columns_in_another_order_are_refused() -> None:
    X, y = ratings()
    frame = pd.DataFrame(X, columns=["user", "item"])
    fitted = RBMRecommender(n_components=3, n_iter=1, random_state=0).fit(frame, y)
    with pytest.raises(ValueError, match="in the same order"):
        fitted.predict(frame[["item", "user"]])
