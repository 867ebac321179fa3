"""``harmonium train``, ``dbn train``, ``dbn finetune`` and ``resume``: any run, to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote

from harmonium.cli.console import Console
from harmonium.deep import load_dbn
from harmonium.run_directory import Network
from harmonium.runs import network_task, rbm_task, stack_task
from harmonium.runs.following import Finished, Going, Place, Stopped
from harmonium.runs.layers import NetworkOptions
from harmonium.runs.opening import resume as resume_run
from harmonium.runs.options import TrainingOptions, WatchingOptions
from harmonium.runs.resuming import Said
from harmonium.runs.tuning_options import FinetuningOptions


def train(options: TrainingOptions, watching: WatchingOptions, place: Place, as_json: bool) -> int:
    """Start the run of an RBM; returns the exit code."""
    console = Console(as_json)
    return _to_the_end(console, lambda: rbm_task.begin(options, watching, place, console))


def train_stack(
    options: NetworkOptions, watching: WatchingOptions, place: Place, as_json: bool
) -> int:
    """Start the run of a stack; returns the exit code."""
    console = Console(as_json)
    return _to_the_end(console, lambda: stack_task.begin(options, watching, place, console))


def finetune(
    name: str, options: FinetuningOptions, watching: WatchingOptions, place: Place, as_json: bool
) -> int:
    """Start a fine-tuning run; returns the exit code."""
    console = Console(as_json)
    return _to_the_end(console, lambda: network_task.begin(name, options, watching, place, console))


def resume(path: Path, said: Said, as_json: bool) -> int:
    """Continue a run of any kind; returns the exit code."""
    console = Console(as_json)
    return _to_the_end(console, lambda: resume_run(path, said, console))


def _to_the_end(console: Console, begin: Callable[[], Going]) -> int:
    """Train until the end or until the user stops it; returns the exit code."""
    try:
        finished = begin().finish()
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
    """Print the files of a run and the commands for using them."""
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
    if pictures:
        yield (f"pictures  {run.figures} ({len(pictures)}: filters, samples, learning curves, ...)")
    yield f"page      {run.report_path}"
    yield (
        f"next      harmonium sample {path}   ·   harmonium diagnose {path}   ·   harmonium info "
        f"{path}"
    )
