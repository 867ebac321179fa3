"""Recipe files: what they say, and what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harmonium import recipes
from harmonium.recipes import Compared

GOOD = """
title = "A quick look"   # what it shows
source = "https://example.org"
minutes = 12.5

[train]
data = "digits"
hidden = 30

[dbn.finetune]
layers = [20, 10]

[[published]]
what = "error, %"
value = 1.5
file = "result.json"
key = "error"
scale = 100
digits = 1

[[published]]
what = "likelihood"
value = [-90, -80.5, -70]
file = "rows.jsonl"
key = "likelihood"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_its_commands_in_order(tmp_path: Path) -> None:
    recipe = recipes.load(written(tmp_path, GOOD))
    assert (recipe.name, recipe.title) == ("mine", "A quick look")
    assert (recipe.source, recipe.minutes) == ("https://example.org", 12.5)
    first, second = recipe.steps
    assert first.command == ("train",)
    assert first.options == {"data": "digits", "hidden": 30}
    assert (first.line, first.lines) == (6, {"data": 7, "hidden": 8})
    assert second.command == ("dbn", "finetune")
    assert second.table == "dbn.finetune"
    assert second.options == {"layers": [20, 10]}
    assert [published.values for published in recipe.published] == [(1.5,), (-90, -80.5, -70)]


def test_a_command_without_options_is_one_too(tmp_path: Path) -> None:
    steps = recipes.load(written(tmp_path, "[train]\n[diagnose]\n[dbn.sample]\n")).steps
    assert [step.table for step in steps] == ["train", "diagnose", "dbn.sample"]


def test_numbers_of_a_run_stand_beside_those_in_print(tmp_path: Path) -> None:
    recipe = recipes.load(written(tmp_path, GOOD))
    rows = [{"update": 1, "likelihood": -95.0}, {"update": 2}, {"update": 3, "likelihood": -77.0}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "result.json").write_text('{"error": 0.0125}')
    assert recipes.compare(recipe, tmp_path) == [
        Compared("error, %", 1.5, 1.25, 1),
        Compared("likelihood, epoch 1", -90, -95, 2),
        Compared("likelihood, epoch 2", -80.5, -77, 2),
        Compared("likelihood, epoch 3", -70, None, 2),
    ]
    assert all(row.ours is None for row in recipes.compare(recipe, tmp_path / "elsewhere"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = 3\n[train]\n", r"mine.toml, line 1: title is 3; write a text in quotes"),
        ("\ntitel = 'x'\n[train]\n", r"line 2: there is no key 'titel'; did you mean 'title'\?"),
        ("title = 'x'\n", r"mine.toml has no command; it needs a table such as \[train\]"),
        ("[train\n", r"mine.toml is no TOML: .*line 1"),
        ("published = 3\n[train]\n", r"`published` is no table; write \[\[published\]\] above"),
        (
            "[train]\n[[published]]\nwhat = 'x'\nvalu = 3\n",
            r"line 4: there is no key 'valu'; did you mean 'value'\?",
        ),
        ("[train]\n[[published]]\nwhat = 'x'\nvalue = 3\n", "x has no file and no key"),
        (
            "[train]\n[[published]]\nwhat = 'x'\nvalue = 'low'\nfile = 'a'\nkey = 'b'\n",
            "line 4: value is 'low'; write a number",
        ),
    ],
)
def test_what_is_wrong_with_a_file(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        recipes.load(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"is no file; one to begin with: `harmonium.recipes.named"
    ):
        recipes.load(tmp_path / "none.toml")


def test_names() -> None:
    for name in recipes.names():
        recipe = recipes.named(name)
        assert recipe.name == name
        assert recipe.title and recipe.source
    with pytest.raises(ValueError, match=r"there is no recipe 'theano-dnb'; did you mean 'theano-"):
        recipes.named("theano-dnb")
    with pytest.raises(ValueError, match=r"there is no recipe 'q'; there are .*theano-logistic"):
        recipes.named("q")
