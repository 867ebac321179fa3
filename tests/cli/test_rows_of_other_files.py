"""Rows of another file in a run: columns by name, values on the scale of training, categories."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli.commands import Done, harmonium

RNG = np.random.default_rng(0)
QUICK = ("--hidden", "4", "--epochs", "2", "--batch-size", "20", "--chains", "10")
PLAIN = (*QUICK, "--threads", "1", "--no-figures", "--no-tensorboard")
NAMES = ("alcohol", "ash", "hue")
SHUFFLED = ("hue", "alcohol", "ash")

Refused = Callable[..., str]


def write(path: str, values: np.ndarray, names: tuple[str, ...]) -> None:
    np.savetxt(path, values, delimiter=",", header=",".join(names), comments="", fmt="%.17g")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


@pytest.fixture
def tables() -> np.ndarray:
    """A table that is trained on, and the same rows in files with other columns."""
    values = RNG.normal([13, 2.4, 1], [0.8, 0.3, 0.2], (60, 3))
    values[:, 2] += 0.2 * (values[:, 0] - 13)
    write("train.csv", values, NAMES)
    by_name = dict(zip(NAMES, values.T, strict=True))
    write("shuffled.csv", np.column_stack([by_name[name] for name in SHUFFLED]), SHUFFLED)
    write("missing.csv", values[:, :2], NAMES[:2])
    write("extra.csv", np.column_stack([np.arange(60), values]), ("id", *NAMES))
    np.save("unnamed.npy", values.astype(np.float32))
    ran("train", "train.csv", "--visible", "gaussian", *PLAIN, "--out", "run")
    return values


def test_columns_in_another_order_are_matched_by_name(tables: np.ndarray) -> None:
    errors = {}
    for name in ("train.csv", "shuffled.csv", "unnamed.npy"):
        ran("reconstruct", "run", "--data", name, "--out", f"{name}.npz")
        errors[name] = np.load(f"{name}.npz")["errors"]
    assert np.allclose(errors["shuffled.csv"], errors["train.csv"], atol=1e-5)
    assert np.allclose(errors["unnamed.npy"], errors["train.csv"], atol=1e-4)
    assert json.loads(Path("run/config.json").read_text())["data"]["columns"] == list(NAMES)


@pytest.mark.parametrize(
    "command",
    [
        ("reconstruct", "run"),
        ("evaluate", "run"),
        ("sample", "run", "--start", "data", "--chains", "3"),
    ],
    ids=lambda command: command[0],
)
def test_other_columns_are_refused_by_name(
    command: tuple[str, ...], tables: np.ndarray, refused: Refused
) -> None:
    assert "it lacks 'hue'; rename or add" in refused(*command, "--data", "missing.csv")
    assert "it has 'id' beside them; drop" in refused(*command, "--data", "extra.csv")
    ran(*command, "--data", "extra.csv", "--drop", "id")


def test_a_run_of_old_takes_columns_by_position(tables: np.ndarray) -> None:
    ran("reconstruct", "run", "--data", "train.csv", "--out", "a.npz")
    forget("run", "columns", "range")
    ran("reconstruct", "run", "--data", "shuffled.csv", "--out", "b.npz")
    assert not np.allclose(np.load("a.npz")["errors"], np.load("b.npz")["errors"], atol=1e-2)


def forget(run: str, *keys: str) -> None:
    """Make the configuration of a run what it was before it kept these facts."""
    path = Path(run, "config.json")
    config = json.loads(path.read_text())
    for key in keys:
        del config["data"][key]
    path.write_text(json.dumps(config))


def test_networks_match_columns_too(refused: Refused) -> None:
    rows = RNG.integers(0, 2, (60, 3))
    labels = rows[:, :1]
    write("train.csv", np.hstack([rows, labels]), (*NAMES, "label"))
    write("shuffled.csv", rows[:, [2, 0, 1]], SHUFFLED)
    write("extra.csv", np.hstack([labels, rows]), ("id", *NAMES))
    quick = ("--threads", "1", "--no-figures", "--no-tensorboard")
    ran("dbn", "train", "train.csv", "--layers", "4,3", *PLAIN[2:], "--out", "stack")
    ran("dbn", "finetune", "stack", "--epochs", "3", *quick, "--out", "tuned")
    ran("dbn", "predict", "tuned", "train.csv", "--out", "a.csv")
    ran("dbn", "predict", "tuned", "shuffled.csv", "--out", "b.csv")
    assert Path("a.csv").read_text() == Path("b.csv").read_text()
    ran("dbn", "encode", "stack", "shuffled.csv", "--out", "codes.npz")
    dreams = ("dbn", "sample", "stack", "--start", "data", "--chains", "3")
    ran(*dreams, "--data", "shuffled.csv", "--warmup", "2", "--out", "dreams.npz")
    for command in (
        ("dbn", "predict", "tuned", "extra.csv"),
        ("dbn", "encode", "stack", "extra.csv"),
        (*dreams, "--data", "extra.csv"),
    ):
        assert "it has 'id' beside them" in refused(*command)


@pytest.fixture
def pictures() -> np.ndarray:
    """Pictures in bytes that a run was trained on, and the same ones on other scales."""
    bright = RNG.uniform(0, 1, (60, 1, 4)) > 0.5
    values = np.where(bright, RNG.integers(130, 256, (60, 4, 4)), RNG.integers(0, 120, (60, 4, 4)))
    values.flat[:2] = 0, 255
    np.save("bytes.npy", values.astype(np.uint8))
    np.save("shares.npy", (values / 255).astype(np.float32))
    np.save("sixteen.npy", (values // 16).astype(np.uint8))
    return values


@pytest.mark.parametrize("how", [(), ("--binarize", "stochastic"), ("--visible", "gaussian")])
@pytest.mark.parametrize("of_old", [False, True])
def test_pictures_of_another_scale_are_refused(
    how: tuple[str, ...], of_old: bool, pictures: np.ndarray, refused: Refused
) -> None:
    ran("train", "bytes.npy", *how, *PLAIN, "--out", "run")
    if of_old:
        if "gaussian" in how:
            pytest.skip("runs of old with Gaussian units kept neither range nor scale")
        forget("run", "columns", "range")
    commands = [
        ("reconstruct", "run"),
        ("sample", "run", "--start", "data", "--chains", "3", "--clamp", "top"),
    ]
    if "gaussian" not in how:
        commands.append(("evaluate", "run"))
    for command in commands:
        for name, most in (("shares.npy", "1"), ("sixteen.npy", "15")):
            said = refused(*command, "--data", name)
            assert f"range from 0 to {most}" in said
            assert of_old or "values from 0 to 255; bring them to the scale" in said
    ran("reconstruct", "run", "--data", "bytes.npy", "--out", "same.npz")


def test_who_knows_white_says_so_and_others_are_told(pictures: np.ndarray) -> None:
    ran("train", "sixteen.npy", *PLAIN, "--out", "told")
    assert encoding("told") == {"kind": "Threshold", "level": 7.5, "low_state": 0.0}
    ran("train", "sixteen.npy", "--white", "16", *PLAIN, "--out", "named")
    assert encoding("named") == {"kind": "Threshold", "level": 8.0, "low_state": 0.0}
    ran("dbn", "train", "sixteen.npy", "--white", "16", "--layers", "3,2", *PLAIN[2:], "--out", "d")
    assert encoding("d") == encoding("named")


def encoding(run: str) -> dict[str, object]:
    kept = json.loads(Path(run, "config.json").read_text())["data"]["encoding"]
    assert isinstance(kept, dict)
    return kept


def test_values_that_cannot_be_learned_from_are_refused(refused: Refused) -> None:
    np.save("grey.npy", RNG.integers(0, 256, (30, 2, 3)).astype(np.uint8))
    said = refused("train", "grey.npy", "--binarize", "128")
    assert "of which a threshold is a share" in said and "0.502 for 128 itself" in said
    np.save("spins.npy", RNG.choice([-1.0, 1.0], (30, 6)))
    said = refused("train", "spins.npy")
    assert "values of -1 and 1 are spins: take spin units (--visible spin)" in said
    times = 1_700_000_000 + 900 * np.arange(60)
    np.save("times.npy", np.column_stack([times, times % 7]))
    said = refused("train", "times.npy", "--visible", "gaussian", "--no-standardize")
    assert "column '0' of times.npy" in said and "standardise the columns" in said


def test_values_that_teach_nothing_are_told_before_training() -> None:
    np.save("zeros.npy", np.zeros((30, 6)))
    said = ran("train", "zeros.npy", *PLAIN, "--out", "run").out
    assert "all values of zeros.npy are 0, from which there is nothing to learn" in said
    rare = np.zeros((60, 4, 5), np.uint8)
    rare[3, 2, 1] = 255
    np.save("rare.npy", rare)
    said = ran("train", "rare.npy", *PLAIN, "--out", "rare").out
    assert "99.917% of the states of rare.npy are 0" in said
    np.save("states.npy", RNG.integers(0, 2, (60, 6)))
    said = ran("train", "states.npy", "--binarize", "stochastic", *PLAIN, "--out", "drawn").out
    assert "all values of states.npy are 0 or 1, which are states already" in said


def test_floats_of_pictures_are_scaled_like_bytes() -> None:
    np.save("floats.npy", RNG.uniform(0, 255, (60, 6)))
    ran("train", "floats.npy", "--image-shape", "2x3", *PLAIN, "--out", "run")
    assert encoding("run") == {"kind": "Threshold", "level": 127.5, "low_state": 0.0}


def test_times_are_learned_from_in_all_their_digits() -> None:
    times = 1_700_000_000 + 900 * np.arange(60)
    np.save("times.npy", np.column_stack([times, times % 7]))
    ran("train", "times.npy", "--visible", "gaussian", *PLAIN, "--out", "run")
    data = json.loads(Path("run/config.json").read_text())["data"]
    assert data["range"][1] > 1.7e9
    ran("sample", "run", "--chains", "5", "--warmup", "5", "--out", "samples.npz")
    samples = np.load("samples.npz")["samples"][..., 0]
    assert len(np.unique(samples)) == samples.size
    ran("resume", "run", "--epochs", "3")


def test_ratings_have_no_state_that_never_occurs(refused: Refused) -> None:
    ratings = RNG.integers(1, 6, (80, 4))
    np.save("ratings.npy", ratings)
    ran("train", "ratings.npy", "--visible", "categorical", *PLAIN, "--out", "run")
    assert encoding("run")["categories"] == [1, 2, 3, 4, 5]
    ran("sample", "run", "--chains", "10", "--warmup", "5", "--out", "samples.npz")
    assert set(np.unique(np.load("samples.npz")["samples"])) <= {1, 2, 3, 4, 5}
    np.save("new.npy", np.where(ratings == 5, 6, ratings))
    said = refused("reconstruct", "run", "--data", "new.npy")
    assert "holds 6, which is none of the categories 1, 2, 3, 4, 5" in said
    said = refused("train", "ratings.npy", "--categories", "1,2")
    assert "--categories is for categorical visible units" in said
    said = refused("train", "ratings.npy", "--visible", "categorical", "--categories", "1,x")
    assert "pass two or more numbers separated by commas" in said


def test_a_run_of_old_goes_on_with_the_categories_that_it_has() -> None:
    np.save("ratings.npy", RNG.integers(1, 6, (80, 4)))
    named = ("--visible", "categorical", "--categories", "0,1,2,3,4,5")
    ran("train", "ratings.npy", *named, *PLAIN, "--out", "run")
    assert encoding("run") == {"kind": "OneHot", "n_categories": 6}
    forget("run", "columns", "range")
    path = Path("run/config.json")
    config = json.loads(path.read_text())
    del config["options"]["categories"]
    path.write_text(json.dumps(config))
    assert "epoch 3" in ran("resume", "run", "--epochs", "3").out


def test_a_one_hot_file_becomes_categories_in_training_and_in_use() -> None:
    numbers = RNG.integers(0, 4, (80, 5))
    np.save("alignment.npy", np.eye(4, dtype=np.uint8)[numbers])
    np.save("flat.npy", np.eye(4)[numbers].reshape(80, -1))
    np.save("numbers.npy", numbers)
    ran("train", "alignment.npy", "--visible", "categorical", *PLAIN, "--out", "run")
    assert "n=5, n_categories=4" in ran("resume", "run", "--epochs", "3").out
    errors = []
    for name in ("alignment.npy", "flat.npy", "numbers.npy"):
        ran("reconstruct", "run", "--data", name, "--out", f"{name}.npz")
        errors.append(np.load(f"{name}.npz")["errors"])
    assert np.array_equal(errors[0], errors[1]) and np.array_equal(errors[0], errors[2])


@pytest.mark.parametrize("visible", ["binary", "spin"])
def test_states_are_said_to_be_what_they_are(visible: str) -> None:
    np.save("states.npy", RNG.integers(0, 2, (60, 6)))
    ran("train", "states.npy", "--visible", visible, *PLAIN, "--out", "run")
    assert "of states.npy:held-out, binary as they are" in ran("evaluate", "run").out
    kept = json.loads(Path("run/likelihood.json").read_text())["results"]
    assert kept["states.npy:held-out"]["binarized"] == "binary as they are"
    assert "stochastic" not in ran("diagnose", "run", "--sweeps", "100").out
