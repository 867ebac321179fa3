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
        bool, typer.Option("--show", help="Print its file, as a start for your own.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Train nothing; compare an existing run with the published numbers."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of each training run.", min=1, show_default="the recipe's"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Random seed.", min=0, show_default="the recipe's, or 0"),
    ] = None,
    out: Annotated[Path | None, new_run("runs/NAME, runs/NAME-2, ...")] = None,
    overwrite: OverwriteOption = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ...", show_default="cpu")
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a known training procedure, such as a tutorial's, and compare with its published numbers.

    A recipe is a file of ordinary commands, which are printed before they run. Run your own file
    with harmonium train --config FILE.
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
