"""What is kept of a training while it goes on: rows, event files, checkpoints; and how it stops."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from types import FrameType

from harmonium.cli import reporting
from harmonium.cli.progress import Reporter, choose_reporter
from harmonium.report import Stage
from harmonium.run_directory import RunDirectory
from harmonium.runs import events
from harmonium.runs.options import FinetuningOptions, WatchingOptions
from harmonium.training import Row


@dataclass(frozen=True)
class Whole:
    """What a run is a layer of: the network's directory, which layer, and of how many."""

    path: Path
    layer: int
    n_layers: int

    def __str__(self) -> str:
        return f"layer {self.layer} of {self.n_layers}"


@dataclass(frozen=True)
class Keeper:
    """Keeps and shows what a training makes, for as long as `open_keeper` has it open.

    Attributes
    ----------
    run, whole
        Where it goes, and what that is a layer of, if it is one.
    total
        Updates of the whole training.
    watching
        How often there are checkpoints.
    reporter, events
        What shows rows.
    stops
        Signals that have asked to stop.
    """

    run: RunDirectory
    whole: Whole | None
    total: int
    watching: WatchingOptions
    reporter: Reporter
    events: events.EventFiles
    stops: list[int]

    def follow(
        self,
        updates: Iterable[int],
        look: Callable[[], Row | None],
        save: Callable[[], None],
        draw: Callable[[], None] | None = None,
    ) -> int:
        """Go through a training, to its end or until somebody stops it; returns the exit code.

        Parameters
        ----------
        updates
            Makes an update, and yields its number.
        look
            Makes a row of numbers, where one is due after the update.
        save
            Writes a checkpoint, after which the pages are renewed.
        draw
            Draws what a row has to show, after each of them.

        Raises
        ------
        FloatingPointError
            As the training raises it, with the last good checkpoint.
        """
        of_layer: Mapping[str, int] = {} if self.whole is None else {"layer": self.whole.layer}
        saved = time.monotonic()
        try:
            for done in updates:
                row = look()
                self.reporter.update(done)
                if row is not None:
                    self.run.append_row(row)
                    self.events.add(row)
                    self.reporter.row({**of_layer, **row})
                    if draw is not None:
                        draw()
                if self.stops and done < self.total:
                    save()
                    self._write_pages("stopped")
                    resumed = str(_resumed(self.run, self.whole))
                    self.reporter.say(
                        f"stopped after update {done:,} of {self.total:,}; go on with: "
                        f"harmonium resume {quote(resumed)}"
                    )
                    self.reporter.finish(
                        {"run": resumed, **of_layer, "update": done, "stopped": True}
                    )
                    return 128 + self.stops[0]
                if time.monotonic() - saved > self.watching.checkpoint_every:
                    save()
                    self._write_pages("running")
                    saved = time.monotonic()
        except FloatingPointError as error:
            resumed = quote(str(_resumed(self.run, self.whole)))
            raise FloatingPointError(
                f"{error}. The last good checkpoint is {self.run.latest_checkpoint()}; to go on "
                f"from there: harmonium resume {resumed} --learning-rate {self._rate() / 4:g}"
            ) from error
        return 0

    def _rate(self) -> float:
        """The learning rate that the run was begun with."""
        options = self.run.config()["options"]
        rate = options["learning_rate"]
        return float(FinetuningOptions(**options).rate if rate is None else rate)

    def _write_pages(self, stage: Stage) -> None:
        """Renew the page of the run, and that of the network whose layer it is."""
        reporting.write(self.run, stage)
        if self.whole is not None:
            reporting.write(RunDirectory(self.whole.path), stage)


@contextmanager
def open_keeper(
    run: RunDirectory,
    done: int,
    total: int,
    watching: WatchingOptions,
    as_json: bool,
    whole: Whole | None = None,
) -> Iterator[Keeper]:
    """Keep a training from update ``done`` on; see `Keeper`."""
    with (
        choose_reporter(as_json, total, done) as reporter,
        events.EventFiles(run.path / "tensorboard", watching.tensorboard, done) as event_files,
        _stop_requests(_resumed(run, whole)) as stops,
    ):
        yield Keeper(run, whole, total, watching, reporter, event_files, stops)


def _resumed(run: RunDirectory, whole: Whole | None) -> Path:
    """What `harmonium resume` goes on with."""
    return run.path if whole is None else whole.path


@contextmanager
def _stop_requests(resumed: Path) -> Iterator[list[int]]:
    """Signals that ask to stop, collected: the run stops between two updates.

    Whoever asks twice does not want to wait for that, and gets back the last checkpoint.
    """
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if caught:
            print(
                "stopped at once; go on from the last checkpoint with: "
                f"harmonium resume {quote(str(resumed))}",
                file=sys.stderr,
            )
            sys.exit(128 + number)
        caught.append(number)

    asked = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, remember) for number in asked]
    try:
        yield caught
    finally:
        for number, handler in zip(asked, before, strict=True):
            signal.signal(number, handler)
