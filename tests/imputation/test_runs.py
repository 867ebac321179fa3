"""Runs complete rows, predict columns, and evaluate what is observed: both doors, real files."""

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
from harmonium import imputation
from harmonium.datasets import Data, Mask
from harmonium.runs import Run

SMALL: dict[str, Any] = {
    "epochs": 15,
    "batch_size": 20,
    "threads": 1,
    "figures": False,
    "tensorboard": False,
}
GENERATOR = np.random.default_rng(0)
OBSERVED = GENERATOR.random((40, 6)) < 0.6
CLASSES = GENERATOR.integers(0, 3, 300)
TABLE = np.stack([np.where(GENERATOR.random(300) < 0.2, GENERATOR.integers(0, 3, 300), CLASSES)
                  for _ in range(6)], 1).astype(np.uint8)  # fmt: skip
NUMBERS = 10 * (GENERATOR.standard_normal((300, 1)) + 0.5 * GENERATOR.standard_normal((300, 6)))
NAMES = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of categories, of numbers and of zeros and ones, to be read only."""
    folder = tmp_path_factory.mktemp("runs")
    makers = {
        "categories": Data("table", torch.from_numpy(TABLE), columns=NAMES),
        "numbers": Data("numbers", torch.from_numpy(NUMBERS), columns=NAMES),
        "bits": Data("bits", torch.from_numpy((TABLE > 0).astype(np.uint8)), columns=NAMES),
    }
    visible = {"categories": "categorical", "numbers": "gaussian", "bits": "binary"}
    for name, data in makers.items():
        harmonium.train(data, visible=visible[name], hidden=5, out=folder / name, **SMALL)
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Any:
    """A copy of one of them."""
    import shutil

    return lambda name: harmonium.open(shutil.copytree(folder / name, tmp_path / name))


def holes(name: str, **more: Any) -> Data:
    values = {
        "categories": torch.from_numpy(TABLE),
        "numbers": torch.from_numpy(NUMBERS),
        "bits": torch.from_numpy((TABLE > 0).astype(np.uint8)),
    }[name][:40]
    return Data(f"{name} with holes", values, mask=Mask.of(torch.from_numpy(OBSERVED)),
                columns=NAMES, **more)  # fmt: skip


def table_of(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


@pytest.mark.parametrize("name", ["categories", "numbers", "bits"])
def test_observed_cells_stay_and_others_are_filled(name: str, run: Any) -> None:
    found = run(name).impute(holes(name))
    assert found.n_missing == int((~OBSERVED).sum()) and found.n_exact == 40
    header, rows = table_of(found.path)
    assert header == list(NAMES) and len(rows) == 40
    given = {"categories": TABLE, "numbers": NUMBERS, "bits": TABLE > 0}[name][:40]
    cells = np.array(rows, dtype=np.float64)
    assert np.array_equal(cells[OBSERVED], given[OBSERVED].astype(np.float64))
    if name != "numbers":
        states = {0.0, 1.0, 2.0} if name == "categories" else {0.0, 1.0}
        assert set(cells[~OBSERVED].tolist()) <= states
        guessed = (cells == given)[~OBSERVED].mean()
        modes = np.array([np.bincount(column.astype(int)).argmax() for column in given.T])
        assert guessed > (np.broadcast_to(modes, given.shape) == given)[~OBSERVED].mean()
    else:
        error = np.square(cells - given)[~OBSERVED].mean()
        assert error < 0.6 * np.square(NUMBERS.mean(0) - given)[~OBSERVED].mean()


def test_the_best_completion_is_what_the_library_says(run: Any) -> None:
    opened: Run = run("categories")
    found = opened.impute(holes("categories"))
    rbm = harmonium.load_model(opened.path / "model.safetensors")
    data = holes("categories").one_hot(3)
    rows = data.masked_rows(torch.arange(40))
    completed = imputation.complete_rows(rbm, rows, 1)
    assert np.array_equal(
        np.stack([found.best[name] for name in NAMES], 1),
        data.encoding.decode(completed.best).numpy(),
    )


def test_draws_are_numbered_rows_of_one_table(run: Any, tmp_path: Path) -> None:
    opened: Run = run("categories")
    names = tuple(f"p{i}" for i in range(40))
    data = holes("categories", row_names=names, labels=torch.arange(40) % 2)
    found = opened.impute(data, draws=3, out=tmp_path / "full.csv")
    header, rows = table_of(tmp_path / "full.csv")
    assert header == ["draw", "row", *NAMES, "label"] and len(rows) == 120
    assert [row[0] for row in rows] == ["1"] * 40 + ["2"] * 40 + ["3"] * 40
    assert [row[1] for row in rows] == list(names) * 3
    assert found.n_draws == 3 and found.draws["a"].shape == (3, 40)
    cells = np.array([row[2:8] for row in rows], dtype=int).reshape(3, 40, 6)
    assert np.array_equal(cells, np.stack([found.draws[name] for name in NAMES], 2))
    assert (cells[:, OBSERVED] == TABLE[:40][OBSERVED]).all()
    assert (cells[0] != cells[1]).any()
    again = opened.impute(data, draws=3)
    assert all(np.array_equal(again.draws[name], found.draws[name]) for name in NAMES)
    other = opened.impute(data, draws=3, seed=1, out=tmp_path / "full.npz")
    assert not np.array_equal(other.draws["a"], found.draws["a"])
    with np.load(tmp_path / "full.npz") as arrays:
        assert arrays["draw"].shape == (120,) and arrays["label"].tolist()[:2] == [0, 1]


def test_a_column_is_predicted_from_the_others(run: Any) -> None:
    opened: Run = run("categories")
    found = opened.predict(holes("categories"), column="c")
    judged = OBSERVED[:, 2]
    assert found.column == "c" and found.n_judged == judged.sum() and found.n_exact == 40
    assert found.probabilities is not None and found.values is not None
    assert found.probabilities.sum(1) == pytest.approx(np.ones(40))
    assert np.array_equal(found.predictions, found.values[found.probabilities.argmax(1)])
    truth = TABLE[:40, 2]
    chance = found.probabilities[np.arange(40), truth][judged]
    assert found.scores["loss"] == pytest.approx(-np.log(chance).mean())
    assert found.scores["error"] == pytest.approx((found.predictions != truth)[judged].mean())
    assert found.picture is not None and found.picture.is_file()
    header, rows = table_of(found.path)
    assert header == ["row", "c", "p_0", "p_1", "p_2"] and len(rows) == 40
    # what the rows themselves have in this column has no say
    other = holes("categories")
    other.values[:, 2] = 0
    assert np.array_equal(opened.predict(other, column=2).probabilities, found.probabilities)


def test_numbers_get_intervals(run: Any) -> None:
    opened: Run = run("numbers")
    found = opened.predict(holes("numbers"), column="b", out=opened.path / "b.csv")
    assert found.probabilities is None and found.std is not None
    assert found.low is not None and found.high is not None
    assert (found.low < found.predictions).all() and (found.predictions < found.high).all()
    judged = OBSERVED[:, 1]
    error = np.square(found.predictions - NUMBERS[:40, 1])[judged].mean() ** 0.5
    assert found.scores["rmse"] == pytest.approx(error)
    assert found.scores["rmse"] < 0.8 * NUMBERS[:, 1].std()
    assert 0.75 <= found.scores["coverage_90"] <= 1
    assert table_of(found.path)[0] == ["row", "b", "std", "low", "high"]


def test_what_was_observed_is_evaluated(run: Any) -> None:
    opened: Run = run("bits")
    data = holes("bits", weights=torch.arange(1, 41).double())
    found = opened.evaluate(data)
    rbm = harmonium.load_model(opened.path / "model.safetensors")
    rows = data.masked_rows(torch.arange(40))
    nothing = torch.zeros_like(rows.observed)
    truth = imputation.conditional_log_probability(rbm, rows.states, nothing, rows.observed)
    weights = data.weights
    assert weights is not None
    wanted = float((weights / weights.sum()) @ truth.lower)
    assert found.is_exact and found.lower == pytest.approx(wanted, abs=1e-6)
    kept = json.loads((opened.path / "likelihood.json").read_text())["results"]
    assert kept["bits with holes"]["rows_digest"] is None


def test_commands_are_the_same(run: Any, tmp_path: Path) -> None:
    opened: Run = run("categories")
    lines = [",".join(NAMES), *(",".join(map(str, row)) for row in TABLE[:20])]
    (tmp_path / "new.csv").write_text("\n".join(lines))
    new = str(tmp_path / "new.csv")
    done = typed("predict", opened.path, "--column", "c", "--data", new, "--threads", "1", "--json")
    assert done.code == 0, done.err
    told = done.objects[-1]
    ours = opened.predict(tmp_path / "new.csv", column="c")
    assert told["loss"] == ours.scores["loss"] and told["n_judged"] == 20
    assert table_of(Path(told["predictions"])) == table_of(ours.path)
    done = typed("impute", opened.path, "--data", new, "--draws", "2", "--threads", "1")
    assert done.code == 0 and "0 of 120 values of" in done.out and "2 draws of 20 rows" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("predict",), "--column is missing"),
        (("predict", "--column", "z"), "no such column"),
        (("impute", "--out", "full.txt"), "ends in .csv or .npz"),
        (("impute", "--sweeps", "3"), "16"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    arguments: tuple[str, ...], words: str, run: Any
) -> None:
    opened: Run = run("categories")
    before = {path: path.stat().st_mtime_ns for path in opened.path.rglob("*")}
    done = typed(arguments[0], opened.path, *arguments[1:])
    assert done.code != 0 and words in done.err
    assert {path: path.stat().st_mtime_ns for path in opened.path.rglob("*")} == before


def test_other_questions_still_ask_for_rows(run: Any) -> None:
    opened: Run = run("categories")
    with pytest.raises(TypeError, match="lacks the rows"):
        opened.predict(None)
    with pytest.raises(TypeError, match="no option 'colum'"):
        opened.impute(colum=3)
