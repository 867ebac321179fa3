"""Training of one RBM, as a run or as a layer of a stack."""

from __future__ import annotations

import dataclasses
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch

from harmonium import __version__, checkpoint, datasets, training
from harmonium.datasets import Data, Minibatches, holes, mapped
from harmonium.datasets.dropped import as_table
from harmonium.files import Content, write_whole
from harmonium.metrics import is_trusted, name_of
from harmonium.rbm import RBM
from harmonium.report import HeldOut, columns
from harmonium.run_directory import Kind, RunDirectory, kinds
from harmonium.runs import build, kept, run_data, sharing, verdicts, weighting
from harmonium.runs.encoding import Known, described
from harmonium.runs.events import check as check_events
from harmonium.runs.following import Finished, Going, Place, Task, Whole
from harmonium.runs.options import TrainingOptions
from harmonium.runs.pictures import figures
from harmonium.runs.pictures.history import History
from harmonium.runs.rating_options import RatingOptions
from harmonium.runs.reporting import Reporter, last_row
from harmonium.runs.resuming import Said, slower, take_up
from harmonium.runs.rows import FILES, KEPT_SUFFIX, from_anywhere, is_listed, unlisted
from harmonium.runs.watching_options import WatchingOptions
from harmonium.training import Missing, TrainingState

DROPPED = "dropped.csv"
"""The file in the directory of a run that lists what the reader of its rows has left out."""

_COLUMNS_TOLD = 3  # of those in which most is missing

LABELS = {
    key: name_of(key) for key in ("log_likelihood", "pseudo_log_likelihood", "reconstruction_error")
}
"""Display names of the most informative numbers, best first."""


