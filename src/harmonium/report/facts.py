"""What a run directory says about its run, read once for a page."""

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
from harmonium.run_directory import (
    DBN_KIND,
    FINETUNING_KIND,
    LAYER_BELOW,
    LAYER_NUMBER,
    Network,
    RunDirectory,
)

Kind = Literal["RBM", "deep belief network", "fine-tuning"]

Stage = Literal["running", "stopped", "unknown"]
"""What a training that is not finished does now; of a page that nobody trains for it is unknown."""


@dataclass(frozen=True)
class Facts:
    """A run, as far as its files tell.

    Attributes
    ----------
    run
        Its directory.
    stage
        What it does now, unless it is finished.
    command
        What begins it again, as it is typed.
    words
        Says what the library says of options in the words of the door that asks for the page.
    """

    run: RunDirectory
    stage: Stage
    command: str
    words: Callable[[str], str] = str

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Everything that defines it."""
        return self.run.config()

    @cached_property
    def rows(self) -> list[dict[str, float]]:
        """Its rows of numbers; a network has them in its layers."""
        return self.run.rows() if self.run.metrics_path.is_file() else []

    @cached_property
    def kind(self) -> Kind:
        """What was trained."""
        names: dict[str | None, Kind] = {
            None: "RBM",
            DBN_KIND: "deep belief network",
            FINETUNING_KIND: "fine-tuning",
        }
        return names[self.config.get("kind")]

    @property
    def name(self) -> str:
        """What it is called: its folder, and of a layer also the network's."""
        path = self.run.path.resolve()
        if "layer" in self.config:
            return f"{path.parent.parent.name}, layer {self.config['layer']}"
        return path.name

    @cached_property
    def layers(self) -> list[Facts]:
        """The runs of a network's layers, as far as they have been begun."""
        return [Facts(layer, self.stage, "", self.words) for layer in Network(self.run).layers()]

    @property
    def n_updates_an_epoch(self) -> int:
        """Minibatches."""
        return -(-int(self.config["data"]["n_train"]) // int(self.config["options"]["batch_size"]))

    @property
    def total(self) -> int:
        """Updates of the whole training."""
        return int(self.config["options"]["epochs"]) * self.n_updates_an_epoch

    @cached_property
    def done(self) -> int:
        """Updates made, at the last checkpoint, or else at the last row of numbers."""
        checkpoints = self.run.checkpoints()
        if checkpoints:
            return self.run.update_of(checkpoints[-1])
        return int(self.rows[-1]["update"]) if self.rows else 0

    @cached_property
    def is_finished(self) -> bool:
        """Whether there is nothing left to train."""
        if self.stage != "unknown":
            return False
        if self.kind == "deep belief network":
            return Network(self.run).dbn_path.is_file()
        if self.kind == "fine-tuning":  # which may end before its last epoch
            return self.run.network_path.is_file()
        # runs that were kept without checkpoints, to save space, have come to their end
        is_done = self.done >= self.total or not self.run.checkpoints()
        return self.run.model_path.is_file() and is_done

    @property
    def seconds(self) -> float:
        """That all updates took; looking at the model, and what was made twice, is left out."""
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
        """Its directory, as it is typed behind a command."""
        return quote(str(self.run.path))

    @property
    def resumed_by(self) -> str:
        """The command that goes on with it."""
        return f"harmonium resume {quote(self.resumed_at)}"

    @property
    def resumed_at(self) -> str:
        """The directory of the run that goes on with it."""
        return str(self.run.path.parent.parent if "layer" in self.config else self.run.path)

    def json(self, path: Path) -> dict[str, Any] | None:
        """A file of this run; None where there is none, or it is damaged or no object."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return content if isinstance(content, dict) else None


def evaluation_of(facts: Facts) -> dict[str, Any] | None:
    """What test rows said of a fine-tuned network; None of other runs, and before the end."""
    return facts.json(facts.run.path / "evaluation.json") if facts.is_finished else None


def data_name(config: Mapping[str, Any]) -> str:
    """What was learned from, in words."""
    if config.get("kind") == DBN_KIND:
        name = str(config["layers"][0]["data"])
    elif config.get("kind") == FINETUNING_KIND:
        name = str(config["bottom"]["data"])
    else:
        name = str(config["options"]["data"])
    if LAYER_NUMBER.fullmatch(name):
        return f"the hidden units of layer {name.removeprefix(LAYER_BELOW)}"
    return Path(name).name


def written() -> str:
    """By what a page is written, and when."""
    return f"Written by harmonium {__version__} on {moment(datetime.now(UTC).isoformat())}."


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"


def moment(iso: str) -> str:
    """A moment, of which computers write ``2026-01-31T12:00:00+00:00``, as people read it."""
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
