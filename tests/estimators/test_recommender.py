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
    X, y = ratings()
    for told, arguments in (
        ("y is None; pass the ratings", (X,)),
        ("leave y out", (scipy.sparse.csr_array(np.eye(3)), [1])),
        ("pass two columns", (np.ones((3, 3)), [1, 2, 3])),
    ):
        with pytest.raises(ValueError, match=told):
            RBMRecommender().fit(*arguments)
    with pytest.raises(ValueError, match="orientation is 'film'"):
        RBMRecommender(orientation="film").fit(X, y)  # type: ignore[arg-type]


def test_columns_in_another_order_are_refused() -> None:
    frame = pd.DataFrame({"user": [1, 1, 2, 2], "film": ["a", "b", "a", "c"]})
    made = RBMRecommender(n_components=2, n_iter=1, random_state=0).fit(frame, [1, 2, 3, 1])
    assert made.feature_names_in_.tolist() == ["user", "film"]
    np.testing.assert_array_equal(made.predict(frame), made.predict(frame.to_numpy()))
    with pytest.raises(ValueError, match="X has the columns film, user; pass those of fit in"):
        made.predict(frame[["film", "user"]])
    made.fit(frame.to_numpy(), [1, 2, 3, 1])
    assert not hasattr(made, "feature_names_in_")
    with pytest.raises(ValueError, match="n_components is 0; pass 1 or more"):
        RBMRecommender(n_components=0).fit(frame, [1, 2, 3, 1])
