"""Writes tables in the user's own columns: .csv and .parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import IO, Any

from numpy.typing import NDArray

from harmonium.datasets.encodings import TableEncoding

TABLE_FILES = (".csv", ".parquet")
"""What files of tables can end in."""


def write_frame(
    file: IO[bytes], suffix: str, frame: Mapping[str, NDArray[Any]], table: TableEncoding
) -> None:
    """Write the columns of a table, which `TableEncoding.to_frame` has made.

    Parameters
    ----------
    file
        Opened for writing bytes.
    suffix
        One of `TABLE_FILES`. In a .csv, a missing cell is empty.
    frame
        One array a column, by name.
    table
        The columns; those that were categories are categories in a .parquet, too.
    """
    if suffix == ".parquet":
        _write_parquet(file, frame, table)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame)
    columns = [
        ["" if cell is None or cell != cell else cell for cell in column.tolist()]
        for column in frame.values()
    ]
    writer.writerows(zip(*columns, strict=True))
    file.write(text.getvalue().encode())


def _write_parquet(
    file: IO[bytes], frame: Mapping[str, NDArray[Any]], table: TableEncoding
) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    arrays = {name: pa.array(column, from_pandas=True) for name, column in frame.items()}
    for column in table.columns:
        if column.dtype == "category":
            arrays[column.name] = arrays[column.name].dictionary_encode()
    pyarrow.parquet.write_table(pa.table(arrays), file)
