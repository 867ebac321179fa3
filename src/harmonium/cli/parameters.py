"""Shared by commands: arguments, and parameters made from tables of options.

Nothing heavy is imported here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_type_hints

import typer

from harmonium.cli import completing
from harmonium.cli.spelling import flag, spelled
from harmonium.runs.layers import OF_EACH
from harmonium.runs.options import TrainingOptions

Command = TypeVar("Command", bound=Callable[..., None])

RunArgument = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="A run directory.", autocompletion=completing.runs),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Run the commands of this file, in the format that harmonium recipe NAME --show "
        "prints; options given here override the file's.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, an object per line.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")]
ThreadsOption = Annotated[
    int | None, typer.Option(help="CPU threads.", min=1, show_default="one per free core")
]
SeedOption = Annotated[int, typer.Option(help="Seed.", min=0)]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing run.")]


def parameter(
    name: str, annotation: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    """A parameter of a command."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


JSON = (parameter("as_json", JsonOption, False),)
"""The parameter of a command that computes nothing."""

WHERE = (parameter("device", DeviceOption, "cpu"), parameter("threads", ThreadsOption, None), *JSON)
"""The parameters of a command that computes."""


def new_run(shown: str) -> Any:
    """The option for the directory of a new run; ``shown`` describes the default."""
    return typer.Option(help="Run directory to create.", show_default=shown)


def of_new_run(shown: str) -> tuple[inspect.Parameter, ...]:
    """The parameters of a command that begins a run."""
    out = parameter("out", Annotated[Path | None, new_run(shown)], None)
    return (out, parameter("overwrite", OverwriteOption, False), *WHERE)


def parameters_of(
    table: type, *, leave_out: tuple[str, ...] = (), of_the_run: bool = False
) -> list[inspect.Parameter]:
    """One parameter for every field of a table of options that has a help text.

    With ``of_the_run`` they are options of an existing run, and None unless repeated.
    """
    hints = get_type_hints(table)
    parameters = []
    for option in fields(table):
        if option.name in leave_out or not option.metadata:
            continue
        hint, default, details = hints[option.name], option.default, _details(option)
        switch = hint in (bool, bool | None)
        if of_the_run:
            hint, default, details["show_default"] = hint | None, None, "as the run was begun"
            details["hidden"] = table is TrainingOptions
        if option.name == "data":
            details["autocompletion"] = completing.data
        if "metavar" in details:
            kind: Any = typer.Argument(**details)
        else:
            metavar = None
            if details.pop("lists_columns", False):
                hint, metavar = list[str] | None, "<str>"
            name = flag(details.pop("flag", option.name))
            name = f"{name}/--no-{name[2:]}" if switch else name
            kind = typer.Option(name, metavar=metavar, **details)
        parameters.append(parameter(option.name, Annotated[hint, kind], default))
    return parameters


def _details(option: Any) -> dict[str, Any]:
    """Typer's arguments for an option, with names spelled as on the command line."""
    details = dict(option.metadata)
    return {k: spelled(v) if isinstance(v, str) else v for k, v in details.items()}


def parameters_of_each() -> list[inspect.Parameter]:
    """A text parameter for each option that can differ between layers."""
    parameters = []
    for option in fields(TrainingOptions):
        if option.name in OF_EACH:
            details = _details(option)
            if details["show_default"] is True:
                details["show_default"] = str(option.default)
            details["help"] += " One value, or one per layer."
            kind = typer.Option(flag(option.name), **details)
            parameters.append(parameter(option.name, Annotated[str | None, kind], None))
    return parameters


def with_parameters(parameters: list[inspect.Parameter]) -> Callable[[Command], Command]:
    """Show these parameters to typer instead of a command's ``**options``.

    Options that may be repeated reach the command as one string: ``--drop id --drop date`` as
    "id,date".
    """
    ours = {parameter.name for parameter in parameters}

    def replace(command: Command) -> Command:
        own = [
            p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for p in inspect.signature(command, eval_str=True).parameters.values()
            if p.kind is not inspect.Parameter.VAR_KEYWORD and p.name not in ours
        ]

        @functools.wraps(command)
        def joining(**arguments: Any) -> None:
            for name, value in arguments.items():
                if name in ours and isinstance(value, list):
                    arguments[name] = ",".join(value) or None
            command(**arguments)

        signature = inspect.Signature([*own, *parameters])
        joining.__signature__ = signature  # type: ignore[attr-defined]
        joining.__annotations__ = {
            name: parameter.annotation for name, parameter in signature.parameters.items()
        }
        return cast(Command, joining)

    return replace


def given(table: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that belong to this table."""
    names = {option.name for option in fields(table)}
    return {name: value for name, value in options.items() if name in names}


def set_threads(threads: int | None) -> None:
    """Set the number of CPU threads; None leaves it unchanged."""
    if threads is not None:
        from harmonium.kernels.threads import give

        give(threads)
