"""Runs: trainings of any kind, each with a directory that keeps everything of it.

The names below are imported when they are first used: the command line shows options of runs
without importing torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmonium.run_directory import Network, RunDirectory, Warned

__all__ = ["Network", "RunDirectory", "Warned"]

_HOME = {
    "Network": "harmonium.run_directory",
    "RunDirectory": "harmonium.run_directory",
    "Warned": "harmonium.run_directory",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'harmonium.runs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
