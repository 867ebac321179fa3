"""Output of training from Python: silent in a script, a progress bar in a notebook."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

from harmonium.metrics import told
from harmonium.runs.following import stop_requests
from harmonium.runs.reporting import Doing, Progressing, Reporter, Silent

_SECONDS_BETWEEN_REFRESHES = 0.2


class Waited(Silent):
    """Silent; handles an interrupt between two updates, so that a checkpoint is saved."""

    @contextmanager
    def stops(self, run: Path) -> Iterator[list[int]]:
        """Ctrl-C, or a notebook's stop button; SIGTERM goes on to whom it was for.

        A script that knows nothing of SIGTERM is ended by it, as it is anywhere else, with a
        checkpoint that it would not have had.
        """
        before = signal.getsignal(signal.SIGTERM)

        def at_once(number: int) -> NoReturn:
            if number == signal.SIGTERM:
                signal.signal(signal.SIGTERM, before)
                signal.raise_signal(signal.SIGTERM)
            raise KeyboardInterrupt

        caught: list[int] = []
        try:
            with stop_requests(at_once) as caught:
                yield caught
        finally:
            if signal.SIGTERM in caught:
                signal.raise_signal(signal.SIGTERM)


class InNotebook(Waited):
    """Shows a progress bar in a notebook."""

    def __init__(self, display: Any) -> None:
        self._display = display

    def following(self, total: int, done: int, doing: Doing = "training") -> Progressing:
        """A progress bar with the newest numbers."""
        return Bar(self._display, total, done, "updates" if doing == "training" else "steps")


class Bar(Silent):
    """An HTML progress bar, with the newest row of numbers below it."""

    def __init__(self, display: Any, total: int, done: int, counted: str = "updates") -> None:
        self._display, self._total, self._done, self._counted = display, total, done, counted
        self._row: Mapping[str, float] = {}
        self._handle: Any = None
        self._refreshed = 0.0

    def __enter__(self) -> Self:
        self._handle = self._display(self, display_id=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._refresh()

    def update(self, done: int) -> None:
        """Move the bar, a few times a second."""
        self._done = done
        if time.monotonic() - self._refreshed > _SECONDS_BETWEEN_REFRESHES:
            self._refresh()

    def row(self, row: Mapping[str, float]) -> None:
        """Store the newest numbers."""
        self._row = row

    def _refresh(self) -> None:
        self._refreshed = time.monotonic()
        if self._handle is not None:
            self._handle.update(self)

    def _repr_html_(self) -> str:
        numbers = [
            f"{key.replace('_', ' ')} {told(self._row, key)}"
            for key in self._row
            if key.removeprefix("held_out_") in _TOLD
        ]
        bar = f'<progress value="{self._done}" max="{self._total}"></progress>'
        return f"{bar} {self._done:,} of {self._total:,} {self._counted}<br>{' · '.join(numbers)}"


_TOLD = ("log_likelihood", "reconstruction_error", "loss", "error", "squared_error", "rmse")


def voice(follow: bool, progress: bool) -> Reporter:
    """The output of training for a call from Python.

    Parameters
    ----------
    follow
        Whether the caller consumes rows one by one; interrupts are then left to the caller.
    progress
        Whether to show a progress bar in a notebook.
    """
    if follow:
        return Silent()
    display = _display_of_notebook() if progress else None
    return Waited() if display is None else InNotebook(display)


def _display_of_notebook() -> Any:
    """The display function of the current notebook; None outside notebooks."""
    python = sys.modules.get("IPython")
    shell = None if python is None else python.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return sys.modules["IPython.display"].display
