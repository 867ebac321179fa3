"""Help that fits on a screen: the options that matter first, and all of them by ``--help-all``.

Nothing heavy is imported here.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

_SHOWS_ALL = "harmonium.shows_all_options"

# What somebody who trains a first model asks for, of all commands that have so many options.
_FIRST = (
    *("data", "source", "config", "out", "overwrite", "device", "as_json", "help", "help_all"),
    *("label", "target", "drop", "header", "image_shape", "binarize", "standardize"),
    *("visible", "hidden", "hidden_units", "layers", "labels", "kind", "from_scratch"),
    *("epochs", "batch_size", "learning_rate", "seed"),
)


class ShortHelp(TyperCommand):
    """A command whose ``--help`` shows a few of its options, and says how to see the others."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, as short as was asked for."""
        if ctx.meta.get(_SHOWS_ALL):
            super().format_help(ctx, formatter)
            return
        # hidden while it is written and no longer: what is hidden is no less an option
        others = [p for p in self.params if p.name not in _FIRST and not getattr(p, "hidden", True)]
        epilog = self.epilog
        self.epilog = f"{len(others)} more options: {ctx.command_path} --help-all"
        for parameter in others:
            parameter.hidden = True  # type: ignore[attr-defined]
        try:
            super().format_help(ctx, formatter)
        finally:
            self.epilog = epilog
            for parameter in others:
                parameter.hidden = False  # type: ignore[attr-defined]


def _show_all(context: typer.Context, asked: bool) -> None:
    if asked:
        context.meta[_SHOWS_ALL] = True
        text = context.get_help()  # rich prints by itself, and returns nothing
        if text:
            print(text)
        raise typer.Exit


def help_all() -> inspect.Parameter:
    """The option of a command with `ShortHelp` that shows all others."""
    option = typer.Option(
        "--help-all",
        help="Show every option and exit.",
        is_eager=True,
        expose_value=False,
        callback=_show_all,
    )
    return inspect.Parameter(
        "help_all",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, option],
    )
