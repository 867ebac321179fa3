"""Tables of a few rows: every command works on them, and classes survive their splits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cli.commands import Done, harmonium
from harmonium import datasets

QUICK = ("--threads", "1", "--no-figures", "--no-tensorboard")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def config_of(run: str) -> dict[str, dict[str, object]]:
    config: dict[str, dict[str, object]] = json.loads(Path(run, "config.json").read_text())
    return config


def states(n: int, labels: Sequence[int] | None = None) -> None:
    values = np.random.default_rng(0).integers(0, 2, (n, 5))
    if labels is None:
        np.savez("mine.npz", x=values)
    else:
        np.savez("mine.npz", x=values, labels=np.array(labels))


@pytest.mark.parametrize("n", [2, 3, 10, 60])
def test_every_command_works_on_few_rows(n: int) -> None:
    states(n)
    ran("train", "mine.npz", "--hidden", "3", "--epochs", "2", *QUICK, "--out", "run")
    assert config_of("run")["options"]["batch_size"] == n - max(1, round(n / 10))
    ran("resume", "run", "--epochs", "3")
    ran("evaluate", "run", "--chains", "20", "--temperatures", "50")
    ran("diagnose", "run", "--sweeps", "100", "--chains", "10")
    ran("sample", "run", "--chains", "4", "--samples", "2", "--warmup", "2", "--start", "annealed")
    ran("reconstruct", "run")
    ran("plot", "run")


@pytest.mark.parametrize("n", [2, 3, 10])
def test_networks_learn_from_few_rows(n: int) -> None:
    states(n, [row % 2 for row in range(n)])
    quick = (*QUICK, "--epochs", "2")
    ran("dbn", "train", "mine.npz", "--layers", "4,3", *quick, "--out", "run")
    ran("dbn", "finetune", "run", "--kind", "autoencoder", *quick)
    ran("dbn", "encode", "run/autoencoder", "mine.npz")
    if n > 2:
        ran("dbn", "finetune", "run", *quick)
        ran("dbn", "predict", "run/classifier", "mine.npz")


def test_a_batch_size_that_somebody_gave_is_kept_to() -> None:
    states(60)
    done = harmonium("train", "mine.npz", "--batch-size", "60", *QUICK)
    assert done.code == 1
    assert "--batch-size is 60, but mine.npz:train has 54 training rows; pass 1 to 54" in done.err


@pytest.mark.parametrize("seed", range(12))
def test_a_held_out_split_never_takes_the_only_rows_of_a_class(seed: int) -> None:
    states(30, [0] * 20 + [1] * 8 + [2] * 2)
    options = ("--layers", "3", "--epochs", "1", "--seed", str(seed), *QUICK)
    ran("dbn", "finetune", "mine.npz", *options, "--out", "run")
    train = datasets.load("mine.npz").split_randomly(0.1, seed)[0]
    assert train.labels is not None
    assert set(train.labels.tolist()) == {0, 1, 2}


def test_a_class_with_one_row_is_learned_from() -> None:
    states(30, [0] * 15 + [1] * 14 + [2])
    for seed in range(4):
        options = ("--epochs", "1", "--seed", str(seed), "--held-out", "0.5", *QUICK)
        ran("dbn", "finetune", "mine.npz", *options, "--out", f"run-{seed}")


def test_a_run_that_was_begun_before_splits_knew_labels_goes_on_with_its_rows() -> None:
    states(40, [row % 2 for row in range(40)])
    ran("train", "mine.npz", "--hidden", "3", "--epochs", "1", *QUICK, "--out", "run")
    was = config_of("run")
    old = datasets.load("mine.npz").split_randomly_(0.1, 0, stratified=False)
    del was["options"]["stratified"]
    was["data"] |= dict(
        zip(("fingerprint", "held_out_fingerprint"), (p.fingerprint() for p in old), strict=True)
    )
    Path("run/config.json").write_text(json.dumps(was))
    ran("resume", "run", "--epochs", "2")
    assert config_of("run")["options"]["epochs"] == 2


def test_there_are_as_many_chains_as_rows_to_start_at_unless_a_user_said_how_many() -> None:
    states(30, [0, 1] * 15)
    quick = ("--epochs", "2", *QUICK)
    ran("train", "mine.npz", "--hidden", "3", "--chains", "7", *quick, "--out", "run")
    ran(
        "dbn",
        "train",
        "mine.npz",
        "--layers",
        "4,3",
        "--chains",
        "7",
        "--labels",
        *quick,
        "--out",
        "deep",
    )
    few = ("--warmup", "2", "--samples", "2", "--sweeps-per-sample", "1")
    for command, run in (("sample", "run"), ("dbn sample", "deep")):
        for start, n in (("data", 3), ("chains", 7), ("random", 20)):  # 3 rows are held out
            out = f"{run}-{start}.npz"
            ran(*command.split(), run, "--start", start, *few, "--out", out)
            with np.load(out) as kept:
                assert kept["samples"].shape[0] == n
        ran(*command.split(), run, "--clamp", "0,1", *few)
        done = harmonium(*command.split(), run, "--clamp", "0,1", "--chains", "20", *few)
        assert done.code == 1 and "--chains is 20, but mine.npz:held-out has 3 rows" in done.err
    ran("dbn", "sample", "deep", "--class", "all", "--start", "data", *few, "--out", "both.npz")
    with np.load("both.npz") as kept:
        assert sorted(set(kept["classes"].ravel().tolist())) == [0, 1]
