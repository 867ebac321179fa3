"""Frames of pandas and polars: names of columns stay, and what is no number is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from harmonium.datasets import TableEncoding, from_array

COLUMNS = {"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "kind": ["x", "y", "x"], "on": [True, False, True]}


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_keep_their_names(frame) -> None:
    data = from_array(frame(COLUMNS), label="kind")
    assert data.columns == ("a", "b", "on")
    assert data.values.tolist() == [[1, 0.5, 1], [2, 1.5, 0], [3, 2.5, 1]]
    assert (data.labels.tolist(), data.classes) == ([0, 1, 0], ("x", "y"))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_column_of_text_makes_a_mixed_table(frame) -> None:
    data = from_array(frame(COLUMNS))
    assert isinstance(data.encoding, TableEncoding)
    assert "kind" in data.columns
    assert from_array(frame(COLUMNS), drop="kind").columns == ("a", "b", "on")


def test_other_columns_that_are_no_numbers_are_named() -> None:
    with pytest.raises(TypeError, match=r"row 0, column 'when' .*\(timestamp"):
        from_array(pd.DataFrame({"a": [1], "when": pd.to_datetime(["2026-01-01"])}))
    with pytest.raises(TypeError, match=r"mixed"):
        from_array(pd.DataFrame({"a": [1, 2], "mixed": [1, "x"]}, dtype=object))


def test_missing_values_are_told_by_name() -> None:
    columns = {"a": [1.0, None], "b": [2, 3]}
    for frame in (pd.DataFrame(columns), pl.DataFrame(columns)):
        data = from_array(frame)
        assert data.mask.missing_by_column.tolist() == [1, 0]
        assert data.notes == ("1 of 4 values are missing (25.00%), in 1 of 2 rows: a 1",)
    with pytest.raises(ValueError, match=r"1 row has no value in any column of array: 1 "):
        from_array(pd.DataFrame({"a": [1.0, np.nan]}))
    with pytest.raises(ValueError, match=r"column 'b' of array has no value .*`drop='b'`"):
        from_array(pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan]}))


def test_numbers_as_names_and_an_index_that_is_no_column() -> None:
    frame = pd.DataFrame(np.eye(2, dtype=np.uint8), index=["p", "q"])
    data = from_array(frame)
    assert (data.columns, data.values.dtype) == (("0", "1"), torch.uint8)
    assert list(data.row_names) == ["p", "q"]
    assert list(from_array(frame, row_names=["r", "s"]).row_names) == ["r", "s"]
    assert from_array(frame, columns=["u", "v"]).columns == ("u", "v")


def test_categories_are_classes() -> None:
    frame = pd.DataFrame({"a": [1, 2], "class": pd.Categorical(["m", "f"])})
    assert from_array(frame).classes == ("f", "m")


def test_whole_numbers_that_float32_does_not_hold() -> None:
    frame = pd.DataFrame({"small": [1, 2], "time": [1_700_000_001, 1_700_000_002]})
    assert from_array(frame).values.tolist() == [[1, 1_700_000_001], [2, 1_700_000_002]]


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(ValueError, match=r"array is empty: 0 rows and 1 columns"):
        from_array(pd.DataFrame({"a": []}))


@pytest.mark.parametrize(
    ("index", "kept"),
    [
        (["p", "q"], "row"),
        (pd.Index(["p", "q"], name="id"), "id"),
        (pd.CategoricalIndex(["p", "q"], name="id"), "id"),
        (pd.Index(["p", "q"], dtype="string"), "row"),
        ([1, 0], None),
        (["p", 1], None),
        (["p", None], None),
        (pd.to_datetime(["2026-01-01", "2026-01-02"]), None),
        (pd.MultiIndex.from_tuples([("p", "q"), ("p", "r")]), None),
    ],
    ids=str,
)
def test_an_index_of_strings_names_the_rows(index, kept: str | None) -> None:
    names = from_array(pd.DataFrame(np.eye(2), index=index)).row_names
    if kept is None:
        assert names is None
    else:
        assert (list(names), names.header) == (["p", "q"], kept)
    assert from_array(pl.DataFrame(COLUMNS), drop="kind").row_names is None


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"k": ["a", "b"], "x": [np.inf, 1.0]}), r"row 0, column 'x' .* holds inf \("),
        (pl.DataFrame({"k": ["a", "b"], "x": [1.0, -np.inf]}), r"row 1, column 'x' .* holds -inf"),
        (pd.DataFrame([[1, "a"], [2, "b"]], columns=["x", "x"]), r"two columns .* named 'x'"),
        (pd.DataFrame({"k": ["a"], "x": [1.5]}), r"'k' \(always 'a'\).*; pass rows that differ"),
    ],
    ids=["inf", "-inf", "two of a name", "one row"],
)
def test_tables_that_cannot_be_learned_from(frame, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_array(frame)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (pd.DataFrame({"x": [1 + 2j, 2j], "k": ["a", "b"]}), "column 'x' .* complex numbers"),
        (pd.DataFrame({"x": [[1], [2]], "k": ["a", "b"]}), r"^row 0, column 'x' .* \(list;"),
        (pd.Series([1, 2]), r"is a Series, one column; .*\.to_frame\(\)"),
        (pl.Series([1, 2]), r"is a Series, one column; .*\.to_frame\(\)"),
        (pl.LazyFrame({"x": [1, 2]}), r"is a LazyFrame; collect it"),
        ({"x": [1, 2]}, r"is a dictionary; make a data frame"),
        ([{"x": 1}, {"x": 2}], r"is a list of dictionaries; make a data frame"),
    ],
    ids=["complex", "lists", "pandas column", "polars column", "lazy", "dictionary", "records"],
)
def test_what_is_no_table_says_how_to_make_one(rows, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        from_array(rows)


def test_sparse_columns_are_columns() -> None:
    frame = pd.DataFrame({"x": pd.arrays.SparseArray([0, 1, 0, 1]), "k": ["a", "b", "a", "b"]})
    assert from_array(frame, kinds={"x": "categorical"}).values[:, 0].tolist() == [0, 1, 0, 1]
    assert frame.dtypes["x"] == pd.SparseDtype(np.int64)  # the user's own is as it was


def test_why_a_column_is_left_out() -> None:
    n = 40
    share = {"share": [f"{k} %" for k in range(n)], "k": ["a", "b"] * (n // 2)}
    frame = pd.DataFrame(share | {"gone": [1.5, None] * (n // 2), "on": [True] * n})
    (note,) = from_array(frame).notes
    assert "'share' (another word in each row, such as '0 %', " in note
    assert "'gone' (always 1.5 where it has a value); 'on' (always True)" in note
    with pytest.raises(TypeError, match=r"pass the kinds of columns by their names"):
        from_array(frame, kinds=["k"])
