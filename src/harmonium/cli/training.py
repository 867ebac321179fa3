"""``harmonium train`` and ``harmonium resume``: one run from its first update to its summary."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch

from harmonium import __version__, checkpoint, datasets, defaults, training
from harmonium.cli import build, events, figures, reporting, run_data, verdicts
from harmonium.cli.encoding import Known, described
from harmonium.cli.history import History
from harmonium.cli.keeping import Whole, open_keeper
from harmonium.cli.options import TrainingOptions, WatchingOptions, flag
from harmonium.cli.progress import (
    LABELS,
    Reporter,
    choose_reporter,
    download_progress,
    tell_of_compiling,
    with_error,
)
from harmonium.cli.resuming import Further, as_it_began, slower, take_up, tell_rate
from harmonium.cli.rows import FILES, from_anywhere
from harmonium.datasets import Data, Minibatches
from harmonium.metrics import WARNING
from harmonium.report import HeldOut
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
    run = RunDirectory(out or free_path(Path("runs") / run_name(options.data)))
    run.check_free(overwrite)
    events.check(watching.tensorboard)
    where = build.choose_device(device)
    tell_of_compiling()
    options, train_data, held_out = load_new(options, where)
    begun = Begun.of(found_from_anywhere(options), train_data, held_out)
    run.create(begun.config(watching), checkpoint.dumps(begun.state), overwrite)
    return go_on(run, begun, watching, as_json)


@dataclass(frozen=True)
class Begun:
    """A training that can go on: its options, each with a value, its data and its state."""

    options: TrainingOptions
    batches: Minibatches
    data: Data
    held_out: Data | None
    state: TrainingState

    @classmethod
    def of(cls, options: TrainingOptions, train_data: Data, held_out: Data | None) -> Begun:
        """A training before its first update, on the device of the data."""
        batches = build.make_batches(options, train_data)
        options = build.complete(options, batches)
        rbm = build.make_model(options, train_data, held_out).to(train_data.values.device)
        state = build.make_state(options, rbm, batches)
        return cls(options, batches, train_data, held_out, state)

    @property
    def total(self) -> int:
        """Updates of the whole training."""
        assert self.options.epochs is not None
        return self.options.epochs * len(self.batches)

    def config(self, watching: WatchingOptions) -> dict[str, Any]:
        """Everything that defines the run."""
        data, held_out = self.data, self.held_out
        fingerprint, of_held_out = run_data.fingerprints(self.options, data, held_out)
        return {
            **surroundings(data.values.device),
            "options": dataclasses.asdict(self.options),
            "watching": dataclasses.asdict(watching),
            "every": watching.every or training.default_every(self.batches, self.state, self.total),
            "data": {
                "n_train": len(data),
                "n_held_out": 0 if held_out is None else len(held_out),
                **described(data),
                "fingerprint": fingerprint,
                "held_out_fingerprint": of_held_out,
            },
        }


def found_from_anywhere(options: TrainingOptions) -> TrainingOptions:
    """The options with a path that resuming finds from any folder."""
    files: dict[str, Any] = {name: from_anywhere(getattr(options, name)) for name in FILES}
    if options.data not in datasets.names():
        files["data"] = from_anywhere(options.data)
    return dataclasses.replace(options, **files)


def run_name(data: str) -> str:
    """What a run on these data is called."""
    return Path(data).name.lstrip(".").split(".")[0] or "run"


def resume(
    path: Path,
    further: Further,
    *,
    repeated: Mapping[str, Any],
    watching: Mapping[str, Any],
    device: str | None,
    threads: int | None,
    as_json: bool,
) -> int:
    """Go on with a run that stopped, was killed, or should see more epochs."""
    run = RunDirectory.open(path)
    run.check_replaceable()
    config = run.config()
    refuse_layer(run, config)
    options = run_data.options_of(run)
    assert options.learning_rate is not None
    was = options.learning_rate
    rate, others = slower(path, was, repeated)
    refuse_contradictions(path, options, others)
    watch, where = as_it_began(config, watching, device, threads)
    state = build.load_checkpoint(run, where)
    train_data, held_out = load(options, where, run_data.known_of(run))
    run_data.refuse_other_data(run, train_data, held_out)
    batches = build.make_batches(options, train_data)
    options = take_up(run, options, state, batches, further, rate)
    tell_rate(choose_reporter(as_json), rate, was, state.update)
    return go_on(run, Begun(options, batches, train_data, held_out, state), watch, as_json)


def load(
    options: TrainingOptions, device: torch.device, known: Known | None = None
) -> tuple[Data, Data | None]:
    """Training rows and held-out rows, on the device; encoded as in a run that has begun."""
    with download_progress() as progress:
        train_data, held_out = run_data.load_data(options, progress, known)
    return train_data.to(device), None if held_out is None else held_out.to(device)


def load_new(
    options: TrainingOptions, device: torch.device
) -> tuple[TrainingOptions, Data, Data | None]:
    """The same for a run that begins, and its options, whose visible units are decided."""
    with download_progress() as progress:
        options, train_data, held_out = run_data.load_new(options, progress)
    return options, train_data.to(device), None if held_out is None else held_out.to(device)


def surroundings(device: torch.device) -> dict[str, Any]:
    """When, with which versions and on what a run was begun."""
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
    }


def refuse_layer(run: RunDirectory, config: Mapping[str, Any]) -> None:
    """Refuse to take a layer further while those above it learn from what it was."""
    if "layer" in config:
        network = quote(str(run.path.parent.parent))
        raise ValueError(
            f"{run.path} is a layer of a deep belief network; go on with all of it: harmonium "
            f"resume {network}"
        )


def refuse_contradictions(
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


def go_on(
    run: RunDirectory,
    begun: Begun,
    watching: WatchingOptions,
    as_json: bool,
    whole: Whole | None = None,
) -> int:
    """Train to the end, or until somebody stops it; returns the exit code."""
    options, batches, state = begun.options, begun.batches, begun.state
    train_data, held_out = begun.data, begun.held_out
    assert options.epochs is not None
    total = begun.total
    # runs that do not say it were begun when all had the rhythm of long ones
    every = watching.every or run.config().get("every") or training.default_every(batches)
    # what watching may cost is reckoned as at the start: a resumed run watches the same rows
    build.set_sweeps(state, options, total)
    monitor = training.default_monitor(state, batches, held_out, every, total)
    if not watching.log_likelihood:
        monitor.following = None
    watch = training.Watch(monitor, every, batches, last=total)
    image_shape = figures.picture_shape(state.rbm, train_data.image_shape)

    shown = train_data if held_out is None else held_out
    history = None
    if watching.figures and image_shape is not None:
        history = History(run, shown, image_shape, state.seed, every, total)
        history.begin(state)

    began = time.monotonic()
    with open_keeper(run, state.update, total, watching, as_json, whole) as keeper:
        reporter, name = keeper.reporter, str(whole or run.path)
        _introduce(reporter, name, state, train_data, held_out, options.epochs)
        if state.update == total and whole is None:
            reporter.say(
                f"all {options.epochs} epochs are done already; --more-epochs goes further"
            )
        watch(state)
        code = keeper.follow(
            _updates(options, batches, state),
            look=lambda: watch(state),
            save=lambda: _save(run, state),
            draw=None if history is None else lambda: history.look(state),
        )
    if code:
        return code
    seconds = time.monotonic() - began
    _save(run, state)
    checkpoint.save_model(state.model, run.model_path)
    pictures = []
    if watching.figures:
        of_run = (run, state.model, state.chains, shown, state.seed, train_data)
        pictures = list(figures.draw_all(*of_run))
    reporter = choose_reporter(as_json)
    _summarise(reporter, run, seconds)
    gains = monitor.over_independent_columns(state.model, _last_row(run))
    path = quote(str(run.path))
    verdicts.tell(reporter, run, verdicts.of_rbm(path, run.rows(), gains, state, train_data))
    reporting.write(run)
    if whole is None:
        _say_what_next(reporter, run, state.update, len(pictures), seconds)
    return 0


def _updates(options: TrainingOptions, batches: Minibatches, state: TrainingState) -> Iterator[int]:
    """The updates that are left; the last ones have sweeps of their own."""
    assert options.epochs is not None
    late = round((1 - defaults.FINAL_SHARE) * options.epochs * len(batches))
    build.set_sweeps(state, options, late)
    for done in training.updates(state, batches, options.epochs):
        if done == late:
            build.set_sweeps(state, options, late)
        yield done


def _save(run: RunDirectory, state: TrainingState) -> None:
    checkpoint.save(state, run.checkpoint_path(state.update))
    run.prune_checkpoints()


def _introduce(
    reporter: Reporter,
    name: str,
    state: TrainingState,
    train_data: Data,
    held_out: Data | None,
    epochs: int,
) -> None:
    chains = "chains start at the data" if state.chains is None else f"{len(state.chains)} chains"
    began = f", from update {state.update:,}" if state.update else ""
    reporter.say(
        f"{name}: {state.rbm!r} on {len(train_data):,} rows of {train_data.name}"
        + (f", {len(held_out):,} held out" if held_out is not None else "")
        + f"; {epochs} epochs, {chains}, {state.rbm.weights.device}{began}"
    )
    say_notes(reporter, train_data)


def say_notes(reporter: Reporter, data: Data) -> None:
    """Say in one line what a file was taken for."""
    if data.notes:
        reporter.say(f"data      {'; '.join(data.notes)}")


def _last_row(run: RunDirectory) -> dict[str, float]:
    rows = run.rows()
    return rows[-1] if rows else {}


def _summarise(reporter: Reporter, run: RunDirectory, seconds: float) -> None:
    last = _last_row(run)
    key = next((key for key in LABELS if key in last), None)
    if key is None:
        return
    unit = " nats" if "likelihood" in key else ""
    doubt = ", not to be trusted" if WARNING in last and key == "log_likelihood" else ""
    reporter.say(
        f"{LABELS[key]} {with_error(last, key)}{unit} on training rows{doubt}"
        f"{_held_out(run.rows(), key)}; trained for {seconds:.0f} s"
    )


def _held_out(rows: list[dict[str, float]], key: str) -> str:
    """What held-out rows have, and how far they are behind training rows and behind their best."""
    found = HeldOut.of(rows)
    if found is None or found.train != key or found.gap is None:
        return ""
    error = f" ± {found.gap_error:.2f}" if found.gap_error else ""
    best = ""
    if found.lost >= 0.005 and found.has_moved:
        epoch = round(found.best["epoch"], 2)
        best = f", {found.lost:.2f} behind their best after epoch {epoch:g}"
    side = "behind" if found.gap >= 0 else "ahead of"
    return (
        f", {found.last[found.held]:.2f} held out ({abs(found.gap):.2f}{error} {side} training "
        f"rows{best})"
    )


def _say_what_next(
    reporter: Reporter, run: RunDirectory, update: int, n_pictures: int, seconds: float
) -> None:
    reporter.say(f"model     {run.model_path}")
    if n_pictures:
        reporter.say(
            f"pictures  {run.figures} ({n_pictures}: filters, samples, learning curves, ...)"
        )
    reporter.say(f"page      {run.report_path}")
    path = quote(str(run.path))
    reporter.say(
        f"next      harmonium sample {path}   ·   harmonium diagnose {path}   ·   harmonium info "
        f"{path}"
    )
    reporter.finish({"run": str(run.path), "update": update, "seconds": seconds, **_last_row(run)})
