"""`from_array` and `read`: data from arrays, tensors, nested lists, and data frames.

This module handles data in memory. `arrays` decides on the storage type.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.arguments import described
from harmonium.datasets.alignments import from_words
from harmonium.datasets.arrays import WANTED, Arrays, check_type, stored_weights, to_data
from harmonium.datasets.classes import answers, numbered
from harmonium.datasets.data import Data
from harmonium.datasets.mixed_arrays import by_column
from harmonium.datasets.reading import Column, Insertions, Reading, UnknownLetters
from harmonium.datasets.sides import read_weights, take_columns
from harmonium.datasets.tables import is_frame, read_frame


def from_array(
    values: Any,
    *,
    labels: Any = None,
    targets: Any = None,
    name: str = "array",
    columns: Sequence[str] | None = None,
    label: Column | None = None,
    target: Column | Sequence[Column] | None = None,
    drop: Column | Sequence[Column] | None = None,
    weights: Any = None,
    row_names: Sequence[str] | None = None,
    kinds: Mapping[str | int, str] | None = None,
    missing_values: str | float | Sequence[str | float] | None = None,
) -> Data:
    """Create `Data` from rows in memory.

    Parameters
    ----------
    values
        Array, tensor or nested lists, shape (n_rows, n), or (n_rows, height, width) for pictures;
        or a pandas or polars data frame, which names its columns. Booleans, and integers that are
        all in 0–255, are stored as uint8. Others are stored as float32, or as float64 if float32
        could not distinguish the values of a column, such as Unix timestamps. Memory is shared if
        no conversion is needed.
    labels
        Whole numbers or words, shape (n_rows,).
    targets
        Real numbers to predict, shape (n_rows,) or (n_rows, n_targets).
    name
        The name of the data for messages.
    columns
        Names of the columns, one for each; for a data frame, they replace its names.
    label, target, drop
        Columns of ``values`` that hold labels or targets, or are left out: as for `load`.
    weights
        How much each row counts, shape (n_rows,), 0 or more: a row of weight 2 counts as two rows.
    row_names
        Names of the rows, one for each; for a data frame, they replace an index of strings.
    kinds, missing_values
        As for `load`.

    Raises
    ------
    TypeError
        For anything but numbers, booleans and words; names the column of a data frame.
    ValueError
        For wrong shapes, no rows or columns, columns or rows without any value, infinity, or
        labels, targets, weights or names of rows that do not fit.
    """
    if is_frame(values) and columns is not None:
        values = _renamed(values, list(columns), name)
    reading = Reading.of(
        label=label, target=target, drop=drop, kinds=kinds, missing_values=missing_values
    )
    arrays = _arrays(values, reading, name, columns)
    if labels is not None:
        arrays = _with_labels(arrays, labels)
    if targets is not None:
        arrays = dataclasses.replace(arrays, targets=_array(targets, "targets"))
    if weights is not None:
        arrays = dataclasses.replace(arrays, weights=_array(weights, "weights"))
    if row_names is not None:
        arrays = dataclasses.replace(arrays, row_names=row_names)
    return to_data(arrays, name, reading)


def as_weights(weights: Any) -> Tensor:
    """Weights of rows as `Data` hold them, from an array, a tensor or a list.

    Raises
    ------
    TypeError
        For anything but real numbers.
    """
    return stored_weights(_array(weights, "weights"))


def from_sequences(
    sequences: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    name: str = "sequences",
    alphabet: str | None = None,
    insertions: Insertions | None = None,
    unknown: UnknownLetters | None = None,
    max_gaps_row: float | None = None,
    max_gaps_column: float | None = None,
) -> Data:
    """Create `Data` from aligned sequences in memory.

    Parameters
    ----------
    sequences
        One text for each sequence.
    names
        Names of the sequences.
    name
        The name of the data for messages.
    alphabet, insertions, unknown, max_gaps_row, max_gaps_column
        As for `load`.

    Raises
    ------
    TypeError, ValueError
        For sequences that are not texts, none at all, different lengths, another number of names,
        letters outside the alphabet, and whatever the options refuse.
    """
    words = list(sequences)
    if isinstance(sequences, str) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"sequences are {described(sequences)}; pass a list of texts")
    if names is not None and len(names) != len(words):
        raise ValueError(
            f"there are {len(words)} sequences, but {len(names)} names; pass one name a sequence"
        )
    reading = Reading.of(
        alphabet=alphabet,
        insertions=insertions,
        unknown=unknown,
        max_gaps_row=max_gaps_row,
        max_gaps_column=max_gaps_column,
    )
    arrays = from_words(names, words, reading, name)
    if names is None:
        arrays = dataclasses.replace(arrays, row_names=None)
    return to_data(arrays, name)


def weighed_by_file(data: Data, path: Path) -> Data:
    """Rows with the weights of a file of one number a row; raises what `read_weights` raises."""
    weights = torch.from_numpy(read_weights(path, len(data), data.name))
    return dataclasses.replace(data, weights=weights.to(data.device))


def read(values: Any, reading: Reading) -> Data:
    """Rows in memory, read as a file of them would be; `Data` get the reading's class numbers.

    A sparse matrix of SciPy is taken, too. Raises what `from_array` raises.
    """
    if isinstance(values, Data):
        return _with_classes(values, reading.classes)
    dense = values.toarray() if hasattr(values, "tocsr") else values
    return to_data(_arrays(dense, reading, "array"), "array", reading)


def _with_classes(data: Data, classes: Sequence[str] | None) -> Data:
    """Data whose labels number these classes; others are unknown."""
    if data.labels is None or data.classes is None or classes in (None, data.classes):
        return data
    labels, _ = numbered(data.classes, data.labels.cpu().numpy(), classes)
    same_device = torch.from_numpy(labels).to(data.labels)
    return dataclasses.replace(data, labels=same_device, classes=tuple(classes or ()))


def _arrays(
    values: Any, reading: Reading, name: str, columns: Sequence[str] | None = None
) -> Arrays:
    if is_frame(values):
        if reading.transpose:
            raise ValueError(f"`transpose` is for arrays, and {name} is a table; leave it out")
        return read_frame(values, name, reading)
    _refuse_almost_frames(values, name)
    arrays = take_columns(Arrays(_array(values, name), columns=columns), reading, name)
    return by_column(arrays, reading, name)


def _refuse_almost_frames(values: Any, name: str) -> None:
    """Reject what a data frame can be made of, and say how."""
    held = type(values).__name__
    if hasattr(values, "collect_schema"):
        raise TypeError(f"{name} is a {held}; collect it: frame.collect()")
    if hasattr(values, "to_frame"):
        raise TypeError(f"{name} is a {held}, one column; make a frame of it: column.to_frame()")
    first = values[0] if isinstance(values, list | tuple) and values else None
    if isinstance(values, Mapping) or isinstance(first, Mapping):
        what = "dictionary" if isinstance(values, Mapping) else "list of dictionaries"
        raise TypeError(f"{name} is a {what}; make a data frame of it: pandas.DataFrame(rows)")


def _renamed(frame: Any, columns: list[str], name: str) -> Any:
    if len(columns) != len(frame.columns):
        raise ValueError(
            f"{name} has {len(frame.columns)} columns, but {len(columns)} names of columns; pass "
            "one name a column"
        )
    frame = frame[:]  # a copy without the cells
    frame.columns = columns
    return frame


def _with_labels(arrays: Arrays, labels: Any) -> Arrays:
    words = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if words.dtype == object and words.size and all(isinstance(w, str) for w in words.flat):
        words = words.astype(str)
    if words.dtype.kind == "U" and words.ndim == 1:
        one = answers(words, False, "labels")
        return dataclasses.replace(arrays, labels=one.labels, classes=one.classes)
    return dataclasses.replace(arrays, labels=_array(labels), classes=None)


def _array(values: Any, name: str = "labels") -> NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is ragged or no array, but {WANTED}: {error}") from None
    check_type(array.dtype, name)
    return array
