"""Alignments from a file through a training to sequences: letters, sites, names and weights."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import harmonium
from cli.commands import harmonium as typed
from harmonium import datasets
from harmonium.datasets.alphabets import words_of
from harmonium.likelihood import exact_log_likelihood
from harmonium.runs import RunDirectory, weighting

SMALL: dict[str, Any] = {
    "hidden": 5,
    "epochs": 2,
    "batch_size": 10,
    "threads": 1,
    "figures": False,
    "tensorboard": False,
    "log_likelihood": False,
    "held_out": 0.2,
}

pytestmark = pytest.mark.usefixtures("own_folder")


def alignment(n: int = 60, seed: int = 0, copies: int = 3) -> list[tuple[str, str]]:
    """Sequences of 8 sites; site 3 is a gap in most, and the first stands in several copies."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 4, (n, 8), np.uint8)
    numbers[1:, 2] = 4
    numbers[1:copies] = numbers[0]
    return [(f"seq{row}", word) for row, word in enumerate(words_of(numbers, "ACGU-"))]


def fasta(name: str, rows: list[tuple[str, str]]) -> str:
    Path(name).write_text("".join(f">{head} x\n{word}\n" for head, word in rows))
    return name


def result(run: harmonium.Run, data: str) -> dict[str, Any]:
    """What is kept of an evaluation."""
    return dict(json.loads((run.path / "likelihood.json").read_text())["results"][data])


@pytest.fixture
def run() -> harmonium.Run:
    return harmonium.train(
        fasta("rna.fasta", [*alignment(), ("short", "A-------")]),
        max_gaps_row=0.5,
        max_gaps_column=0.5,
        out="run",
        **SMALL,
    )


def test_a_run_keeps_letters_sites_weights_and_what_was_left_out(run: harmonium.Run) -> None:
    config = run.config
    assert config["options"]["visible"] == "categorical"
    data = config["data"]
    assert data["encoding"] == {"kind": "OneHot", "n_categories": 5, "letters": "ACGU-"}
    assert data["columns"] == ["1", "2", "4", "5", "6", "7", "8"]
    assert data["named"] == {"drop": ["3"]}
    assert (data["n_train"], data["n_held_out"]) == (48, 12)
    with (run.path / "dropped.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["what"], row["number"], row["reason"]) for row in rows] == [
        ("sequence", "60", "too many gaps"),
        ("site", "3", "too many gaps"),
    ]
    assert rows[0]["name"] == "short"
    assert float(rows[0]["share"]) == 7 / 8


