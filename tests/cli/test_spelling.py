"""What the library says of Python's options, as a person types it; and that it can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

import harmonium
from harmonium.cli import app
from harmonium.cli.spelling import in_code, spelled
from harmonium.datasets.naming import keyword
from harmonium.datasets.reading import columns_of
from test_architecture import FILES, PACKAGE, texts_of


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("take more `hidden`", "take more --hidden"),
        ("pass `visible='spin'`", "pass --visible spin"),
        ("pass `learning_rate=0.01`", "pass --learning-rate 0.01"),
        ("pass `header=True` or `header=False`", "pass --header or --no-header"),
        ("pass `categories=[0.5, 1, 1.5]`", "pass --categories 0.5,1,1.5"),
        ("pass `label=-1`", "pass --label -1"),
        ("pass `label=COLUMN`", "pass --label COLUMN"),
        ("`n_chains` and `n_sweeps=400`", "--chains and --sweeps 400"),
        ("take spins (`visible='spin'`, or `Spin`)", "take spins (--visible spin)"),
        (
            "(`binarize=0.5`, or `Data.binarize().to_spins()`), or standardise",
            "(--binarize 0.5), or standardise",
        ),
        ("pass `target`, or `from_array(..., targets=...)`; x", "pass --target; x"),
        ("pass 0.5, `stochastic`, or `none`", "pass 0.5, `stochastic`, or `none`"),
        ("`harmonium.open('a').resume(more_epochs=3)`", "harmonium resume a --more-epochs 3"),
        ("`harmonium.open('a b').finetune()` makes one", "harmonium dbn finetune 'a b' makes one"),
        ("`Run.encode` and `Run.decode` use it", "harmonium dbn encode and decode use it"),
        ("`clamp='0-9,20'` and `classes`", "--clamp 0-9,20 and --class"),
        ("see `harmonium.units.register`", "see --units-from FILE.py"),
        ("`harmonium diagnose runs/a` looks", "`harmonium diagnose runs/a` looks"),
        ("the column `colour`", "the column `colour`"),
    ],
)
def test_options_are_said_as_they_are_typed(said: str, typed: str) -> None:
    assert spelled(said) == typed


def test_in_files_and_on_pages_what_is_typed_stands_between_backquotes() -> None:
    assert in_code("more `epochs`, or `l2=0.001`") == "more `--epochs`, or `--l2 0.001`"


@pytest.mark.parametrize(
    "columns", [["id"], ["id", "when"], ["malic acid"], ["a,b", "it's"], ["`"], [0, 3], [-1]]
)
def test_columns_come_back_from_the_shell_as_they_are_called(columns: list[Any]) -> None:
    option, value = shlex.split(spelled(keyword("drop", columns)))
    assert option == "--drop"
    assert columns_of(value) == tuple(str(column) for column in columns)


def flags_of(command: Any) -> Iterator[str]:
    """All flags of a command and of those below it."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for below in getattr(command, "commands", {}).values():
        yield from flags_of(below)


TYPED = re.compile(r"(?<![-\w])--[a-z][-\w]*")
CSS = {"--accent", "--run-"}  # variables of it
KNOWN = set(flags_of(typer.main.get_command(app)))


def test_every_flag_that_a_message_comes_to_exists() -> None:
    unknown = {}
    for file in FILES:
        path = file.relative_to(PACKAGE)
        if path.parts[0] == "cli" or file.name == "downloads.py":  # which speaks to pip
            continue
        texts = texts_of(file.read_text(encoding="utf-8"), put=" ")
        typed = {flag for text in texts for flag in TYPED.findall(spelled(text))}
        if typed - KNOWN - CSS:
            unknown[path.as_posix()] = typed - KNOWN - CSS
    assert unknown == {}


def test_a_python_call_is_what_a_message_names() -> None:
    frame = {"a": [1.0, 2.0], "b": ["x", "y"]}
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"`label='b'` takes 'b' for the classes; `drop='b'`"):
        harmonium.datasets.from_array(pandas.DataFrame(frame), target="b")
    data = harmonium.datasets.from_array(pandas.DataFrame(frame), drop="b")
    assert data.columns == ("a",)
