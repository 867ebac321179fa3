"""Columns are matched by name; missing and extra ones are named."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from harmonium.datasets import Data, from_array, match_columns

VALUES = np.arange(12).reshape(3, 4)
TRAINED = ("alcohol", "ash", "hue", "color")


def test_columns_in_another_order_are_put_in_order() -> None:
    data = from_array(VALUES, columns=["hue", "color", "ash", "alcohol"], labels=[2, 0, 1])
    matched = match_columns(data, TRAINED)
    assert matched.columns == TRAINED
    assert matched.values.tolist() == VALUES[:, [3, 2, 0, 1]].tolist()
    assert matched.labels is not None and matched.labels.tolist() == [2, 0, 1]


def test_columns_without_names_are_taken_by_position() -> None:
    unnamed, named = from_array(VALUES), from_array(VALUES, columns=TRAINED)
    assert match_columns(unnamed, TRAINED) is unnamed
    assert match_columns(named, None) is named
    assert match_columns(named, list(TRAINED)) is named


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ["alcohol", "ash", "hue", "Color"],
            "it lacks 'color' and has 'Color' beside them; rename or add the missing columns",
        ),
        (["alcohol", "ash", "hue"], "it lacks 'color'; rename or add the missing columns"),
        (
            ["id", "alcohol", "ash", "hue", "color"],
            "it has 'id' beside them; drop the extra columns (`drop='id'`, or `Data.select",
        ),
        (["a", "b", "c", "d"], "lacks 'alcohol', 'ash', 'hue', 'color' and has 'a', 'b', 'c', 'd'"),
    ],
)
def test_other_columns_are_listed(columns: list[str], message: str) -> None:
    data = from_array(np.zeros((2, len(columns))), name="new.csv", columns=columns)
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        match_columns(data, TRAINED)
    assert str(refusal.value).startswith("the columns of new.csv are not those of the training")


def test_a_name_of_two_columns_matches_nothing() -> None:
    columns = ["ash", "alcohol", "hue", "hue"]
    data = from_array(VALUES, columns=columns)
    assert match_columns(data, columns) is data
    with pytest.raises(ValueError, match="'hue' names more than one"):
        match_columns(data, columns[::-1])


def test_columns_are_selected_by_name() -> None:
    data = from_array(VALUES, columns=TRAINED)
    selected = data.select("hue", "alcohol")
    assert selected.columns == ("hue", "alcohol")
    assert selected.values.tolist() == VALUES[:, [2, 0]].tolist()
    for names, message in (
        (("hues",), "has no column 'hues'; its columns are 'alcohol', 'ash', 'hue', 'color'"),
        (("hue", "hue"), "'hue' names more than one column"),
        ((), "no column of array was named"),
    ):
        with pytest.raises(ValueError, match=message):
            data.select(*names)
    with pytest.raises(ValueError, match="the columns of array have no names"):
        from_array(VALUES).select("hue")
    with pytest.raises(ValueError, match="select works on stored values"):
        data.standardize().select("hue")


def test_labels_behind_named_columns_leave_the_moments_alone() -> None:
    data = from_array(VALUES, columns=TRAINED, labels=[0, 1, 1])
    mean, _ = data.join_labels().moments()
    assert mean.tolist() == pytest.approx([4, 5, 6, 7, 1 / 3, 2 / 3])
    assert isinstance(data, Data) and data.values.dtype == torch.uint8
