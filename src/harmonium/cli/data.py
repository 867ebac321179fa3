"""The commands of ``harmonium data``: named data sets.

Nothing heavy is imported here.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from harmonium.cli import completing
from harmonium.cli.parameters import JsonOption

app = typer.Typer(help="Named data sets.")


@app.command("list")
def list_names(as_json: JsonOption = False) -> None:
    """List the named data sets."""
    from harmonium import datasets

    for name, description in datasets.names().items():
        said = json.dumps({"name": name, "description": description})
        print(said if as_json else f"{name:10s}{description}")


@app.command()
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="One of `harmonium data list`.",
            autocompletion=completing.data,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Fetch a named data set into the cache folder."""
    from harmonium import datasets
    from harmonium.cli.progress import download_progress

    with download_progress() as progress:
        path = datasets.fetch(name, progress=progress)
    print(json.dumps({"name": name, "path": str(path)}) if as_json else path)
