"""Pretraining of a stack (a deep belief network): a run for each layer, one after the other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from harmonium import checkpoint
from harmonium.datasets import Data
from harmonium.deep import DBN, check_labels, save_dbn
from harmonium.run_directory import DBN_KIND, Network, RunDirectory, Warned
from harmonium.runs import build, kept, run_data
from harmonium.runs.events import check as check_events
from harmonium.runs.following import (
    Finished,
    Going,
    Place,
    Rows,
    Stopped,
    Whole,
    follow,
    write_page,
)
from harmonium.runs.layers import NetworkOptions
from harmonium.runs.options import TrainingOptions, WatchingOptions
from harmonium.runs.pictures import network_figures
from harmonium.runs.rbm_task import (
    Begun,
    RBMTask,
    found_from_anywhere,
    load,
    load_new,
    run_name,
    surroundings,
)
from harmonium.runs.reporting import Reporter
from harmonium.runs.resuming import Said, slower, take_rate_, tell_rate

_INTERRUPT = 2  # the signal of Ctrl-C


def begin(
    options: NetworkOptions, watching: WatchingOptions, place: Place, reporter: Reporter
) -> Going:
    """Start a stack: create its directory, with the first layer."""
    first = options.by_layer()[0]
    run = place.directory(f"runs/{run_name(first.data)}-dbn")
    check_events(watching.tensorboard)
    where = build.choose_device(place.device)
    first, train_data, held_out = load_new(first, where, reporter)
    options = dataclasses.replace(options, of_all={**options.of_all, "visible": first.visible})
    n_classes = _n_classes(train_data, held_out) if options.labels else None
    # errors in later layers are raised before the first is trained
    layers = [
        build.complete(layer, build.make_batches(layer, train_data))
        for layer in options.by_layer(n_classes=n_classes)
    ]
    layers[0] = found_from_anywhere(layers[0])
    begun = Begun.of(layers[0], train_data, held_out)
    own = begun.config(watching)
    config: dict[str, Any] = {
        "kind": DBN_KIND,
        **surroundings(where),
        "options": dataclasses.asdict(options),
        "layers": [dataclasses.asdict(layer) for layer in layers],
        "watching": dataclasses.asdict(watching),
        "data": own["data"],
    }
    with run.made_whole(place.overwrite) as partial:
        if place.keeps_data:
            own["options"]["data"] = kept.moved(first.data, partial.path, below="layers/1")
            config["options"]["of_all"]["data"] = config["layers"][0]["data"] = kept.HERE
        partial.write_config(config)
        partial.figures.mkdir()
        bottom = Network(partial).layer(1)
        bottom.path.mkdir(parents=True)
        bottom.begin(own | {"layer": 1}, checkpoint.dumps(begun.state))
    return Going(run, _follow(Network(run), layers, begun, watching, reporter))


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Continue a stack that stopped or was killed, in the layer where it was."""
    network = Network.open(path)
    at = network.layers()[-1]
    was = run_data.options_of(at).rate
    rate, others = slower(path, was, said.repeated)
    if others or said.further.given:
        raise ValueError(
            f"{path} holds a deep belief network, whose layers have options of their own; leave "
            f"`{next(iter({**said.further.given, **others}))}` out"
        )
    for run in (network.run, *network.layers()):
        run.check_replaceable()
    if rate is not None:
        _set_rate(network, rate)
        tell_rate(reporter, rate, was, at.update_of(at.latest_checkpoint()))
    config = network.run.config()
    watch, where = said.surroundings(config)
    layers = [TrainingOptions.from_config(layer) for layer in config["layers"]]
    layers[0] = run_data.found_from(network.run.path, layers[0])
    train_data, held_out = load(layers[0], where, reporter, run_data.known_of(network.layer(1)))
    run_data.refuse_other_data(network.layer(1), train_data, held_out)
    begun = _take_up(network.layer(1), layers[0], train_data, held_out)
    network.remove_unfinished()
    return Going(network.run, _follow(network, layers, begun, watch, reporter))


def _n_classes(train_data: Data, held_out: Data | None) -> int:
    """Number of classes of the label units: as the labels of the training rows need, at least 2."""
    if train_data.labels is None:
        raise ValueError(
            f"`labels` needs the class of each row, and {train_data.name} has no labels; take data "
            "with labels, or leave `labels` out"
        )
    n_classes = max(2, int(train_data.labels.max()) + 1)
    for data in (train_data, held_out):
        if data is not None:
            check_labels(data, n_classes)
    return n_classes


def _set_rate(network: Network, rate: float) -> None:
    """Store a new learning rate for the newest layer."""
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
    """The training of a layer, from its newest checkpoint."""
    state = build.load_checkpoint(run, train_data.values.device)
    take_rate_(state, options)
    return Begun(options, build.make_batches(options, train_data), train_data, held_out, state)


def _follow(
    network: Network,
    layers: list[TrainingOptions],
    begun: Begun,
    watching: WatchingOptions,
    reporter: Reporter,
) -> Rows:
    """Train from the newest layer to the top."""
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
                yield from follow(RBMTask(run, begun, watching, whole), reporter)
    except Stopped:
        raise
    except KeyboardInterrupt:
        write_page(network.run, reporter, "stopped")
        raise Stopped("between two layers", network.run.path, None, _INTERRUPT) from None
    dbn = DBN([checkpoint.load_model(run.model_path) for run in network.layers()])
    save_dbn(dbn, network.dbn_path)
    pictures = []
    if watching.figures:
        dbn.to(begun.data.values.device)
        of_top = (begun.state.chains, shown, layers[0].seed)
        pictures = list(network_figures.draw(network, dbn, *of_top))
    network.run.write_warnings(
        Warned(f"Layer {number}: {one.title[0].lower()}{one.title[1:]}", one.text)
        for number, run in enumerate(network.layers(), start=1)
        for one in run.warnings()
    )
    write_page(network.run, reporter)
    result = {"run": str(network.run.path), "network": str(network.dbn_path)}
    return Finished(network.run, result, pictures)


def _next(
    network: Network,
    number: int,
    options: TrainingOptions,
    lower: Begun,
    watching: WatchingOptions,
    is_last_begun: bool,
) -> Begun:
    """The training of a layer on the hidden units of the one below; started if it was not."""
    run, below = network.layer(number), network.layer(number - 1)
    in_folder, options = options.data, dataclasses.replace(options, data=str(below.path))
    train_data, held_out = run_data.hand_on(below, options, lower.data, lower.held_out)
    if run.config_path.is_file():
        if is_last_begun:
            run_data.refuse_other_data(run, train_data, held_out)
        return _take_up(run, options, train_data, held_out)
    begun = Begun.of(options, train_data, held_out)
    config = begun.config(watching) | {"layer": number}
    config["options"]["data"] = in_folder  # a relative path, so that the network can be moved
    run.create(config, checkpoint.dumps(begun.state), overwrite=False)
    return begun


def layers_of(network: Network) -> list[dict[str, Any]]:
    """The progress of each layer of a stack."""
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
    return layers
