"""Every bad input: one paragraph that says what was wrong, and nothing changed or left behind."""

from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from cli.commands import harmonium
from cli.conftest import contents
from harmonium.datasets import cells
from harmonium.run_directory import RunDirectory

Refused = Callable[..., str]
TINY = ("--hidden", "4", "--epochs", "1", "--batch-size", "4", "--threads", "1", "--no-figures")


def csv(path: str, rows: list[list[object]], header: str = "") -> str:
    lines = [header] * bool(header) + [",".join(map(str, row)) for row in rows]
    Path(path).write_text("\n".join(lines) + "\n")
    return path


def zeros_and_ones(n_rows: int = 20, n_columns: int = 3) -> list[list[object]]:
    return [[(row * 7 + column) % 2 for column in range(n_columns)] for row in range(n_rows)]


# Files


def test_a_file_that_is_missing(refused: Refused) -> None:
    csv("mine.csv", zeros_and_ones())
    message = refused("train", "mein.csv")
    assert "there is no file" in message and "mein.csv" in message
    assert "did you mean 'mine.csv'" in message


def test_a_data_set_that_is_misspelt(refused: Refused) -> None:
    message = refused("train", "digit")
    assert "there is no file 'digit', nor a data set of that name" in message
    assert "did you mean 'digits'?" in message
    assert "did you mean 'mnist'?" in refused("data", "fetch", "mnits")


@pytest.mark.parametrize("content", ["", "\n\n", "a,b,c\n"], ids=["0 bytes", "blank", "header"])
def test_a_file_that_is_empty(content: str, refused: Refused) -> None:
    Path("empty.csv").write_text(content)
    assert "empty.csv is empty" in refused("train", "empty.csv")


def test_arrays_of_the_wrong_shape(refused: Refused) -> None:
    np.save("row.npy", np.zeros(5))
    np.save("colour.npy", np.zeros((4, 2, 2, 3)))
    np.save("none.npy", np.zeros((0, 3)))
    assert "row.npy has shape (5,), but data are rows and columns" in refused("train", "row.npy")
    assert "shape (4, 2, 2, 3)" in refused("train", "colour.npy")
    assert "none.npy is empty: its shape is (0, 3)" in refused("train", "none.npy")


def test_a_picture_shape_that_does_not_fit(refused: Refused) -> None:
    csv("mine.csv", zeros_and_ones())
    message = refused("train", "mine.csv", "--image-shape", "2x2")
    assert "3 columns" in message and "2 × 2" in message
    assert "pass HEIGHTxWIDTH" in refused("train", "mine.csv", "--image-shape", "4")


def test_a_ragged_file(refused: Refused) -> None:
    csv("ragged.csv", [[0, 1, 1], [1, 0], [1, 1, 1]])
    message = refused("train", "ragged.csv")
    assert "row 1 (line 2) of ragged.csv has 2 values, but line 1 has 3" in message


def test_a_file_of_a_type_that_is_not_read(refused: Refused) -> None:
    Path("mine.xlsx").write_bytes(b"PK\x03\x04 and so on")
    message = refused("train", "mine.xlsx")
    assert "mine.xlsx is of a type not read; these are: .npy, .npz, .csv" in message


def test_a_file_that_is_not_what_its_name_says(refused: Refused) -> None:
    for name in ("mine.npy", "mine.npz", "mine.parquet", "mine.pkl.gz"):
        Path(name).write_bytes(b"something else altogether")
        assert name in refused("train", name)


def test_a_folder_as_data(refused: Refused) -> None:
    Path("folder").mkdir()
    assert "folder is a folder; pass a file" in refused("train", "folder")


def test_words_among_the_numbers(refused: Refused) -> None:
    csv("words.csv", [[0, 1], [1, "yes"]], "a,b")
    message = refused("train", "words.csv")
    assert "row 1 (line 3) of words.csv, column 'b', holds 'yes', which is not a number" in message


