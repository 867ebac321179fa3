"""``harmonium train``, ``dbn train``, ``dbn finetune`` and ``resume``: any run, to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from shlex import quote

from harmonium.cli.console import Console
from harmonium.deep import load_dbn
from harmonium.run_directory import Network
from harmonium.runs.following import Finished, Going, Stopped


def to_the_end(begin: Callable[[Console], Going], as_json: bool) -> int:
    """Train until the end or until the user stops it; returns the exit code."""
    console = Console(as_json)
    try:
        finished = begin(console).finish()
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
