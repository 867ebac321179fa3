"""The commands ``harmonium train`` and ``harmonium resume``, and how commands begin a run.

Nothing heavy is imported here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, NoReturn

import typer

from harmonium.cli.helping import help_all
from harmonium.cli.parameters import (
    ConfigOption,
    JsonOption,
    RunArgument,
    given,
    of_new_run,
    parameters_of,
    set_threads,
    with_parameters,
)
from harmonium.cli.recipe import run_file
from harmonium.runs.options import TrainingOptions, WatchingOptions


@with_parameters(
    [
        *of_new_run("runs/DATA, runs/DATA-2, ..."),
        *parameters_of(TrainingOptions),
        *parameters_of(WatchingOptions),
        help_all(),
    ]
)
def train(context: typer.Context, config: ConfigOption = None, **options: Any) -> None:
    """Train an RBM and plot what it learned.

    Without DATA it learns the bundled 8 x 8 digits. Ctrl-C saves a checkpoint, from which harmonium
    resume continues.
    """
    if config is not None:
        raise typer.Exit(run_file(context, ("train",), config))
    begin("rbm_task", options, TrainingOptions(**given(TrainingOptions, options)))


@with_parameters(
    [
        *parameters_of(TrainingOptions, leave_out=("data", "epochs"), of_the_run=True),
        *parameters_of(WatchingOptions, of_the_run=True),
    ]
)
def resume(
    run: RunArgument,
    epochs: Annotated[
        int | None,
        typer.Option(help="Total number of epochs.", min=1, show_default="those of the run"),
    ] = None,
    more_epochs: Annotated[
        int | None, typer.Option(help="Additional epochs, beyond those of the run.", min=1)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ...", show_default="that of the run")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", min=1, show_default="those of the run")
    ] = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Continue a run that was stopped or killed, as if it had never stopped.

    The run keeps its options; an option that contradicts them is an error. The exception is a
    smaller --learning-rate, which applies from here on. A deep belief network continues in the
    layer where it stopped.
    """
    from harmonium.cli.training import to_the_end
    from harmonium.runs import opening
    from harmonium.runs.resuming import Further, Said

    said = {name: value for name, value in options.items() if value is not None}
    repeated, watching = given(TrainingOptions, said), given(WatchingOptions, said)
    what = Said(Further(epochs, more_epochs), repeated, watching, device, threads)
    raise typer.Exit(to_the_end(partial(opening.resume, run, what), as_json))


def begin(kind: str, options: Mapping[str, Any], *chosen: Any) -> NoReturn:
    """Begin a run and train to its end; exits.

    Parameters
    ----------
    kind
        The module of its task, such as ``rbm_task``.
    options
        Where the run goes, and how it is watched.
    chosen
        The first arguments of its ``begin``: what is learned, and of what.
    """
    watching = WatchingOptions(**given(WatchingOptions, options))
    set_threads(options["threads"])
    from harmonium.cli import training
    from harmonium.runs.following import Place

    task = importlib.import_module(f"harmonium.runs.{kind}")
    place = Place(options["out"], options["overwrite"], options["device"])
    beginning = partial(task.begin, *chosen, watching, place)
    raise typer.Exit(training.to_the_end(beginning, options["as_json"]))
