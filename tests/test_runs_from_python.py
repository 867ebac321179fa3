"""Runs from Python: the same as the command line's, bit for bit, and an object for each of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

import bits
import harmonium
from cli.commands import forked, wait_for
from harmonium import likelihood, training
from harmonium.deep import DBN, Classifier
from harmonium.runs import Run, RunDirectory, Stopped
from harmonium.runs.rbm_task import RBMTask
from harmonium.runs.reporting import Silent

SMALL: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 10,
    "every": 2,
    "threads": 1,
    "figures": False,
    "tensorboard": False,
}
TYPED = (
    *("--epochs", "2", "--batch-size", "10", "--every", "2", "--threads", "1"),
    *("--no-figures", "--no-tensorboard"),
)
ROWS = np.random.default_rng(0).integers(0, 2, (50, 6)).astype(np.uint8)


pytestmark = pytest.mark.usefixtures("own_folder")


def digest(path: str | Path) -> str:
    """Of everything but the rows that a run keeps itself."""
    shutil.copytree(path, "digested", ignore=shutil.ignore_patterns("data.safetensors"))
    bits.drop_older_checkpoints(Path("digested"))
    found = bits.digest(Path("digested"))
    shutil.rmtree("digested")
    return found


# the same run as the command line's


def test_a_run_is_that_of_the_command_line() -> None:
    bits.run("train", "digits", "--rows", "60", "--hidden", "6", *TYPED, "--out", "typed")
    run = harmonium.train("digits", rows=60, hidden=6, out="called", **SMALL)
    assert digest("called") == digest("typed")
    config, typed = run.config, RunDirectory("typed").config()
    assert config.pop("created") and typed.pop("created")
    assert config == typed


def test_a_stack_and_its_classifier_are_those_of_the_command_line() -> None:
    layers = ("--layers", "6,5", "--sweeps", "1,2")
    bits.run("dbn", "train", "digits", "--rows", "60", *layers, *TYPED, "--out", "typed")
    bits.run("dbn", "finetune", "typed", "--rows", "60", *TYPED)
    stack = harmonium.train_dbn(
        "digits", rows=60, layers=[6, 5], sweeps=[1, 2], out="called", **SMALL
    )
    tuned = stack.finetune(kind="classifier", rows=60, **SMALL)
    assert (stack.kind, tuned.kind, tuned.path) == ("dbn", "classifier", stack.path / "classifier")
    assert isinstance(stack.model, DBN) and isinstance(tuned.model, Classifier)
    assert digest("called") == digest("typed")


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy, scipy.sparse.csr_matrix])
def test_rows_in_memory_make_the_run_of_their_file(make: Any) -> None:
    np.save("mine.npy", ROWS)
    bits.run("train", "mine.npy", "--hidden", "4", *TYPED, "--out", "typed")
    rows = make(ROWS.copy())
    harmonium.train(rows, hidden=4, out="called", **SMALL)
    assert digest("called") == digest("typed")
    still = rows.toarray() if scipy.sparse.issparse(rows) else np.asarray(rows)
    assert (still == ROWS).all()


# rows in memory


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_frame_is_kept_by_its_run(frame: Any) -> None:
    table = {name: ROWS[:, i] for i, name in enumerate("abcde")} | {"kind": ["x", "y"] * 25}
    run = harmonium.train(frame(table), label="kind", hidden=4, out="run", **SMALL)
    assert run.config["data"]["columns"] == list("abcde")
    assert run.config["data"]["classes"] == ["x", "y"]
    shutil.move("run", "moved")
    run = harmonium.open("moved").resume(more_epochs=1)
    assert run.metrics[-1]["epoch"] == 3
    bits.run("evaluate", "moved", "--chains", "10", "--temperatures", "50")


def test_a_stack_of_an_array_goes_on_and_is_fine_tuned_where_it_is_moved() -> None:
    data = harmonium.datasets.from_array(ROWS, labels=ROWS[:, 0])
    harmonium.train_dbn(data, layers="4,3", out="run", **SMALL)
    shutil.move("run", "moved")
    stack = harmonium.open("moved").resume()
    tuned = harmonium.finetune(stack, **SMALL)
    assert tuned.resume(more_epochs=1).metrics[-1]["epoch"] == 3


def test_a_network_of_an_array_keeps_its_labels() -> None:
    data = harmonium.datasets.from_array(ROWS, labels=ROWS[:, 0])
    harmonium.finetune(data, layers=[4], out="run", **SMALL)
    shutil.move("run", "moved")
    assert harmonium.open("moved").resume(more_epochs=1).metrics[-1]["epoch"] == 3


# rows as they come


def test_a_set_up_that_fails_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    harmonium.train("digits", hidden=3, rows=40, out="old", **SMALL)
    before = {path: path.read_bytes() for path in Path("old").rglob("*") if path.is_file()}

    def fails(*_: Any) -> None:
        raise ValueError("rows to watch")

    monkeypatch.setattr(training, "default_monitor", fails)
    for out in ("new", "old"):
        with pytest.raises(ValueError, match="rows to watch"):
            harmonium.train("digits", hidden=4, rows=40, out=out, overwrite=True, **SMALL)
    assert not Path("new").exists() and [path.name for path in Path().iterdir()] == ["old"]
    assert all(path.read_bytes() == content for path, content in before.items())


def test_rows_come_while_the_training_goes_on() -> None:
    rows = harmonium.train(ROWS, hidden=4, out="run", follow=True, **SMALL)
    assert rows.run.update == 0 and not rows.run.is_finished
    first = next(rows)
    assert first["update"] == 2 and rows.run.metrics == [first]
    assert [row["update"] for row in rows] == [4, 6, 8, 10]
    assert rows.run.is_finished


def test_who_leaves_the_loop_goes_on_later_to_the_same_bits() -> None:
    harmonium.train(ROWS, hidden=4, out="whole", **SMALL)
    for row in harmonium.train(ROWS, hidden=4, out="left", follow=True, **SMALL):
        if row["update"] == 4:
            break
    left = harmonium.open("left")
    assert left.update == 4 and not left.is_finished
    assert left.model.weights.shape == (6, 4)
    left.resume()
    assert digest("left") == digest("whole")


def test_an_interrupt_keeps_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    look = RBMTask.look

    def interrupted(task: RBMTask) -> Any:
        if task.done == 3:
            signal.raise_signal(signal.SIGINT)
        return look(task)

    said = "stopped after update 3 of 10; go on with: `harmonium.open"
    with monkeypatch.context() as patch, pytest.raises(Stopped, match=said):
        patch.setattr(RBMTask, "look", interrupted)
        harmonium.train(ROWS, hidden=4, out="run", **SMALL)
    run = harmonium.open("run")
    assert run.update == 3
    assert run.resume().is_finished


def _script(folder: str) -> None:
    """What a user might run, who expects an interrupt and no other signal."""
    os.chdir(folder)
    try:
        for _ in harmonium.train(ROWS, hidden=4, out="other", follow=True, **SMALL):
            pass
        harmonium.train(ROWS, hidden=4, out="run", **{**SMALL, "epochs": 10**6})
    except KeyboardInterrupt:
        Path("went on").touch()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_script_ends_by_sigterm_and_keeps_a_checkpoint() -> None:
    process = forked(_script, os.getcwd())
    wait_for(lambda: Path("run/metrics.jsonl").is_file() and bool(harmonium.open("run").metrics))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == -signal.SIGTERM
    run = harmonium.open("run")
    assert run.update > 0 and not run.is_finished and not Path("went on").exists()
    assert "Stopped" in run.page.read_text(encoding="utf-8")


def test_a_handler_of_ones_own_hears_of_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    look, heard = RBMTask.look, []

    def terminated(task: RBMTask) -> Any:
        if task.done == 3:
            signal.raise_signal(signal.SIGTERM)
            assert heard == []  # the checkpoint comes first
        return look(task)

    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with monkeypatch.context() as patch, pytest.raises(Stopped, match="after update 3 of 10"):
            patch.setattr(RBMTask, "look", terminated)
            harmonium.train(ROWS, hidden=4, out="run", **SMALL)
        assert heard == [signal.SIGTERM] and harmonium.open("run").update == 3
    finally:
        signal.signal(signal.SIGTERM, before)


def test_messages_name_the_options_of_runs() -> None:
    """Arguments of the library's functions have longer names."""
    said = likelihood.agreement._MORE_TEMPERATURES
    assert Silent().words(said) == "pass more `temperatures`, or a larger `budget`"
    assert Silent().words("`n_chains` of `n_hidden`") == "`chains` of `n_hidden`"


