"""What is said at the end of a training that went wrong, and marked on its page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.commands import Done, harmonium
from harmonium.run_directory import RunDirectory

QUICK = ("--threads", "1", "--no-figures", "--no-tensorboard")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def titles(run: str) -> list[str]:
    return [one.title for one in RunDirectory(run).warnings()]


@pytest.fixture(autouse=True)
def _tables(_own_folder: None) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    rate = np.where(labels[:, None] == np.arange(8) % 2, 0.85, 0.15)
    states = (rng.random((120, 8)) < rate).astype(np.uint8)
    np.savez("states.npz", x=states, labels=labels)
    np.savez("noise.npz", x=rng.integers(0, 2, (120, 8)), labels=rng.integers(0, 2, 120))
    # measurements behind a MinMaxScaler: they vary much less than states
    middle = 0.5 + 0.1 * rng.standard_normal((120, 1)) * np.ones(6) + 0.05 * rng.random((120, 6))
    np.savez("middle.npz", x=middle.astype(np.float32), labels=(middle[:, 0] > 0.5).astype(int))
    np.save("wide.npy", rng.integers(0, 2, (60, 30)))
    np.savez("real.npz", x=rng.standard_normal((120, 4)), targets=rng.standard_normal(120))


def test_nothing_is_said_of_a_run_that_learns() -> None:
    done = ran("train", "states.npz", "--hidden", "3", "--l2", "0.01", *QUICK, "--out", "run")
    assert "warning" not in done.out and titles("run") == []


def test_a_run_that_learned_rows_by_heart_says_so_and_what_to_do() -> None:
    # few rows of noise, which a model of many units learns
    options = ("--hidden", "60", "--l1", "0", "--l2", "0", "--epochs", "1500")
    done = ran("train", "wide.npy", *options, *QUICK, "--out", "run")
    assert titles("run") == ["It has learned training rows by heart"]
    assert "warning   It has learned training rows by heart. Training rows have a log-" in done.out
    assert "Independent columns describe them better than the model, by" in done.out
    assert "Fewer --epochs" in done.out and "harmonium diagnose run looks closer" in done.out
    assert "behind training rows, " in done.out and "behind their best after epoch" in done.out
    assert "next      harmonium sample run   ·   harmonium diagnose run" in done.out
    page = Path("run/report.html").read_text()
    assert "It has learned training rows by heart" in page
    # who goes on gets another verdict in place of this one
    ran("resume", "run", "--more-epochs", "10")
    assert len(titles("run")) == 1


def test_a_run_that_made_too_few_updates_says_so() -> None:
    options = ("--hidden", "3", "--epochs", "1", "--learning-rate", "1e-6")
    done = ran("train", "states.npz", *options, *QUICK, "--out", "run")
    assert titles("run") == ["The model describes rows no better than independent columns"]
    assert "It has made 2 updates" in done.out and "more --epochs" in done.out


def test_weights_that_the_group_lasso_holds_at_zero_are_told() -> None:
    options = ("--hidden", "3", "--epochs", "3", "--group-lasso", "5")
    done = ran("train", "states.npz", *options, *QUICK, "--out", "run")
    assert titles("run") == ["The hidden units are the same for every row"]
    assert "All weights are exactly 0, where --group-lasso holds them" in done.out
    assert "a larger --weight-std" in done.out and "--epochs" not in done.out


def test_columns_that_know_nothing_of_each_other_are_no_overfitting() -> None:
    ran("train", "noise.npz", "--hidden", "3", "--l2", "0.01", *QUICK, "--out", "run")
    assert titles("run") in ([], ["The model describes rows no better than independent columns"])


def test_states_that_are_none_are_named_as_the_cause() -> None:
    options = ("--visible", "binary", "--hidden", "10")
    done = ran("train", "middle.npz", *options, *QUICK, "--out", "run")
    assert titles("run") == ["The hidden units are the same for every row"]
    assert "real numbers need --visible gaussian" in done.out


def test_a_network_that_carries_nothing_is_told_by_its_layers_and_by_what_is_made_of_it() -> None:
    layers = ("--layers", "6,5", "--visible", "binary")
    ran("dbn", "train", "middle.npz", *layers, *QUICK, "--out", "run")
    assert titles("run")[0] == "Layer 1: the hidden units are the same for every row"
    done = ran("dbn", "finetune", "run", "--epochs", "20", *QUICK, "--out", "tuned")
    assert titles("tuned") == ["The network is no better than the most frequent class"]
    assert "The units of layer 1 are the same for every row" in done.out
    assert "--visible gaussian" in done.out and "--from-scratch" in done.out
    assert "no better than the most frequent class" in Path("tuned/report.html").read_text()
    done = ran("dbn", "finetune", "run", "--epochs", "20", "--kind", "autoencoder", *QUICK,
               "--out", "codes")  # fmt: skip
    assert titles("codes")[0] in ("All rows have the same code",
                                  "The network is no better than the mean row")  # fmt: skip


@pytest.mark.parametrize(
    ("data", "kind", "title"),
    [
        ("states.npz", "classifier", "The network is no better than the most frequent class"),
        ("real.npz", "regressor", "The network is no better than the mean of the targets"),
    ],
)
def test_a_network_that_learned_nothing_says_so(data: str, kind: str, title: str) -> None:
    visible = ("--visible", "gaussian") if data == "real.npz" else ()
    tune = ("--kind", kind, "--layers", "4", "--epochs", "3", *visible, *QUICK, "--out")
    done = ran("dbn", "finetune", data, *tune, "still", "--learning-rate", "0")
    assert titles("still") == [title]
    assert "The learning rate is 0" in done.out
    if kind != "classifier":  # a tiny step towards each class tells these two apart
        done = ran("dbn", "finetune", data, *tune, "slow", "--learning-rate", "1e-9")
        assert titles("slow") == [title]
        assert "It has made 6 updates: use more --epochs" in done.out


def test_a_network_that_learned_is_not_warned_of() -> None:
    for kind in ("classifier", "autoencoder"):
        tune = ("--kind", kind, "--layers", "6", *QUICK, "--out", kind)
        ran("dbn", "finetune", "states.npz", *tune)
        assert titles(kind) == []


def test_rows_of_one_class_to_be_judged_are_no_reason_to_warn() -> None:
    values, labels = (np.load("states.npz")[name] for name in ("x", "labels"))
    rare = np.flatnonzero(labels == 1)[:2]
    kept = np.concatenate([np.flatnonzero(labels == 0)[:30], rare])
    np.savez("rare.npz", x=values[kept], labels=labels[kept])
    ran("dbn", "finetune", "rare.npz", "--layers", "6", *QUICK, "--out", "run")
    assert titles("run") == []
