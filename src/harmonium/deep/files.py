"""Files of deep belief networks and of their pretraining, as in `harmonium.checkpoint`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harmonium import checkpoint
from harmonium.arguments import check_type
from harmonium.deep.dbn import DBN
from harmonium.deep.pretraining import LayerOptions, PretrainingState, of_each_layer
from harmonium.files import write_whole
from harmonium.rbm import RBM
from harmonium.serialization import read, serialize


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
    tensors, config = _describe(dbn)
    write_whole(Path(path), serialize("dbn", tensors, config))


def load_dbn(path: str | Path, *, device: torch.device | str = "cpu") -> DBN:
    """Read a network.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete network file of a known format.
    """
    return _make(*read(Path(path), "dbn")).to(device)


def save_pretraining(state: PretrainingState, path: str | Path) -> None:
    """Write a checkpoint of pretraining, from which it continues as if it had never stopped.

    The file is written atomically and replaces an existing one. It does not contain the options of
    the layers, because optimisers and schedules may be the caller's own code.
    """
    tensors, config = _describe(state.dbn)
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
        tensors |= {f"training.{name}": tensor for name, tensor in own.items()}
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
    tensors, config = read(Path(path), "pretraining")
    dbn = _make(tensors, config).to(device)
    state = PretrainingState(
        dbn,
        of_each_layer(options, dbn),
        seed=config["seed"],
        layer=config["layer"],
        n_batches=config["n_batches"],
    )
    if config["training"] is not None:
        of_layer = state.options[state.layer]
        rbm = checkpoint.below(f"down.{state.layer}.", tensors)
        state.training = checkpoint.restore(
            checkpoint.below("training.", tensors)
            | {f"rbm.{name}": tensor for name, tensor in rbm.items()},
            config["training"],
            device=device,
            optimizer=of_layer.optimizer,
            schedule=of_layer.make_schedule(state.n_batches),
        )
        dbn.rbms[state.layer] = state.training.rbm
    return state


def _describe(dbn: DBN) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    config: dict[str, Any] = {}
    for way, rbms in _ways(dbn).items():
        config[way] = [checkpoint.rbm_config(rbm) for rbm in rbms]
        for number, rbm in enumerate(rbms):
            tensors |= checkpoint.tensors_of(rbm, f"{way}.{number}.")
    return tensors, config


def _ways(dbn: DBN) -> dict[str, Sequence[RBM]]:
    """The RBMs with separate weights."""
    return {"down": dbn.stack, "up": dbn.recognition[:-1] if dbn.is_untied else ()}


def _make(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> DBN:
    rbms = {
        way: [
            checkpoint.make_rbm(of_rbm, checkpoint.below(f"{way}.{number}.", tensors))
            for number, of_rbm in enumerate(config[way])
        ]
        for way in ("down", "up")
    }
    return DBN(rbms["down"], rbms["up"] or None)
