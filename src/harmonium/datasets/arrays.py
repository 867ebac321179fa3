"""Conversion of arrays from any source to `Data`: storage types, checks and messages.

All sources of data share this module. Integers that fit are stored as uint8. Everything else is
stored as float32, or as float64 if float32 would lose more than rounding
(`harmonium.datasets.narrowing`). An array is read and converted block by block, so that loading
never holds a second copy.
"""

from __future__ import annotations

import gzip
import io
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets.data import Data
from harmonium.datasets.dropped import Dropped
from harmonium.datasets.encodings import AsIs, Encoding, OneHot, TableEncoding
from harmonium.datasets.holes import filled
from harmonium.datasets.masks import Mask
from harmonium.datasets.narrowing import blocks, narrowed, narrowed_in_place
from harmonium.datasets.pictures import picture_encoding
from harmonium.datasets.reading import Reading

_ANY = Reading()
_TYPE_NAMES = {"c": "complex", "O": "Python objects", "S": "bytes", "U": "text", "V": "records"}

_BLOCK_BYTES = 1 << 22
_LARGEST = float(np.finfo(np.float32).max)
_MOST_AT_ONCE = 1 << 26
_SHOWN = 3  # positions of NaN and infinity in a message
WANTED = (
    "data are rows and columns of numbers, shape (n_rows, n_columns), "
    "or pictures of one channel, shape (n_rows, height, width)"
)


class Readable(Protocol):
    """A stream of bytes: a file, a member of an archive, or gzipped."""

    def read(self, size: int = ..., /) -> bytes:
        """Read this many bytes, or fewer at the end of the stream."""
        ...

    def readline(self) -> bytes:
        """Read up to the next line feed."""
        ...


@dataclass(frozen=True)
class Arrays:
    """The content of a file, as a reader found it.

    Parameters
    ----------
    values
        Shape (n_rows, n) or (n_rows, height, width), any type of number.
    labels
        Shape (n_rows,), whole numbers.
    columns
        Names of the columns.
    parts
        As in `Data`.
    targets
        Shape (n_rows,) or (n_rows, n_targets), any type of number.
    classes, notes, named, row_names
        As in `Data`.
    weights
        Shape (n_rows,), any type of number.
    alphabet
        The letters whose numbers the values are, if they are an alignment.
    kept
        True for each row of the file that was kept, if some were not.
    dropped
        As in `Data`.
    observed
        True for each value that is observed, shape (n_rows, n), if the reader has found the others
        and put something in their places; None if missing values are NaN.
    table
        The columns of a mixed table, whose values are as `TableEncoding` says.
    """

    values: NDArray[Any]
    labels: NDArray[Any] | None = None
    columns: Sequence[str] | None = None
    parts: Mapping[str, range] = field(default_factory=dict)
    targets: NDArray[Any] | None = None
    classes: Sequence[str] | None = None
    notes: Sequence[str] = ()
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights: NDArray[Any] | None = None
    row_names: Sequence[str] | None = None
    alphabet: str | None = None
    kept: NDArray[np.bool] | None = None
    dropped: tuple[Dropped, ...] = ()
    observed: NDArray[np.bool] | None = None
    table: TableEncoding | None = None


def to_data(arrays: Arrays, name: str, reading: Reading = _ANY) -> Data:
    """Check the result of a reader and convert it to `Data`; NaN is a missing value."""
    values = arrays.values
    if values.ndim not in (2, 3):
        raise ValueError(f"{name} has shape {values.shape}, but {WANTED}")
    if not values.size:
        raise ValueError(f"{name} is empty: its shape is {values.shape}; pass at least one row")
    pictures = values.ndim == 3
    check_type(values.dtype, name)
    rows, observed, notes = values.reshape(len(values), -1), arrays.observed, list(arrays.notes)
    if observed is None:
        rows, observed, said = filled(rows, name, arrays.columns, reading)
        notes += said
    rows = _stored(rows, name)
    if rows.dtype != np.uint8:
        _check_finite(rows, name, arrays.columns)
    tensor = _tensor(rows)
    note = None
    encoding: Encoding = AsIs()
    if arrays.table is not None:
        encoding = arrays.table
    elif arrays.alphabet is not None:
        encoding = OneHot(len(arrays.alphabet), letters=arrays.alphabet)
    elif pictures:
        encoding, note = picture_encoding(tensor)
    return Data(
        name,
        tensor,
        encoding,
        labels=None if arrays.labels is None else _labels(arrays.labels, len(values), name),
        targets=None if arrays.targets is None else _targets(arrays.targets, len(values), name),
        image_shape=(values.shape[1], values.shape[2]) if pictures else None,
        parts=arrays.parts,
        columns=None if arrays.columns is None else tuple(arrays.columns),
        classes=None if arrays.classes is None else tuple(arrays.classes),
        notes=(*notes, *([note] if note else [])),
        named=arrays.named,
        weights=None if arrays.weights is None else stored_weights(arrays.weights),
        row_names=arrays.row_names,
        dropped=arrays.dropped,
        mask=None if observed is None else Mask.of(torch.from_numpy(observed)),
    )


