"""`harmonium fidelity`: what it prints and writes, the files it measures, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import harmonium
from cli.commands import Done
from cli.commands import harmonium as typed
from cli.conftest import contents
from harmonium import fidelity
from harmonium.runs.answers.fidelity import named_sets
from html_pages import Page

Train = Callable[..., Done]
Refused = Callable[..., str]

SHORT = ("--rows", "60", "--warmup", "5", "--threads", "1")
PICTURES = {"frequencies", "covariances", "nearest", "components", "linkage", "active-units"}


def measured(*arguments: str | Path) -> Done:
    done = typed("fidelity", *SHORT, *arguments)
    assert done.code == 0, done.err
    return done


def numbers(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "fidelity.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def rows_of(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 1)) + rng.normal(size=(n, 6)) > 0.3).astype(np.uint8)


@pytest.fixture
def sites(train: Train) -> Path:
    """A run on rows of a table of 0 and 1, whose columns have positions."""
    names = ",".join(f"chr1:{100 * (i + 1) ** 2}" for i in range(6))
    lines = [names, *(",".join(map(str, row)) for row in rows_of(200, 0))]
    Path("sites.csv").write_text("\n".join(lines))
    train("sites.csv", "--epochs", "2", "--batch-size", "20", "--visible", "binary")
    return Path("runs/sites")


def test_samples_beside_rows_are_a_table_files_and_pictures(sites: Path) -> None:
    before = contents(sites)
    done = measured(sites)
    for said in (
        "60 samples of RBM(Binary(n=6), Binary(n=8)) after 5 sweeps, beside 180 training rows",
        "held-out",
        "adversarial accuracy (0.5 is best)",
        "pair covariances, correlation",
        "rows without an active unit, share",
        f"folder    {sites / 'fidelity'} (tables and 6 pictures)",
        f"page      {sites / 'report.html'}",
    ):
        assert said in done.out, said
    folder = sites / "fidelity"
    tables = {"measures.csv", "linkage.csv", "active-units.csv"}
    assert {path.name for path in folder.iterdir()} == {
        "fidelity.json",
        *tables,
        *(f"{name}.png" for name in PICTURES),
    }
    found = numbers(folder)
    assert found["kind"] == "harmonium fidelity" and found["training_rows"] == 180
    assert [*found["measures"]] == ["held-out", "model"]
    assert {*found["measures"]["model"]} == {*fidelity.MEASURES}
    assert (found["measures"]["held-out"]["rows"], found["measures"]["model"]["rows"]) == (20, 60)
    with (folder / "measures.csv").open(newline="") as file:
        header, *table = csv.reader(file)
    assert header == ["measure", "held-out", "model"]
    of_model = {name: number for name, _, number in table}
    assert float(of_model["pairs_rmse"]) == found["measures"]["model"]["pairs_rmse"]
    with (folder / "linkage.csv").open(newline="") as file:
        header, *bins = csv.reader(file)
    assert header == ["from", "to", "training", "held-out", "model"]
    assert int(bins[-1][1]) == 3500  # from position 100 to 3,600
    # the page shows all of it
    page = Page((sites / "report.html").read_text(encoding="utf-8"))
    for said in (
        "beside 180 training rows; fidelity holds the tables and pictures.",
        "adversarial accuracy (0.5 is best)",
        f"{found['measures']['model']['pairs_rmse']:.4g}",
        "Linkage disequilibrium",
        "Rows on the first two principal components of the training rows.",
    ):
        assert said in page.text, said
    drawn = {path.read_bytes() for path in folder.glob("*.png")}
    assert drawn <= set(page.pictures.values())
    # and nothing else is touched
    after = contents(sites)
    assert {name for name in before if after[name] != before[name]} == {"report.html"}


def test_the_page_shows_the_newest_measures_and_says_after_which_update(sites: Path) -> None:
    measured(sites)
    np.save("twin.npy", rows_of(60, 1))
    measured(sites, "--samples", "twin.npy")
    harmonium.open(sites).resume(more_epochs=1)
    text = Page((sites / "report.html").read_text(encoding="utf-8")).text
    assert "beside 180 training rows, after update 18: the run has since continued to" in text
    assert "fidelity-2 holds the tables and pictures." in text and "twin" in text


def test_a_page_of_others_is_left_alone(sites: Path, refused: Refused) -> None:
    (sites / "report.html").write_text("mine")
    assert "was not written by harmonium" in refused("fidelity", sites)
    assert not (sites / "fidelity").exists()


def test_the_same_numbers_from_python_and_again(sites: Path) -> None:
    measured(sites)
    found = harmonium.open(sites).fidelity(rows=60, warmup=5, threads=1)
    assert found.folder == sites / "fidelity-2"
    assert numbers(found.folder) == numbers(sites / "fidelity") == found.content
    (told,) = measured(sites, "--json", "--out", "there").objects
    assert told.pop("event") == "finished" and told.pop("folder") == "there"
    assert told.pop("report") == str(sites / "report.html")
    assert len(told.pop("pictures")) == 6 and told == found.content


def test_the_models_samples_are_those_of_sample(sites: Path) -> None:
    run = harmonium.open(sites)
    found = run.fidelity(rows=60, warmup=5, seed=3, threads=1)
    drawn = run.sample(chains=60, samples=1, warmup=5, start="random", seed=3, threads=1)
    assert found.measures["model"]["active_mean"] == drawn.samples.sum(-1).mean()
    # and read again from the archive, they measure the same
    again = run.fidelity(str(drawn.path), rows=60, warmup=5, seed=3, threads=1)
    for key in ("frequencies_rmse", "pairs_rmse", "nearest_median", "active_mean"):
        assert again.measures["samples"][key] == pytest.approx(again.measures["model"][key])


def test_the_chains_of_training_are_sampled_as_often_as_it_takes(sites: Path) -> None:
    run = harmonium.open(sites)
    kept = len(run.sample(start="chains", chains=20, samples=1, warmup=0, threads=1).samples)
    assert kept == 20  # the training's chains, as many as rows in a batch
    found = run.fidelity(start="chains", rows=50, warmup=5, seed=3, threads=1)
    drawn = run.sample(
        start="chains", chains=20, samples=3, warmup=5, sweeps_per_sample=5, seed=3, threads=1
    )
    rows = np.concatenate([drawn.samples[:, i] for i in range(3)])[:50]
    assert found.measures["model"]["active_mean"] == pytest.approx(rows.sum(-1).mean())
    assert found.measures["model"]["rows"] == 50


def test_samples_of_others_stand_beside(sites: Path) -> None:
    np.save("twin.npy", rows_of(300, 1))
    np.save("coins.npy", np.random.default_rng(2).integers(0, 2, (100, 6)))
    done = measured(sites, "--samples", "twin.npy", "--samples", "VAE=coins.npy")
    found: Mapping[str, Any] = numbers(sites / "fidelity")["measures"]
    assert [*found] == ["held-out", "model", "twin", "VAE"]
    assert found["twin"]["rows"] == 60 and "VAE" in done.out
    assert found["twin"]["pairs_rmse"] < found["VAE"]["pairs_rmse"] / 2
    sets = {"twin": rows_of(300, 1), "VAE": "coins.npy"}
    again = harmonium.open(sites).fidelity(sets, rows=60, warmup=5, threads=1)
    assert numbers(again.folder)["measures"] == found
    one = harmonium.open(sites).fidelity(rows_of(50, 1), rows=60, warmup=5, threads=1)
    assert [*one.measures] == ["held-out", "model", "samples"]


def test_the_pairwise_model_lies_between(sites: Path) -> None:
    done = measured(sites, "--pairwise")
    found = numbers(sites / "fidelity")["log_likelihood"]
    assert [*found] == ["independent", "pairwise", "model"]
    assert all(of["lower"] == of["upper"] for of in found.values())  # all states were summed over
    assert found["independent"]["upper"] < found["pairwise"]["upper"]
    assert f"pairwise     {found['pairwise']['upper']:.3f}" in done.out


def test_all_held_out_rows_are_evaluated_however_few_are_compared(sites: Path) -> None:
    done = measured(sites, "--pairwise", "--rows", "10")
    found = numbers(sites / "fidelity")
    assert found["measures"]["held-out"]["rows"] == 10
    assert {of["rows"] for of in found["log_likelihood"].values()} == {20}
    assert "20 held-out rows" in done.out
    alone = harmonium.open(sites).evaluate(split="held-out", threads=1)
    assert found["log_likelihood"]["model"]["upper"] == pytest.approx(alone.upper, abs=1e-6)


def test_independent_units_have_the_rates_of_the_rows(train: Train) -> None:
    np.save("mine.npy", rows_of(200, 0))
    train("mine.npy", "--visible", "binary", "--held-out", "0", "--epochs", "1")
    measured("runs/mine", "--pairwise")
    found = numbers(Path("runs/mine/fidelity"))
    p = torch.from_numpy(rows_of(200, 0)).double().mean(0)
    expected = (p * p.log() + (1 - p) * (1 - p).log()).sum().item()
    assert found["log_likelihood"]["independent"]["upper"] == pytest.approx(expected, rel=1e-3)
    assert [*found["measures"]] == ["model"]


def test_rows_count_by_their_weights(train: Train) -> None:
    rows, weights = rows_of(200, 0), np.random.default_rng(3).random(200) ** 3
    weights[:20] = 0
    np.save("mine.npy", rows)
    np.savetxt("w.txt", weights)
    options = ("--visible", "binary", "--held-out", "0", "--epochs", "1", "--weights", "w.txt")
    train("mine.npy", *options)
    measured("runs/mine", "--pairwise")
    found = numbers(Path("runs/mine/fidelity"))
    p = np.average(rows, 0, weights)
    expected = (p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    assert found["log_likelihood"]["independent"]["upper"] == pytest.approx(expected, rel=1e-3)
    assert found["training_rows"] == 180  # those of weight 0 are left out


@pytest.mark.parametrize(
    ("options", "pictures"),
    [
        ("--visible categorical", PICTURES - {"linkage", "active-units"}),
        ("--visible gaussian --learning-rate 0.01", PICTURES - {"linkage", "active-units"}),
        ("--visible spin", PICTURES),
        ("--visible binary --image-shape 2x3", PICTURES - {"linkage", "active-units"}),
    ],
)
def test_what_is_drawn_follows_from_the_units(
    options: str, pictures: set[str], train: Train
) -> None:
    np.save("mine.npy", rows_of(100, 0))
    train("mine.npy", *options.split(), "--epochs", "1")
    measured("runs/mine")
    assert {path.stem for path in Path("runs/mine/fidelity").glob("*.png")} == pictures


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--samples nowhere.npy", "nowhere.npy"),
        ("--samples model=twin.npy", "--samples are called 'model'"),
        ("--samples twin.npy --samples a/twin.npy", "has two files called 'twin'"),
        ("--samples narrow.npy", "has 2 columns"),
        ("--out there", "there exists; choose another --out"),
        ("--out no/where", "there is no folder no"),
        ("--start data", "--start"),
        ("--rows 1", "--rows"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    options: str, said: str, sites: Path, refused: Refused
) -> None:
    np.save("twin.npy", rows_of(30, 1))
    np.save("narrow.npy", rows_of(30, 1)[:, :2])
    Path("there").mkdir()
    code = 2 if "--start" in options or "--rows" in options else 1
    assert said in refused("fidelity", sites, "--threads", "1", *options.split(), code=code)


def test_a_pairwise_model_is_of_few_two_valued_units(train: Train, refused: Refused) -> None:
    np.save("mine.npy", rows_of(60, 0))
    train("mine.npy", "--visible", "categorical", "--epochs", "1")
    message = refused("fidelity", "runs/mine", "--pairwise")
    assert "--pairwise is for 2 to 100 two-valued units" in message


def test_names_of_files() -> None:
    assert named_sets(None) == {}
    assert named_sets("a/gan.csv.gz,RBM=b.npy") == {"gan": "a/gan.csv.gz", "RBM": "b.npy"}
