"""Begin a run of the kind that its options ask for, and open one of any kind by its directory."""

from __future__ import annotations

from pathlib import Path

from harmonium.run_directory import RunDirectory
from harmonium.runs import network_task, rating_task, rbm_task, sharing, stack_task, topic_task
from harmonium.runs.following import Going, Place
from harmonium.runs.options import TrainingOptions
from harmonium.runs.reporting import Reporter
from harmonium.runs.resuming import Said
from harmonium.runs.watching_options import WatchingOptions


def begin(
    options: TrainingOptions, watching: WatchingOptions, place: Place, reporter: Reporter
) -> Going:
    """Start a run of ``harmonium train``; raises what its task raises."""
    begin_task = topic_task.begin if options.visible == "counts" else rbm_task.begin
    return begin_task(options, watching, place, reporter)


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Continue a run that stopped, was killed, or needs more epochs.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, if it cannot continue, or if an option contradicts it.
    """
    return sharing.taken_up(lambda copy: _resume(copy, said, reporter), path)


def _resume(path: Path, said: Said, reporter: Reporter) -> Going:
    run = RunDirectory.open_any(path)
    if run.holds_ratings:
        return rating_task.resume(path, said, reporter)
    if run.is_finetuning:
        return network_task.resume(path, said, reporter)
    if run.holds_topics:
        return topic_task.resume(path, said, reporter)
    if run.holds_a_network:
        return stack_task.resume(path, said, reporter)
    return rbm_task.resume(path, said, reporter)
