"""Pickles that travel: models and training as bytes that any machine can read."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import torch

from harmonium.deep import FinetuningState, finetuning
from harmonium.training import TrainingState, settle


def packed(held: dict[str, Any]) -> bytes:
    """Attributes of an estimator that hold tensors, ``_training`` perhaps among them, as bytes."""
    if "_training" in held:
        held = held | {"_training": _portable(held["_training"])}
    content = io.BytesIO()
    torch.save(held, content)
    return content.getvalue()


def unpacked(content: bytes, device: str | torch.device) -> dict[str, Any]:
    """What `packed` was given, on this device if there is one here, else on the CPU."""
    wanted = torch.device(device)
    here = wanted if wanted.type != "cuda" or torch.cuda.is_available() else "cpu"
    # part of a pickle, which has been trusted already
    held: dict[str, Any] = torch.load(io.BytesIO(content), map_location=here, weights_only=False)
    return held


def _portable(state: Any) -> Any:
    """States of training without what belongs to a device."""
    if isinstance(state, tuple):
        return tuple(_portable(each) for each in state)
    if isinstance(state, TrainingState):
        settle(state)
        return dataclasses.replace(state, ahead=None)
    if isinstance(state, FinetuningState):
        finetuning.settle(state)
        return dataclasses.replace(state, check=None)
    return state
