"""Tables of text as people and their software write them: what is a header, a label, an index."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from harmonium.datasets import Data, TableEncoding, load

IRIS = "5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n6.3,3.3,virginica\n"


@pytest.fixture
def read(tmp_path: Path):
    def read_text(text: str | bytes, name: str = "a.csv", **said: object) -> Data:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(path, **said)

    return read_text


def table(rows: list[list[object]], separator: str = ",") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


# Headers


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("n", [3, 4, 64, 784])
def test_the_numbers_that_pandas_writes_above_columns_are_a_header(read, n, start) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (30, n))
    data = read(table([list(range(start, start + n)), *rows.tolist()]))
    assert data.values.tolist() == rows.tolist()
    assert data.columns == tuple(map(str, range(start, start + n)))
    assert "header: line 1" in data.notes


def test_numbers_above_real_numbers_are_a_header(read) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 4)).round(3)
    assert read(table([[0, 1, 2, 3], *rows.tolist()])).values.shape == (5, 4)
    named = read(table([[0, 1, 2, "target"], *rows.tolist()]))
    assert (named.columns, named.targets.shape) == (("0", "1", "2"), (5, 1))


@pytest.mark.parametrize(
    "text",
    [
        table([[0, 1, 2], *np.random.default_rng(0).integers(0, 9, (30, 3)).tolist()]),
        "0,1\n0.5,1.5\n0.1,2.5\n",
        "2001,2002,2003\n0.5,1.5,0.1\n0.1,2.5,0.3\n",
    ],
)
def test_numbers_that_could_be_either_are_refused(read, text) -> None:
    with pytest.raises(ValueError, match=r"line 1 of a.csv .* could be a header .*`header=False`"):
        read(text)
    n_rows = text.count("\n")
    assert len(read(text, header=False)) == n_rows
    assert len(read(text, header=True)) == n_rows - 1


@pytest.mark.parametrize(
    "text", ["0,1\n1,0\n1,1\n", "1\n0\n1\n", "0,1,2\n3,4,5\n6,7,8\n", "1,2\n3,4\n"]
)
def test_rows_that_go_on_as_they_begin_have_no_header(read, text) -> None:
    data = read(text)
    assert len(data) == text.count("\n")
    assert data.notes[0].startswith("no header")


@pytest.mark.parametrize("mark", ["#1", "x", "1 2"])
@pytest.mark.parametrize("line", [1, 2, 90])
@pytest.mark.parametrize("column", [0, 2])
def test_a_cell_that_is_no_number_is_refused_alike_in_every_line(read, mark, line, column) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (100, 4)).tolist()
    rows[line - 1][column] = mark
    with pytest.raises(ValueError) as caught:
        read(table(rows))
    assert f"row {line - 1} (line {line})" in str(caught.value)
    assert f"column {column}, holds {mark!r}" in str(caught.value)


@pytest.mark.parametrize("mark", ["?", "NA", "nan", "", "null", "-"])
@pytest.mark.parametrize("line", [1, 2, 90])
@pytest.mark.parametrize("column", [0, 2])
def test_a_missing_cell_is_missing_alike_in_every_line(read, mark, line, column) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (100, 4)).tolist()
    rows[line - 1][column] = mark
    mask = read(table(rows)).mask
    assert (~mask.observed()).nonzero().tolist() == [[line - 1, column]]


def test_missing_cells_are_counted(read) -> None:
    data = read("a,b,c\n1,?,1\n2,3,1\n,NA,2\n")
    assert data.mask.observed().tolist() == [[1, 0, 1], [1, 1, 1], [0, 0, 1]]
    assert data.notes[-1] == "3 of 9 values are missing (33.33%), in 2 of 3 rows: b 2, a 1"
    assert data.values[2].tolist() == [1, 3, 2]  # the first observed values stand in
    coded = read("a,b\n1,-1\n2,3\n999,5\n", missing_values=[-1, 999])
    assert coded.mask.observed().tolist() == [[1, 0], [1, 1], [0, 1]]
    assert read("a,b\n1,?\n2,3\n", drop="b").values.tolist() == [[1], [2]]


def test_comments_of_numpy_savetxt(read) -> None:
    data = read("# made on Monday\n# a b c\n1 2 3\n4 5 6\n", "a.txt")
    assert data.columns == ("a", "b", "c")
    assert data.notes == ("header: line 2", "line 1, words behind #, left out")
    assert read("# a b\n1 2 3\n4 5 6\n", "a.txt").columns is None


# Indices


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_without_a_name_are_left_out_with_a_note(read, name, first) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 3)).round(3).tolist()
    text = table([[name, "a", "b", "c"], *([n, *row] for n, row in enumerate(rows, first))])
    data = read(text)
    assert data.columns == ("a", "b", "c")
    assert data.values.tolist() == torch.tensor(rows).tolist()
    assert f"counts the rows from {first}; it is left out" in data.notes[-1]


def test_row_numbers_above_which_pandas_wrote_column_numbers(read) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (30, 3)).tolist()
    data = read(table([["", 0, 1, 2], *([n, *row] for n, row in enumerate(rows))]))
    assert data.values.tolist() == rows


def test_names_and_shuffled_numbers_of_rows_are_left_out_too(read) -> None:
    cars = '"mpg" "cyl"\n"Mazda RX4" 21 6\n"Datsun 710" 22.8 4\n'
    assert read(cars, "cars.txt").columns == ("mpg", "cyl")
    data = read(",a\n7,1\n3,0\n5,1\n")
    assert (data.columns, data.values.tolist()) == (("a",), [[1], [0], [1]])


def test_a_column_without_a_name_that_is_no_index_is_refused(read) -> None:
    with pytest.raises(
        ValueError, match=r"column 0 of a.csv has no name, and is no index.*`drop=0`"
    ):
        read(",a\n0.5,1\n0.5,0\n")
    assert read(",a\n0.5,1\n0.5,0\n", drop=0).columns == ("a",)


def test_an_empty_column_at_the_end_of_each_line_is_left_out(read) -> None:
    assert read("a,b,\n1,2,\n3,4,\n").values.tolist() == [[1, 2], [3, 4]]


# Labels and targets


def test_classes_in_words_keep_their_names(read) -> None:
    data = read("a,b,Class\n" + IRIS)
    assert data.labels.tolist() == [0, 0, 1, 2]
    assert data.classes == ("setosa", "versicolor", "virginica")
    assert data.columns == ("a", "b")
    assert "labels: column 'Class', by its name" in data.notes


@pytest.mark.parametrize("label", [2, -1, "2", "-1"], ids=repr)
def test_labels_by_number_where_there_is_no_header(read, label) -> None:
    data = read(IRIS, "iris.data", label=label)
    assert data.classes == ("setosa", "versicolor", "virginica")
    assert data.values.shape == (4, 2)
    assert data.notes == ("no header", "labels: column 2, as asked")


def test_a_column_of_text_that_nobody_named_makes_a_mixed_table(read) -> None:
    for data in (read(IRIS, "iris.data"), read("2a,2b,2\n" + IRIS, header=True)):
        assert isinstance(data.encoding, TableEncoding)
        species = data.encoding.columns[-1]
        assert (species.name, species.kind) == ("2", "categorical")
        assert species.categories == ("setosa", "versicolor", "virginica")
    with pytest.raises(ValueError, match=r"text in the target 2 .*`label=2` .*`drop=2`"):
        read(IRIS, "iris.data", target=2)


def test_targets_and_columns_to_drop_by_name_and_number(read) -> None:
    text = "id,a,price,b\n7,1,0.5,2\n8,3,1.5,4\n"
    data = read(text, target="price", drop=["id", -1])
    assert (data.columns, data.values.tolist()) == (("a",), [[1], [3]])
    assert data.targets.tolist() == [[0.5], [1.5]]
    assert data.notes == (
        "header: line 1",
        "left out as asked: columns 'id', 'b'",
        "targets: column 'price', as asked",
    )


def test_a_target_in_words_is_a_label(read) -> None:
    assert read("a,target\n1,yes\n0,no\n").classes == ("no", "yes")
    assert read("a,target\n1,0.5\n0,1\n").targets.tolist() == [[0.5], [1.0]]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"label": "speces"},
            r"`label` is 'speces', .*; did you mean 'species'\? \(its columns are a, ",
        ),
        ({"drop": 3}, "`drop` is column 3, but a.csv has the columns 0 to 2"),
        ({"drop": -4}, "`drop` is column -4, but"),
        ({"label": "a", "drop": "a"}, "column 'a' is named by `label` and by `drop`"),
        ({"label": 2, "drop": ["a", "b"]}, "no column of values is left beside columns 'a', 'b', "),
    ],
)
def test_columns_that_are_not_there_are_refused(read, said, message) -> None:
    with pytest.raises(ValueError, match=message):
        read("a,b,species\n" + IRIS, **said)


def test_columns_with_the_same_name_have_to_be_told_apart_by_number(read) -> None:
    with pytest.raises(ValueError, match=r"2 columns named 'a' .numbers 0, 2.; pass the number"):
        read("a,b,a\n1,2,3\n", drop="a")
    assert read("a,b,a\n1,2,3\n", drop=2).columns == ("a", "b")


# Ways to write numbers


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "  ", " | ", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".dat", ".data", ".amat"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_suffix_and_separator(read, separator, suffix, packed) -> None:
    text = table([[1, 2.5, 3], [4, 5, -6]], separator).encode()
    data = read(gzip.compress(text) if packed else text, "a" + suffix + packed * ".gz")
    assert data.values.tolist() == [[1, 2.5, 3], [4, 5, -6]]


@pytest.mark.parametrize("separator", [";", "\t", " "])
def test_decimal_commas(read, separator) -> None:
    text = table([["a", "b"], ["1,5", "2"], ["-0,25", "1e3"]], separator)
    assert read(text).values.tolist() == [[1.5, 2.0], [-0.25, 1000.0]]
    late = table([["1", "2"]] * 300 + [["1,5", "2"]], separator)
    assert read(late).values[-1].tolist() == [1.5, 2.0]


def test_aligned_columns(read) -> None:
    assert read("  1.0   20.5\n 10.0    3.5\n", "a.dat").values.tolist() == [[1, 20.5], [10, 3.5]]


def test_true_and_false_are_1_and_0(read) -> None:
    data = read("a,b\nTrue,1\nFALSE,0\ntrue,1\n")
    assert data.values.tolist() == [[1, 1], [0, 0], [1, 1]]
    assert data.values.dtype == torch.uint8


def test_a_control_character_is_no_space(read) -> None:
    with pytest.raises(ValueError, match=r"no column of a\.txt is left: '0' "):
        read("1 1 1\r\x1f", "a.txt")


def test_digits_without_separators_are_refused(read) -> None:
    with pytest.raises(ValueError, match="digits without a separator, such as '0110'"):
        read("0110\n1001\n", "a.txt")


def test_text_in_latin_1(read) -> None:
    data = read("größe,class\n1,männlich\n2,weiblich\n".encode("latin-1"))
    assert (data.columns, data.classes) == (("größe",), ("männlich", "weiblich"))


def test_what_is_no_text_is_refused(read) -> None:
    with pytest.raises(ValueError, match=r"a.csv is no text in UTF-8: line 1 holds a zero byte"):
        read("1,2\n".encode("utf-16"))


def test_a_large_table_comes_in_pieces(read) -> None:
    rows = np.random.default_rng(0).integers(0, 300, (60_000, 12))
    assert np.array_equal(read(table(rows.tolist())).values.numpy(), rows)


def test_a_large_table_may_be_gzipped(read) -> None:
    rows = np.random.default_rng(0).normal(size=(40_000, 12)).astype(np.float32)
    text = gzip.compress(table(rows.tolist()).encode(), 1)
    assert np.array_equal(read(text, "a.csv.gz").values.numpy(), rows)


def test_rows_that_become_shorter_and_fractions_that_come_late(read) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(100, 200, (200_000, 4))
    rows[60_000:] %= 10
    lines = [",".join(map(str, row)) for row in rows.tolist()]
    lines[-1] = "0.5,1,2,3"
    values = read("\n".join(lines)).values.numpy()
    assert np.array_equal(values[:-1], rows[:-1])
    assert values[-1].tolist() == [0.5, 1, 2, 3]


def test_a_line_that_is_longer_than_a_piece(read) -> None:
    lines = [f"{n},{n % 7}.5,word" for n in range(1000)]
    lines[700] = "700,0.5," + "long " * 700_000
    data = read("a,b,c\n" + "\n".join(lines), drop=["c"])
    assert data.values[:, 0].tolist() == list(range(1000))
    assert data.columns == ("a", "b")


def test_an_error_far_down_a_large_table_has_its_line(read) -> None:
    rows = np.random.default_rng(0).integers(0, 300, (60_000, 12)).tolist()
    rows[50_000][3] = "oops"
    with pytest.raises(
        ValueError, match=r"row 50000 \(line 50001\) of a.csv, column 3, holds 'oops'"
    ):
        read(table(rows))


def test_values_that_float32_rounds_too_much_are_kept(read) -> None:
    data = read("\n".join(f"{1_700_000_000 + 60 * n},{n}" for n in range(96)))
    assert len(data.values[:, 0].unique()) == 96


# Remarks


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("header", ["", "a,b,c,d\n"])
def test_a_column_that_looks_like_classes_is_remarked(read, place, header) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 4)).round(3)
    rows[:, place] = np.arange(40) % 3
    text = header + "".join(
        ",".join(str(int(x)) if n == place else str(x) for n, x in enumerate(row)) + "\n"
        for row in rows.tolist()
    )
    data = read(text)
    option = "abcd"[place] if header else {0: 0, 3: -1}[place]
    assert "holds 3 whole numbers, as classes do" in data.notes[-1]
    assert f"`label={option!r}` takes it for labels" in data.notes[-1]
    assert read(text, label=option).notes[-1].endswith("as asked")


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("kind", ["measurements and counts", "counts", "states", "shares"])
def test_classes_without_a_header_are_remarked_beside_numbers_of_any_kind(
    read, kind, place
) -> None:
    rng = np.random.default_rng(0)
    n_rows, n = 90, 5
    rows = {
        "measurements and counts": np.c_[
            rng.normal(13, 1, (n_rows, n - 1)).round(2), rng.integers(70, 160, n_rows)
        ],
        "counts": rng.integers(0, 10, (n_rows, n)),
        "states": rng.integers(0, 2, (n_rows, n)),
        "shares": rng.random((n_rows, n)).round(3),
    }[kind]
    classes = np.sort(rng.integers(1, 4, n_rows))  # files come sorted by class
    rows = np.insert(rows, 0 if place == 0 else n, classes, axis=1)
    data = read("".join(",".join(f"{x:g}" for x in row) + "\n" for row in rows))
    assert "holds 3 whole numbers, as classes do" in data.notes[-1]
    assert f"`label={place}` takes it for labels" in data.notes[-1]


@pytest.mark.parametrize("high", [2, 5])
def test_states_and_ratings_alone_are_not_taken_for_classes(read, high) -> None:
    rows = np.random.default_rng(0).integers(0, high, (90, 6))
    data = read("".join(",".join(map(str, row)) + "\n" for row in rows))
    assert not any("as classes do" in note for note in data.notes)


def test_classes_beside_pixels_are_remarked(read) -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.arange(40) % 10, rng.integers(0, 17, (40, 64))])
    assert "column 0 holds 10 whole numbers" in read(table(rows.tolist())).notes[-1]


def test_a_column_that_counts_rows_is_remarked(read) -> None:
    rng = np.random.default_rng(0)
    rows = [[n, *row] for n, row in enumerate(rng.normal(size=(20, 2)).round(3).tolist(), 1)]
    assert "column 0 counts the rows" in read(table(rows)).notes[-1]
    assert "`drop='id'` leaves it out" in read("id,a,b\n" + table(rows)).notes[-1]


def test_tables_without_such_columns_have_no_remarks(read) -> None:
    rng = np.random.default_rng(0)
    for rows in (rng.normal(size=(40, 4)).round(3), rng.integers(0, 2, (40, 16))):
        assert read(table(rows.tolist())).notes == ("no header",)


def test_a_separator_at_the_end_of_each_line_begins_no_column(read) -> None:
    assert read("1,2,\n3,4,\n").values.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match=r"column 2, holds '5'|column 2 of a.csv has no name"):
        read("1,2,\n" * 300 + "3,4,5\n")


@pytest.mark.parametrize("line", [1, 30])
def test_a_quote_that_is_not_closed_takes_no_row(read, line) -> None:
    rows = [f"{n},x\n" for n in range(60)]
    rows[line] = f'{line},"x\n'
    with pytest.raises(ValueError, match=rf"row {line} \(line {line + 2}\).* a quote that is not"):
        read("a,class\n" + "".join(rows))
