"""Runs: training runs of any kind, each with one directory for all its files.

`train`, `train_dbn` and `finetune` start a run, and `open` finds an existing one; all return a
`Run`. The command line is a layer over the same functions. The names below are imported when they
are first used, so that the command line can show the options of runs without importing torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmonium.run_directory import Network, RunDirectory, Warned
    from harmonium.runs.beginning import finetune, open, train, train_dbn
    from harmonium.runs.following import Stopped
    from harmonium.runs.options import TrainingOptions
    from harmonium.runs.run import Following, Run
    from harmonium.runs.tuning_options import FinetuningOptions
    from harmonium.runs.watching_options import WatchingOptions

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
    "FinetuningOptions": "runs.tuning_options",
    "Following": "runs.run",
    "Network": "run_directory",
    "Run": "runs.run",
    "RunDirectory": "run_directory",
    "Stopped": "runs.following",
    "TrainingOptions": "runs.options",
    "Warned": "run_directory",
    "WatchingOptions": "runs.watching_options",
    "finetune": "runs.beginning",
    "open": "runs.beginning",
    "train": "runs.beginning",
    "train_dbn": "runs.beginning",
}


if not TYPE_CHECKING:  # which would accept any name

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            return getattr(importlib.import_module(f"harmonium.{_HOME[name]}"), name)
        raise AttributeError(f"module 'harmonium.runs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
