"""`RatedRows`: rows of ratings for mini-batches, which take only the numbers of rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harmonium.kernels import Rated
from harmonium.ratings.data import Orientation, Ratings
from harmonium.rng import Stream

if TYPE_CHECKING:
    from harmonium.ratings.model import RatingRBM


class RatedRows:
    """Rows of ratings, for `Minibatches`: those of users or of items that have any.

    What the rows of a batch hold is taken from compressed rows when it is learned from; a batch is
    the numbers of its rows, so that nothing dense is made.

    Parameters
    ----------
    ratings
        The ratings to learn from.
    orientation
        With ``"item"``, a row is an item and a column a user; with ``"user"`` the reverse.
    pairs
        Further pairs of users and items that are known to have been rated; None for none.

    Attributes
    ----------
    rated
        All rows, those without ratings included.
    pairs
        Which columns of each row are known to have been rated.
    """

    def __init__(
        self, ratings: Ratings, orientation: Orientation = "item", pairs: Ratings | None = None
    ) -> None:
        self.ratings, self.orientation = ratings, orientation
        self.rated = ratings.rated(orientation)
        known = self.rated if pairs is None else pairs_of(ratings, pairs).rated(orientation)
        self.pairs = unrated(known)
        self._has_others = pairs is not None
        self._numbers = self.rated.lengths.nonzero()[:, 0]

    @property
    def name(self) -> str:
        """What they are called in messages."""
        return self.ratings.name

    @property
    def device(self) -> torch.device:
        """Of the ratings."""
        return self.rated.starts.device

    @property
    def n_columns(self) -> int:
        """Users or items."""
        return self.rated.n_columns

    def __len__(self) -> int:
        """Rows with ratings."""
        return len(self._numbers)

    def rows(self, index: Tensor, stream: Stream | None = None) -> Tensor:
        """The numbers of these rows in `rated`, int64."""
        return self._numbers[index]

    def of(self, rows: Tensor) -> tuple[Rated, Rated]:
        """The ratings of some rows, and their pairs."""
        rated = self.rated.take(rows)
        return rated, self.pairs.take(rows) if self._has_others else unrated(rated)

    def moments(self, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of the ratings in every column, float64; 0 in empty ones."""
        values = torch.tensor(self.ratings.scale, dtype=torch.float64)[self.rated.levels]
        counts = self.rated.columns.bincount(minlength=self.n_columns).clamp_min(1)
        zeros = torch.zeros(self.n_columns, dtype=torch.float64)
        mean = zeros.index_add(0, self.rated.columns, values) / counts
        square = zeros.index_add(0, self.rated.columns, values.square()) / counts
        return mean, (square - mean.square()).clamp_min(0)

    def check(self, rbm: RatingRBM) -> None:
        """Refuse a model of another size or scale.

        Raises
        ------
        ValueError
            Says what came and what would work.
        """
        if (rbm.n_columns, rbm.scale) != (self.n_columns, self.ratings.scale):
            raise ValueError(
                f"the model has {rbm.n_columns} columns of {len(rbm.scale)} levels, and {self.name}"
                f" have {self.n_columns} of {len(self.ratings.scale)}; make it for them: "
                "RatingRBM(ratings.scale, rows.n_columns)"
            )


def unrated(pairs: Rated) -> Rated:
    """The same rows and columns, all of level 0."""
    return replace(pairs, levels=torch.zeros_like(pairs.levels))


def pairs_of(ratings: Ratings, others: Ratings | None) -> Ratings:
    """The pairs of users and items of both, each once."""
    if others is None:
        return ratings
    both = ratings.joined(others)
    keys = both.user * len(both.items) + both.item
    order = torch.argsort(keys, stable=True)
    first = torch.ones(len(keys), dtype=torch.bool)
    first[1:] = keys[order].diff() != 0
    return both.take(order[first])
