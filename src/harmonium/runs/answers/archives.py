"""Files that answers are written to: archives (``.npz``), tables (``.csv``), samples as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.datasets.haplotypes import write_hapt
from harmonium.datasets.row_names import HEADER
from harmonium.files import whole_file, write_whole
from harmonium.run_directory import RunDirectory
from harmonium.runs.pictures.views import View

ARCHIVE, TABLE_OR_ARCHIVE = (".npz",), (".csv", ".npz")
SAMPLES = (".npz", ".csv", ".hapt")
_ARTIFICIAL_GENOME = "AG"


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
    for there in (out, out.with_suffix(".png")) if suffixes != TABLE_OR_ARCHIVE else (out,):
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
    called: str | None = None,
) -> None:
    """Write a table of columns, or an archive of arrays, by the suffix.

    The first column, which is ``called`` so, names the rows, or numbers them from 0 if they have no
    names; an archive has their names as ``rows``.
    """
    if path.suffix == ".npz":
        write_archive(path, {**arrays, **names_of_rows(names)})
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    called = getattr(names, "header", HEADER) if called is None else called
    writer.writerow([called, *header])
    # the shortest digits that restore the float32
    cells = [[str(cell) for cell in np.asarray(column)] for column in columns]
    for first, row in zip(names or count(), zip(*cells, strict=True), strict=False):
        writer.writerow([first, *row])
    write_whole(path, text.getvalue().encode())


def refuse_other_states(path: Path, view: View, n_states: int) -> None:
    """Reject a file of samples that cannot hold what the units are drawn as.

    Raises
    ------
    ValueError
        For a ``.hapt``, if the samples are anything but zeros and ones.
    """
    if path.suffix != ".hapt":
        return
    states = view.two_states or ()
    values = {float(view.values(torch.full((1, n_states), state)).flat[0]) for state in states}
    if values != {0, 1}:
        raise ValueError(
            f"`out` is {path}, and a .hapt holds zeros and ones, which are not what these units "
            "are drawn as; pass a name that ends in .csv or .npz"
        )


def write_samples(
    path: Path, arrays: Mapping[str, NDArray[Any]], view: View, names: Sequence[str] | None
) -> None:
    """Write samples by the suffix: with all other arrays, as a table, or as haplotypes.

    Parameters
    ----------
    arrays
        ``samples``, shape (n_chains, n_samples, n_columns), and others; a table has one sample a
        row, chain after chain, and the classes of samples as labels.
    names
        The names of the rows at which chains started, if there are such.
    """
    if path.suffix == ".npz":
        write_archive(path, {**arrays, **column_names(view), **names_of_rows(names)})
        return
    _, n_samples, n_columns = arrays["samples"].shape
    rows = arrays["samples"].reshape(-1, n_columns)
    if names is not None and n_samples > 1:
        names = [f"{name}_{number}" for name in names for number in range(n_samples)]
    if path.suffix == ".hapt":
        names = names or [f"{_ARTIFICIAL_GENOME}{number}" for number in range(len(rows))]
        with whole_file(path) as file:
            write_hapt(file, rows, ["_".join(name.split()) for name in names], _ARTIFICIAL_GENOME)
        return
    whole = rows.astype(np.int64)
    columns = [*(whole if (whole == rows).all() else rows).T]
    header = view.names(n_columns)
    if "classes" in arrays:
        columns, header = [*columns, arrays["classes"].reshape(-1)], [*header, "label"]
    # readers leave a first column without a name out
    write_table(path, header, columns, {}, names, called="")
