"""Options from Python: keyword arguments, checked against the tables of options.

The tables hold values that can be typed on a command line, so numbers and lists become text where a
table has text: ``binarize=0.5``, ``image_shape=(28, 28)``, ``layers=[500, 500]``.
"""

from __future__ import annotations

import csv
import io
import operator
from collections.abc import Iterable, Mapping
from dataclasses import fields
from numbers import Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harmonium.arguments import described, meant
from harmonium.run_directory import Kind
from harmonium.runs.layers import OF_EACH, OWN, NetworkOptions, offered_once
from harmonium.runs.opening import refuse_others, table_of
from harmonium.runs.options import TrainingOptions
from harmonium.runs.tuning_options import FinetuningOptions
from harmonium.runs.watching_options import WatchingOptions


def of_training(kind: Kind, data: str, options: Mapping[str, Any]) -> tuple[Any, WatchingOptions]:
    """The options for a training of a kind that `harmonium.train` begins.

    Raises
    ------
    TypeError, ValueError
        For an option that is unknown, has the wrong type, is out of range, or is for another kind.
    """
    refuse_others(kind, options)
    table = table_of(kind)
    chosen = _checked("train", (table, WatchingOptions), options)
    training = table(data=data, **_of(table, chosen))
    return training, WatchingOptions(**_of(WatchingOptions, chosen))


def of_stack(data: str, options: Mapping[str, Any]) -> tuple[NetworkOptions, WatchingOptions]:
    """The options for pretraining a stack; raises what `of_training` raises."""
    each = {name: value for name, value in options.items() if name in OF_EACH}
    others = {name: value for name, value in options.items() if name not in (*OWN, *each)}
    lacking = {*offered_once()} - {*OF_EACH}
    known = [*OWN, *_offered(TrainingOptions), *_offered(WatchingOptions)]
    known = [name for name in known if name not in lacking]
    for name in options:
        if name not in known:
            _refuse(name, "train_dbn", known)
    chosen = _checked("train_dbn", (TrainingOptions, WatchingOptions), others)
    of_each = {}
    for name, value in each.items():
        values = value if isinstance(value, list | tuple) else [value]
        hint = get_type_hints(TrainingOptions)[name]
        # values that are text already are checked where the layers are made
        texts = [
            v if isinstance(v, str) else "none" if v is None else str(_taken(name, hint, v))
            for v in values
        ]
        of_each[name] = ",".join(texts)
    of_all = {"data": data, **_of(TrainingOptions, chosen)}
    said = {name: options[name] for name in ("features", "labels") if name in options}
    if "layers" in options:
        said["layers"] = _text("layers", options["layers"])
    network = NetworkOptions(of_all=of_all, of_each=of_each, **said)
    return network, WatchingOptions(**_of(WatchingOptions, chosen))


def of_finetuning(options: Mapping[str, Any]) -> tuple[FinetuningOptions, WatchingOptions]:
    """The options for fine-tuning; raises what `of_training` raises."""
    chosen = _checked("finetune", (FinetuningOptions, WatchingOptions), options)
    tuning = FinetuningOptions(**_of(FinetuningOptions, chosen))
    return tuning, WatchingOptions(**_of(WatchingOptions, chosen))


def of_resuming(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Repeated options of a run, and its monitoring options; raises what `of_training` raises."""
    chosen = _checked("resume", (TrainingOptions, WatchingOptions), options)
    return _of(TrainingOptions, chosen), _of(WatchingOptions, chosen)


def of_answer(
    function: str, tables: tuple[type[Any], ...], options: Mapping[str, Any]
) -> list[Any]:
    """The tables of what a run is asked; ``data`` may be rows. Raises what `of_training` raises."""
    chosen = _checked(function, tables, options)
    return [table(**_of(table, chosen)) for table in tables]


def _of(table: type, chosen: Mapping[str, Any]) -> dict[str, Any]:
    names = {option.name for option in fields(table)}
    return {name: value for name, value in chosen.items() if name in names}


def _offered(table: type) -> list[str]:
    """The options of a table that a user can set by keyword."""
    return [
        option.name
        for option in fields(table)
        if option.metadata and "metavar" not in option.metadata
    ]


def _refuse(name: str, function: str, known: list[str]) -> None:
    there = f"it has {', '.join(known)}"
    raise TypeError(f"{function} has no option {name!r}; {meant(name, known, there)}")


def _checked(function: str, tables: tuple[type, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, converted to the types of their tables."""
    hints: dict[str, Any] = {}
    for table in tables:
        of_table = get_type_hints(table)
        hints |= {name: of_table[name] for name in _offered(table)}
    for name in options:
        if name not in hints:
            _refuse(name, function, list(hints))
    return {name: _taken(name, hints[name], value) for name, value in options.items()}


def _taken(name: str, hint: Any, value: Any) -> Any:
    """A value, converted to the type of its option."""
    if name == "data":  # or rows in memory
        return value
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return None
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise ValueError(f"`{name}` is {value!r}; pass one of {', '.join(get_args(kind))}")
    if kind is str:
        return _text(name, value)
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is float and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if kind is int and hasattr(value, "__index__") and not isinstance(value, bool):
        return operator.index(value)
    what = {bool: "True or False", int: "a whole number", float: "a number", Path: "a path"}[kind]
    raise TypeError(f"`{name}` is {described(value)}; pass {what}")


def _text(name: str, value: Any) -> str:
    """The text that would be typed for a value."""
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        return f"{value}"
    if isinstance(value, Iterable):
        cells = [f"{k}={x}" for k, x in value.items()] if isinstance(value, Mapping) else value
        cells = [str(cell) for cell in cells]
        if name == "image_shape":
            return "x".join(cells)
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(cells)  # names with commas are quoted
        return line.getvalue()
    raise TypeError(f"`{name}` is {described(value)}; pass text, a number, or a list of them")
