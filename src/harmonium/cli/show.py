"""``harmonium plot`` and ``harmonium info``: the content of a run, in pictures and in words."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from shlex import quote

from harmonium.cli.progress import choose_reporter
from harmonium.cli.spelling import flag
from harmonium.cli.use import open_trained
from harmonium.run_directory import Network, RunDirectory
from harmonium.runs.options import TrainingOptions
from harmonium.runs.pictures import figures
from harmonium.runs.stack_task import layers_of


def plot(path: Path, n_filters: int, device: str, as_json: bool) -> None:
    """Redraw the pictures of a run."""
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
    """Describe a run of any kind and its progress."""
    run = RunDirectory.open_any(path)
    if run.is_finetuning:
        _of_network(run, as_json)
    elif run.holds_a_network:
        _of_stack(Network(run), as_json)
    else:
        _of_rbm(run, as_json)


def _of_rbm(run: RunDirectory, as_json: bool) -> None:
    """Describe the run of an RBM and its progress."""
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


def _of_stack(network: Network, as_json: bool) -> None:
    """Describe a stack and the progress of each layer."""
    config, layers = network.run.config(), layers_of(network)
    finished = str(network.dbn_path) if network.dbn_path.exists() else None
    if as_json:
        print(json.dumps({"config": config, "layers": layers, "network": finished}))
        return
    data = config["data"]
    print(f"network   {network.run.path}, begun {config['created']}")
    print(
        f"data      {config['layers'][0]['data']}: {data['n_train']:,} training rows, "
        f"{data['n_held_out']:,} held out, {data['n_columns']} columns"
    )
    if config["options"]["labels"]:
        print(f"labels    {config['layers'][-1]['n_classes']} classes, seen by the top layer")
    for layer in layers:
        last = layer["last_row"]
        error = f"; reconstruction error {last['reconstruction_error']:.3f}" if last else ""
        print(
            f"layer {layer['layer']}   {layer['hidden']:,} hidden units, {layer['update']:,} of "
            f"{layer['last_update']:,} updates{error}"
        )
    if finished:
        print(f"finished  {finished}")
    else:
        print(f"go on     harmonium resume {quote(str(network.run.path))}")


def _of_network(run: RunDirectory, as_json: bool) -> None:
    """Describe a fine-tuning run and its progress."""
    config, rows, checkpoints = run.config(), run.rows(), run.checkpoints()
    options, data = config["options"], config["data"]
    last = rows[-1] if rows else {}
    done = run.update_of(checkpoints[-1]) if checkpoints else None
    total = options["epochs"] * -(-data["n_train"] // options["batch_size"])
    finished = run.network_path.is_file()
    network = str(run.network_path) if finished else None
    if as_json:
        facts = {"config": config, "update": done, "last_update": total, "network": network}
        print(json.dumps(facts | {"last_row": last}))
        return
    start = config["network"] if config["pretrained"] else "random weights"
    print(f"run       {run.path}, begun {config['created']}")
    tuned = "fine-tuned " if config["network"] else ""
    print(f"network   a {tuned}{options['kind']}, begun at {start}")
    print(
        f"data      {config['bottom']['data']}: {data['n_train']:,} training rows, "
        f"{data['n_held_out']:,} held out, {data['n_test']:,} test rows"
    )
    said = {name: value for name, value in options.items() if value not in (None, False)}
    print(f"options   {', '.join(f'{flag(name)} {value}' for name, value in said.items())}")
    for name, value in last.items():
        print(f"{name.replace('_', ' '):24s}{value:,.6g}")
    if finished:
        print(f"finished  {network}")
    else:
        print(
            f"progress  {done or 0:,} of {total:,} updates at the last checkpoint; go on with "
            f"harmonium resume {quote(str(run.path))}"
        )


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _progress(run: RunDirectory, done: int | None, total: int) -> str:
    if done is None:
        return "no checkpoint is kept, so it cannot go on"
    if done < total:
        resume = f"harmonium resume {quote(str(run.path))}"
        return f"{done:,} of {total:,} updates at the last checkpoint; go on with {resume}"
    return f"all {total:,} updates"
