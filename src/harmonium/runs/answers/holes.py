"""What answers about missing values share: rows with holes, and cells in the user's own columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.arguments import meant
from harmonium.datasets import Data, MaskedRows
from harmonium.datasets.row_names import HEADER
from harmonium.files import write_whole
from harmonium.rng import Lane, Stream
from harmonium.runs.answers.archives import write_archive
from harmonium.runs.answers.trained import Trained

Columns = Sequence[tuple[str, Sequence[Any]]]
"""Names and cells of columns."""


def masked_states(trained: Trained, data: Data, seed: int) -> MaskedRows:
    """States of all rows in the model's precision, and which are observed."""
    rows = torch.arange(len(data), device=trained.device)
    found = data.masked_rows(rows, Lane.USED.stream(seed))
    return MaskedRows(found.states.to(trained.rbm.weights.dtype), found.observed)


def observed_values(data: Data) -> Tensor:
    """Which of the user's values are observed, bool, shape (n_rows, n)."""
    if data.mask is None:
        return torch.ones(data.values.shape, dtype=torch.bool, device=data.device)
    return data.mask.observed()


def names_of(trained: Trained, data: Data) -> list[str]:
    """Names of the user's columns: those of the run, or of these rows, or numbers."""
    n = data.values.shape[1]
    if trained.columns is None and data.columns is not None:
        return list(data.columns)
    return trained.view.names(n)


def column_number(trained: Trained, data: Data, said: str) -> int:
    """The number of a column of the user's values, by its name or its number from 0.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    names = names_of(trained, data)
    n = len(names)
    if said in names:
        return names.index(said)
    if said.isdecimal() and int(said) < n:
        return int(said)
    hint = meant(said, names, f"the columns are {', '.join(names[:10])}{', ...' * (n > 10)}")
    raise ValueError(
        f"`column` is {said!r}, and {trained.run.path} has no such column; {hint}; numbers go from "
        f"0 to {n - 1}"
    )


def as_values(trained: Trained, states: Tensor, stream: Stream | None = None) -> Tensor:
    """States in the form of `Data.values`, any leading shape; draws within bins need a stream."""
    encoding = trained.view.encoding
    flat = states.reshape(-1, states.shape[-1]).cpu()
    draw = getattr(encoding, "decode_draws", None)
    values: Tensor = encoding.decode(flat) if stream is None or draw is None else draw(flat, stream)
    return values.reshape(*states.shape[:-1], values.shape[-1])


def cells(trained: Trained, data: Data, values: Tensor) -> dict[str, NDArray[Any]]:
    """Values in the user's own columns, types and categories, by the name of the column.

    Parameters
    ----------
    trained, data
        The run, and the rows whose columns these are.
    values
        In the form of `Data.values`, shape (n_rows, n).
    """
    encoding = trained.view.encoding
    to_frame = getattr(encoding, "to_frame", None)
    if to_frame is not None:
        of_columns: dict[str, NDArray[Any]] = to_frame(values)
        return of_columns
    letters = trained.alphabet
    array = values.cpu().numpy()
    found: dict[str, NDArray[Any]] = {}
    for name, column in zip(names_of(trained, data), array.T, strict=True):
        if letters is not None:
            found[name] = np.array(list(letters))[column.astype(np.int64)]
        elif column.dtype.kind == "f" and (column == np.round(column)).all():
            whole = column.astype(np.int64)
            found[name] = whole if (whole == column).all() else column
        else:
            found[name] = column
    return found


def write_columns(
    path: Path,
    columns: Mapping[str, NDArray[Any]],
    first: Columns = (),
    last: Columns = (),
) -> None:
    """Write columns as a .csv, with others before and behind them; or all arrays as an .npz."""
    every: list[tuple[str, Any]] = [*first, *columns.items(), *last]
    if path.suffix == ".npz":
        arrays = {name: np.asarray(column) for name, column in every}
        texts = {k: a.astype(np.str_) if a.dtype.kind == "O" else a for k, a in arrays.items()}
        write_archive(path, texts)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name for name, _ in every])
    # the shortest digits that restore each number in its own precision
    written = [["" if cell is None else str(cell) for cell in column] for _, column in every]
    writer.writerows(zip(*written, strict=True))
    write_whole(path, text.getvalue().encode())


def unused(name: str, taken: Mapping[str, Any]) -> str:
    """A name for a further column that none of the user's has."""
    while name in taken:
        name = f"_{name}"
    return name


def row_names_of(data: Data) -> Columns:
    """The names of the rows under their own heading, as a first column, if rows have names."""
    names = data.row_names
    return [] if names is None else [(getattr(names, "header", HEADER), list(names))]


def labels_of(data: Data, trained: Trained) -> Columns:
    """The labels that the source holds beside its values, by name, as a last column."""
    if data.labels is None:
        return []
    names = data.classes or trained.classes
    own = data.labels.cpu().tolist()
    shown = [
        None if label < 0 else label if names is None or label >= len(names) else names[label]
        for label in own
    ]
    return [(dict(data.named).get("label", ("label",))[0], shown)]
