"""`harmonium diagnose`: what it prints and writes, what it replaces, and what it refuses."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cli.commands import Done, harmonium
from cli.conftest import contents
from harmonium import RBM, Binary, checkpoint
from harmonium.run_directory import RunDirectory
from harmonium.runs.answers import diagnose
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.trained import open_trained
from harmonium.serialization import serialize
from html_pages import Page
from test_architecture import texts_of

Train = Callable[..., Done]
Refused = Callable[..., str]

SHORT = ("--sweeps", "100", "--chains", "10", "--threads", "1")


def diagnosed(*arguments: str | Path) -> Done:
    done = harmonium("diagnose", *SHORT, *arguments)
    assert done.code == 0, done.err
    return done


def numbers(run: Path) -> dict[str, Any]:
    found = json.loads((run / "diagnosis.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_a_diagnosis_is_a_table_advice_numbers_and_a_page(run: Path) -> None:
    before = contents(run)
    done = diagnosed(run)
    for said in (
        "10 chains from data and from random states, 100 sweeps, of which half are warm-up",
        "autocorrelation time, sweeps",
        "visible magnetisation",
        "Chains beside the data",
        "8: 0 dead, 0 saturated, 0 copies",
        "free energy, training − held-out",
        "largest singular value",
        f"page      {run / 'report.html'}",
    ):
        assert said in done.out, said
    found = numbers(run)
    assert found["update"] == 39 and found["kind"] == "harmonium diagnosis"
    findings = found["findings"]
    assert (findings["n_rows"], findings["n_hidden"]) == (1297, 8)
    assert (findings["n_training_chains"], findings["batch_size"]) == (500, 100)
    assert findings["mixing"]["n_chains"] == 10 and findings["mixing"]["n_warmup"] == 51
    assert findings["not_measured"] == {}
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert findings["update_ratio"] == rows[-1]["update_ratio"]
    assert [of["update"] for of in found["weights"]] == [0, 39]
    assert len(found["weights"][0]["singular_values"]) == 8
    # three epochs are no training: that is what it says, in all three places
    (advice,) = (one for one in found["advice"] if "unlike the data" in one["finding"])
    assert f"serious: {advice['finding']}" in done.out
    assert f"{advice['remedy']}." in done.out and "lower `--learning-rate`" in advice["remedy"]
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert advice["remedy"].split("`")[0].strip() in page.text
    assert "1,297 training rows, 250 held out" in page.text
    drawn = {f"{name}.png" for name in ("autocorrelation", "moments", "states", "singular-values")}
    assert {path.name for path in (run / "figures/diagnosis").iterdir()} == drawn
    assert len(page.pictures) == len(drawn)
    assert all(png.startswith(b"\x89PNG") for png in page.pictures.values())
    # and nothing else is touched
    after = contents(run)
    new = {"figures/diagnosis", *(f"figures/diagnosis/{name}" for name in drawn)}
    assert after.keys() - before.keys() == {"diagnosis.json", *new}
    assert {name for name in before if after[name] != before[name]} == {"report.html"}


def test_numbers_are_those_of_the_library(run: Path) -> None:
    from harmonium import Purpose, Stream, datasets, diagnostics

    diagnosed(run, "--seed", "3")
    rbm = checkpoint.load_model(run / "model.safetensors")
    train, held_out, _ = datasets.load("digits").split()
    order, held_order = (torch.from_numpy(np.arange(len(data))) for data in (train, held_out))
    found = diagnostics.free_energy_gap(
        rbm,
        train.rows(order, Stream(0, Purpose.ENCODE)),
        held_out.rows(held_order, Stream(0, Purpose.ENCODE)),
    )
    told = numbers(run)["findings"]["overfitting"]
    assert told["gap"] == pytest.approx(found.gap, rel=1e-4)
    assert told["told_apart"] == pytest.approx(found.told_apart, abs=1e-3)


def test_json_is_the_file_and_again_gives_the_same(run: Path) -> None:
    done = diagnosed(run, "--json")
    (told,) = done.objects
    assert told.pop("event") == "finished" and told.pop("report") == str(run / "report.html")
    first = numbers(run)
    assert told == first
    diagnosed(run)
    again = numbers(run)
    for changing in ("created", "seconds"):
        first.pop(changing), again.pop(changing)
    assert again == first


def test_a_good_run_is_told_so(train: Train) -> None:
    train("digits", "--binarize", "0.5", "--hidden", "32", "--epochs", "300", "--out", "good")
    done = harmonium("diagnose", "good", "--sweeps", "2000", "--threads", "1")
    assert done.code == 0, done.err
    assert "Nothing stands out" in done.out
    assert numbers(Path("good"))["advice"] == []
    assert "Nothing stands out" in Page(Path("good/report.html").read_text("utf-8")).text


@pytest.mark.parametrize("name", ["report.html", "diagnosis.json"])
def test_files_of_others_are_not_replaced(name: str, run: Path, refused: Refused) -> None:
    (run / name).write_text("<html>my own notes</html>")
    message = refused("diagnose", run)
    assert f"{name} exists and was not written by harmonium; move it away" in message


@pytest.mark.parametrize(
    "options",
    [
        "--visible spin --binarize 0.5 --method cd",
        "--visible gaussian --learn-precision --learning-rate 0.01",
        "--visible gaussian --hidden-units gaussian --learning-rate 0.001 --held-out 0",
        "--hidden-units drelu",
        "--visible poisson",
        "--visible categorical --hidden-units spin",
        "--hidden-units categorical --hidden-categories 3 --average 0.9",
        "--binarize stochastic --image-shape 2x3",
    ],
)
def test_every_kind_of_run_is_diagnosed(options: str, train: Train) -> None:
    values = np.random.default_rng(0).integers(0, 2, (60, 6))
    values[:, 2] = 1  # a constant column is nothing to stumble over
    Path("mine.csv").write_text("\n".join(",".join(map(str, row)) for row in values))
    train("mine.csv", *options.split(), "--epochs", "2", "--batch-size", "20")
    run = Path("runs/mine")
    diagnosed(run)
    found = numbers(run)["findings"]
    assert found["mixing"]["observables"].keys() >= {"energy", "direction 1"}
    assert found["moments"]["means"]["rms"] >= 0
    missing = set()
    if "--held-out 0" in options:
        missing.add("overfitting")
    if "--hidden-units gaussian" in options or "--hidden-units drelu" in options:
        missing.add("hidden")
    assert found["not_measured"].keys() == missing
    assert (found["n_training_chains"] is None) == ("--method cd" in options)
    Page((run / "report.html").read_text(encoding="utf-8"))


def test_bounds_of_the_log_likelihood_are_told_where_there_are_any(run: Path) -> None:
    results = {
        "digits:train": {"lower": -20.5, "upper": -20.0, "update": 39},
        "digits:test": {"lower": -22.0, "upper": -21.25, "update": 39},
        "digits:old": {"lower": -30.0, "upper": -29.0, "update": 13},
        "digits:odd": {"lower": None, "upper": -29.0, "update": 39},
        "mine.npy": {"lower": None, "upper": -19.0, "update": 39, "trusted": False},
    }
    (run / "likelihood.json").write_text(json.dumps({"format": 1, "results": results}))
    done = diagnosed(run)
    assert "digits:test                 -22.00 … -21.25" in done.out
    assert "digits:train − digits:test  0.75 … 2.00" in done.out
    assert "digits:old" not in done.out and "digits:odd" not in done.out
    assert "at most -19.00: the estimates do not agree" in done.out
    expected = {"digits:train": [-20.5, -20.0], "digits:test": [-22.0, -21.25]}
    expected["mine.npy"] = [None, -19.0]
    assert numbers(run)["log_likelihood"] == expected


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"results": 3}', '{"results": {"a": 1}}'])
def test_a_likelihood_that_is_damaged_is_left_alone(content: str, run: Path) -> None:
    (run / "likelihood.json").write_text(content)
    assert diagnose._bounds(open_trained(Asked(RunDirectory(run)))) == {}


def test_a_single_chain_and_what_cannot_be_said_of_it(run: Path) -> None:
    done = harmonium("diagnose", run, "--sweeps", "100", "--chains", "1")
    assert done.code == 0, done.err
    assert "moments" in done.out and "not measured: the chains are a single" in done.out
    found = numbers(run)["findings"]
    assert found["moments"] is None and found["mixing"]["n_chains"] == 1


def test_a_run_without_checkpoints_or_numbers(run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    (run / "metrics.jsonl").write_text("")
    done = diagnosed(run)
    assert "not measured: no row of numbers about the training has one" in done.out
    found = numbers(run)
    assert found["update"] is None and found["findings"]["n_training_chains"] is None
    assert "Learning curves" not in Page((run / "report.html").read_text("utf-8")).text


def test_a_run_with_neither_checkpoint_nor_model(run: Path, refused: Refused) -> None:
    for path in [*(run / "checkpoints").iterdir(), run / "model.safetensors"]:
        path.unlink()
    assert "model.safetensors: there is no such model file" in refused("diagnose", run)


def test_other_data_than_those_of_the_run(train: Train, refused: Refused) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (40, 5))
    np.save("mine.npy", rows)
    train("mine.npy", "--epochs", "1", "--batch-size", "10")
    np.save("mine.npy", 1 - rows)
    message = refused("diagnose", "runs/mine")
    assert "have changed since runs/mine was begun" in message


def test_a_model_that_is_none(run: Path) -> None:
    rbm = RBM(Binary(64), Binary(8))
    content = {name: tensor.detach().clone() for name, tensor in rbm.state_dict().items()}
    content["hidden.bias"][3] = math.nan
    config = {"rbm": {"visible": {"type": "Binary", "n": 64}, "hidden": {"type": "Binary", "n": 8}}}
    (run / "model.safetensors").write_bytes(serialize("model", content, config))
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    before = contents(run)
    done = harmonium("diagnose", run)
    assert done.code == 1
    assert "1 of 8 values of hidden.bias are NaN or infinite, so there is no model" in done.err
    assert contents(run) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--sweeps 15", "--sweeps"),
        ("--chains 0", "--chains"),
        ("--seed -1", "--seed"),
    ],
)
def test_options_that_make_no_sense(options: str, said: str, run: Path, refused: Refused) -> None:
    assert said in refused("diagnose", run, *options.split(), code=2)


def test_a_run_that_does_not_exist(refused: Refused) -> None:
    assert "nowhere does not exist" in refused("diagnose", "nowhere")


def test_no_space_leaves_the_former_diagnosis(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosed(run)
    before = contents(run)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    done = harmonium("diagnose", *SHORT, run)
    monkeypatch.undo()
    assert done.code == 1 and "no space is left on the disk" in done.err
    assert contents(run) == before


def test_advice_names_options_that_there_are() -> None:
    import inspect
    import re

    from typer.main import get_command

    from harmonium.cli import app
    from harmonium.cli.spelling import spelled
    from harmonium.diagnostics import advice

    top = get_command(app)
    commands = [top.commands[name] for name in ("train", "sample", "diagnose")]
    there = {name for command in commands for option in command.params for name in option.opts}
    said = " ".join(map(spelled, texts_of(inspect.getsource(advice), put=" ")))
    named = set(re.findall(r"--[a-z0-9][a-z0-9-]*", said))
    assert {"--sweeps", "--learning-rate", "--hidden", "--chains"} <= named
    assert named <= there
