"""SciPy's sparse matrices, as `scipy.sparse.save_npz` writes them: entries, or dense rows.

This module checks every index before it is used, and holds dense rows once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_BYTES = 1 << 33
_N_DIMENSIONS = {"csr": 1, "csc": 1, "coo": 1, "bsr": 3, "dia": 2}  # of the numbers


def is_sparse(keys: Mapping[str, Any]) -> bool:
    """Whether an archive holds one sparse matrix."""
    return {"format", "shape", "data"} <= keys.keys()


Entries = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any], tuple[int, int]]
"""Row, column and value of each entry, and the shape of the matrix."""


def read_entries(read: Callable[[str], NDArray[Any]], name: str) -> Entries:
    """Read the entries of a sparse matrix from its arrays; a place may have several.

    Raises
    ------
    ValueError
        If it is damaged, with indices outside the matrix, or in an unknown format.
    """
    kind = read("format").reshape(-1)[:1].tolist()
    kind = kind[0].decode("latin-1") if kind and isinstance(kind[0], bytes) else str(*kind)
    shape = tuple(int(n) for n in read("shape").reshape(-1))
    if kind not in _N_DIMENSIONS or len(shape) != 2:
        raise ValueError(
            f"{name} holds a sparse matrix in the format {kind[:9]!r} of shape {shape}; "
            f"{', '.join(_N_DIMENSIONS).upper()} are read: save matrix.tocsr()"
        )
    data = read("data")
    if min(shape) < 0 or data.ndim != _N_DIMENSIONS[kind]:
        raise ValueError(f"{name} is damaged: its sparse matrix has shape {shape}")
    if kind == "coo":
        rows, columns = _indices(read("row"), name), _indices(read("col"), name)
    elif kind == "dia":
        rows, columns, data = _of_diagonals(_indices(read("offsets"), name), data, shape, name)
    else:
        pointers, minor = _indices(read("indptr"), name), _indices(read("indices"), name)
        height = data.shape[1] if kind == "bsr" else 1  # of a block
        n = shape[1] if kind == "csc" else shape[0] // max(1, height)
        steps = np.diff(pointers)
        if len(pointers) != n + 1 or pointers[0] or (steps < 0).any() or pointers[-1] > len(minor):
            raise ValueError(f"{name} is damaged: its sparse matrix has indices out of order")
        major = np.repeat(np.arange(n), steps)
        minor, data = minor[: len(major)], data[: len(major)]
        rows, columns = (minor, major) if kind == "csc" else (major, minor)
        if kind == "bsr" and len(rows) == len(data):
            rows, columns, data = _of_blocks(rows, columns, data)
    if not len(rows) == len(columns) == len(data):
        raise ValueError(f"{name} is damaged: its sparse matrix has indices without values")
    for index, size in ((rows, shape[0]), (columns, shape[1])):
        if len(index) and (index.min() < 0 or index.max() >= size):
            raise ValueError(f"{name} is damaged: its sparse matrix has indices beyond {shape}")
    return rows, columns, data, (shape[0], shape[1])


def read_sparse(read: Callable[[str], NDArray[Any]], name: str) -> NDArray[Any]:
    """Create dense rows from the arrays of a sparse matrix.

    Raises
    ------
    ValueError
        For indices outside the matrix, and if the dense rows take more than 8 GiB.
    """
    rows, columns, data, shape = read_entries(read, name)
    # counts are added up, and must not overflow
    dtype = np.dtype(np.uint8 if data.dtype in (np.bool, np.uint8) else np.float32)
    if data.dtype.kind in "iuf" and data.dtype.itemsize > 4:
        dtype = np.dtype(np.float64)
    if shape[0] * shape[1] * dtype.itemsize > _MOST_BYTES:
        raise ValueError(
            f"{name} holds a sparse matrix of shape {shape}, whose dense rows take "
            f"{shape[0] * shape[1] * dtype.itemsize / 2**30:.0f} GiB; take fewer rows or columns, "
            "and save matrix[rows].toarray() by numpy.save"
        )
    place = rows.astype(np.int64) * shape[1] + columns
    if len(np.unique(place)) < len(place):
        dense = np.zeros(shape[0] * shape[1], np.float64)
        np.add.at(dense, place, data)
    else:
        dense = np.zeros(shape[0] * shape[1], dtype)
        dense[place] = data
    return dense.reshape(shape)


def _of_blocks(
    rows: NDArray[np.int64], columns: NDArray[np.int64], blocks: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """The entries of blocks at these places, which are counted in blocks."""
    _, height, width = blocks.shape
    rows = rows[:, None, None] * height + np.arange(height)[:, None]
    columns = columns[:, None, None] * width + np.arange(width)
    rows, columns = np.broadcast_arrays(rows, columns)
    return rows.reshape(-1), columns.reshape(-1), blocks.reshape(-1)


def _of_diagonals(
    offsets: NDArray[np.int64], data: NDArray[Any], shape: tuple[int, ...], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """The entries of diagonals: column j of the numbers is for column j of the matrix."""
    if len(offsets) != len(data):
        raise ValueError(f"{name} is damaged: {len(data)} diagonals have {len(offsets)} offsets")
    columns = np.broadcast_to(np.arange(data.shape[1]), data.shape)
    rows = columns - offsets[:, None]
    inside = (rows >= 0) & (rows < shape[0]) & (columns < shape[1])
    return rows[inside], columns[inside], data[inside]


def _indices(index: NDArray[Any], name: str) -> NDArray[np.int64]:
    if index.ndim != 1 or index.dtype.kind not in "iuf":
        raise ValueError(f"{name} is damaged: its sparse matrix has indices of {index.dtype}")
    return index.astype(np.int64)
