"""Training on ratings, as a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from harmonium import ratings
from harmonium.arguments import described
from harmonium.datasets import Minibatches
from harmonium.datasets.reading import columns_of
from harmonium.ratings import RatedRows, RatingRBM, Ratings, RatingState
from harmonium.ratings.amounts import default_batch_size, default_epochs
from harmonium.run_directory import RunDirectory, kinds
from harmonium.runs import build, sharing, verdicts
from harmonium.runs.events import check as check_events
from harmonium.runs.following import Finished, Going, Place, Task
from harmonium.runs.rating_options import RatingOptions
from harmonium.runs.rbm_task import refuse_contradictions, run_name, surroundings
from harmonium.runs.reporting import Reporter, last_row
from harmonium.runs.resuming import Said, slower, take_up
from harmonium.runs.rows import from_anywhere
from harmonium.runs.watching_options import WatchingOptions
from harmonium.serialization import digest
from harmonium.training import Patience

KEPT = "ratings.safetensors"
"""The file in the run that holds its ratings: predictions are made from them."""


def begin(
    options: RatingOptions, watching: WatchingOptions, place: Place, reporter: Reporter
) -> Going:
    """Start a run: check everything that can fail, and create its directory.

    Ratings or a table in memory, `Place.source`, take the place of the file in the options.
    """
    sharing.refuse("a training on ratings")
    source = place.source
    run = place.directory(f"runs/{run_name(options.data) if source is None else 'run'}")
    check_events(watching.tensorboard)
    where = build.choose_device(place.device)
    if where.type != "cpu":
        raise ValueError(f"`device` is {place.device}; ratings are learned from on the cpu")
    known, pairs = _read(options, source)
    if source is None:
        options = dataclasses.replace(options, data=f"{from_anywhere(options.data)}")
    else:
        options = dataclasses.replace(options, data=known.name)
    options = dataclasses.replace(options, pairs=from_anywhere(options.pairs))
    train, held_out = known.split(options.held_out, options.seed)
    rows = RatedRows(train, options.orientation, pairs)
    batches, options = _batches(options, rows)
    state = _state(options, rows, len(batches))
    every = watching.every or _default_every(options, len(batches))
    config: dict[str, Any] = {
        **surroundings(where, options, watching, kinds.RATINGS),
        "every": every,
        "data": {
            "n_train": len(rows),
            "n_columns": rows.n_columns,
            "n_users": len(train.users),
            "n_items": len(train.items),
            "n_ratings": len(train),
            "n_held_out": 0 if held_out is None else len(held_out),
            "n_pairs": 0 if pairs is None else len(pairs),
            "encoding": {"kind": "Ratings", "scale": list(train.scale)},
            "fingerprint": digest(
                {"user": known.user, "item": known.item, "level": known.level}, ""
            ),
        },
    }
    with run.made_whole(place.overwrite) as new:
        new.begin(config, ratings.dumps(state))
        ratings.save_ratings(new.path / KEPT, train=train, held_out=held_out, pairs=pairs)
        task = RatingTask(new, options, state, rows, held_out, watching)
    return task.going(reporter)


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Continue a run that stopped, was killed, or needs more epochs."""
    sharing.refuse("a training on ratings")
    run = RunDirectory.open_any(path)
    run.check_replaceable()
    config = run.config()
    options = RatingOptions(**config["options"])
    rate, others = slower(path, options.rate, said.repeated)
    refuse_contradictions(path, options, others)
    watch, _ = said.surroundings(config)
    parts = ratings.load_ratings(run.path / KEPT)
    rows = RatedRows(parts["train"], options.orientation, parts.get("pairs"))
    state = ratings.load(run.latest_checkpoint())
    batches, _ = _batches(options, rows)
    options = take_up(run, options, state, batches, said.further, rate, reporter)
    task = RatingTask(run, options, state, rows, parts.get("held_out"), watch)
    return task.going(reporter)


def model_of(run: RunDirectory, device: torch.device | str = "cpu") -> RatingRBM:
    """The model of a run, finished or not; raises as for an RBM."""
    if run.checkpoints():
        return ratings.load(run.latest_checkpoint()).model.to(device)
    return ratings.load_model(run.model_path).to(device)


