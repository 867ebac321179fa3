"""Files of stacks and networks, and of their trainings, as in `harmonium.checkpoint`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import checkpoint
from harmonium.arguments import check_type
from harmonium.deep.autoencoder import Autoencoder
from harmonium.deep.dbn import DBN
from harmonium.deep.finetuning import FinetuningState
from harmonium.deep.layers import Dropout
from harmonium.deep.network import Classifier, Network, Regressor
from harmonium.deep.pretraining import LayerOptions, PretrainingState, of_each_layer
from harmonium.files import write_whole
from harmonium.rbm import RBM
from harmonium.serialization import (
    Types,
    below,
    load_parameters_,
    read,
    serialize,
    tensors_of,
    under,
)
from harmonium.units import Units, from_config, to_config

_NETWORKS: Types[Network] = Types(Classifier, Regressor, Autoencoder)


def save_dbn(dbn: DBN, path: str | Path) -> None:
    """Write a network: all weights and biases, with unit types and sizes in its metadata.

    Raises
    ------
    FloatingPointError
        If a parameter is not finite; nothing is written.
    OSError
        From the file system.
    """
    check_type("dbn", dbn, DBN, "a DBN; save_model keeps one RBM")
    tensors, config = _of_dbn(dbn)
    write_whole(Path(path), serialize("dbn", tensors, config))


def load_dbn(path: str | Path, *, device: torch.device | str = "cpu") -> DBN:
    """Read a network.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete network file of a known format.
    """
    return _make_dbn(*read(path, "dbn")).to(device)


def save_pretraining(state: PretrainingState, path: str | Path) -> None:
    """Write a checkpoint of pretraining, from which it continues as if it had never stopped.

    The file is written atomically and replaces an existing one. It does not contain the options of
    the layers, because optimisers and schedules may be the caller's own code.
    """
    tensors, config = _of_dbn(state.dbn)
    config |= {
        "layer": state.layer,
        "seed": state.seed,
        "n_batches": state.n_batches,
        "training": None,
    }
    if state.training is not None:
        of_layer, config["training"] = checkpoint.describe(state.training)
        # the RBM being trained belongs to the network, which is stored already
        own = {name: of_layer[name] for name in of_layer if not name.startswith("rbm.")}
        tensors |= under("training.", own)
    write_whole(Path(path), serialize("pretraining", tensors, config))


def load_pretraining(
    path: str | Path,
    options: LayerOptions | Sequence[LayerOptions],
    *,
    device: torch.device | str = "cpu",
) -> PretrainingState:
    """Read a checkpoint of pretraining.

    Parameters
    ----------
    path
        The file.
    options
        The same as at the start. The layer that was being trained takes its sampler, rates and
        penalties from the file.
    device
        The device on which to continue.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, if it is not a complete pretraining file of a known format, or if
        the options are for another number of layers.
    """
    tensors, config = read(path, "pretraining")
    dbn = _make_dbn(tensors, config).to(device)
    state = PretrainingState(
        dbn,
        of_each_layer(options, dbn),
        seed=config["seed"],
        layer=config["layer"],
        n_batches=config["n_batches"],
    )
    if config["training"] is not None:
        of_layer = state.options[state.layer]
        rbm = below(f"down.{state.layer}.", tensors)
        layer = checkpoint.restore(
            below("training.", tensors) | under("rbm.", rbm),
            config["training"],
            device=device,
            optimizer=of_layer.optimizer,
            schedule=of_layer.make_schedule(state.n_batches),
        )
        state.take_up_(layer)
    return state


def _of_dbn(dbn: DBN) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    config: dict[str, Any] = {}
    for way, rbms in _ways(dbn).items():
        config[way] = [checkpoint.rbm_config(rbm) for rbm in rbms]
        for number, rbm in enumerate(rbms):
            tensors |= tensors_of(rbm, f"{way}.{number}.")
    return tensors, config


def _ways(dbn: DBN) -> dict[str, Sequence[RBM]]:
    """The RBMs with separate weights."""
    return {"down": dbn.stack, "up": dbn.recognition[:-1] if dbn.is_untied else ()}


def _make_dbn(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> DBN:
    rbms = {
        way: [
            checkpoint.make_rbm(of_rbm, below(f"{way}.{number}.", tensors))
            for number, of_rbm in enumerate(config[way])
        ]
        for way in ("down", "up")
    }
    return DBN(rbms["down"], rbms["up"] or None)


def save_network(network: Network, path: str | Path) -> None:
    """Write a classifier, a regressor or an autoencoder, with all that is needed to use it.

    Raises
    ------
    FloatingPointError
        If a parameter is not finite; nothing is written.
    TypeError
        If it is a network of another type.
    OSError
        From the file system.
    """
    check_type("network", network, Network, "a Classifier, a Regressor or an Autoencoder")
    write_whole(Path(path), serialize("network", tensors_of(network), _of_network(network)))


def load_network(path: str | Path, *, device: torch.device | str = "cpu") -> Network:
    """Read a network.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete network file of a known format.
    """
    tensors, config = read(path, "network")
    return _make_network(config, tensors).to(device)


def save_finetuning(
    state: FinetuningState, path: str | Path, extra: Mapping[str, Any] | None = None
) -> None:
    """Write a checkpoint, from which fine-tuning continues as if it had never stopped.

    The file is written atomically and replaces an existing one.

    Parameters
    ----------
    state
        The run.
    path
        The file.
    extra
        Additional JSON content to store (`checkpoint.read_extra`).

    Raises
    ------
    FloatingPointError
        If a parameter is not finite, or the gradient of an update was not; nothing is written.
    OSError
        From the file system.
    """
    write_whole(Path(path), dumps_finetuning(state, extra))


def dumps_finetuning(state: FinetuningState, extra: Mapping[str, Any] | None = None) -> bytes:
    """The content of the checkpoint that `save_finetuning` writes."""
    network = state.network
    tensors, config = checkpoint.describe_learner(state, network, "network.")
    of_best, stopping = checkpoint.describe_best(state.patience, state.best)
    tensors |= {"loss_sum": state.loss_sum, **of_best}
    config |= {
        "network": _of_network(network),
        "dropout": dataclasses.asdict(state.dropout),
        "max_norm": state.max_norm,
        "head_updates": state.head_updates,
        **stopping,
        "loss_rows": state.loss_rows,
        "extra": dict(extra or {}),
    }
    return serialize("fine-tuning", tensors, config)


def load_finetuning(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None,
    schedule: Callable[[Optimizer], LRScheduler] | None = None,
) -> FinetuningState:
    """Read a checkpoint. The network has its own layers, which no stack shares.

    Parameters
    ----------
    path
        The file.
    device
        The device on which to continue.
    optimizer, schedule
        Create the optimiser and the scheduler if they do not come from `torch.optim`; their states
        come from the file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete checkpoint of a known format.
    """
    tensors, config = read(path, "fine-tuning")
    network = _make_network(config["network"], below("network.", tensors)).to(device)

    def best() -> Network:
        return _make_network(config["network"], below("best.", tensors)).to(device)

    return FinetuningState(
        **checkpoint.restore_learner(network, tensors, config, optimizer, schedule),
        network=network,
        dropout=Dropout(**config["dropout"]),
        max_norm=config["max_norm"],
        head_updates=config["head_updates"],
        loss_sum=tensors["loss_sum"].to(device),
        **checkpoint.restore_best(config, best),
        loss_rows=config["loss_rows"],
    )


def _of_network(network: Network) -> dict[str, Any]:
    arguments = {
        "visible": to_config(network.visible),
        "rbms": [[to_config(units) for units in pair] for pair in _stack(network)],
        "n_outputs": network.last.units.n_columns,
        "classes": network.classes.tolist() if isinstance(network, Classifier) else None,
    }
    return _NETWORKS.describe(network, arguments)


def _stack(network: Network) -> list[tuple[Units, Units]]:
    """The visible and hidden units of the RBMs in such a network."""
    layers = [layer.units for layer in network.all_layers]
    if isinstance(network, Autoencoder):
        n = len(layers) // 2
        return list(zip(reversed(layers[n:]), layers[:n], strict=True))
    return list(pairwise([network.visible, *layers[:-1]]))


def _make_network(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Network:
    rbms = [RBM(*(from_config(units) for units in pair)) for pair in config["rbms"]]
    visible = None if rbms else from_config(config["visible"])
    kind = _NETWORKS.find(config["type"])
    network: Network
    if kind is Autoencoder:
        network = Autoencoder(rbms)
    elif kind is Classifier:
        network = Classifier(rbms, config["classes"], visible)
    else:
        moments = torch.zeros(config["n_outputs"])
        network = Regressor(rbms, moments, moments, visible)
    network.to(tensors["layers.0.weights"].dtype)
    if isinstance(network, Regressor):
        for name in {"mean", "std"} & set(tensors):  # which may be wider than the weights
            setattr(network, name, getattr(network, name).to(tensors[name].dtype))
    load_parameters_(network, tensors)
    return network
