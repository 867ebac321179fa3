"""``harmonium recipe``: run a known training procedure from its file, as ordinary commands.

Nothing heavy is imported here.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmonium import recipes
from harmonium.cli import completing, errors
from harmonium.cli.parameters import JsonOption, OverwriteOption, ThreadsOption, given, new_run
from harmonium.cli.spelling import flag
from harmonium.files import write_json, write_whole
from harmonium.recipes import Compared, Recipe, Step
from harmonium.run_directory import RunDirectory, free_path
from harmonium.runs.options import TrainingOptions
from harmonium.runs.tuning_options import FinetuningOptions
from harmonium.runs.watching_options import WatchingOptions

if TYPE_CHECKING:
    from harmonium.cli.progress import Reporter

# The user of a recipe decides where its run goes and how it is shown.
_OF_THE_USER = ("--out", "--overwrite", "--json", "--help", "--help-all", "--config")

# The tables by which a command's options can be checked before it runs.
_TABLES: Mapping[tuple[str, ...], tuple[type, ...]] = {
    ("train",): (TrainingOptions, WatchingOptions),
    ("dbn", "train"): (WatchingOptions,),
    ("dbn", "finetune"): (FinetuningOptions, WatchingOptions),
}

_FILE, _RESULT = "recipe.toml", "recipe.json"


def recipe(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A recipe; or `list`, for all of them.",
            autocompletion=completing.recipes,
        ),
    ] = "list",
    show: Annotated[
        bool, typer.Option("--show", help="Print its file, as a start for your own.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Train nothing; compare an existing run with the published numbers."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of each training run.", min=1, show_default="the recipe's"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Random seed.", min=0, show_default="the recipe's, or 0"),
    ] = None,
    out: Annotated[Path | None, new_run("runs/NAME, runs/NAME-2, ...")] = None,
    overwrite: OverwriteOption = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ...", show_default="cpu")
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a known training procedure, such as a tutorial's, and compare with its published numbers.

    A recipe is a file of ordinary commands, which are printed before they run. Run your own file
    with harmonium train --config FILE.
    """
    if name == "list":
        show_list(as_json)
        return
    chosen = recipes.named(name)
    if show:
        show_file(chosen, as_json)
    elif table is not None:
        show_table(chosen, table, as_json)
    else:
        for_all = {"epochs": epochs, "seed": seed, "device": device, "threads": threads}
        code = run(context, chosen, for_all, out=out, overwrite=overwrite, as_json=as_json)
        raise typer.Exit(code)


def show_list(as_json: bool) -> None:
    """Print the name of each recipe, its time on one core, and what it shows."""
    names = recipes.names()
    width = max(map(len, names)) + 2
    for name in names:
        recipe = recipes.named(name)
        if as_json:
            known = {"minutes": recipe.takes_minutes, "source": recipe.source}
            print(json.dumps({"recipe": name, "title": recipe.title, **known}))
            continue
        minutes = recipe.takes_minutes
        takes = "" if minutes is None else f"{minutes:.0f} min" if minutes >= 1 else "< 1 min"
        print(f"{name:{width}s}{takes:>7s}  {recipe.title}")


def show_file(recipe: Recipe, as_json: bool) -> None:
    """Print the file of a recipe."""
    text = recipe.path.read_text(encoding="utf-8")
    told = json.dumps({"recipe": recipe.name, "file": text}) if as_json else text
    print(told, end="\n" * as_json)


def run_file(context: Any, command: tuple[str, ...], path: Path) -> int:
    """Run a user's file; typed options override the file's options of this command."""
    own = {name: context.params[name] for name in ("out", "overwrite", "as_json")}
    typed = {
        name: value
        for name, value in context.params.items()
        if name not in (*own, "config") and context.get_parameter_source(name).name == "COMMANDLINE"
    }
    recipe = recipes.load(path)
    if typed and command not in [step.command for step in recipe.steps]:
        raise ValueError(
            f"{path} has no table [{'.'.join(command)}] whose options "
            f"{flag(next(iter(typed)))} could take the place of; leave it out"
        )
    return run(context, recipe, {}, {command: typed}, **own)


def run(
    context: Any,
    recipe: Recipe,
    for_all: Mapping[str, Any],
    for_one: Mapping[tuple[str, ...], Mapping[str, Any]] | None = None,
    *,
    out: Path | None = None,
    overwrite: bool = False,
    as_json: bool = False,
) -> int:
    """Run the commands of a recipe in order; returns the exit code.

    Parameters
    ----------
    context
        The context of the command line.
    recipe
        What to run.
    for_all
        Options, by their Python names, that override the recipe's in every command that has them;
        None keeps the recipe's.
    for_one
        Options that override those of one command.
    out
        The run to create; by default, it has the recipe's name.
    overwrite
        Whether to replace that run.

    Raises
    ------
    ValueError
        Before anything runs, for unknown or invalid options of a command.
    """
    root = context.find_root().command
    path = out or free_path(Path("runs") / recipe.name)
    RunDirectory(path).check_free(overwrite)
    commands: list[list[str]] = []
    for step in recipe.steps:
        command = _command(root, recipe, step)
        chosen = _with(step, command, for_all, (for_one or {}).get(step.command, {}))
        commands.append(_arguments(command, recipe, chosen, path, first=not commands))
        _check(command, recipe, chosen, commands[-1])
    from harmonium.cli.progress import choose_reporter

    reporter = choose_reporter(as_json)
    reporter.say(f"{recipe.name}: {recipe.title}" + f" ({recipe.source})" * bool(recipe.source))
    began = time.monotonic()
    for number, arguments in enumerate(commands):
        reporter.say(f"$ {_typed(arguments)}")
        more = ["--overwrite"] * (overwrite and number == 0) + ["--json"] * as_json
        code = root.main([*arguments, *more], prog_name="harmonium", standalone_mode=False)
        if code:
            left = [_typed(later) for later in commands[number + 1 :]]
            if recipe.published and recipe.name in recipes.names():
                left.append(f"harmonium recipe {recipe.name} --table {shlex.quote(str(path))}")
            if left:
                reporter.say(f"and then: {'; '.join(left)}")
            return int(code)
    minutes = (time.monotonic() - began) / 60
    write_whole(path / _FILE, recipe.path.read_bytes())
    result = {"recipe": recipe.name, "commands": [_typed(each) for each in commands]}
    write_json(path / _RESULT, {**result, "minutes": minutes})
    _show_table(reporter, recipe, path, minutes)
    return 0


