"""Runs: trainings of any kind, each with a directory that keeps everything of it.

`train`, `train_dbn` and `finetune` begin one, `open` finds one again, and a `Run` is what they
give back. The command line is a door over the same functions. The names below are imported when
they are first used: the command line shows the options of runs without importing torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmonium.run_directory import Network, RunDirectory, Warned
    from harmonium.runs.beginning import finetune, open, train, train_dbn
    from harmonium.runs.following import Stopped
    from harmonium.runs.options import FinetuningOptions, TrainingOptions, WatchingOptions
    from harmonium.runs.run import Following, Run

__all__ = [
    "FinetuningOptions",
    "Following",
    "Network",
    "Run",
    "RunDirectory",
    "Stopped",
    "TrainingOptions",
    "Warned",
    "WatchingOptions",
    "finetune",
    "open",
    "train",
    "train_dbn",
]

_HOME = {
    "FinetuningOptions": "runs.options",
    "Following": "runs.run",
    "Network": "run_directory",
    "Run": "runs.run",
    "RunDirectory": "run_directory",
    "Stopped": "runs.following",
    "TrainingOptions": "runs.options",
    "Warned": "run_directory",
    "WatchingOptions": "runs.options",
    "finetune": "runs.beginning",
    "open": "runs.beginning",
    "train": "runs.beginning",
    "train_dbn": "runs.beginning",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"harmonium.{_HOME[name]}"), name)
    raise AttributeError(f"module 'harmonium.runs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
