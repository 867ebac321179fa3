"""`Recommender`: a trained model with the ratings that it answers from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import check_count
from harmonium.kernels import Rated
from harmonium.ratings import scores
from harmonium.ratings.data import Orientation, Ratings
from harmonium.ratings.model import RatingRBM
from harmonium.ratings.rows import pairs_of, unrated


@dataclass(frozen=True, eq=False)
class Recommendations:
    """Items for a user, the best first.

    Attributes
    ----------
    user
        The user's name.
    items
        Names of the items.
    expected
        Expected ratings, shape (n,).
    probabilities
        Of every level of the scale, shape (n, n_levels).
    scale
        The values of the levels.
    """

    user: int | str
    items: tuple[int | str, ...]
    expected: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class Scores:
    """How well ratings are predicted.

    Attributes
    ----------
    n_ratings
        Ratings that were predicted.
    rmse, mae
        Root mean squared error and mean absolute error of expected ratings.
    ndcg
        `scores.ndcg` of the first ``k``.
    k
        Items in a list of recommendations.
    log_probability
        Mean log-probability of the ratings, nats.
    n_unknown
        Ratings of users or items that the model does not know.
    n_known
        Pairs of which a rating is known already: predicted from that too, their error is too small.
    """

    n_ratings: int
    rmse: float
    mae: float
    ndcg: float
    k: int
    log_probability: float
    n_unknown: int
    n_known: int = 0


class Recommender:
    """Predicts ratings, exactly, from the ratings that are known.

    Parameters
    ----------
    rbm
        A trained model.
    ratings
        All known ratings: those it learned from, and any that were held out.
    orientation
        Whose ratings are a row of the model.
    pairs
        Further pairs that are known to have been rated, for a conditional model.
    """

    def __init__(
        self,
        rbm: RatingRBM,
        ratings: Ratings,
        orientation: Orientation = "item",
        pairs: Ratings | None = None,
    ) -> None:
        self.rbm, self.ratings, self.orientation = rbm, ratings, orientation
        self._pairs = pairs

    @cached_property
    def _rated(self) -> Rated:
        """The rows, and one without ratings after them, for whoever is unknown."""
        n_rows, n_columns = self.ratings.shape(self.orientation)
        return self.ratings.rated(self.orientation, (n_rows + 1, n_columns))

    @cached_property
    def _inputs(self) -> Tensor:
        """Inputs of the hidden units from every row, shape (n_rows + 1, n_hidden)."""
        shape = (self._rated.n_rows, self._rated.n_columns)
        pairs = pairs_of(self.ratings, self._pairs).rated(self.orientation, shape)
        return self.rbm.inputs_h_from_v(self._rated, self.rbm.exposure(unrated(pairs)))

    def probabilities(self, users: Tensor, items: Tensor) -> Tensor:
        """p(rating | the known ratings) of each pair, float64, shape (n, n_levels).

        Users and items go by number; numbers beyond those of `ratings` are unknown ones. Whoever's
        ratings are a row is then a row without ratings. For one who would be a column, the
        frequencies of the other side's ratings are taken, as if it had five more with the
        frequencies of all ratings.
        """
        by_item = self.orientation == "item"
        rows, columns = (items, users) if by_item else (users, items)
        n_rows, n_columns = self.ratings.shape(self.orientation)
        rows = rows.clamp_max(n_rows)
        is_known = columns < n_columns
        found = torch.empty(len(rows), len(self.rbm.scale), dtype=torch.float64)
        found[is_known] = self.rbm.probabilities(self._inputs, rows[is_known], columns[is_known])
        found[~is_known] = self._frequencies[rows[~is_known]]
        return found

    @cached_property
    def _frequencies(self) -> Tensor:
        """Smoothed frequencies of levels in every row, float64."""
        n_levels, rated = len(self.rbm.scale), self._rated
        cells = rated.rows * n_levels + rated.levels
        counts = cells.bincount(minlength=rated.n_rows * n_levels).view(-1, n_levels).double()
        share = counts.sum(0) / counts.sum()
        return (counts + 5 * share) / (counts.sum(1, keepdim=True) + 5)

    def expected(self, users: Tensor, items: Tensor) -> Tensor:
        """The expected rating of each pair, float64, shape (n,)."""
        return self.rbm.expected(self.probabilities(users, items))

    def recommend(
        self, user: Any, n: int = defaults.RECOMMENDED, min_ratings: int = 1
    ) -> Recommendations:
        """The items that a user has not rated and would rate best, by expected rating.

        Parameters
        ----------
        user
            The user's name.
        n
            How many items; fewer if there are fewer.
        min_ratings
            Only items with at least so many ratings.

        Raises
        ------
        TypeError, ValueError
            If the user is unknown, or a number is out of range.
        """
        check_count("n", n)
        check_count("min_ratings", min_ratings, 0)
        known = self.ratings
        number = known.number_of(user, "user")
        counts = known.item.bincount(minlength=len(known.items))
        is_free = counts >= min_ratings
        is_free[known.item[known.user == number]] = False
        items = is_free.nonzero()[:, 0]
        found = self.probabilities(torch.full_like(items, number), items)
        expected = self.rbm.expected(found)
        best = torch.argsort(expected, descending=True, stable=True)[:n]
        return Recommendations(
            known.users[number],
            tuple(known.items[at] for at in items[best].tolist()),
            expected[best].numpy(),
            found[best].numpy(),
            known.scale,
        )

    def score(self, test: Ratings, k: int = defaults.RECOMMENDED) -> Scores:
        """Compare predictions with ratings that the model has not seen.

        Parameters
        ----------
        test
            Read with ``known=`` these ratings, so that names have the same numbers.
        k
            Items in a list of recommendations, for `scores.ndcg`.
        """
        found = self.probabilities(test.user, test.item)
        expected, values = self.rbm.expected(found), test.values
        n_users, n_items = len(self.ratings.users), len(self.ratings.items)
        unknown = (test.user >= n_users) | (test.item >= n_items)
        n_pairs = max(n_items, len(test.items))
        own, asked = (of.user * n_pairs + of.item for of in (self.ratings, test))
        return Scores(
            n_ratings=len(test),
            rmse=scores.rmse(expected, values),
            mae=scores.mae(expected, values),
            ndcg=scores.ndcg(test.user, expected, values, k),
            k=k,
            log_probability=scores.log_probability(found, test.level),
            n_unknown=int(unknown.sum()),
            n_known=int(torch.isin(asked, own).sum()),
        )