def read_array(
    stream: Readable, shape: tuple[int, ...], dtype: np.dtype[Any], name: str, transposed: bool
) -> NDArray[Any]:
    """Read the raw numbers of an array and convert them block by block to the stored type.

    Parameters
    ----------
    stream
        Positioned at the first byte of the array.
    shape, dtype
        Of the array in the stream.
    name
        The name of the array for messages.
    transposed
        Whether the stream is in Fortran order.
    """
    check_type(dtype, name)
    if not shape:
        raise ValueError(f"{name} has shape (), but {WANTED}")
    if dtype in (np.bool, np.uint8):
        wide: type[np.generic] = np.uint8
    else:
        wide = np.float32 if np.can_cast(dtype, np.float32, "safe") else np.float64
    try:
        flat = np.empty(math.prod(shape), wide)
    except (MemoryError, ValueError):
        raise ValueError(
            f"{name} says that it holds an array of shape {shape}, which needs "
            f"{math.prod(shape) * np.dtype(wide).itemsize / 2**30:.0f} GiB of memory; it is "
            "damaged, or too large"
        ) from None
    _fill(np.atleast_1d(flat.reshape(shape[::-1] if transposed else shape)), stream, dtype, name)
    order: Literal["C", "F"] = "F" if transposed else "C"
    values = flat.reshape(shape, order=order)
    if dtype.kind in "iu":
        values = as_bytes(values)
    if values.dtype != np.float64:
        return values
    del values  # a view, so that the memory may shrink
    return narrowed_in_place(flat, shape, order)


def _fill(target: NDArray[Any], stream: Readable, dtype: np.dtype[Any], name: str) -> None:
    """Read the raw numbers of an array, a few rows at a time."""
    row_bytes = math.prod(target.shape[1:]) * dtype.itemsize
    step = max(1, _BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, len(target), step):
        block = target[start : start + step]
        raw = _read_exactly(stream, len(block) * row_bytes)
        if len(raw) < len(block) * row_bytes:
            raise ValueError(
                f"{name} is cut off: its header promises {target.size * dtype.itemsize} "
                f"bytes of numbers, and {start * row_bytes + len(raw)} are there"
            )
        block[...] = np.frombuffer(raw, dtype).reshape(block.shape)


def _read_exactly(stream: Readable, size: int) -> bytes:
    """Return this many bytes, or fewer at the end of the stream; allocates only what exists."""
    if size <= _MOST_AT_ONCE:
        return stream.read(size)
    pieces = []
    while size > 0 and (piece := stream.read(min(size, _MOST_AT_ONCE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def open_unpacked(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file for reading bytes, gzipped or not."""
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if is_gzip else path.open("rb")


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip for reading.

    Raises
    ------
    ValueError
        If it is damaged, encrypted, or packed in a way that Python does not know.
    """
    with path.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as packed:
                yield packed
        except (NotImplementedError, RuntimeError) as error:
            raise ValueError(f"{path.name} cannot be unpacked: {error}") from None
        except (OSError, UnicodeDecodeError) as error:  # places and names that cannot be
            raise ValueError(f"{path.name} is damaged: {error}") from None


def as_bytes(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values as uint8 if all of them are whole numbers from 0 to 255."""
    if values.dtype == np.uint8:
        return values
    for block in blocks(values):
        if not ((block >= 0) & (block <= 255) & (block == np.floor(block))).all():
            return values
    return values.astype(np.uint8)


def check_type(dtype: np.dtype[Any], name: str) -> None:
    """Reject arrays that do not hold real numbers."""
    if dtype.kind not in "biuf":
        held = _TYPE_NAMES.get(dtype.kind, str(dtype))
        raise TypeError(f"{name} holds {held}; pass booleans, integers or floating-point numbers")


def _stored(values: NDArray[Any], name: str) -> NDArray[Any]:
    check_type(values.dtype, name)
    if values.dtype == np.bool:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu":
        values = as_bytes(values)
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    return narrowed(values)


def _tensor(array: NDArray[Any]) -> Tensor:
    # torch has no read-only tensors; a read-only array is copied.
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _labels(labels: NDArray[Any], n_rows: int, name: str) -> Tensor:
    if labels.shape != (n_rows,):
        raise ValueError(
            f"{name} has {n_rows} rows, but its labels have shape {labels.shape}; "
            f"pass one label a row, shape ({n_rows},)"
        )
    if labels.dtype.kind not in "biuf" or not (np.isfinite(labels) & (labels % 1 == 0)).all():
        raise ValueError(f"the labels of {name} are not all whole numbers; number the classes")
    return torch.from_numpy(labels.astype(np.int64))


def stored_weights(weights: NDArray[Any]) -> Tensor:
    """Weights of rows as `Data` hold them."""
    check_type(weights.dtype, "weights")
    return torch.from_numpy(weights.astype(np.float64))


def _targets(targets: NDArray[Any], n_rows: int, name: str) -> Tensor:
    if targets.ndim not in (1, 2) or len(targets) != n_rows:
        raise ValueError(
            f"{name} has {n_rows} rows, but its targets have shape {targets.shape}; "
            f"pass shape ({n_rows},) or ({n_rows}, n_targets)"
        )
    check_type(targets.dtype, f"the targets of {name}")
    columns = narrowed(targets.reshape(n_rows, -1))
    _check_finite(columns, f"the targets of {name}", None)
    return _tensor(columns)


def _check_finite(rows: NDArray[Any], name: str, columns: Sequence[str] | None) -> None:
    n_nan = n_infinite = start = 0
    first: list[str] = []
    for block in blocks(rows):
        finite = np.isfinite(block)
        if block.dtype == np.float64:  # which can exceed the range of states, in float32
            finite &= np.abs(block) <= _LARGEST
        if not finite.all():
            nan = np.isnan(block)
            n_nan += int(nan.sum())
            n_infinite += int((~finite & ~nan).sum())
            for row, column in np.argwhere(~finite)[: _SHOWN - len(first)]:
                label = repr(columns[column]) if columns else column
                first.append(f"row {start + row}, column {label}")
        start += len(block)
    if first:
        beyond = ", or values beyond ±3.4e38" if n_infinite else ""
        raise ValueError(
            f"{name} holds {n_nan} NaN and {n_infinite} infinities{beyond}; the first: "
            f"{'; '.join(first)} (counted from 0); replace them or leave those rows out"
        )
