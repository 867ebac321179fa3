"""``harmonium dbn train``: the layers of a network, one run after the other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from harmonium import checkpoint
from harmonium.cli import reporting
from harmonium.cli.keeping import Whole
from harmonium.cli.progress import choose_reporter, tell_of_compiling
from harmonium.cli.resuming import Further, as_it_began, slower, take_rate_, tell_rate
from harmonium.cli.training import (
    Begun,
    found_from_anywhere,
    go_on,
    load,
    load_new,
    run_name,
    surroundings,
)
from harmonium.datasets import Data
from harmonium.deep import DBN, check_labels, save_dbn
from harmonium.run_directory import DBN_KIND, Network, RunDirectory, Warned, free_path
from harmonium.runs import build, events, run_data
from harmonium.runs.layers import NetworkOptions
from harmonium.runs.options import TrainingOptions, WatchingOptions, flag
from harmonium.runs.pictures import network_figures

_INTERRUPTED = 130


def train(
    options: NetworkOptions,
    watching: WatchingOptions,
    out: Path | None,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> int:
    """Begin a network; returns the exit code."""
    first = options.by_layer()[0]
    run = RunDirectory(out or free_path(Path("runs") / f"{run_name(first.data)}-dbn"))
    run.check_free(overwrite)
    events.check(watching.tensorboard)
    where = build.choose_device(device)
    tell_of_compiling()
    first, train_data, held_out = load_new(first, where)
    options = dataclasses.replace(options, of_all={**options.of_all, "visible": first.visible})
    n_classes = _n_classes(train_data, held_out) if options.labels else None
    # what a later layer cannot do, it says before the first is trained
    layers = [
        build.complete(layer, build.make_batches(layer, train_data))
        for layer in options.by_layer(n_classes=n_classes)
    ]
    layers[0] = found_from_anywhere(layers[0])
    begun = Begun.of(layers[0], train_data, held_out)
    own = begun.config(watching)
    config = {
        "kind": DBN_KIND,
        **surroundings(where),
        "options": dataclasses.asdict(options),
        "layers": [dataclasses.asdict(layer) for layer in layers],
        "watching": dataclasses.asdict(watching),
        "data": own["data"],
    }
    with run.made_whole(overwrite) as partial:
        partial.write_config(config)
        partial.figures.mkdir()
        bottom = Network(partial).layer(1)
        bottom.path.mkdir(parents=True)
        bottom.begin(own | {"layer": 1}, checkpoint.dumps(begun.state))
    return _go_on(Network(run), layers, begun, watching, as_json)


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
    """Go on with a network that stopped or was killed, in the layer where it was."""
    network = Network.open(path)
    at = network.layers()[-1]
    was = run_data.options_of(at).learning_rate
    assert was is not None
    rate, others = slower(path, was, repeated)
    if others or further.given:
        raise ValueError(
            f"{path} holds a deep belief network, whose layers have options of their own; leave "
            f"{flag(next(iter({**further.given, **others})))} out"
        )
    for run in (network.run, *network.layers()):
        run.check_replaceable()
    if rate is not None:
        _set_rate(network, rate)
        done = at.update_of(at.latest_checkpoint())
        tell_rate(choose_reporter(as_json), rate, was, done)
    config = network.run.config()
    watch, where = as_it_began(config, watching, device, threads)
    layers = [TrainingOptions.from_config(layer) for layer in config["layers"]]
    train_data, held_out = load(layers[0], where, run_data.known_of(network.layer(1)))
    run_data.refuse_other_data(network.layer(1), train_data, held_out)
    begun = _take_up(network.layer(1), layers[0], train_data, held_out)
    network.remove_unfinished()
    return _go_on(network, layers, begun, watch, as_json)


def _n_classes(train_data: Data, held_out: Data | None) -> int:
    """Classes of the label units: as many as the training rows' labels need, 2 or more."""
    if train_data.labels is None:
        raise ValueError(
            f"--labels needs the class of each row, and {train_data.name} has no labels; take data "
            "with labels, or leave --labels out"
        )
    n_classes = max(2, int(train_data.labels.max()) + 1)
    for data in (train_data, held_out):
        if data is not None:
            check_labels(data, n_classes)
    return n_classes


def _set_rate(network: Network, rate: float) -> None:
    """Keep another learning rate of the layer that was begun last."""
    number, config = len(network.layers()), network.run.config()
    run = network.layer(number)
    of_run = run.config()
    for options in (config["layers"][number - 1], of_run["options"]):
        options["learning_rate"] = rate
    network.run.write_config(config)
    run.write_config(of_run)


def _take_up(
    run: RunDirectory, options: TrainingOptions, train_data: Data, held_out: Data | None
) -> Begun:
    """A layer's training as its newest checkpoint has it."""
    state = build.load_checkpoint(run, train_data.values.device)
    take_rate_(state, options)
    return Begun(options, build.make_batches(options, train_data), train_data, held_out, state)


