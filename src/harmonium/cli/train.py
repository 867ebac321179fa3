"""The commands ``harmonium train`` and ``harmonium resume``, and how any run goes to its end.

Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

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
from harmonium.run_directory import Kind, RunDirectory, kinds
from harmonium.runs import opening
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rating_options import SHARED, RatingOptions
from harmonium.runs.watching_options import WatchingOptions

if TYPE_CHECKING:
    from harmonium.cli.console import Console
    from harmonium.runs.following import Finished, Going


@with_parameters(
    [
        *of_new_run("runs/DATA, runs/DATA-2, ..."),
        *parameters_of(TrainingOptions),
        *parameters_of(RatingOptions, leave_out=SHARED),
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
    typed = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name).name == "COMMANDLINE"  # type: ignore[union-attr]
    }
    kind = opening.asked_for(typed)
    opening.refuse_others(kind, typed)
    table = opening.table_of(kind)
    chosen = table(**given(table, {"data": options["data"], **typed}))
    begin(partial(opening.begin, kind), options, chosen)


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
    from harmonium.runs.resuming import Further, Said

    said = {name: value for name, value in options.items() if value is not None}
    repeated, watching = given(TrainingOptions, said), given(WatchingOptions, said)
    what = Said(Further(epochs, more_epochs), repeated, watching, device, threads)
    raise typer.Exit(to_the_end(partial(opening.resume, run, what), as_json))


def begin(task: Callable[..., Going], options: Mapping[str, Any], *chosen: Any) -> NoReturn:
    """Begin a run and train to its end; exits.

    Parameters
    ----------
    task
        Begins a run of its kind, such as `rbm_task.begin`.
    options
        Where the run goes, and how it is watched.
    chosen
        The first arguments of the task: what is learned, and of what.
    """
    watching = WatchingOptions(**given(WatchingOptions, options))
    set_threads(options["threads"])
    from harmonium.runs.following import Place

    place = Place(options["out"], options["overwrite"], options["device"])
    beginning = partial(task, *chosen, watching, place)
    raise typer.Exit(to_the_end(beginning, options["as_json"]))


def to_the_end(beginning: Callable[[Console], Going], as_json: bool) -> int:
    """Train until the end or until the user stops it; returns the exit code."""
    from harmonium.cli.console import Console
    from harmonium.runs.following import Stopped

    console = Console(as_json)
    try:
        finished = beginning(console).finish()
    except Stopped as stop:
        console.say(str(stop))
        if stop.result is not None:
            console.finish({**stop.result, "stopped": True})
        return 128 + stop.number
    for line in _left(finished):
        console.say(line)
    console.finish(finished.result)
    return 0


def _left(finished: Finished) -> Iterator[str]:
    """The files of a run, and the commands that use them."""
    run, pictures = finished.run, finished.pictures
    kind, path = run.kind, quote(str(run.path))
    yield f"{'network' if kind in (kinds.DBN, kinds.FINETUNING) else 'model':9} {run.trained_path}"
    if pictures:
        yield f"pictures  {run.figures} ({_shown(kind, pictures)}"
    yield f"page      {run.report_path}"
    yield f"next      {'   ·   '.join(f'harmonium {next_}' for next_ in _next(run, path))}"


def _shown(kind: Kind, pictures: list[Path]) -> str:
    if kind is kinds.FINETUNING:
        return f"{', '.join(picture.stem for picture in pictures)})"
    if kind is kinds.DBN:
        return (
            f"{len(pictures)}: filters of each layer, samples, reconstructions); learning curves "
            "in each layer's own folder"
        )
    return f"{len(pictures)}: filters, samples, learning curves, ...)"


def _next(run: RunDirectory, path: str) -> tuple[str, ...]:
    """Commands that use a finished run."""
    match run.kind.name:
        case kinds.FINETUNING.name:
            encodes = run.config()["options"]["kind"] == "autoencoder"
            return (f"dbn {'encode' if encodes else 'predict'} {path} DATA",)
        case kinds.DBN.name:
            from harmonium.deep import load_dbn

            labelled = load_dbn(run.trained_path).n_classes is not None
            other = f"dbn predict {path} DATA" if labelled else f"info {path}"
            return f"dbn sample {path}", other
        case kinds.RATINGS.name:
            return (f"recommend {path} --user USER",)
        case kinds.TOPICS.name:
            return f"topics {path}", f"evaluate {path}"
    return f"sample {path}", f"diagnose {path}", f"info {path}"
