"""Output of training on the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

from harmonium.cli.progress import (
    Reporter,
    choose_reporter,
    download_progress,
    tell_of_compiling,
)
from harmonium.cli.reporting import command_of
from harmonium.cli.spelling import in_code, spelled
from harmonium.run_directory import RunDirectory
from harmonium.runs.following import stop_requests


class Console:
    """Prints progress and messages of training, with options spelled as typed, or as JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._reporter = choose_reporter(as_json)
        tell_of_compiling()

    def say(self, text: str) -> None:
        """Print a message for the user."""
        self._reporter.say(spelled(text))

    def words(self, text: str) -> str:
        """Spell calls and options between backquotes as they are typed."""
        return in_code(text)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Print the result of the command as JSON."""
        self._reporter.finish(result)

    def following(self, total: int, done: int) -> Reporter:
        """A progress bar on a terminal, lines in a pipe, or JSON."""
        return choose_reporter(self._as_json, total, done)

    def downloads(self) -> AbstractContextManager[Any]:
        """A progress bar on a terminal, or lines."""
        return download_progress()

    def stops(self, run: Path) -> AbstractContextManager[list[int]]:
        """Ctrl-C and SIGTERM; a second signal stops at once."""

        def at_once(number: int) -> NoReturn:
            print(
                "stopped at once; go on from the last checkpoint with: "
                f"harmonium resume {quote(str(run))}",
                file=sys.stderr,
            )
            sys.exit(128 + number)

        return stop_requests(at_once)

    def begins(self, run: RunDirectory) -> str:
        """The command."""
        return command_of(run)
