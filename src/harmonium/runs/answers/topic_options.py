"""The options of ``harmonium topics``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _option(default: Any, help_text: str, **details: Any) -> Any:
    return field(default=default, metadata={"help": help_text, **details})


@dataclass(frozen=True)
class TopicOptions:
    """Which words and documents of topics are listed, and where."""

    words: Path | None = _option(  # noqa: RUF009
        None,
        "A file of the words of the columns, one a line.",
        show_default="the names of the columns, or their numbers",
    )
    n_words: int = _option(10, "Words of each sign, for each topic.", min=1)
    n_documents: int = _option(3, "Nearest documents of each topic.", min=1)
    out: Path | None = _option(  # noqa: RUF009
        None, "The .csv file to write.", show_default="RUN/topics.csv, or -2, ..."
    )

    def __post_init__(self) -> None:
        """Reject numbers below 1, before anything is read."""
        for name in ("n_words", "n_documents"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` is {getattr(self, name)}; pass 1 or more")
