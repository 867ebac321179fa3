"""Fine-tuning of a classifier, a regressor or an autoencoder, from a stack or random weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from harmonium import defaults
from harmonium.datasets import Minibatches, refuse_missing
from harmonium.deep import (
    Autoencoder,
    Classifier,
    Dropout,
    FinetuningState,
    Network,
    Patience,
    Regressor,
    dumps_finetuning,
    finetuning,
    load_finetuning,
    load_network,
    save_network,
)
from harmonium.files import write_whole
from harmonium.rbm import RBM
from harmonium.run_directory import RunDirectory, kinds
from harmonium.runs import build, kept, sharing, verdicts
from harmonium.runs.encoding import described
from harmonium.runs.events import check as check_events
from harmonium.runs.following import Finished, Going, Place, Task
from harmonium.runs.pictures import tuned_figures
from harmonium.runs.rbm_task import noted, run_name, surroundings
from harmonium.runs.reporting import Reporter, describe_scores
from harmonium.runs.resuming import Said, slower, take_up
from harmonium.runs.sources import Rows, Source
from harmonium.runs.tuning_options import FinetuningOptions
from harmonium.runs.watching_options import WatchingOptions

# For short runs: the number of rows of numbers, how many held-out rows may be evaluated for each at
# any cost, and the fraction of the time allowed beyond them.
_FEWEST_ROWS = 30
_CHEAP_ROWS = 1_000
_JUDGING_SHARE = 0.1


def begin(
    name: str,
    options: FinetuningOptions,
    watching: WatchingOptions,
    place: Place,
    reporter: Reporter,
) -> Going:
    """Start to fine-tune the stack of a run, or a network with random weights on data."""
    sharing.refuse("fine-tuning")
    source = Source.of(name, options)
    beside = f"runs/{run_name(name)}-{options.kind}"
    if source.stack is not None:
        beside = str(source.stack.run.path / options.kind)
    run = place.directory(beside)
    check_events(watching.tensorboard)
    where = build.choose_device(place.device)
    source, rows = source.load(options, where, reporter)
    for data in (rows.train, rows.held_out):
        refuse_missing(data, "a network")
    batches = rows.minibatches(options)
    options = _complete(options, batches)
    rbms, pretrained = source.rbms(options, rows.train)
    state = _begin(options, rbms, rows, batches)
    config: dict[str, Any] = {
        **surroundings(where, options, watching, kinds.FINETUNING),
        **source.config(),
        "pretrained": pretrained,
        "every": watching.every or _default_every(options, batches, rows),
        "data": {
            "n_train": len(rows.train),
            "n_held_out": 0 if rows.held_out is None else len(rows.held_out),
            "n_test": 0 if rows.test is None else len(rows.test),
            **described(rows.train),
            "fingerprint": rows.fingerprint(),
        },
    }
    with run.made_whole(place.overwrite) as new:
        if place.keeps_data:
            of_data = [config["bottom"], *config["layers"][:1]]
            here = kept.moved(source.bottom.data, new.path)
            for each in of_data:
                each["data"] = here
        new.begin(config, dumps_finetuning(state))
        task = NetworkTask(new, options, state, batches, rows, watching)
    return task.going(reporter)


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Continue a fine-tuning run that stopped, was killed, or needs more epochs."""
    sharing.refuse("fine-tuning")
    run = RunDirectory.open_any(path)
    run.check_replaceable()
    config = run.config()
    options = FinetuningOptions(**config["options"])
    rate, others = slower(path, options.rate, said.repeated)
    if others:
        raise ValueError(
            f"{path} is a fine-tuning, whose options are others than those of an RBM; leave "
            f"`{next(iter(others))}` out"
        )
    watch, where = said.surroundings(config)
    source, rows = Source.from_config(path, config).load(options, where, reporter)
    if rows.fingerprint() != config["data"]["fingerprint"]:
        raise ValueError(
            f"the data {source.bottom.data}, their labels or their targets have changed since "
            f"{path} was begun; restore the old ones, or fine-tune again"
        )
    batches = rows.minibatches(options)
    state = load_finetuning(run.latest_checkpoint(), device=where)
    options = take_up(run, options, state, batches, said.further, rate, reporter)
    return NetworkTask(run, options, state, batches, rows, watch).going(reporter)


def model_of(run: RunDirectory, device: torch.device | str = "cpu") -> Network:
    """The best network of a run, finished or not; raises as for an RBM."""
    if run.checkpoints():
        return load_finetuning(run.latest_checkpoint(), device=device).model
    return load_network(run.network_path, device=device)