# the object


def test_a_run_shows_itself_in_a_notebook() -> None:
    run = harmonium.train("digits", rows=60, hidden=6, out="run", **{**SMALL, "figures": True})
    assert repr(run) == "Run('run', rbm, finished)"
    shown = run._repr_html_()
    assert shown.count("<img ") == 4 and "digits" in shown and "http" not in shown
    assert {"filters", "samples", "learning-curves"} <= run.figures.keys()
    page = run.page.read_text(encoding="utf-8")
    assert "harmonium.train(" in page and "hidden=6, rows=60, " in page


def test_a_notebook_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    handle = SimpleNamespace(update=shown.append)
    display = SimpleNamespace(display=lambda what, display_id: shown.append(what) or handle)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    harmonium.train(ROWS, hidden=4, out="run", **SMALL)
    assert len(shown) >= 2
    assert "10 of 10 updates" in shown[-1]._repr_html_()
    assert 'value="10" max="10"' in shown[-1]._repr_html_()


def test_options_are_checked_before_anything_is_made() -> None:
    for wrong, error, message in (
        ({"hiden": 3}, TypeError, "train has no option 'hiden'; did you mean 'hidden'?"),
        ({"hidden": "5"}, TypeError, "`hidden` is '5'; pass a whole number"),
        ({"hidden": 5.0}, TypeError, "`hidden` is 5.0; pass a whole number"),
        ({"validation": 1}, TypeError, "`validation` is 1; pass True or False"),
        ({"l2": "much"}, TypeError, "`l2` is 'much'; pass a number"),
        ({"hidden": 0}, ValueError, "`hidden` is 0; pass 1 or more"),
        ({"method": "pdc"}, ValueError, "`method` is 'pdc'; pass one of pcd, cd"),
        ({"image_shape": (3, 3)}, ValueError, "array has 6 columns"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            harmonium.train(ROWS, out="run", **wrong)
    with pytest.raises(TypeError, match="train_dbn has no option 'hidden'"):
        harmonium.train_dbn(ROWS, hidden=3, out="run")
    with pytest.raises(TypeError, match=r"did you mean 'layers'\? \(it has .*\)$") as refusal:
        harmonium.train_dbn(ROWS, layer=3, out="run")
    assert "of_all" not in str(refusal.value)
    with pytest.raises(TypeError, match="`label` names a column of a table"):
        harmonium.train(harmonium.datasets.from_array(ROWS), label="kind", out="run")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        harmonium.open("nowhere")
    assert list(Path().iterdir()) == []


def test_lists_and_numbers_stand_for_what_is_typed() -> None:
    run = harmonium.train(
        np.tile(ROWS, (1, 2)), hidden=4, image_shape=(3, 4), binarize=0.5, out="run", **SMALL
    )
    options = run.config["options"]
    assert (options["image_shape"], options["binarize"]) == ("3x4", "0.5")
    assert isinstance(run, Run) and run.warnings
