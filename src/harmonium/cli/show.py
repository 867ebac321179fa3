"""``harmonium plot`` and ``harmonium info``: what a run holds, in pictures and in words."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harmonium import checkpoint
from harmonium.cli import figures
from harmonium.cli.options import flag
from harmonium.cli.progress import choose_reporter
from harmonium.cli.use import open_trained
from harmonium.runs import RunDirectory


def plot(path: Path, device: str, as_json: bool) -> None:
    """Draw a run's pictures anew."""
    trained = open_trained(path, device)
    chains = checkpoint.load(trained.run.latest_checkpoint(), device=trained.device).chains
    reporter = choose_reporter(as_json)
    pictures = []
    for picture in figures.draw_all(
        trained.run, trained.rbm, chains, trained.data(None), trained.options.seed
    ):
        reporter.say(str(picture))
        pictures.append(str(picture))
    reporter.finish({"pictures": pictures})


def info(path: Path, as_json: bool) -> None:
    """Say what a run is and how far it has come."""
    run = RunDirectory.open(path)
    config, rows = run.config(), run.rows()
    last = rows[-1] if rows else {}
    checkpoints = [str(p) for p in run.checkpoints()]
    if as_json:
        print(json.dumps({"config": config, "last_row": last, "checkpoints": checkpoints}))
        return
    table = Table(title=str(run.path), show_header=False, title_justify="left")
    data = config["data"]
    table.add_row("created", config["created"])
    table.add_row("versions", ", ".join(f"{name} {v}" for name, v in config["versions"].items()))
    table.add_row(
        "data",
        f"{config['options']['data']}: {data['n_train']:,} training rows, "
        f"{data['n_held_out']:,} held out, {data['n_columns']} columns",
    )
    for name, value in config["options"].items():
        if name != "data" and value is not None and value is not False:
            table.add_row(flag(name), str(value))
    table.add_section()
    for name, value in last.items():
        table.add_row(name.replace("_", " "), f"{value:,.6g}")
    table.add_section()
    finished = run.model_path if run.model_path.exists() else "not written yet (not finished)"
    table.add_row("model", str(finished))
    table.add_row("checkpoints", "\n".join(checkpoints))
    Console(highlight=False).print(table)
