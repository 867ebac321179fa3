"""``harmonium recipe`` and ``train --config``: files over the ordinary commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.commands import Done, harmonium
from harmonium import recipes
from harmonium.run_directory import RunDirectory

FILE = """
title = "A quick look"

[train]
data = "digits"
hidden = 16
epochs = 2
every = 16
threads = 1
figures = false
tensorboard = false

[sample]
chains = 4
samples = 3
warmup = 5

[[published]]
what = "reconstruction error"
value = [20, 10, 5]
file = "metrics.jsonl"
key = "reconstruction_error"
"""

DEEP = """
[dbn.train]
data = "digits"
layers = [16, 8]
method = ["cd", "pcd"]
epochs = 1
threads = 1
figures = false
tensorboard = false

[dbn.finetune]
epochs = 1
figures = false
tensorboard = false
"""

Refused = Callable[..., str]


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A recipe of a user's own."""
    path = tmp_path / "mine.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_file_runs_its_commands_one_after_the_other(file: Path) -> None:
    done = ran("train", "--config", file.name)
    assert "mine: A quick look\n" in done.out
    first, second = (line for line in done.out.splitlines() if line.startswith("$ "))
    assert first.startswith("$ harmonium train digits --hidden 16 --epochs 2 --every 16")
    assert first.endswith("--no-figures --no-tensorboard --out runs/mine")
    assert second == "$ harmonium sample runs/mine --chains 4 --samples 3 --warmup 5"
    run = RunDirectory("runs/mine")
    assert (run.path / "samples.npz").is_file()
    assert (run.path / "recipe.toml").read_text() == FILE
    kept = json.loads((run.path / "recipe.json").read_text())
    assert kept["commands"] == [first[2:], second[2:]]
    assert kept["minutes"] > 0
    errors = [row["reconstruction_error"] for row in run.rows()]
    assert len(errors) == 2
    *_, one, two, three = done.out.splitlines()
    assert one.split() == ["reconstruction", "error,", "epoch", "1", "20.00", f"{errors[0]:.2f}"]
    assert two.split()[-2:] == ["10.00", f"{errors[1]:.2f}"]
    assert three.split()[-2:] == ["5.00", "-"]


def test_the_same_commands_make_the_same_run(file: Path) -> None:
    done = ran("train", "--config", file)
    (first, *_) = (line[2:].split() for line in done.out.splitlines() if line.startswith("$ "))
    ran(*first[1:-1], "typed")
    for name in ("runs/mine", "typed"):
        assert RunDirectory(name).model_path.is_file()
    assert (
        RunDirectory("typed").model_path.read_bytes()
        == RunDirectory("runs/mine").model_path.read_bytes()
    )


def test_what_is_typed_takes_the_place_of_the_files(file: Path) -> None:
    ran("train", "digits", "--config", file, "--hidden", "5", "--out", "mine")
    options = RunDirectory("mine").config()["options"]
    assert (options["hidden"], options["epochs"]) == (5, 2)
    done = ran("train", "--config", file, "--epochs", "1", "--overwrite", "--out", "mine", "--json")
    assert RunDirectory("mine").config()["options"]["epochs"] == 1
    compared = done.objects[-1]["compared"]
    assert [row["published"] for row in compared] == [20, 10, 5]
    assert compared[0]["ours"] > 0 and compared[1]["ours"] is None


def test_a_network_is_trained_and_fine_tuned_by_one_file(tmp_path: Path) -> None:
    Path("deep.toml").write_text(DEEP, encoding="utf-8")
    done = ran("dbn", "train", "--config", "deep.toml", "--seed", "3", "--out", "deep")
    first, second = (line for line in done.out.splitlines() if line.startswith("$ "))
    assert "--layers 16,8 --method cd,pcd" in first and "--seed 3" in first
    assert second.startswith("$ harmonium dbn finetune deep --epochs 1")
    assert json.loads(Path("deep/classifier/evaluation.json").read_text())["rows"] == "test"


def test_a_stopped_file_says_what_is_left(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harmonium.cli import train

    monkeypatch.setattr(train, "to_the_end", lambda *_: 130)
    done = harmonium("train", "--config", file)
    assert done.code == 130
    rest = "harmonium sample runs/mine --chains 4 --samples 3 --warmup 5"
    assert f"and then: {rest}\n" in done.out
    assert not Path("runs").exists()


def test_recipes_are_listed_and_shown() -> None:
    listed = ran("recipe").out
    assert listed == ran("recipe", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == recipes.names()
    assert all(re.search(r" (< 1|\d+) min  \w", line) for line in listed.splitlines())
    for name in recipes.names():
        assert ran("recipe", name, "--show").out == recipes.named(name).path.read_text()


@pytest.mark.parametrize("name", recipes.names())
def test_each_recipe_is_options_of_the_commands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is checked before the first command, which is the one thing that is replaced."""
    from harmonium.cli import train

    begun = []
    monkeypatch.setattr(train, "to_the_end", lambda *options: begun.append(options) or 1)
    done = harmonium("recipe", name, "--epochs", "3", "--out", "run")
    assert done.code == 1 and len(begun) == 1
    assert "--epochs 3" in done.out


def test_a_table_is_made_of_a_run_later() -> None:
    ran("dbn", "finetune", "digits", "--epochs", "2", "--threads", "1", "--out", "run")
    done = ran("recipe", "theano-logistic", "--table", "run")
    found = json.loads(Path("run/evaluation.json").read_text())
    last = done.out.splitlines()[-1].split()
    assert last[-2:] == ["7.489", f"{100 * found['error']:.3f}"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden =", "hiden =", "line 6: there is no key 'hiden'; did you mean 'hidden'?"),
        ("hidden =", "out =", "line 6: there is no key 'out'; "),
        ("[sample]", "[sampel]", "line 13: there is no key 'sampel'; did you mean 'sample'?"),
        ("hidden = 16", "hidden = -1", "mine.toml, [train]: --hidden is -1; pass 1 or more"),
        ("hidden = 16", "hidden = 'x'", "mine.toml, [train]: Invalid value for '--hidden'"),
        ("samples = 3", "samples = 0", "mine.toml, [sample]: Invalid value for '--samples'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    old: str, new: str, message: str, file: Path, refused: Refused
) -> None:
    file.write_text(FILE.replace(old, new), encoding="utf-8")
    assert message in refused("train", "--config", file)


def test_other_refusals(file: Path, refused: Refused) -> None:
    message = refused("dbn", "train", "--config", file, "--layers", "3,4")
    assert "has no table [dbn.train] whose options --layers could take the place of" in message
    assert "none.toml is no file" in refused("train", "--config", "none.toml")
    assert "there is no recipe 'x'" in refused("recipe", "x")
    message = refused("recipe", "theano-logistic", "--table", "none")
    assert "none does not exist; harmonium recipe theano-logistic makes one" in message
    Path("there").mkdir()
    assert "there exists and is no run" in refused("train", "--config", file, "--out", "there")
