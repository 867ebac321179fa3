"""Training of a topic model on counts of words, as a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from harmonium import defaults
from harmonium.datasets import Minibatches
from harmonium.gradient import Penalties
from harmonium.run_directory import RunDirectory, kinds
from harmonium.runs import build, counts, kept, rbm_task, run_data, sharing
from harmonium.runs.events import check as check_events
from harmonium.runs.following import Finished, Going, Place, Task
from harmonium.runs.options import TrainingOptions
from harmonium.runs.reporting import Reporter, last_row
from harmonium.runs.resuming import Said, slower, take_up
from harmonium.runs.topic_tables import keep_topics
from harmonium.runs.watching_options import WatchingOptions
from harmonium.topics import (
    Documents,
    ReplicatedSoftmax,
    TopicState,
    TopicWatch,
    default_every,
    dumps_topics,
    load_topic_model,
    load_topics,
    save_topic_model,
)


def begin(
    options: TrainingOptions, watching: WatchingOptions, place: Place, reporter: Reporter
) -> Going:
    """Start a run: check everything that can fail, and create its directory."""
    sharing.refuse("the training of a topic model")
    run = place.directory(f"runs/{rbm_task.run_name(options.data)}")
    check_events(watching.tensorboard)
    counts.refuse_options(options)
    where = build.choose_device(place.device)
    options = rbm_task.found_from_anywhere(options)
    train, held_out = _moved(counts.load(options), where)
    batches = _batches(options, train)
    options = _complete(options, batches)
    state = _begin(options, train, batches)
    config: dict[str, Any] = {
        **rbm_task.surroundings(where, options, watching, kinds.TOPICS),
        "every": watching.every or default_every(_total(options, batches)),
        "data": {
            "n_train": len(train),
            "n_held_out": 0 if held_out is None else len(held_out),
            "n_columns": train.n_columns,
            "n_words": train.n_words,
            "columns": train.vocabulary,
            "image_shape": None,
            "encoding": {"kind": "Counts"},
            **_fingerprints(train, held_out),
        },
    }
    with run.made_whole(place.overwrite) as new:
        if place.keeps_data:
            config["options"]["data"] = kept.moved(options.data, new.path)
        new.begin(config, dumps_topics(state))
        task = TopicTask(new, options, state, batches, held_out, watching)
    return task.going(reporter)


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Continue a run that stopped, was killed, or needs more epochs."""
    sharing.refuse("the training of a topic model")
    run = RunDirectory.open_any(path)
    run.check_replaceable()
    config = run.config()
    options = run_data.options_of(run)
    rate, others = slower(path, options.rate, said.repeated)
    rbm_task.refuse_contradictions(path, options, others)
    watch, where = said.surroundings(config)
    train, held_out = _moved(counts.load(options), where)
    own = {name: config["data"][name] for name in ("fingerprint", "held_out_fingerprint")}
    if _fingerprints(train, held_out) != own:
        raise ValueError(
            f"the data {config['options']['data']} have changed since {path} was begun; restore "
            "the old data, or start a new run"
        )
    batches = _batches(options, train)
    state = load_topics(run.latest_checkpoint(), device=where)
    options = take_up(run, options, state, batches, said.further, rate, reporter)
    state.phases = _phases(options, batches)
    return TopicTask(run, options, state, batches, held_out, watch).going(reporter)


def model_of(run: RunDirectory, device: torch.device | str = "cpu") -> ReplicatedSoftmax:
    """The model of a run, finished or not; raises as for an RBM."""
    if run.checkpoints():
        return load_topics(run.latest_checkpoint(), device=device).model
    return load_topic_model(run.model_path, device=device)