class RatingTask(Task):
    """A training on ratings between two updates."""

    state: RatingState
    options: RatingOptions

    def __init__(
        self,
        run: RunDirectory,
        options: RatingOptions,
        state: RatingState,
        rows: RatedRows,
        held_out: Ratings | None,
        watching: WatchingOptions,
    ) -> None:
        batches, _ = _batches(options, rows)
        super().__init__(run, watching, options, batches)
        self.state, self.rows, self.held_out = state, rows, held_out
        state.take_phases_(_phases(options, self.total))
        every = self.every(older=len(batches))
        self.watch = state.watch(batches, self.total, every, held_out)

    def describe(self) -> Iterator[str]:
        """The model, its ratings, and how much of the table they fill."""
        train, options, state = self.rows.ratings, self.options, self.state
        n_users, n_items = len(train.users), len(train.items)
        held = "" if self.held_out is None else f", {len(self.held_out):,} held out"
        yield (
            f"{self.run.path}: {state.rbm!r} on {len(train):,} ratings of {n_items:,} items by "
            f"{n_users:,} users ({len(train) / (n_users * n_items):.2%} of all pairs){held}; a row "
            f"is {'an' if options.orientation == 'item' else 'a'} {options.orientation}; "
            f"{options.epochs} epochs{self.from_update}"
        )
        yield (
            "missing   what was not rated is no part of a row: its hidden units see only what was "
            "rated" + (", and which" if options.conditional else "")
        )

    def dumps(self) -> bytes:
        """The content of a checkpoint."""
        return ratings.dumps(self.state)

    def finish(self, reporter: Reporter, seconds: float) -> Finished:
        """Save the model, and report how well it predicts."""
        run, state = self.run, self.state
        self.save()
        ratings.save_model(state.model, run.model_path)
        last = last_row(run)
        if last:
            held = last.get("held_out_rmse")
            told = f"RMSE {last['rmse']:.3f} of training ratings, each from the others of its row"
            if held is not None:
                told += f", {held:.3f} of held-out ratings"
            best = state.best
            if best is not None and best.update < state.update:
                told += f"; the model of update {best.update:,}, the best by held-out ratings"
            reporter.say(f"{told}; trained for {seconds:.0f} s")
        verdicts.tell(reporter, run, [])
        return self.finished(reporter, seconds, last)


def _read(options: RatingOptions, source: Any) -> tuple[Ratings, Ratings | None]:
    """The ratings, and further pairs of users and items that are in them."""
    if isinstance(source, Ratings):
        known = source
    else:
        columns = columns_of(options.ratings)
        known = ratings.read(
            options.data if source is None else source,
            columns,
            scale=options.levels,
            header=options.header,
        )
    if options.pairs is None:
        return known, None
    if options.ratings is None:
        raise ValueError(
            f"`pairs` is {described(options.pairs)}, a file like that of the ratings, and these "
            "are in memory; leave it out, or pass the columns of both in `ratings`"
        )
    columns = columns_of(options.ratings)
    others = ratings.read(options.pairs, columns, known=known, header=options.header)
    there = (others.user < len(known.users)) & (others.item < len(known.items))
    others = others.take(there.nonzero()[:, 0])
    return known, dataclasses.replace(others, users=known.users, items=known.items)


def _batches(options: RatingOptions, rows: RatedRows) -> tuple[Minibatches, RatingOptions]:
    """Mini-batches, and the options with defaults filled in that depend on the rows."""
    batch_size = options.batch_size or default_batch_size(len(rows))
    batches = build.in_batches(rows, batch_size, f"there are {len(rows)} rows with ratings")
    epochs = options.epochs or default_epochs(len(batches))
    return batches, dataclasses.replace(options, batch_size=batch_size, epochs=epochs)


def _state(options: RatingOptions, rows: RatedRows, n_batches: int) -> RatingState:
    assert options.epochs is not None
    rbm = RatingRBM(
        rows.ratings.scale,
        rows.n_columns,
        options.hidden,
        level_weights=options.level_weights,
        conditional=options.conditional,
        rank=options.rank,
    ).init_from_data_(rows.rated, options.seed, options.weight_std)
    n_updates = options.epochs * n_batches
    patience = None
    if options.patience is not None:
        patience = Patience(after_best=options.patience * n_batches)
    return RatingState.create(
        rbm,
        learning_rate=options.learning_rate,
        l2=options.l2,
        schedule=build.schedule_of(options, n_updates),
        sweeps=options.sweeps,
        patience=patience,
        seed=options.seed,
    )


def _phases(options: RatingOptions, n_updates: int) -> dict[int, int]:
    return ratings.growing(options.sweeps, options.final_sweeps or options.sweeps, n_updates)


def _default_every(options: RatingOptions, n_batches: int) -> int:
    """Updates between two rows of numbers: whole epochs, about thirty rows a run."""
    assert options.epochs is not None
    return max(1, options.epochs // 30) * n_batches
