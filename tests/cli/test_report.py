"""`harmonium report` and `compare`, the page that trainings renew, and the sheets along the way."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.commands import QUICK, Done, harmonium, start
from cli.conftest import contents
from harmonium import report
from harmonium.cli.console import Console
from harmonium.cli.report import command_of
from harmonium.report import loading
from harmonium.report.facts import Facts
from harmonium.run_directory import Network, RunDirectory, kinds
from harmonium.runs.following import write_page
from harmonium.runs.pictures import figures, history
from html_pages import Page

Train = Callable[..., Done]
Refused = Callable[..., str]

PICTURES = ("--hidden", "8", "--binarize", "none", "--threads", "1", "--no-tensorboard")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def page(path: str | Path) -> Page:
    return Page(Path(path).read_text(encoding="utf-8"))


def sheets(run: str | Path) -> dict[str, bytes | None]:
    return contents(Path(run) / "figures/history")


def updates(run: str | Path, what: str = "filters") -> list[int]:
    return list(RunDirectory(run).history(what))


# Sheets along a training


@pytest.fixture
def nothing_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures of a finished run take seconds, and are tested elsewhere."""
    monkeypatch.setattr(figures, "draw_all", lambda *_: iter(()))


@pytest.mark.usefixtures("nothing_at_the_end")
def test_a_training_leaves_sheets_of_all_its_time() -> None:
    ran("train", *PICTURES, "--epochs", "3", "--every", "8", "--out", "run")
    at = [0, 8, 16, 24, 32, 40, 48]
    assert {what: updates("run", what) for what in history.KINDS} == dict.fromkeys(
        history.KINDS, at
    )
    shapes = {
        "filters": (8, 8 * 9 - 1),
        "chains": (35, 44),
        "reconstructions": (35, 44),
    }
    for what, (height, width) in shapes.items():
        seen = set()
        for path in RunDirectory("run").history(what).values():
            with Image.open(path) as image:
                assert (image.mode, image.size) == ("L", (width, height)), what
                # what lies between the pictures is none of their greys
                assert image.info["transparency"] == 255
                grey = np.asarray(image)
            assert (grey[:, 8] == 255).all() and grey[:8, :8].max() < 255
            assert len(np.unique(grey)) <= 33
            seen.add(grey.tobytes())
        assert len(seen) == len(at), what


@pytest.mark.parametrize(
    ("every", "total", "expected"),
    [(10, 320, 10), (10, 330, 20), (1, 10_000, 512), (500, 500, 500), (7, 5, 7)],
)
def test_sheets_are_few_however_long_a_run_is(every: int, total: int, expected: int) -> None:
    assert history.spacing(every, total) == expected
    assert total // expected <= history.MOST_SHEETS


@pytest.mark.usefixtures("nothing_at_the_end")
def test_sheets_of_a_long_run_are_thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_SHEETS", 4)
    run = ("train", *PICTURES, "--every", "5")
    ran(*run, "--epochs", "3", "--out", "run")
    assert updates("run") == [0, 20, 40, 48]
    # one that is taken further keeps every second of them, and the last of its former end goes
    ran("resume", "run", "--epochs", "6")
    assert updates("run") == [0, 40, 80, 96]
    monkeypatch.setattr(history, "MOST_SHEETS", 32)
    ran("train", *PICTURES, "--every", "16", "--epochs", "3", "--out", "rows")
    ran("resume", "rows", "--epochs", "4")
    assert updates("rows") == [0, 16, 32, 48, 64]


@pytest.mark.usefixtures("nothing_at_the_end")
def test_sheets_change_no_bit_of_what_is_learned() -> None:
    for method in ("pcd", "cd"):
        options = ("train", *PICTURES, "--epochs", "2", "--every", "4", "--method", method)
        ran(*options, "--out", f"{method}-seen")
        ran(*options, "--out", f"{method}-unseen", "--no-figures")
        models = [
            Path(f"{method}-{name}/model.safetensors").read_bytes() for name in ("seen", "unseen")
        ]
        assert models[0] == models[1]
        assert sheets(f"{method}-seen") and not sheets(f"{method}-unseen")