class TopicTask(Task):
    """The training of a topic model between two updates."""

    state: TopicState
    options: TrainingOptions

    def __init__(
        self,
        run: RunDirectory,
        options: TrainingOptions,
        state: TopicState,
        batches: Minibatches,
        held_out: Documents | None,
        watching: WatchingOptions,
    ) -> None:
        super().__init__(run, watching, options, batches)
        self.state, self.held_out = state, held_out
        self.train = batches.data
        every = self.every(older=len(batches))
        self.watch = TopicWatch(every, batches, self.total, held_out, state.seed)

    def describe(self) -> Iterator[str]:
        """The model and its documents."""
        state, train, held_out = self.state, self.train, self.held_out
        assert isinstance(train, Documents)
        held = "" if held_out is None else f", {len(held_out):,} held out"
        yield (
            f"{self.run.path}: {state.softmax!r} on {len(train):,} documents of {train.name} with "
            f"{train.n_words:,} words{held}; {self.options.epochs} epochs, "
            f"{train.device}{self.from_update}"
        )
        if train.notes:
            yield f"data      {'; '.join(train.notes)}"

    def dumps(self) -> bytes:
        """The content of a checkpoint."""
        return dumps_topics(self.state)

    def finish(self, reporter: Reporter, seconds: float) -> Finished:
        """Save the model and its topics, and say how well it completes documents."""
        run, state, train = self.run, self.state, self.train
        assert isinstance(train, Documents)
        self.save()
        save_topic_model(state.model, run.model_path)
        keep_topics(run, state.model, train, counts.words_of(run))
        last = last_row(run)
        said = [
            f"{last[key]:,.1f} on {rows} documents"
            for key, rows in (
                ("completion_perplexity", "training"),
                ("held_out_completion_perplexity", "held-out"),
            )
            if key in last
        ]
        if said:
            reporter.say(f"completion perplexity {', '.join(said)}; trained for {seconds:.0f} s")
        return self.finished(reporter, seconds, last)


def _moved(
    parts: tuple[Documents, Documents | None], device: torch.device
) -> tuple[Documents, Documents | None]:
    train, held_out = parts
    return train.to(device), None if held_out is None else held_out.to(device)


def _batches(options: TrainingOptions, train: Documents) -> Minibatches:
    size = options.batch_size or min(defaults.BATCH_SIZE, len(train))
    return build.in_batches(train, size, f"{train.name} has {len(train)} training documents")


def _complete(options: TrainingOptions, batches: Minibatches) -> TrainingOptions:
    """The options, with defaults filled in that depend on other options or on the data."""
    falls = options.schedule == "linear" and options.optimizer == "sgd"
    rate = defaults.TOPIC_FALLING_RATE if falls else defaults.LEARNING_RATE
    if options.optimizer not in ("sgd", "adagrad"):
        rate = defaults.TOPIC_ADAPTIVE_RATE
    sweeps = options.sweeps or defaults.TOPIC_SWEEPS
    epochs = min(max(1, round(defaults.TOPIC_UPDATES / len(batches))), defaults.MOST_EPOCHS)
    return dataclasses.replace(
        options,
        batch_size=batches.batch_size,
        learning_rate=rate if options.learning_rate is None else options.learning_rate,
        sweeps=sweeps,
        final_sweeps=options.final_sweeps or sweeps,
        epochs=options.epochs or epochs,
    )


def _begin(options: TrainingOptions, train: Documents, batches: Minibatches) -> TopicState:
    model = ReplicatedSoftmax(train.n_columns, options.hidden).to(train.device)
    model.init_from_documents_(train, options.seed, options.weight_std)
    optimizer = None
    if options.optimizer != "sgd":
        optimizer = build.OPTIMIZERS[options.optimizer](model.parameters(), lr=options.rate)
    return TopicState.create(
        model,
        train,
        phases=dict(_phases(options, batches)),
        learning_rate=options.rate,
        momentum=options.momentum,
        optimizer=optimizer,
        schedule=build.schedule_of(options, _total(options, batches)),
        penalties=Penalties(l1=options.l1, l2=options.l2),
        average_decay=options.average or None,
        seed=options.seed,
    )


def _phases(options: TrainingOptions, batches: Minibatches) -> tuple[tuple[int, int], ...]:
    """Sweeps by the update from which on they are made."""
    assert options.sweeps is not None and options.final_sweeps is not None
    last = round((1 - defaults.FINAL_SHARE) * _total(options, batches))
    return tuple({0: options.sweeps, last: options.final_sweeps}.items())


def _total(options: TrainingOptions, batches: Minibatches) -> int:
    assert options.epochs is not None
    return options.epochs * len(batches)


def _fingerprints(train: Documents, held_out: Documents | None) -> dict[str, str | None]:
    return {
        "fingerprint": train.fingerprint(),
        "held_out_fingerprint": None if held_out is None else held_out.fingerprint(),
    }
