"""Help that fits on a screen: the most important options, and all of them with ``--help-all``.

Nothing heavy is imported here.
"""

from __future__ import annotations

import copy
import inspect
import re
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from harmonium.cli.parameters import parameter

_SHOWS_ALL = "harmonium.shows_all_options"

# Longest default in words, such as "as in pretraining"; only --help-all shows longer ones.
_LONGEST_DEFAULT = 24

# The options needed to train a first model, of all commands with many options.
_FIRST = (
    *("data", "source", "config", "out", "device", "as_json", "help", "help_all"),
    *("label", "target", "drop", "visible", "image_shape", "binarize"),
    *("hidden", "layers", "labels", "kind"),
    *("epochs", "batch_size", "learning_rate", "seed"),
)


class ShortHelp(TyperCommand):
    """A command whose ``--help`` shows a few options and says how to see the others."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the short or the full help."""
        if ctx.meta.get(_SHOWS_ALL):
            super().format_help(ctx, formatter)
            return
        shown = [_in_short(p, ctx) for p in self.params if p.name in _FIRST]
        n_others = sum(not getattr(p, "hidden", False) for p in self.params) - len(shown)
        short = copy.copy(self)
        short.params = shown
        short.epilog = f"{n_others} more options: {ctx.command_path} --help-all"
        super(ShortHelp, short).format_help(ctx, formatter)


def _in_short(parameter: Any, context: Any) -> Any:
    """The option with the first words of its help, including its choices."""
    short = copy.copy(parameter)
    short.rich_help_panel = None
    if short.param_type_name == "argument":
        return short
    about = re.split(r"(?<=\w)[;.] ", short.help or "")[0]
    about = about if about.endswith("...") else about.rstrip(".")
    record = parameter.get_help_record(context)
    choices = re.search(r"[<\[]([\w-]+(?:\|[\w-]+)+)[>\]]", record[0] if record else "")
    if choices:  # next to the option they would take half of the screen
        short.metavar = "NAME"
        names = choices[1].split("|")
        if not all(name in about for name in names):
            about += f": {', '.join(names)}"
    short.help = about if about.endswith("...") else f"{about}."
    if isinstance(short.show_default, str) and len(short.show_default) > _LONGEST_DEFAULT:
        short.show_default = False
    return short


def _show_all(context: typer.Context, asked: bool) -> None:
    if asked:
        context.meta[_SHOWS_ALL] = True
        text = context.get_help()  # rich prints by itself, and returns nothing
        if text:
            print(text)
        raise typer.Exit


def help_all() -> inspect.Parameter:
    """The option, for a command with `ShortHelp`, that shows all other options."""
    option = typer.Option(
        "--help-all",
        help="Show every option and exit.",
        is_eager=True,
        expose_value=False,
        callback=_show_all,
    )
    return parameter("help_all", Annotated[bool, option], False)
