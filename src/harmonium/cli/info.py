"""The command ``harmonium info``: what a run is, and how far.

Nothing heavy is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from shlex import quote
from typing import Any

from harmonium.cli.parameters import JsonOption, RunArgument
from harmonium.cli.spelling import flag
from harmonium.run_directory import RunDirectory, kinds
from harmonium.runs.options import TrainingOptions


def info(run: RunArgument, as_json: JsonOption = False) -> None:
    """Describe a run and its progress."""
    from harmonium.runs.answers.info import facts_of

    directory = RunDirectory.open_any(run)
    facts = facts_of(directory)
    if as_json:
        print(json.dumps(facts))
    else:
        tellers = {
            kinds.DBN.name: _tell_of_stack,
            kinds.FINETUNING.name: _tell_of_network,
            kinds.RATINGS.name: _tell_of_ratings,
        }
        tellers.get(directory.kind.name, _tell_of_rbm)(run, facts)


def _tell_of_rbm(run: Path, facts: Mapping[str, Any]) -> None:
    from harmonium.report.columns import lines, n_values

    config = facts["config"]
    options, data = config["options"], config["data"]
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    offered = {option.name for option in fields(TrainingOptions) if option.metadata} - {"data"}
    parts: list[list[tuple[str, str]]] = [
        [
            ("run", str(run)),
            ("begun", f"{config['created']} with {versions}"),
            (
                "data",
                f"{options['data']}: {data['n_train']:,} training rows, {data['n_held_out']:,} "
                f"held out, {n_values(data)} columns",
            ),
        ],
        [
            (flag(name), str(value))
            for name, value in options.items()
            if name in offered and value is not None and value is not False
        ],
        [(name.replace("_", " "), f"{value:,.6g}") for name, value in facts["last_row"].items()],
        [
            ("progress", _progress(run, facts["update"], facts["last_update"])),
            ("model", facts["model"] or "not there yet: it is written at the end"),
            *(("checkpoint", path) for path in facts["checkpoints"]),
        ],
    ]
    width = max(len(name) for part in parts for name, _ in part)
    for part in filter(None, parts):
        for name, value in part:
            print(f"{name:{width}}  {value}")
        print()
    for line in lines(data, indent=""):
        print(line)


def _tell_of_stack(run: Path, facts: Mapping[str, Any]) -> None:
    from harmonium.report.columns import n_values

    config = facts["config"]
    data = config["data"]
    print(f"network   {run}, begun {config['created']}")
    print(
        f"data      {config['layers'][0]['data']}: {data['n_train']:,} training rows, "
        f"{data['n_held_out']:,} held out, {n_values(data)} columns"
    )
    if config["options"]["labels"]:
        print(f"labels    {config['layers'][-1]['n_classes']} classes, seen by the top layer")
    for layer in facts["layers"]:
        last = layer["last_row"]
        error = f"; reconstruction error {last['reconstruction_error']:.3f}" if last else ""
        print(
            f"layer {layer['layer']}   {layer['hidden']:,} hidden units, {layer['update']:,} of "
            f"{layer['last_update']:,} updates{error}"
        )
    if facts["network"]:
        print(f"finished  {facts['network']}")
    else:
        print(f"go on     harmonium resume {quote(str(run))}")


def _tell_of_network(run: Path, facts: Mapping[str, Any]) -> None:
    config = facts["config"]
    options, data = config["options"], config["data"]
    start = config["network"] if config["pretrained"] else "random weights"
    print(f"run       {run}, begun {config['created']}")
    tuned = "fine-tuned " if config["network"] else ""
    print(f"network   a {tuned}{options['kind']}, begun at {start}")
    print(
        f"data      {config['bottom']['data']}: {data['n_train']:,} training rows, "
        f"{data['n_held_out']:,} held out, {data['n_test']:,} test rows"
    )
    _tell_options_and_numbers(facts, 24)
    if facts["network"]:
        print(f"finished  {facts['network']}")
    else:
        print(f"progress  {_at(run, facts['update'] or 0, facts['last_update'])}")


def _tell_of_ratings(run: Path, facts: Mapping[str, Any]) -> None:
    config = facts["config"]
    options, data = config["options"], config["data"]
    print(f"run       {run}, begun {config['created']}")
    print(
        f"data      {options['data']}: {data['n_ratings']:,} training ratings, "
        f"{data['n_held_out']:,} held out, {data['n_users']:,} users, {data['n_items']:,} items"
    )
    _tell_options_and_numbers(facts, 32)
    print(f"progress  {_progress(run, facts['update'], facts['last_update'])}")
    print(f"model     {facts['model'] or 'not there yet: it is written at the end'}")


def _tell_options_and_numbers(facts: Mapping[str, Any], width: int) -> None:
    options = facts["config"]["options"]
    said = {k: v for k, v in options.items() if k != "data" and v not in (None, False)}
    print(f"options   {', '.join(f'{flag(name)} {value}' for name, value in said.items())}")
    for name, value in facts["last_row"].items():
        print(f"{name.replace('_', ' '):{width}}{value:,.6g}")


def _progress(run: Path, done: int | None, total: int) -> str:
    if done is None:
        return "no checkpoint is kept, so it cannot go on"
    return _at(run, done, total) if done < total else f"all {total:,} updates"


def _at(run: Path, done: int, total: int) -> str:
    go_on = f"go on with harmonium resume {quote(str(run))}"
    return f"{done:,} of {total:,} updates at the last checkpoint; {go_on}"
