"""The command-line reference, from the program itself: what ``--help`` says of every command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from harmonium.cli import app

PLACE = re.compile("<!-- every command, from the program -->.*<!-- end -->", re.DOTALL)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the commands in their place, and in that of what readers of the sources find there."""
    return PLACE.sub(lambda _: "\n".join(lines(get_command(app), "harmonium")), markdown)


def lines(command: Any, name: str) -> Iterator[str]:
    """A command and those below it, each with its usage, its help and tables of its parameters."""
    context = typer.Context(command, info_name=name)
    below = getattr(command, "commands", {})
    if name != "harmonium":
        yield f"## {name}\n"
    yield f"{text(command.help or '')}\n"
    if not below:
        yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
        yield from tables(command, context)
    for own, each in below.items():
        yield from lines(each, f"{name} {own}")


def tables(command: Any, context: typer.Context) -> Iterator[str]:
    """One table for each panel of ``--help``, in its order."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:  # None where it is hidden
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panels.setdefault(parameter.rich_help_panel or kind, []).append(record)
    first = [panel for panel in ("Arguments", "Options") if panel in panels]
    for panel in dict.fromkeys([*first, *panels]):
        yield f"| {panel} | |\n|---|---|"
        for names, about in panels[panel]:
            yield f"| {names_and_type(names)} | {default_apart(text(about))} |"
        yield ""


def names_and_type(record: str) -> str:
    """`--visible` binary | spin: names are code, and what they take may be broken over lines."""
    names, _, kind = record.partition(" <")
    choices = kind.rstrip(">").removesuffix(" range").replace("|", " \\| ")
    return " ".join([*(f"`{name}`" for name in names.split(" / ")), choices])


def text(about: str) -> str:
    return about.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def default_apart(about: str) -> str:
    """``[default: 0.5; x>=1]`` in italics."""
    return re.sub(r"\s*\[(default: .*|x.*)\]$", r" *\1*", about)
