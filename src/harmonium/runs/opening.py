"""Which kind of training options ask for, and the task of that kind.

Everything that differs between kinds stands in `run_directory.kinds` and in their tasks. Nothing
heavy is imported here before a task is.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonium.run_directory import Kind, RunDirectory, kinds

if TYPE_CHECKING:
    from harmonium.runs.following import Going, Place
    from harmonium.runs.reporting import Reporter
    from harmonium.runs.resuming import Said
    from harmonium.runs.watching_options import WatchingOptions

TRAINED = tuple(kind for kind in kinds.KINDS if kind.function == "train")
"""The kinds that `harmonium.train` begins."""


def task_of(kind: Kind) -> Any:
    """The module that trains runs of a kind: its ``begin``, ``resume`` and ``model_of``."""
    return importlib.import_module(f"harmonium.runs.{kind.task}")


def table_of(kind: Kind) -> type[Any]:
    """The table of the options of a kind."""
    module, name = kind.options
    table: type[Any] = getattr(importlib.import_module(f"harmonium.runs.{module}"), name)
    return table


def asked_for(said: Mapping[str, Any]) -> Kind:
    """The kind of training that options of `harmonium.train` ask for."""
    return next((kind for kind in TRAINED if kind.is_asked_for(said)), kinds.RBM)


def refuse_others(kind: Kind, said: Mapping[str, Any]) -> None:
    """Reject options that are for other kinds of training.

    Raises
    ------
    ValueError
        Names the first one.
    """
    names = {each.name: {option.name for option in fields(table_of(each))} for each in TRAINED}
    for name in said:
        home = next((each for each in TRAINED if name in names[each.name]), None)
        if name in names[kind.name] or (home is None and name not in kind.unused):
            continue
        if home is not None and home.asked_by is not None:
            if name != home.asked_by[0]:
                raise ValueError(f"`{name}` is for {home.name}; pass {home.needs}")
        elif kind.asked_by is not None:
            raise ValueError(
                f"`{name}` is not for a training on {kind.name}; leave it out, or leave out "
                f"`{kind.asked_by[0]}`"
            )


def begin(
    kind: Kind, options: Any, watching: WatchingOptions, place: Place, reporter: Reporter
) -> Going:
    """Start a run of a kind with options of its table; raises what its task raises."""
    going: Going = task_of(kind).begin(options, watching, place, reporter)
    return going


def resume(path: Path, said: Said, reporter: Reporter) -> Going:
    """Continue a run that stopped, was killed, or needs more epochs.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, if it cannot continue, or if an option contradicts it.
    """
    from harmonium.runs import sharing

    return sharing.taken_up(lambda copy: _resume(copy, said, reporter), path)


def _resume(path: Path, said: Said, reporter: Reporter) -> Going:
    going: Going = task_of(RunDirectory.open_any(path).kind).resume(path, said, reporter)
    return going
