"""``harmonium plot`` and ``harmonium info``: what a run holds, in pictures and in words."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from shlex import quote

from harmonium.cli.progress import choose_reporter
from harmonium.cli.use import open_trained
from harmonium.run_directory import RunDirectory
from harmonium.runs.options import TrainingOptions, flag
from harmonium.runs.pictures import figures


def plot(path: Path, n_filters: int, device: str, as_json: bool) -> None:
    """Draw a run's pictures anew."""
    trained = open_trained(path, device)
    reporter = choose_reporter(as_json)
    train_data, held_out = trained.train_and_held_out()
    pictures = []
    for picture in figures.draw_all(
        trained.run,
        trained.rbm,
        trained.chains,
        train_data if held_out is None else held_out,
        trained.options.seed,
        train_data,
        n_filters=n_filters,
    ):
        reporter.say(str(picture))
        pictures.append(str(picture))
    reporter.finish({"pictures": pictures})


def info(path: Path, as_json: bool) -> None:
    """Say what a run is and how far it has come."""
    run = RunDirectory.open(path)
    config, rows, checkpoints = run.config(), run.rows(), run.checkpoints()
    options, data = config["options"], config["data"]
    last = rows[-1] if rows else {}
    done = run.update_of(checkpoints[-1]) if checkpoints else None
    total = options["epochs"] * -(-data["n_train"] // options["batch_size"])
    model = str(run.model_path) if run.model_path.exists() else None
    if as_json:
        facts = {"config": config, "update": done, "last_update": total, "model": model}
        print(json.dumps(facts | {"last_row": last, "checkpoints": [str(p) for p in checkpoints]}))
        return
    offered = {option.name for option in fields(TrainingOptions) if option.metadata} - {"data"}
    parts: list[list[tuple[str, str]]] = [
        [
            ("run", str(run.path)),
            ("begun", f"{config['created']} with " + _versions(config["versions"])),
            (
                "data",
                f"{options['data']}: {data['n_train']:,} training rows, {data['n_held_out']:,} "
                f"held out, {data['n_columns']} columns",
            ),
        ],
        [
            (flag(name), str(value))
            for name, value in options.items()
            if name in offered and value is not None and value is not False
        ],
        [(name.replace("_", " "), f"{value:,.6g}") for name, value in last.items()],
        [
            ("progress", _progress(run, done, total)),
            ("model", model or "not there yet: it is written at the end"),
            *(("checkpoint", str(p)) for p in checkpoints),
        ],
    ]
    width = max(len(name) for part in parts for name, _ in part)
    for part in filter(None, parts):
        for name, value in part:
            print(f"{name:{width}}  {value}")
        print()


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _progress(run: RunDirectory, done: int | None, total: int) -> str:
    if done is None:
        return "no checkpoint is kept, so it cannot go on"
    if done < total:
        resume = f"harmonium resume {quote(str(run.path))}"
        return f"{done:,} of {total:,} updates at the last checkpoint; go on with {resume}"
    return f"all {total:,} updates"
