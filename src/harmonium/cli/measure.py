"""``harmonium benchmark``: speed on this machine, next to other code and bare matrix products."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from harmonium import benchmark
from harmonium.benchmark import OURS, PRODUCTS
from harmonium.cli.progress import choose_reporter, tell_of_compiling
from harmonium.files import write_json, write_whole
from harmonium.runs import build

_BAR = 20  # characters


def run(
    *,
    workloads: str | None,
    peers: str | None,
    without: str | None,
    rounds: int,
    seconds: float,
    epochs: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure and report; writes files only if ``out`` names a new folder."""
    if not 0 < seconds < float("inf"):
        raise ValueError(f"--seconds is {seconds:g}; pass a positive number")
    plan = benchmark.Plan(
        benchmark.choose_workloads(workloads),
        benchmark.choose_peers(peers, without),
        rounds,
        seconds,
        epochs,
    )
    _check_free(out)
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
    files = [str(path) for path in _write(out, report)] if out is not None else []
    if not as_json:
        _print(report)
    for file in files:
        reporter.say(file)
    reporter.finish(report | {"files": files})


def _check_free(out: Path | None) -> None:
    if out is None:
        return
    if out.exists():
        raise FileExistsError(f"{out} exists; choose another --out")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"--out is {out}, and there is no folder {out.parent}")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds"
    return f"about {round(seconds / 60)} minutes"


@contextmanager
def _progress() -> Iterator[benchmark.Progress]:
    """A bar on a terminal, a line per workload in a pipe; standard output is left free."""
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
    with Progress(
        *columns, console=Console(stderr=True), auto_refresh=False, transient=True
    ) as bar:
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
                benchmark.rate_text(rates[name]),
                f"{shares[name]:4.2f} " + "█" * max(1, round(shares[name] / longest * _BAR)),
                f"{result['ratios'][name]:.2f}" if name != OURS else "",
                style="bold" if name == OURS else "dim" if name == PRODUCTS else "",
            )
        console.print(f"\n[bold]{key}[/]  {result['workload']}")
        console.print(table)
        console.print(f"  [dim]{'; '.join(_notes(report, result))}[/]")
    console.print()
    for name in benchmark.contestants(report["workloads"]):
        console.print(f"[bold]{name}[/]: {report['how'][name]}", soft_wrap=True)


def _notes(report: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    visible, hidden = result["visible_flip_rate"], result["hidden_flip_rate"]
    yield f"a sweep flips {visible:.1%} of the visible and {hidden:.1%} of the hidden units"
    if "watching" in result:
        yield f"watching takes {result['watching']:.1%} of {OURS}'s time"
    yield from (f"{name} {why}" for name, why in result["left_out"].items())
    yield from benchmark.disturbances(report, result)


def _write(out: Path, report: Mapping[str, Any]) -> Iterator[Path]:
    """Create the folder with the numbers, the table and the picture."""
    out.mkdir()
    results = out / "results.json"
    write_json(results, report)
    yield results
    table = out / "table.md"
    write_whole(table, benchmark.markdown(report).encode())
    yield table
    yield benchmark.draw(report, out / "speeds.png")
