"""Which visible units a training gets where nobody says it, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.commands import Done, harmonium

QUICK = ("--threads", "1", "--no-figures", "--no-tensorboard")


def ran(*arguments: str | Path) -> Done:
    done = harmonium(*arguments)
    assert done.code == 0, done.err
    return done


def config_of(run: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(Path(run, "config.json").read_text())
    return config


rng = np.random.default_rng(0)
MIDDLE = 0.5 + 0.08 * rng.standard_normal((200, 2)) @ rng.standard_normal((2, 6))
MIDDLE = ((MIDDLE - MIDDLE.min(0)) / np.ptp(MIDDLE, axis=0)).astype(np.float32)
TABLES = {
    "zeros and ones": (rng.integers(0, 2, (60, 6)), "binary"),
    "zeros and ones in floating point": (rng.integers(0, 2, (60, 6)).astype(np.float32), "binary"),
    "probabilities near their ends": (
        np.abs(rng.integers(0, 2, (60, 6)) - 0.1 * rng.random((60, 6))),
        "binary",
    ),
    "measurements": (rng.standard_normal((60, 6)), "gaussian"),
    "measurements behind a MinMaxScaler": (MIDDLE, "gaussian"),
    "counts": (rng.poisson(30, (60, 6)), "gaussian"),
    "measurements and unix seconds": (
        np.column_stack([rng.standard_normal((60, 2)), 1_700_000_000 + np.arange(60)]),
        "gaussian",
    ),
    "measurements and flags": (
        np.column_stack([MIDDLE[:60], rng.integers(0, 2, (60, 2))]),
        "gaussian",
    ),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("command", ["train", "dbn train", "dbn finetune"])
def test_the_columns_decide(name: str, command: str) -> None:
    values, visible = TABLES[name]
    np.savez("mine.npz", x=values, labels=np.arange(len(values)) % 2)
    size = ("--hidden", "3") if command == "train" else ("--layers", "3,2")
    done = ran(*command.split(), "mine.npz", *size, "--epochs", "1", *QUICK, "--out", "run")
    config = config_of("run")
    options = {
        "train": lambda: config["options"],
        "dbn train": lambda: config["layers"][0],
        "dbn finetune": lambda: config["bottom"],
    }[command]()
    assert options["visible"] == visible
    said = "the columns are real numbers: Gaussian visible units, standardised"
    assert (said in done.out) == (visible == "gaussian")
    assert ("--visible poisson takes them for counts" in done.out) == (name == "counts")
    kind = config["data"]["encoding"]["kind"]
    assert ("tandard" in kind) == (visible == "gaussian")
    ran("resume", "run", *(() if "train" in command and "dbn" in command else ("--epochs", "2")))


def test_pictures_stay_binary() -> None:
    ran("train", "digits", "--hidden", "3", "--epochs", "1", *QUICK, "--out", "run")
    assert config_of("run")["options"]["visible"] == "binary"
    grey = rng.integers(100, 156, (40, 12)).astype(np.uint8)  # that vary little
    np.save("grey.npy", grey)
    picture = ("--image-shape", "3x4", "--binarize", "none")
    ran("train", "grey.npy", *picture, "--epochs", "1", *QUICK, "--out", "grey")
    assert config_of("grey")["options"]["visible"] == "binary"


def test_what_somebody_has_said_is_kept_to_and_warned_of() -> None:
    np.save("mine.npy", MIDDLE)
    quick = ("--hidden", "3", "--epochs", "1", *QUICK)
    done = ran("train", "mine.npy", "--visible", "binary", *quick, "--out", "run")
    assert config_of("run")["options"]["visible"] == "binary"
    assert "vary much less than the states that --visible binary takes them for" in done.out
    done = ran("train", "mine.npy", "--binarize", "0.5", *quick, "--out", "states")
    assert config_of("states")["options"]["visible"] == "binary"
    assert "vary much less" not in done.out
    done = ran("train", "mine.npy", "--no-standardize", *quick, "--out", "plain")
    assert config_of("plain")["options"]["visible"] == "gaussian"
    assert "not standardised" in done.out


def test_the_hidden_units_of_a_run_say_what_they_are() -> None:
    np.save("mine.npy", MIDDLE)
    quick = ("--epochs", "1", *QUICK)
    ran("train", "mine.npy", "--hidden-units", "spin", "--hidden", "4", *quick, "--out", "below")
    ran("train", "below", "--hidden", "3", *quick, "--out", "above")
    assert config_of("above")["options"]["visible"] == "spin"


def test_a_network_pretrained_on_measurements_classifies_as_one_from_scratch() -> None:
    labels = (MIDDLE[:, 0] > np.median(MIDDLE[:, 0])).astype(int)
    np.savez("mine.npz", x=MIDDLE, labels=labels)
    ran("dbn", "train", "mine.npz", "--layers", "10", *QUICK, "--out", "run")
    (result,) = ran("dbn", "finetune", "run", *QUICK, "--json").objects[-1:]
    assert result["error"] <= 0.1


def test_the_command_of_a_page_says_what_was_decided() -> None:
    np.save("mine.npy", MIDDLE)
    ran("train", "mine.npy", "--hidden", "3", "--epochs", "1", *QUICK, "--out", "run")
    assert "--visible gaussian" in Path("run/report.html").read_text()


def test_spins_come_back_as_spins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("spins.npy", 2 * rng.integers(0, 2, (60, 6)) - 1)
    ran("train", "spins.npy", "--visible", "spin", "--epochs", "1", *QUICK, "--out", "r")
    ran("sample", "r", "--chains", "4", "--samples", "2")
    samples = np.load("r/samples.npz")
    assert sorted(np.unique(samples["samples"])) == [-1, 1]
    assert (np.abs(samples["means"]) <= 1).all() and (samples["means"] < 0).any()


def test_trials_of_counts_are_their_largest_value_unless_somebody_says_it() -> None:
    values = np.random.default_rng(1).integers(0, 6, (60, 4))
    np.save("spikes.npy", values)
    quick = ("--visible", "binomial", "--hidden", "3", "--epochs", "1", *QUICK)
    done = ran("train", "spikes.npy", *quick, "--out", "run")
    assert "binomial visible units of 5 trials, as 5 is the largest value" in done.out
    assert config_of("run")["options"]["trials"] == 5
    assert config_of("run")["data"]["encoding"] == {"kind": "AsIs"}
    ran("resume", "run", "--epochs", "2")
    ran("train", "spikes.npy", *quick, "--trials", "9", "--out", "more")
    assert config_of("more")["options"]["trials"] == 9
    done = ran(
        "dbn", "train", "spikes.npy", *quick[:2], "--layers", "3,2", *quick[4:], "--out", "d"
    )
    assert [layer["trials"] for layer in config_of("d")["layers"]] == [5, None]


def test_grey_values_can_be_counts() -> None:
    quick = ("--visible", "binomial", "--hidden", "3", "--epochs", "1", *QUICK)
    ran("train", "digits", *quick, "--out", "run")
    assert config_of("run")["options"]["trials"] == 16