def _go_on(
    network: Network,
    layers: list[TrainingOptions],
    begun: Begun,
    watching: WatchingOptions,
    as_json: bool,
) -> int:
    """Train from the layer that was begun last to the top; returns the exit code."""
    resume_it = f"harmonium resume {quote(str(network.run.path))}"
    shown = network_figures.Shown.of(begun.data, begun.held_out, layers[0].seed)
    try:
        for number, options in enumerate(layers, start=1):
            run, is_last_begun = network.layer(number), number >= len(network.layers())
            if number > 1:
                begun = _next(network, number, options, begun, watching, is_last_begun)
            if is_last_begun:
                run.remove_unfinished()
                run.drop_rows_after(begun.state.update)
                whole = Whole(network.run.path, number, len(layers))
                code = go_on(run, begun, watching, as_json, whole)
                if code:
                    return code
    except KeyboardInterrupt:
        reporting.write(network.run, "stopped")
        choose_reporter(as_json).say(f"stopped between two layers; go on with: {resume_it}")
        return _INTERRUPTED
    dbn = DBN([checkpoint.load_model(run.model_path) for run in network.layers()])
    save_dbn(dbn, network.dbn_path)
    pictures = []
    if watching.figures:
        chains = begun.state.chains
        pictures = list(
            network_figures.draw(
                network, dbn.to(begun.data.values.device), chains, shown, layers[0].seed
            )
        )
    network.run.write_warnings(
        Warned(f"Layer {number}: {one.title[0].lower()}{one.title[1:]}", one.text)
        for number, run in enumerate(network.layers(), start=1)
        for one in run.warnings()
    )
    page = reporting.write(network.run)
    reporter = choose_reporter(as_json)
    reporter.say(f"network   {network.dbn_path}")
    if pictures:
        reporter.say(
            f"pictures  {network.run.figures} ({len(pictures)}: filters of each layer, samples, "
            "reconstructions); learning curves in each layer's own folder"
        )
    reporter.say(f"page      {page}")
    name = quote(str(network.run.path))
    other = f"dbn predict {name} DATA" if dbn.n_classes is not None else f"info {name}"
    reporter.say(f"next      harmonium dbn sample {name}   ·   harmonium {other}")
    reporter.finish({"run": str(network.run.path), "network": str(network.dbn_path)})
    return 0


def _next(
    network: Network,
    number: int,
    options: TrainingOptions,
    lower: Begun,
    watching: WatchingOptions,
    is_last_begun: bool,
) -> Begun:
    """The training of a layer, begun if it was not, on the hidden units of the one below it."""
    run, below = network.layer(number), network.layer(number - 1)
    in_folder, options = options.data, dataclasses.replace(options, data=str(below.path))
    train_data, held_out = run_data.hand_on(below, options, lower.data, lower.held_out)
    if run.config_path.is_file():
        if is_last_begun:
            run_data.refuse_other_data(run, train_data, held_out)
        return _take_up(run, options, train_data, held_out)
    begun = Begun.of(options, train_data, held_out)
    config = begun.config(watching) | {"layer": number}
    config["options"]["data"] = in_folder  # found from there, wherever the network is moved
    run.create(config, checkpoint.dumps(begun.state), overwrite=False)
    return begun


def info(network: Network, as_json: bool) -> None:
    """Say what a network is and how far each of its layers has come."""
    config = network.run.config()
    layers = []
    for number, options in enumerate(config["layers"], start=1):
        run = network.layer(number)
        rows = run.rows() if run.config_path.is_file() else []
        done = run.update_of(run.latest_checkpoint()) if run.checkpoints() else 0
        total = options["epochs"] * -(-config["data"]["n_train"] // options["batch_size"])
        layers.append(
            {
                "layer": number,
                "hidden": options["hidden"],
                "update": done,
                "last_update": total,
                "last_row": rows[-1] if rows else {},
                "model": str(run.model_path) if run.model_path.exists() else None,
            }
        )
    finished = str(network.dbn_path) if network.dbn_path.exists() else None
    if as_json:
        print(json.dumps({"config": config, "layers": layers, "network": finished}))
        return
    data = config["data"]
    print(f"network   {network.run.path}, begun {config['created']}")
    print(
        f"data      {config['layers'][0]['data']}: {data['n_train']:,} training rows, "
        f"{data['n_held_out']:,} held out, {data['n_columns']} columns"
    )
    if config["options"]["labels"]:
        print(f"labels    {config['layers'][-1]['n_classes']} classes, seen by the top layer")
    for layer in layers:
        last = layer["last_row"]
        error = f"; reconstruction error {last['reconstruction_error']:.3f}" if last else ""
        print(
            f"layer {layer['layer']}   {layer['hidden']:,} hidden units, {layer['update']:,} of "
            f"{layer['last_update']:,} updates{error}"
        )
    if finished:
        print(f"finished  {finished}")
    else:
        print(f"go on     harmonium resume {quote(str(network.run.path))}")
