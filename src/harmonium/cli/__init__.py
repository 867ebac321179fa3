"""The command line: options in, a run directory and an exit code out.

Nothing heavy is imported here, so that ``harmonium --help`` answers at once. Each command imports
what it needs when it runs.
"""

from __future__ import annotations

import io
import runpy
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from harmonium.cli import (
    benchmark,
    compare,
    contacts,
    data,
    dbn,
    diagnose,
    errors,
    evaluate,
    fidelity,
    impute,
    info,
    plot,
    processes,
    recipe,
    recommend,
    reconstruct,
    report,
    sample,
    score,
    topics,
    train,
)
from harmonium.cli.helping import ShortHelp
from harmonium.cli.spelling import spelled

app = typer.Typer(
    name="harmonium",
    help="Train, watch, sample and draw restricted Boltzmann machines.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Groups of commands; ``--help`` shows the commands under these headings, in this order.
_TRAIN, _SEE, _USE, _KNOW = "Train", "See what was learned", "Use a trained model", "And"


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show the traceback of an error; also works after a command."),
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    units_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.py",
            help="A Python file to run first that registers custom unit types "
            "(harmonium.units.register); also works after a command.",
        ),
    ] = None,
    n_processes: Annotated[
        int | None,
        typer.Option(
            processes.FLAG,
            min=1,
            help="Processes that share the work of "
            f"{', '.join(processes.SHARED[:-1])} or {processes.SHARED[-1]}, as torchrun starts "
            "them; also works after a command.",
        ),
    ] = None,
) -> None:
    if version:
        from harmonium import __version__

        print(__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


app.command(rich_help_panel=_TRAIN, cls=ShortHelp)(train.train)
app.command(rich_help_panel=_TRAIN)(train.resume)
_OTHERS = (impute.impute, impute.predict, recommend.recommend)
for _command in (sample.sample, reconstruct.reconstruct, *_OTHERS):
    app.command(rich_help_panel=_USE)(_command)
_SEEING = (evaluate.evaluate, diagnose.diagnose, fidelity.fidelity, plot.plot, report.report)
_OF_DATA = (contacts.contacts, score.score, topics.topics)
for _command in (*_SEEING, *_OF_DATA, compare.compare, info.info):
    app.command(rich_help_panel=_SEE)(_command)
app.command(rich_help_panel=_KNOW)(benchmark.benchmark)
app.command(rich_help_panel=_TRAIN)(recipe.recipe)
app.add_typer(dbn.app, name="dbn", rich_help_panel=_TRAIN)
app.add_typer(data.app, name="data", rich_help_panel=_KNOW)


def main() -> None:
    """Run the command line; an error gives one paragraph and an exit code, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal that lacks a character shows a replacement: no reason to stop a run
            stream.reconfigure(errors="replace")
    # anywhere, because users append it to a command that has failed
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        n_processes, arguments = processes.asked(arguments)
        if n_processes or processes.is_one_of_several():
            processes.check(arguments)
        if n_processes > 1:
            raise SystemExit(processes.start(n_processes, [*arguments, *["--debug"] * debug]))
        processes.be_silent_unless_first()
        arguments = _with_units(arguments)
        code = app(arguments, prog_name="harmonium", standalone_mode=False)
    except errors.UsageError as error:
        _fail(errors.of_usage(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except Exception as error:
        if debug:
            error.args = tuple(spelled(x) if isinstance(x, str) else x for x in error.args)
            raise
        _fail(errors.paragraph(error), 1, alone=errors.is_of_one(error))
    raise SystemExit(processes.code_of(code or 0))


def _with_units(arguments: list[str]) -> list[str]:
    """Run the files of --units-from, wherever it stands; returns the other arguments."""
    left, rest = [], iter(arguments)
    for argument in rest:
        option, is_joined, path = argument.partition("=")
        if option != "--units-from":
            left.append(argument)
            continue
        path = path if is_joined else next(rest, "")
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"--units-from is {path!r}, which is no file; pass a Python file that registers "
                "unit types (harmonium.units.register)"
            )
        runpy.run_path(path)
    return left


def _fail(paragraph: str, code: int, *, alone: bool = False) -> NoReturn:
    raise SystemExit(processes.fail(paragraph, code, alone=alone))
