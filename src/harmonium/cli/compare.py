"""The command ``harmonium compare``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmonium.cli.parameters import JsonOption

_FEW_RUNS = 3  # most runs whose pairs are printed; a page has room for more


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Two to eight run directories.")
    ],
    out: Annotated[Path, typer.Option(help="The page to write; replaces an existing page.")] = Path(
        "compare.html"
    ),
    as_json: JsonOption = False,
) -> None:
    """Compare runs side by side in one page: curves, options that differ, likelihoods, samples."""
    from harmonium.cli.console import Console
    from harmonium.run_directory import RunDirectory
    from harmonium.runs.answers import compare

    found = compare.compare([RunDirectory.open_any(run) for run in runs], out)
    console = Console(as_json, computes=False)
    console.tell(found.verdict.replace("`", ""))
    for one in found.differences if len(runs) <= _FEW_RUNS else ():
        rows = ""
        if one.rows_std_error is not None:
            rows = f" (with other rows of their kind: ± {one.rows_std_error:.2g})"
        console.tell(
            f"{one.a} − {one.b}: {one} nats a row, on the same {one.n_rows:,} rows of "
            f"{one.data}{rows}"
        )
    console.tell(f"page      {found.page}")
    console.finish(found.as_dict())
