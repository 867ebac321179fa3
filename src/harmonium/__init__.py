"""Restricted Boltzmann machines and what is built from them.

The names below are imported when they are first used, so that ``import harmonium`` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmonium import (
        benchmark,
        checkpoint,
        classification,
        datasets,
        deep,
        diagnostics,
        estimators,
        gradient,
        likelihood,
        metrics,
        monitor,
        optimization,
        plots,
        rbm,
        recipes,
        report,
        rng,
        run_directory,
        runs,
        sampling,
        training,
        units,
    )
    from harmonium.checkpoint import load_model, save_model
    from harmonium.datasets import Data, Minibatches
    from harmonium.gradient import CenteredGradient, Penalties, PlainGradient
    from harmonium.likelihood import AnnealingPath, LogLikelihood, LogZ
    from harmonium.monitor import Monitor
    from harmonium.rbm import RBM
    from harmonium.rng import Purpose, Stream
    from harmonium.runs import Run, finetune, open, train, train_dbn
    from harmonium.sampling import (
        ChainState,
        Clamp,
        Gibbs,
        SamplingSchedule,
        Tempering,
        TrajectoryTempering,
    )
    from harmonium.training import TrainingState
    from harmonium.units import Binary, Categorical, Gaussian, Mixed, Spin

__version__ = "0.1.0"

__all__ = [
    "RBM",
    "AnnealingPath",
    "Binary",
    "Categorical",
    "CenteredGradient",
    "ChainState",
    "Clamp",
    "Data",
    "Gaussian",
    "Gibbs",
    "LogLikelihood",
    "LogZ",
    "Minibatches",
    "Mixed",
    "Monitor",
    "Penalties",
    "PlainGradient",
    "Purpose",
    "Run",
    "SamplingSchedule",
    "Spin",
    "Stream",
    "Tempering",
    "TrainingState",
    "TrajectoryTempering",
    "__version__",
    "benchmark",
    "checkpoint",
    "classification",
    "datasets",
    "deep",
    "diagnostics",
    "estimators",
    "finetune",
    "gradient",
    "likelihood",
    "load_model",
    "metrics",
    "monitor",
    "open",
    "optimization",
    "plots",
    "rbm",
    "recipes",
    "report",
    "rng",
    "run_directory",
    "runs",
    "sampling",
    "save_model",
    "train",
    "train_dbn",
    "training",
    "units",
]

_HOME = {
    "AnnealingPath": "likelihood",
    "Binary": "units",
    "Categorical": "units",
    "CenteredGradient": "gradient",
    "ChainState": "sampling",
    "Clamp": "sampling",
    "Data": "datasets",
    "Gaussian": "units",
    "Gibbs": "sampling",
    "LogLikelihood": "likelihood",
    "LogZ": "likelihood",
    "Minibatches": "datasets",
    "Mixed": "units",
    "Monitor": "monitor",
    "Penalties": "gradient",
    "PlainGradient": "gradient",
    "Purpose": "rng",
    "RBM": "rbm",
    "Run": "runs",
    "SamplingSchedule": "sampling",
    "Spin": "units",
    "Stream": "rng",
    "Tempering": "sampling",
    "TrainingState": "training",
    "TrajectoryTempering": "sampling",
    "finetune": "runs",
    "load_model": "checkpoint",
    "open": "runs",
    "save_model": "checkpoint",
    "train": "runs",
    "train_dbn": "runs",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"harmonium.{_HOME[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"harmonium.{name}")
    raise AttributeError(f"module 'harmonium' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
