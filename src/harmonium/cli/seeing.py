"""The commands that show what was learned: they judge, draw and describe runs, and train nothing.

Nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harmonium import defaults
from harmonium.cli.parameters import (
    DeviceOption,
    JsonOption,
    RunArgument,
    SeedOption,
    ThreadsOption,
    parameters_of,
    set_threads,
    with_parameters,
)
from harmonium.runs.rows import ReadingOptions


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


def report(run: RunArgument, as_json: JsonOption = False) -> None:
    """Write a run's page anew: RUN/report.html.

    Training writes it with every checkpoint and at its end, evaluate and diagnose when they are
    done. What sample, reconstruct and plot have made since is on it once this has renewed it.
    """
    from harmonium.cli import reporting

    reporting.rewrite(run, as_json)


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


def info(run: RunArgument, as_json: JsonOption = False) -> None:
    """Say what a run is and how far it has come."""
    from harmonium.cli import show

    show.info(run, as_json)


def _holds_a_network(path: Path) -> bool:
    from harmonium.run_directory import RunDirectory

    return RunDirectory.open_any(path).holds_a_network
