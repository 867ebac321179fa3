"""The library's words as they are typed: what it says of Python's calls, in the command line's.

The library names an option as in Python, between backquotes: `hidden`, `visible='spin'`,
`harmonium.open('runs/a').resume()`. A person at a command line reads ``--hidden``,
``--visible spin`` and ``harmonium resume runs/a``. Nothing heavy is imported here.
"""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from shlex import quote

from harmonium.runs.layers import NetworkOptions
from harmonium.runs.options import FinetuningOptions, TrainingOptions, WatchingOptions

_TABLES = (TrainingOptions, WatchingOptions, FinetuningOptions, NetworkOptions)
_OPTIONS = {option.name for table in _TABLES for option in fields(table)} - {"data"}
_OPTIONS |= {"more_epochs", "out", "overwrite", "device", "threads"}

_CALL = re.compile(r"`harmonium\.open\(('[^'`]*'|\"[^\"`]*\")\)\.resume\(([^`)]*)\)`")
_OPTION = re.compile(r"`(\w+)(?:=([^`]+))?`")


def flag(name: str) -> str:
    """The command line's spelling of an option."""
    return "--" + name.replace("_", "-")


def spelled(text: str) -> str:
    """What the library says, as it is typed."""
    text = _CALL.sub(lambda call: _command(ast.literal_eval(call[1]), call[2]), text)
    return _OPTION.sub(_typed, text)


def _command(path: str, options: str) -> str:
    said = [part.split("=", 1) for part in options.split(", ") if part]
    return " ".join(
        ["harmonium resume", quote(path), *(f"{flag(name)} {value}" for name, value in said)]
    )


def _typed(option: re.Match[str]) -> str:
    name, value = option[1], option[2]
    if name not in _OPTIONS:
        return option[0]
    match value:
        case None | "True":
            return flag(name)
        case "False":
            return flag(f"no_{name}")
    return f"{flag(name)} {value.strip(chr(39))}"
