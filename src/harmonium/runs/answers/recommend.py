"""What a run of ratings recommends, and how well it predicts test ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium import ratings
from harmonium.arguments import described
from harmonium.datasets.reading import columns_of
from harmonium.ratings import Recommendations, Recommender, Scores
from harmonium.run_directory import RunDirectory, kinds
from harmonium.runs.answers.archives import TABLE, target_of, write_table
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options_of_data import RecommendingOptions
from harmonium.runs.rating_options import RatingOptions
from harmonium.runs.rating_task import KEPT, model_of


@dataclass(frozen=True, repr=False)
class Recommended(Answer):
    """Items for a user, or scores on test ratings.

    Attributes
    ----------
    user
        The user's name; None if none was asked for.
    items
        Names of the items, the best first.
    expected
        Their expected ratings, shape (n_items,).
    probabilities
        p(rating) of each, shape (n_items, n_levels).
    scale
        The ratings that can be given.
    predicted
        Expected ratings of the test ratings, in their order, shape (n_test,); None without any.
    scores
        How well they fit; None without test ratings.
    path
        The ``.csv`` file, if one was asked for.
    """

    user: int | str | None
    items: tuple[int | str, ...]
    expected: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    scale: tuple[float, ...]
    predicted: NDArray[np.float64] | None = None
    scores: Scores | None = None
    path: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """The items with their expected ratings, or the scores, and the path."""
        found: dict[str, Any] = {}
        if self.user is not None:
            found["user"] = self.user
            found["items"] = [
                {"item": item, "expected": expected}
                for item, expected in zip(self.items, self.expected.tolist(), strict=True)
            ]
        if self.scores is not None:
            found |= {f.name: getattr(self.scores, f.name) for f in fields(self.scores)}
        if self.path is not None:
            found["file"] = str(self.path)
        return found


def recommender_of(run: RunDirectory) -> Recommender:
    """The trained model of a run, with all ratings that it knows.

    Raises
    ------
    FileNotFoundError, ValueError
        If the run did not learn from ratings, or has no model yet.
    """
    if run.kind is not kinds.RATINGS:
        raise ValueError(
            f"{run.path} did not learn from ratings; train on a table of them with "
            "`ratings='user,item,rating'`"
        )
    options = RatingOptions(**run.config()["options"])
    parts = ratings.load_ratings(run.path / KEPT)
    known = parts["train"].joined(parts.get("held_out"))
    return Recommender(model_of(run), known, options.orientation, parts.get("pairs"))


def recommend(asked: Asked, options: RecommendingOptions, test: Any = None) -> Recommended:
    """Recommend items to a user, or score predictions of test ratings.

    ``test`` are ratings or a table in memory, in place of the file in the options.

    Raises
    ------
    FileExistsError, FileNotFoundError, TypeError, ValueError
        If there is no such model, user, file or place; before anything is written.
    """
    if asked.device != "cpu":
        raise ValueError(f"`device` is {asked.device}; ratings are predicted on the cpu")
    test = options.test if test is None else test
    if (options.user is None) == (test is None):
        raise ValueError(
            "pass `user` for recommendations, or `test` for the error of predictions: one of them"
        )
    made = recommender_of(asked.run)
    out = None
    if options.out is not None:
        out = target_of(options.out, asked.run, "recommendations.csv", TABLE, ())
    if options.user is not None:
        return _for_user(made.recommend(options.user, options.top, options.min_ratings), out)
    return _of_test(made, _read_test(asked.run, made, test), options.top, out)


def _for_user(found: Recommendations, out: Path | None) -> Recommended:
    if out is not None:
        levels = [f"p_{value:g}" for value in found.scale]
        columns = [np.array(found.items), found.expected, *found.probabilities.T]
        write_table(out, ["item", "expected", *levels], columns, {})
    parts = (found.user, found.items, found.expected, found.probabilities, found.scale)
    return Recommended(*parts, path=out)


def _of_test(made: Recommender, test: ratings.Ratings, k: int, out: Path | None) -> Recommended:
    predicted = made.expected(test.user, test.item).numpy()
    if out is not None:
        names: list[Sequence[int | str]] = [test.users, test.items]
        users, items = (
            np.array([called[number] for number in numbers.tolist()])
            for called, numbers in zip(names, (test.user, test.item), strict=True)
        )
        header = ["user", "item", "rating", "expected"]
        write_table(out, header, [users, items, test.values.numpy(), predicted], {})
    nothing = np.empty(0), np.empty((0, len(made.rbm.scale)))
    return Recommended(None, (), *nothing, made.rbm.scale, predicted, made.score(test, k), path=out)


def _read_test(run: RunDirectory, made: Recommender, test: Any) -> ratings.Ratings:
    """Test ratings, read as the run's own were, with its users and items first."""
    if isinstance(test, ratings.Ratings):
        return test.beside(made.ratings)
    options = RatingOptions(**run.config()["options"])
    if options.ratings is None and not hasattr(test, "tocoo"):
        raise TypeError(
            f"`test` is {described(test)}, and the run's own ratings were in memory; pass "
            "`harmonium.ratings.read(test, columns)`"
        )
    columns = columns_of(options.ratings)
    return ratings.read(test, columns, known=made.ratings, header=options.header)
