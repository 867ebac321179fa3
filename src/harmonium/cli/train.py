"""The commands ``harmonium train`` and ``harmonium resume``, and how any run goes to its end.

Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
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
from harmonium.run_directory import Network
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rating_options import (
    SHARED,
    RatingOptions,
    refuse_others,
    refuse_without_ratings,
)
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
    if options["ratings"] is not None:
        refuse_others(typed)
        of_ratings = RatingOptions(**given(RatingOptions, {"data": options["data"], **typed}))
        from harmonium.runs import rating_task

        begin(rating_task.begin, options, of_ratings)
    refuse_without_ratings(typed)
    chosen = TrainingOptions(**given(TrainingOptions, options))
    from harmonium.runs import opening

    begin(opening.begin, options, chosen)


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
    from harmonium.runs import opening
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
    from harmonium.deep import load_dbn

    run, pictures = finished.run, finished.pictures
    path = quote(str(run.path))
    if run.is_finetuning:
        yield f"network   {run.network_path}"
        if pictures:
            yield f"pictures  {run.figures} ({', '.join(path.stem for path in pictures)})"
        yield f"page      {run.report_path}"
        command = "encode" if run.config()["options"]["kind"] == "autoencoder" else "predict"
        yield f"next      harmonium dbn {command} {path} DATA"
        return
    if run.holds_a_network:
        dbn_path = Network(run).dbn_path
        yield f"network   {dbn_path}"
        if pictures:
            yield (
                f"pictures  {run.figures} ({len(pictures)}: filters of each layer, samples, "
                "reconstructions); learning curves in each layer's own folder"
            )
        yield f"page      {run.report_path}"
        labelled = load_dbn(dbn_path).n_classes is not None
        other = f"dbn predict {path} DATA" if labelled else f"info {path}"
        yield f"next      harmonium dbn sample {path}   ·   harmonium {other}"
        return
    yield f"model     {run.model_path}"
    if run.holds_ratings or run.holds_topics:
        yield f"page      {run.report_path}"
        other = f"harmonium recommend {path} --user USER"
        if run.holds_topics:
            other = f"harmonium topics {path}   ·   harmonium evaluate {path}"
        yield f"next      {other}"
        return
    if pictures:
        yield (f"pictures  {run.figures} ({len(pictures)}: filters, samples, learning curves, ...)")
    yield f"page      {run.report_path}"
    yield (
        f"next      harmonium sample {path}   ·   harmonium diagnose {path}   ·   harmonium info "
        f"{path}"
    )
