"""The content of a run directory, read once for a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from harmonium import __version__
from harmonium.run_directory import LAYER_BELOW, LAYER_NUMBER, Network, RunDirectory
from harmonium.run_directory.kinds import kind_of

Stage = Literal["running", "stopped", "unknown"]
"""The state of an unfinished run; unknown if the page is not written by its training."""


@dataclass(frozen=True)
class Facts:
    """A run, according to its files.

    Attributes
    ----------
    run
        Its directory.
    stage
        Its current state, unless it is finished.
    command
        The command that starts it again.
    words
        Translates the spelling of options in messages of the library.
    """

    run: RunDirectory
    stage: Stage
    command: str
    words: Callable[[str], str] = str

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its configuration."""
        return self.run.config()

    @cached_property
    def rows(self) -> list[dict[str, float]]:
        """Its rows of numbers; those of a network are in its layers."""
        return self.run.rows() if self.run.metrics_path.is_file() else []

    @cached_property
    def kind(self) -> str:
        """The kind of run, in words."""
        return self.run.kind.title

    @property
    def name(self) -> str:
        """Its name: its folder, and for a layer also the network's."""
        path = self.run.path.resolve()
        if "layer" in self.config:
            return f"{path.parent.parent.name}, layer {self.config['layer']}"
        return path.name

    @cached_property
    def layers(self) -> list[Facts]:
        """The runs of a network's layers that have been started."""
        return [Facts(layer, self.stage, "", self.words) for layer in Network(self.run).layers()]

    @property
    def n_updates_an_epoch(self) -> int:
        """Minibatches."""
        return -(-int(self.config["data"]["n_train"]) // int(self.config["options"]["batch_size"]))

    @property
    def total(self) -> int:
        """Number of updates of the whole training."""
        return int(self.config["options"]["epochs"]) * self.n_updates_an_epoch

    @cached_property
    def done(self) -> int:
        """Updates made at the last checkpoint, or else at the last row of numbers."""
        checkpoints = self.run.checkpoints()
        if checkpoints:
            return self.run.update_of(checkpoints[-1])
        return int(self.rows[-1]["update"]) if self.rows else 0

    @cached_property
    def is_finished(self) -> bool:
        """Whether training is finished."""
        if self.stage != "unknown":
            return False
        if self.kind == "deep belief network":
            return Network(self.run).dbn_path.is_file()
        if self.kind == "fine-tuning":  # which may end before its last epoch
            return self.run.network_path.is_file()
        # runs without checkpoints, deleted to save space, are finished
        is_done = self.done >= self.total or not self.run.checkpoints()
        return self.run.model_path.is_file() and is_done

    @property
    def seconds(self) -> float:
        """The time of all updates, excluding evaluation and repeated updates."""
        if self.kind == "deep belief network":
            return sum(layer.seconds for layer in self.layers)
        rows_an_update = self.config["data"]["n_train"] / self.n_updates_an_epoch
        seconds, before = 0.0, 0.0
        for row in self.rows:
            if row.get("rows_per_second"):
                seconds += (row["update"] - before) * rows_an_update / row["rows_per_second"]
            before = row["update"]
        return seconds

    @property
    def typed_path(self) -> str:
        """Its directory, as typed after a command."""
        return quote(str(self.run.path))

    @property
    def resumed_by(self) -> str:
        """The command that continues it."""
        return f"harmonium resume {quote(self.resumed_at)}"

    @property
    def resumed_at(self) -> str:
        """The directory of the run to resume."""
        return str(self.run.path.parent.parent if "layer" in self.config else self.run.path)

    def json(self, path: Path) -> dict[str, Any] | None:
        """The JSON object in a file of this run; None if it is missing, damaged or no object."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return content if isinstance(content, dict) else None


def evaluation_of(facts: Facts) -> dict[str, Any] | None:
    """Scores of a fine-tuned network on test rows; None for other runs, and before the end."""
    return facts.json(facts.run.path / "evaluation.json") if facts.is_finished else None


def data_name(config: Mapping[str, Any]) -> str:
    """The training data, in words."""
    name = str(kind_of(config).rows_of(config)["data"])
    if LAYER_NUMBER.fullmatch(name):
        return f"the hidden units of layer {name.removeprefix(LAYER_BELOW)}"
    return Path(name).name


def written() -> str:
    """Which version wrote a page, and when."""
    return f"Written by harmonium {__version__} on {moment(datetime.now(UTC).isoformat())}."


def duration(seconds: float) -> str:
    """A duration in words."""
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"


def moment(iso: str) -> str:
    """A readable form of a time such as ``2026-01-31T12:00:00+00:00``."""
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
