"""Joins several sources as parts of one data set: training, validation and test files.

This module checks that the sources match in columns, labels and pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from harmonium.datasets.classes import numbered
from harmonium.datasets.data import Data
from harmonium.datasets.holes import first_values, refilled, tells, told
from harmonium.datasets.masks import Mask
from harmonium.datasets.pictures import guesses, picture_encoding
from harmonium.datasets.row_names import RowNames

ORDER = ("train", "validation", "test")
"""Parts in their storage order, so that the first two can be used as one."""


def join_parts(parts: Mapping[str, Data]) -> Data:
    """One data set with named parts, with the properties of ``train``; copies the values.

    Parameters
    ----------
    parts
        Data by the names in `ORDER`. Named columns may be in a different order.

    Raises
    ------
    ValueError
        If columns, shapes of pictures, labels or targets do not match.
    """
    train = parts["train"]
    found = [fitting(parts[name], train) for name in ORDER if name in parts]
    return dataclasses.replace(_joined_all(train, found), parts=ranges_of(parts))


def ranges_of(parts: Mapping[str, Data]) -> dict[str, range]:
    """Which rows the parts are, once they are joined."""
    names = [name for name in ORDER if name in parts]
    ends = [0, *accumulate(len(parts[name]) for name in names)]
    return dict(zip(names, map(range, ends, ends[1:]), strict=False))


def _joined_all(train: Data, found: list[Data]) -> Data:
    """All rows, with the other properties of ``train``."""
    return dataclasses.replace(
        train,
        values=_joined([data.values for data in found]),
        labels=None if train.labels is None else _joined([data.labels for data in found]),
        targets=None if train.targets is None else _joined([data.targets for data in found]),
        weights=joined_weights(found),
        mask=_joined_mask(found),
        row_names=_joined_names(found),
    )


def join_rows(files: Sequence[Data], name: str) -> Data:
    """The rows of several files as one data set, in their order; copies the values.

    Raises
    ------
    ValueError
        As for `join_parts`.
    """
    first = files[0]
    for data in files:
        if data.parts:
            raise ValueError(
                f"{data.name} holds its rows in several arrays ({', '.join(data.parts)}), of which "
                "files that are joined have one each; name it by `array`"
            )
    names = sorted({word for data in files for word in data.classes or ()})
    if names and all(data.classes is not None for data in files):
        files = [_numbered_by(data, names) for data in files]
        first = files[0]
    firsts = first_values(first.values, first.mask)
    found = [fitting(data, first) for data in files]
    found = [
        dataclasses.replace(data, values=refilled(data.values, data.mask, firsts)) for data in found
    ]
    notes = [note for note in first.notes if not tells(note)]
    joined = _joined_all(first, found)
    if joined.image_shape is not None:  # white is judged by all pictures
        encoding, note = picture_encoding(joined.values)
        notes = [each for each in notes if not guesses(each)] + ([] if note is None else [note])
        joined = dataclasses.replace(joined, encoding=encoding)
    mask = joined.mask
    if mask is not None:
        notes.append(told(mask.observed().numpy(), joined.columns))
    return dataclasses.replace(joined, name=name, notes=tuple(notes), parts={})


def _numbered_by(data: Data, names: Sequence[str]) -> Data:
    """Rows whose labels number these classes."""
    assert data.labels is not None
    labels, _ = numbered(data.classes or (), data.labels.numpy(), names)
    return dataclasses.replace(
        data, labels=torch.from_numpy(labels.astype(np.int64)), classes=tuple(names)
    )


def fitting(data: Data, train: Data) -> Data:
    """The same rows, with columns in the order of the training rows.

    Raises
    ------
    ValueError
        As for `join_parts`.
    """
    if data is train:
        return data
    if data.values.shape[1] != train.values.shape[1]:
        raise ValueError(
            f"{data.name} has {data.values.shape[1]} columns of values, but {train.name} has "
            f"{train.values.shape[1]}; pass files of the same columns"
        )
    if data.image_shape != train.image_shape:
        raise ValueError(
            f"{data.name} holds rows of shape {data.image_shape or data.values.shape[1:]}, but "
            f"{train.name} of {train.image_shape or train.values.shape[1:]}"
        )
    if data.alphabet != train.alphabet:
        raise ValueError(
            f"the letters of {data.name} are {data.alphabet}, but those of {train.name} "
            f"{train.alphabet}; say by `alphabet` which ones all of them have"
        )
    for what in ("labels", "targets"):
        has, wanted = getattr(data, what) is not None, getattr(train, what) is not None
        if wanted and not has:
            raise ValueError(
                f"{data.name} has no {what}, but {train.name} has; pass a file with the same "
                f"columns"
            )
    if train.labels is not None and data.labels is not None:
        known = train.classes or ()
        if data.classes != train.classes:
            others = [name for name in data.classes or () if name not in known]
            raise ValueError(
                f"the labels {', '.join(others)} of {data.name} are no class of {train.name}"
                + (f", whose classes are {', '.join(known)}; leave those rows out" if known else "")
            )
    if data.columns is None or train.columns is None or data.columns == train.columns:
        return data
    place = {name: number for number, name in enumerate(data.columns)}
    missing = [name for name in train.columns if name not in place]
    if missing or len(place) < len(data.columns):
        raise ValueError(
            f"the columns of {data.name} are not those of {train.name}: "
            f"{', '.join(missing) or 'some name stands twice'} is missing there"
        )
    order = torch.tensor([place[name] for name in train.columns])
    mask = None if data.mask is None else data.mask.columns(order)
    return dataclasses.replace(data, values=data.values[:, order], columns=train.columns, mask=mask)


def joined_weights(parts: Sequence[Data]) -> Tensor | None:
    """Weights of all rows, if any part has some; rows of the others count once each."""
    if all(data.weights is None for data in parts):
        return None
    return torch.cat(
        [
            torch.ones(len(data), dtype=torch.float64) if data.weights is None else data.weights
            for data in parts
        ]
    )


def _joined_mask(parts: list[Data]) -> Mask | None:
    """Which values of all rows are observed, if some are missing."""
    if all(data.mask is None for data in parts):
        return None
    masks = [data.mask or Mask.of(torch.ones_like(data.values, dtype=torch.bool)) for data in parts]
    return Mask(torch.cat([mask.bits for mask in masks]), masks[0].n_columns)


def _joined_names(parts: list[Data]) -> RowNames | None:
    """Names of all rows, if any part has some; rows of the others are numbered from 0."""
    if all(data.row_names is None for data in parts):
        return None
    return RowNames.joined(
        [RowNames.of(data.row_names or map(str, range(len(data)))) for data in parts]
    )


def _joined(tensors: list[Tensor | None]) -> Tensor:
    there = [tensor for tensor in tensors if tensor is not None]
    dtype = there[0].dtype
    for tensor in there[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return torch.cat([tensor.to(dtype) for tensor in there])