def show_table(recipe: Recipe, path: Path, as_json: bool) -> None:
    """Compare a run of the recipe with the published numbers.

    Raises
    ------
    FileNotFoundError
        If there is no such run.
    """
    from harmonium.cli.progress import choose_reporter

    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist; harmonium recipe {recipe.name} makes one")
    result = path / _RESULT
    minutes = json.loads(result.read_text(encoding="utf-8"))["minutes"] if result.exists() else None
    _show_table(choose_reporter(as_json), recipe, path, minutes)


def _show_table(reporter: Reporter, recipe: Recipe, path: Path, minutes: float | None) -> None:
    rows = recipes.compare(recipe, path)
    if recipe.minutes is not None:
        rows.append(Compared("minutes in all", recipe.minutes, minutes, 1))
    if rows:
        width = max(len(row.what) for row in rows)
        reporter.say(f"{'':{width}s}  published   this run")
    for row in rows:
        ours = "-" if row.ours is None else f"{row.ours:.{row.digits}f}"
        reporter.say(f"{row.what:{width}s}{row.published:11.{row.digits}f}{ours:>11s}")
    reporter.finish({"run": str(path), "compared": [dataclasses.asdict(row) for row in rows]})


def _with(step: Step, command: Any, for_all: Mapping[str, Any], for_it: Mapping[str, Any]) -> Step:
    """The step, with the user's options instead of the file's."""
    offered = _keys(command)
    chosen = {flag(name)[2:]: value for name, value in for_all.items() if value is not None}
    options = {**step.options, **{key: chosen[key] for key in chosen if key in offered}}
    return dataclasses.replace(
        step, options=options | {flag(name)[2:]: value for name, value in for_it.items()}
    )


def _arguments(command: Any, recipe: Recipe, step: Step, run: Path, *, first: bool) -> list[str]:
    """A step as a user would type it after ``harmonium``."""
    offered, options = _keys(command), dict(step.options)
    typed = list(step.command)
    for parameter in command.params:
        shown = (parameter.metavar or "") if parameter.param_type_name == "argument" else ""
        if "DATA" in shown and "data" in options:
            typed.append(str(options.pop("data")))
        elif "RUN" in shown:
            typed.append(str(run))
    for key, value in options.items():
        if key not in offered:
            recipes.refuse_key(recipe.path, step.lines.get(key, 0), key, sorted(offered))
        typed += _option(offered[key], key, value)
    return [*typed, "--out", str(run)] if first else typed


def _option(parameter: Any, key: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        no = [f"--no-{key}"] if f"--no-{key}" in parameter.secondary_opts else []
        return [f"--{key}"] if value else no
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    return [f"--{key}", ",".join(str(each) for each in values)]


def _check(command: Any, recipe: Recipe, step: Step, arguments: list[str]) -> None:
    """Parse a command's arguments and check its options, without running it."""
    try:
        parsed = command.make_context(step.table, arguments[len(step.command) :]).params
        for table in _TABLES.get(step.command, ()):
            table(**given(table, parsed))
    except (errors.UsageError, ValueError) as error:
        of_typer = getattr(error, "format_message", None)
        message = of_typer() if of_typer else str(error)
        raise ValueError(f"{recipe.path}, [{step.table}]: {message}") from error


def _command(root: Any, recipe: Recipe, step: Step) -> Any:
    """The command that a table names."""
    commands = _all_commands(root)
    if step.table not in commands:
        recipes.refuse_key(recipe.path, step.line, step.table, commands)
    return commands[step.table]


def _all_commands(group: Any, above: str = "") -> dict[str, Any]:
    """All commands by the names of their tables, such as ``dbn.train``."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= _all_commands(command, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = command
    return found


def _keys(command: Any) -> dict[str, Any]:
    """What a file can set for a command: its data and its long options, with their parameters."""
    keys: dict[str, Any] = {}
    for parameter in () if command is None else command.params:
        if parameter.param_type_name == "argument":
            if "DATA" in (parameter.metavar or ""):
                keys["data"] = parameter
            continue
        for name in parameter.opts:
            if name.startswith("--") and name not in _OF_THE_USER:
                keys[name[2:]] = parameter
    return keys


def _typed(arguments: list[str]) -> str:
    return shlex.join(["harmonium", *arguments])
