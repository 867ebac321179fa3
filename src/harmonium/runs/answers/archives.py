"""Files that answers are written to: arrays as an ``.npz``, tables as a ``.csv``, unused names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.files import whole_file, write_whole
from harmonium.run_directory import RunDirectory
from harmonium.runs.pictures.views import View

ARCHIVE, TABLE, TABLE_OR_ARCHIVE = (".npz",), (".csv",), (".csv", ".npz")


def target_of(
    out: Path | None, run: RunDirectory, name: str, suffixes: tuple[str, ...] = ARCHIVE
) -> Path:
    """Where to write: the place that a user chose, or an unused name in the run.

    Raises
    ------
    ValueError, FileExistsError, FileNotFoundError
        If the name has another suffix, it or its picture exists, or its folder does not; before
        anything is computed.
    """
    if out is None:
        return run.free_path(name)
    if out.suffix not in suffixes:
        raise ValueError(f"`out` is {out}; pass a name that ends in {' or '.join(suffixes)}")
    for there in (out, out.with_suffix(".png")) if len(suffixes) == 1 else (out,):
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


def write_table(
    path: Path,
    header: Iterable[str],
    columns: Iterable[NDArray[Any]],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Write a table of columns, or an archive of arrays, by the suffix."""
    if path.suffix == ".npz":
        write_archive(path, arrays)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *header])
    # the shortest digits that restore the float32
    cells = [[str(cell) for cell in np.asarray(column)] for column in columns]
    for number, row in enumerate(zip(*cells, strict=True)):
        writer.writerow([number, *row])
    write_whole(path, text.getvalue().encode())
