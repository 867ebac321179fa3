"""Reading ratings: files and tables as people have them, and what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from harmonium import ratings
from harmonium.ratings import Ratings

LINES = [("ann", 10, 4.0), ("bob", 10, 3.5), ("ann", 7, 0.5), ("cy", 7, 5.0)]


def cells(found: Ratings) -> set[tuple[object, object, float]]:
    """Who rated what, and how."""
    numbers = zip(found.user.tolist(), found.item.tolist(), found.values.tolist(), strict=True)
    return {(found.users[user], found.items[item], value) for user, item, value in numbers}


def text(separator: str, header: str | None) -> bytes:
    lines = [separator.join(map(str, line)) for line in LINES]
    return "\n".join([*([] if header is None else [header]), *lines]).encode()


PACKED = gzip.compress(text(",", "user,item,rating"), mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("tabs.tsv", text("\t", None), ("user", "item", "rating")),
        ("commas.csv", text(",", "user,item,rating"), ("user", "item", "rating")),
        ("reordered.csv", b"rating;who;film\n4;ann;10\n3.5;bob;10", ("who", "film", "rating")),
        ("numbered.csv", text(",", None), ("0", "1", "2")),
        ("a header by number.csv", text(",", "u,i,r"), (0, 1, 2)),
        ("colons.dat", text("::", None), ("user", "item", "rating")),
        ("blanks.txt", text("   ", None), ("user", "item", "rating")),
        ("packed.csv.gz", PACKED, ("user", "item", "rating")),
    ],
)
def test_a_long_text_table_is_read(
    tmp_path: Path, name: str, content: bytes, columns: tuple[str, ...]
) -> None:
    (tmp_path / name).write_bytes(content)
    found = ratings.read(tmp_path / name, columns)
    wanted = set(LINES[:2] if name == "reordered.csv" else LINES)
    assert cells(found) == wanted
    assert found.scale == tuple(sorted({rating for *_, rating in wanted}))


def test_frames_parquet_and_matrices_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame(LINES, columns=["user", "item", "rating"])
    assert cells(ratings.read(frame)) == set(LINES)
    assert cells(ratings.read(frame.astype({"user": "category"}))) == set(LINES)
    frame.to_parquet(tmp_path / "r.parquet")
    assert cells(ratings.read(tmp_path / "r.parquet")) == set(LINES)
    polars = pytest.importorskip("polars")
    assert cells(ratings.read(polars.DataFrame(frame))) == set(LINES)
    matrix = scipy.sparse.csr_array(np.array([[0, 3, 0], [1, 0, 5]]))
    found = ratings.read(matrix)
    assert cells(found) == {(0, 1, 3.0), (1, 0, 1.0), (1, 2, 5.0)}
    assert (found.users, found.items) == ((0, 1), (0, 1, 2))


def test_rows_are_of_items_or_of_users() -> None:
    found = Ratings.of(*zip(*LINES, strict=True))
    assert (found.users, found.items) == (("ann", "bob", "cy"), (7, 10))
    by_item = found.rated("item")
    assert by_item.starts.tolist() == [0, 2, 4] and by_item.columns.tolist() == [0, 2, 0, 1]
    assert torch.tensor(found.scale)[by_item.levels].tolist() == [0.5, 5.0, 4.0, 3.5]
    by_user = found.rated("user", (4, 3))
    assert by_user.starts.tolist() == [0, 2, 3, 4, 4] and by_user.n_columns == 3


def test_new_names_come_after_those_known() -> None:
    known = Ratings.of([1, 2], [10, 20], [1, 5])
    test = Ratings.of([2, 9], [20, 10], [5, 1], known=known)
    assert (test.users, test.items) == ((1, 2, 9), (10, 20))
    assert (test.user.tolist(), test.item.tolist()) == ([1, 2], [1, 0])
    as_text = Ratings.of(["2", "x"], [20, 10], [5, 1], known=known)
    assert as_text.user.tolist() == [1, 2] and as_text.users == ("1", "2", "x")
    assert Ratings.of([9, 2], [10, 20], [1, 5]).beside(known).user.tolist() == [2, 1]
    assert known.number_of("2", "user") == known.number_of(2, "user") == 1
    with pytest.raises(ValueError, match="user 3 is unknown to the model; there are 2 users: 1, 2"):
        known.number_of(3, "user")


def test_whoever_has_one_rating_keeps_it() -> None:
    known = Ratings.of([0, 1, 1, 1, 2, 2], [0, 0, 1, 2, 1, 2], [1, 2, 3, 1, 2, 3])
    train, held = known.split(0.5, seed=0)
    assert held is not None and 1 <= len(held) <= 3 and len(train) + len(held) == len(known)
    assert set(train.user.tolist()) == {0, 1, 2} and set(train.item.tolist()) == {0, 1, 2}
    assert cells(train.joined(held)) == cells(known)
    assert known.split(0.0, seed=0) == (known, None)


COLUMNS = ("user", "item", "rating")
BAD = {
    "": "is empty",
    "1,1,4\n1,2,x": "the rating of line 2 in r.csv is 'x'; pass a number",
    "1,1,4\n\n1,2,": "the rating of line 3 in r.csv is missing; pass a number",
    "1,1,4\n1,2,3,5": "is no table of 3 columns",
    "1;1;4\n1;2;3,5": "the rating of line 2 in r.csv is '3,5'; pass a number, such as 4 or 3.5",
    "1,1,4\n1,2,nan": "line 2 in r.csv is nan; leave out",
    "1,1,4\n,2,3": "the user of line 2 in r.csv is missing",
    "1,1,4\n1,,3": "the item of line 2 in r.csv is missing",
    "1,1,4\n2,1,3\n1,1,2": "user 1 rated item 1 twice in r.csv: line 1 and line 3; keep one",
    "1,1,4\n2,1,4": "all ratings of r.csv are 4",
    "1,1\n2,1": "has 2 columns, and column 2",
    "1,1,4\n2,1,4,5": "is no table of 3 columns",
    "u,i,r\n1,1,4\n2,1,3": "r.csv has no column 'user'; its columns are u, i, r",
}


@pytest.mark.parametrize("content", BAD)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.csv").write_text(content)
    with pytest.raises(ValueError) as error:
        ratings.read(tmp_path / "r.csv", COLUMNS)
    assert BAD[content] in str(error.value)


@pytest.mark.parametrize("header", ["", "u,i,r\n"])
@pytest.mark.parametrize("columns", [("1", "0", "2"), (1, 0, 2), (-2, 0, -1), ("-2", "0", "-1")])
def test_columns_by_number_are_those_columns(
    tmp_path: Path, header: str, columns: tuple[str | int, ...]
) -> None:
    (tmp_path / "r.csv").write_text(header + "a,x,4\nb,x,3\nb,y,5\n")
    assert ratings.read(tmp_path / "r.csv", columns).users == ("x", "y")


def test_columns_that_are_not_there_or_named_twice_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame(LINES, columns=["user", "item", "rating"])
    frame.to_parquet(tmp_path / "r.parquet")
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.to_csv(tmp_path / "bare.csv", index=False, header=False)
    for source in (frame, *(tmp_path / name for name in ("r.parquet", "r.csv", "bare.csv"))):
        for columns in ((0, 1, 9), ("0", "1", "9"), (0, 1, -9)):
            with pytest.raises(ValueError, match=r"has 3 columns, and column -?9 \(from 0\) was"):
                ratings.read(source, columns)
        with pytest.raises(ValueError, match="0 and -3 are the same column of"):
            ratings.read(source, (0, 1, -3))
    with pytest.raises(ValueError, match=r"item and item are the same column of r\.csv"):
        ratings.read(tmp_path / "r.csv", ("user", "item", "item"))


def test_a_rating_off_the_scale_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user,item,rating\n1,1,4\n1,2,6")
    with pytest.raises(ValueError, match=r"line 3 in r\.csv is 6, which is not on the scale 1, 2"):
        ratings.read(tmp_path / "r.csv", COLUMNS, scale=(1, 2, 3, 4, 5))


def test_other_columns_and_tables_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"200 different ratings, from .* check that this is"):
        Ratings.of(range(200), range(200), rng.random(200))
    with pytest.raises(ValueError, match=r"the user of row 1 .from 0. in the ratings is 0.5"):
        Ratings.of([1.0, 0.5], [1, 2], [1, 2])
    with pytest.raises(ValueError, match="lengths 2, 2, 1"):
        Ratings.of([1, 2], [1, 2], [1])
    with pytest.raises(ValueError, match="holds no ratings"):
        Ratings.of([], [], [])
    with pytest.raises(ValueError, match="names 2 columns"):
        ratings.read(pd.DataFrame(LINES), ("user", "item"))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ratings.read(tmp_path / "none.csv")
    twice = scipy.sparse.coo_array(([1, 2], ([0, 0], [1, 1])), shape=(2, 2))
    with pytest.raises(ValueError, match="twice in the matrix: the entry of row 0, column 1"):
        ratings.read(twice)


def test_files_bring_ratings_back(tmp_path: Path) -> None:
    known = Ratings.of(*zip(*LINES, strict=True))
    ratings.save_ratings(tmp_path / "r", train=known, pairs=None)
    found = ratings.load_ratings(tmp_path / "r")
    assert list(found) == ["train"] and cells(found["train"]) == set(LINES)
    with pytest.raises(ValueError, match="not a harmonium model of ratings"):
        ratings.load_model(tmp_path / "r")
