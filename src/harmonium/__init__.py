"""Restricted Boltzmann machines and what is built from them.

The names below are imported when they are first used, so that ``import harmonium`` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "RBM": "rbm",
    "Binary": "units",
    "Spin": "units",
    "Gaussian": "units",
    "Categorical": "units",
    "CenteredGradient": "gradient",
    "PlainGradient": "gradient",
    "Penalties": "gradient",
    "Gibbs": "sampling",
    "ChainState": "sampling",
    "Clamp": "sampling",
    "SamplingSchedule": "sampling",
    "Stream": "rng",
    "Purpose": "rng",
    "Data": "datasets",
    "Minibatches": "datasets",
    "Monitor": "monitor",
    "TrainingState": "training",
    "load_model": "checkpoint",
    "save_model": "checkpoint",
}
_MODULES = (
    "checkpoint",
    "datasets",
    "diagnostics",
    "likelihood",
    "plots",
    "sampling",
    "training",
    "units",
)

__all__ = ["__version__", *sorted(_HOME), *_MODULES]  # noqa: PLE0604

if TYPE_CHECKING:
    from harmonium import (
        checkpoint,
        datasets,
        diagnostics,
        likelihood,
        plots,
        sampling,
        training,
        units,
    )
    from harmonium.checkpoint import load_model, save_model
    from harmonium.datasets import Data, Minibatches
    from harmonium.gradient import CenteredGradient, Penalties, PlainGradient
    from harmonium.monitor import Monitor
    from harmonium.rbm import RBM
    from harmonium.rng import Purpose, Stream
    from harmonium.sampling import ChainState, Clamp, Gibbs, SamplingSchedule
    from harmonium.training import TrainingState
    from harmonium.units import Binary, Categorical, Gaussian, Spin


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"harmonium.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"harmonium.{name}")
    raise AttributeError(f"module 'harmonium' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
