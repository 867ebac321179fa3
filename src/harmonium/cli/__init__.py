"""The command line over one run directory: flags in, exit code out.

Nothing heavy is imported here, so that ``harmonium --help`` answers at once: each command imports
what it needs when it runs.
"""

from __future__ import annotations

import inspect
import errno
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from harmonium import defaults
from harmonium.cli.options import TrainingOptions, flag, training_options_among

app = typer.Typer(
    name="harmonium",
    help="Train, watch, sample and draw restricted Boltzmann machines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Named data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")]
ThreadsOption = Annotated[
    int | None, typer.Option(help="CPU threads.", min=1, show_default="one a core")
]
EveryOption = Annotated[
    int | None,
    typer.Option(
        help="Updates from one row of numbers to the next.",
        show_default=f"whole epochs, {defaults.MIN_UPDATES_PER_ROW} updates or more",
        rich_help_panel="Watching",
    ),
]
CheckpointOption = Annotated[
    float,
    typer.Option(
        "--checkpoint-every",
        help="Seconds from one checkpoint to the next.",
        rich_help_panel="Watching",
    ),
]
FiguresOption = Annotated[
    bool, typer.Option(help="Draw pictures.", rich_help_panel="Watching")
]
TensorBoardOption = Annotated[
    bool | None,
    typer.Option(
        "--tensorboard/--no-tensorboard",
        help="Write TensorBoard event files.",
        show_default="if it is installed",
        rich_help_panel="Watching",
    ),
]


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show an error's traceback.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    context.ensure_object(dict)["debug"] = debug
    if version:
        from harmonium import __version__

        print(__version__)
        raise typer.Exit


def _with_training_options(command: Any) -> Any:
    """Give a command one flag for every field of `TrainingOptions`."""
    hints = get_type_hints(TrainingOptions)
    parameters = []
    for option in fields(TrainingOptions):
        if option.name == "data":
            kind: Any = typer.Argument(**option.metadata)
        else:
            name = flag(option.name)
            switch = hints[option.name] in (bool, bool | None)
            spelling = f"{name}/--no-{name[2:]}" if switch else name
            kind = typer.Option(spelling, **option.metadata)
        assert option.default is not MISSING
        parameters.append(
            inspect.Parameter(
                option.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=option.default,
                annotation=Annotated[hints[option.name], kind],
            )
        )
    own = [
        p
        for p in inspect.signature(command, eval_str=True).parameters.values()
        if p.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    command.__signature__ = inspect.Signature([*parameters, *own])
    command.__annotations__ = {p.name: p.annotation for p in (*parameters, *own)}
    return command


def train(
    out: Annotated[
        Path | None,
        typer.Option(help="Run directory to make.", show_default="runs/DATA, runs/DATA-2, ..."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace that run.")] = False,
    every: EveryOption = None,
    checkpoint_seconds: CheckpointOption = defaults.CHECKPOINT_SECONDS,
    figures: FiguresOption = True,
    tensorboard: TensorBoardOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Train an RBM and draw what it learned.

    Without DATA it learns the bundled 8 x 8 digits. Ctrl-C keeps a checkpoint to go on from.
    """
    chosen = TrainingOptions(**options)
    _set_threads(threads)
    from harmonium.cli import training

    watching = training.Watching(every, checkpoint_seconds, figures, tensorboard, as_json)
    raise typer.Exit(training.train(chosen, watching, out, overwrite, device))


app.command()(_with_training_options(train))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def resume(
    context: typer.Context,
    run: RunArgument,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs in all.  [default: those of the run]", min=1)
    ] = None,
    every: EveryOption = None,
    checkpoint_seconds: CheckpointOption = defaults.CHECKPOINT_SECONDS,
    figures: FiguresOption = True,
    tensorboard: TensorBoardOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a run that was stopped or killed, as if it never had been.

    The options of the run are kept; one that contradicts them is refused.
    """
    _set_threads(threads)
    from harmonium.cli import training

    others = training_options_among(context.args)
    watching = training.Watching(every, checkpoint_seconds, figures, tensorboard, as_json)
    raise typer.Exit(training.resume(run, watching, epochs, others, device))


@app.command()
def sample(
    run: RunArgument,
    chains: Annotated[int, typer.Option(help="Chains.", min=1)] = 20,
    samples: Annotated[int, typer.Option(help="Samples a chain.", min=1)] = 10,
    warmup: Annotated[int, typer.Option(help="Sweeps before the first sample.", min=0)] = 1000,
    sweeps_per_sample: Annotated[
        int, typer.Option(help="Sweeps from one sample to the next.", min=1)
    ] = 100,
    start: Annotated[
        Literal["data", "random", "chains"] | None,
        typer.Option(
            help="Start at data rows, at random, or at the chains that training kept.",
            show_default="random, or data with --clamp or --data",
        ),
    ] = None,
    clamp: Annotated[
        str | None,
        typer.Option(
            help="Hold these columns of data rows and complete the rest: top, bottom, left, right "
            "(of pictures), or columns from 0, such as 0-9,20."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Rows to start at.", show_default="the run's held-out rows"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed.", min=0)] = defaults.SEED,
    out: Annotated[
        Path | None, typer.Option(help="An .npz file.", show_default="RUN/samples.npz, or -2, ...")
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sample a trained model: arrays and a sheet with one row a chain, time running right."""
    _set_threads(threads)
    from harmonium.cli import use
    from harmonium.sampling import SamplingSchedule

    use.draw_samples(
        run,
        n_chains=chains,
        schedule=SamplingSchedule(warmup, samples, sweeps_per_sample),
        start=start,
        clamp=clamp,
        source=data,
        seed=seed,
        out=out,
        device=device,
        as_json=as_json,
    )


@app.command()
def reconstruct(
    run: RunArgument,
    data: Annotated[
        str | None,
        typer.Option(help="Rows to reconstruct.", show_default="the run's held-out rows"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="An .npz file.", show_default="RUN/reconstructions.npz, or -2, ..."),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reconstruct rows: the mean visible units given the mean hidden ones."""
    _set_threads(threads)
    from harmonium.cli import use

    use.reconstruct(run, source=data, out=out, device=device, as_json=as_json)


@app.command()
def plot(
    run: RunArgument,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a run's pictures anew."""
    _set_threads(threads)
    from harmonium.cli import show

    show.plot(run, device, as_json)


@app.command()
def info(run: RunArgument, as_json: JsonOption = False) -> None:
    """Say what a run is and how far it has come."""
    from harmonium.cli import show

    show.info(run, as_json)


@data_app.command("list")
def data_list() -> None:
    """List the named data sets."""
    from harmonium import datasets

    for name, description in datasets.names().items():
        print(f"{name:10s}{description}")


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `harmonium data list`.")],
) -> None:
    """Fetch a named data set into the cache folder."""
    from harmonium import datasets
    from harmonium.cli.progress import download_progress

    with download_progress() as progress:
        print(datasets.fetch(name, progress=progress))


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def main() -> None:
    """Run the command line; an error is one paragraph and an exit code, never a traceback."""
    try:
        app()
    except (ValueError, TypeError, ImportError, OSError, FloatingPointError, MemoryError) as error:
        if "--debug" in sys.argv[1:]:
            raise
        print(f"error: {_paragraph(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def _paragraph(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"there is not enough memory ({error}); take fewer chains, rows or hidden units"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = f" for {error.filename}" if error.filename else ""
        return (
            f"no space is left on the disk{where}; nothing that was there is lost: make room, then "
            "go on with harmonium resume"
        )
    return str(error)
