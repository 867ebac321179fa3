"""Resuming a run of any kind: what may differ from the start, and what may not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.optim.lr_scheduler import LinearLR

from harmonium import ranks, training
from harmonium.datasets import Minibatches
from harmonium.kernels.threads import give, give_again
from harmonium.run_directory import RunDirectory
from harmonium.runs import build, events
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rating_options import RatingOptions
from harmonium.runs.reporting import Reporter
from harmonium.runs.tuning_options import FinetuningOptions
from harmonium.runs.watching_options import WatchingOptions
from harmonium.training import Learner


@dataclass(frozen=True)
class Further:
    """When a resumed run ends, if that differs from the start.

    Attributes
    ----------
    epochs
        Total number of epochs; None for the number of the run.
    more_epochs
        Additional epochs, beyond those of the run.
    """

    epochs: int | None = None
    more_epochs: int | None = None

    def __post_init__(self) -> None:
        """Reject two different ends."""
        if self.epochs is not None and self.more_epochs is not None:
            raise ValueError(
                f"`epochs={self.epochs}` is the total number, and "
                f"`more_epochs={self.more_epochs}` the number beyond those of the run; pass one "
                "of them"
            )

    @property
    def given(self) -> Mapping[str, int]:
        """The values given, by option name."""
        said = {"epochs": self.epochs, "more_epochs": self.more_epochs}
        return {name: value for name, value in said.items() if value is not None}

    def end(self, epochs: int) -> int:
        """Total epochs, for a run planned with this many."""
        return (self.epochs or epochs) + (self.more_epochs or 0)


Options = TypeVar("Options", TrainingOptions, FinetuningOptions, RatingOptions)


@dataclass(frozen=True)
class Said:
    """Options given when resuming a run; None or no value leaves the run as it was started.

    Attributes
    ----------
    further
        When it ends.
    repeated
        Training options, which may be repeated; only the learning rate may change, to a smaller
        one.
    watching
        Options of monitoring.
    device, threads
        The device and the number of CPU threads.
    """

    further: Further = Further()
    repeated: Mapping[str, Any] = field(default_factory=dict)
    watching: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    threads: int | None = None

    def surroundings(self, config: Mapping[str, Any]) -> tuple[WatchingOptions, torch.device]:
        """How a run is monitored and where it computes: as at the start, unless given here.

        Also sets the number of threads.
        """
        watch = WatchingOptions(**{**config["watching"], **self.watching})
        events.check(watch.tensorboard)
        where = build.choose_device(self.device or config["device"])
        if self.threads is None and ranks.size() == 1:
            give_again(config["threads"])
        give(self.threads)
        return watch, where


def take_up(
    run: RunDirectory,
    options: Options,
    state: Learner,
    batches: Minibatches,
    further: Further,
    rate: float | None,
    reporter: Reporter,
) -> Options:
    """Prepare a run to continue from a checkpoint, perhaps to a new end; returns its options.

    Parameters
    ----------
    run
        The run; it stores the new end and rate, and loses what was written after the checkpoint.
    options
        The options with which it was started.
    state, batches
        The state from the checkpoint, and the training data. A learning rate that falls to zero
        goes on where it would be by now in a run that had the new end from the start.
    further
        When it ends.
    rate
        A learning rate that replaces that of the run from here on.
    reporter
        Hears of another rate.

    Raises
    ------
    ValueError
        If more epochs have been made already.
    """
    assert options.epochs is not None
    epochs = further.end(options.epochs)
    if epochs * len(batches) < state.update:
        raise ValueError(
            f"`epochs` is {epochs}, but {run.path} has seen {state.update / len(batches):g} epochs "
            "already, and `epochs` counts them all; pass more, or say how many are to come with "
            f"`more_epochs`, or leave both out to go to {options.epochs}"
        )
    run.remove_unfinished()
    tell_rate(reporter, rate, options.rate, state.update)
    if rate is not None:
        options = dataclasses.replace(options, learning_rate=rate)
    if epochs != options.epochs:
        options = dataclasses.replace(options, epochs=epochs)
    if further.given or rate is not None:
        run.write_config(run.config() | {"options": dataclasses.asdict(options)})
    take_rate_(state, options)
    total = epochs * len(batches)
    if isinstance(state.schedule, LinearLR) and state.schedule.total_iters != total:
        # from the rate at hand it would be no training: at the old end that is zero
        state.schedule = training.linear_to_zero(state.optimizer, total, done=state.update)
        at = state.optimizer.param_groups[0]["lr"]
        reporter.say(
            f"the learning rate goes on at {at:.3g}, as in a run of {epochs:,} epochs, and falls "
            "to zero"
        )
    run.drop_rows_after(state.update)
    return options


def slower(
    path: Path, was: float, repeated: Mapping[str, Any]
) -> tuple[float | None, dict[str, Any]]:
    """The smaller learning rate with which a run continues, or None; and the other options given.

    Repeating the run's own rate changes nothing.

    Raises
    ------
    ValueError
        If it is larger, or not a valid rate.
    """
    others = dict(repeated)
    rate = others.pop("learning_rate", None)
    if rate is None or rate == was:
        return None, others
    if not 0 < rate < was:
        raise ValueError(
            f"`learning_rate={rate:g}` contradicts the run {path}, whose `learning_rate` is "
            f"{was:g}; pass a smaller one to go on with, leave it out, or start a new run"
        )
    return rate, others


def tell_rate(reporter: Reporter, rate: float | None, was: float, update: int) -> None:
    """Report that a run continues with another learning rate."""
    if rate is not None:
        reporter.say(
            f"from update {update:,} on, the learning rate is {rate:g} in place of {was:g}"
        )


def take_rate_(
    state: Learner, options: TrainingOptions | FinetuningOptions | RatingOptions
) -> None:
    """Set the current learning rate of the run in a state whose checkpoint has an earlier one."""
    rate, first = options.rate, state.optimizer.param_groups[0]
    was = first.get("initial_lr", first["lr"])
    if not was or math.isclose(rate, was, rel_tol=1e-9):
        return
    for group in state.optimizer.param_groups:
        for name in group.keys() & {"lr", "initial_lr"}:
            group[name] *= rate / was
    if state.schedule is not None:
        state.schedule.base_lrs = [base * (rate / was) for base in state.schedule.base_lrs]
