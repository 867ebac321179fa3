"""``harmonium report`` and ``harmonium compare``, and the page that every training renews.

What a run was begun with is known here as it is typed, because the options are.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from harmonium import report
from harmonium.cli.layers import LAYERS
from harmonium.cli.options import FinetuningOptions, TrainingOptions, WatchingOptions, flag
from harmonium.cli.progress import choose_reporter
from harmonium.report import Stage
from harmonium.runs import DBN_KIND, FINETUNING_KIND, RunDirectory

_FEW_RUNS = 3  # whose pairs are said; a page has room for those of more


def rewrite(path: Path, as_json: bool) -> None:
    """Write the page of a run anew."""
    run = RunDirectory.open_any(path)
    page = write(run)
    reporter = choose_reporter(as_json)
    reporter.say(f"page      {page}")
    reporter.finish({"report": str(page)})


def compare(paths: Sequence[Path], out: Path, as_json: bool) -> None:
    """Put several runs beside each other on one page."""
    runs = [RunDirectory.open_any(path) for path in paths]
    page = report.write_comparison(runs, out)
    verdict = report.verdict_of(runs)
    reporter = choose_reporter(as_json)
    apart = report.differences_of(runs)
    reporter.say(verdict.replace("`", ""))
    for one in apart if len(runs) <= _FEW_RUNS else ():
        rows = ""
        if one.rows_std_error is not None:
            rows = f" (with other rows of their kind: ± {one.rows_std_error:.2g})"
        reporter.say(
            f"{one.a} − {one.b}: {one} nats a row, on the same {one.n_rows:,} rows of "
            f"{one.data}{rows}"
        )
    reporter.say(f"page      {page}")
    told = {"differences": [asdict(one) for one in apart]} if apart else {}
    reporter.finish({"page": str(page), "verdict": verdict, **told})


def write(run: RunDirectory, stage: Stage = "unknown") -> Path:
    """Write the page of a run; see `harmonium.report.write`."""
    return report.write(run, command_of(run.config()), stage)


def command_of(config: Mapping[str, Any]) -> str:
    """What is typed to begin such a run again, with the options that are not the defaults.

    Empty for a layer of a network, which cannot be begun by itself.
    """
    if "layer" in config:
        return ""
    kind, options = config.get("kind"), config["options"]
    watching = _changed(WatchingOptions, config["watching"])
    if kind == DBN_KIND:
        typed = ["harmonium", "dbn", "train", *_of_network(options)]
    elif kind == FINETUNING_KIND:
        source = config["network"] or config["bottom"]["data"]
        typed = ["harmonium", "dbn", "finetune", str(source), *_changed(FinetuningOptions, options)]
    else:
        data = [options["data"]] if options["data"] != TrainingOptions.data else []
        typed = ["harmonium", "train", *data, *_changed(TrainingOptions, options, ("data",))]
    where = [] if config["device"] == "cpu" else ["--device", config["device"]]
    return shlex.join([*typed, *watching, *where, "--threads", str(config["threads"])])


def _of_network(options: Mapping[str, Any]) -> Iterator[str]:
    of_all = options["of_all"]
    if of_all.get("data", TrainingOptions.data) != TrainingOptions.data:
        yield of_all["data"]
    if options["layers"] != LAYERS:
        yield from ("--layers", options["layers"])
    if options["features"] is not None:
        yield from ("--features", options["features"])
    if options["labels"]:
        yield "--labels"
    yield from _changed(TrainingOptions, of_all, ("data",))
    for name, value in options["of_each"].items():
        yield from (flag(name), str(value))


def _changed(
    table: type, options: Mapping[str, Any], leave_out: tuple[str, ...] = ()
) -> Iterator[str]:
    """What is typed for the options of a table that are not its defaults."""
    for option in fields(table):
        if option.name in leave_out or option.name not in options or not option.metadata:
            continue
        default = None if option.default is MISSING else option.default
        value = options[option.name]
        if value == default or value is None:
            continue
        if isinstance(value, bool):
            yield flag(option.name if value else f"no_{option.name}")
        else:
            yield from (flag(option.name), str(value))
