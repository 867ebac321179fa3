"""`follow`: run a training to its end, and store everything about it on the way.

The only place that writes rows of numbers, event files, checkpoints and pages during training,
whether of an RBM, a layer or a network.
"""

from __future__ import annotations

import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from harmonium import ranks, report, training
from harmonium.datasets import Minibatches
from harmonium.files import Content, write_whole
from harmonium.kernels.threads import following as free_cores
from harmonium.report import Stage
from harmonium.run_directory import RunDirectory, free_path
from harmonium.runs import sharing
from harmonium.runs.events import EventFiles
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rating_options import RatingOptions
from harmonium.runs.reporting import Reporter
from harmonium.runs.tuning_options import FinetuningOptions
from harmonium.runs.watching_options import WatchingOptions
from harmonium.training import Learner, Progress, Row


@dataclass(frozen=True)
class Whole:
    """The stack that a run belongs to: its directory, the layer's number, the number of layers."""

    path: Path
    layer: int
    n_layers: int

    def __str__(self) -> str:
        return f"layer {self.layer} of {self.n_layers}"


@dataclass(frozen=True)
class Place:
    """Where a new run is created.

    Attributes
    ----------
    out
        Its directory; None for the first unused name below ``runs``.
    overwrite
        Whether to replace an existing run.
    device
        The device on which it computes.
    keeps_data
        Whether its rows are in a temporary file, which moves into the run.
    source
        What is in memory in place of a file, for a task that stores it itself.
    """

    out: Path | None = None
    overwrite: bool = False
    device: str = "cpu"
    keeps_data: bool = False
    source: Any = None

    def directory(self, name: str) -> RunDirectory:
        """The directory, by default with this name; an error if it exists and must be kept."""
        run = RunDirectory(self.out or free_path(Path(name)))
        run.check_free(self.overwrite)
        return sharing.own(run)


@dataclass(frozen=True)
class Finished:
    """The results of a finished training.

    Attributes
    ----------
    run
        Its directory.
    result
        Its last numbers, for JSON output.
    pictures
        What was drawn.
    """

    run: RunDirectory
    result: dict[str, Any]
    pictures: list[Path] = field(default_factory=list)


class Stopped(KeyboardInterrupt):
    """Training was interrupted, and has saved a checkpoint from which it can continue.

    Attributes
    ----------
    result
        How far it was, for JSON output; None between two layers of a stack.
    number
        Number of the signal.
    """

    def __init__(self, where: str, run: Path, result: dict[str, Any] | None, number: int) -> None:
        super().__init__(f"stopped {where}; go on with: `harmonium.open({str(run)!r}).resume()`")
        self.result, self.number = result, number


Rows = Generator[Row, None, Finished]
"""Rows of numbers as they are produced; the generator returns the result of the whole."""


@dataclass(frozen=True)
class Going:
    """A run that advances while its rows are consumed.

    Attributes
    ----------
    run
        Its directory, which already exists.
    rows
        Its rows of numbers; training makes updates only when the next row is requested.
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
    """A kind of training: the interface that `follow` needs.

    Attributes
    ----------
    run
        The directory for all files.
    watching
        How often to write checkpoints, and what to draw.
    options, batches
        Of the training, complete: how long and from which rows.
    whole
        The stack, if the run is one of its layers.

    Subclasses set ``state``, which is trained, and ``watch``, which makes the rows of numbers.
    """

    state: Learner
    watch: Progress

    def __init__(
        self,
        run: RunDirectory,
        watching: WatchingOptions,
        options: TrainingOptions | FinetuningOptions | RatingOptions,
        batches: Minibatches,
        whole: Whole | None = None,
    ) -> None:
        self.run, self.watching, self.whole = run, sharing.watched(watching), whole
        self.options, self.batches = options, batches

    @property
    def done(self) -> int:
        """Updates made so far."""
        return self.state.update

    @property
    def total(self) -> int:
        """Number of updates of the whole training, unless early stopping ends it sooner."""
        assert self.options.epochs is not None
        return self.options.epochs * len(self.batches)

    def every(self, older: int) -> int:
        """Updates between two rows of numbers; ``older`` where a run of an older version goes on.

        Such runs do not know their interval.
        """
        known: int | None = self.run.config().get("every")
        return self.watching.every or known or older

    @abstractmethod
    def describe(self) -> Iterator[str]:
        """A description of the training that is about to start, in sentences."""

    def updates(self) -> Iterator[int]:
        """Make the remaining updates, yielding the number of each."""
        assert self.options.epochs is not None
        self.watch(self.state)
        return training.updates(self.state, self.batches, self.options.epochs)

    def look(self) -> Row | None:
        """A row of numbers, if one is due after the update."""
        return self.watch(self.state)

    @abstractmethod
    def dumps(self) -> Content:
        """The content of a checkpoint, which may be the state's own memory."""

    @abstractmethod
    def finish(self, reporter: Reporter, seconds: float) -> Finished:
        """Save and draw the trained model, report how good it is, and write the page."""

    def draw(self) -> None:
        """Draw pictures after a row of numbers; none by default."""
        return

    @property
    def from_update(self) -> str:
        """Where a resumed run goes on, as the end of a sentence; empty for a new one."""
        return f", from update {self.done:,}" if self.done else ""

    def going(self, reporter: Reporter) -> Going:
        """The run, which advances while its rows are consumed."""
        return Going(self.run, follow(self, reporter))

    def finished(
        self,
        reporter: Reporter,
        seconds: float,
        numbers: Mapping[str, Any],
        pictures: Sequence[Path] = (),
    ) -> Finished:
        """Write the page of the finished run, and hand on its last numbers and its pictures."""
        write_page(self.run, reporter)
        result = {"run": str(self.run.path), "update": self.done, "seconds": seconds, **numbers}
        return Finished(self.run, result, list(pictures))

    def save(self) -> None:
        """Write a checkpoint, and remove all older ones except the last."""
        write_whole(self.run.checkpoint_path(self.done), self.dumps())
        self.run.prune_checkpoints()

    @property
    def resumed(self) -> Path:
        """The run that continues from it."""
        return self.run.path if self.whole is None else self.whole.path

    def write_pages(self, reporter: Reporter, stage: Stage) -> None:
        """Update the page of the run, and of its stack if it is a layer."""
        write_page(self.run, reporter, stage)
        if self.whole is not None:
            write_page(RunDirectory(self.whole.path), reporter, stage)


