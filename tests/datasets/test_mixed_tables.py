"""Tables of numbers, words and holes: what each column is taken for, and what is refused."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow
import pyarrow.parquet
import pytest
import torch

from harmonium.datasets import (
    UNKNOWN_LABEL,
    Data,
    Reading,
    TableEncoding,
    from_array,
    join_parts,
    load,
    read,
)
from harmonium.datasets.encodings.table_columns import Bins, Categories

N = 400


def people(n: int = N, seed: int = 0) -> dict[str, list[Any]]:
    """A column of each kind, and some with nothing to learn from."""
    rng = np.random.default_rng(seed)
    gain = np.where(rng.random(n) < 0.9, 0, rng.integers(100, 9000, n))
    return {
        "id": list(range(1000, 1000 + n)),
        "height": rng.normal(170, 10, n).round(1).tolist(),
        "gain": gain.tolist(),
        "children": rng.integers(0, 5, n).tolist(),
        "town": rng.choice(["Bern", "Rome", "Oslo"], n).tolist(),
        "sex": rng.choice(["F", "M"], n).tolist(),
        "member": (rng.random(n) < 0.5).tolist(),
        "planet": ["Earth"] * n,
        "note": [f"{word} said no. {k}" for k, word in enumerate(rng.choice(["A", "B"], n))],
    }


KINDS = {
    "height": "gaussian",
    "gain": "binned",
    "children": "ordinal",
    "town": "categorical",
    "sex": "binary",
    "member": "binary",
}


def written(path: Path, columns: dict[str, list[Any]]) -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
        return path
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def table_of(data: Data) -> TableEncoding:
    assert isinstance(data.encoding, TableEncoding)
    return data.encoding


@pytest.fixture(params=["a.csv", "a.parquet", "pandas", "polars"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Data]:
    """Reads columns as a file, or as a data frame."""

    def through(columns: dict[str, list[Any]], **said: Any) -> Data:
        if request.param == "pandas":
            return from_array(pd.DataFrame(columns), **said)
        if request.param == "polars":
            return from_array(pl.DataFrame(columns, strict=False), **said)
        return load(written(tmp_path / request.param, columns), **said)

    return through


def test_each_column_is_taken_for_what_it_holds(door: Callable[..., Data]) -> None:
    columns = people()
    data = door(columns)
    table = table_of(data)
    assert {column.name: column.kind for column in table.columns} == KINDS
    assert (
        "left out: 'id' (another whole number in each row, as identifiers have); 'planet' (always "
        "'Earth'); 'note' (another word in each row, such as 'B said no. 0', as identifiers and "
        "free text have)" in data.notes
    )
    assert data.named["drop"] == ("id", "planet", "note")
    frame = table.to_frame(data.values)
    for name, kind in KINDS.items():
        if kind == "gaussian":
            assert frame[name].tolist() == pytest.approx(columns[name])
        else:
            assert frame[name].tolist() == columns[name]


def test_the_user_says_what_a_column_is(door: Callable[..., Data]) -> None:
    said = {"height": "binned", "children": "poisson", "gain": "gaussian", "sex": "categorical"}
    data = door(people(), kinds=said)
    kinds = {column.name: column.kind for column in table_of(data).columns}
    assert kinds == {**KINDS, **said, "sex": "binary"}  # two categories are one binary unit


def test_holes_become_the_mask_and_never_zero(door: Callable[..., Data]) -> None:
    columns = people()
    columns["height"][3], columns["town"][5], columns["member"][7] = None, None, None
    columns["children"][9] = -1
    data = door(columns, missing_values=-1)
    assert data.mask is not None
    names = [column.name for column in table_of(data).columns]
    expected = [[3, "height"], [5, "town"], [7, "member"], [9, "children"]]
    found = (~data.mask.observed()).nonzero().tolist()
    assert [[row, names[place]] for row, place in found] == expected
    table_of(data).check(data.values)
    told = next(note for note in data.notes if "missing" in note)
    assert told.startswith("4 of 2,400 values are missing (0.17%), in 4 of 400 rows: ")
    mean, _ = data.moments()
    there = [x for x in columns["height"] if x is not None]
    place = table_of(data).state_names().index("height")
    assert float(mean[place]) == pytest.approx(0, abs=1e-6)
    assert table_of(data).columns[0].to_config()["mean"] == pytest.approx(np.mean(there))


def test_labels_that_are_missing_are_unknown(door: Callable[..., Data]) -> None:
    columns = people()
    columns["town"][5] = None
    data = door(columns, label="town")
    assert data.labels is not None
    assert data.labels[5] == UNKNOWN_LABEL
    assert data.classes == ("Bern", "Oslo", "Rome")
    assert "1 row has no label: row 5 (counted from 0)" in data.notes


def test_files_with_other_spellings(tmp_path: Path) -> None:
    """Spaces behind commas, no header, question marks: as in old archives."""
    columns = people()
    rows = zip(*(columns[name] for name in KINDS), strict=True)
    lines = [", ".join(map(str, row)) for row in rows]
    lines[4] = lines[4].replace(columns["town"][4], "?")
    lines[6] = lines[6].replace(str(columns["height"][6]), "?")
    path = tmp_path / "people.data"
    path.write_text("\n".join(lines) + "\n\n")
    data = load(path)
    assert [column.kind for column in table_of(data).columns] == list(KINDS.values())
    assert data.columns == ("0", "1", "2", "3", "4", "5")
    assert data.mask is not None
    assert (~data.mask.observed()).nonzero().tolist() == [[4, 3], [6, 0]]


# What suits a column


def column_of(values: Any, kind: str | None = None, name: str = "x") -> Any:
    frame = pd.DataFrame({name: values, "word": ["a", "b"] * (len(values) // 2)})
    said = None if kind is None else {name: kind}
    found = {c.name: c for c in table_of(from_array(frame, kinds=said)).columns}
    return found.get(name)


def test_rare_words_are_pooled() -> None:
    words = ["a"] * 9000 + ["b"] * 991 + ["c"] * 5 + ["d"] * 4
    found = column_of(words)
    assert (found.categories, found.pools) == (("a", "b", "other"), True)
    assert not column_of(words[:9980]).pools
    many = [f"w{k % 60:02d}" for k in range(6000)]  # each in 100 rows
    found = column_of(many)
    assert (len(found.categories), found.pools) == (51, True)


def test_free_text_and_identifiers_are_left_out() -> None:
    assert column_of([f"name {k}" for k in range(100)]) is None
    assert column_of([f"name {k % 80}" for k in range(100)]) is not None
    assert column_of([f"name {k % 3000}" for k in range(6000)]) is None
    assert column_of(list(range(100))) is None
    assert column_of([k * 7 % 1009 for k in range(1000)], name="user_id") is None
    assert column_of([k * 7 % 1009 for k in range(1000)], name="steps") is not None


def test_a_normal_column_is_gaussian_and_others_are_binned() -> None:
    rng = np.random.default_rng(1)
    assert column_of(rng.normal(5, 2, 5000)).kind == "gaussian"
    assert column_of(rng.gamma(1, 2, 5000)).kind == "binned"
    # nearly normal, but it would be below 0 in one row of 20
    assert column_of(rng.gamma(3, 2, 5000)).kind == "binned"
    assert column_of(rng.gamma(20, 2, 100)).kind == "gaussian"  # too few rows for fine bins


def test_numbers_of_few_values_are_levels_unless_some_are_rare() -> None:
    rng = np.random.default_rng(4)
    assert column_of(rng.integers(0, 20, 1000)).kind == "ordinal"
    assert column_of(rng.integers(0, 21, 1000)).kind != "ordinal"
    found = column_of(rng.poisson(2, 1000))
    assert found.kind == "binned"  # whose last bin holds all large counts
    assert found.samples[0] == (0.0,)


def test_bins_are_of_equal_probability_and_atoms_have_their_own() -> None:
    rng = np.random.default_rng(2)
    values = np.where(rng.random(20_000) < 0.9, 0.0, rng.exponential(size=20_000) + 0.01)
    found = column_of(values)
    assert isinstance(found, Bins)
    assert found.samples[0] == (0.0,)
    share = np.bincount(np.searchsorted(found.edges, values), minlength=found.n_states) / 20_000
    assert share[0] == pytest.approx((values == 0).mean())
    assert len(share) == 20
    others = share[1:] / share[1:].sum()
    assert np.abs(others - 1 / 19).max() < 0.02
    # a draw has the distribution of the column within each bin
    drawn = found.drawn(np.full(4000, 19, np.intp), (np.arange(4000) + 0.5) / 4000)
    top = values[values > found.edges[-1]]
    assert np.median(drawn) == pytest.approx(np.median(top), rel=0.05)


def test_training_rows_alone_decide_means_and_bins() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=1000), "y": rng.exponential(size=1000)})
    data = from_array(frame, kinds={"x": "gaussian", "y": "binned"})
    train = data.take(torch.arange(500)).fit_columns()
    x, y = table_of(train).columns
    assert x.to_config()["mean"] == pytest.approx(float(frame.x[:500].mean()), rel=1e-6)
    assert isinstance(y, Bins)
    assert y.samples[-1][-1] <= np.float32(frame.y[:500].max())


def test_ordered_categories_of_pandas_keep_their_order() -> None:
    sizes = pd.Categorical(["S", "L", "M"] * 40, ["S", "M", "L"], ordered=True)
    frame = pd.DataFrame({"size": sizes, "x": np.arange(120) % 7})
    column = table_of(from_array(frame)).columns[0]
    assert isinstance(column, Categories)
    assert (column.categories, column.ordered, column.dtype) == (("S", "M", "L"), True, "category")


# Rows for a model


@pytest.fixture
def known() -> TableEncoding:
    return table_of(from_array(pd.DataFrame(people())))


def read_for(known: TableEncoding, columns: dict[str, Any], **said: Any) -> Data:
    reading = Reading(table=known, n_columns=6, drop=("id", "planet", "note"), **said)
    return read(pd.DataFrame(columns), reading)


def test_new_rows_are_read_as_in_training_in_any_order(known: TableEncoding) -> None:
    columns = people(50, seed=4)
    shuffled = {name: columns[name] for name in sorted(columns, reverse=True)}
    data = read_for(known, shuffled)
    assert data.encoding == known
    frame = known.to_frame(data.values)
    assert {name: frame[name].tolist() for name in ("town", "children", "member")} == {
        name: columns[name] for name in ("town", "children", "member")
    }


def test_a_row_alone_is_read_as_in_training(known: TableEncoding) -> None:
    columns = {name: cells[:1] for name, cells in people(50, seed=4).items()}
    columns["height"] = [None]
    data = read_for(known, columns)
    assert data.mask is not None
    assert data.mask.observed().tolist() == [[False, True, True, True, True, True]]
    empty = read_for(known, {name: [None] for name in KINDS})
    assert empty.mask is not None
    assert empty.mask.n_missing == 6


def test_categories_that_did_not_occur_in_training(known: TableEncoding) -> None:
    columns = people(50, seed=4)
    columns["town"][7] = "Kyiv"
    with pytest.raises(
        ValueError,
        match=r"row 7, column 'town' of array holds 'Kyiv', which did not occur in training, as in "
        r"1 of 50 rows \(counted from 0\); `unseen='missing'`",
    ):
        read_for(known, columns)
    data = read_for(known, columns, unseen="missing")
    assert data.mask is not None
    assert (~data.mask.observed()).nonzero().tolist() == [[7, 3]]
    assert "column 'town': 1 cells hold no category of training and count as missing" in data.notes


def test_unseen_words_count_as_other_where_there_is_one() -> None:
    words = ["a"] * 9000 + ["b"] * 991 + ["c"] * 9
    frame = pd.DataFrame({"x": words, "n": np.arange(10_000) % 5})
    known = table_of(from_array(frame))
    new = pd.DataFrame({"x": ["z", "c", "a"], "n": [0, 1, 2]})
    data = read(new, Reading(table=known, n_columns=2))
    assert data.values[:, 0].tolist() == [2, 2, 0]
    with pytest.raises(ValueError, match=r"row 0, column 'x' .* `unseen='other'`"):
        read(new, Reading(table=known, n_columns=2, unseen="error"))
    missing = read(new, Reading(table=known, n_columns=2, unseen="missing"))
    assert missing.mask is not None
    assert missing.mask.observed()[:, 0].tolist() == [False, False, True]


def test_columns_that_do_not_fit_the_model(known: TableEncoding) -> None:
    columns = people(50, seed=4)
    without = {name: cells for name, cells in columns.items() if name != "town"}
    with pytest.raises(ValueError, match="it lacks 'town'; rename or add the missing columns"):
        read_for(known, without)
    data = read_for(known, without, lacks_columns=True)
    assert data.mask is not None
    assert data.mask.missing_by_column.tolist() == [0, 0, 0, 50, 0, 0]
    assert "array lacks 'town', missing in all rows" in data.notes
    with pytest.raises(ValueError, match=r"it has 'more' beside them; .* \(`drop='more'`"):
        read_for(known, {**columns, "more": [1] * 50})
    with pytest.raises(ValueError, match="row 0, column 'height' of array holds 'tall', and the m"):
        read_for(known, {**columns, "height": ["tall"] * 50})
    with pytest.raises(ValueError, match=r"row 2, column 'children' of array holds 7.0, which did"):
        read_for(known, {**columns, "children": [0, 1, 7, *[2] * 47]})


# What is refused


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([datetime.date(2026, 1, 1)] * 4, r"row 0, column 'x' of array holds .*2026"),
        ([1.0, None, [1, 2], 3.0], r"row 2, column 'x' of array holds \[1, 2\] \(list"),
        ([1, "two", 3, 4], r"column 'x' of array holds numbers and text, the first text in row 1"),
    ],
)
def test_cells_that_are_neither_numbers_nor_words(cells: list[Any], message: str) -> None:
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=object), "y": [1, 2, 3, 4]})
    with pytest.raises(TypeError, match=message):
        from_array(frame)
    assert from_array(frame, drop="x").columns == ("y",)


def test_lists_and_dates_of_polars_and_parquet(tmp_path: Path) -> None:
    lists = {"y": [1, 2], "x": [[1], [2]]}
    with pytest.raises(TypeError, match=r"row 0, column 'x' of array holds \[1\] \(.*list"):
        from_array(pl.DataFrame(lists))
    with pytest.raises(TypeError, match=r"row 0, column 'x' of a.parquet holds \[1\] \(list"):
        load(written(tmp_path / "a.parquet", lists))


def test_dates_that_are_written_as_text(tmp_path: Path) -> None:
    columns = {"born": ["", "1990-01-02", "1991-03-04"] * 10, "x": [1, 2, 3] * 10}
    path = written(tmp_path / "a.csv", columns)
    with pytest.raises(
        ValueError, match=r"row 1, column 'born' of a.csv holds the date '1990-01-0"
    ):
        load(path)
    kinds = {"born": "categorical"}
    assert table_of(load(path, kinds=kinds)).names == ("born", "x")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"ttown": "categorical"}, "has no such column of values; did you mean 'town'"),
        ({"town": "gaussian"}, "row 0, column 'town' of array holds '.*', which is not a number"),
        ({"town": "ordinal"}, "holds words without an order"),
        ({"town": "binary"}, "has 3 different values; binary columns have two"),
        ({"height": "poisson"}, r"row \d+, column 'height' .* counts are whole numbers from 0"),
        ({"planet": "categorical"}, "has one value in all rows"),
        ({"town": "words"}, "is no kind of column; columns are binary, categorical"),
    ],
)
def test_kinds_that_do_not_fit(said: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_array(pd.DataFrame(people()), kinds=said)


def test_negative_counts_name_their_row() -> None:
    frame = pd.DataFrame({"visits": [1, 2, -3, 4], "x": [1, 2, 1, 2]})
    with pytest.raises(
        ValueError, match="row 2, column 'visits' of array holds -3, and counts are"
    ):
        from_array(frame, kinds={"visits": "poisson"})


def test_rows_and_tables_with_nothing_in_them(tmp_path: Path) -> None:
    columns = people(50)
    for name in KINDS:
        columns[name][8] = None
    with pytest.raises(ValueError, match=r"1 row has no value in any column of array: 8 \(counted"):
        from_array(pd.DataFrame(columns))
    frame = pd.DataFrame({"a": ["x"] * 30, "b": [None] * 30})
    with pytest.raises(ValueError, match=r"no column of array is left: 'a' .*'b' .no value at all"):
        from_array(frame)
    path = tmp_path / "a.csv"
    path.write_text("a,a\nx,1\ny,2\nx,3\n")
    with pytest.raises(
        ValueError, match=r"a.csv has two columns named 'a'; give each its own name"
    ):
        load(path)


def test_a_word_among_numbers_is_refused_and_a_remedy_named(tmp_path: Path) -> None:
    columns = people()
    columns["children"][300] = "many"
    path = written(tmp_path / "a.csv", columns)
    with pytest.raises(
        ValueError,
        match=r"row 300 \(line 302\) of a.csv, column 'children', holds 'many', which is not a num"
        r".*`columns=\{'children': 'categorical'\}`",
    ):
        load(path)
    said = {"children": "categorical"}
    column = table_of(load(path, columns=said)).columns[2]
    assert column == table_of(load(path, kinds=said)).columns[2]
    with pytest.raises(TypeError, match="`columns` and `kinds` say the same; pass `columns`"):
        load(path, columns=said, kinds=said)
    assert isinstance(column, Categories)
    assert column.categories == ("0", "1", "2", "3", "4", "many")


# Rows of numbers with holes


def test_numbers_with_holes_are_standardised_by_what_is_observed() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(50, 3, (500, 4))
    values[rng.random(values.shape) < 0.2] = np.nan
    data = from_array(values).standardize()
    mean, var = data.moments()
    assert mean.numpy() == pytest.approx(0, abs=1e-5)
    assert var.numpy() == pytest.approx(1, abs=1e-5)
    place = list(data.encoding.to_config()["mean"])
    assert place == pytest.approx(np.nanmean(values, 0).tolist(), rel=1e-6)


def test_masks_go_with_columns_and_parts(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"a": [1, None, 3], "b": [0.5, 1.5, None], "c": [7, 8, 9]}
    data = load(written(tmp_path / "train.csv", columns))
    chosen = data.select("c", "a")
    assert chosen.mask is not None
    assert chosen.mask.observed().tolist() == [[True, True], [True, False], [True, True]]
    test = load(written(tmp_path / "test.csv", {name: columns[name] for name in "cba"}))
    joined = join_parts({"train": data, "test": test})
    assert joined.mask is not None
    assert joined.mask.observed()[3:].tolist() == joined.mask.observed()[:3].tolist()
    assert joined.part("test").mask is not None


def test_words_for_missing_numbers_are_named_by_the_user(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1, unknown\nunknown,2\n3,4\n5,6\n")
    with pytest.raises(ValueError, match=r"row 0 \(line 2\) of a.csv, column 'b', holds 'unknown'"):
        load(path)
    data = load(path, missing_values="unknown")
    assert data.mask is not None
    assert (~data.mask.observed()).nonzero().tolist() == [[0, 1], [1, 0]]
