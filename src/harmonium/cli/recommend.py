"""The command ``harmonium recommend``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options_of_data import RecommendingOptions


@asking(RecommendingOptions, WHERE)
def recommend(asked: Asked, options: RecommendingOptions) -> Lines:
    """Recommend items to a user, or measure the error of predicted ratings.

    Predictions are exact: the probability of each rating of an item, given all known ratings.
    """
    from harmonium.runs.answers import recommend

    found = recommend.recommend(asked, options)
    if found.scores is not None:
        scores = found.scores
        yield f"ratings   {scores.n_ratings:,} test ratings"
        if scores.n_unknown:
            yield f"unknown   {scores.n_unknown:,} of them are of users or items without any"
        if scores.n_known:
            yield (
                f"known     {scores.n_known:,} of them are of pairs that the run has ratings of: "
                "errors are too small"
            )
        yield f"RMSE      {scores.rmse:.4f}"
        yield f"MAE       {scores.mae:.4f}"
        yield f"NDCG@{scores.k:<4} {scores.ndcg:.4f}"
        yield f"log p     {scores.log_probability:.4f} nats a rating"
    elif not len(found.items):
        yield (
            f"nothing to recommend: user {found.user} has rated every item that has at least "
            f"--min-ratings {options.min_ratings}"
        )
    else:
        best = f"p({found.scale[-1]:g})"
        width = max([4, *(len(str(item)) for item in found.items)])
        yield f"{'item':{width}}  expected  {best:>6}"
        rows = zip(found.items, found.expected, found.probabilities[:, -1], strict=True)
        for item, expected, p in rows:
            yield f"{item!s:{width}}  {expected:8.2f}  {p:6.1%}"
    if found.path is not None:
        yield f"file      {found.path}"
    return found.as_dict()
