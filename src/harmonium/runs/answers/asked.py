"""A run that is asked: its directory, where to compute, who is told of the progress; an answer.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from harmonium.run_directory import RunDirectory
from harmonium.runs.reporting import Reporter, Silent

_LONGEST = 100  # characters of a value that is shown


@dataclass(frozen=True)
class Asked:
    """The run, the device to compute on, and the reporter that hears of it."""

    run: RunDirectory
    device: str = "cpu"
    reporter: Reporter = field(default_factory=Silent)


@dataclass(frozen=True, repr=False)
class Answer:
    """What a run answers; its `repr` shows the shapes of arrays, and what else fits on a line."""

    def __repr__(self) -> str:
        shown = (f"{f.name}={_shown(getattr(self, f.name))}" for f in fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"<array of shape {tuple(value.shape)}>"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"<{type(value).__name__}>"
