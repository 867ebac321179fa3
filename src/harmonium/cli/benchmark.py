"""The command ``harmonium benchmark``; what it does is in `measure`.

Nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmonium import defaults
from harmonium.cli.parameters import DeviceOption, JsonOption, ThreadsOption, set_threads


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
