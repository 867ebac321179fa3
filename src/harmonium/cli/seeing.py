"""Commands that evaluate, plot and describe runs, and train nothing.

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
        int, typer.Option(help="Annealing chains in each direction.", min=2)
    ] = defaults.LIKELIHOOD_CHAINS,
    temperatures: Annotated[
        int,
        typer.Option(
            help="Maximum number of temperatures; annealing is lengthened until all estimates "
            "agree.",
            min=2,
        ),
    ] = defaults.LIKELIHOOD_TEMPERATURES,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Time to spend, such as 90s, 10m or 2h; a larger budget continues the earlier "
            "evaluation.",
            show_default="until the estimates agree",
        ),
    ] = None,
    split: Annotated[
        Literal["test", "held-out", "train"] | None,
        typer.Option(help="Part of the run's data.", show_default="test, or held-out"),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Other rows.", show_default="the run's own")
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(help="Use a random subset of this many rows.", min=1, show_default="all"),
    ] = None,
    binarize: Annotated[
        str | None,
        typer.Option(
            help="A threshold (for grey pictures, a fraction of white), or `stochastic`.",
            show_default="as in training, or 0.5 if training used grey values",
        ),
    ] = None,
    seed: SeedOption = defaults.SEED,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Compute the mean log-likelihood of test rows in nats, exactly or as an interval.

    It is exact if one layer has at most 2^25 states. Otherwise log Z is estimated in three ways,
    which must agree. If they disagree, the command reports the reason instead of a lower bound. The
    result is stored in RUN/likelihood.json.
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
        int, typer.Option(help="Sweeps of each chain; the first half is burn-in.", min=16)
    ] = defaults.DIAGNOSE_SWEEPS,
    chains: Annotated[
        int,
        typer.Option(
            help="Number of chains, half of them from data and half from random states.", min=1
        ),
    ] = defaults.DIAGNOSE_CHAINS,
    seed: SeedOption = defaults.SEED,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Diagnose a run and suggest remedies: a table, advice, and a section of RUN/report.html.

    Measures how fast chains mix and whether they agree, how their moments differ from those of the
    data, idle hidden units, and overfitting. Replaces an earlier diagnosis.
    """
    set_threads(threads)
    from harmonium.cli import diagnosing

    diagnosing.run(run, n_sweeps=sweeps, n_chains=chains, seed=seed, device=device, as_json=as_json)


def plot(
    run: RunArgument,
    filters: Annotated[int, typer.Option(help="Filters to show per layer.", min=1)] = 100,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Redraw the pictures of a run."""
    set_threads(threads)
    from harmonium.cli import dreaming, show

    if _holds_a_network(run):
        dreaming.plot(run, filters, device, as_json)
        return
    show.plot(run, filters, device, as_json)


def report(run: RunArgument, as_json: JsonOption = False) -> None:
    """Update the page of a run, RUN/report.html.

    Training writes the page with every checkpoint and at the end; evaluate and diagnose update it
    too. Run this command to include later output of sample, reconstruct and plot.
    """
    from harmonium.cli import reporting

    reporting.rewrite(run, as_json)


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
    from harmonium.cli import reporting

    reporting.compare(runs, out, as_json)


def info(run: RunArgument, as_json: JsonOption = False) -> None:
    """Describe a run and its progress."""
    from harmonium.cli import show

    show.info(run, as_json)


def _holds_a_network(path: Path) -> bool:
    from harmonium.run_directory import RunDirectory

    return RunDirectory.open_any(path).holds_a_network
