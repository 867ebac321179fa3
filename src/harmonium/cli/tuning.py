"""``harmonium dbn finetune``: a network made of a stack, from its first update to its summary."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from harmonium import defaults, training
from harmonium.cli import reporting, verdicts
from harmonium.cli.keeping import open_keeper
from harmonium.cli.progress import Reporter, choose_reporter, tell_of_compiling
from harmonium.cli.resuming import Further, as_it_began, slower, take_up, tell_rate
from harmonium.cli.training import run_name, say_notes, surroundings
from harmonium.cli.tuning_source import Rows, Source
from harmonium.datasets import Minibatches
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
    save_finetuning,
    save_network,
)
from harmonium.files import write_whole
from harmonium.rbm import RBM
from harmonium.run_directory import FINETUNING_KIND, RunDirectory, free_path
from harmonium.runs import build, events
from harmonium.runs.encoding import described
from harmonium.runs.options import FinetuningOptions, WatchingOptions, flag
from harmonium.runs.pictures import tuned_figures

# Of a short training: rows of numbers that it has, held-out rows that may be looked at for each
# whatever that costs, and beyond them the share of the time.
_FEWEST_ROWS = 30
_CHEAP_ROWS = 1_000
_JUDGING_SHARE = 0.1


def finetune(
    name: str,
    options: FinetuningOptions,
    watching: WatchingOptions,
    out: Path | None,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> int:
    """Begin to fine-tune; returns the exit code."""
    source = Source.of(name, options)
    if source.stack is None:
        beside = Path("runs") / f"{run_name(name)}-{options.kind}"
    else:
        beside = source.stack.run.path / options.kind
    run = RunDirectory(out or free_path(beside))
    run.check_free(overwrite)
    events.check(watching.tensorboard)
    where = build.choose_device(device)
    tell_of_compiling()
    source, rows = source.load(options, where)
    batches = rows.minibatches(options)
    options = _complete(options, batches)
    rbms, pretrained = source.rbms(options, rows.train)
    state = _begin(options, rbms, rows, batches)
    config = {
        "kind": FINETUNING_KIND,
        **surroundings(where),
        **source.config(),
        "pretrained": pretrained,
        "options": dataclasses.asdict(options),
        "watching": dataclasses.asdict(watching),
        "every": watching.every or _default_every(options, batches, rows),
        "data": {
            "n_train": len(rows.train),
            "n_held_out": 0 if rows.held_out is None else len(rows.held_out),
            "n_test": 0 if rows.test is None else len(rows.test),
            **described(rows.train),
            "fingerprint": rows.fingerprint(),
        },
    }
    run.create(config, dumps_finetuning(state), overwrite)
    return _go_on(run, options, state, batches, rows, watching, as_json)


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
    """Go on with a fine-tuning that stopped, was killed, or should see more epochs."""
    run = RunDirectory.open_any(path)
    run.check_replaceable()
    config = run.config()
    options = FinetuningOptions(**config["options"])
    was = options.rate
    rate, others = slower(path, was, repeated)
    if others:
        raise ValueError(
            f"{path} is a fine-tuning, whose options are others than those of an RBM; leave "
            f"{flag(next(iter(others)))} out"
        )
    watch, where = as_it_began(config, watching, device, threads)
    source = Source.from_config(config)
    source, rows = source.load(options, where)
    if rows.fingerprint() != config["data"]["fingerprint"]:
        raise ValueError(
            f"the data {source.bottom.data}, their labels or their targets have changed "
            f"since {path} was begun; bring the old ones back, or fine-tune anew"
        )
    batches = rows.minibatches(options)
    state = load_finetuning(run.latest_checkpoint(), device=where)
    options = take_up(run, options, state, batches, further, rate)
    tell_rate(choose_reporter(as_json), rate, was, state.update)
    return _go_on(run, options, state, batches, rows, watch, as_json)


def _complete(options: FinetuningOptions, batches: Minibatches) -> FinetuningOptions:
    """The options with a value for each whose default depends on the data."""
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
        raise ValueError("--patience looks at held-out rows, and none are held out; leave it out")
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
        schedule=partial(training.linear_to_zero, n_updates=_total(options, batches))
        if options.schedule == "linear"
        else None,
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


def _go_on(
    run: RunDirectory,
    options: FinetuningOptions,
    state: FinetuningState,
    batches: Minibatches,
    rows: Rows,
    watching: WatchingOptions,
    as_json: bool,
) -> int:
    """Train to the end, or until patience runs out or somebody stops it; the exit code."""
    total = _total(options, batches)
    # runs that do not say it were begun when none was looked at within an epoch
    every = watching.every or run.config().get("every") or _whole_epochs(options) * len(batches)
    began = time.monotonic()
    with open_keeper(run, state.update, total, watching, as_json) as keeper:
        _introduce(keeper.reporter, run, options, state, rows)
        watch = finetuning.Watch(state, batches, rows.held_out, every, total)
        code = keeper.follow(
            finetuning.updates(state, batches, total // len(batches)),
            look=lambda: watch(state),
            save=lambda: _save(run, state),
        )
    if code:
        return code
    seconds = time.monotonic() - began
    _save(run, state)
    save_network(state.model, run.network_path)
    _summarise(choose_reporter(as_json), run, state, rows, watching.figures, seconds)
    return 0


def _default_every(options: FinetuningOptions, batches: Minibatches, rows: Rows) -> int:
    """Updates from one row of numbers to the next: whole epochs, where there are enough of them.

    Else a share of an epoch, of which a look at the held-out rows may take a few per cent.
    """
    assert options.epochs is not None
    n_batches, n_held_out = len(batches), 0 if rows.held_out is None else len(rows.held_out)
    every = max(1, options.epochs * n_batches // _FEWEST_ROWS)
    if n_held_out > _CHEAP_ROWS:
        # of a row that is learned from, the gradient takes three times what its outputs do
        every = max(every, int(n_held_out / (3 * _JUDGING_SHARE * batches.batch_size)))
    if options.epochs < _FEWEST_ROWS and every <= n_batches // 2:
        return every
    return _whole_epochs(options) * n_batches


def _whole_epochs(options: FinetuningOptions) -> int:
    assert options.epochs is not None
    return max(1, options.epochs // defaults.FINETUNING_ROWS)


def _total(options: FinetuningOptions, batches: Minibatches) -> int:
    """Updates in all, if patience does not end it sooner."""
    assert options.epochs is not None
    return options.epochs * len(batches)


def _save(run: RunDirectory, state: FinetuningState) -> None:
    save_finetuning(state, run.checkpoint_path(state.update))
    run.prune_checkpoints()


def _introduce(
    reporter: Reporter,
    run: RunDirectory,
    options: FinetuningOptions,
    state: FinetuningState,
    rows: Rows,
) -> None:
    widths = [layer.weights.shape[0] for layer in state.network.all_layers]
    sizes = "-".join(str(width) for width in (*widths, state.network.last.units.n_columns))
    config = run.config()
    start = f"the weights of {config['network']}" if config["pretrained"] else "random weights"
    if config["network"] and not config["pretrained"] and not options.from_scratch:
        start += f", because {config['network']} has not been pretrained to its end"
    began = f", from update {state.update:,}" if state.update else ""
    held = "" if rows.held_out is None else f", {len(rows.held_out):,} held out"
    reporter.say(
        f"{run.path}: a{'n' if options.kind == 'autoencoder' else ''} {options.kind} {sizes} on "
        f"{len(rows.train):,} rows of {rows.train.name}{held}; {options.epochs} epochs, "
        f"{state.network.device}{began}. It starts from {start}"
    )
    say_notes(reporter, rows.train)


def _summarise(
    reporter: Reporter,
    run: RunDirectory,
    state: FinetuningState,
    rows: Rows,
    with_figures: bool,
    seconds: float,
) -> None:
    model = state.model
    name, data = rows.judging
    scores = finetuning.evaluate(model, data)
    evaluation = {"rows": name, "n_rows": len(data), **scores}
    if state.best is not None:
        evaluation["update"] = state.best.update
        evaluation[f"held_out_{model.criterion}"] = state.best.score
    text = json.dumps(evaluation, indent=2, allow_nan=False) + "\n"
    write_whole(run.path / "evaluation.json", text.encode())
    chosen = ""
    if state.best is not None:
        chosen = f"; the network of update {state.best.update:,}, the best by held-out rows"
    reporter.say(f"{describe(scores, len(data), name)}{chosen}; trained for {seconds:.0f} s")
    verdicts.tell(reporter, run, verdicts.of_network(state, scores, rows.train, data))
    reporter.say(f"network   {run.network_path}")
    if with_figures:
        pictures = list(tuned_figures.draw(run, model, data))
        reporter.say(f"pictures  {run.figures} ({', '.join(path.stem for path in pictures)})")
    reporter.say(f"page      {reporting.write(run)}")
    command = "encode" if isinstance(model, Autoencoder) else "predict"
    reporter.say(f"next      harmonium dbn {command} {quote(str(run.path))} DATA")
    reporter.finish(
        {"run": str(run.path), "update": state.update, "seconds": seconds, **evaluation}
    )


def describe(scores: Mapping[str, float], n_rows: int, name: str) -> str:
    """What a network's scores on rows of this name say, for a person."""
    if "error" in scores:
        wrong = round(scores["error"] * n_rows)
        return f"{wrong:,} of {n_rows:,} {name} rows wrong ({scores['error']:.2%})"
    return (
        f"squared error {scores['squared_error']:.4g}, the mean of {n_rows:,} {name} rows (loss "
        f"{scores['loss']:.4g})"
    )


