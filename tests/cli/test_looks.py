"""How often a run on the command line is looked at: thirty times at least, be it ever so short."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.commands import Done, harmonium
from harmonium.run_directory import Network, RunDirectory

QUICK = ("--threads", "1", "--no-figures", "--no-tensorboard")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


@pytest.fixture(autouse=True)
def _table(_own_folder: None) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 50)
    values = (rng.random((50, 6)) < 0.2 + 0.6 * labels[:, None]).astype(np.uint8)
    np.savez("mine.npz", x=values, labels=labels)


@pytest.mark.parametrize("epochs", [40, 250])
def test_the_curves_of_a_short_run_have_thirty_points(epochs: int) -> None:
    ran("train", "mine.npz", "--hidden", "4", "--epochs", str(epochs), *QUICK, "--out", "run")
    rows = RunDirectory("run").rows()
    assert 30 <= len(rows) <= 60
    assert rows[-1]["update"] == epochs
    assert all(row["epoch"] == int(row["epoch"]) for row in rows)


def test_every_layer_of_a_network_and_its_fine_tuning_have_thirty_points() -> None:
    ran("dbn", "train", "mine.npz", "--layers", "4,3", "--epochs", "60", *QUICK, "--out", "run")
    for layer in Network.open("run").layers():
        assert len(layer.rows()) == 30
    tune = ("--batch-size", "5", "--epochs", "12", *QUICK)
    ran("dbn", "finetune", "run", *tune, "--out", "tuned")
    rows = RunDirectory("tuned").rows()
    assert 30 <= len(rows) <= 60
    assert rows[-1]["epoch"] == 12


def test_a_run_keeps_its_rhythm_when_it_is_resumed() -> None:
    ran("train", "mine.npz", "--hidden", "4", "--epochs", "60", *QUICK, "--out", "run")
    ran("resume", "run", "--epochs", "120")
    updates = [row["update"] for row in RunDirectory("run").rows()]
    assert updates == list(range(2, 121, 2))


@pytest.mark.parametrize("command", ["train", "dbn finetune"])
def test_a_run_that_was_begun_before_keeps_the_rhythm_it_had(command: str) -> None:
    size = ("--layers", "4") if "dbn" in command else ("--hidden", "4")
    ran(*command.split(), "mine.npz", *size, "--epochs", "2", *QUICK, "--out", "run")
    config = json.loads(Path("run/config.json").read_text())
    del config["every"]
    Path("run/config.json").write_text(json.dumps(config))
    ran("resume", "run", "--epochs", "20")
    rows = RunDirectory("run").rows()
    # one at the end of what there was, then whole epochs: of a run as short as this, the last one
    expected = [1, 2, *range(3, 21)] if "dbn" in command else [1, 2, 20]
    assert [row["epoch"] for row in rows] == expected
