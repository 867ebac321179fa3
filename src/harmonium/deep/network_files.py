"""Files of networks and of their fine-tuning, as in `harmonium.checkpoint`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
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
from harmonium.deep.finetuning import Best, FinetuningState, Patience, settle
from harmonium.deep.layers import Dropout
from harmonium.deep.network import Classifier, Network, Regressor
from harmonium.files import write_whole
from harmonium.optimization import describe_optimizer, restore_optimizer
from harmonium.rbm import RBM
from harmonium.serialization import load_parameters_, lookup, name_in, read, serialize
from harmonium.units import Units, from_config, to_config

_TYPES: dict[str, type[Network]] = {
    kind.__name__: kind for kind in (Classifier, Regressor, Autoencoder)
}


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
    content = serialize("network", checkpoint.tensors_of(network), _describe(network))
    write_whole(Path(path), content)


def load_network(path: str | Path, *, device: torch.device | str = "cpu") -> Network:
    """Read a network.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete network file of a known format.
    """
    tensors, config = read(Path(path), "network")
    return _make(config, tensors).to(device)


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
        Additional JSON content to store (`read_extra`).

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
    settle(state)
    network, best = state.network, state.best
    tensors = checkpoint.tensors_of(network, "network.")
    of_optimizer, optimization = describe_optimizer(network, state.optimizer, state.schedule)
    tensors |= {f"optimizer.{name}": tensor for name, tensor in of_optimizer.items()}
    tensors["loss_sum"] = state.loss_sum
    if best is not None:
        tensors |= checkpoint.tensors_of(best.network, "best.")
    config = {
        "network": _describe(network),
        **optimization,
        "dropout": dataclasses.asdict(state.dropout),
        "max_norm": state.max_norm,
        "head_updates": state.head_updates,
        "patience": None if state.patience is None else dataclasses.asdict(state.patience),
        "best": None
        if best is None
        else {"score": best.score, "update": best.update, "improved": best.improved},
        "stream": checkpoint.of_stream(state.stream),
        "seed": state.seed,
        "update": state.update,
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
    tensors, config = read(Path(path), "fine-tuning")
    network = _make(config["network"], checkpoint.below("network.", tensors)).to(device)
    trained, scheduler = restore_optimizer(
        network, checkpoint.below("optimizer.", tensors), config, optimizer, schedule
    )
    best, patience = config["best"], config["patience"]
    return FinetuningState(
        network=network,
        optimizer=trained,
        dropout=Dropout(**config["dropout"]),
        max_norm=config["max_norm"],
        head_updates=config["head_updates"],
        stream=checkpoint.make_stream(config["stream"]),
        seed=config["seed"],
        loss_sum=tensors["loss_sum"].to(device),
        schedule=scheduler,
        patience=None if patience is None else Patience(**patience),
        best=None
        if best is None
        else Best(_make(config["network"], checkpoint.below("best.", tensors)).to(device), **best),
        update=config["update"],
        loss_rows=config["loss_rows"],
    )


def read_extra(path: str | Path) -> dict[str, Any]:
    """The additional content of a checkpoint (`save_finetuning`'s ``extra``)."""
    return dict(read(Path(path), "fine-tuning")[1]["extra"])


def _describe(network: Network) -> dict[str, Any]:
    return {
        "type": name_in(_TYPES, network),
        "visible": to_config(network.visible),
        "rbms": [[to_config(units) for units in pair] for pair in _stack(network)],
        "n_outputs": network.last.units.n_columns,
        "classes": network.classes.tolist() if isinstance(network, Classifier) else None,
    }


def _stack(network: Network) -> list[tuple[Units, Units]]:
    """The visible and hidden units of the RBMs in such a network."""
    layers = [layer.units for layer in network.all_layers]
    if isinstance(network, Autoencoder):
        n = len(layers) // 2
        return list(zip(reversed(layers[n:]), layers[:n], strict=True))
    return list(pairwise([network.visible, *layers[:-1]]))


def _make(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Network:
    rbms = [RBM(*(from_config(units) for units in pair)) for pair in config["rbms"]]
    visible = None if rbms else from_config(config["visible"])
    kind = lookup(_TYPES, config["type"])
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
