"""What a training tells whoever waits for it: the doors of the library hand in their own way."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from harmonium.datasets import Progress, quiet
from harmonium.run_directory import RunDirectory
from harmonium.runs.calls import call_of


class Progressing(Protocol):
    """Shows how far a training is, for as long as it is entered."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def update(self, done: int) -> None:
        """So many updates are made."""

    def row(self, row: Mapping[str, float]) -> None:
        """A row of numbers is there."""

    def say(self, text: str) -> None:
        """A sentence for a person."""


class Reporter(Protocol):
    """A door's voice: what it shows of a training, and how it words what can be done next."""

    def say(self, text: str) -> None:
        """A sentence for a person."""

    def words(self, text: str) -> str:
        """What the library says, in the words of this door: of options, and of what goes on."""

    def following(self, total: int, done: int) -> Progressing:
        """What shows a training of so many updates, some of which are done."""

    def downloads(self) -> AbstractContextManager[Progress]:
        """What shows data that are fetched."""

    def stops(self, run: Path) -> AbstractContextManager[list[int]]:
        """Signals that have asked to stop; the run is what goes on with it."""

    def begins(self, run: RunDirectory) -> str:
        """What begins such a run again, in the words of this door; empty for a layer."""


class Silent:
    """Says nothing, and shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, done: int) -> None:
        """Nobody waits for it."""

    def row(self, row: Mapping[str, float]) -> None:
        """Whoever follows the run gets it anyway."""

    def say(self, text: str) -> None:
        """Nobody listens."""

    def words(self, text: str) -> str:
        """The library's own words are those of Python."""
        return text

    def following(self, total: int, done: int) -> Progressing:
        """Nothing."""
        return self

    def downloads(self) -> AbstractContextManager[Progress]:
        """Nothing."""
        return nullcontext(quiet)

    def stops(self, run: Path) -> AbstractContextManager[list[int]]:
        """Nobody asks: an interrupt is an exception as everywhere in Python."""
        return nullcontext([])

    def begins(self, run: RunDirectory) -> str:
        """The call of Python."""
        return str(call_of(run) or "")


def describe_scores(scores: Mapping[str, float], n_rows: int, name: str) -> str:
    """What a network's scores on rows of this name say, for a person."""
    if "error" in scores:
        wrong = round(scores["error"] * n_rows)
        return f"{wrong:,} of {n_rows:,} {name} rows wrong ({scores['error']:.2%})"
    return (
        f"squared error {scores['squared_error']:.4g}, the mean of {n_rows:,} {name} rows (loss "
        f"{scores['loss']:.4g})"
    )


def last_row(run: RunDirectory) -> dict[str, Any]:
    """The newest row of numbers of a run; empty before there is one."""
    rows = run.rows()
    return rows[-1] if rows else {}
