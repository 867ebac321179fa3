"""The options of questions about values, ratings and words, as those of `options`.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harmonium import defaults
from harmonium.runs.answers.limits import Limited, option


@dataclass(frozen=True)
class ImputationOptions(Limited):
    """Which rows are completed, how often, and where they are written."""

    data: str | None = option(None, "Rows to complete.", show_default="the run's held-out rows")
    draws: int = option(
        0,
        "Write so many random completions of each row, as likely as the model says, instead of one "
        "best one: the likeliest category, and the mean of numbers.",
        min=0,
        show_default="one best completion",
    )
    sweeps: int | None = option(
        None,
        "Sweeps of the chains of rows that cannot be completed exactly.",
        min=16,
        show_default=f"64, or more where chains disagree, up to {defaults.IMPUTATION_SWEEPS:,}",
    )
    seed: int = option(defaults.SEED, "Random seed.", min=0)
    out: Path | None = option(  # noqa: RUF009
        None, "The .csv or .npz file to write.", show_default="RUN/imputed.csv, or -2, ..."
    )


@dataclass(frozen=True)
class ColumnOptions(Limited):
    """The column that is predicted, from which rows, and where predictions are written."""

    column: str | None = option(
        None,
        "The column to predict from all others that are known, by name or by number from 0.",
        show_default="must be given",
        lists_columns=True,
    )
    data: str | None = option(None, "Rows to predict.", show_default="the run's held-out rows")
    chains: int = option(
        defaults.CONDITIONAL_CHAINS,
        "Chains of each row whose other missing values cannot be summed out exactly.",
        min=2,
    )
    seed: int = option(defaults.SEED, "Random seed.", min=0)
    out: Path | None = option(  # noqa: RUF009
        None,
        "The .csv or .npz file to write.",
        show_default="RUN/predictions.csv, or -2, ...",
    )

    def __post_init__(self) -> None:
        """Reject that no column is named, before anything is read."""
        super().__post_init__()
        if self.column is None:
            raise ValueError(
                "`column` is missing; pass the name of the column to predict from the others, or "
                "its number from 0"
            )


@dataclass(frozen=True)
class RecommendingOptions(Limited):
    """Who gets recommendations, or which ratings are predicted."""

    user: str | None = option(None, "The user, by name.", show_default="none")
    test: str | None = option(
        None,
        "A file of test ratings, like that of the training ratings: their error is measured.",
        show_default="none",
    )
    top: int = option(
        defaults.RECOMMENDED, "Number of items to recommend, and the k of NDCG@k.", min=1
    )
    min_ratings: int = option(
        1, "Recommend only items with at least so many training ratings.", min=0
    )
    out: Path | None = option(None, "A .csv file to write.", show_default="none")  # noqa: RUF009


@dataclass(frozen=True)
class TopicOptions(Limited):
    """Which words and documents of topics are listed, and where."""

    words: Path | None = option(  # noqa: RUF009
        None,
        "A file of the words of the columns, one a line.",
        show_default="the names of the columns, or their numbers",
    )
    n_words: int = option(10, "Words of each sign, for each topic.", min=1)
    n_documents: int = option(3, "Nearest documents of each topic.", min=1)
    out: Path | None = option(  # noqa: RUF009
        None, "The .csv file to write.", show_default="RUN/topics.csv, or -2, ..."
    )
