"""Progress of a run: a bar on a terminal, plain lines in a pipe, or JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harmonium.metrics import WARNING, name_of, two_decimals
from harmonium.runs.reporting import Doing, Progressing, Silent

_SECONDS_BETWEEN_REFRESHES = 0.1


@cache
def tell_of_compiling() -> None:
    """Explain the wait while kernels are compiled, in every output format."""
    from harmonium import kernels  # imports torch, which not every command needs

    note = "compiling kernels: up to half a minute, once on this machine"
    kernels.when_compiling(lambda: print(note, file=sys.stderr, flush=True))


class Reporter(Progressing, Protocol):
    """Progress output of a running command."""

    def finish(self, result: Mapping[str, Any]) -> None:
        """Report the result of the command, for JSON."""


class PlainReporter(Silent):
    """One line per row; messages unchanged."""

    def __init__(self) -> None:
        self._console = Console(soft_wrap=True, highlight=False, emoji=False)

    def row(self, row: Mapping[str, float]) -> None:
        """Print the row's line."""
        self.say(describe(row))

    def say(self, text: str) -> None:
        """Print a message."""
        self._console.print(text, markup=False)
        self._console.file.flush()

    def finish(self, result: Mapping[str, Any]) -> None:
        """A person has been told already."""


class BarReporter:
    """A progress bar with the time left, and a line per row above it."""

    def __init__(self, doing: Doing, total: int, done: int) -> None:
        self._total = total
        self._progress = Progress(
            TextColumn(doing),
            BarColumn(),
            *_how_far(doing),
            TimeElapsedColumn(),
            TextColumn("·"),
            TimeRemainingColumn(),
            TextColumn("left"),
            auto_refresh=False,
        )
        self._task = self._progress.add_task(doing, total=total, completed=done)
        self._refreshed = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, done: int) -> None:
        """Move the bar, a few times a second and at the end."""
        now = time.monotonic()
        if now - self._refreshed > _SECONDS_BETWEEN_REFRESHES or done == self._total:
            self._refreshed = now
            self._progress.update(self._task, completed=done, refresh=True)

    def row(self, row: Mapping[str, float]) -> None:
        """Print the row's line above the bar."""
        self._progress.update(self._task, completed=int(row["update"]))
        self.say(describe(row))

    def say(self, text: str) -> None:
        """Print a message above the bar."""
        self._progress.console.print(
            text, markup=False, highlight=False, emoji=False, soft_wrap=True
        )

    meanwhile = say

    def finish(self, result: Mapping[str, Any]) -> None:
        """A person has been told already."""


def _how_far(doing: Doing) -> tuple[ProgressColumn, ...]:
    """Show counts of updates, but not of the millions of steps in an evaluation."""
    if doing == "training":
        return MofNCompleteColumn(), TextColumn("updates ·")
    return TaskProgressColumn(), TextColumn("·")


class JsonReporter(Silent):
    """One JSON object per line on standard output; messages go to standard error."""

    def row(self, row: Mapping[str, float]) -> None:
        """Print the row."""
        print(json.dumps({"event": "row", **row}), flush=True)

    def say(self, text: str) -> None:
        """Print a message to standard error, away from the objects."""
        print(text, file=sys.stderr, flush=True)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Print the result."""
        print(json.dumps({"event": "finished", **result}), flush=True)


def choose_reporter(
    as_json: bool, total: int = 0, done: int = 0, doing: Doing = "training"
) -> Reporter:
    """JSON if requested, a bar on a terminal if there is a total, else plain lines."""
    if as_json:
        return JsonReporter()
    if total and sys.stdout.isatty():
        return BarReporter(doing, total, done)
    return PlainReporter()


def describe(row: Mapping[str, float]) -> str:
    """One row as a line of text."""
    parts = [f"epoch {row['epoch']:g}", f"update {int(row['update']):,}"]
    likelihood = "log_likelihood" if "log_likelihood" in row else "pseudo_log_likelihood"
    for key in (likelihood, "reconstruction_error"):
        if key in row:
            text = f"{name_of(key)} {two_decimals(row, key)}"
            if f"held_out_{key}" in row:
                text += f" (held-out {two_decimals(row, f'held_out_{key}')})"
            parts.append(text)
    if WARNING in row:
        parts.append("log-likelihood not to be trusted")
    for key, label, form in (
        ("loss", "loss", "{:.4f}"),
        ("held_out_loss", "held-out loss", "{:.4f}"),
        ("held_out_error", "wrong", "{:.2%}"),
        ("held_out_squared_error", "squared error", "{:.4g}"),
        ("rmse", "RMSE", "{:.3f}"),
        ("held_out_rmse", "held out", "{:.3f}"),
    ):
        if key in row:
            parts.append(f"{label} {form.format(row[key])}")
    if "free_energy_gap" in row:
        parts.append(f"free-energy gap {row['free_energy_gap']:+.2f}")
    parts.append(f"{row['rows_per_second']:,.0f} rows/s")
    return " · ".join(parts)


def _doing(name: str) -> str:
    """What is done with a file, which rows on disk say themselves."""
    return name if name.startswith(("reading ", "converting ")) else f"fetching {name}"


@contextmanager
def download_progress() -> Iterator[Any]:
    """A callback for `harmonium.datasets` that shows a bar on a terminal, or prints a line."""
    if not sys.stderr.isatty():
        seen: set[str] = set()

        def report(name: str, done: int, total: int | None) -> None:
            if name not in seen:
                seen.add(name)
                print(_doing(name), file=sys.stderr, flush=True)

        yield report
        return
    bars: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def draw(name: str, done: int, total: int | None) -> None:
            if name not in bars:
                bars[name] = progress.add_task(_doing(name), total=total)
            progress.update(bars[name], completed=done, total=total)

        yield draw
