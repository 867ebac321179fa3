"""What README and docs tell people to type works when it is typed, command after command.

Each page is gone through in a folder of its own, in the order in which its commands stand. Behind
every command that would take minutes stand options that make it short: the same command does the
same things, on less. MNIST, which would have to be fetched, is a few noisy rows of its size and
parts. What `LEFT_OUT` names is not run; tests/test_docs.py sees that it is understood.
"""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest
import scipy.io
import torch
import zarr

from cli.commands import harmonium
from harmonium import datasets
from harmonium.datasets import Data, Scaled
from test_docs import PAGES, ROOT, alternatives, blocks, name_of

TRAINING = ("--epochs", "1", "--no-figures", "--no-tensorboard", "--no-log-likelihood")
CHAINS = ("--warmup", "2", "--sweeps-per-sample", "1", "--samples", "2", "--chains", "20")
SHORT: dict[tuple[str, ...], tuple[str, ...]] = {
    ("train",): TRAINING,
    ("dbn", "train"): TRAINING,
    ("dbn", "finetune"): ("--epochs", "1", "--no-figures", "--no-tensorboard"),
    ("evaluate",): ("--chains", "5", "--temperatures", "20", "--rows", "5"),
    ("diagnose",): ("--sweeps", "40", "--chains", "5"),
    ("sample",): CHAINS,
    ("dbn", "sample"): CHAINS,
    ("fidelity",): ("--rows", "100", "--warmup", "2"),
    ("recipe",): ("--epochs", "1"),
}
"""By the beginning of a command; what is said twice counts as it is said last."""

LEFT_OUT = (
    "harmonium benchmark",
    "harmonium recipe theano-rbm",
    # of a file of sequences that does not come along
    "harmonium train PF00072_train.fasta.gz",
    "harmonium contacts runs/a",
    # five layers of 1,000 units take long even for one epoch of few rows
    "harmonium dbn train mnist --layers 1000,1000,1000,1000,1000",
)

BEFORE = {"choosing-a-sampler.md": ["harmonium train"]}
"""What a page expects to be there, from the page before it."""

WITH_DATA = (
    "proteins.md",
    "genomes.md",
    "imputation.md",
    "neurons.md",
    "mixed-tables.md",
    "missing-values.md",
    "recommendations.md",
    "topics.md",
)
"""Pages whose first block of Python makes the files that their commands read."""

TYPED_PAGES = [page for page in PAGES if "harmonium " in "".join(blocks(page, ""))]


def commands_of(page: Path) -> list[str]:
    """The commands of a page, in their order."""
    lines = [line for body in blocks(page, "") for line in body.splitlines()]
    typed = [line.split("#")[0].strip() for line in lines if line.startswith("harmonium ")]
    return BEFORE.get(name_of(page), []) + [one for line in typed for one in alternatives(line)]


def shortened(command: str) -> list[str]:
    """What is run in place of a command."""
    arguments = shlex.split(command)[1:]
    if "--processes" in arguments:  # each would fetch MNIST; cli/test_processes.py has some
        at = arguments.index("--processes")
        del arguments[at : at + 2]
    if "--budget" in arguments:
        arguments[arguments.index("--budget") + 1] = "5s"
    n = 2 if arguments[0] == "dbn" else 1
    short = SHORT.get(tuple(arguments[:n]), ())
    if "--ratings" in arguments:
        short = ("--epochs", "1")
    if arguments[:2] == ["recipe", "list"] or "--show" in arguments:
        short = ()
    return [*arguments, *short]


def few_digits() -> Data:
    """As MNIST comes: pictures of 28 × 28 shades of grey, with a label each and its three parts."""
    rng = np.random.default_rng(0)
    labels = np.arange(1070) % 10
    strokes = rng.random((10, 784)) < 0.15
    values = np.where(strokes[labels], rng.integers(180, 256, (1070, 784)), 0).astype(np.uint8)
    return Data(
        "mnist",
        torch.from_numpy(values),
        Scaled(0.0, 255.0),
        labels=torch.from_numpy(labels),
        image_shape=(28, 28),
        parts={
            "train": range(1000),
            "validation": range(1000, 1010),
            "test": range(1010, 1070),
        },
    )


@pytest.fixture
def _newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a table and pictures of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.mnist, "load", lambda folder, progress: few_digits())
    monkeypatch.setattr(datasets.mnist, "fetch", lambda folder, progress: {})
    rng = np.random.default_rng(1)
    table = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 6))
    np.savetxt("my.csv", table, "%.4f", ",", header="a,b,c,d,e,f", comments="")
    np.save("pictures.npy", few_digits().values[:60].numpy())
    for part in ("train", "valid", "test"):
        states = rng.integers(0, 2, (120, 5))
        np.savetxt(f"nltcs.{part}.data", states, "%d", ",")
    states = rng.integers(0, 2, (700, 5))
    haplotypes = "".join(f"Real HG{i} {' '.join(map(str, row))}\n" for i, row in enumerate(states))
    for name in ("1000G_real", "RBM_AG_800Epochs", "GAN_AG_20000epochs"):
        with zipfile.ZipFile(f"805_SNP_{name}.hapt.zip", "w") as archive:
            archive.writestr(f"805_SNP_{name}.hapt", haplotypes)
    scipy.io.savemat("example50.mat", {"spikes": states.T.astype(np.uint8)})
    np.save("rows.npy", states.astype(np.uint8))
    np.savetxt("rows.csv", states, "%d", ",", header="a,b,c,d,e", comments="")
    for part in range(2):
        pandas.DataFrame(states, columns=list("abcde")).to_parquet(f"part-{part}.parquet")
    with h5py.File("big.h5", "w") as file:
        file["group/matrix"] = states.astype(np.uint8)
    zarr.save_array("measured.zarr", states.astype(np.uint8))
    units = blocks(ROOT / "docs/extending.md", "python")[0].replace("n, highest)", "n, highest=3)")
    Path("graded.py").write_text(units, encoding="utf-8")


@pytest.mark.usefixtures("_newcomer")
@pytest.mark.parametrize("page", TYPED_PAGES, ids=name_of)
def test_the_commands_of_a_page_work_in_their_order(page: Path) -> None:
    threads = torch.get_num_threads()
    if name_of(page) in WITH_DATA:
        exec(compile(blocks(page, "python")[0], str(page), "exec"), {})
    try:
        for command in commands_of(page):
            if command.startswith(LEFT_OUT):
                continue
            done = harmonium(*shortened(command))
            assert done.code == 0, f"{command}: {done.err}"
    finally:
        torch.set_num_threads(threads)


def test_the_pages_with_commands_are_found() -> None:
    assert {"README.md", "start.md", "deep-belief-networks.md"} <= {*map(name_of, TYPED_PAGES)}
    assert "harmonium sample runs/digits" in commands_of(PAGES[0])
    start = ROOT / "docs/start.md"
    assert "harmonium resume runs/table --more-epochs 30" in commands_of(start)
