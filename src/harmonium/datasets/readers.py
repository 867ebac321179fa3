"""Readers of users' files: by suffix, and IDX by its first bytes.

What belongs here is finding the right reader and the formats that hold whole arrays: NumPy's
own and IDX. Tables of text or Parquet and pickles have files of their own.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays, Readable, open_unpacked, read_array, to_data
from harmonium.datasets.data import Data
from harmonium.datasets.pickles import read_pickle
from harmonium.datasets.reading import Reading
from harmonium.datasets.tables import read_parquet
from harmonium.datasets.text import read_text

FORMATS = (
    ".npy, .npz, .parquet, text with rows of numbers (.csv, .tsv, .txt, .dat, .data, .amat), IDX, "
    "text and IDX also as .gz, and .pkl or .pkl.gz as of mnist.pkl.gz"
)

_VALUES = ("data", "x", "X", "values")
_LABELS = ("labels", "y")
_TARGETS = "targets"
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_ANY = Reading()
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


def read(path: Path, reading: Reading = _ANY) -> Data:
    """Read a file of any of the `FORMATS`, as a person says.

    Raises
    ------
    OSError
        Where the file cannot be opened.
    TypeError, ValueError
        Where it cannot be read, or holds what `Data` does not hold.
    ImportError
        For Parquet, where pyarrow is not installed.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; pass a file: {FORMATS}")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty: 0 bytes; pass a file with at least one row")
    reader = _reader(path)
    try:
        return to_data(reader(path, reading), path.name)
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged, or not what its name says: {error}") from error


def read_idx(stream: Readable, name: str) -> NDArray[Any]:
    """Read one array of any shape in LeCun's IDX format."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES:
        raise ValueError(f"{name} is no IDX file: it begins with {magic!r}")
    kind, n_dimensions = magic[2], magic[3]
    sizes = stream.read(4 * n_dimensions)
    if len(sizes) < 4 * n_dimensions:
        raise ValueError(f"{name} is cut off: its header has {n_dimensions} sizes, not all there")
    shape = struct.unpack(f">{n_dimensions}I", sizes)
    values = read_array(stream, shape, np.dtype(_IDX_TYPES[kind]), name, transposed=False)
    if stream.read(1):
        raise ValueError(f"{name} is longer than its header says, shape {shape}; it is damaged")
    return values


def _reader(path: Path) -> Callable[[Path, Reading], Arrays]:
    name = path.name.lower()
    for suffix, reader in _BY_SUFFIX.items():
        if name.endswith(suffix):
            return reader
    with contextlib.suppress(*_DAMAGE), open_unpacked(path) as stream:
        magic = stream.read(4)
        if len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _IDX_TYPES:
            return _read_idx_file
    raise ValueError(f"{path} is of a type not read; these are: {FORMATS}")


def _read_idx_file(path: Path, reading: Reading) -> Arrays:
    with open_unpacked(path) as stream:
        return Arrays(read_idx(stream, path.name))


def _read_npy(path: Path, reading: Reading) -> Arrays:
    with path.open("rb") as stream:
        return Arrays(_read_npy_array(stream, path.name))


def _read_npz(path: Path, reading: Reading) -> Arrays:
    with zipfile.ZipFile(path) as archive:
        shapes = {}
        for member in archive.namelist():
            if member.endswith(".npy"):
                with archive.open(member) as stream:
                    shape, *_ = _npy_header(stream, f"{member} of {path.name}")
                shapes[member.removesuffix(".npy")] = shape

        def array(key: str) -> NDArray[Any]:
            with archive.open(f"{key}.npy") as stream:
                return _read_npy_array(stream, f"array {key!r} of {path.name}")

        labels = next((key for key in _LABELS if key in shapes), None)
        return Arrays(
            array(_values_key(shapes, path.name)),
            None if labels is None else array(labels),
            targets=array(_TARGETS) if _TARGETS in shapes else None,
        )


def _values_key(shapes: dict[str, tuple[int, ...]], name: str) -> str:
    named = [key for key in _VALUES if key in shapes]
    tables = [key for key, shape in shapes.items() if len(shape) in (2, 3) and key != _TARGETS]
    if named:
        return named[0]
    if len(tables) == 1:
        return tables[0]
    listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "no arrays"
    raise ValueError(
        f"{name} holds {listed}; name the array of rows one of {', '.join(_VALUES)}, "
        "that of labels labels or y, and that of targets targets"
    )


def _read_npy_array(stream: Readable, name: str) -> NDArray[Any]:
    shape, transposed, dtype = _npy_header(stream, name)
    return read_array(stream, shape, dtype, name, transposed)


def _npy_header(stream: Readable, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # NumPy's readers of the header evaluate literals only, and no pickle is ever read.
    parsers: dict[tuple[int, int], Callable[..., Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(stream)
        if version not in parsers:
            raise ValueError(f"version {version} is not read")
        shape, transposed, dtype = parsers[version](stream)
    except ValueError as error:
        raise ValueError(f"{name} is damaged, or no array of NumPy's: {error}") from None
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize >= 2**63:
        raise ValueError(f"{name} is damaged: its header promises an array of shape {shape}")
    return shape, transposed, dtype


_TEXT = (".csv", ".tsv", ".txt", ".dat", ".data", ".amat")

_BY_SUFFIX: dict[str, Callable[[Path, Reading], Arrays]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": read_parquet,
    ".pkl": read_pickle,
    ".pkl.gz": read_pickle,
    **{suffix + packed: read_text for suffix in _TEXT for packed in ("", ".gz")},
}
