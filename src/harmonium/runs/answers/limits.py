"""What the tables of options of answers share: options with a help text, and lower limits.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def option(default: Any, help_text: str, **details: Any) -> Any:
    """An option of a table, with its help text and other details."""
    return field(default=default, metadata={"help": help_text, **details})


@dataclass(frozen=True)
class Limited:
    """A table whose numbers have lower limits."""

    def __post_init__(self) -> None:
        """Reject numbers below their limits, before anything is read."""
        for option in fields(self):
            least, value = option.metadata.get("min"), getattr(self, option.name)
            if None not in (least, value) and value < least:
                raise ValueError(f"`{option.name}` is {value}; pass {least} or more")
