"""Progress and messages of training; Python and the command line each implement this interface.

Nothing heavy is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from harmonium.run_directory import RunDirectory
from harmonium.runs.calls import call_of

if TYPE_CHECKING:
    from harmonium.datasets import Progress


Doing = Literal["training", "evaluating"]

SHORTER = {
    "n_temperatures": "temperatures",
    "n_chains": "chains",
    "n_sweeps": "sweeps",
    "n_warmup": "warmup",
}
"""What a run calls arguments of the library's functions."""

_ARGUMENT = re.compile(rf"`({'|'.join(SHORTER)})`")


class Progressing(Protocol):
    """Shows the progress of training or evaluating, as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def update(self, done: int) -> None:
        """Report the number of updates, or of steps, made."""

    def row(self, row: Mapping[str, float]) -> None:
        """Report a new row of numbers."""

    def say(self, text: str) -> None:
        """Report a message."""

    def meanwhile(self, text: str) -> None:
        """Report an intermediate result to somebody who watches."""


class Reporter(Protocol):
    """The interface to the user: how to show training, and how to word the next steps."""

    def say(self, text: str) -> None:
        """Report a message."""

    def words(self, text: str) -> str:
        """Translate a message of the library into the spelling of options and calls here."""

    def following(self, total: int, done: int, doing: Doing = "training") -> Progressing:
        """The display for this total of updates or steps, some already made."""

    def downloads(self) -> AbstractContextManager[Progress]:
        """The display for downloads of data."""

    def stops(self, run: Path) -> AbstractContextManager[list[int]]:
        """Signals that requested a stop; the run is the one to continue with."""

    def begins(self, run: RunDirectory) -> str:
        """The call that starts such a run again, as spelled here; empty for a layer."""


class Silent:
    """Reports nothing and shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, done: int) -> None:
        """Ignore it."""

    def row(self, row: Mapping[str, float]) -> None:
        """Ignore it; callers that follow the run receive it anyway."""

    def say(self, text: str) -> None:
        """Nobody listens."""

    def meanwhile(self, text: str) -> None:
        """Nobody watches."""

    def words(self, text: str) -> str:
        """In Python's spelling, as the library's messages are, with a run's names of options."""
        return _ARGUMENT.sub(lambda said: f"`{SHORTER[said[1]]}`", text)

    def following(self, total: int, done: int, doing: Doing = "training") -> Progressing:
        """Nothing."""
        return self

    def downloads(self) -> AbstractContextManager[Progress]:
        """Nothing."""
        return nullcontext(lambda name, done, total: None)

    def stops(self, run: Path) -> AbstractContextManager[list[int]]:
        """None: an interrupt is an exception, as everywhere in Python."""
        return nullcontext([])

    def begins(self, run: RunDirectory) -> str:
        """The call in Python."""
        return str(call_of(run) or "")


def describe_scores(scores: Mapping[str, float], n_rows: int, name: str) -> str:
    """A network's scores on rows with this name, in words."""
    if "error" in scores:
        wrong = round(scores["error"] * n_rows)
        return f"{wrong:,} of {n_rows:,} {name} rows wrong ({scores['error']:.2%})"
    return (
        f"squared error {scores['squared_error']:.4g}, the mean of {n_rows:,} {name} rows (loss "
        f"{scores['loss']:.4g})"
    )


def last_row(run: RunDirectory) -> dict[str, Any]:
    """The newest row of numbers of a run; empty if there is none yet."""
    rows = run.rows()
    return rows[-1] if rows else {}
