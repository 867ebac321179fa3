"""The command ``harmonium recipe``; what it does is in `cooking`.

Nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmonium.cli import completing
from harmonium.cli.parameters import JsonOption, OverwriteOption, ThreadsOption, new_run


def recipe(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A recipe; or `list`, for all of them.",
            autocompletion=completing.recipes,
        ),
    ] = "list",
    show: Annotated[
        bool, typer.Option("--show", help="Print its file, to begin one of your own with.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Train nothing: put what was published beside a run of it."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of each training.", min=1, show_default="the recipe's"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of everything that is random.", min=0, show_default="the recipe's, or 0"
        ),
    ] = None,
    out: Annotated[Path | None, new_run("runs/NAME, runs/NAME-2, ...")] = None,
    overwrite: OverwriteOption = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ...", show_default="cpu")
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a known training: that of a tutorial, with its numbers beside the run's.

    A recipe is a file over the ordinary commands, which are printed before they run. A file of
    your own runs with harmonium train --config FILE.
    """
    from harmonium import recipes
    from harmonium.cli import cooking

    if name == "list":
        cooking.show_list(as_json)
        return
    chosen = recipes.named(name)
    if show:
        cooking.show_file(chosen, as_json)
    elif table is not None:
        cooking.show_table(chosen, table, as_json)
    else:
        for_all = {"epochs": epochs, "seed": seed, "device": device, "threads": threads}
        code = cooking.run(context, chosen, for_all, out=out, overwrite=overwrite, as_json=as_json)
        raise typer.Exit(code)
