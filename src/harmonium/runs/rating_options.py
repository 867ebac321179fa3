"""The options of a training on ratings, defined once as in `options`.

Options that `TrainingOptions` have too share their names and flags. Nothing heavy is imported here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from harmonium import defaults
from harmonium.runs.choices import numbers_in, option
from harmonium.runs.options import TrainingOptions, as_in_training

_PANEL = "Ratings"


@dataclass(frozen=True)
class RatingOptions:
    """All options that determine what is learned from ratings and how."""

    data: str = field(
        default="", metadata={"metavar": "DATA", "help": "A long table with a row a rating."}
    )
    ratings: str | None = option(
        None,
        "Learn from ratings: the columns of the user, the item and the rating in a long table, "
        "such as user,item,rating or 0,1,2; in a file without a header, names are those of its "
        "first columns. Options that shape other models are refused, and `learning_rate`, `l2`, "
        "`held_out`, `batch_size`, `epochs`, `sweeps` and `weight_std` have other defaults.",
        panel=_PANEL,
        shown="none",
    )
    scale: str | None = option(
        None,
        "All values that a rating can have, such as 1,2,3,4,5.",
        panel=_PANEL,
        shown="those that occur",
    )
    orientation: Literal["item", "user"] = option(
        "item",
        "Whose ratings are a row: those of an item, with a column for each user, or the reverse.",
        panel=_PANEL,
    )
    level_weights: Literal["linear", "free"] = option(
        "linear",
        "Weights that are linear in the rating, or one for each of its levels.",
        panel=_PANEL,
    )
    conditional: bool = option(
        True, "Whether hidden units also see which columns were rated.", panel=_PANEL
    )
    rank: int | None = option(
        None,
        "Factorise the weights of which columns were rated, by matrices with so many columns.",
        panel=_PANEL,
        shown="not factorised",
    )
    pairs: str | None = option(
        None,
        "A file of further users and items that are known to have been rated; its ratings are not "
        "used.",
        panel=_PANEL,
        shown="none",
    )
    patience: int | None = option(
        None,
        "Stop after so many epochs without a better error of held-out ratings.",
        panel=_PANEL,
        shown="never",
    )
    hidden: int = as_in_training("hidden")
    weight_std: float = as_in_training("weight_std", defaults.RATING_WEIGHT_STD)
    header: bool | None = as_in_training("header")
    held_out: float = as_in_training("held_out", defaults.RATING_HELD_OUT)
    sweeps: int = as_in_training("sweeps", 1)
    final_sweeps: int | None = as_in_training("final_sweeps", shown="`sweeps`")
    learning_rate: float = as_in_training("learning_rate", defaults.RATING_LEARNING_RATE)
    schedule: Literal["constant", "linear"] = as_in_training("schedule", defaults.SCHEDULE)
    batch_size: int | None = as_in_training(
        "batch_size",
        shown=f"{defaults.RATING_BATCH_SIZE}, or fewer, for {defaults.RATING_BATCHES} batches",
    )
    epochs: int | None = as_in_training(
        "epochs",
        shown=f"about {defaults.RATING_UPDATES:,} updates, but {defaults.RATING_MOST_EPOCHS} "
        "epochs at most",
    )
    l2: float = as_in_training("l2", defaults.RATING_L2)
    seed: int = as_in_training("seed")

    def __post_init__(self) -> None:
        """Reject options that cannot be trained with, before any data are read."""
        for name in ("hidden", "rank", "patience", "sweeps", "final_sweeps", "batch_size"):
            self._refuse_below(1, name)
        self._refuse_below(1, "epochs")
        for name in ("learning_rate", "weight_std", "l2"):
            self._refuse_below(0, name)
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"`seed` is {self.seed}; pass a whole number from 0 to 2**64 - 1")
        if not 0 <= self.held_out < 1:
            raise ValueError(f"`held_out` is {self.held_out}; pass a share from 0 to below 1")
        if self.rank is not None and not self.conditional:
            raise ValueError(
                f"`rank` is {self.rank}, and `conditional` is False; leave one of them out"
            )
        if self.pairs is not None and not self.conditional:
            raise ValueError(
                "`pairs` says which were rated, and with `conditional=False` the model does not "
                "look at that; leave one of them out"
            )
        if self.patience is not None and not self.held_out:
            raise ValueError(
                "`patience` looks at held-out ratings, and `held_out` is 0; leave one of them out"
            )
        self.levels  # noqa: B018

    def _refuse_below(self, least: int, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not (math.isfinite(value) and value >= least):
            more = f"{least} or more" if least else "0 or a positive number"
            raise ValueError(f"`{name}` is {value}; pass {more}")

    @property
    def rate(self) -> float:
        """The initial learning rate."""
        return self.learning_rate

    @property
    def levels(self) -> tuple[float, ...] | None:
        """The values in ``scale``, ascending."""
        return numbers_in("scale", self.scale, "all values that a rating can have")


_NAMES = {option.name for option in fields(RatingOptions)}
SHARED = tuple(option.name for option in fields(TrainingOptions) if option.name in _NAMES)
"""Options that other trainings have too."""
