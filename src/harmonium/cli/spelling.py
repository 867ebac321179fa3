"""Translates messages of the library from Python's spelling to that of the command line.

The library spells options and calls as in Python, between backquotes: `hidden`, `visible='spin'`,
`drop=['id', 'date']`, `harmonium.open('runs/a').resume()`. A user of the command line reads
``--hidden``, ``--visible spin``, ``--drop id,date`` and ``harmonium resume runs/a``. An alternative
that only Python has, such as ", or `Data.binarize()`", is left out. Nothing heavy is imported here.
"""

from __future__ import annotations

import ast
import csv
import io
import re
from dataclasses import fields, is_dataclass
from shlex import quote
from typing import Any

from harmonium.runs.answers import options as answers
from harmonium.runs.answers import options_of_data
from harmonium.runs.layers import OWN, NetworkOptions
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rating_options import RatingOptions
from harmonium.runs.reporting import SHORTER
from harmonium.runs.tuning_options import FinetuningOptions
from harmonium.runs.watching_options import WatchingOptions

_TABLES = (TrainingOptions, WatchingOptions, FinetuningOptions, NetworkOptions, RatingOptions)
_OPTIONS = {
    option.name
    for table in _TABLES
    for option in fields(table)
    if option.name != "data" and (option.metadata or option.name in OWN)
}
_OF_ANSWERS = [
    table
    for module in (answers, options_of_data)
    for table in vars(module).values()
    if is_dataclass(table)
]
_OPTIONS |= {option.name for table in _OF_ANSWERS for option in fields(table)}
_OPTIONS |= {"more_epochs", "overwrite", "device", "threads", "class", "column"}

# Options whose names differ between Python and the command line.
_SHORTER = {"classes": "class", "columns": "column", **SHORTER}

_CALL = re.compile(r"`harmonium\.open\(('[^'`]*'|\"[^\"`]*\")\)\.(\w+)\(([^`)]*)\)`")
_OF_NETWORKS = ("finetune", "predict", "encode", "decode")
_COMMANDS = {
    "`Run.encode` and `Run.decode`": "harmonium dbn encode and decode",
    "`Run.finetune(kind='autoencoder')`": "harmonium dbn finetune --kind autoencoder",
    "`harmonium.units.register`": "--units-from FILE.py",
    "`harmonium.recipes.load('FILE')`": "harmonium train --config FILE",
    "`harmonium.recipes.named('NAME')`": "harmonium recipe NAME --show",
}
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_OPTION = re.compile(rf"`(\w+)(?:=((?:{_QUOTED}|[^`'\"])+))?`")

# Classes and calls, which are never options.
_OF_PYTHON = re.compile(r", or `(?:[A-Z][\w.]*(?:\([^`]*\))?|[a-z_][\w.]*\([^`]*\))`")


def flag(name: str) -> str:
    """The option as spelled on the command line."""
    return "--" + name.replace("_", "-")


def spelled(text: str, mark: str = "") -> str:
    """A message of the library, with code spelled as typed; ``mark`` goes around each piece."""

    def command(call: re.Match[str]) -> str:
        return mark + _command(ast.literal_eval(call[1]), call[2], call[3]) + mark

    def option(said: re.Match[str]) -> str:
        name = _SHORTER.get(said[1], said[1])
        return mark + _typed(name, said[2]) + mark if name in _OPTIONS else said[0]

    text = _CALL.sub(command, text)
    for call, typed in _COMMANDS.items():
        text = text.replace(call, mark + typed + mark)
    return _OPTION.sub(option, _OF_PYTHON.sub("", text))


def in_code(text: str) -> str:
    """The same for files and pages, with backquotes around each piece of code."""
    return spelled(text, mark="`")


def _command(path: str, verb: str, options: str) -> str:
    said = [part.split("=", 1) for part in options.split(", ") if part]
    typed = f"harmonium dbn {verb}" if verb in _OF_NETWORKS else f"harmonium {verb}"
    return " ".join([typed, quote(path), *(f"{flag(name)} {value}" for name, value in said)])


def _typed(name: str, value: str | None) -> str:
    match value:
        case None | "True":
            return flag(name)
        case "False":
            return flag(f"no_{name}")
    return f"{flag(name)} {_as_typed(value)}"


def _as_typed(value: str) -> str:
    """A value as the shell takes it; anything but a Python literal, such as NAME, is unchanged."""
    try:
        meant: Any = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return value
    if isinstance(meant, dict):
        meant = [f"{name}={kind}" for name, kind in meant.items()]
    if isinstance(meant, list | tuple):  # names with commas are quoted
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(meant)
        meant = line.getvalue()
    return quote(meant) if isinstance(meant, str) else value
