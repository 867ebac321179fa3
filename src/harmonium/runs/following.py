"""`follow`: a training's way to its end, and everything that is kept of it on the way.

The only place where rows of numbers, event files, checkpoints and pages are written along a
training, be it that of an RBM, of a layer, or of a network.
"""

from __future__ import annotations

import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from harmonium import report
from harmonium.files import write_whole
from harmonium.report import Stage
from harmonium.run_directory import RunDirectory, free_path
from harmonium.runs.events import EventFiles
from harmonium.runs.options import WatchingOptions
from harmonium.runs.reporting import Reporter
from harmonium.training import Row


@dataclass(frozen=True)
class Whole:
    """What a run is a layer of: the stack's directory, which layer, and of how many."""

    path: Path
    layer: int
    n_layers: int

    def __str__(self) -> str:
        return f"layer {self.layer} of {self.n_layers}"


@dataclass(frozen=True)
class Place:
    """Where a new run is made.

    Attributes
    ----------
    out
        Its directory; None for the first name beside ``runs`` that is free.
    overwrite
        Whether a run that is there is replaced.
    device
        Where it computes.
    keeps_data
        Whether its rows lie in a file that nobody else has, and that moves into the run.
    """

    out: Path | None = None
    overwrite: bool = False
    device: str = "cpu"
    keeps_data: bool = False

    def directory(self, name: str) -> RunDirectory:
        """The directory, by default of this name; refuses one that may not be replaced."""
        run = RunDirectory(self.out or free_path(Path(name)))
        run.check_free(self.overwrite)
        return run


@dataclass(frozen=True)
class Finished:
    """What a training that came to its end has left.

    Attributes
    ----------
    run
        Its directory.
    result
        Its last numbers, for machines.
    pictures
        What was drawn.
    """

    run: RunDirectory
    result: dict[str, Any]
    pictures: list[Path] = field(default_factory=list)


class Stopped(KeyboardInterrupt):
    """Somebody has asked a training to stop, and it has kept a checkpoint to go on from.

    Attributes
    ----------
    result
        Where it was, for machines; None between two layers of a stack.
    number
        Of the signal.
    """

    def __init__(self, where: str, run: Path, result: dict[str, Any] | None, number: int) -> None:
        super().__init__(f"stopped {where}; go on with: `harmonium.open({str(run)!r}).resume()`")
        self.result, self.number = result, number


Rows = Generator[Row, None, Finished]
"""Rows of numbers as they come; what is returned at the end stands for the whole."""


@dataclass(frozen=True)
class Going:
    """A run that goes on while its rows are taken.

    Attributes
    ----------
    run
        Its directory, which is there already.
    rows
        Its rows of numbers: the training makes no update that nobody asks for.
    """

    run: RunDirectory
    rows: Rows

    def finish(self) -> Finished:
        """Train to the end."""
        while True:
            try:
                next(self.rows)
            except StopIteration as end:
                finished: Finished = end.value
                return finished


