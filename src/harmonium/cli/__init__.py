"""The command line over one run directory: flags in, exit code out.

Nothing heavy is imported here, so that ``harmonium --help`` answers at once: each command imports
what it needs when it runs.
"""

from __future__ import annotations

import io
import runpy
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from harmonium import defaults
from harmonium.cli import completing, data, deep, errors
from harmonium.cli.helping import ShortHelp, help_all
from harmonium.cli.parameters import (
    ClampOption,
    ConfigOption,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    RunArgument,
    SamplesFileOption,
    SamplesOption,
    SeedOption,
    StartRowsOption,
    SweepsPerSampleOption,
    TemperaturesOption,
    ThreadsOption,
    WarmupOption,
    given,
    new_run,
    parameters_of,
    set_threads,
    with_parameters,
)
from harmonium.runs.options import SamplerName, Start, TrainingOptions, WatchingOptions
from harmonium.runs.rows import ReadingOptions

app = typer.Typer(
    name="harmonium",
    help="Train, watch, sample and draw restricted Boltzmann machines.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What a person wants to do; ``--help`` shows the commands under these words, in this order.
_TRAIN, _SEE, _USE, _KNOW = "Train", "See what was learned", "Use a trained model", "And"


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show an error's traceback; also behind a command."),
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    units_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.py",
            help="Run this file first, which registers unit types of your own "
            "(harmonium.units.register); also behind a command.",
        ),
    ] = None,
) -> None:
    if version:
        from harmonium import __version__

        print(__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command(rich_help_panel=_TRAIN, cls=ShortHelp)
@with_parameters([*parameters_of(TrainingOptions), *parameters_of(WatchingOptions), help_all()])
def train(
    context: typer.Context,
    config: ConfigOption = None,
    out: Annotated[Path | None, new_run("runs/DATA, runs/DATA-2, ...")] = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Train an RBM and draw what it learned.

    Without DATA it learns the bundled 8 x 8 digits. Ctrl-C keeps a checkpoint to go on from.
    """
    if config is not None:
        from harmonium.cli import cooking

        raise typer.Exit(cooking.run_file(context, ("train",), config, out, overwrite, as_json))
    chosen = TrainingOptions(**given(TrainingOptions, options))
    watching = WatchingOptions(**given(WatchingOptions, options))
    set_threads(threads)
    from harmonium.cli import training
    from harmonium.runs.following import Place

    raise typer.Exit(training.train(chosen, watching, Place(out, overwrite, device), as_json))


@app.command(rich_help_panel=_TRAIN)
@with_parameters(
    [
        *parameters_of(TrainingOptions, leave_out=("data", "epochs"), of_the_run=True),
        *parameters_of(WatchingOptions, of_the_run=True),
    ]
)
def resume(
    run: RunArgument,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs in all.", min=1, show_default="those of the run")
    ] = None,
    more_epochs: Annotated[
        int | None, typer.Option(help="Or so many beyond those of the run.", min=1)
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
    """Go on with a run that was stopped or killed, as if it never had been.

    The options of the run are kept; one that contradicts them is refused, but for a smaller
    --learning-rate, which is taken from here on. A deep belief network goes on in the layer where
    it was.
    """
    from harmonium.cli import training
    from harmonium.runs.resuming import Further, Said

    said = {name: value for name, value in options.items() if value is not None}
    repeated, watching = given(TrainingOptions, said), given(WatchingOptions, said)
    further = Further(epochs, more_epochs)
    raise typer.Exit(
        training.resume(run, Said(further, repeated, watching, device, threads), as_json)
    )


@app.command(rich_help_panel=_USE)
@with_parameters(parameters_of(ReadingOptions))
def sample(
    run: RunArgument,
    chains: Annotated[
        int | None,
        typer.Option(help="Chains.", min=1, show_default="20, or fewer where fewer can start"),
    ] = None,
    samples: SamplesOption = 10,
    warmup: WarmupOption = defaults.SAMPLE_WARMUP,
    sweeps_per_sample: SweepsPerSampleOption = 100,
    start: Annotated[
        Start | None,
        typer.Option(
            help="Start at data rows, at random, at the chains that training kept, or near "
            "equilibrium: after a run from independent units to the model (annealed), or after "
            "a warm-up by tempering (tempered).",
            show_default="random, or data with --clamp or --data",
        ),
    ] = None,
    sampler: Annotated[
        SamplerName,
        typer.Option(
            help="How chains move: Gibbs sweeps, or these at several temperatures that swap "
            "their states, which mixes modes that are far apart."
        ),
    ] = "gibbs",
    temperatures: TemperaturesOption = None,
    clamp: ClampOption = None,
    data: StartRowsOption = None,
    seed: SeedOption = defaults.SEED,
    out: SamplesFileOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Sample a trained model: arrays and a sheet with one row a chain, time running right."""
    set_threads(threads)
    from harmonium.cli import use
    from harmonium.cli.chains import ChainOptions
    from harmonium.sampling import SamplingSchedule

    begin = start or ("data" if clamp or data else "random")
    use.draw_samples(
        run,
        ChainOptions(
            chains or defaults.SAMPLE_CHAINS,
            begin,
            sampler,
            temperatures,
            fewer_will_do=chains is None,
        ),
        schedule=SamplingSchedule(warmup, samples, sweeps_per_sample),
        clamp=clamp,
        source=data,
        said=ReadingOptions(**options),
        seed=seed,
        out=out,
        device=device,
        as_json=as_json,
    )


@app.command(rich_help_panel=_USE)
@with_parameters(parameters_of(ReadingOptions))
def reconstruct(
    run: RunArgument,
    data: Annotated[
        str | None,
        typer.Option(help="Rows to reconstruct.", show_default="the run's held-out rows"),
    ] = None,
    shown: Annotated[int, typer.Option(help="Rows in the picture.", min=1)] = 20,
    out: Annotated[
        Path | None,
        typer.Option(help="An .npz file.", show_default="RUN/reconstructions.npz, or -2, ..."),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Reconstruct rows: the mean visible units given the mean hidden ones."""
    set_threads(threads)
    from harmonium.cli import use

    use.reconstruct(
        run,
        source=data,
        said=ReadingOptions(**options),
        shown=shown,
        out=out,
        device=device,
        as_json=as_json,
    )


@app.command(rich_help_panel=_SEE)
@with_parameters(parameters_of(ReadingOptions))
def evaluate(
    run: RunArgument,
    chains: Annotated[
        int, typer.Option(help="Chains of the annealing, each way.", min=2)
    ] = defaults.LIKELIHOOD_CHAINS,
    temperatures: Annotated[
        int,
        typer.Option(
            help="Temperatures at most: annealing is lengthened until all estimates agree.", min=2
        ),
    ] = defaults.LIKELIHOOD_TEMPERATURES,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Time to spend instead, such as 90s, 10m or 2h; more goes on from what is there.",
            show_default="until the estimates agree",
        ),
    ] = None,
    split: Annotated[
        Literal["test", "held-out", "train"] | None,
        typer.Option(help="Rows of the run's data.", show_default="test, or held-out"),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Other rows.", show_default="the run's own")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Rows, drawn at random.", min=1, show_default="all")
    ] = None,
    binarize: Annotated[
        str | None,
        typer.Option(
            help="A threshold, as a share of white for grey pictures, or `stochastic`.",
            show_default="as in training, or 0.5 if that took grey values",
        ),
    ] = None,
    seed: SeedOption = defaults.SEED,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Give the mean log-likelihood of test rows, nats: exactly, or as an interval.

    Exact where one layer has at most 2^25 states. Else log Z is estimated in three ways, which have
    to agree; where they do not, there is no lower bound, and the reason stands in its place. The
    result is kept in RUN/likelihood.json.
    """
    set_threads(threads)
    from harmonium.cli import judge

    judge.run(
        run,
        n_chains=chains,
        n_temperatures=temperatures,
        budget=budget,
        split=split,
        source=data,
        said=ReadingOptions(**options),
        n_rows=rows,
        binarize=binarize,
        seed=seed,
        device=device,
        as_json=as_json,
    )


@app.command(rich_help_panel=_SEE)
def diagnose(
    run: RunArgument,
    sweeps: Annotated[
        int, typer.Option(help="Sweeps of each chain, of which half are warm-up.", min=16)
    ] = defaults.DIAGNOSE_SWEEPS,
    chains: Annotated[
        int, typer.Option(help="Chains, half of them from data and half at random.", min=1)
    ] = defaults.DIAGNOSE_CHAINS,
    seed: SeedOption = defaults.SEED,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a run, and what to do: a table, advice, and a part of RUN/report.html.

    Measures how fast chains mix and whether they agree, how their moments differ from the data's,
    idle hidden units, and overfitting. A former diagnosis is replaced.
    """
    set_threads(threads)
    from harmonium.cli import diagnosing

    diagnosing.run(run, n_sweeps=sweeps, n_chains=chains, seed=seed, device=device, as_json=as_json)


@app.command(rich_help_panel=_SEE)
def plot(
    run: RunArgument,
    filters: Annotated[int, typer.Option(help="Filters of a layer in its sheet.", min=1)] = 100,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a run's pictures anew."""
    set_threads(threads)
    from harmonium.cli import dreaming, show

    if _holds_a_network(run):
        dreaming.plot(run, filters, device, as_json)
        return
    show.plot(run, filters, device, as_json)


@app.command(rich_help_panel=_SEE)
def report(run: RunArgument, as_json: JsonOption = False) -> None:
    """Write a run's page anew: RUN/report.html.

    Training writes it with every checkpoint and at its end, evaluate and diagnose when they are
    done. What sample, reconstruct and plot have made since is on it once this has renewed it.
    """
    from harmonium.cli import reporting

    reporting.rewrite(run, as_json)


@app.command(rich_help_panel=_SEE)
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Two to eight run directories.")
    ],
    out: Annotated[Path, typer.Option(help="The page to write; a former one is replaced.")] = Path(
        "compare.html"
    ),
    as_json: JsonOption = False,
) -> None:
    """Put runs beside each other in one page: curves, options that differ, likelihoods, samples."""
    from harmonium.cli import reporting

    reporting.compare(runs, out, as_json)


@app.command(rich_help_panel=_SEE)
def info(run: RunArgument, as_json: JsonOption = False) -> None:
    """Say what a run is and how far it has come."""
    from harmonium.cli import show

    show.info(run, as_json)


@app.command(rich_help_panel=_KNOW)
def benchmark(
    workloads: Annotated[
        str | None,
        typer.Option(help="Workloads, such as W1,sampling.", show_default="W1,W2,W3,W4,sampling"),
    ] = None,
    peers: Annotated[
        str | None,
        typer.Option(
            help="Peers to compare with: torch.bernoulli, torch.rand, jax, scikit-learn, rbms, "
            "learnergy.",
            show_default="all that are installed",
        ),
    ] = None,
    without: Annotated[
        str | None, typer.Option(help="Peers to leave out.", show_default="none")
    ] = None,
    rounds: Annotated[
        int, typer.Option(help="Rounds; their medians are reported.", min=1)
    ] = defaults.BENCHMARK_ROUNDS,
    seconds: Annotated[
        float, typer.Option(help="Seconds that each takes in each round.")
    ] = defaults.BENCHMARK_SECONDS,
    trained: Annotated[
        int,
        typer.Option(
            help="Epochs to train before anything is measured: speed depends on what a model has "
            "learned. 0 starts from scratch.",
            min=0,
        ),
    ] = defaults.BENCHMARK_EPOCHS,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder to make, for results.json, table.md and speeds.png.",
            show_default="nothing is written",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure speed on this machine, beside other implementations and the bare products.

    Takes a few minutes and says how many before it begins. MNIST is used if it has been fetched.
    """
    set_threads(threads)
    from harmonium.cli import measure

    measure.run(
        workloads=workloads,
        peers=peers,
        without=without,
        rounds=rounds,
        seconds=seconds,
        epochs=trained,
        out=out,
        device=device,
        as_json=as_json,
    )


@app.command(rich_help_panel=_TRAIN)
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
        bool, typer.Option("--show", help="Print its file, to begin one of your own with.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Train nothing: put what was published beside a run of it."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of each training.", min=1, show_default="the recipe's"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of everything that is random.", min=0, show_default="the recipe's, or 0"
        ),
    ] = None,
    out: Annotated[Path | None, new_run("runs/NAME, runs/NAME-2, ...")] = None,
    overwrite: OverwriteOption = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ...", show_default="cpu")
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a known training: that of a tutorial, with its numbers beside the run's.

    A recipe is a file over the ordinary commands, which are printed before they run. A file of
    your own runs with harmonium train --config FILE.
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


app.add_typer(deep.app, name="dbn", rich_help_panel=_TRAIN)
app.add_typer(data.app, name="data", rich_help_panel=_KNOW)


def _holds_a_network(path: Path) -> bool:
    from harmonium.run_directory import RunDirectory

    return RunDirectory.open_any(path).holds_a_network


def main() -> None:
    """Run the command line; an error is one paragraph and an exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a terminal without a character shows another one: no reason to stop a run
            stream.reconfigure(errors="replace")
    # anywhere, because it is typed behind a command that has failed
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        arguments = _with_units(arguments)
        code = app(arguments, prog_name="harmonium", standalone_mode=False)
    except errors.UsageError as error:
        _fail(errors.of_usage(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except Exception as error:
        if debug:
            raise
        _fail(errors.paragraph(error), 1)
    raise SystemExit(code or 0)


def _with_units(arguments: list[str]) -> list[str]:
    """Run the files that register unit types, wherever they are named; returns what is left."""
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


def _fail(paragraph: str, code: int) -> NoReturn:
    print(f"error: {paragraph}", file=sys.stderr)
    raise SystemExit(code)
