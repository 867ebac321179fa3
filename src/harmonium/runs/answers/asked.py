"""A run that is asked: its directory, where to compute, and who is told of the progress.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harmonium.run_directory import RunDirectory
from harmonium.runs.reporting import Reporter, Silent


@dataclass(frozen=True)
class Asked:
    """The run, the device to compute on, and the reporter that hears of it."""

    run: RunDirectory
    device: str = "cpu"
    reporter: Reporter = field(default_factory=Silent)
