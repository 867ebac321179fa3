"""A run of any kind, found by its directory."""

from __future__ import annotations

from pathlib import Path

from harmonium.run_directory import RunDirectory
from harmonium.runs import network_task, rbm_task, stack_task
from harmonium.runs.following import Going
from harmonium.runs.reporting import Reporter
from harmonium.runs.resuming import Said


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Go on with a run that stopped, was killed, or should see more epochs.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, it cannot go on, or what is said contradicts it.
    """
    run = RunDirectory.open_any(path)
    if run.is_finetuning:
        return network_task.resume(path, said, reporter)
    if run.holds_a_network:
        return stack_task.resume(path, said, reporter)
    return rbm_task.resume(path, said, reporter)
