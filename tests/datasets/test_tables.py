"""Text and Parquet: delimiters, headers, labels, and where a bad cell is."""

from __future__ import annotations

import datetime
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harmonium.datasets import Data, load
from harmonium.datasets import text as text_module
from harmonium.datasets.row_names import RowNames

FLOATS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.floats(-(2.0**99), 2.0**99, width=32),
)


def read_csv(text: str | bytes, name: str = "a.csv") -> Data:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(path)


def read_parquet(columns: dict[str, object], row_group_size: int = 1000) -> Data:
    stream = io.BytesIO()
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, stream, row_group_size=row_group_size)
    return read_csv(stream.getvalue(), "a.parquet")


@given(
    FLOATS, st.sampled_from(",;\t"), st.booleans(), st.booleans(), st.sampled_from(["\n", "\r\n"])
)
def test_csv_round_trip(
    array: np.ndarray, delimiter: str, header: bool, quoted: bool, newline: str
) -> None:
    quote = '"' if quoted else ""
    lines = [delimiter.join(f"{quote}{float(cell)!r}{quote}" for cell in row) for row in array]
    if header:
        lines.insert(
            0, delimiter.join(f"{quote}c{column}{quote}" for column in range(array.shape[1]))
        )
    data = read_csv(newline.join(lines) + newline)
    assert data.values.tolist() == array.tolist()
    assert data.labels is None


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4",
        "a,b\n1,2\n3,4\n",
        "1;2\n3;4\n",
        "1\t2\n3\t4\n",
        "\n\n1,2\n\n  \n3,4\n\n",
        " 1 , 2 \n 3 , 4 \n",
        "\ufeff1,2\n3,4\n",
        "\ufeffa,b\n1,2\n3,4\n",
        '"a","b"\n"1","2"\n3,4\n',
        "1.0,2e0\n+3,4.\n",
        "nan in name,b\n1,2\n3,4\n",
        b"\xe9t\xe9,b\n1,2\n3,4\n",
    ],
)
def test_text_as_people_write_it(text: str) -> None:
    data = read_csv(text)
    assert data.values.tolist() == [[1, 2], [3, 4]]
    assert data.values.dtype == torch.uint8


def test_one_column() -> None:
    assert read_csv("height\n1.5\n2.5\n").values.tolist() == [[1.5], [2.5]]


def test_a_tsv() -> None:
    assert read_csv("a\tb\n1\t2\n", "a.tsv").values.tolist() == [[1, 2]]


@pytest.mark.parametrize("cell", ["-1", "256", "0.5"])
def test_what_is_no_byte_is_stored_in_float32(cell: str) -> None:
    assert read_csv(f"1,2\n3,{cell}\n").values.dtype == torch.float32


def test_columns_of_targets() -> None:
    data = read_csv("a,target_x,label,b,Target_Y\n1,0.5,7,2,-1\n3,1.5,8,4,-2\n")
    assert data.values.tolist() == [[1, 2], [3, 4]]
    assert data.values.dtype == torch.uint8
    assert data.targets is not None
    assert data.targets.tolist() == [[0.5, -1.0], [1.5, -2.0]]
    assert data.labels is not None
    assert data.labels.tolist() == [7, 8]


def test_a_column_of_labels() -> None:
    data = read_csv("a,Label,b\n1,7,2\n3,8,4\n")
    assert data.values.tolist() == [[1, 2], [3, 4]]
    assert data.labels is not None
    assert data.labels.tolist() == [7, 8]


