"""Reading .mat files of MATLAB 5 to 7, as ``save -v7``, Octave and `scipy.io.savemat` write them.

This module reads numeric, logical, sparse and character arrays. SciPy's reader reads more, but
trusts the sizes stated in a file; here each size is checked against the bytes that exist. Files of
MATLAB 7.3 are HDF5 with all dimensions in reverse order, and are read through h5py. The roles of
arrays are chosen as for .npz.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.archives import Archive
from harmonium.datasets.arrays import Arrays
from harmonium.datasets.hdf5 import array_of, opened
from harmonium.datasets.reading import Reading
from harmonium.datasets.sparse import read_sparse

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_BEGINS = 512
_CLASS, _ROWS_OF_SPARSE = "MATLAB_class", "MATLAB_sparse"  # attributes of a variable
_HEADER = 128
_LYING = 20  # if columns outnumber rows by this factor, they are more likely the rows

# Numbered as in "MAT-File Format" of The MathWorks.
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
    16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
_MATRIX, _COMPRESSED, _UTF8 = 14, 15, 16
_CHAR, _SPARSE, _NUMERIC = 4, 5, range(6, 16)
_COMPLEX, _LOGICAL = 0x0800, 0x0200


def read_mat(path: Path, reading: Reading) -> Arrays:
    """Read a MATLAB file.

    Raises
    ------
    TypeError, ValueError
        For files of version 4, for damaged files, and if it is unclear which array holds the rows.
    ImportError
        For a file of version 7.3, if h5py is not installed.
    """
    with path.open("rb") as stream:
        begin = stream.read(_HDF5_BEGINS + len(_HDF5))
    if begin.startswith(b"MATLAB 7.3") or _HDF5 in begin:
        with opened(path) as file:
            return _chosen(_variables_of_7_3(file, path.name), path.name, reading)
    return _chosen(_variables_of_5(path), path.name, reading)


@dataclass(frozen=True)
class _Variables:
    """The arrays of a file, by name, and the names of variables that hold no arrays."""

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], NDArray[Any]]
    others: Sequence[str]


def _chosen(variables: _Variables, name: str, reading: Reading) -> Arrays:
    """The array of rows, and what belongs to it."""
    arrays = Archive(name, variables.shapes, variables.read).arrays(reading)
    notes = list(arrays.notes)
    if variables.others:
        listed = ", ".join(variables.others)
        notes.append(f"not read, because they hold no plain numbers: {listed}")
    shape = arrays.values.shape
    if len(shape) == 2 and shape[0] * _LYING < shape[1] and not reading.transpose:
        notes.append(
            f"{shape[0]} rows of {shape[1]:,} columns: if the columns are the rows, pass "
            "`transpose=True`"
        )
    return dataclasses.replace(arrays, notes=notes)


def _variables_of_5(path: Path) -> _Variables:
    content = path.read_bytes()
    mark = content[126:128]
    if mark not in (b"IM", b"MI") or content[125 if mark == b"IM" else 124] != 1:
        raise ValueError(
            f"{path.name} is damaged, or no file of MATLAB's versions 5 to 7; save it by "
            "save(..., '-v7') in MATLAB, or read it by scipy.io.loadmat and save the array by "
            "numpy.save"
        )
    order: Literal["<", ">"] = "<" if mark == b"IM" else ">"
    found: dict[str, _Variable] = {}
    others = []
    try:
        for kind, data in _elements(memoryview(content)[_HEADER:], order):
            if kind == _COMPRESSED:
                (kind, data), *_ = _elements(memoryview(zlib.decompress(data)), order)
            if kind != _MATRIX:
                raise ValueError(f"it holds an element of type {kind} among its variables")
            variable = _Variable.of(data, order)
            if variable.kind in (_CHAR, _SPARSE, *_NUMERIC) and not variable.is_complex:
                found[variable.name] = variable
            elif variable.name:  # variables without a name are internal to MATLAB
                others.append(variable.name)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{path.name} is damaged, or no file of MATLAB's: {error}") from None
    return _Variables(
        {key: variable.shape for key, variable in found.items()},
        lambda key: found[key].array(f"array {key!r} of {path.name}"),
        others,
    )


def _variables_of_7_3(file: Any, name: str) -> _Variables:
    found = {key: stored for key, stored in file.items() if _holds_array(stored)}

    def shape(stored: Any) -> tuple[int, ...]:
        if _ROWS_OF_SPARSE in stored.attrs:
            return int(stored.attrs[_ROWS_OF_SPARSE]), len(stored["jc"]) - 1
        return tuple(stored.shape[::-1])

    def array(key: str) -> NDArray[Any]:
        stored, called = found[key], f"array {key!r} of {name}"
        if _ROWS_OF_SPARSE in stored.attrs:
            # one without any number has no data
            data, rows = (stored[part][()] if part in stored else [] for part in ("data", "ir"))
            is_logical = stored.attrs[_CLASS] == b"logical"
            data = np.asarray(data, dtype=bool if is_logical else None)
            return _dense(shape(stored), np.asarray(rows, np.int64), stored["jc"][()], data, called)
        table = array_of(stored, called).T
        return _words(table, called) if stored.attrs.get(_CLASS) == b"char" else table

    return _Variables(
        {key: shape(stored) for key, stored in found.items()},
        array,
        # MATLAB's own groups begin with #: what cells and objects refer to
        [key for key in file if key not in found and not key.startswith("#")],
    )


def _holds_array(stored: Any) -> bool:
    """Whether a variable of MATLAB 7.3 holds numbers or characters."""
    if _ROWS_OF_SPARSE in stored.attrs:
        return True
    is_empty = "MATLAB_empty" in stored.attrs  # and then holds its shape
    return hasattr(stored, "shape") and stored.dtype.kind in "biuf" and not is_empty


@dataclass(frozen=True)
class _Variable:
    """A variable in the file, whose numbers have not been read yet."""

    name: str
    kind: int
    flags: int
    shape: tuple[int, ...]
    parts: list[tuple[int, memoryview]]
    order: Literal["<", ">"]

    @classmethod
    def of(cls, data: memoryview, order: Literal["<", ">"]) -> _Variable:
        if not data:
            return cls("", 0, 0, (), [], order)
        elements = _elements(data, order)
        head = [element for _, element in zip(range(3), elements, strict=False)]
        flags = _numbers(head[0], order, "flags") if head else np.empty(0)
        if len(head) < 3 or flags.dtype.kind != "u" or len(flags) < 1:
            raise ValueError("a variable has no flags, shape and name")
        kind = int(flags[0]) & 0xFF
        if kind not in (_CHAR, _SPARSE, *_NUMERIC):  # cells, structures and objects
            name = bytes(head[2][1]).decode("latin-1") if head[2][0] in (1, 2, _UTF8) else ""
            return cls(name or "?", kind, 0, (), [], order)
        shape = tuple(int(n) for n in _numbers(head[1], order, "shape"))
        name = bytes(head[2][1]).decode("latin-1")
        if len(shape) < 2 or min(shape) < 0:
            raise ValueError(f"the array {name!r} has shape {shape}")
        return cls(name, kind, int(flags[0]), shape, list(elements), order)

    @property
    def is_complex(self) -> bool:
        return bool(self.flags & _COMPLEX)

    def array(self, name: str) -> NDArray[Any]:
        """The numbers, or the words of the rows of a character array."""
        if self.kind == _SPARSE:
            return self._dense(name)
        if len(self.parts) != 1:
            raise ValueError(f"{name} is damaged: it has {len(self.parts)} parts of numbers")
        numbers = _numbers(self.parts[0], self.order, name)
        if len(numbers) != math.prod(self.shape):
            raise ValueError(
                f"{name} is damaged: {len(numbers)} numbers do not fill the shape {self.shape}"
            )
        table = numbers.reshape(self.shape, order="F")
        if self.kind != _CHAR:
            return table
        return _words(table, name)

    def _dense(self, name: str) -> NDArray[Any]:
        if len(self.parts) != 3 or len(self.shape) != 2:
            raise ValueError(f"{name} is damaged: a sparse matrix has three parts")
        indices, pointers, data = (_numbers(part, self.order, name) for part in self.parts)
        if self.flags & _LOGICAL:
            data = data.astype(bool)
        return _dense(self.shape, indices, pointers, data, name)


def _words(table: NDArray[Any], name: str) -> NDArray[Any]:
    """The words of a table of characters, one a row, such as rows of one letter."""
    rows = [row.reshape(-1).tolist() for row in table]
    if any(number > 0x10FFFF for row in rows for number in row):
        raise ValueError(f"{name} is damaged: it holds numbers that are no characters")
    return np.array(["".join(map(chr, row)).strip().strip("\0") for row in rows], dtype=str)


def _dense(
    shape: tuple[int, ...],
    indices: NDArray[Any],
    pointers: NDArray[Any],
    data: NDArray[Any],
    name: str,
) -> NDArray[Any]:
    parts = {
        "format": np.array(b"csc"),
        "shape": np.array(shape),
        "indices": indices,
        "indptr": pointers,
        "data": data,
    }
    return read_sparse(parts.__getitem__, name)


def _elements(data: memoryview, order: Literal["<", ">"]) -> Iterator[tuple[int, memoryview]]:
    """The elements of a file or of a variable: their types and bytes."""
    at = 0
    while at + 8 <= len(data):
        first, size = (int(n) for n in np.frombuffer(data[at : at + 8], f"{order}u4"))
        if first >> 16:  # a small element: type, size and bytes take 8 bytes together
            kind, size, begin, step = first & 0xFFFF, first >> 16, at + 4, 8
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
        else:
            kind, begin = first, at + 8
            step = 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if begin + size > len(data):
            raise ValueError(f"it is cut off: {size} bytes are promised, {len(data) - begin} there")
        yield kind, data[begin : begin + size]
        at += step


def _numbers(element: tuple[int, memoryview], order: Literal["<", ">"], name: str) -> NDArray[Any]:
    kind, data = element
    if kind not in _TYPES:
        raise ValueError(f"{name} is damaged: its numbers are of type {kind}")
    dtype = np.dtype(order + _TYPES[kind])
    if len(data) % dtype.itemsize:
        raise ValueError(f"{name} is damaged: {len(data)} bytes are no whole numbers of {dtype}")
    return np.frombuffer(data, dtype)
