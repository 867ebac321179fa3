"""Reading ratings: long tables in files and frames, and sparse matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harmonium.datasets.long_tables import read_long
from harmonium.ratings.data import Ratings


def read(
    source: Any,
    columns: Sequence[str | int] = ("user", "item", "rating"),
    *,
    scale: Sequence[float] | None = None,
    known: Ratings | None = None,
    header: bool | None = None,
) -> Ratings:
    """Read ratings.

    Parameters
    ----------
    source
        A text table or Parquet file with a row for each rating; a pandas, polars or Arrow table;
        a SciPy sparse matrix of users and items; or `Ratings`.
    columns
        Of the users, the items and the ratings, by name or by number from 0. In a file without a
        header, names are those of its first columns, in this order. Not used for a matrix.
    scale
        All values that a rating can have; by default those that occur.
    known
        Ratings whose users, items and scale are known; users and items that are new get the numbers
        after theirs.
    header
        Whether line 1 of a text names the columns; decided from the line by default.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If they cannot be read; the message names the row.
    """
    if isinstance(source, Ratings):
        return source
    if hasattr(source, "tocoo"):
        return Ratings.from_sparse(source, scale=scale, known=known)
    if len(columns) != 3:
        raise ValueError(
            f"`ratings` names {len(columns)} columns ({', '.join(map(str, columns))}); pass those "
            "of the user, the item and the rating, such as user,item,rating"
        )
    table = read_long(source, columns, header)
    users, items, ratings = table.columns
    return Ratings.of(
        users, items, ratings, scale=scale, known=known, name=table.name, where=table.where
    )