def test_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "_BLOCK_BYTES", 64)
    monkeypatch.setattr(text_module, "_BLOCK_ROWS", 1)
    array = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)
    text = "label,a,b\n" + "\n".join(
        f"{i},{a!r},{b!r}" for i, (_, a, b) in enumerate(array.tolist())
    )
    data = read_csv(text)
    assert data.values.equal(torch.from_numpy(array[:, 1:]))
    assert data.labels is not None
    assert data.labels.tolist() == list(range(101))
    with pytest.raises(ValueError, match=r"row 101 \(line 103\) of a.csv has 2 values, but line 1"):
        read_csv(text + "\n1,2\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.csv is empty: 0 bytes"),
        ("\n \n", "a.csv is empty: it holds blank lines only"),
        ("a,b\n", "a.csv is empty: it holds a header and no rows"),
        ("1,2\n3\n", r"row 1 \(line 2\) of a.csv has 1 values, but line 1 has 2; all lines need"),
        ("a,b\n\n1,2\n3,4,5\n", r"row 1 \(line 4\) of a.csv has 3 values, but line 1 has 2"),
        ("a\n1,2\n", r"row 0 \(line 2\) of a.csv has 2 values, but line 1 has 1"),
        ("a,b\n1,2\n3,x\n", r"row 1 \(line 3\) of a.csv, column 'b', holds 'x', which is not a nu"),
        ("1,2\n3,x\n", r"row 1 \(line 2\) of a.csv, column 1, holds 'x'"),
        ("1,2\n1_0,2\n", "holds '1_0', which is not a number"),
        (
            "a,target\n1,2\n3,\n",
            r"a.csv has 1 target without a value; the first: row 1 \(line 3\), column 'target'",
        ),
        ("a,b\n1,?\n2,NA\n", "column 'b' of a.csv has no value in any of the 2 rows"),
        ("a,b\n1,2\n,NA\n", r"1 row has no value in any column of a.csv: 1 \(counted from 0"),
        ("a,b\n1,inf\n", "0 NaN and 1 infinities.*: row 0, column 'b'"),
        ("label,b\n1.5,2\n", "labels of a.csv are not all whole numbers"),
        ("label\n1\n", r"a.csv is empty: no column of values is left beside column 'label'"),
        ("1,1e39\n", "1 infinities, or values beyond ±3.4e38"),
    ],
)
def test_other_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_csv(text)


@given(FLOATS)
def test_parquet_round_trip(array: np.ndarray) -> None:
    data = read_parquet({f"c{i}": column for i, column in enumerate(array.T)})
    assert data.values.tolist() == array.tolist()


def test_parquet_of_several_types_and_row_groups() -> None:
    n = 40
    columns = {
        "flag": [i % 3 == 0 for i in range(n)],
        "label": list(range(n)),
        "count": np.arange(n, dtype=np.int64),
        "target": [i / 4 for i in range(n)],
    }
    data = read_parquet(columns, row_group_size=7)
    assert data.values.dtype == torch.uint8
    assert data.values.tolist() == [[i % 3 == 0, i] for i in range(n)]
    assert data.labels is not None
    assert data.labels.tolist() == list(range(n))
    assert data.targets is not None
    assert data.targets.tolist() == [[i / 4] for i in range(n)]
    half = read_parquet(columns | {"half": np.full(n, 2, np.float16)})
    assert half.values.dtype == torch.float32
    assert half.values[3].tolist() == [1, 3, 2]


def test_the_index_of_pandas_is_left_out() -> None:
    data = read_parquet({"a": [0.5], "__index_level_0__": [7]})
    assert data.values.tolist() == [[0.5]] and data.row_names is None


@pytest.mark.parametrize("name", [None, "id"])
def test_an_index_of_text_names_the_rows(name: str | None, tmp_path: Path) -> None:
    index = pandas.Index(["p", "q", "r"], name=name)
    frame = pandas.DataFrame({"a": [0.5, 1.5, 2.5]}, index=index)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=2)
    data = load(tmp_path / "a.parquet")
    assert data.values.tolist() == [[0.5], [1.5], [2.5]]
    assert isinstance(data.row_names, RowNames) and list(data.row_names) == ["p", "q", "r"]
    assert data.row_names.header == (name or "row")
    if name is not None:
        labelled = load(tmp_path / "a.parquet", label=name)
        assert labelled.classes == ("p", "q", "r") and labelled.row_names is None
        assert load(tmp_path / "a.parquet", drop=-1).row_names is None
    gaps = frame.set_axis(pandas.Index(["p", None, "r"]))
    gaps.to_parquet(tmp_path / "gaps.parquet")
    assert load(tmp_path / "gaps.parquet").row_names is None


def test_nulls_are_nan() -> None:
    data = read_parquet({"a": [1, None], "b": [True, None], "c": [0.5, None], "d": [1, 2]})
    assert data.mask.observed().tolist() == [[True] * 4, [False] * 3 + [True]]


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        (
            {"a": [1], "target_a": ["x"]},
            ValueError,
            r"text in the target 'target_a' \('x', ...\).*`drop='target_a'`",
        ),
        ({"a": [datetime.date(2026, 1, 1)]}, TypeError, r"row 0, column 'a' .*\(date32"),
        ({"a": pyarrow.array([], pyarrow.int8())}, ValueError, "a.parquet is empty: its shape is"),
        ({}, ValueError, "a.parquet is empty: it has no columns"),
    ],
)
def test_other_parquet_is_refused(
    columns: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        read_parquet(columns)


def test_damaged_parquet_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a.parquet is damaged, or no Parquet file"):
        read_csv(b"PAR1 and no more", "a.parquet")
