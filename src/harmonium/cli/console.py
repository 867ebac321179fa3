"""Output of commands: progress and messages, with options spelled as typed, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
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
from harmonium.cli.report import command_of
from harmonium.cli.spelling import in_code, spelled
from harmonium.run_directory import RunDirectory
from harmonium.runs.reporting import Doing


class Console:
    """Prints progress and messages, with options spelled as typed, or as JSON.

    Parameters
    ----------
    as_json
        Whether objects go to standard output, and messages to standard error.
    computes
        Whether the command may compile kernels, which takes a while.
    """

    def __init__(self, as_json: bool, *, computes: bool = True) -> None:
        self._as_json = as_json
        self._reporter = choose_reporter(as_json)
        if computes:
            tell_of_compiling()

    def say(self, text: str) -> None:
        """Print a message for the user."""
        self._reporter.say(spelled(text))

    def tell(self, text: str) -> None:
        """Print a line of the command's own, as it is."""
        self._reporter.say(text)

    def print_all(self, lines: Generator[str, None, Mapping[str, Any]]) -> None:
        """Print lines as they are, and then the result that they come to, as JSON."""
        while True:
            try:
                self.tell(next(lines))
            except StopIteration as end:
                self.finish(end.value)
                return

    def words(self, text: str) -> str:
        """Spell calls and options between backquotes as they are typed."""
        return in_code(text)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Print the result of the command as JSON."""
        self._reporter.finish(result)

    def following(self, total: int, done: int, doing: Doing = "training") -> Reporter:
        """A progress bar on a terminal, lines in a pipe, or JSON."""
        return choose_reporter(self._as_json, total, done, doing)

    def downloads(self) -> AbstractContextManager[Any]:
        """A progress bar on a terminal, or lines."""
        return download_progress()

    def stops(self, run: Path) -> AbstractContextManager[list[int]]:
        """Ctrl-C and SIGTERM; a second signal stops at once."""
        from harmonium.runs.following import stop_requests  # which not every command needs

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
