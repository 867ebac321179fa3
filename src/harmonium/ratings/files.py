"""Files of ratings, of their models, and checkpoints of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harmonium.checkpoint import describe_best, describe_learner, restore_best, restore_learner
from harmonium.files import write_whole
from harmonium.ratings.data import Ratings
from harmonium.ratings.model import RatingRBM
from harmonium.ratings.state import RatingState
from harmonium.serialization import below, load_parameters_, read, serialize, tensors_of

_MODEL, _CHECKPOINT, _RATINGS = "model of ratings", "checkpoint of ratings", "ratings"


def save_model(rbm: RatingRBM, path: str | Path) -> None:
    """Write a model file: weights and biases, with sizes and scale in its metadata."""
    write_whole(Path(path), serialize(_MODEL, tensors_of(rbm), {"rbm": rbm.config()}))


def load_model(path: str | Path) -> RatingRBM:
    """Read a model file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete model file of a known format.
    """
    tensors, config = read(path, _MODEL)
    return _make(config["rbm"], tensors)


def dumps(state: RatingState) -> bytes:
    """The content of a checkpoint, from which training goes on as if it had never stopped."""
    tensors, config = describe_learner(state, state.rbm, "rbm.")
    of_best, stopping = describe_best(state.patience, state.best)
    config |= {
        "rbm": state.rbm.config(),
        "sweeps": state.sweeps,
        "phases": [list(phase) for phase in state.phases],
        **stopping,
    }
    return serialize(_CHECKPOINT, tensors | of_best, config)


def load(path: str | Path, device: torch.device | str = "cpu") -> RatingState:
    """Read a checkpoint.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete checkpoint of a known format.
    """
    tensors, config = read(path, _CHECKPOINT)
    rbm = _make(config["rbm"], below("rbm.", tensors)).to(device)

    def best() -> RatingRBM:
        return _make(config["rbm"], below("best.", tensors)).to(device)

    return RatingState(
        **restore_learner(rbm, tensors, config, None, None),
        rbm=rbm,
        sweeps=config["sweeps"],
        phases=tuple((begins, sweeps) for begins, sweeps in config["phases"]),
        **restore_best(config, best),
    )


def save_ratings(path: str | Path, **parts: Ratings | None) -> None:
    """Write sets of ratings of the same users and items, by name; None is left out."""
    tensors: dict[str, Tensor] = {}
    there = {name: ratings for name, ratings in parts.items() if ratings is not None}
    for name, ratings in there.items():
        tensors[f"{name}.user"] = ratings.user.int()
        tensors[f"{name}.item"] = ratings.item.int()
        tensors[f"{name}.level"] = ratings.level.to(torch.uint8)
    first = next(iter(there.values()))
    config = {
        "parts": list(there),
        "users": list(first.users),
        "items": list(first.items),
        "scale": list(first.scale),
        "name": first.name,
    }
    write_whole(Path(path), serialize(_RATINGS, tensors, config))


def load_ratings(path: str | Path) -> dict[str, Ratings]:
    """Read what `save_ratings` wrote: sets of ratings by name.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete file of ratings.
    """
    tensors, config = read(path, _RATINGS)
    shared: dict[str, Any] = {
        "users": tuple(config["users"]),
        "items": tuple(config["items"]),
        "scale": tuple(config["scale"]),
        "name": config["name"],
    }
    return {
        name: Ratings(**_long(below(f"{name}.", tensors)), **shared) for name in config["parts"]
    }


def _long(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.long() for name, tensor in tensors.items()}


def _make(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RatingRBM:
    rbm = RatingRBM(**config)
    load_parameters_(rbm, tensors)
    return rbm
