"""Pretraining of a stack (a deep belief network): a run for each layer, one after the other."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from harmonium import checkpoint
from harmonium.datasets import Data, has_label, refuse_missing
from harmonium.deep import DBN, PretrainingState, check_labels, load_dbn, save_dbn
from harmonium.run_directory import Network, RunDirectory, Warned, kinds
from harmonium.runs import build, kept, rbm_task, run_data, sharing
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
from harmonium.runs.options import TrainingOptions
from harmonium.runs.pictures import network_figures
from harmonium.runs.rbm_task import (
    Begun,
    RBMTask,
    found_from_anywhere,
    keep_beside,
    load,
    load_new,
    run_name,
    surroundings,
)
from harmonium.runs.reporting import Reporter
from harmonium.runs.resuming import Said, slower, take_rate_, tell_rate
from harmonium.runs.watching_options import WatchingOptions
from harmonium.units import Units

_INTERRUPT = 2  # the signal of Ctrl-C


def begin(
    options: NetworkOptions, watching: WatchingOptions, place: Place, reporter: Reporter
) -> Going:
    """Start a stack: create its directory, with the first layer."""
    if sharing.is_begun(place.out):
        assert place.out is not None
        return sharing.taken_up(lambda path: resume(path, Said(), reporter), place.out)
    with sharing.beginning():
        first = options.by_layer()[0]
        run = place.directory(f"runs/{run_name(first.data)}-dbn")
        check_events(watching.tensorboard)
        where = build.choose_device(place.device)
        first, train_data, held_out = load_new(first, where, reporter)
        for data in (train_data, held_out):
            refuse_missing(data, "a deep belief network")
        chosen = {"visible": first.visible, "trials": first.trials}
        options = dataclasses.replace(options, of_all={**options.of_all, **chosen})
        n_classes = _n_classes(train_data, held_out) if options.labels else None
        # errors in later layers are raised before the first is trained
        layers = [
            build.complete(layer, build.make_batches(layer, train_data))
            for layer in options.by_layer(n_classes=n_classes)
        ]
        layers[0] = found_from_anywhere(layers[0])
        begun = Begun.of(layers[0], train_data, held_out)
        state = _pretraining(layers, begun.state.rbm.visible)
        state.take_up_(begun.state)
        own = begun.config(watching)
        config: dict[str, Any] = {
            **surroundings(where, options, watching, kinds.DBN),
            "layers": [dataclasses.asdict(layer) for layer in layers],
            "data": own["data"],
        }
    sharing.check_alike(own)
    with sharing.beginning(), run.made_whole(place.overwrite) as partial:
        if place.keeps_data:
            own["options"]["data"] = kept.moved(first.data, partial.path, below="layers/1")
            config["options"]["of_all"]["data"] = config["layers"][0]["data"] = kept.HERE
        partial.write_config(config)
        partial.figures.mkdir()
        bottom = Network(partial).layer(1)
        bottom.path.mkdir(parents=True)
        bottom.begin(own | {"layer": 1}, checkpoint.pieces(begun.state))
        keep_beside(bottom, layers[0], train_data, held_out)
    stack = _Stack(Network(run), layers, state, (train_data, held_out), watching)
    return Going(run, stack.follow(reporter))


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
    models = [run_data.model_below(run).to(where) for run in network.layers()[:-1]]
    newest = build.load_checkpoint(network.layers()[-1], where)
    state = _pretraining(layers, [*models, newest.rbm][0].visible)
    for model in models:
        state.dbn.rbms[state.layer] = model
        state.layer += 1
    take_rate_(newest, layers[state.layer])
    state.take_up_(newest)
    network.remove_unfinished()
    stack = _Stack(network, layers, state, (train_data, held_out), watch)
    return Going(network.run, stack.follow(reporter))


def model_of(run: RunDirectory, device: torch.device | str = "cpu") -> DBN:
    """The finished stack, or one of the layers that have been started; raises as for an RBM."""
    network = Network(run)
    if network.dbn_path.is_file():
        return load_dbn(network.dbn_path, device=device)
    return DBN([rbm_task.model_of(layer, device) for layer in network.layers()])


def _pretraining(layers: list[TrainingOptions], visible: Units) -> PretrainingState:
    """The stack before its first layer is begun."""
    hidden = [build.hidden_units(layer) for layer in layers]
    dbn = DBN.of(visible, *hidden, n_classes=layers[-1].n_classes)
    each = [build.layer_options(*pair) for pair in zip_longest(layers, layers[1:])]
    return PretrainingState(dbn, tuple(each), layers[0].seed)


def _n_classes(train_data: Data, held_out: Data | None) -> int:
    """Number of classes of the label units: as the labels of the training rows need, at least 2."""
    if train_data.labels is None:
        raise ValueError(
            f"`labels` needs the class of each row, and {train_data.name} has no labels; take data "
            "with labels, or leave `labels` out"
        )
    if not has_label(train_data.labels).any():
        raise ValueError(
            f"`labels` needs classes, and all labels of {train_data.name} are missing; take data "
            "in which some rows have a label, or leave `labels` out"
        )
    n_classes = max(2, int(train_data.labels.max()) + 1)
    for data in (train_data, held_out):
        if data is not None and data.labels is not None:
            known = has_label(data.labels)  # the others are summed out
            if known.any():
                check_labels(data.take(known.nonzero()[:, 0]), n_classes)
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


@dataclass
class _Stack:
    """A stack that is trained: its directory, the options of its layers, its state and its rows."""

    network: Network
    layers: list[TrainingOptions]
    state: PretrainingState
    data: tuple[Data, Data | None]
    watching: WatchingOptions

    def follow(self, reporter: Reporter) -> Rows:
        """Train from the newest layer to the top."""
        network, state, seed = self.network, self.state, self.layers[0].seed
        shown = network_figures.Shown.of(*self.data, seed)
        try:
            while not state.is_finished:
                number = state.layer + 1
                begun, run = self._begun(), network.layer(number)
                run.remove_unfinished()
                run.drop_rows_after(begun.state.update)
                whole = Whole(network.run.path, number, len(self.layers))
                yield from follow(RBMTask(run, begun, self.watching, whole), reporter)
                state.finish_layer()
        except Stopped:
            raise
        except KeyboardInterrupt:
            write_page(network.run, reporter, "stopped")
            raise Stopped("between two layers", network.run.path, None, _INTERRUPT) from None
        save_dbn(state.dbn, network.dbn_path)
        pictures = []
        if sharing.watched(self.watching).figures:
            of_top = (begun.state.chains, shown, seed)
            pictures = list(network_figures.draw(network, state.dbn, *of_top))
        network.run.write_warnings(
            Warned(f"Layer {number}: {one.title[0].lower()}{one.title[1:]}", one.text)
            for number, run in enumerate(network.layers(), start=1)
            for one in run.warnings()
        )
        write_page(network.run, reporter)
        result = {"run": str(network.run.path), "network": str(network.dbn_path)}
        return Finished(network.run, result, pictures)

    def _begun(self) -> Begun:
        """The training of the layer at hand on what the ones below hand on, started if need be."""
        network, state, number = self.network, self.state, self.state.layer + 1
        run, options = network.layer(number), self.layers[state.layer]
        in_folder = options.data
        if number > 1:
            options = dataclasses.replace(options, data=str(network.layer(number - 1).path))
        train_data, held_out = state.data(*self.data)
        if state.training is not None:
            if number > 1:
                run_data.refuse_other_data(run, train_data, held_out)
            batches = build.make_batches(options, train_data)
            return Begun(options, batches, train_data, held_out, state.training)
        begun = Begun.of(options, train_data, held_out)
        state.take_up_(begun.state)
        config = begun.config(self.watching) | {"layer": number}
        config["options"]["data"] = in_folder  # a relative path, so that the network can be moved
        run.create(config, checkpoint.pieces(begun.state), overwrite=False)
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
