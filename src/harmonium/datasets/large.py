"""Rows of several files, and of files larger than memory.

Where rows fit, files are read and joined in memory. Else a `.npy` file of bytes or float32 is used
where it lies, and everything else is converted once, chunk by chunk, with the readers that read
whole files (`conversion`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.datasets import conversion, joining, mapped, memory, readers
from harmonium.datasets.alignments import aligned
from harmonium.datasets.alphabets import guessed
from harmonium.datasets.arrays import Arrays, check_type, open_unpacked, to_data
from harmonium.datasets.data import Data
from harmonium.datasets.downloads import Progress
from harmonium.datasets.encodings import TableEncoding
from harmonium.datasets.hdf5 import opened_h5
from harmonium.datasets.layouts import find_layout
from harmonium.datasets.pictures import picture_encoding
from harmonium.datasets.reading import Reading
from harmonium.datasets.records import blocks_of, of_block, sniffed
from harmonium.datasets.sides import take_columns
from harmonium.datasets.sources import Files, bytes_in_memory, size_of
from harmonium.datasets.tables import batches_of_arrow, groups_of_parquet
from harmonium.datasets.zarr_arrays import opened_zarr

_SHARE = 0.25  # of the free memory that rows in memory may take
_GUESS = 8 << 30  # bytes of memory, where the system does not say
_CHUNK_BYTES = 1 << 26

Chunks = Iterator[tuple[Data, int]]


def read(files: Files, reading: Reading, progress: Progress) -> Data:
    """The rows of one or several files, in memory or on disk.

    Raises
    ------
    OSError
        If a file cannot be opened, or converted for lack of room.
    TypeError, ValueError
        If rows cannot be read, or files do not fit together.
    """
    paths = files.paths
    n_bytes = sum(map(bytes_in_memory, paths))
    on_disk = reading.on_disk
    if on_disk is None:
        on_disk = n_bytes > _SHARE * (free_memory() or _GUESS)
    if not on_disk and len(paths) == 1:
        return readers.read(paths[0], reading)
    files.refuse_differences()
    beside = dataclasses.replace(reading, labels_file=None, weights=None, on_disk=None)
    if on_disk:
        data = _where_it_lies(paths[0], beside) if len(paths) == 1 else None
        if data is None:
            data = _converted(files, beside, n_bytes, progress)
        data = dataclasses.replace(data, notes=(*data.notes, "rows stay on disk"))
    else:
        data = joining.join_rows([readers.read(path, beside) for path in paths], files.name)
    return _with_sides(data, reading, paths[0])


def free_memory() -> int | None:
    """Bytes of memory that a program can still take; None where the system does not say."""
    with suppress(OSError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
        return 1024 * int(found[0])
    return None


def _with_sides(data: Data, reading: Reading, path: Path) -> Data:
    """Rows with labels and weights of files of their own."""
    if reading.labels_file is not None:
        found = readers.labelled(Arrays(data.values.numpy()), path, reading)
        assert found.labels is not None
        labels = torch.from_numpy(found.labels.astype(np.int64))
        classes = None if found.classes is None else tuple(found.classes)
        data = dataclasses.replace(
            data, labels=labels, classes=classes, notes=(*data.notes, *found.notes)
        )
    return data if reading.weights is None else memory.weighed_by_file(data, reading.weights)


def _where_it_lies(path: Path, reading: Reading) -> Data | None:
    """Rows of a `.npy` file that need no conversion; None if they do."""
    options = {*reading.said} - {"on_disk"}
    if path.suffix != ".npy" or options:
        return None
    array = mapped.map_array(path)
    if array.ndim not in (2, 3) or not array.size or not array.flags.c_contiguous:
        return None
    if array.dtype == np.bool:
        array = array.view(np.uint8)
    if array.dtype.str not in ("|u1", "<f4"):
        return None
    values = torch.from_numpy(array.reshape(len(array), -1))
    if not np.isfinite(mapped.bounds(values)).all():  # missing values, or an error to be said
        return None
    like = to_data(Arrays(np.array(array[:1])), path.name, reading)
    if array.ndim == 2:
        return dataclasses.replace(like, values=values)
    encoding, note = picture_encoding(values)
    notes = () if note is None else (note,)
    return dataclasses.replace(like, values=values, encoding=encoding, notes=notes)


def _converted(files: Files, reading: Reading, n_bytes: int, progress: Progress) -> Data:
    """Rows from the cache, into which they are converted at first."""
    key = [files.key, repr(reading)]
    found = conversion.read(files.name, key)
    if found is not None:
        return found
    if reading.kinds or reading.max_gaps_column is not None:
        raise ValueError(
            f"`{'columns' if reading.kinds else 'max_gaps_column'}` needs all rows of "
            f"{files.name} at once, and they are left on disk; pass `on_disk=False`, which reads "
            "them into memory, or leave it out"
        )
    total = sum(map(size_of, files.paths))
    conversion.remove_stale()
    of_piece = dataclasses.replace(reading, is_piece=True)
    conversion.refuse_lack_of_room(files.name, min(n_bytes, total))

    def chunks() -> Iterator[Data]:
        done = 0
        for path in files.paths:
            of_file, n_rows = 0, 0
            try:
                for chunk, of_chunk in _chunks(path, of_piece):
                    if isinstance(chunk.encoding, TableEncoding):
                        raise ValueError(
                            f"{path.name} is a table of mixed columns, which is judged by all of "
                            "its rows; pass `on_disk=False`, which reads them into memory, or "
                            "name columns of numbers alone (`drop`)"
                        )
                    yield dataclasses.replace(chunk, name=path.name)
                    of_file, n_rows = of_file + of_chunk, n_rows + len(chunk)
                    progress(f"converting {files.name}", done + min(of_file, size_of(path)), total)
            except ValueError as error:
                if not n_rows:
                    raise
                raise ValueError(f"after {n_rows:,} rows of {path.name}: {error}") from None
            done += size_of(path)

    of = [[str(path.resolve()) for path in files.paths], repr(reading)]
    return conversion.write(files.name, key, chunks(), of)


def join_parts(parts: Mapping[str, Data]) -> Data:
    """What `joining.join_parts` returns, on the disk if the rows of a part are many and there.

    Raises
    ------
    OSError, ValueError
        As `joining.join_parts`, and if the disk has no room.
    """
    if not any(mapped.is_large(data.values) for data in parts.values()):
        return joining.join_parts(parts)
    train = parts["train"]
    found = [parts[name] for name in joining.ORDER if name in parts]
    for data in found:  # which is said of the whole part, and before any row is written
        joining.fitting(data.take(torch.zeros(1, dtype=torch.int64)), train)
    key = ["parts", [[_digest(data), data.columns] for data in found]]
    joined = conversion.read(train.name, key)
    if joined is None:
        conversion.remove_stale()
        n_bytes = sum(data.values.nbytes for data in found)
        conversion.refuse_lack_of_room(f"{train.name} with its other parts", n_bytes)
        joined = conversion.write(train.name, key, (c for data in found for c in _some_of(data)))
    return dataclasses.replace(
        train,
        values=joined.values,
        labels=joined.labels,
        targets=joined.targets,
        mask=joined.mask,
        weights=joining.joined_weights(found),
        row_names=None,
        parts=joining.ranges_of(parts),
    )


def _digest(data: Data) -> str:
    """What changes when values, labels or targets do."""
    beside = [data.labels, data.targets]
    digests = [
        None if one is None else hashlib.sha256(one.contiguous().numpy().data).hexdigest()
        for one in beside
    ]
    return mapped.digest_of([data.fingerprint(), digests])


def _some_of(data: Data) -> Iterator[Data]:
    """The rows, some at a time, whose labels are numbered alike already."""
    step = max(1, _CHUNK_BYTES // data.values[:1].nbytes)
    data = dataclasses.replace(data, classes=None, weights=None, row_names=None, dropped=())
    for start in range(0, len(data), step):
        rows = torch.arange(start, min(start + step, len(data)))
        yield data.take(rows)


def _chunks(path: Path, reading: Reading) -> Chunks:
    """The rows of a file, some at a time, and the bytes of the file that they take."""
    name = path.name.lower()
    if name.endswith(".npy"):
        yield from _of_array(Arrays(mapped.map_array(path)), path, reading)
    elif path.is_dir() or name.endswith((".h5", ".hdf5")):
        opened = opened_zarr if path.is_dir() else opened_h5
        with opened(path, reading) as arrays:
            yield from _of_array(arrays, path, reading)
    elif name.endswith(".parquet"):
        for arrays in groups_of_parquet(path, reading):
            yield to_data(arrays, path.name, reading), arrays.values.nbytes
    elif name.endswith((".arrow", ".feather")):
        for arrays in batches_of_arrow(path, reading):
            yield to_data(arrays, path.name, reading), arrays.values.nbytes
    elif readers.is_alignment(path) and sniffed(path) == "fasta":
        yield from _of_sequences(path, reading)
    elif readers.is_text(path) and reading.sequences is None:
        yield from _of_lines(path, reading)
    else:
        yield readers.read(path, reading), size_of(path)


def _of_array(arrays: Arrays, path: Path, reading: Reading) -> Chunks:
    """Rows of arrays that are read by slices."""
    values: Any = arrays.values
    check_type(values.dtype, path.name)
    if reading.transpose:
        raise ValueError(
            f"`transpose` needs all of {path.name} at once, and it is left on disk; pass "
            "`on_disk=False`, or store the array with its rows first"
        )
    row = max(1, int(np.prod(values.shape[1:])) * values.dtype.itemsize)
    step = max(1, _CHUNK_BYTES // row)
    n_rows = int(values.shape[0])  # arrays of Zarr have no length
    for start in range(0, n_rows, step):
        rows = slice(start, min(start + step, n_rows))
        own = dataclasses.replace(
            arrays,
            values=np.array(values[rows]),
            labels=_some(arrays.labels, rows),
            targets=_some(arrays.targets, rows),
            row_names=None,
        )
        own = take_columns(own, reading, path.name)
        yield to_data(own, path.name, reading), row * len(own.values)
        if isinstance(values, np.ndarray):
            mapped.release(torch.from_numpy(values.view(np.uint8)))


def _some(array: NDArray[Any] | None, rows: slice) -> NDArray[Any] | None:
    return None if array is None else array[rows]


def _of_sequences(path: Path, reading: Reading) -> Chunks:
    """Sequences of FASTA, with the alphabet that all of them have."""
    if reading.alphabet is None:
        counts = np.zeros(256, np.int64)
        for block in blocks_of(path):
            letters = of_block(block).letters
            counts += np.bincount(letters, minlength=256)
        upper = counts.copy()
        upper[65:91] += counts[97:123]
        reading = dataclasses.replace(reading, alphabet=guessed(upper))
    for block in blocks_of(path):
        if block.strip():
            arrays = aligned(of_block(block), reading, path.name)
            yield to_data(arrays, path.name, reading), len(block)


def _of_lines(path: Path, reading: Reading) -> Chunks:
    """Rows of a text, of which whole lines are read as a file of their own."""
    layout = find_layout(path, reading)
    own = dataclasses.replace(reading, header=layout.names is not None)
    with TemporaryDirectory(prefix="harmonium-") as folder, open_unpacked(path) as stream:
        piece = Path(folder) / path.name.removesuffix(".gz")
        head = b"".join(stream.readline() for _ in range(layout.skipped))
        rest = b""
        while block := stream.read(_CHUNK_BYTES):
            block = rest + block
            end = block.rfind(b"\n") + 1
            rest = block[end:]
            if block[:end].strip():
                piece.write_bytes(head + block[:end])
                yield readers.read(piece, own), end
        if rest.strip():
            piece.write_bytes(head + rest)
            yield readers.read(piece, own), len(rest)