@pytest.mark.usefixtures("nothing_at_the_end")
@pytest.mark.parametrize("method", ["pcd", "cd"])
def test_a_run_that_was_killed_ends_with_the_same_sheets(method: str, tmp_path: Path) -> None:
    arguments = [
        *("train", *PICTURES, "--epochs", "2", "--every", "5", "--checkpoint-every", "0"),
        *("--method", method, "--binarize", "stochastic"),
    ]
    ran(*arguments, "--out", "never")
    assert updates("never") == [0, 5, 10, 15, 20, 25, 30, 32]
    point = random.Random(method).randrange(40, 150)
    process = start([*arguments, "--out", "killed"], tmp_path / "log", crash_at=point)
    process.join(120)
    assert process.exitcode == -signal.SIGKILL, (tmp_path / "log").read_text()
    for path in Path("killed").rglob("*.png"):
        with Image.open(path) as image:
            image.load()
    ran("resume", "killed")
    assert sheets("killed") == sheets("never")
    leftovers = [path for path in Path("killed").rglob("*") if path.name.startswith(".")]
    assert leftovers == []


@pytest.mark.parametrize("options", ["--visible categorical", "--no-figures"])
def test_there_are_no_sheets_where_nothing_can_be_seen(options: str) -> None:
    values = np.random.default_rng(0).integers(0, 2, (60, 6))
    np.save("mine.npy", values)
    given = ["--image-shape", "2x3", "--batch-size", "20", *options.split(), "--binarize", "none"]
    if "categorical" in options:
        given = given[:-2]
    ran("train", "mine.npy", *given, "--hidden", "4", "--epochs", "2", "--no-tensorboard")
    run = Path("runs/mine")
    assert not sheets(run) and not (run / "figures/film").exists()
    assert "Through the training" not in page(run / "report.html").text


# The page of a run