class NetworkTask(Task):
    """A fine-tuning run between two updates."""

    state: FinetuningState
    options: FinetuningOptions

    def __init__(
        self,
        run: RunDirectory,
        options: FinetuningOptions,
        state: FinetuningState,
        batches: Minibatches,
        rows: Rows,
        watching: WatchingOptions,
    ) -> None:
        super().__init__(run, watching, options, batches)
        self.state, self.rows = state, rows
        every = self.every(older=_whole_epochs(options) * len(batches))
        self.watch = state.watch(batches, self.total, every, rows.held_out)

    def describe(self) -> Iterator[str]:
        """The network, its rows, and its starting point."""
        options, state, rows, config = self.options, self.state, self.rows, self.run.config()
        widths = [layer.weights.shape[0] for layer in state.network.all_layers]
        sizes = "-".join(str(width) for width in (*widths, state.network.last.units.n_columns))
        start = f"the weights of {config['network']}" if config["pretrained"] else "random weights"
        if config["network"] and not config["pretrained"] and not options.from_scratch:
            start += f", because {config['network']} has not been pretrained to its end"
        held = "" if rows.held_out is None else f", {len(rows.held_out):,} held out"
        yield (
            f"{self.run.path}: a{'n' if options.kind == 'autoencoder' else ''} {options.kind} "
            f"{sizes} on {len(rows.train):,} rows of {rows.train.name}{held}; {options.epochs} "
            f"epochs, {state.network.device}{self.from_update}. It starts from {start}"
        )
        yield from noted(rows.train)

    def dumps(self) -> bytes:
        """The content of a checkpoint."""
        return dumps_finetuning(self.state)

    def finish(self, reporter: Reporter, seconds: float) -> Finished:
        """Save the best network, evaluate it on test rows if there are any, and draw it."""
        run, state, model = self.run, self.state, self.state.model
        self.save()
        save_network(model, run.network_path)
        name, data = self.rows.judging
        scores = finetuning.evaluate(model, data)
        evaluation: dict[str, Any] = {"rows": name, "n_rows": len(data), **scores}
        chosen = ""
        if state.best is not None:
            evaluation["update"] = state.best.update
            evaluation[f"held_out_{model.criterion}"] = state.best.score
            chosen = f"; the network of update {state.best.update:,}, the best by held-out rows"
        text = json.dumps(evaluation, indent=2, allow_nan=False) + "\n"
        write_whole(run.path / "evaluation.json", text.encode())
        described = describe_scores(scores, len(data), name)
        reporter.say(f"{described}{chosen}; trained for {seconds:.0f} s")
        verdicts.tell(reporter, run, verdicts.of_network(state, scores, self.rows.train, data))
        pictures = []
        if self.watching.figures:
            pictures = list(tuned_figures.draw(run, model, data))
        return self.finished(reporter, seconds, evaluation, pictures)


def _complete(options: FinetuningOptions, batches: Minibatches) -> FinetuningOptions:
    """The options, with defaults filled in that depend on the data."""
    epochs = max(1, round(defaults.FINETUNING_UPDATES / len(batches)))
    return dataclasses.replace(
        options,
        batch_size=batches.batch_size,
        epochs=options.epochs or min(epochs, defaults.FINETUNING_MOST_EPOCHS),
    )


def _begin(
    options: FinetuningOptions, rbms: list[RBM], rows: Rows, batches: Minibatches
) -> FinetuningState:
    network: Network
    match options.kind:
        case "classifier":
            network = Classifier.for_data(rbms, rows.train)
        case "regressor":
            network = Regressor.for_data(rbms, rows.train)
        case "autoencoder":
            network = Autoencoder(rbms)
    network.to(rows.train.values.device)
    for data in (rows.train, rows.held_out, rows.test):
        if data is not None:
            network.check(data)
            network.targets(data)
    if options.patience is not None and rows.held_out is None:
        raise ValueError("`patience` looks at held-out rows, and none are held out; leave it out")
    assert options.epochs is not None
    adam = None
    if options.optimizer == "adam":
        groups = finetuning.parameter_groups(network, options.weight_decay)
        # without decay it is Adam
        adam = torch.optim.AdamW(groups, lr=options.rate, fused=True)
    return FinetuningState.create(
        network,
        learning_rate=options.rate,
        momentum=options.momentum,
        weight_decay=0.0 if adam else options.weight_decay,
        optimizer=adam,
        schedule=build.schedule_of(options, options.epochs * len(batches)),
        dropout=Dropout(options.dropout_inputs, options.dropout_hidden),
        max_norm=options.max_norm,
        head_updates=options.head_epochs * len(batches),
        patience=_patience(options, rows, batches),
        seed=options.seed,
    )


def _patience(options: FinetuningOptions, rows: Rows, batches: Minibatches) -> Patience | None:
    if options.patience == "classic":
        return Patience.classic()
    epochs = options.epochs_of_patience
    if epochs is None and options.schedule == "constant" and rows.held_out is not None:
        epochs = defaults.PATIENCE
    return None if epochs is None else Patience.of_epochs(epochs, batches)


def _default_every(options: FinetuningOptions, batches: Minibatches, rows: Rows) -> int:
    """Updates between two rows of numbers: whole epochs, if there are enough of them.

    Otherwise a fraction of an epoch, such that evaluating held-out rows takes a few per cent of it.
    """
    assert options.epochs is not None
    n_batches, n_held_out = len(batches), 0 if rows.held_out is None else len(rows.held_out)
    every = max(1, options.epochs * n_batches // _FEWEST_ROWS)
    if n_held_out > _CHEAP_ROWS:
        # the gradient of a training row costs three times as much as its outputs
        every = max(every, int(n_held_out / (3 * _JUDGING_SHARE * batches.batch_size)))
    if options.epochs < _FEWEST_ROWS and every <= n_batches // 2:
        return every
    return _whole_epochs(options) * n_batches


def _whole_epochs(options: FinetuningOptions) -> int:
    assert options.epochs is not None
    return max(1, options.epochs // defaults.FINETUNING_ROWS)
