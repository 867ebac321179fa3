"""``harmonium dbn finetune``: a network made of a stack, from its first update to its summary."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from harmonium import datasets, defaults, training
from harmonium.cli import build, events, tuned_figures
from harmonium.cli.options import FinetuningOptions, TrainingOptions, WatchingOptions, flag
from harmonium.cli.progress import (
    Reporter,
    choose_reporter,
    download_progress,
    tell_of_compiling,
)
from harmonium.cli.resuming import as_it_began, take_up
from harmonium.cli.training import stop_requests, surroundings
from harmonium.datasets import Data, Encoding, Minibatches
from harmonium.deep import (
    DBN,
    Autoencoder,
    Classifier,
    Dropout,
    FinetuningState,
    Network,
    Patience,
    Regressor,
    dumps_finetuning,
    finetuning,
    init_randomly_,
    load_dbn,
    load_finetuning,
    save_finetuning,
    save_network,
    without_labels,
)
from harmonium.files import write_whole
from harmonium.rbm import RBM
from harmonium.runs import FINETUNING_KIND, RunDirectory, free_path
from harmonium.runs import Network as NetworkRun


@dataclass(frozen=True)
class Rows:
    """What is learnt from, what chooses the best network, and what judges it at the end."""

    train: Data
    held_out: Data | None
    test: Data | None

    @property
    def judging(self) -> tuple[str, Data]:
        """The rows that say most about the network, and what they are called."""
        if self.test is not None:
            return "test", self.test
        if self.held_out is not None:
            return "held-out", self.held_out
        return "training", self.train


def finetune(
    path: Path,
    options: FinetuningOptions,
    watching: WatchingOptions,
    out: Path | None,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> int:
    """Begin to fine-tune; returns the exit code."""
    source = NetworkRun.open(path)
    run = RunDirectory(out or free_path(source.run.path / options.kind))
    run.check_free(overwrite)
    events.check(watching.tensorboard)
    where = build.choose_device(device)
    tell_of_compiling()
    of_source = source.run.config()
    rows = _load(of_source["layers"], of_source["data"]["encoding"], options, where)
    batches = _batches(options, rows.train)
    rbms, pretrained = _stack(source, options, rows.train)
    state = _begin(options, rbms, rows, batches)
    config = {
        "kind": FINETUNING_KIND,
        **surroundings(where),
        "network": str(source.run.path.absolute()),
        "pretrained": pretrained,
        "layers": of_source["layers"],
        "options": dataclasses.asdict(options),
        "watching": dataclasses.asdict(watching),
        "data": {
            "n_train": len(rows.train),
            "n_held_out": 0 if rows.held_out is None else len(rows.held_out),
            "n_test": 0 if rows.test is None else len(rows.test),
            "n_columns": rows.train.n_columns,
            "image_shape": rows.train.image_shape,
            "encoding_before": of_source["data"]["encoding"],
            "encoding": rows.train.encoding.to_config(),
            "fingerprint": _fingerprint(rows),
        },
    }
    run.create(config, dumps_finetuning(state), overwrite)
    return _go_on(run, options, state, batches, rows, watching, as_json)


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
    """Go on with a fine-tuning that stopped, was killed, or should see more epochs."""
    run = RunDirectory.open_any(path)
    if repeated:
        raise ValueError(
            f"{path} is a fine-tuning, whose options are others than those of an RBM; leave "
            f"{flag(next(iter(repeated)))} out"
        )
    config = run.config()
    options = FinetuningOptions(**config["options"])
    watch, where = as_it_began(config, watching, device, threads)
    rows = _load(config["layers"], config["data"]["encoding_before"], options, where)
    if _fingerprint(rows) != config["data"]["fingerprint"]:
        raise ValueError(
            f"the data {config['layers'][0]['data']}, their labels or their targets have changed "
            f"since {path} was begun; bring the old ones back, or fine-tune anew"
        )
    batches = _batches(options, rows.train)
    state = load_finetuning(run.latest_checkpoint(), device=where)
    options = take_up(run, options, state, batches, epochs)
    return _go_on(run, options, state, batches, rows, watch, as_json)


def _load(
    layers: list[dict[str, Any]],
    encoding: dict[str, Any],
    options: FinetuningOptions,
    device: torch.device,
) -> Rows:
    """The rows of the stack's data with their labels, in parts, encoded as in pretraining."""
    bottom = TrainingOptions(**layers[0])
    with download_progress() as progress:
        data = datasets.load(bottom.data, progress=progress)
    if bottom.height_and_width is not None:
        data = data.as_pictures(*bottom.height_and_width)
    if options.binarize is None:
        data = data.with_encoding(Encoding.from_config(encoding))
    else:
        # checked as that of `harmonium train`
        data = build.encode(data, dataclasses.replace(bottom, binarize=options.binarize))
    held_out = test = None
    if data.parts:
        test = data.part("test").to(device)
        if options.validation:
            train, held_out = data.part("train"), data.part("validation")
        else:
            train = data.join("train", "validation")
    elif options.validation and bottom.held_out:
        train, held_out = data.split_randomly_(bottom.held_out, bottom.seed)
    else:
        train = data
    return Rows(train.to(device), None if held_out is None else held_out.to(device), test)


