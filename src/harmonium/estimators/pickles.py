"""Portable pickles: models and training states as bytes that any machine can read."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import torch

from harmonium.deep import FinetuningState
from harmonium.training import TrainingState, settle


def packed(held: dict[str, Any]) -> bytes:
    """Attributes of an estimator that hold tensors, such as ``_training``, as bytes."""
    if "_training" in held:
        held = held | {"_training": _portable(held["_training"])}
    content = io.BytesIO()
    torch.save(held, content)
    return content.getvalue()


def unpacked(content: bytes, device: str | torch.device) -> dict[str, Any]:
    """The input of `packed`, on this device if it exists here, else on the CPU."""
    wanted = torch.device(device)
    here = wanted if wanted.type != "cuda" or torch.cuda.is_available() else "cpu"
    # part of a pickle, which is already trusted
    held: dict[str, Any] = torch.load(io.BytesIO(content), map_location=here, weights_only=False)
    return held


def _portable(state: Any) -> Any:
    """Training states without device-specific parts."""
    if isinstance(state, tuple):
        return tuple(_portable(each) for each in state)
    if isinstance(state, TrainingState):
        settle(state)
        return dataclasses.replace(state, ahead=None)
    if isinstance(state, FinetuningState):
        settle(state)
        return dataclasses.replace(state, check=None)
    return state