def begin(
    options: TrainingOptions, watching: WatchingOptions, place: Place, reporter: Reporter
) -> Going:
    """Start a run: check everything that can fail, and create its directory."""
    if sharing.is_begun(place.out):
        assert place.out is not None
        return sharing.taken_up(lambda path: resume(path, Said(), reporter), place.out)
    with sharing.beginning():
        run = place.directory(f"runs/{run_name(options.data)}")
        check_events(watching.tensorboard)
        where = build.choose_device(place.device)
        options, train_data, held_out = load_new(options, where, reporter)
        begun = Begun.of(found_from_anywhere(options), train_data, held_out)
        config = begun.config(watching)
    sharing.check_alike(config)
    with sharing.beginning(), run.made_whole(place.overwrite) as partial:
        if place.keeps_data:
            config["options"]["data"] = kept.moved(options.data, partial.path)
        partial.begin(config, checkpoint.pieces(begun.state))
        keep_beside(partial, options, train_data, held_out)
        task = RBMTask(partial, begun, watching)  # what fails here leaves no run behind
    return task.going(reporter)


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Continue a run that stopped, was killed, or needs more epochs."""
    run = RunDirectory.open(path)
    run.check_replaceable()
    config = run.config()
    _refuse_layer(run, config)
    options = run_data.options_of(run)
    rate, others = slower(path, options.rate, said.repeated)
    refuse_contradictions(path, options, others)
    watch, where = said.surroundings(config)
    state = build.load_checkpoint(run, where)
    train_data, held_out = load(options, where, reporter, run_data.known_of(run))
    run_data.refuse_other_data(run, train_data, held_out)
    batches = build.make_batches(options, train_data)
    sharing.check_enough(batches.batch_size, options.chains)
    options = take_up(run, options, state, batches, said.further, rate, reporter)
    begun = Begun(options, batches, train_data, held_out, state)
    return RBMTask(run, begun, watch).going(reporter)


def model_of(run: RunDirectory, device: torch.device | str = "cpu") -> RBM:
    """The model of a run's newest checkpoint, or else the finished one.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it is damaged.
    """
    if run.checkpoints():
        return build.load_checkpoint(run, torch.device(device)).model
    return checkpoint.load_model(run.model_path, device=device)


@dataclass(frozen=True)
class Begun:
    """A training that can continue: its complete options, its data and its state."""

    options: TrainingOptions
    batches: Minibatches
    data: Data
    held_out: Data | None
    state: TrainingState

    @classmethod
    def of(cls, options: TrainingOptions, train_data: Data, held_out: Data | None) -> Begun:
        """The training before its first update, on the device of the data."""
        batches = build.make_batches(options, train_data)
        options = build.complete(options, batches)
        sharing.check_enough(batches.batch_size, options.chains)
        rbm = build.make_model(options, train_data, held_out).to(train_data.values.device)
        state = build.layer_options(options).begin(rbm, options.seed, len(batches))
        return cls(options, batches, train_data, held_out, state)

    @property
    def total(self) -> int:
        """Number of updates of the whole training."""
        assert self.options.epochs is not None
        return self.options.epochs * len(self.batches)

    @property
    def shown(self) -> Data:
        """The rows that pictures show: held-out rows if there are any."""
        return self.data if self.held_out is None else self.held_out

    def config(self, watching: WatchingOptions) -> dict[str, Any]:
        """Everything that defines the run."""
        data, held_out = self.data, self.held_out
        fingerprint, of_held_out = run_data.fingerprints(self.options, data, held_out)
        return {
            **surroundings(data.values.device, self.options, watching),
            "every": watching.every or training.default_every(self.batches, self.state, self.total),
            "data": {
                "n_train": len(data),
                "n_held_out": 0 if held_out is None else len(held_out),
                **described(data),
                "fingerprint": fingerprint,
                "held_out_fingerprint": of_held_out,
            },
        }


class RBMTask(Task):
    """The training of an RBM between two updates."""

    state: TrainingState

    def __init__(
        self,
        run: RunDirectory,
        begun: Begun,
        watching: WatchingOptions,
        whole: Whole | None = None,
    ) -> None:
        super().__init__(run, watching, begun.options, begun.batches, whole)
        self.begun, self.state = begun, begun.state
        batches, state = begun.batches, begun.state
        state.take_phases_(build.layer_options(begun.options).phases(len(batches)))
        every = self.every(older=training.default_every(batches))
        self.monitor = training.default_monitor(state, batches, begun.held_out, every, begun.total)
        if not watching.log_likelihood:
            self.monitor.following = None
        self.watch = training.Watch(self.monitor, every, batches, last=begun.total)
        image_shape = figures.picture_shape(state.rbm, begun.data.image_shape)
        self._history = None
        if self.watching.figures and image_shape is not None:
            shown = state.rbm, begun.shown, image_shape
            self._history = History(run, *shown, state.seed, every, begun.total)
            self._history.begin(state)

    def describe(self) -> Iterator[str]:
        """The model, its data and its chains."""
        state, data, held_out = self.state, self.begun.data, self.begun.held_out
        epochs = self.begun.options.epochs
        chains = (
            "chains start at the data" if state.chains is None else f"{len(state.chains)} chains"
        )
        yield (
            f"{self.whole or self.run.path}: {state.rbm!r} on {len(data):,} rows of {data.name}"
            + (f", {len(held_out):,} held out" if held_out is not None else "")
            + f"; {epochs} epochs, {chains}, {state.rbm.weights.device}{self.from_update}"
        )
        yield from noted(data)
        yield from columns.lines(described(data))
        yield from assumed(data, state.missing)

    def draw(self) -> None:
        """The pictures over the course of training."""
        if self._history is not None:
            self._history.look(self.state)

    def dumps(self) -> Content:
        """The content of a checkpoint."""
        return checkpoint.pieces(self.state)

    def finish(self, reporter: Reporter, seconds: float) -> Finished:
        """Save the model, draw it, and report how well it describes its rows."""
        run, state, data = self.run, self.state, self.begun.data
        self.save()
        checkpoint.save_model(state.model, run.model_path)
        pictures = []
        if self.watching.figures:
            of_run = (run, state.model, state.chains, self.begun.shown, state.seed, data)
            pictures = list(figures.draw_all(*of_run))
        rows = run.rows()
        if said := _summary(rows, seconds):
            reporter.say(said)
        gains = self.monitor.over_independent_columns(state.model, last_row(run))
        warnings = verdicts.of_rbm(quote(str(run.path)), rows, gains, state, data)
        verdicts.tell(reporter, run, warnings)
        return self.finished(reporter, seconds, last_row(run), pictures)


def found_from_anywhere(options: TrainingOptions) -> TrainingOptions:
    """The options with an absolute path, so that resuming works from any folder."""
    files: dict[str, Any] = {name: from_anywhere(getattr(options, name)) for name in FILES}
    if options.weights_file is not None:
        files["weights"] = from_anywhere(options.weights_file)
    if options.data not in datasets.names():
        files["data"] = from_anywhere(options.data)
    return dataclasses.replace(options, **files)


def keep_beside(
    run: RunDirectory, options: TrainingOptions, train_data: Data, held_out: Data | None
) -> None:
    """Keep what was found out about the rows: weights by similarity, and what was left out."""
    weighting.keep(options, run.path / weighting.NAME, train_data, held_out)
    if train_data.dropped:
        write_whole(run.path / DROPPED, as_table(train_data.dropped).encode())


def run_name(data: str) -> str:
    """The name of a run on these data."""
    if Path(data).suffix == KEPT_SUFFIX:
        return "run"
    first = unlisted(data)[0] if is_listed(data) else data
    name = re.sub(r"[*?\[\]]+", "", Path(first).name.lstrip(".").split(".")[0])
    return name.rstrip("-_") or "run"


def load(
    options: TrainingOptions, device: torch.device, reporter: Reporter, known: Known | None = None
) -> tuple[Data, Data | None]:
    """Training rows and held-out rows, on the device; encoded as in a run that has begun."""
    with reporter.downloads() as progress:
        train_data, held_out = run_data.load_data(options, progress, known)
        survey(progress, options, train_data, held_out)
    return train_data.to(device), None if held_out is None else held_out.to(device)


def load_new(
    options: TrainingOptions, device: torch.device, reporter: Reporter
) -> tuple[TrainingOptions, Data, Data | None]:
    """The same for a new run, and its options with the visible units chosen."""
    with reporter.downloads() as progress:
        options, train_data, held_out = run_data.load_new(options, progress)
        survey(progress, options, train_data, held_out)
    return options, train_data.to(device), None if held_out is None else held_out.to(device)


def survey(
    progress: datasets.Progress, options: TrainingOptions, train: Data, held_out: Data | None
) -> None:
    """Go through rows on disk with a progress bar: what is asked of them later is then known."""
    if mapped.is_mapped(train.values):
        with mapped.shown(progress):
            train.moments()
            run_data.fingerprints(options, train, held_out)


def surroundings(
    device: torch.device, options: Any, watching: WatchingOptions, kind: Kind = kinds.RBM
) -> dict[str, Any]:
    """When, with which versions, on which machine and with which options a run was started."""
    of_kind = {} if kind.mark is None else {"kind": kind.mark}
    return of_kind | {
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
        **sharing.starter(),
    }


def noted(data: Data) -> Iterator[str]:
    """One line about how a file was interpreted, and one about weights of rows."""
    if data.weights is not None:
        yield f"weights   {len(data):,} rows count as {data.effective_rows:,.1f} of equal weight"
    # what is missing of the rows of training has a line of its own, by `assumed`
    notes = [note for note in data.notes if data.mask is None or not holes.tells(note)]
    if notes:
        yield f"data      {'; '.join(notes)}"


def assumed(data: Data, missing: Missing) -> Iterator[str]:
    """One line about missing values: how many, in which columns most, and what is assumed."""
    if data.mask is None:
        return
    by_column = data.mask.missing_by_column
    most = by_column.argsort(descending=True, stable=True)[:_COLUMNS_TOLD].tolist()
    shares = ", ".join(
        f"{holes.named(n, data.columns)} {int(by_column[n]) / len(data):.1%}"
        for n in most
        if by_column[n]
    )
    share = data.mask.n_missing / data.values.numel()
    taken = {
        "random": "taken as missing at random, and drawn given the rest of the row",
        "observed": "left out: each row has a model of its observed columns",
    }
    yield (
        f"missing   {data.mask.n_missing:,} of {data.values.numel():,} values ({share:.2%}; most: "
        f"{shares}), in {data.mask.n_incomplete:,} of {len(data):,} rows, {taken[missing]}"
    )


def _refuse_layer(run: RunDirectory, config: Mapping[str, Any]) -> None:
    """Refuse to continue a layer whose earlier state the layers above have learned from."""
    if "layer" in config:
        network = quote(str(run.path.parent.parent))
        raise ValueError(
            f"{run.path} is a layer of a deep belief network; go on with all of it: harmonium "
            f"resume {network}"
        )


def refuse_contradictions(
    path: Path, options: TrainingOptions | RatingOptions, repeated: Mapping[str, Any]
) -> None:
    """Options that define the run may be repeated, but not changed."""
    for name, value in repeated.items():
        was = getattr(options, name, None)
        if value != was:
            said = f"`{name}={value!r}`"
            begun = "which was begun without" if was in (None, False) else ""
            raise ValueError(
                f"{said} contradicts the run {path}, {begun or f'whose `{name}` is {was}'}; "
                "leave it out, or start a new run with harmonium train"
            )


def _summary(rows: list[dict[str, float]], seconds: float) -> str:
    last = rows[-1] if rows else {}
    key = next((key for key in LABELS if key in last), None)
    if key is None:
        return ""
    unit = " nats" if "likelihood" in key else ""
    error = last.get(f"{key}_std_error")
    value = f"{last[key]:.2f}" + (f" ± {error:.2f}" if error else "")
    doubt = "" if is_trusted(last, key) else ", not to be trusted"
    return (
        f"{LABELS[key]} {value}{unit} on training rows{doubt}{_held_out(rows, key)}; "
        f"trained for {seconds:.0f} s"
    )


def _held_out(rows: list[dict[str, float]], key: str) -> str:
    """The value on held-out rows, and its gap to training rows and to its best value."""
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
