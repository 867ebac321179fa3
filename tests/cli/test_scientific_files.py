"""Genomes and recordings from a file to a file: names survive, and samples can be read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli.commands import Done, harmonium
from harmonium import datasets
from harmonium.datasets.haplotypes import write_hapt

Train = Callable[..., Done]
QUICK_CHAINS = ("--warmup", "1", "--sweeps-per-sample", "1")


@pytest.fixture
def genomes(train: Train) -> Path:
    rows = np.random.default_rng(0).integers(0, 2, (40, 6))
    with Path("real.hapt").open("wb") as file:
        write_hapt(file, rows, [f"HG{row}" for row in range(40)], "Real")
    train("real.hapt", "--hidden", "2", "--epochs", "1", "--out", "run")
    return Path("run")


def test_samples_of_genomes_are_genomes(genomes: Path) -> None:
    done = harmonium(
        "sample", genomes, "--chains", "5", "--samples", "2", *QUICK_CHAINS, "--out", "new.hapt"
    )
    assert (done.code, done.err) == (0, "")
    assert "new.hapt (2 of each of 5 chains)" in done.out
    assert Path("new.png").is_file()
    data = datasets.load("new.hapt")
    assert data.values.shape == (10, 6)
    assert list(data.row_names) == [f"AG{number}" for number in range(10)]
    harmonium(
        "sample", genomes, "--chains", "5", "--samples", "2", *QUICK_CHAINS, "--out", "all.npz"
    )
    with np.load("all.npz") as arrays:
        assert data.values.tolist() == arrays["samples"].reshape(10, 6).tolist()
    assert harmonium("evaluate", genomes, "--data", "new.hapt").code == 0


def test_samples_as_a_table_are_read_again(genomes: Path) -> None:
    done = harmonium(
        "sample", genomes, "--chains", "3", "--samples", "1", "--start", "data", *QUICK_CHAINS,
        "--data", "real.hapt", "--out", "new.csv",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert Path("new.csv").read_text().splitlines()[1].startswith("HG0_sample0,")
    data = datasets.load("new.csv")
    assert data.values.shape == (3, 6)
    assert set(data.values.unique().tolist()) == {0, 1}
    assert list(data.row_names) == ["HG0_sample0", "HG1_sample0", "HG2_sample0"]


def test_haplotypes_of_units_that_are_not_zeros_and_ones_are_refused(
    train: Train, refused: Callable[..., str]
) -> None:
    np.save("x.npy", np.random.default_rng(0).normal(size=(20, 3)))
    train("x.npy", "--visible", "gaussian", "--hidden", "2", "--epochs", "1", "--out", "run")
    said = refused("sample", "run", "--out", "new.hapt")
    assert "--out is new.hapt, which holds zeros and ones, and these units are drawn as" in said


def test_a_recording_of_neurons_by_bins(train: Train) -> None:
    spikes = np.random.default_rng(0).integers(0, 2, (4, 60))
    np.save("spikes.npy", spikes)
    done = train("spikes.npy", "--transpose", "--hidden", "2", "--epochs", "1", "--out", "run")
    assert "transposed, as asked: columns are the rows" in done.out
    assert "RBM(Binary(n=4), Binary(n=2)) on" in done.out
    assert harmonium("evaluate", "run", "--data", "spikes.npy").code == 0
