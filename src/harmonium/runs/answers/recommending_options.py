"""The options of recommendations, as those in `options`.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from harmonium import defaults


def _option(default: Any, help_text: str, **details: Any) -> Any:
    return field(default=default, metadata={"help": help_text, **details})


@dataclass(frozen=True)
class RecommendingOptions:
    """Who gets recommendations, or which ratings are predicted."""

    user: str | None = _option(None, "The user, by name.", show_default="none")
    test: str | None = _option(
        None,
        "A file of test ratings, like that of the training ratings: their error is measured.",
        show_default="none",
    )
    top: int = _option(
        defaults.RECOMMENDED, "Number of items to recommend, and the k of NDCG@k.", min=1
    )
    min_ratings: int = _option(
        1, "Recommend only items with at least so many training ratings.", min=0
    )
    out: Path | None = _option(None, "A .csv file to write.", show_default="none")  # noqa: RUF009

    def __post_init__(self) -> None:
        """Reject numbers below their limits, before anything is read."""
        for option in fields(self):
            least, value = option.metadata.get("min"), getattr(self, option.name)
            if None not in (least, value) and value < least:
                raise ValueError(f"`{option.name}` is {value}; pass {least} or more")
