"""The commands of ``harmonium data``: named data sets.

Nothing heavy is imported here.
"""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Named data sets.")


@app.command("list")
def list_names() -> None:
    """List the named data sets."""
    from harmonium import datasets

    for name, description in datasets.names().items():
        print(f"{name:10s}{description}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `harmonium data list`.")],
) -> None:
    """Fetch a named data set into the cache folder."""
    from harmonium import datasets
    from harmonium.cli.progress import download_progress

    with download_progress() as progress:
        print(datasets.fetch(name, progress=progress))
