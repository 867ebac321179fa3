"""The command ``harmonium benchmark``: speed here, next to other code and bare matrix products.

Nothing heavy is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmonium import defaults
from harmonium.cli.parameters import DeviceOption, JsonOption, ThreadsOption, set_threads

if TYPE_CHECKING:
    from harmonium.benchmark import Progress

_BAR = 20  # characters


def benchmark(
    workloads: Annotated[
        str | None,
        typer.Option(help="Workloads, such as W1,sampling.", show_default="W1,W2,W3,W4,sampling"),
    ] = None,
    peers: Annotated[
        str | None,
        typer.Option(
            help="Peers to compare with: torch.bernoulli, torch.rand. In the repository, "
            "benchmarks/beside_packages.py adds jax, scikit-learn, rbms and learnergy.",
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
        float, typer.Option(help="Seconds per implementation and round.")
    ] = defaults.BENCHMARK_SECONDS,
    trained: Annotated[
        int,
        typer.Option(
            help="Epochs to train before measuring, because speed depends on what a model has "
            "learned; 0 measures an untrained model.",
            min=0,
        ),
    ] = defaults.BENCHMARK_EPOCHS,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New folder for results.json, table.md and speeds.png.",
            show_default="nothing is written",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure speed on this machine, next to other implementations and bare matrix products.

    Takes a few minutes; prints an estimate before it starts. Uses MNIST if it has been fetched.
    """
    set_threads(threads)
    from harmonium import benchmark
    from harmonium.cli.progress import choose_reporter, tell_of_compiling
    from harmonium.runs import build

    if not 0 < seconds < float("inf"):
        raise ValueError(f"--seconds is {seconds:g}; pass a positive number")
    plan = benchmark.Plan(
        benchmark.choose_workloads(workloads),
        benchmark.choose_peers(peers, without),
        rounds,
        seconds,
        trained,
    )
    if out is not None:
        benchmark.check_free(out)
    where = build.choose_device(device)
    tell_of_compiling()
    described, train, held_out = benchmark.load_data()
    train, held_out = train.to(where), held_out.to(where)
    plan.check(train)
    report = benchmark.header(plan, described, train)
    reporter = choose_reporter(as_json)
    for name, text in benchmark.about(report):
        reporter.say(f"{name:9} {text}")
    reporter.say(f"takes     {_duration(plan.expected_seconds(train))}")
    with _progress() as progress:
        report["workloads"] = benchmark.measure(plan, train, held_out, progress)
    # before printing anything, because it took minutes
    files = [str(path) for path in benchmark.write(out, report)] if out is not None else []
    if not as_json:
        _print(report)
    for file in files:
        reporter.say(file)
    reporter.finish(report | {"files": files})


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds"
    return f"about {round(seconds / 60)} minutes"


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, a line per workload in a pipe; standard output is left free."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    if not sys.stderr.isatty():

        def report(doing: str, done: int, total: int) -> None:
            if done == 0:
                print(f"measuring {doing}" if total > 1 else doing, file=sys.stderr, flush=True)

        yield report
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rounds ·"),
        TimeElapsedColumn(),
    )
    # drawn only between blocks, because a refreshing thread would be measured as well
    with Bars(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def draw(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[doing] = bar.add_task(doing, total=total)
            bar.update(tasks[doing], completed=done, refresh=True)

        yield draw


def _print(report: Mapping[str, Any]) -> None:
    """A table per workload: the matrix products, then all implementations, fastest first."""
    from rich.console import Console
    from rich.table import Table

    from harmonium.benchmark import OURS, PRODUCTS, contestants, notes, rate_text

    console = Console(highlight=False)
    for key, result in report["workloads"].items():
        rates, shares = result["rates"], {PRODUCTS: 1.0} | result["of_products"]
        longest = max(shares.values())
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("", width=17, no_wrap=True)
        table.add_column(result["unit"], justify="right", width=14, no_wrap=True)
        table.add_column("of products alone", width=_BAR + 6, no_wrap=True)
        table.add_column(f"{OURS} ÷ it", justify="right", width=14, no_wrap=True)
        for name in sorted(rates, key=lambda name: (name != PRODUCTS, -rates[name])):
            table.add_row(
                f"  {name}",
                rate_text(rates[name]),
                f"{shares[name]:4.2f} " + "█" * max(1, round(shares[name] / longest * _BAR)),
                f"{result['ratios'][name]:.2f}" if name != OURS else "",
                style="bold" if name == OURS else "dim" if name == PRODUCTS else "",
            )
        console.print(f"\n[bold]{key}[/]  {result['workload']}")
        console.print(table)
        console.print(f"  [dim]{'; '.join(notes(report, result))}[/]")
    console.print()
    for name in contestants(report["workloads"]):
        console.print(f"[bold]{name}[/]: {report['how'][name]}", soft_wrap=True)
