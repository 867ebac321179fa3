"""`ModelHolder`: scikit-learn estimators that hold PyTorch models, and their portable pickles."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import torch
from sklearn.base import BaseEstimator

from harmonium.deep import FinetuningState
from harmonium.training import TrainingState, settle

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class ModelHolder(BaseEstimator):  # type: ignore[misc]
    """An estimator that holds PyTorch models and speaks NumPy.

    Attributes named in ``_HELD`` hold tensors. A pickle stores them on the CPU; loading moves them
    to ``device`` if it exists, else they stay on the CPU.
    """

    _HELD: tuple[str, ...] = ("model_", "_training")

    device: str | torch.device
    dtype: Any

    def __getstate__(self) -> dict[str, Any]:
        """The complete state, with models and training as portable bytes."""
        state = dict(super().__getstate__())
        held = {name: state.pop(name) for name in self._HELD if name in state}
        return state | {"_held": _packed(held)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the result of `__getstate__`."""
        state = dict(state)
        content = state.pop("_held")
        super().__setstate__(state)
        self.__dict__.update(_unpacked(content, self.device))

    def _checked_device(self) -> torch.device:
        try:
            return torch.empty(0, device=self.device).device
        except (AssertionError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"device is {self.device!r}, which cannot be used here ({reason}); pass 'cpu', or "
                "'cuda' where torch.cuda.is_available()"
            ) from error

    def _checked_dtype(self) -> torch.dtype:
        name = str(self.dtype).removeprefix("torch.")
        if name not in _DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; pass 'float32' or 'float64'")
        return _DTYPES[name]


def _packed(held: dict[str, Any]) -> bytes:
    """Attributes of an estimator that hold tensors, such as ``_training``, as bytes."""
    if "_training" in held:
        held = held | {"_training": _portable(held["_training"])}
    content = io.BytesIO()
    torch.save(held, content)
    return content.getvalue()


def _unpacked(content: bytes, device: str | torch.device) -> dict[str, Any]:
    """The input of `_packed`, on this device if it exists here, else on the CPU."""
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
