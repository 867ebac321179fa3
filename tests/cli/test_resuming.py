"""Going on otherwise than a run was begun: with more epochs, or with a smaller learning rate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.commands import Done, harmonium
from cli.conftest import contents
from harmonium.run_directory import Network, RunDirectory

QUICK = ("--threads", "1", "--no-figures", "--no-tensorboard", "--every", "1")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


@pytest.fixture(autouse=True)
def _table(_own_folder: None) -> None:
    rng = np.random.default_rng(0)
    np.savez("mine.npz", x=rng.integers(0, 2, (20, 4)), labels=rng.integers(0, 2, 20))
    np.save("far.npy", 1e3 * rng.standard_normal((20, 2)))


def options_of(path: str | Path) -> dict[str, object]:
    options: dict[str, object] = json.loads(Path(path, "config.json").read_text())["options"]
    return options


@pytest.mark.parametrize("command", ["train", "dbn finetune"])
def test_more_epochs_come_on_top_of_those_of_the_run(command: str) -> None:
    ran(*command.split(), "mine.npz", "--epochs", "3", *QUICK, "--out", "run")
    ran("resume", "run", "--more-epochs", "2")
    assert options_of("run")["epochs"] == 5
    assert [row["epoch"] for row in RunDirectory("run").rows()] == [1, 2, 3, 4, 5]
    # of whoever says how many there shall be in all, and forgot those that have been
    done = harmonium("resume", "run", "--epochs", "2")
    assert done.code == 1 and "has seen 5 epochs already" in done.err
    assert "--more-epochs" in done.err


@pytest.mark.parametrize("command", ["train", "dbn finetune"])
def test_a_falling_rate_goes_on_as_in_a_run_of_so_many_epochs(command: str) -> None:
    options = ("--schedule", "linear", "--learning-rate", "0.2")
    ran(*command.split(), "mine.npz", *options, "--epochs", "7", *QUICK, "--out", "run")
    done = ran("resume", "run", "--more-epochs", "3")
    assert (
        "the learning rate goes on at 0.06, as in a run of 10 epochs, and falls to zero" in done.out
    )
    rates = [row["learning_rate"] for row in RunDirectory("run").rows()]
    first, more = [1 - n / 7 for n in range(1, 8)], [1 - n / 10 for n in range(8, 11)]
    assert rates == pytest.approx([0.2 * share for share in first + more], abs=1e-9)
    # whoever leaves the end where it is hears of no rate
    assert "learning rate goes on" not in ran("resume", "run").out


def test_two_ends_contradict_each_other() -> None:
    ran("train", "mine.npz", "--epochs", "1", *QUICK, "--out", "run")
    before = contents(Path("run"))
    done = harmonium("resume", "run", "--epochs", "5", "--more-epochs", "2")
    assert done.code == 1 and "pass one of them" in done.err
    assert contents(Path("run")) == before


def diverged(*arguments: str, said: str = "ran away") -> Done:
    done = harmonium(*arguments, *QUICK, "--out", "run")
    assert done.code == 1 and said in done.err
    return done


FAR = ("far.npy", "--visible", "gaussian", "--no-standardize", "--hidden-units", "gaussian")


def test_a_run_that_diverged_goes_on_as_its_error_advises() -> None:
    done = diverged("train", *FAR, "--learning-rate", "1e6", "--epochs", "40")
    advised = done.err.split("harmonium ")[-1].split()
    assert advised == ["resume", "run", "--learning-rate", "250000"]
    done = ran("resume", "run", "--learning-rate", "1e-9")
    assert "the learning rate is 1e-09 in place of 1e+06" in done.out
    assert options_of("run")["learning_rate"] == 1e-9
    rows = RunDirectory("run").rows()
    assert [row["epoch"] for row in rows] == list(range(1, 41))
    # it falls to zero at the end, from the new rate
    rates = [row["learning_rate"] for row in rows]
    assert rates == pytest.approx([1e-9 * (1 - row["epoch"] / 40) for row in rows], abs=1e-15)


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_a_smaller_rate_is_kept_though_the_run_is_killed_at_once(schedule: str) -> None:
    options = ("--schedule", schedule, "--learning-rate", "0.2", "--epochs", "4")
    ran("train", "mine.npz", *options, *QUICK, "--out", "run")
    # a process that is killed has written the configuration, and no checkpoint yet
    config = json.loads(Path("run/config.json").read_text())
    config["options"] |= {"learning_rate": 0.1, "epochs": 8}
    Path("run/config.json").write_text(json.dumps(config))
    ran("resume", "run")
    rates = [row["learning_rate"] for row in RunDirectory("run").rows()[4:]]
    falls = 1 if schedule == "linear" else 0
    assert rates == pytest.approx([0.1 * (1 - falls * epoch / 8) for epoch in range(5, 9)])


@pytest.mark.parametrize("rate", ["0.3", "0"])
def test_a_rate_that_is_not_smaller_is_refused(rate: str) -> None:
    options = ("--epochs", "1", "--learning-rate", "0.2")
    ran("train", "mine.npz", *options, *QUICK, "--out", "run")
    before = contents(Path("run"))
    done = harmonium("resume", "run", "--learning-rate", rate)
    assert done.code == 1 and f"--learning-rate {rate} contradicts the run run" in done.err
    assert contents(Path("run")) == before
    ran("resume", "run", "--learning-rate", "0.2")


def test_a_network_goes_on_with_a_smaller_rate_in_the_layer_where_it_diverged() -> None:
    layers = ("--layers", "3,2", "--hidden-units", "gaussian", "--epochs", "40")
    diverged("dbn", "train", *FAR[:-2], *layers, "--learning-rate", "1e-9,1e6")
    ran("resume", "run", "--learning-rate", "1e-9")
    network = Network(RunDirectory("run"))
    assert network.dbn_path.is_file()
    assert [options_of(layer.path)["learning_rate"] for layer in network.layers()] == [1e-9, 1e-9]
    config = network.run.config()
    assert [layer["learning_rate"] for layer in config["layers"]] == [1e-9, 1e-9]


def test_a_fine_tuning_goes_on_with_a_smaller_rate() -> None:
    tune = ("--layers", "3", "--visible", "gaussian", "--no-standardize", "--learning-rate")
    np.savez("far.npz", x=1e18 * np.random.default_rng(1).standard_normal((20, 2)),
             labels=np.arange(20) % 2)  # fmt: skip
    tune = ("far.npz", *tune, "1e30", "--epochs", "5", "--kind", "autoencoder")
    diverged("dbn", "finetune", *tune, said="is not finite")
    ran("resume", "run", "--learning-rate", "1e-40")
    assert options_of("run")["learning_rate"] == 1e-40


def test_a_resumed_run_watches_the_rows_that_it_watched_before() -> None:
    # the last updates take more sweeps, and what watching may cost followed from sweeps: numbers
    # then leapt, because other rows were watched
    rng = np.random.default_rng(0)
    np.save("many.npy", rng.integers(0, 2, (4000, 4)))
    # looks so far apart that watching may cost more than the least, and less than all rows
    quick = (*QUICK[:3], "--every", "40", "--hidden", "3", "--batch-size", "500")
    ran("train", "many.npy", "--epochs", "10", *quick, "--learning-rate", "1e-9", "--out", "run")
    ran("resume", "run", "--more-epochs", "5")
    errors = [row["reconstruction_error"] for row in RunDirectory("run").rows()]
    assert len(errors) == 3 and np.ptp(errors) < 1e-4