def test_a_page_is_written_with_every_checkpoint_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages: list[tuple[str, str, int]] = []
    real = report.write

    def watched(run: RunDirectory, command: str, stage: Any, words: Any) -> Path:
        path = real(run, command, stage, words)
        stages.append((run.path.name, stage, len(run.rows())))
        return path

    monkeypatch.setattr(report, "write", watched)
    ran("train", *QUICK, "--epochs", "1", "--every", "5", "--checkpoint-every", "0", "--out", "run")
    assert stages == [
        *(("run", "running", (done // 5) + (done == 13)) for done in range(1, 14)),
        ("run", "unknown", 3),
    ]
    assert "Finished" in page("run/report.html").text


def test_a_stopped_run_says_so_on_its_page(tmp_path: Path) -> None:
    arguments = ["train", *QUICK, "--epochs", "2000", "--every", "13", "--out", "run"]
    process = start(arguments, tmp_path / "log")
    give_up = time.monotonic() + 60
    while not (Path("run/metrics.jsonl").exists() and Path("run/metrics.jsonl").stat().st_size):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    text = page("run/report.html").text
    (update,) = re.findall(
        r"Stopped update ([\d,]+) of 26,000; go on with harmonium resume run", text
    )
    assert (
        RunDirectory("run").latest_checkpoint().stem == f"update-{int(update.replace(',', '')):09d}"
    )
    ran("report", "run")
    assert f"Not finished update {update} of 26,000" in page("run/report.html").text


def test_report_writes_the_page_anew_and_nothing_else(run: Path) -> None:
    before = contents(run)
    (run / "report.html").unlink()
    done = ran("report", run)
    assert done.out == f"page      {run / 'report.html'}\n"
    after = contents(run)
    assert {name for name in before if after[name] != before[name]} <= {"report.html"}
    text = page(run / "report.html").text
    for said in ("Finished", "1,297 training rows, 250 held out", "epochs 3 of 3, 39 updates"):
        assert said in text, said
    (told,) = ran("report", run, "--json").objects
    assert told == {"event": "finished", "report": str(run / "report.html")}


def test_a_report_that_cannot_be_written(run: Path, refused: Refused) -> None:
    assert "nowhere does not exist" in refused("report", "nowhere")
    (run / "report.html").write_text("<html>mine</html>")
    said = "report.html exists and was not written by harmonium; move it away"
    assert said in refused("report", run)
    # before anything else is done, not after hours of training
    assert said in refused("resume", run, "--epochs", "5")
    assert said in refused("evaluate", run)
    (run / "config.json").write_text("{}")
    assert "is not the configuration of a harmonium run" in refused("report", run)


def test_a_network_has_a_page_and_one_of_each_layer() -> None:
    quick = ("--threads", "1", "--no-tensorboard")
    ran("dbn", "train", "--layers", "8,6", "--epochs", "1", *quick, "--out", "net")
    whole = page("net/report.html")
    assert "Deep belief network 64-8-6, digits" in whole.text
    assert "layers 2 of 2 begun" in whole.text and "Finished" in whole.text
    assert {"Filters of layer 1", "Filters of layer 2", "Film"} <= whole.pictures.keys()
    assert [link for link in whole.links if not link.startswith("#")] == [
        *("layers/1/report.html", "layers/2/report.html")
    ]
    assert len(list(Path("net/figures/film").iterdir())) == 40
    upper = page("net/layers/2/report.html").text
    assert "net, layer 2" in upper and "8 × 6 binary units, the hidden units of layer 1" in upper
    assert "It is trained together with its network" in upper
    ran("report", "net")
    ran("report", "net/layers/1")
    tuned = ("dbn", "finetune", "net", "--epochs", "2", *quick)
    ran(*tuned)
    of_classes = page("net/classifier/report.html")
    assert "Classifier 64-8-6, begun at a pretrained stack, digits" in of_classes.text
    assert "Confusion matrix" in of_classes.pictures and "wrong" in of_classes.text
    assert "of held-out rows" in of_classes.text
    # neither is an RBM, and all can be compared as far as that goes
    ran("compare", "net", "net/classifier", "net/layers/1")
    both = page("compare.html").text
    assert "Runs of different kinds" in both
    assert "compare them with harmonium compare net/layers/1 net/layers/2" in both


# What is on the page works


@pytest.fixture(scope="module")
def of_each_kind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    quick = ("--threads", "1", "--no-tensorboard", "--no-figures")
    before = Path.cwd()
    os.chdir(folder)
    try:
        ran(
            "train",
            *QUICK,
            "--epochs",
            "2",
            "--every",
            "7",
            "--learning-rate",
            "0.25",
            "--out",
            "a",
        )
        tempered = ("--sampler", "tempering", "--temperatures", "3", "--schedule", "constant")
        ran("train", *quick, "--hidden", "4", "--epochs", "1", *tempered, "--out", "with space")
        options = ("--layers", "6,5", "--features", "means", "--sweeps", "2,1", "--validation")
        ran("dbn", "train", *options, "--epochs", "1", *quick, "--out", "net")
        tune = ("--kind", "autoencoder", "--epochs", "1", "--momentum", "0.5")
        ran("dbn", "finetune", "net", *tune, *quick, "--out", "tuned")
    finally:
        os.chdir(before)
    return folder


@pytest.mark.parametrize("name", ["a", "with space", "net", "tuned"])
def test_the_command_of_a_page_makes_the_same_run_again(
    name: str, of_each_kind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(of_each_kind, "copy"))
    monkeypatch.chdir(folder)
    run = RunDirectory(name)
    command = command_of(run)
    assert command in page(run.report_path).text
    harmonium_, *arguments = shlex.split(command)
    assert harmonium_ == "harmonium"
    ran(*arguments, "--out", "again")
    again = RunDirectory("again")
    config, repeated = run.config(), again.config()
    for changes in ("created",):
        config.pop(changes), repeated.pop(changes)
    assert repeated == config
    for made in ("model", "dbn", "network"):
        path = run.path / f"{made}.safetensors"
        if path.is_file():
            assert path.read_bytes() == (again.path / path.name).read_bytes()


@pytest.mark.parametrize("name", ["a", "with space", "net", "net/layers/2", "tuned"])
def test_three_lines_load_what_was_made(
    name: str, of_each_kind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(of_each_kind, "copy"))
    monkeypatch.chdir(folder)
    run = RunDirectory(name)
    for stage in ("unknown", "stopped"):  # the finished model, or the newest checkpoint
        lines = loading.lines(Facts(run, stage, ""))
        assert lines is not None and len(lines.splitlines()) == 3
        names: dict[str, Any] = {}
        exec(lines, names)
        assert names.keys() & {"filters", "weights", "module", "network"}
        if stage == "unknown":
            write_page(run, Console(as_json=False))
            assert " ".join(lines.split()) in page(run.report_path).text
        if run.network_path.is_file():
            run.network_path.unlink()
        if run.kind is kinds.DBN:
            Network(run).dbn_path.unlink(missing_ok=True)


# Several runs


def test_compare_writes_one_page(run: Path, train: Train) -> None:
    train("--epochs", "2", "--hidden", "6", "--out", "other")
    done = ran("compare", run, "other")
    verdict, page_line = done.out.splitlines()
    assert page_line == "page      compare.html"
    assert "nats a row" in verdict and ("cannot be told apart" in verdict or "better" in verdict)
    assert verdict in page("compare.html").text
    both = page("compare.html")
    assert [of["name"] for of in both.data["data-curves"]["runs"]] == ["run", "other"]
    assert "run other hidden 8 6 epochs 3 2" in both.text
    (told,) = ran("compare", run, "other", "--out", "two.html", "--json").objects
    assert told == {"event": "finished", "page": "two.html", "verdict": verdict}


def test_compare_states_differences_on_the_same_rows(run: Path, train: Train) -> None:
    train("--epochs", "2", "--hidden", "6", "--out", "other")
    for path in (run, "other"):
        ran("evaluate", path, "--threads", "1")
    done = ran("compare", run, "other")
    verdict, difference, _ = done.out.splitlines()
    assert " nats a row" in verdict and ", on the same " in verdict
    found = [json.loads((Path(path) / "likelihood.json").read_text()) for path in (run, "other")]
    (a, b), (data,) = [of["results"] for of in found], found[0]["results"]
    apart = a[data]["upper"] - b[data]["upper"]
    assert difference.startswith(f"run − other: {apart:.2f} nats a row, on the same ")
    (told,) = ran("compare", run, "other", "--json").objects
    (one,) = told["differences"]
    assert (one["a"], one["b"], one["data"]) == ("run", "other", data)
    assert one["lower"] == one["upper"] == pytest.approx(apart)
    assert one["lower_std_error"] == 0
    # most of the noise of the rows cancels
    assert 0 < one["rows_std_error"] < a[data]["rows_std_error"]
    assert f"(with other rows of their kind: ± {one['rows_std_error']:.2g})" in difference
    assert "Differences on the same rows" in page("compare.html").text
    # of other rows nothing cancels, and nothing is said
    ran("evaluate", "other", "--rows", "20", "--threads", "1")
    done = ran("compare", run, "other")
    assert "on the same" not in done.out


def test_what_cannot_be_compared(run: Path, train: Train, refused: Refused) -> None:
    train("--epochs", "1", "--out", "other")
    Path("mine.html").write_text("<html>mine</html>")
    assert "there is one run, other, and nothing beside it" in refused("compare", "other")
    assert "other is there twice" in refused("compare", "other", run, "./other")
    assert "nowhere does not exist; runs beside it: other" in refused("compare", run, "nowhere")
    message = refused("compare", run, "other", "--out", "mine.html")
    assert "mine.html exists and was not written by harmonium; move it away" in message
    message = refused("compare", run, "other", "--out", "no/such/folder.html")
    assert "the folder no/such does not exist" in message
    (run / "metrics.jsonl").write_text("")
    assert "has no row of numbers yet" in refused("compare", run, "other")
    assert "RUN" in refused("compare", code=2)


def test_the_page_knows_the_recipe(run: Path) -> None:
    (run / "recipe.json").write_text(json.dumps({"recipe": "theano-rbm", "minutes": 2.5}))
    ran("report", run)
    assert "recipe theano-rbm, 2.5 minutes in all" in page(run / "report.html").text
