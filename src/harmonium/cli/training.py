"""``harmonium train`` and ``harmonium resume``: one run from its first update to its summary."""

from __future__ import annotations

import dataclasses
import platform
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

import harmonium
from harmonium import checkpoint, training
from harmonium.cli import build, events, figures
from harmonium.cli.options import TrainingOptions, flag
from harmonium.cli.progress import Reporter, choose_reporter, download_progress
from harmonium.datasets import Data, Minibatches
from harmonium.runs import RunDirectory, free_path
from harmonium.training import TrainingState


@dataclasses.dataclass(frozen=True)
class Watching:
    """How a run is watched and kept; none of it changes a bit of what is learned."""

    every: int | None
    checkpoint_seconds: float
    figures: bool
    tensorboard: bool | None
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse what cannot be kept to."""
        if self.every is not None and self.every < 1:
            raise ValueError(f"--every is {self.every}; pass 1 or more updates")
        if self.checkpoint_seconds < 0:
            raise ValueError(
                f"--checkpoint-every is {self.checkpoint_seconds:g}; pass 0 or more seconds"
            )
        if self.tensorboard and not events.is_installed():
            raise ValueError(
                "--tensorboard needs the package tensorboard, which is not installed; "
                "pip install 'harmonium[tensorboard]'"
            )


def train(
    options: TrainingOptions, watching: Watching, out: Path | None, overwrite: bool, device: str
) -> int:
    """Begin a run; returns the exit code."""
    run = RunDirectory(out or free_path(Path("runs") / Path(options.data).stem.split(".")[0]))
    run.check_free(overwrite)
    where = build.choose_device(device)
    if Path(options.data).exists():
        options = dataclasses.replace(options, data=str(Path(options.data).resolve()))
    train_data, held_out = _load(options, where)
    batches = Minibatches(train_data, options.batch_size)
    rbm = build.make_model(options, train_data, held_out).to(where)
    state = build.make_state(options, rbm, batches)
    options = dataclasses.replace(options, epochs=build.n_epochs(options, batches))
    run.create(_config(options, train_data, held_out), checkpoint.dumps(state), overwrite)
    return _go_on(run, options, state, train_data, held_out, watching)


def resume(
    path: Path, watching: Watching, epochs: int | None, others: Mapping[str, str], device: str
) -> int:
    """Go on with a run that stopped, was killed, or should see more epochs."""
    run = RunDirectory.open(path)
    config = run.config()
    options = TrainingOptions(**config["options"])
    _refuse_contradictions(path, options, others)
    where = build.choose_device(device)
    state = checkpoint.load(run.latest_checkpoint(), device=where)
    train_data, held_out = _load(options, where)
    _refuse_other_data(run, config, train_data, held_out)
    batches = Minibatches(train_data, options.batch_size)
    assert options.epochs is not None
    if epochs is not None and epochs != options.epochs:
        if epochs * len(batches) < state.update:
            raise ValueError(
                f"--epochs is {epochs}, but {path} has seen {state.update / len(batches):g} "
                f"epochs already; pass more, or leave it out to go to {options.epochs}"
            )
        options = dataclasses.replace(options, epochs=epochs)
        if options.schedule == "linear":
            # the rate falls to zero at the new end, and takes up where that schedule would be now
            state.schedule = training.linear_to_zero(
                state.optimizer, epochs * len(batches), done=state.update
            )
        run.write_config(config | {"options": dataclasses.asdict(options)})
        # the new end has to survive a crash before the next regular checkpoint
        checkpoint.save(state, run.checkpoint_path(state.update))
    run.drop_rows_after(state.update)
    return _go_on(run, options, state, train_data, held_out, watching)


def _load(options: TrainingOptions, device: torch.device) -> tuple[Data, Data | None]:
    with download_progress() as progress:
        train_data, held_out = build.load_data(options, progress)
    return train_data.to(device), None if held_out is None else held_out.to(device)


def _config(options: TrainingOptions, train_data: Data, held_out: Data | None) -> dict[str, Any]:
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "harmonium": harmonium.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "threads": torch.get_num_threads(),
        "options": dataclasses.asdict(options),
        "data": {
            "n_train": len(train_data),
            "n_held_out": 0 if held_out is None else len(held_out),
            "n_columns": train_data.n_columns,
            "image_shape": train_data.image_shape,
            "encoding": train_data.encoding.to_config(),
            "fingerprint": train_data.fingerprint(),
            "held_out_fingerprint": None if held_out is None else held_out.fingerprint(),
        },
    }


def _refuse_contradictions(
    path: Path, options: TrainingOptions, others: Mapping[str, str]
) -> None:
    """Options that define the run may be repeated, but not changed."""
    for name, value in others.items():
        was = getattr(options, name)
        same = value == str(was) or (
            isinstance(was, int | float) and not isinstance(was, bool) and _number(value) == was
        )
        if not same:
            raise ValueError(
                f"{flag(name)} {value} contradicts the run {path}, whose {flag(name)} is {was}; "
                "leave it out, or start a new run with harmonium train"
            )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _refuse_other_data(
    run: RunDirectory, config: Mapping[str, Any], train_data: Data, held_out: Data | None
) -> None:
    was = config["data"]
    now = (train_data.fingerprint(), None if held_out is None else held_out.fingerprint())
    if now != (was["fingerprint"], was["held_out_fingerprint"]):
        raise ValueError(
            f"the data {config['options']['data']} have changed since {run.path} was begun "
            f"(they had {was['n_train']} training rows of {was['n_columns']} columns, with other "
            "values, encoding or split); bring the old data back, or start a new run"
        )


def _go_on(
    run: RunDirectory,
    options: TrainingOptions,
    state: TrainingState,
    train_data: Data,
    held_out: Data | None,
    watching: Watching,
) -> int:
    """Train to the end, or until somebody stops it; returns the exit code."""
    batches = Minibatches(train_data, options.batch_size)
    assert options.epochs is not None
    total = options.epochs * len(batches)
    every = watching.every or training.default_every(batches)
    monitor = training.default_monitor(state, batches, held_out, every)
    watch = training.Watch(monitor, every, batches, last=total)
    image_shape = figures.picture_shape(state.rbm, train_data)
    began = saved = time.monotonic()
    with (
        choose_reporter(watching.as_json, total, state.update) as reporter,
        events.EventFiles(run.path / "tensorboard", watching.tensorboard) as event_files,
        _stop_requests() as stop,
    ):
        _introduce(reporter, run, state, train_data, held_out, options.epochs)
        try:
            watch(state)
            for done in training.updates(state, batches, options.epochs):
                row = watch(state)
                reporter.update(done)
                if row is not None:
                    run.append_row(row)
                    event_files.add(row)
                    reporter.row(row)
                    if watching.figures:
                        figures.save_filters_of_now(run, state.model, image_shape, done)
                if stop and done < total:
                    _save(run, state)
                    reporter.say(
                        f"stopped after update {done:,} of {total:,}; go on with: "
                        f"harmonium resume {run.path}"
                    )
                    reporter.finish({"run": str(run.path), "update": done, "stopped": True})
                    return 128 + stop[0]
                if time.monotonic() - saved > watching.checkpoint_seconds:
                    _save(run, state)
                    saved = time.monotonic()
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error}. The last good checkpoint is {run.latest_checkpoint()}"
            ) from error
    _finish(run, state, train_data, held_out, watching, time.monotonic() - began)
    return 0


def _save(run: RunDirectory, state: TrainingState) -> None:
    checkpoint.save(state, run.checkpoint_path(state.update))
    run.prune_checkpoints()


def _introduce(
    reporter: Reporter,
    run: RunDirectory,
    state: TrainingState,
    train_data: Data,
    held_out: Data | None,
    epochs: int,
) -> None:
    chains = "chains start at the data" if state.chains is None else f"{len(state.chains)} chains"
    began = f", from update {state.update:,}" if state.update else ""
    reporter.say(
        f"{run.path}: {state.rbm!r} on {len(train_data):,} rows of {train_data.name}"
        + (f", {len(held_out):,} held out" if held_out is not None else "")
        + f"; {epochs} epochs, {chains}, {state.rbm.weights.device}{began}"
    )


def _finish(
    run: RunDirectory,
    state: TrainingState,
    train_data: Data,
    held_out: Data | None,
    watching: Watching,
    seconds: float,
) -> None:
    _save(run, state)
    checkpoint.save_model(state.model, run.model_path)
    reporter = choose_reporter(watching.as_json)
    n_pictures = 0
    if watching.figures:
        shown = train_data if held_out is None else held_out
        n_pictures = len(
            list(figures.draw_all(run, state.model, state.chains, shown, state.seed))
        )
    rows = run.rows()
    last = rows[-1] if rows else {}
    if "pseudo_log_likelihood" in last:
        name, key = "pseudo-log-likelihood", "pseudo_log_likelihood"
    else:
        name, key = "reconstruction error", "reconstruction_error"
    if key in last:
        held = f", {last[f'held_out_{key}']:.2f} held out" if f"held_out_{key}" in last else ""
        reporter.say(f"{name} {last[key]:.2f} on training rows{held}; trained for {seconds:.0f} s")
    reporter.say(f"model     {run.model_path}")
    if n_pictures:
        reporter.say(f"pictures  {run.figures} ({n_pictures}: filters, samples, learning curves, ...)")
    reporter.say(f"next      harmonium sample {run.path}   ·   harmonium info {run.path}")
    reporter.finish({"run": str(run.path), "update": state.update, "seconds": seconds, **last})


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Signals that ask to stop, collected; the run stops between two updates, never within one."""
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if caught:
            sys.exit(128 + number)
        caught.append(number)

    asked = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, remember) for number in asked]
    try:
        yield caught
    finally:
        for number, handler in zip(asked, before, strict=True):
            signal.signal(number, handler)
