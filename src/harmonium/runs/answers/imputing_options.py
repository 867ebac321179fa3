"""The options of what a run says of missing values, as those of `options`.

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