def test_a_file_that_may_not_be_read(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    csv("mine.csv", zeros_and_ones())

    def deny(path: Path) -> Any:
        # a file's mode would not do: root may read everything
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(cells, "open_unpacked", deny)
    assert "mine.csv: permission denied" in refused("train", "mine.csv")


# Values


def test_nan_and_infinity(refused: Refused) -> None:
    rows = zeros_and_ones()
    for row in rows:
        row[1] = "nan"
    csv("holes.csv", rows, "a,b,c")
    message = refused("train", "holes.csv", "--visible", "gaussian")
    assert "column 'b' of holes.csv has no value in any of the" in message
    rows = zeros_and_ones()
    rows[3][1] = "inf"
    csv("endless.csv", rows, "a,b,c")
    message = refused("train", "endless.csv", "--visible", "gaussian")
    assert "endless.csv holds 0 NaN and 1 infinities" in message


def test_values_that_are_no_states_of_the_visible_units(refused: Refused) -> None:
    values = np.arange(60, dtype=np.uint8).reshape(20, 3) * 4
    np.save("grey.npy", values)
    message = refused("train", "grey.npy", "--visible", "binary", *TINY)
    assert "are not between 0 and 1, as binary units need (the first is" in message
    assert "--binarize" in message and "--visible gaussian" in message and "scale it" in message
    assert "counts" not in message
    np.save("counts.npy", values % 5)
    message = refused("train", "counts.npy", "--visible", "binary", *TINY)
    assert "units of counts (--visible binomial or --visible poisson) or Gaussian" in message
    message = refused("train", "grey.npy", "--visible", "spin", *TINY)
    assert "but spins have two states" in message
    np.save("halves.npy", values / 2 + 0.25)
    message = refused("train", "halves.npy", "--visible", "categorical", *TINY)
    assert "values range from 0.25 to" in message and "categories are the integers" in message
    message = refused("train", "grey.npy", "--binarize", "stochastic", *TINY)
    assert "values range from 0 to 236" in message


@pytest.mark.parametrize("visible", ["binary", "gaussian", "categorical"])
@pytest.mark.parametrize("more", [(), ("--learn-precision",)], ids=["", "learned precision"])
def test_a_constant_column_is_allowed_and_makes_no_nan(visible: str, more: tuple[str]) -> None:
    if more and visible != "gaussian":
        return
    csv("mine.csv", [[*row, 1, 0] for row in zeros_and_ones()])
    done = harmonium("train", "mine.csv", "--visible", visible, *TINY, *more, "--out", "run")
    assert done.code == 0, done.err
    with safe_open("run/model.safetensors", framework="np") as file:
        assert all(np.isfinite(file.get_tensor(name)).all() for name in file.keys())  # noqa: SIM118
    rows = RunDirectory("run").rows()
    assert rows and all(np.isfinite(list(row.values())).all() for row in rows)


def test_a_run_that_diverges_names_the_update_and_keeps_the_last_checkpoint() -> None:
    rows = [[row * 1e3, -row] for row in range(20)]
    csv("mine.csv", rows)
    done = harmonium(
        *("train", "mine.csv", "--visible", "gaussian", "--no-standardize", "--hidden-units"),
        *("gaussian", *TINY, "--learning-rate", "1e6", "--epochs", "40", "--out", "run"),
    )
    assert done.code == 1
    assert "is not finite" in done.err and "of update " in done.err and "learning rate" in done.err
    assert "The last good checkpoint is run/checkpoints/update-0" in done.err
    assert harmonium("info", "run").code == 0
    assert not Path("run/model.safetensors").exists()


# Options


@pytest.mark.parametrize(
    ("options", "said"),
    {
        "--hidden 0": "--hidden is 0; pass 1 or more",
        "--hidden -3": "--hidden is -3; pass 1 or more",
        "--learning-rate -0.1": "--learning-rate is -0.1; pass 0 or a positive number",
        "--learning-rate nan": "--learning-rate is nan; pass 0 or a positive number",
        "--batch-size 2000": "--batch-size is 2000, but digits:train+validation has 1547 training "
        "rows; pass 1 to 1547",
        "--batch-size 0": "--batch-size is 0; pass 1 or more",
        "--epochs 0": "--epochs is 0; pass 1 or more",
        "--rows 0": "--rows is 0; pass 1 or more",
        "--rows 2000": "2000 rows were asked for, but digits:train+validation has 1547; pass 1 to",
        "--sweeps 0": "--sweeps is 0; pass 1 or more",
        "--chains 0": "--chains is 0; pass 1 or more",
        "--seed -1": "--seed is -1; pass a whole number from 0",
        "--every 0": "--every is 0; pass 1 or more updates",
        "--checkpoint-every -1": "--checkpoint-every is -1; pass 0 or more seconds",
        "--momentum 1": "--momentum is 1.0; pass a number from 0 to below 1",
        "--average 1": "--average is 1.0; pass a decay from 0, for no average, to below 1",
        "--l1 -1": "--l1 is -1.0; pass 0 or a positive number",
        "--l2 inf": "--l2 is inf; pass 0 or a positive number",
        "--weight-std -1": "--weight-std is -1.0; pass 0 or a positive number",
        "--held-out 1": "--held-out is 1.0; pass a share from 0 to below 1",
        "--held-out 0.2": "--held-out is for data without parts of their own, and digits has train",
        "--sparsity-target 0.1": "--sparsity-target and --sparsity-cost go together",
        "--sparsity-target 2 --sparsity-cost 1": "--sparsity-target is 2.0; pass a number between",
        "--sparsity-target 0.1 --sparsity-cost 1 --hidden-units spin": "is for binary hidden units",
        "--method cd --chains 10": "--chains is for persistent chains",
        "--method cd --sampler tempering": "--sampler tempering is for persistent chains",
        "--temperatures 5": "--temperatures is for --sampler tempering, and --sampler is gibbs",
        "--sampler tempering --final-sweeps 3": "--final-sweeps is for --sampler gibbs",
        "--final-sweeps 0": "--final-sweeps is 0; pass 1 or more",
        "--sampler tempering --temperatures 1": "--temperatures is 1; pass 2 or more",
        "--momentum 0.5 --optimizer adam": "--momentum is for sgd, and --optimizer is adam",
        "--hidden-categories 3": "--hidden-categories and --hidden-units categorical go together",
        "--hidden-units categorical": "--hidden-categories and --hidden-units categorical go",
        "--learn-precision": "--learn-precision is for Gaussian, ReLU and dReLU units; this",
        "--binarize x": "--binarize is 'x'; pass a threshold such as 0.5, `stochastic`, or `none`",
        "--binarize 0.5 --visible gaussian": "--binarize makes binary states, and --visible is",
        "--visible binary --standardize": "--standardize is for Gaussian and dReLU visible units",
        "--trials 3": "--trials is for binomial visible units, and --visible is auto; leave",
        "--visible binomial --trials 0": "--trials is 0; pass 1 or more",
        "--visible binomial --trials 3": "not from 0 to 3, as binomial units need",
        "--visible poisson --hidden-units relu": "Poisson visible units and --hidden-units relu",
        "--device cuda:99": "the device 'cuda:99' is not there",
        "--device gpu": "the device 'gpu' is not there",
        "--device meta": "the device 'meta' is not there",
    }.items(),
)
def test_options_that_cannot_be(options: str, said: str, refused: Refused) -> None:
    assert said in refused("train", *options.split())


@pytest.mark.parametrize("visible", ["binomial", "poisson"])
def test_values_that_are_no_counts(visible: str, refused: Refused) -> None:
    Path("mine.csv").write_text("a,b,c\n0,1,2\n3,1.5,0\n" + "0,1,2\n3,1.5,0\n" * 9)
    message = refused("train", "mine.csv", "--visible", visible)
    assert "mine.csv: 10 of 60 values are not whole numbers, as counts are" in message
    assert "(the first is 1.5, at [1, 1]); count events in bins, or take --visible" in message


def test_validation_rows_of_a_file(refused: Refused) -> None:
    csv("mine.csv", zeros_and_ones())
    message = refused("train", "mine.csv", "--validation")
    assert "mine.csv has no validation rows of its own; --held-out takes a share" in message


@pytest.mark.parametrize(
    ("command", "said"),
    {
        "train --hiden 3": "No such option: --hiden; did you mean --hidden?",
        "train --learningrate 3": "did you mean --learning-rate?",
        "train --learning_rate 3": "did you mean --learning-rate?",
        "resume run --epoch 3": "did you mean --epochs?",
        "resume run --hiden 3": "did you mean --hidden?",
        "sample run --chain 3": "did you mean --chains?",
        "trian": "No such command 'trian'. Did you mean 'train'?",
        "train --hidden many": "Invalid value for '--hidden'",
        "train --sampler metropolis": "'metropolis' is not one of 'gibbs', 'tempering'",
        "sample run --start cold": "'cold' is not one of 'data', 'random', 'chains'",
        "train --method tap": "'tap' is not one of 'pcd', 'cd'",
        "train digits mnist": "unexpected extra argument(s) (mnist); several files are one pattern",
        "sample": "Missing argument 'RUN'",
        "sample run --chains 0": "Invalid value for '--chains'",
        "data": "Missing command",
    }.items(),
)
def test_what_there_is_not_and_the_nearest_that_there_is(
    command: str, said: str, refused: Refused
) -> None:
    message = refused(*command.split(), code=2)
    assert said in message
    assert "--help shows what there is" in message and "Value error" not in message


def test_a_device_that_is_not_there_names_those_that_are(refused: Refused) -> None:
    assert "there is cpu" in refused("train", "--device", "cuda:99")


# Run directories


def test_a_run_that_exists_is_not_written_over(run: Path, refused: Refused) -> None:
    message = refused("train", *TINY, "--out", run)
    assert f"the run {run} exists" in message
    assert f"harmonium resume {run}" in message and "--overwrite" in message


def test_overwriting_replaces_a_run_and_nothing_else(run: Path, refused: Refused) -> None:
    begun = json.loads((run / "config.json").read_text())["options"]["hidden"]
    assert begun == 8
    assert harmonium("train", *TINY, "--out", run, "--overwrite").code == 0
    assert json.loads((run / "config.json").read_text())["options"]["hidden"] == 4
    Path("thesis").mkdir()
    Path("thesis/config.json").write_text('{"title": "mine"}')
    Path("thesis/chapter.txt").write_text("years of work")
    Path("file").write_text("mine")
    for there in ("thesis", "file", "."):
        message = refused("train", *TINY, "--out", there, "--overwrite")
        assert f"{there} exists and is no run; choose another --out" in message


def test_without_out_a_free_name_is_taken() -> None:
    for _ in range(2):
        assert harmonium("train", *TINY).code == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["digits", "digits-2"]


@pytest.mark.parametrize("command", ["resume", "sample", "reconstruct", "plot", "info"])
def test_a_run_that_is_none(command: str, run: Path, refused: Refused) -> None:
    assert "runn does not exist; runs beside it: run" in refused(command, "runn")
    Path("folder").mkdir()
    assert "folder is no run directory" in refused(command, "folder")
    assert "model.safetensors is no run directory" in refused(command, run / "model.safetensors")


def test_a_run_of_a_newer_format(run: Path, refused: Refused) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"format": 99}))
    for command in ("resume", "sample", "info"):
        message = refused(command, run)
        assert "has format 99, and this harmonium reads up to 1; install a newer" in message