def info(run: RunDirectory, as_json: bool) -> None:
    """Say what a fine-tuning is and how far it has come."""
    config, rows, checkpoints = run.config(), run.rows(), run.checkpoints()
    options, data = config["options"], config["data"]
    last = rows[-1] if rows else {}
    done = run.update_of(checkpoints[-1]) if checkpoints else None
    total = options["epochs"] * -(-data["n_train"] // options["batch_size"])
    finished = run.network_path.is_file()
    network = str(run.network_path) if finished else None
    if as_json:
        facts = {"config": config, "update": done, "last_update": total, "network": network}
        print(json.dumps(facts | {"last_row": last}))
        return
    start = config["network"] if config["pretrained"] else "random weights"
    print(f"run       {run.path}, begun {config['created']}")
    tuned = "fine-tuned " if config["network"] else ""
    print(f"network   a {tuned}{options['kind']}, begun at {start}")
    print(
        f"data      {config['bottom']['data']}: {data['n_train']:,} training rows, "
        f"{data['n_held_out']:,} held out, {data['n_test']:,} test rows"
    )
    said = {name: value for name, value in options.items() if value not in (None, False)}
    print(f"options   {', '.join(f'{flag(name)} {value}' for name, value in said.items())}")
    for name, value in last.items():
        print(f"{name.replace('_', ' '):24s}{value:,.6g}")
    if finished:
        print(f"finished  {network}")
    else:
        print(
            f"progress  {done or 0:,} of {total:,} updates at the last checkpoint; go on with "
            f"harmonium resume {quote(str(run.path))}"
        )
