"""Files as people have them, from training to prediction: a run reads new rows as its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.commands import QUICK_OF_FILES, harmonium

QUICK = (*QUICK_OF_FILES, "--epochs", "1")
TUNE = ("--layers", "4", "--visible", "gaussian", "--epochs", "60", "--threads", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flowers(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = np.arange(n) % 2
    return (rng.normal(size=(n, 3)) + 6 * kinds[:, None]).round(3), np.array(["ash", "elm"])[kinds]


def write(path: str, header: list[str] | None, columns: list[np.ndarray]) -> None:
    rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    Path(path).write_text("\n".join([",".join(header), *rows] if header else rows) + "\n")


def test_classes_in_words_from_a_table_to_predictions() -> None:
    values, kinds = flowers()
    n = np.arange(len(values))
    write("old.csv", ["", "kind", "day", "a", "b", "c"], [n, kinds, n % 7, *values.T])
    write("new.csv", ["c", "b", "a"], [values[:, 2], values[:, 1], values[:, 0]])

    refused = harmonium("dbn", "finetune", "old.csv", *TUNE)
    assert refused.code == 1
    assert "has no labels, and a classifier needs one for each row" in refused.err
    assert "say which column holds them (--label COLUMN)" in " ".join(refused.err.split())

    said = ("--label", "1", "--drop", "day")
    done = harmonium("dbn", "finetune", "old.csv", *TUNE, *said, "--out", "r", "--no-figures")
    assert done.code == 0, done.err
    assert (
        "header: line 1; left out as asked: column 'day'; labels: column 'kind', as asked; index: "
        "column 0 has no name and counts the rows from 0; it is left out"
    ) in done.out
    assert json.loads(Path("r/config.json").read_text())["data"]["named"] == {
        "label": ["kind"],
        "drop": ["day"],
    }

    done = harmonium("dbn", "predict", "r", "new.csv", "--out", "p.csv")
    assert done.code == 0, done.err
    predicted = [line.split(",")[1] for line in Path("p.csv").read_text().splitlines()[1:]]
    assert np.mean(np.array(predicted) == kinds) > 0.9

    # labels elsewhere in the file, and one that nobody knows
    kinds = kinds.astype(object)
    kinds[3] = "oak"
    write("judged.csv", ["a", "b", "kind", "c"], [*values.T[:2], kinds, values[:, 2]])
    done = harmonium("dbn", "predict", "r", "judged.csv", "--out", "q.csv")
    assert done.code == 0, done.err
    assert "of 59" in done.out


def test_labels_by_number_in_files_without_a_header() -> None:
    values, kinds = flowers()
    write("old.csv", None, [*values.T, kinds])
    write("new.csv", None, [*values.T])
    done = harmonium(
        *("dbn", "finetune", "old.csv", *TUNE, "--label", "-1", "--out", "r", "--no-figures")
    )
    assert done.code == 0, done.err
    for path in ("new.csv", "old.csv"):
        done = harmonium("dbn", "predict", "r", path, "--out", f"p-{path}")
        assert done.code == 0, done.err
    assert Path("p-new.csv").read_text() == Path("p-old.csv").read_text()


def test_files_of_validation_and_test_rows() -> None:
    rows = np.random.default_rng(0).integers(0, 2, (90, 4))
    for name, some in (("train", rows[:60]), ("valid", rows[60:75]), ("test", rows[75:])):
        np.savetxt(f"my.{name}.data", some, fmt="%d", delimiter=",")
    alone = harmonium("train", "my.train.data", *QUICK, "--batch-size", "10", "--out", "a")
    assert alone.code == 0, alone.err
    assert "54 rows of my.train.data:train, 6 held out" in alone.out
    assert "--validation-data my.valid.data --test-data my.test.data" in alone.out

    files = ("--validation-data", "my.valid.data", "--test-data", "my.test.data")
    done = harmonium("train", "my.train.data", *files, *QUICK, "--batch-size", "10", "--out", "b")
    assert done.code == 0, done.err
    assert "60 rows of my.train.data:train, 15 held out" in done.out
    assert "validation rows: my.valid.data; test rows: my.test.data" in done.out
    done = harmonium("evaluate", "b", "--threads", "1")
    assert done.code == 0, done.err
    assert "15 of my.train.data:test" in done.out

    np.savetxt("other.data", rows[:, :3], fmt="%d", delimiter=",")
    done = harmonium("train", "my.train.data", "--validation-data", "other.data", *QUICK)
    assert done.code == 1
    assert "other.data has 3 columns of values, but my.train.data has 4" in done.err


def test_an_archive_with_training_and_test_rows_alone() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (60, 4, 4)).astype(np.uint8)
    np.savez("keras.npz", x_train=pictures[:40], x_test=pictures[40:])
    done = harmonium("train", "keras.npz", *QUICK, "--batch-size", "10", "--out", "a")
    assert done.code == 0, done.err
    assert "40 rows of keras.npz:train, 20 held out" in done.out
    done = harmonium("train", "keras.npz", "--validation", *QUICK)
    assert (
        "--validation is for data with validation rows, and keras.npz has train, test" in done.err
    )


def test_options_of_columns_may_be_given_several_times() -> None:
    values, kinds = flowers()
    n = np.arange(len(values))
    write("old.csv", ["id", "day", "a", "b", "c", "kind"], [n, n % 7, *values.T, kinds])
    twice = ("--drop", "id", "--drop", "day", "--visible", "gaussian")
    done = harmonium("train", "old.csv", *QUICK, *twice, "--label", "kind", "--out", "r")
    assert done.code == 0, done.err
    assert json.loads(Path("r/config.json").read_text())["data"]["columns"] == ["a", "b", "c"]
    refused = harmonium("train", "old.csv", *QUICK, "--label", "kind", "--label", "day")
    assert refused.code == 1
    assert "--label is 'kind,day'; pass one column" in refused.err
