"""`RBMRecommender`: ratings of items by users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_feature_names, check_is_fitted

from harmonium import defaults, training
from harmonium.arguments import described
from harmonium.datasets import Minibatches
from harmonium.estimators.checks import (
    check_booleans,
    check_choice,
    check_integers,
    check_numbers,
    seed_of,
)
from harmonium.ratings import (
    LevelWeights,
    Orientation,
    RatedRows,
    RatingRBM,
    Ratings,
    RatingState,
    Recommender,
)
from harmonium.ratings.amounts import default_batch_size, default_epochs


@dataclass(eq=False, repr=False)
class RBMRecommender(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """RBM of ratings, for collaborative filtering (Salakhutdinov, Mnih and Hinton, 2007).

    ``X`` has a row for each rating: the user and the item, whole numbers or text. ``y`` are the
    ratings. So cross-validation, grid searches and scorers of scikit-learn hold out ratings. A
    sparse matrix of users and items takes the place of both.

    Parameters
    ----------
    n_components : int, default=200
        Hidden units.
    orientation : {"item", "user"}, default="item"
        Whose ratings are a row of the model.
    level_weights : {"linear", "free"}, default="linear"
        Weights that are linear in the rating, or one for each of its levels.
    conditional : bool, default=True
        Whether hidden units also see which columns were rated.
    rank : int, default=None
        Factorises the weights of which columns were rated.
    scale : sequence of float, default=None
        All values that a rating can have; None for those that occur.
    learning_rate : float, default=0.005
        Initial learning rate of Adam, which falls linearly to zero.
    l2 : float, default=0.006
        Weight decay.
    sweeps : int, default=1
        The k of CD-k.
    batch_size : int, default=None
        Rows per mini-batch; None for 50, or fewer where there are few rows.
    n_iter : int, default=None
        Epochs; None for about 2,000 updates, but 60 epochs at most.
    random_state : int, RandomState instance or None, default=None
        An integer makes fits reproducible, and is their only random seed.

    Attributes
    ----------
    model_ : harmonium.ratings.RatingRBM
        The model itself.
    recommender_ : harmonium.ratings.Recommender
        The model with the ratings that it answers from.
    users_, items_ : ndarray
        Names of the users and items.
    scale_ : ndarray of shape (n_levels,)
        The values of the levels, as columns of `predict_proba`.
    n_iter_ : int
        Epochs of `fit`.

    Examples
    --------
    >>> from harmonium.estimators import RBMRecommender
    >>> X = [["ann", "Alien"], ["ann", "Brazil"], ["bob", "Alien"], ["cy", "Brazil"]]
    >>> recommender = RBMRecommender(n_components=2, random_state=0).fit(X, [5, 2, 4, 3])
    >>> recommender.recommend("bob", n=1)[0]
    array(['Brazil'], dtype='<U6')
    """

    n_components: int = defaults.N_HIDDEN
    _: KW_ONLY
    orientation: Orientation = "item"
    level_weights: LevelWeights = "linear"
    conditional: bool = True
    rank: int | None = None
    scale: Sequence[float] | None = None
    learning_rate: float = defaults.RATING_LEARNING_RATE
    l2: float = defaults.RATING_L2
    sweeps: int = 1
    batch_size: int | None = None
    n_iter: int | None = None
    random_state: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from ratings.

        Parameters
        ----------
        X : array-like of shape (n_ratings, 2), or sparse matrix of shape (n_users, n_items)
            The user and the item of each rating; or the ratings themselves.
        y : array-like of shape (n_ratings,), default=None
            The ratings; None for a matrix.

        Returns
        -------
        self
        """
        self._check_parameters()
        _check_feature_names(self, X, reset=True)
        known = self._ratings(X, y, scale=self.scale)
        seed = seed_of(self.random_state)
        rows = RatedRows(known, self.orientation)
        batches = Minibatches(rows, self.batch_size or default_batch_size(len(rows)))
        epochs = default_epochs(len(batches)) if self.n_iter is None else self.n_iter
        self.model_ = RatingRBM(
            known.scale,
            rows.n_columns,
            self.n_components,
            level_weights=self.level_weights,
            conditional=self.conditional,
            rank=self.rank,
        ).init_from_data_(rows.rated, seed)
        n_updates = max(1, epochs * len(batches))
        state = RatingState.create(
            self.model_,
            learning_rate=self.learning_rate,
            l2=self.l2,
            schedule=partial(training.linear_to_zero, n_updates=n_updates),
            sweeps=self.sweeps,
            seed=seed,
        )
        for _ in training.updates(state, batches, epochs):
            pass
        self.recommender_ = Recommender(self.model_, known, self.orientation)
        self.users_, self.items_ = np.array(known.users), np.array(known.items)
        self.scale_, self.n_iter_ = np.array(known.scale), epochs
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Expected ratings of pairs of users and items, shape (n,).

        Unknown users and items are predicted as ones without ratings (`Recommender`).
        """
        expected: NDArray[np.float64] = self.predict_proba(X) @ self.scale_
        return expected

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of each level of the scale, exactly, shape (n, n_levels)."""
        check_is_fitted(self)
        if hasattr(X, "columns") and hasattr(self, "feature_names_in_"):
            _check_feature_names(self, X, reset=False)
        pairs = _pairs(X)
        known = self.recommender_.ratings
        asked = known.numbers_of(pairs[:, 0], pairs[:, 1])
        return self.recommender_.probabilities(*asked).numpy()

    def recommend(
        self, user: Any, n: int = defaults.RECOMMENDED, min_ratings: int = 1
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Items that a user has not rated, the best first, and their expected ratings.

        Parameters
        ----------
        user
            The user's name.
        n
            Number of items.
        min_ratings
            Only items with at least so many ratings.
        """
        check_is_fitted(self)
        found = self.recommender_.recommend(user, n, min_ratings)
        return np.array(found.items), found.expected

    def _check_parameters(self) -> None:
        check_integers(self, n_components=1, sweeps=1)
        check_integers(self, or_none=True, rank=1, batch_size=1, n_iter=0)
        check_numbers(self, learning_rate=0.0, l2=0.0)
        check_choice(self, "orientation", get_args(Orientation))
        check_choice(self, "level_weights", get_args(LevelWeights))
        check_booleans(self, "conditional")
        if self.scale is not None and np.ndim(self.scale) != 1:
            raise ValueError(
                f"scale is {self.scale!r}; pass all values that a rating can have, such as "
                "(1, 2, 3, 4, 5)"
            )

    def _ratings(self, X: Any, y: Any, scale: Sequence[float] | None) -> Ratings:
        if hasattr(X, "tocoo"):
            if y is not None:
                raise ValueError("X is a matrix of ratings; leave y out")
            return Ratings.from_sparse(X, scale=scale)
        if y is None:
            raise ValueError(
                "y is None; pass the ratings of the pairs in X, or a sparse matrix of users and "
                "items as X"
            )
        pairs = _pairs(X)
        return Ratings.of(pairs[:, 0], pairs[:, 1], y, scale=scale, name="X and y")


def _pairs(X: Any) -> NDArray[Any]:
    """Users and items, each as it is: a column of numbers stays numbers beside one of text."""
    pairs = np.asarray(X if hasattr(X, "dtype") or hasattr(X, "iloc") else np.array(X, object))
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(
            f"X is {described(pairs)}; pass two columns, the user and the item of each rating"
        )
    return pairs