def test_weights_are_those_of_the_part_and_computed_once(
    run: harmonium.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = datasets.load("rna.fasta", max_gaps_row=0.5, max_gaps_column=0.5)
    parts = whole.split_randomly(0.2, 0)
    weights = [datasets.sequence_weights(part) for part in parts]
    assert run.config["data"]["weights"]["sum"] == pytest.approx(float(weights[0].sum()))
    kept = np.load(run.path / "weights.npz")
    assert sorted(len(kept[key]) for key in kept) == [12, 48]
    found = sorted(float(kept[key].sum()) for key in kept)
    assert found == sorted(float(each.sum()) for each in weights)

    def never(*_: Any) -> torch.Tensor:
        raise AssertionError("computed again")

    monkeypatch.setattr(weighting.datasets, "sequence_weights", never)
    run.resume(more_epochs=1)
    run.evaluate(split="train")


def test_a_training_counts_rows_by_their_weights() -> None:
    """By similarity, by a file of the same numbers, and as rows in memory: the same model."""
    name = fasta("rna.fasta", alignment())
    options = {**SMALL, "held_out": 0.0}
    by_similarity = harmonium.train(name, out="one", **options)
    weights = datasets.sequence_weights(datasets.load(name))
    assert weights.unique().numel() > 1
    Path("w.txt").write_text("\n".join(map(repr, weights.tolist())))
    by_file = harmonium.train(name, out="two", weights="w.txt", **options)
    unweighted = harmonium.train(name, out="three", weights="none", **options)
    first, second, third = (run.model.weights for run in (by_similarity, by_file, unweighted))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert unweighted.config["data"].get("weights") is None
    in_memory = harmonium.train(datasets.load(name), weights="w.txt", out="six", **options)
    assert torch.equal(in_memory.model.weights, first)
    in_memory = harmonium.train(datasets.load(name), out="four", **options)
    assert torch.equal(in_memory.model.weights, first)
    harmonium.train(name, out="five", identity=0.5, **options)
    (kept,) = np.load("five/weights.npz").values()
    assert np.array_equal(kept, datasets.sequence_weights(datasets.load(name), 0.5).numpy())


def test_evaluate_says_nats_a_site_and_how_rows_count(run: harmonium.Run) -> None:
    name = fasta("other.fasta", alignment(20, seed=1, copies=9))
    told = typed("evaluate", "run", "--data", name).out
    found = run.evaluate(data=name)
    assert (result(run, name)["sites"], result(run, name)["weights"]) == (7, "similarity")
    assert found.is_exact
    assert f"a site          {found.lower / 7:.4f} nats (exact) (of 7)" in told
    assert "weighted mean (weights: similarity)" in told
    rows = datasets.load(name, alphabet="rna", drop="3")
    weights = datasets.sequence_weights(rows)
    states = torch.cat(list(rows.blocks()))
    values = harmonium.likelihood.log_likelihood(run.model, states, found.log_z)
    assert found.lower == pytest.approx(float((weights * values).sum() / weights.sum()))
    plain = run.evaluate(data=name, weights="none")
    assert result(run, name)["weights"] is None
    assert plain.lower == pytest.approx(float(values.mean()))
    Path("w.txt").write_text(" ".join(map(str, range(20))))
    by_file = run.evaluate(data=name, weights="w.txt")
    numbers = torch.arange(20).double()
    assert result(run, name)["weights"] == "w.txt"
    assert by_file.lower == pytest.approx(float((numbers * values).sum() / numbers.sum()))
    with pytest.raises(ValueError, match="has 20 weights, but"):
        run.evaluate(split="train", weights="w.txt")
    with pytest.raises(ValueError, match=r"`identity` is for `weights='similarity'`"):
        run.evaluate(data=name, weights="none", identity=0.5)


def test_other_files_are_read_with_the_letters_and_sites_of_the_run(run: harmonium.Run) -> None:
    rows = [("a", "ACGUACGU"), ("b", "AC-UACGT")]
    both = run.evaluate(data=fasta("b.fasta", rows))  # T is U
    assert both.n_rows == 2
    # without the site that was left out, as samples of an alphabet without gaps would be
    shorter = run.evaluate(data=fasta("c.fasta", [(name, w[:2] + w[3:]) for name, w in rows]))
    assert shorter.lower == both.lower
    with pytest.raises(ValueError, match=r"has 9 sites, but the model was trained on 8"):
        run.evaluate(data=fasta("d.fasta", [("a", "ACGUACGUA")]))
    with pytest.raises(ValueError, match=r"has 'F' in sequence 0 \('a'\) at site 1"):
        run.evaluate(data=fasta("e.fasta", [("a", "FCGUACGU")]))
    protein = datasets.load(fasta("f.fasta", [("a", "ACDEFGH")]))
    with pytest.raises(
        ValueError, match=r"is an alignment of the letters ACDEF.* trained on ACGU-"
    ):
        run.evaluate(data=protein)


@pytest.mark.parametrize("name", ["new.fasta", "new.csv"])
def test_samples_are_sequences_that_can_be_read_again(run: harmonium.Run, name: str) -> None:
    told = typed("sample", "run", "--chains", "4", "--samples", "3", "--out", name).out
    assert f"samples   {name} (3 of each of 4 chains)" in told
    how = {"sequences": "sequence"} if name.endswith(".csv") else {}
    data = datasets.load(name, alphabet="rna", **how)
    assert data.row_names is not None
    assert list(data.row_names)[:4] == [f"chain0_sample{n}" for n in range(3)] + ["chain1_sample0"]
    # the site that was left out is a gap, so that letters stand where they stood
    assert (data.values[:, 2] == 4).all()
    found = run.sample(chains=4, samples=3)
    kept = np.delete(data.values.numpy(), 2, 1).reshape(4, 3, 7)
    assert np.array_equal(kept, found.samples)
    assert run.evaluate(data=name, **how).n_rows == 12


def test_sites_are_held_with_their_letters(run: harmonium.Run) -> None:
    rows = alignment(6, seed=2)
    name = fasta("starts.fasta", rows)
    run.sample(data=name, clamp="1-2=GG,5,7-7=-", chains=6, samples=2, out=Path("held.fasta"))
    data = datasets.load("held.fasta", alphabet="rna")
    words = words_of(data.values.numpy(), "ACGU-")
    for number, word in enumerate(words):
        assert (word[:2], word[6]) == ("GG", "-")
        assert word[4] == rows[number // 2][1][4]
    assert list(data.row_names or ())[:3] == ["seq0_sample0", "seq0_sample1", "seq1_sample0"]
    for clamp, message in {
        "9": "`clamp` names site 9, which is none of the 7 sites of the model, from 1 to 8",
        "3": "`clamp` names site 3, which is none of the 7 sites",
        "1-2=G": "pass 2 of the letters ACGU-, one for each site",
        "1=E": "pass 1 of the letters ACGU-, one for each site",
        "left": "`clamp` is 'left'; pass sites by number",
        "1-2,4-8": "holds all 7 sites, and nothing is left",
    }.items():
        with pytest.raises(ValueError, match=message):
            run.sample(data=name, clamp=clamp)


def test_samples_of_other_rows_are_no_sequences() -> None:
    rows = np.random.default_rng(0).integers(0, 2, (30, 4)).astype(np.uint8)
    run = harmonium.train(rows, out="bits", **SMALL)
    with pytest.raises(ValueError, match="was not trained on an alignment; pass a name that ends"):
        run.sample(out=Path("new.fasta"))
    run.sample(out=Path("new.csv"), chains=2, samples=2)
    with Path("new.csv").open() as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["", "column 0", "column 1", "column 2", "column 3"]
    assert [line[0] for line in lines[1:]] == [f"chain{c}_sample{s}" for c in "01" for s in "01"]
    assert {cell for line in lines[1:] for cell in line[1:]} <= {"0", "1", "0.0", "1.0"}


def test_options_that_alignments_cannot_have() -> None:
    name = fasta("rna.fasta", alignment())
    with pytest.raises(ValueError, match=r"`visible` is gaussian, and rna.fasta is an alignment"):
        harmonium.train(name, visible="gaussian", out="no", **SMALL)
    with pytest.raises(ValueError, match=r"`image_shape` is for pictures, and rna.fasta is an al"):
        harmonium.train(name, image_shape="2x4", out="no", **SMALL)
    with pytest.raises(ValueError, match=r"`identity` is 0.0; pass a share above 0"):
        harmonium.train(name, identity=0, out="no", **SMALL)
    with pytest.raises(ValueError, match="`identity` is for `weights='similarity'`, and `weights`"):
        harmonium.train(name, identity=0.5, weights="none", out="no", **SMALL)
    with pytest.raises(ValueError, match="holds no categories of one byte"):
        harmonium.train(np.random.default_rng(0).random((9, 3)), weights="similarity", **SMALL)
    with pytest.raises(FileNotFoundError, match=r"`weights` is .*none.txt, and there is no such"):
        harmonium.train(name, weights="none.txt", out="no", **SMALL)
    with pytest.raises(ValueError, match="`categories` are numbers, and rna"):
        harmonium.train(name, visible="categorical", categories="1,2", out="no", **SMALL)
    with pytest.raises(ValueError, match="`alphabet` is for files, and the rows are in memory"):
        harmonium.train(datasets.load(name), alphabet="rna", out="no", **SMALL)
    assert not Path("no").exists()


def test_layers_learn_from_an_alignment() -> None:
    name = fasta("rna.fasta", alignment())
    options = {**SMALL, "figures": False}
    del options["hidden"], options["log_likelihood"]
    run = harmonium.train_dbn(name, layers=[5, 4], out="stack", **options)
    bottom = RunDirectory("stack/layers/1")
    assert bottom.config()["data"]["encoding"]["letters"] == "ACGU-"
    assert (bottom.path / weighting.NAME).is_file()
    run.sample(chains=2, samples=1, out=Path("deep.fasta"))
    assert len(datasets.load("deep.fasta", alphabet="rna")) == 2


def test_an_alignment_of_fewer_sites_than_the_runs_is_named() -> None:
    """The site that the run left out is the last one, which a shorter alignment cannot have."""
    run = harmonium.train(fasta("rna.fasta", alignment()), drop="3,8", out="run", **SMALL)
    short = fasta("short.fasta", [(name, word[:5]) for name, word in alignment()])
    with pytest.raises(ValueError, match="has 5 sites, but the model was trained on 8"):
        run.evaluate(short)


@pytest.mark.parametrize("suffix", ["csv", "npz", "fasta"])
def test_samples_are_rows_for_the_run_that_made_them(run: harmonium.Run, suffix: str) -> None:
    made = run.sample(chains=3, samples=4, warmup=2, out=f"new.{suffix}")
    run.evaluate(f"new.{suffix}", weights="none")
    found = result(run, f"new.{suffix}")
    assert found["rows"] == 12
    v = torch.nn.functional.one_hot(torch.from_numpy(made.samples).long().reshape(12, -1), 5)
    with torch.no_grad():
        log_p = exact_log_likelihood(run.rbm, v.flatten(1).float())
    assert found["lower"] == pytest.approx(log_p.mean().item(), abs=1e-4)
