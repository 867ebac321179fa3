"""Open a run of any kind by its directory."""

from __future__ import annotations

from pathlib import Path

from harmonium.run_directory import RunDirectory
from harmonium.runs import network_task, rating_task, rbm_task, stack_task
from harmonium.runs.following import Going
from harmonium.runs.reporting import Reporter
from harmonium.runs.resuming import Said


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Continue a run that stopped, was killed, or needs more epochs.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, if it cannot continue, or if an option contradicts it.
    """
    run = RunDirectory.open_any(path)
    if run.holds_ratings:
        return rating_task.resume(path, said, reporter)
    if run.is_finetuning:
        return network_task.resume(path, said, reporter)
    if run.holds_a_network:
        return stack_task.resume(path, said, reporter)
    return rbm_task.resume(path, said, reporter)
