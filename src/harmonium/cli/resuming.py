"""What ``harmonium resume`` does with a run of any kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch.optim.lr_scheduler import LinearLR

from harmonium import training
from harmonium.cli import build, events
from harmonium.cli.options import FinetuningOptions, TrainingOptions, WatchingOptions
from harmonium.cli.progress import tell_of_compiling
from harmonium.datasets import Minibatches
from harmonium.deep import FinetuningState
from harmonium.runs import RunDirectory
from harmonium.training import TrainingState

Options = TypeVar("Options", TrainingOptions, FinetuningOptions)


def as_it_began(
    config: Mapping[str, Any], watching: Mapping[str, Any], device: str | None, threads: int | None
) -> tuple[WatchingOptions, torch.device]:
    """How a run is watched and where it computes: as it began, save what is now said otherwise.

    Sets the number of threads too.
    """
    watch = WatchingOptions(**config["watching"] | watching)
    events.check(watch.tensorboard)
    where = build.choose_device(device or config["device"])
    tell_of_compiling()
    # on other numbers of threads the matrix library may round otherwise
    torch.set_num_threads(threads or config["threads"])
    return watch, where


def take_up(
    run: RunDirectory,
    options: Options,
    state: TrainingState | FinetuningState,
    batches: Minibatches,
    epochs: int | None,
) -> Options:
    """Ready a run to go on from a checkpoint to an end that may be another: its options then.

    Parameters
    ----------
    run
        Keeps the new end, and loses what was written after the checkpoint.
    options
        Those it was begun with.
    state, batches
        As the checkpoint has it, and what it learns from. A learning rate that falls to zero does
        so at the new end.
    epochs
        Epochs in all; None for those of the run.

    Raises
    ------
    ValueError
        If there have been more epochs already.
    """
    if epochs is not None and epochs * len(batches) < state.update:
        raise ValueError(
            f"--epochs is {epochs}, but {run.path} has seen {state.update / len(batches):g} epochs "
            f"already; pass more, or leave it out to go to {options.epochs}"
        )
    run.remove_unfinished()
    if epochs is not None and epochs != options.epochs:
        options = dataclasses.replace(options, epochs=epochs)
        run.write_config(run.config() | {"options": dataclasses.asdict(options)})
    assert options.epochs is not None
    total = options.epochs * len(batches)
    if isinstance(state.schedule, LinearLR) and state.schedule.total_iters != total:
        # the rate falls to zero at the new end, and takes up where that schedule would be now
        state.schedule = training.linear_to_zero(state.optimizer, total, done=state.update)
    run.drop_rows_after(state.update)
    return options
