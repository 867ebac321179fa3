"""Files that answers are written to: arrays as an ``.npz``, tables as a ``.csv``, unused names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.row_names import HEADER
from harmonium.files import whole_file, write_whole
from harmonium.run_directory import RunDirectory
from harmonium.runs.pictures.views import View

ARCHIVE, TABLE, TABLE_OR_ARCHIVE = (".npz",), (".csv",), (".csv", ".npz")
FASTA = (".fasta", ".fa", ".fas", ".faa", ".fna", ".afa")


def target_of(
    out: Path | None,
    run: RunDirectory,
    name: str,
    suffixes: tuple[str, ...] = ARCHIVE,
    pictures: tuple[str, ...] = (".png",),
) -> Path:
    """Where to write: the place that a user chose, or an unused name in the run.

    Parameters
    ----------
    out, suffixes
        The user's choice, and what it may end in; none for a folder.
    run, name
        Where an unused name is found without one.
    pictures
        What the names of pictures beside the file end in, in place of its suffix.

    Raises
    ------
    ValueError, FileExistsError, FileNotFoundError
        If the name has another suffix, it or a picture exists, or its folder does not; before
        anything is computed.
    """
    if out is None:
        return run.free_path(name)
    if suffixes and out.suffix not in suffixes:
        raise ValueError(f"`out` is {out}; pass a name that ends in {' or '.join(suffixes)}")
    for there in (out, *(out.with_name(out.stem + ending) for ending in pictures)):
        if there.exists():
            raise FileExistsError(f"{there} exists; choose another `out`")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"`out` is {out}, and there is no folder {out.parent}")
    return out


def column_names(view: View) -> dict[str, NDArray[Any]]:
    """The array of column names for an archive, if columns have names."""
    return {} if view.columns is None else {"columns": np.array(view.columns, dtype=np.str_)}


def write_archive(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an ``.npz``, atomically."""
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def names_of_rows(names: Sequence[str] | None) -> dict[str, NDArray[Any]]:
    """The array of names of rows for an archive, if rows have names."""
    return {} if names is None else {"rows": np.array(list(names), dtype=np.str_)}


def write_table(
    path: Path,
    header: Iterable[str],
    columns: Iterable[NDArray[Any]],
    arrays: Mapping[str, NDArray[Any]],
    names: Sequence[str] | None = None,
) -> None:
    """Write a table of columns, or an archive of arrays, by the suffix.

    The first column names the rows, or numbers them from 0 if they have no names; an archive has
    their names as ``rows``. A cell that is not a number is empty.
    """
    if path.suffix == ".npz":
        write_archive(path, {**arrays, **names_of_rows(names)})
        return
    # the shortest digits that restore the float32
    cells = [
        ["" if cell != cell else str(cell) for cell in np.asarray(column)] for column in columns
    ]
    rows = zip(names or count(), zip(*cells, strict=True), strict=False)
    header = [getattr(names, "header", HEADER), *header]
    write_csv(path, header, ([first, *row] for first, row in rows))


def write_csv(path: Path, header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table of any cells, atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    write_whole(path, text.getvalue().encode())