def test_a_damaged_configuration(run: Path, refused: Refused) -> None:
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text[: len(text) // 2])
    for command in ("resume", "info"):
        assert "config.json is damaged" in refused(command, run)


# Checkpoints


@pytest.mark.parametrize("command", ["resume", "sample", "reconstruct", "plot"])
def test_a_checkpoint_that_is_cut_off(command: str, run: Path, refused: Refused) -> None:
    newest = RunDirectory(run).latest_checkpoint()
    whole = newest.read_bytes()
    for size in (0, 5, 500, len(whole) - 1):
        newest.write_bytes(whole[:size])
        message = refused(command, run)
        assert f"{newest} is cut off or damaged" in message
        assert f"without {newest.name} the run goes on from update-000000000.safetensors" in message


def test_a_checkpoint_with_a_changed_bit(run: Path, refused: Refused) -> None:
    newest = RunDirectory(run).latest_checkpoint()
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    assert "its checksum does not match" in refused("resume", run)


def test_the_older_checkpoint_takes_over_as_the_message_says(run: Path, finished: Path) -> None:
    RunDirectory(run).latest_checkpoint().unlink()
    assert harmonium("resume", run).code == 0
    model = (run / "model.safetensors").read_bytes()
    assert model == (finished / "model.safetensors").read_bytes()


def test_a_checkpoint_of_a_newer_format(run: Path, refused: Refused) -> None:
    newest = RunDirectory(run).latest_checkpoint()
    with safe_open(newest, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    save_file(tensors, newest, metadata | {"version": "99"})
    message = refused("resume", run)
    assert "has format 99, and this harmonium reads up to 1; install a newer harmonium" in message


def test_a_run_without_any_checkpoint(run: Path, refused: Refused) -> None:
    for path in RunDirectory(run).checkpoints():
        path.unlink()
    assert "has no checkpoint" in refused("resume", run)
    assert harmonium("sample", run, "--warmup", "1").code == 0  # the model is all that it needs


def test_data_that_have_changed_since(refused: Refused) -> None:
    rows = zeros_and_ones()
    csv("mine.csv", rows)
    assert harmonium("train", "mine.csv", *TINY, "--out", "run").code == 0
    rows[11][1] = 1 - int(str(rows[11][1]))
    csv("mine.csv", rows)
    message = refused("resume", "run", "--epochs", "2")
    assert "mine.csv have changed since run was begun" in message
    assert "18 training rows of 3 columns" in message
    csv("mine.csv", zeros_and_ones(30))
    assert "have changed since run was begun" in refused("resume", "run")
    Path("mine.csv").unlink()
    assert "there is no file" in refused("resume", "run")


@pytest.mark.parametrize(
    ("option", "said"),
    {
        "--hidden 300": "--hidden 300 contradicts the run run, whose --hidden is 8",
        "--learning-rate 0.5": "--learning-rate 0.5 contradicts",
        "--method cd": "whose --method is pcd",
        "--average 0.9": "--average 0.9 contradicts the run run, whose --average is 0.999",
        "--learn-precision": "--learn-precision contradicts the run run, which was begun without",
        "--no-standardize": "--no-standardize contradicts the run run, which was begun without",
        "--epochs 1": "--epochs is 1, but run has seen 3 epochs already",
    }.items(),
)
def test_a_resume_that_contradicts_the_run(
    option: str, said: str, run: Path, refused: Refused
) -> None:
    assert said in refused("resume", run.name, *option.split())
    assert said in refused("resume", *option.split(), run.name)


# The disk


def full_disk(after: int) -> Callable[..., Any]:
    """Something that works some times and then finds no space left."""
    calls = iter(range(after))

    def fail(*_: object, **__: object) -> None:
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fail


@pytest.mark.parametrize("after", [0, 1])
def test_no_space_for_a_new_run_leaves_nothing(
    after: int, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full_disk(after))
    message = refused("train", *TINY, "--out", "runs/new")
    assert "no space is left on the disk" in message and "Errno" not in message


def test_no_space_to_replace_a_run_leaves_the_old_one(
    run: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full_disk(1))
    assert "no space" in refused("train", *TINY, "--out", run, "--overwrite")
    monkeypatch.undo()


def test_no_space_while_training_loses_nothing_that_was_kept(
    run: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(run)
    monkeypatch.setattr(os, "fsync", full_disk(3))
    done = harmonium("resume", run, "--epochs", "6", "--checkpoint-every", "0")
    monkeypatch.undo()
    assert done.code == 1
    assert done.err.count("\n") == 1 and "no space is left on the disk" in done.err
    assert "harmonium resume" in done.err
    after = contents(run)
    assert after["model.safetensors"] == before["model.safetensors"]
    assert not [name for name in after if ".tmp" in name]
    assert harmonium("resume", run).code == 0
    straight = harmonium("resume", finished.parent / "none")
    assert straight.code == 1


@pytest.mark.parametrize("command", ["sample", "reconstruct"])
def test_no_space_for_what_a_model_makes_leaves_the_run_as_it_was(
    command: str, run: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full_disk(0))
    assert "no space is left on the disk" in refused(command, run)


def test_a_folder_that_may_not_be_written(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(path: str, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "mkdir", deny)
    message = refused("train", *TINY, "--out", "run")
    assert "run" in message and "permission denied" in message and "Errno" not in message


# Tracebacks


@pytest.mark.parametrize("place", ["before", "behind"])
def test_debug_shows_the_traceback(place: str) -> None:
    command = ["train", "--hidden", "0"]
    command = ["--debug", *command] if place == "before" else [*command, "--debug"]
    done = subprocess.run(
        [sys.executable, "-m", "harmonium", *command], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "ValueError: --hidden is 0" in done.stderr


def test_what_was_not_expected_says_so(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    import harmonium.runs.build

    def fail(*_: object) -> None:
        raise RuntimeError("the moon is full")

    monkeypatch.setattr(harmonium.runs.build, "choose_device", fail)
    message = refused("train")
    assert "RuntimeError: the moon is full" in message and "--debug shows where" in message


def test_too_little_memory(refused: Refused) -> None:
    np.save("wide.npy", np.zeros((4, 100_000), np.uint8))
    assert "not enough memory" in refused(
        "train", "wide.npy", "--hidden", str(2**40), "--batch-size", "1"
    )


def test_a_file_that_promises_more_than_it_holds(refused: Refused) -> None:
    header = struct.pack(">4BII", 0, 0, 8, 2, 2**31, 2**31)
    Path("big-idx2-ubyte").write_bytes(header + b"few")
    assert "big-idx2-ubyte" in refused("train", "big-idx2-ubyte")
