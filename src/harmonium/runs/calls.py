"""The call that starts a run again, with non-default options, for Python or the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from harmonium.run_directory import RunDirectory
from harmonium.runs.layers import LAYERS
from harmonium.runs.opening import table_of
from harmonium.runs.options import TrainingOptions
from harmonium.runs.watching_options import WatchingOptions

Name = Literal["train", "train_dbn", "finetune"]


@dataclass(frozen=True)
class Call:
    """The call that starts a run.

    Attributes
    ----------
    name
        The name of the library function.
    source
        The data, or the run of a stack; None for the default.
    options
        The options that differ from the defaults, and the number of threads.
    """

    name: Name
    source: str | None
    options: dict[str, Any]

    def __str__(self) -> str:
        """The call in Python."""
        said = [] if self.source is None else [repr(self.source)]
        said += [f"{name}={value!r}" for name, value in self.options.items()]
        return f"harmonium.{self.name}({', '.join(said)})"


def call_of(run: RunDirectory) -> Call | None:
    """The call that starts such a run again; None for a layer, which cannot start by itself."""
    config = run.config()
    if "layer" in config:
        return None
    kind, options = run.kind, config["options"]
    match kind.function:
        case "train":
            source, said = options["data"], _changed(table_of(kind), options)
        case "train_dbn":
            source, said = options["of_all"].get("data"), _of_stack(options)
        case "finetune":
            source = config["network"] or config["bottom"]["data"]
            said = _changed(table_of(kind), options)
    if source is not None and source.startswith("./"):  # rows that the run stores itself
        source = str(run.path / source)
    chosen = {**dict(said), **dict(_changed(WatchingOptions, config["watching"]))}
    if config["device"] != "cpu":
        chosen["device"] = config["device"]
    chosen["threads"] = config["threads"]
    default = TrainingOptions.data if kind.function != "finetune" else None
    return Call(kind.function, None if source == default else source, chosen)


def _of_stack(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if options["layers"] != LAYERS:
        yield "layers", options["layers"]
    if options["features"] is not None:
        yield "features", options["features"]
    if options["labels"]:
        yield "labels", True
    yield from _changed(TrainingOptions, options["of_all"])
    yield from options["of_each"].items()


def _changed(table: type, options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The options of a table that differ from its defaults, except the data."""
    for option in fields(table):
        if option.name == "data" or option.name not in options or not option.metadata:
            continue
        default = None if option.default is MISSING else option.default
        value = options[option.name]
        if value != default and value is not None:
            yield option.name, value
