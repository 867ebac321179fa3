"""Readers of users' files, chosen by suffix, and by the first bytes for IDX.

This module finds the right reader, and reads the formats that hold whole arrays: NumPy's formats
and IDX. Text tables, Parquet and pickles have their own modules.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.alignments import read_alignment
from harmonium.datasets.archives import Archive
from harmonium.datasets.arrays import (
    Arrays,
    Readable,
    check_type,
    open_unpacked,
    open_zip,
    read_array,
    to_data,
)
from harmonium.datasets.cells import decode, kind_of
from harmonium.datasets.data import Data
from harmonium.datasets.genotypes import read_bed, read_vcf
from harmonium.datasets.haplotypes import read_hapt, read_zip
from harmonium.datasets.hdf5 import read_h5, read_h5ad
from harmonium.datasets.matlab import read_mat
from harmonium.datasets.mixed_arrays import by_column
from harmonium.datasets.npy import npy_header
from harmonium.datasets.pickles import read_pickle
from harmonium.datasets.reading import Reading
from harmonium.datasets.records import sniffed
from harmonium.datasets.sequence_tables import read_sequences, with_sequences
from harmonium.datasets.sides import (
    labels_beside,
    read_labels,
    take_columns,
    with_labels,
    with_weights,
)
from harmonium.datasets.sources import is_zarr
from harmonium.datasets.sparse import Entries, is_sparse, read_entries, read_sparse
from harmonium.datasets.tables import read_arrow, read_parquet
from harmonium.datasets.text import read_text
from harmonium.datasets.zarr_arrays import read_zarr

FORMATS = (
    ".npy, .npz, .csv and other text (.tsv, .txt, .dat, .data, .amat), .parquet, .mat, .h5, .hdf5, "
    ".h5ad, folders of Zarr, .arrow and .feather, .hapt, .vcf, .bcf, .bed of PLINK's, IDX (text, "
    "IDX, .hapt and .vcf also as .gz, .hapt also as .zip), .pkl or .pkl.gz as of mnist.pkl.gz, and "
    "alignments, also as .gz: FASTA (.fasta, .fa, .fas, .faa, .fna, .afa, .aln), .a2m, .a3m, and "
    "Stockholm (.sto, .stk, .stockholm)"
)

_MOST_WORDS = 1 << 30
_SNIFFED = 4096
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_ANY = Reading()
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


def read(path: Path, reading: Reading = _ANY) -> Data:
    """Read a file in any of the `FORMATS`, with the user's reading options.

    Raises
    ------
    OSError
        If the file cannot be opened.
    TypeError, ValueError
        If it cannot be read, or if `Data` cannot hold its content.
    ImportError
        If a library that reads the format is not installed; says how to install it.
    """
    if path.is_dir() and not is_zarr(path):
        raise IsADirectoryError(
            f"{path} is a folder; pass a file of these formats, or a pattern such as "
            f"{str(path / '*.parquet')!r} for several: {FORMATS}"
        )
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty: 0 bytes; pass a file with at least one row")
    reader = _reader(path)
    try:
        reading = with_sequences(path, reading) if reader in _OF_TABLES else reading
        reads_sequences = reading.sequences is not None and reader in _OF_TABLES
        arrays = (read_sequences if reads_sequences else reader)(path, reading)
        if reader not in (*_OF_TABLES, read_alignment):
            arrays = by_column(take_columns(arrays, reading, path.name), reading, path.name)
        _refuse_what_is_not_there(reader, reading, path.name)
        arrays = _with_labels(arrays, path, reader, reading)
        return to_data(with_weights(arrays, reading.weights, path.name), path.name, reading)
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged, or not what its name says: {error}") from error
    except MemoryError:
        raise ValueError(
            f"{path} takes more memory than there is; it is damaged, or too large"
        ) from None


def _refuse_what_is_not_there(
    reader: Callable[[Path, Reading], Arrays], reading: Reading, name: str
) -> None:
    """Reject options for another format, except from a run, which gives them for any file."""
    if reading.of_use:
        return
    is_alignment = reader is read_alignment or reading.sequences is not None
    if reading.of_alignments and not is_alignment:
        raise ValueError(
            f"`{reading.of_alignments[0]}` is for alignments, and {name} is none; leave it out, or "
            "name the column of its sequences (`sequences`)"
        )
    if reading.sequences is not None and reader not in _OF_TABLES:
        raise ValueError(f"`sequences` names a column of a table, and {name} is none; leave it out")
    if reading.header is not None and reader is not read_text:
        raise ValueError(f"`header` is for tables of text, and {name} is none; leave it out")
    if reading.transpose and reader in (*_OF_TABLES, read_alignment):
        raise ValueError(f"`transpose` is for files of arrays, and {name} is none; leave it out")
    if reading.array is not None and reader not in _OF_SEVERAL:
        raise ValueError(f"`array` is for files of several arrays, and {name} holds one")


def _with_labels(
    arrays: Arrays, path: Path, reader: Callable[[Path, Reading], Arrays], reading: Reading
) -> Arrays:
    """The labels of a second file, named by the user or found next to pictures."""
    file, why = reading.labels_file, "as asked"
    if file is None and reader is _read_idx_file and arrays.labels is None:
        file, why = labels_beside(path), "which lies beside it"
    if file is None:
        return arrays
    if not file.is_file():
        raise FileNotFoundError(f"`labels_file` is {file}, and there is no such file")
    of_labels = _reader(file)
    if of_labels not in (read_text, _read_idx_file, _read_npy):
        raise ValueError(f"`labels_file` is {file}; pass an IDX, .npy or text file of labels")
    read_array = None if of_labels is read_text else lambda path: of_labels(path, _ANY).values
    return with_labels(arrays, read_labels(file, read_array), file, path.name, why)


def labelled(arrays: Arrays, path: Path, reading: Reading) -> Arrays:
    """The arrays with the labels of the file that the user names."""
    return _with_labels(arrays, path, _reader(path), reading)


def is_text(path: Path) -> bool:
    """Whether a file is a table of text."""
    return _reader(path) is read_text


def is_alignment(path: Path) -> bool:
    """Whether a file holds aligned sequences."""
    return _reader(path) is read_alignment


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
    if path.is_dir():
        return read_zarr
    reader = next((found for end, found in _BY_SUFFIX.items() if name.endswith(end)), None)
    if reader in (None, read_text):
        with contextlib.suppress(*_DAMAGE):
            if sniffed(path) is not None:
                return read_alignment
    if reader is not None:
        return reader
    with contextlib.suppress(*_DAMAGE), open_unpacked(path) as stream:
        magic = stream.read(4)
        if len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _IDX_TYPES:
            return _read_idx_file
    if _looks_like_rows(path):
        return read_text
    raise ValueError(f"{path} is of a type not read; these are: {FORMATS}")


def _looks_like_rows(path: Path) -> bool:
    """Whether a file with another suffix starts with text in which most cells are numbers."""
    with contextlib.suppress(*_DAMAGE), open_unpacked(path) as stream:
        begin = stream.read(_SNIFFED)
        if not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", begin):
            cells = re.split(r"[\s,;|]+", decode(begin).strip())
            cells = cells[1:-1] or cells
            return sum(kind_of(cell) == "number" for cell in cells) * 2 > len(cells)
    return False


def _read_idx_file(path: Path, reading: Reading) -> Arrays:
    with open_unpacked(path) as stream:
        return Arrays(read_idx(stream, path.name))


def _read_npy(path: Path, reading: Reading) -> Arrays:
    with path.open("rb") as stream:
        return Arrays(_read_npy_array(stream, path.name))


@contextlib.contextmanager
def _opened_npz(
    path: Path,
) -> Iterator[tuple[dict[str, tuple[int, ...]], Callable[[str], NDArray[Any]]]]:
    """Shapes of the arrays of an archive by name, and what reads one of them."""
    with open_zip(path) as packed:
        shapes = {}
        for member in packed.namelist():
            if member.endswith(".npy"):
                with packed.open(member) as stream:
                    shape, *_ = npy_header(stream, f"{member} of {path.name}", _DAMAGE)
                shapes[member.removesuffix(".npy")] = shape

        def array(key: str) -> NDArray[Any]:
            with packed.open(f"{key}.npy") as stream:
                return _read_npy_array(stream, f"array {key!r} of {path.name}")

        yield shapes, array


def _read_npz(path: Path, reading: Reading) -> Arrays:
    with _opened_npz(path) as (shapes, array):
        if is_sparse(shapes) and reading.array is None:
            return Arrays(read_sparse(array, path.name), notes=["a sparse matrix of SciPy's"])
        return Archive(path.name, shapes, array).arrays(reading)


def sparse_entries(path: Path) -> Entries | None:
    """Rows, columns and values of the entries of a sparse matrix, and its shape.

    None if the file holds none.

    Raises
    ------
    OSError, ValueError
        If it cannot be opened, or is damaged.
    """
    if not path.is_file() or path.suffix != ".npz":
        return None
    try:
        with _opened_npz(path) as (shapes, array):
            return read_entries(array, path.name) if is_sparse(shapes) else None
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged, or not what its name says: {error}") from error


def _read_npy_array(stream: Readable, name: str) -> NDArray[Any]:
    shape, transposed, dtype = npy_header(stream, name, _DAMAGE)
    if dtype.kind in "US":
        return _read_words(stream, shape, dtype, name)
    return read_array(stream, shape, dtype, name, transposed)


def _read_words(
    stream: Readable, shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> NDArray[Any]:
    """An array of text, one word per row: the names of classes."""
    n_bytes = math.prod(shape) * dtype.itemsize
    if not dtype.itemsize or len(shape) > 2 or (len(shape) == 2 and 1 not in shape):
        check_type(dtype, name)
    raw = stream.read(n_bytes) if n_bytes < _MOST_WORDS else b""
    if len(raw) < n_bytes:
        raise ValueError(f"{name} is cut off, or too long: its text takes {n_bytes} bytes")
    try:
        return np.frombuffer(raw, dtype).reshape(shape)
    except (UnicodeError, ValueError) as error:
        raise ValueError(f"{name} is damaged: {error}") from None


_OF_SEVERAL = (_read_npz, read_mat, read_h5, read_h5ad, read_zip, read_zarr)
_OF_TABLES = (read_text, read_parquet, read_arrow)
_ALIGNMENTS = (
    *(".fasta", ".fa", ".fas", ".faa", ".fna", ".afa", ".aln", ".a2m", ".a3m"),
    *(".sto", ".stk", ".stockholm"),
)
_TEXT = (".csv", ".tsv", ".txt", ".dat", ".data", ".amat")

_BY_SUFFIX: dict[str, Callable[[Path, Reading], Arrays]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".mat": read_mat,
    ".h5": read_h5,
    ".hdf5": read_h5,
    ".h5ad": read_h5ad,
    ".hapt": read_hapt,
    ".hapt.gz": read_hapt,
    ".zip": read_zip,
    ".vcf": read_vcf,
    ".vcf.gz": read_vcf,
    ".vcf.bgz": read_vcf,
    ".bcf": read_vcf,
    ".bed": read_bed,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".pkl": read_pickle,
    ".pkl.gz": read_pickle,
    **{suffix + packed: read_text for suffix in _TEXT for packed in ("", ".gz")},
    **{suffix + packed: read_alignment for suffix in _ALIGNMENTS for packed in ("", ".gz")},
}