class Task(ABC):
    """A kind of training: what `follow` has to know of it.

    Attributes
    ----------
    run
        Where everything goes.
    watching
        How often there are checkpoints, and what is drawn.
    whole
        What the run is a layer of, if it is one.
    """

    def __init__(
        self, run: RunDirectory, watching: WatchingOptions, whole: Whole | None = None
    ) -> None:
        self.run, self.watching, self.whole = run, watching, whole

    @property
    @abstractmethod
    def done(self) -> int:
        """Updates made so far."""

    @property
    @abstractmethod
    def total(self) -> int:
        """Updates of the whole training."""

    @property
    @abstractmethod
    def rate(self) -> float:
        """The learning rate at the start."""

    @abstractmethod
    def describe(self) -> Iterator[str]:
        """What is about to be trained, in sentences."""

    @abstractmethod
    def updates(self) -> Iterator[int]:
        """Make the updates that are left, each of which yields its number."""

    @abstractmethod
    def look(self) -> Row | None:
        """A row of numbers, where one is due after the update."""

    @abstractmethod
    def dumps(self) -> bytes:
        """The content of a checkpoint."""

    @abstractmethod
    def finish(self, reporter: Reporter, seconds: float) -> Finished:
        """Keep what was learned, draw it, say how good it is, and write the page."""

    def draw(self) -> None:
        """Draw what a row has to show, after each of them: by default nothing."""
        return

    def save(self) -> None:
        """Write a checkpoint; older ones but the last go."""
        write_whole(self.run.checkpoint_path(self.done), self.dumps())
        self.run.prune_checkpoints()

    @property
    def resumed(self) -> Path:
        """The run that goes on with it."""
        return self.run.path if self.whole is None else self.whole.path

    def write_pages(self, reporter: Reporter, stage: Stage) -> None:
        """Renew the page of the run, and that of the stack whose layer it is."""
        write_page(self.run, reporter, stage)
        if self.whole is not None:
            write_page(RunDirectory(self.whole.path), reporter, stage)


def write_page(run: RunDirectory, reporter: Reporter, stage: Stage = "unknown") -> Path:
    """Write the page of a run; see `harmonium.report.write`."""
    return report.write(run, reporter.begins(run), stage, reporter.words)


def follow(task: Task, reporter: Reporter) -> Rows:
    """Go through a training to its end, keeping and yielding each row of numbers.

    A consumer that takes no more rows leaves a checkpoint to go on from.

    Raises
    ------
    Stopped
        If somebody has asked to stop, between two updates.
    FloatingPointError
        As the training raises it, with the last good checkpoint.
    """
    run, total = task.run, task.total
    of_layer: dict[str, float] = {} if task.whole is None else {"layer": task.whole.layer}
    began = time.monotonic()
    with (
        reporter.following(total, task.done) as shown,
        EventFiles(run.path / "tensorboard", task.watching.tensorboard, task.done) as events,
        reporter.stops(task.resumed) as stops,
    ):
        for sentence in task.describe():
            shown.say(reporter.words(sentence).replace("`", ""))
        saved = time.monotonic()
        try:
            for done in task.updates():
                row = task.look()
                shown.update(done)
                if row is not None:
                    run.append_row(row)
                    events.add(row)
                    shown.row({**of_layer, **row})
                    task.draw()
                    yield {**of_layer, **row}
                if stops and done < total:
                    _stop(task, reporter)
                    at: dict[str, Any] = {"run": str(task.resumed), **of_layer, "update": done}
                    where = f"after update {done:,} of {total:,}"
                    raise Stopped(where, task.resumed, at, stops[0])
                if time.monotonic() - saved > task.watching.checkpoint_every:
                    task.save()
                    task.write_pages(reporter, "running")
                    saved = time.monotonic()
        except GeneratorExit:
            _stop(task, reporter)
            raise
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error}. The last good checkpoint is {run.latest_checkpoint()}; to go on from "
                f"there: `harmonium.open({str(task.resumed)!r}).resume(learning_rate="
                f"{task.rate / 4:g})`"
            ) from error
    return task.finish(reporter, time.monotonic() - began)


def _stop(task: Task, reporter: Reporter) -> None:
    task.save()
    task.write_pages(reporter, "stopped")


@contextmanager
def stop_requests(at_once: Callable[[int], None]) -> Iterator[list[int]]:
    """Signals that ask to stop, collected: the run stops between two updates.

    Whoever asks twice does not want to wait for that, and gets back the last checkpoint.

    Parameters
    ----------
    at_once
        Called with the number of the second signal; does not return.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread hears signals
        return

    def remember(number: int, frame: FrameType | None) -> None:
        if caught:
            at_once(number)
        caught.append(number)

    asked = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, remember) for number in asked]
    try:
        yield caught
    finally:
        for number, handler in zip(asked, before, strict=True):
            signal.signal(number, handler)