def write_page(run: RunDirectory, reporter: Reporter, stage: Stage = "unknown") -> Path:
    """Write the page of a run; see `harmonium.report.write`."""
    return report.write(run, reporter.begins(run), stage, reporter.words)


def follow(task: Task, reporter: Reporter) -> Rows:
    """Run a training to its end, storing and yielding each row of numbers.

    If the consumer stops early, a checkpoint is saved from which training can continue.

    Raises
    ------
    Stopped
        If a stop was requested; raised between two updates.
    FloatingPointError
        As raised by the training; the message names the last good checkpoint.
    """
    run, total = task.run, task.total
    of_layer: dict[str, float] = {} if task.whole is None else {"layer": task.whole.layer}
    began = time.monotonic()
    with (
        reporter.stops(task.resumed) as stops,  # the last to be left: a signal may end the program
        reporter.following(total, task.done) as shown,
        EventFiles(run.path / "tensorboard", task.watching.tensorboard, task.done) as events,
    ):
        for sentence in task.describe():
            shown.say(reporter.words(sentence).replace("`", ""))
        if task.done == total and task.whole is None:
            epochs = f"all {task.options.epochs} epochs are done already"
            shown.say(reporter.words(f"{epochs}; `more_epochs` goes further").replace("`", ""))
        saved = time.monotonic()
        try:
            for done in task.updates():
                with free_cores():
                    row = task.look()
                shown.update(done)
                if row is not None:
                    run.append_row(row)
                    events.add(row)
                    shown.row({**of_layer, **row})
                    with free_cores():
                        task.draw()
                    yield {**of_layer, **row}
                if done < total and ranks.others_than(not stops):  # a signal to one is for all
                    _stop(task, reporter)
                    at: dict[str, Any] = {"run": str(task.resumed), **of_layer, "update": done}
                    where = f"after update {done:,} of {total:,}"
                    raise Stopped(where, task.resumed, at, [*stops, signal.SIGTERM][0])
                if time.monotonic() - saved > task.watching.checkpoint_every:
                    task.save()
                    task.write_pages(reporter, "running")
                    saved = time.monotonic()
        except GeneratorExit:
            _stop(task, reporter)
            raise
        except ranks.Lost as error:
            raise ranks.Lost(
                f"{error}. The last checkpoint is {run.latest_checkpoint()}; go on from there "
                f"with: `harmonium.open({str(task.resumed)!r}).resume()`"
            ) from error
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error}. The last good checkpoint is {run.latest_checkpoint()}; to go on from "
                f"there: `harmonium.open({str(task.resumed)!r}).resume(learning_rate="
                f"{task.options.rate / 4:g})`"
            ) from error
    with free_cores():
        return task.finish(reporter, time.monotonic() - began)


def _stop(task: Task, reporter: Reporter) -> None:
    task.save()
    task.write_pages(reporter, "stopped")


@contextmanager
def stop_requests(at_once: Callable[[int], None]) -> Iterator[list[int]]:
    """Collects signals that request a stop, so that the run stops between two updates.

    A second signal stops at once, and leaves the last checkpoint.

    Parameters
    ----------
    at_once
        Called with the number of the second signal; does not return.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread receives signals
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
