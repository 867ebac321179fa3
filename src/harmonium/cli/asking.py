"""Commands that ask a run: they open it, have it answer, and print what is worded of the answer.

Such a command is a function that asks and yields the lines for a person, and returns the object for
``--json``. Its tables of options become its parameters. Nothing heavy is imported here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harmonium.cli import processes
from harmonium.cli.parameters import (
    RunArgument,
    given,
    parameter,
    parameters_of,
    set_threads,
    with_parameters,
)
from harmonium.run_directory import RunDirectory
from harmonium.runs.answers.asked import Asked

if TYPE_CHECKING:
    from harmonium.report import Table

Lines = Generator[str, None, Mapping[str, Any]]
"""Lines for a person; the generator returns the result."""


def asking(*shown: Any, run: Any = RunArgument) -> Callable[[Callable[..., Lines]], Any]:
    """Make a command of a function ``tell(asked, *options, **own)``.

    Parameters
    ----------
    shown
        What the command offers, in this order: tables of options, of each of which the function
        gets an instance, and `WHERE` or `JSON`. Keyword-only parameters of the function come first.
    run
        The argument that names the run.
    """
    tables = [table for table in shown if isinstance(table, type)]

    def make(tell: Callable[..., Lines]) -> Any:
        signature = inspect.signature(tell, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
        offered = [parameter("run", run), *own]
        for one in shown:
            offered += parameters_of(one) if isinstance(one, type) else one

        def command(**options: Any) -> None:
            chosen = [table(**given(table, options)) for table in tables]
            set_threads(options.get("threads"))
            from harmonium.cli.console import Console

            console = Console(options["as_json"], computes="device" in options)
            directory = RunDirectory.open_any(processes.own_copy(options["run"]))
            asked = Asked(directory, options.get("device", "cpu"), console)
            console.print_all(tell(asked, *chosen, **{p.name: options[p.name] for p in own}))

        command.__name__, command.__doc__ = tell.__name__, tell.__doc__
        return with_parameters(offered)(command)

    return make


def lines_of(table: Table) -> Iterator[str]:
    """A table for a terminal."""
    cells = [row for row in (table.header, *table.rows) if any(row)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    yield f"\n{table.title}"
    for row in cells:
        yield "  " + "  ".join(f"{cell:{n}}" for cell, n in zip(row, widths, strict=True)).rstrip()
