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
from shlex import quote
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LinearLR

from harmonium import __version__, checkpoint, datasets, defaults, training
from harmonium.cli import build, events, figures
from harmonium.cli.options import TrainingOptions, WatchingOptions, flag
from harmonium.cli.progress import (
    Reporter,
    choose_reporter,
    download_progress,
    tell_of_compiling,
)
from harmonium.datasets import Data, Minibatches
from harmonium.runs import RunDirectory, free_path
from harmonium.training import TrainingState


def train(
    options: TrainingOptions,
    watching: WatchingOptions,
    out: Path | None,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> int:
    """Begin a run; returns the exit code."""
    run = RunDirectory(out or free_path(Path("runs") / _name(options.data)))
    run.check_free(overwrite)
    events.check(watching.tensorboard)
    where = build.choose_device(device)
    tell_of_compiling()
    train_data, held_out = _load(options, where)
    if options.data not in datasets.names():
        # resuming must find the file from any folder
        options = dataclasses.replace(options, data=str(Path(options.data).expanduser().absolute()))
    batches = build.make_batches(options, train_data)
    options = build.complete(options, batches)
    rbm = build.make_model(options, train_data, held_out).to(where)
    state = build.make_state(options, rbm, batches)
    config = _config(options, watching, where, train_data, held_out)
    run.create(config, checkpoint.dumps(state), overwrite)
    return _go_on(run, options, state, batches, held_out, watching, as_json)


def _name(data: str) -> str:
    """What a run on these data is called."""
    return Path(data).name.lstrip(".").split(".")[0] or "run"


def resume(
    path: Path,
    epochs: int | None,
    *,
    repeated: Mapping[str, Any],
    watching: Mapping[str, Any],
    device: str | None,
    threads: int | None,
    as_json: bool,
) -> int:
    """Go on with a run that stopped, was killed, or should see more epochs."""
    run = RunDirectory.open(path)
    config = run.config()
    options = TrainingOptions(**config["options"])
    _refuse_contradictions(path, options, repeated)
    watch = WatchingOptions(**config["watching"] | watching)
    events.check(watch.tensorboard)
    where = build.choose_device(device or config["device"])
    tell_of_compiling()
    # on other numbers of threads the matrix library may round otherwise
    torch.set_num_threads(threads or config["threads"])
    state = build.load_checkpoint(run, where)
    train_data, held_out = _load(options, where)
    refuse_other_data(run, config, train_data, held_out)
    batches = build.make_batches(options, train_data)
    if epochs is not None and epochs * len(batches) < state.update:
        raise ValueError(
            f"--epochs is {epochs}, but {path} has seen {state.update / len(batches):g} "
            f"epochs already; pass more, or leave it out to go to {options.epochs}"
        )
    run.remove_unfinished()
    if epochs is not None and epochs != options.epochs:
        options = dataclasses.replace(options, epochs=epochs)
        run.write_config(config | {"options": dataclasses.asdict(options)})
    assert options.epochs is not None
    total = options.epochs * len(batches)
    if isinstance(state.schedule, LinearLR) and state.schedule.total_iters != total:
        # the rate falls to zero at the new end, and takes up where that schedule would be now
        state.schedule = training.linear_to_zero(state.optimizer, total, done=state.update)
    run.drop_rows_after(state.update)
    return _go_on(run, options, state, batches, held_out, watch, as_json)


def _load(options: TrainingOptions, device: torch.device) -> tuple[Data, Data | None]:
    with download_progress() as progress:
        train_data, held_out = build.load_data(options, progress)
    return train_data.to(device), None if held_out is None else held_out.to(device)


def _config(
    options: TrainingOptions,
    watching: WatchingOptions,
    device: torch.device,
    train_data: Data,
    held_out: Data | None,
) -> dict[str, Any]:
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "harmonium": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "device": str(device),
        "threads": torch.get_num_threads(),
        "options": dataclasses.asdict(options),
        "watching": dataclasses.asdict(watching),
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
    path: Path, options: TrainingOptions, repeated: Mapping[str, Any]
) -> None:
    """Options that define the run may be repeated, but not changed."""
    for name, value in repeated.items():
        was = getattr(options, name)
        if value != was:
            said = f"{flag(name)} {value}"
            if isinstance(value, bool):
                said = flag(name if value else f"no_{name}")
            begun = "which was begun without" if was in (None, False) else ""
            raise ValueError(
                f"{said} contradicts the run {path}, {begun or f'whose {flag(name)} is {was}'}; "
                "leave it out, or start a new run with harmonium train"
            )


def refuse_other_data(
    run: RunDirectory, config: Mapping[str, Any], train_data: Data, held_out: Data | None
) -> None:
    """Refuse data that are not those of the run, by their fingerprints."""
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
    batches: Minibatches,
    held_out: Data | None,
    watching: WatchingOptions,
    as_json: bool,
) -> int:
    """Train to the end, or until somebody stops it; returns the exit code."""
    train_data = batches.data
    assert options.epochs is not None and isinstance(train_data, Data)
    total = options.epochs * len(batches)
    late = round((1 - defaults.FINAL_SHARE) * total)
    every = watching.every or training.default_every(batches)
    monitor = training.default_monitor(state, batches, held_out, every)
    watch = training.Watch(monitor, every, batches, last=total)
    image_shape = figures.picture_shape(state.rbm, train_data.image_shape)
    began = saved = time.monotonic()
    with (
        choose_reporter(as_json, total, state.update) as reporter,
        events.EventFiles(
            run.path / "tensorboard", watching.tensorboard, state.update
        ) as event_files,
        _stop_requests(run) as stop,
    ):
        _introduce(reporter, run, state, train_data, held_out, options.epochs)
        if state.update == total:
            reporter.say(f"all {options.epochs} epochs are done already; --epochs goes further")
        try:
            watch(state)
            build.set_sweeps(state, options, late)
            for done in training.updates(state, batches, options.epochs):
                if done == late:
                    build.set_sweeps(state, options, late)
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
                        f"harmonium resume {quote(str(run.path))}"
                    )
                    reporter.finish({"run": str(run.path), "update": done, "stopped": True})
                    return 128 + stop[0]
                if time.monotonic() - saved > watching.checkpoint_every:
                    _save(run, state)
                    saved = time.monotonic()
        except FloatingPointError as error:
            raise FloatingPointError(
                f"{error}. The last good checkpoint is {run.latest_checkpoint()}"
            ) from error
    seconds = time.monotonic() - began
    _save(run, state)
    checkpoint.save_model(state.model, run.model_path)
    pictures = []
    if watching.figures:
        shown = train_data if held_out is None else held_out
        pictures = list(figures.draw_all(run, state.model, state.chains, shown, state.seed))
    _summarise(choose_reporter(as_json), run, state.update, len(pictures), seconds)
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


def _summarise(
    reporter: Reporter, run: RunDirectory, update: int, n_pictures: int, seconds: float
) -> None:
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
        reporter.say(
            f"pictures  {run.figures} ({n_pictures}: filters, samples, learning curves, ...)"
        )
    path = quote(str(run.path))
    reporter.say(f"next      harmonium sample {path}   ·   harmonium info {path}")
    reporter.finish({"run": str(run.path), "update": update, "seconds": seconds, **last})


@contextmanager
def _stop_requests(run: RunDirectory) -> Iterator[list[int]]:
    """Signals that ask to stop, collected: the run stops between two updates.

    Whoever asks twice does not want to wait for that, and gets back the last checkpoint.
    """
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if caught:
            print(
                "stopped at once; go on from the last checkpoint with: "
                f"harmonium resume {quote(str(run.path))}",
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
