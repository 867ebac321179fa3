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
from harmonium.runs.options import TrainingOptions, WatchingOptions
from harmonium.runs.tuning_options import FinetuningOptions

_TABLES = (TrainingOptions, WatchingOptions, FinetuningOptions, NetworkOptions)
_OPTIONS = {option.name for table in _TABLES for option in fields(table)} - {"data"}
_OPTIONS |= {"more_epochs", "out", "overwrite", "device", "threads", "budget"}

# What Python's functions call options of the command line otherwise.
_SHORTER = {"n_temperatures": "temperatures", "n_chains": "chains"}

_CALL = re.compile(r"`harmonium\.open\(('[^'`]*'|\"[^\"`]*\")\)\.resume\(([^`)]*)\)`")
_REGISTER = "`harmonium.units.register`"
_OPTION = re.compile(r"`(\w+)(?:=([^`]+))?`")


def flag(name: str) -> str:
    """The command line's spelling of an option."""
    return "--" + name.replace("_", "-")


def spelled(text: str, mark: str = "") -> str:
    """What the library says, as it is typed; ``mark`` stands around each piece of it."""

    def command(call: re.Match[str]) -> str:
        return mark + _command(ast.literal_eval(call[1]), call[2]) + mark

    def option(said: re.Match[str]) -> str:
        name = _SHORTER.get(said[1], said[1])
        return mark + _typed(name, said[2]) + mark if name in _OPTIONS else said[0]

    return _OPTION.sub(option, _CALL.sub(command, text).replace(_REGISTER, "--units-from FILE.py"))


def _command(path: str, options: str) -> str:
    said = [part.split("=", 1) for part in options.split(", ") if part]
    return " ".join(
        ["harmonium resume", quote(path), *(f"{flag(name)} {value}" for name, value in said)]
    )


def _typed(name: str, value: str | None) -> str:
    match value:
        case None | "True":
            return flag(name)
        case "False":
            return flag(f"no_{name}")
    return f"{flag(name)} {value.strip(chr(39))}"
