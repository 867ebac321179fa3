"""Labels in a second file, and columns of an array that are not values.

This module is shared by all readers of whole arrays. Tables with names and text choose their
columns while they are read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays
from harmonium.datasets.cells import lines_of
from harmonium.datasets.classes import answers
from harmonium.datasets.columns import Look, choose
from harmonium.datasets.reading import Reading

_PICTURES, _LABELS = ("images-idx3", "images.idx3"), ("labels-idx1", "labels.idx1")


def take_columns(arrays: Arrays, reading: Reading, name: str) -> Arrays:
    """Remove the columns that the user names from the values of an array.

    Raises
    ------
    ValueError
        For pictures, which have no columns, and for columns that do not exist.
    """
    if "label" in arrays.named:  # it is a separate array
        reading = dataclasses.replace(reading, label=None)
    if "target" in arrays.named:
        reading = dataclasses.replace(reading, target=())
    if not reading.names_columns:
        return arrays
    values = arrays.values
    if values.ndim != 2:
        if reading.of_use:
            return arrays
        raise ValueError(
            f"{name} has shape {values.shape}, and `label`, `target` and `drop` name columns of a "
            "table; leave them out"
        )
    names: Sequence[str | None] = arrays.columns or [None] * values.shape[1]
    roles = choose([Look(column) for column in names], reading, name)
    targets = values[:, list(roles.targets)] if roles.targets else arrays.targets
    labels, classes = arrays.labels, arrays.classes
    if roles.label is not None:
        one = answers(values[:, roles.label], False, "")
        if one.labels is None:
            raise ValueError(
                f"column {roles.label} of {name} has numbers that are not whole, which are no "
                "labels; pass it as `target`"
            )
        labels, classes = one.labels, None
    return dataclasses.replace(
        arrays,
        values=values[:, list(roles.values)],
        labels=labels,
        classes=classes,
        targets=targets,
        columns=None if arrays.columns is None else [str(names[n]) for n in roles.values],
        notes=(*arrays.notes, *roles.notes),
        named={**arrays.named, **roles.named},
    )


def labels_beside(path: Path) -> Path | None:
    """The file of labels next to an IDX file of pictures, by the usual names."""
    for pictures, labels in zip(_PICTURES, _LABELS, strict=True):
        if pictures in path.name:
            name = path.name.replace(pictures, labels)
            for other in (name, name.removesuffix(".gz"), f"{name}.gz"):
                if path.with_name(other).is_file():
                    return path.with_name(other)
    return None


def read_labels(path: Path, read: Callable[[Path], NDArray[Any]] | None) -> NDArray[Any]:
    """Labels from a file that holds only labels: one number or word per row.

    Parameters
    ----------
    path
        Of the file.
    read
        Reads its array; None for a text file with one label per line.
    """
    if read is not None:
        return read(path)
    cells = [line.strip().strip('"') for _, line in lines_of(path)]
    if len(cells) > 1 and cells[0].lower() in ("label", "labels", "class", "y", "target"):
        cells = cells[1:]
    return np.asarray(cells)


def with_labels(arrays: Arrays, labels: NDArray[Any], path: Path, name: str, why: str) -> Arrays:
    """The arrays, with the labels of another file added.

    Raises
    ------
    ValueError
        If there are labels already, or if the numbers of rows and labels differ.
    """
    one = answers(labels, False, path.name)
    if one.labels is None or one.labels.ndim != 1:
        raise ValueError(
            f"{path.name} holds no labels: pass a file of one whole number or word a row, whose "
            f"shape is not {labels.shape}"
        )
    if len(one.labels) != len(arrays.values):
        raise ValueError(
            f"{path.name} has {len(one.labels)} labels, but {name} has {len(arrays.values)} rows; "
            "pass the file that belongs to it"
        )
    return dataclasses.replace(
        arrays,
        labels=one.labels,
        classes=one.classes,
        notes=(*arrays.notes, f"labels: {path.name}, {why}"),
    )