def _fingerprint(rows: Rows) -> str:
    """SHA-256 over rows, labels and targets: what the network learns and is chosen by."""
    digest = hashlib.sha256()
    for data in (rows.train, rows.held_out):
        if data is not None:
            digest.update(data.fingerprint().encode())
            for wanted in (data.labels, data.targets):
                if wanted is not None:
                    digest.update(wanted.cpu().numpy().tobytes())
    return digest.hexdigest()


def _batches(options: FinetuningOptions, train: Data) -> Minibatches:
    if options.batch_size > len(train):
        raise ValueError(
            f"--batch-size is {options.batch_size}, but {train.name} has {len(train)} training "
            f"rows; pass 1 to {len(train)}"
        )
    return Minibatches(train, options.batch_size)


def _stack(source: NetworkRun, options: FinetuningOptions, train: Data) -> tuple[list[RBM], bool]:
    """The stack, and whether it was pretrained; where it was not, its weights are random."""
    device = train.values.device
    if source.dbn_path.is_file() and not options.from_scratch:
        return without_labels(load_dbn(source.dbn_path, device=device).recognition), True
    layers = [TrainingOptions(**layer) for layer in source.run.config()["layers"]]
    visible = build.visible_units(layers[0], train)
    rbms = list(DBN.of(visible, *(build.hidden_units(layer) for layer in layers)).stack)
    init_randomly_(rbms, options.seed)
    mean, var = train.moments()
    rbms[0].visible.init_from_moments_(mean.cpu().float(), var.cpu().float())
    return [rbm.to(device) for rbm in rbms], False


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
    epochs = options.patience
    if epochs is not None and rows.held_out is None:
        raise ValueError(
            "--patience looks at held-out rows, and pretraining held out none; leave it out"
        )
    if epochs is None and options.schedule == "constant" and rows.held_out is not None:
        epochs = defaults.PATIENCE
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
        schedule=partial(training.linear_to_zero, n_updates=options.epochs * len(batches))
        if options.schedule == "linear"
        else None,
        dropout=Dropout(options.dropout_inputs, options.dropout_hidden),
        max_norm=options.max_norm,
        patience=None if epochs is None else Patience.of_epochs(epochs, batches),
        seed=options.seed,
    )


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
    total = options.epochs * len(batches)
    every = watching.every or len(batches)
    began = saved = time.monotonic()
    with (
        choose_reporter(as_json, total, state.update) as reporter,
        events.EventFiles(
            run.path / "tensorboard", watching.tensorboard, state.update
        ) as event_files,
        stop_requests(run.path) as stop,
    ):
        _introduce(reporter, run, options, state, rows)
        watch = finetuning.Watch(state, batches, rows.held_out, every, total)
        try:
            for done in finetuning.updates(state, batches, options.epochs):
                row = watch(state)
                reporter.update(done)
                if row is not None:
                    run.append_row(row)
                    event_files.add(row)
                    reporter.row(row)
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
    save_network(state.model, run.network_path)
    _summarise(choose_reporter(as_json), run, state, rows, watching.figures, seconds)
    return 0


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
    if not config["pretrained"] and not options.from_scratch:
        start += f", because {config['network']} has not been pretrained to its end"
    began = f", from update {state.update:,}" if state.update else ""
    held = "" if rows.held_out is None else f", {len(rows.held_out):,} held out"
    reporter.say(
        f"{run.path}: a{'n' if options.kind == 'autoencoder' else ''} {options.kind} {sizes} on "
        f"{len(rows.train):,} rows of {rows.train.name}{held}; {options.epochs} epochs, "
        f"{state.network.device}{began}. It starts from {start}"
    )


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
    text = json.dumps(evaluation, indent=2, allow_nan=False) + "\n"
    write_whole(run.path / "evaluation.json", text.encode())
    chosen = ""
    if state.best is not None:
        chosen = f"; the network of update {state.best.update:,}, the best by held-out rows"
    reporter.say(f"{describe(scores, len(data), name)}{chosen}; trained for {seconds:.0f} s")
    reporter.say(f"network   {run.network_path}")
    if with_figures:
        pictures = list(tuned_figures.draw(run, model, data))
        reporter.say(f"pictures  {run.figures} ({', '.join(path.stem for path in pictures)})")
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
    print(f"network   a fine-tuned {options['kind']}, begun at {start}")
    print(
        f"data      {config['layers'][0]['data']}: {data['n_train']:,} training rows, "
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
