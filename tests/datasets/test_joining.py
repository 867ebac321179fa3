"""Rows of several files as parts of one, and rows of a file for a model that is there already."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonium.datasets import UNKNOWN_LABEL, Data, Reading, from_array, join_parts, read

CLASSES = ("ash", "elm")


def rows(path: Path, text: str, **said: object) -> Data:
    path.write_text(text)
    return read(path, Reading(**said))


def test_columns_of_parts_may_come_in_another_order() -> None:
    train = from_array([[1, 2], [3, 4]], columns=["a", "b"], labels=[0, 1])
    test = from_array([[6.5, 5]], columns=["b", "a"], labels=[1])
    joined = join_parts({"test": test, "train": train})
    assert joined.parts == {"train": range(2), "test": range(2, 3)}
    assert joined.values.tolist() == [[1, 2], [3, 4], [5, 6.5]]
    assert joined.labels.tolist() == [0, 1, 1]
    assert joined.columns == ("a", "b")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"values": [[1]], "labels": [0]}, "other has 1 columns of values, but train has 2"),
        ({"values": [[1, 2]]}, "other has no labels, but train has"),
        (
            {"values": [[1, 2]], "columns": ["a", "c"], "labels": [0]},
            "the columns of other are not those of train: b is missing there",
        ),
        (
            {"values": [[1, 2]], "columns": ["a", "b"], "labels": ["x"]},
            "the labels x of other are no class of train$",
        ),
    ],
)
def test_parts_that_do_not_go_together_are_refused(other: dict, message: str) -> None:
    train = from_array([[1, 2]], columns=["a", "b"], labels=[0], name="train")
    with pytest.raises(ValueError, match=message):
        join_parts({"train": train, "test": from_array(**other, name="other")})


def test_labels_of_another_part_may_be_missing(tmp_path: Path) -> None:
    train = rows(tmp_path / "a.csv", "a,kind\n1,elm\n2,ash\n", label="kind")
    other = rows(tmp_path / "b.csv", "a,kind\n1,elm\n2,\n", label="kind", classes=train.classes)
    joined = join_parts({"train": train, "test": other})
    assert joined.labels.tolist() == [1, 0, 1, UNKNOWN_LABEL]
    assert joined.part("test").labelled().labels.tolist() == [1]


def test_labels_of_another_part_that_no_training_row_has_are_refused(tmp_path: Path) -> None:
    train = rows(tmp_path / "a.csv", "a,kind\n1,elm\n2,ash\n", label="kind")
    other = rows(tmp_path / "b.csv", "a,kind\n1,elm\n2,oak\n", label="kind", classes=train.classes)
    message = "the labels oak of b.csv are no class of a.csv, whose classes are ash, elm; leave"
    with pytest.raises(ValueError, match=message):
        join_parts({"train": train, "test": other})


def test_labels_for_a_model_are_its_classes_or_unknown(tmp_path: Path) -> None:
    text = "a,kind\n1,elm\n2,ash\n3,oak\n4,\n"
    data = rows(tmp_path / "a.csv", text, label="kind", classes=CLASSES, n_columns=1)
    assert data.labels.tolist() == [1, 0, UNKNOWN_LABEL, UNKNOWN_LABEL]
    assert data.classes == CLASSES


def test_labels_for_a_model_of_numbers_stay_numbers(tmp_path: Path) -> None:
    text = "a,label\n1,7\n2,?\n3,other\n4,3.0\n"
    data = rows(tmp_path / "a.csv", text, n_columns=1)
    assert data.labels.tolist() == [7, UNKNOWN_LABEL, UNKNOWN_LABEL, 3]


def test_rows_for_a_model_may_lack_what_is_not_learnt(tmp_path: Path) -> None:
    said = {"label": "kind", "drop": ("id",), "n_columns": 2}
    assert rows(tmp_path / "a.csv", "a,b\n1,2\n", **said).columns == ("a", "b")
    full = rows(tmp_path / "a.csv", "id,a,kind,b\n9,1,x,2\n", **said)
    assert (full.columns, full.values.tolist()) == (("a", "b"), [[1, 2]])
    last = {"label": -1, "n_columns": 2}
    assert rows(tmp_path / "a.csv", "1,2\n3,4\n", **last).values.tolist() == [[1, 2], [3, 4]]
    assert rows(tmp_path / "a.csv", "1,2,9\n3,4,8\n", **last).labels.tolist() == [9, 8]
