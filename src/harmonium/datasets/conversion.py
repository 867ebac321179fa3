"""Rows converted into `.npy` files in the cache folder, block by block, whole or not at all.

This module writes what readers hand on, whatever the format was, and opens it again. It does not
know how rows are read.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets import mapped
from harmonium.datasets.classes import numbered
from harmonium.datasets.data import Data
from harmonium.datasets.dropped import Dropped, counted, summed_up
from harmonium.datasets.encodings import Encoding
from harmonium.datasets.holes import first_values, refilled, refuse_empty_columns, tells
from harmonium.datasets.joining import fitting
from harmonium.datasets.labels import UNKNOWN_LABEL
from harmonium.datasets.masks import Mask
from harmonium.datasets.pictures import guesses, picture_encoding
from harmonium.files import write_json

_VERSION = 1  # of the folders; others are written anew
_HEADER = 128  # bytes
_ABOUT = "about.json"
_BLOCK = 1 << 16  # rows converted at a time
_ROOM = 1.02  # of what is expected, for what stands beside the values
_STALE = 3600.0  # seconds after which a conversion that wrote nothing is over: it writes all along
_SEQUENCES, _ALL = re.compile(r"^an alignment of [\d,]+ sequences?"), "all sequences"


def folder_of(key: Any) -> Path:
    """The folder of the rows of these sources, read in this way."""
    return mapped.rows_folder() / mapped.digest_of([_VERSION, key])


def remove_stale() -> None:
    """Remove what conversions have left that were killed."""
    for folder in mapped.rows_folder().glob(".*.tmp"):
        with suppress(OSError):  # which ends, or is removed by another program, just now
            newest = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
            if time.time() - newest > _STALE:
                shutil.rmtree(folder)


def refuse_lack_of_room(name: str, n_bytes: int) -> None:
    """Refuse to convert rows for which the disk has no room.

    Raises
    ------
    OSError
        Says how much is needed, and where.
    """
    folder = mapped.rows_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if n_bytes * _ROOM > free:
        raise OSError(
            f"{name} takes about {n_bytes / 1e9:,.1f} GB as rows on disk, and {folder} has "
            f"{free / 1e9:,.1f} GB free; make room there, or set HARMONIUM_DATA to another folder"
        )


def write(name: str, key: Any, chunks: Iterable[Data], of: Any = None) -> Data:
    """Write rows that arrive in chunks, and open them.

    Parameters
    ----------
    name
        The name of the data.
    key
        As for `folder_of`.
    chunks
        Rows of the same columns; labels are numbered alike in the end.
    of
        What they were made of, whatever state it is in: rows of its earlier states are removed.

    Raises
    ------
    OSError
        If they cannot be written, such as for lack of room; nothing is left behind.
    ValueError
        If chunks do not fit together.
    """
    folder = folder_of(key)
    temporary = folder.with_name(f".{folder.name[:16]}.{secrets.token_hex(4)}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        with _Writer(temporary) as writer:
            for chunk in chunks:
                writer.add(chunk)
            about = writer.finish()
        origin = mapped.digest_of(of)
        write_json(temporary / _ABOUT, {**about, "of": origin})
        if read(name, key) is None:  # else another program was faster
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(temporary, folder)
        if of is not None:
            _remove_earlier(folder, origin)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                f"the disk is full: {name} could not be converted into {folder.parent}; make room "
                "there, or set HARMONIUM_DATA to another folder"
            ) from None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    found = read(name, key)
    assert found is not None
    return found


def _remove_earlier(folder: Path, origin: str) -> None:
    """Remove rows of the same files as they were before; who uses them keeps them."""
    for about in mapped.rows_folder().glob(f"[!.]*/{_ABOUT}"):
        with suppress(OSError, ValueError, KeyError):
            if about.parent != folder and json.loads(about.read_bytes())["of"] == origin:
                shutil.rmtree(about.parent)


def read(name: str, key: Any) -> Data | None:
    """The rows that `write` has written; None if there are none, or not all of them."""
    folder = folder_of(key)
    try:
        about = json.loads((folder / _ABOUT).read_bytes())
        arrays = {what: _opened(folder / f"{what}.npy") for what in about["arrays"]}
    except (OSError, ValueError, KeyError):
        return None
    values, bits, shape = arrays["values"], arrays.get("mask"), about["image_shape"]
    encoding, notes = Encoding.from_config(about["encoding"]), about["notes"]
    if shape is not None:
        encoding, note = picture_encoding(values)
        notes += [] if note is None else [note]
    mask = None if bits is None else Mask(bits, values.shape[1])
    if mask is not None:
        share = mask.n_missing / values.numel()
        notes += [f"{mask.n_missing:,} of {values.numel():,} values are missing ({share:.2%})"]
    labels = arrays.get("labels")
    return Data(
        name,
        values,
        encoding,
        labels=None if labels is None else labels[:, 0],
        image_shape=None if shape is None else (shape[0], shape[1]),
        targets=arrays.get("targets"),
        columns=about["columns"],
        classes=about["classes"],
        notes=tuple(notes),
        named={role: tuple(columns) for role, columns in about["named"].items()},
        mask=mask,
    )


def _opened(path: Path) -> Tensor:
    return torch.from_numpy(mapped.map_array(path))


class _Array:
    """A table that grows in a `.npy` file, and gets a wider type where later rows need one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_rows = 0
        self.dtype: np.dtype[Any] | None = None
        self.width = 0
        self._file = path.open("wb")

    def add(self, rows: NDArray[Any]) -> None:
        if self.dtype is None:
            self.dtype, self.width = rows.dtype, rows.shape[1]
            self._file.write(b" " * _HEADER)
        wider = np.result_type(self.dtype, rows)
        if wider != self.dtype:
            self._widen(wider)
        self._file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.n_rows += len(rows)

    def _widen(self, dtype: np.dtype[Any]) -> None:
        narrow = self.path.with_suffix(".narrow")
        self.close()
        self.path.rename(narrow)
        was, self._file, self.dtype = mapped.map_array(narrow), self.path.open("wb"), dtype
        self._file.write(b" " * _HEADER)
        for block in mapped.pieces(torch.from_numpy(was), _BLOCK):
            self._file.write(block.numpy().astype(dtype).data)
        del was
        narrow.unlink()

    def close(self) -> None:
        """Write the header, which says how many rows there are."""
        if self._file.closed:
            return
        if self.dtype is not None:
            shape = (self.n_rows, self.width)
            head = f"{{'descr': '{self.dtype.str}', 'fortran_order': False, 'shape': {shape}, }}"
            length = _HEADER - len(np.lib.format.magic(1, 0)) - 2
            self._file.seek(0)
            self._file.write(np.lib.format.magic(1, 0) + length.to_bytes(2, "little"))
            self._file.write(head.ljust(length - 1).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


class _Writer:
    """Everything that chunks of rows hold, in one file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrays: dict[str, _Array] = {}
        self._first: Data | None = None
        self._classes: list[str] = []
        self._has_words: bool | None = None
        self._notes: dict[str, int] = {}
        self._dropped: list[Dropped] = []
        self._n_rows = self._n_chunks = 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        for array in self._arrays.values():
            array._file.close()

    def add(self, chunk: Data) -> None:
        """Write some rows.

        Raises
        ------
        ValueError
            If they do not fit those before them.
        """
        if chunk.parts:
            raise ValueError(
                f"{chunk.name} holds its rows in several arrays ({', '.join(chunk.parts)}), and "
                "they are left on disk; name one of them by `array`, or pass `on_disk=False`, "
                "which reads them into memory"
            )
        if chunk.labels is not None and (chunk.labels != UNKNOWN_LABEL).any():
            has_words = chunk.classes is not None
            if self._has_words not in (None, has_words):
                raise ValueError(
                    f"the labels of some rows of {chunk.name} are words, and those of others "
                    "numbers; pass `on_disk=False`, which judges all of them at once, or write "
                    "them alike"
                )
            self._has_words = has_words
        self._note(chunk)
        if chunk.classes is not None and chunk.labels is not None:
            self._classes += [name for name in chunk.classes if name not in self._classes]
            own, _ = numbered(chunk.classes, chunk.labels.numpy(), self._classes)
            chunk = dataclasses.replace(
                chunk, labels=torch.from_numpy(own.astype(np.int64)), classes=None
            )
        if self._first is None:
            self._first = chunk
            self._firsts = first_values(chunk.values, chunk.mask)
            self._seen = torch.zeros(chunk.values.shape[1], dtype=torch.bool)
        chunk = fitting(chunk, self._first)
        self._seen |= True if chunk.mask is None else chunk.mask.observed().any(0)
        self._write("values", refilled(chunk.values, chunk.mask, self._firsts))
        if chunk.labels is not None:
            self._write("labels", chunk.labels[:, None])
        if chunk.targets is not None:
            self._write("targets", chunk.targets)
        if chunk.mask is not None or "mask" in self._arrays:
            self._write_mask(chunk)
        self._n_rows += len(chunk)

    def _note(self, chunk: Data) -> None:
        """Remember what is said of rows, to say in the end what holds for all of them."""
        of_chunk = set(summed_up(chunk.dropped))
        for note in chunk.notes:
            if not (tells(note) or guesses(note) or note in of_chunk):
                note = _SEQUENCES.sub(_ALL, note)
                self._notes[note] = self._notes.get(note, 0) + 1
        first = self._n_chunks == 0
        self._dropped += [each for each in chunk.dropped if first or each.what == "sequence"]
        self._n_chunks += 1

    def _said(self) -> list[str]:
        alignment = f"an alignment of {counted(self._n_rows, 'sequence')}"
        said = [
            note.replace(_ALL, alignment)
            for note, times in self._notes.items()
            if times == self._n_chunks
        ]
        return said + summed_up(self._dropped)

    def _write(self, what: str, rows: Tensor) -> None:
        if what not in self._arrays:
            self._arrays[what] = _Array(self._folder / f"{what}.npy")
        self._arrays[what].add(rows.numpy())

    def _write_mask(self, chunk: Data) -> None:
        n = chunk.values.shape[1]
        whole = Mask.of(torch.ones((1, n), dtype=torch.bool)).bits
        if "mask" not in self._arrays:
            for start in range(0, self._n_rows, _BLOCK):
                self._write("mask", whole.expand(min(_BLOCK, self._n_rows - start), -1))
        bits = whole.expand(len(chunk), -1) if chunk.mask is None else chunk.mask.bits
        self._write("mask", bits)

    def finish(self) -> dict[str, Any]:
        """Everything beside the arrays."""
        first = self._first
        if first is None:
            raise ValueError("there are no rows; pass files with at least one row")
        if not self._seen.all():
            seen = np.broadcast_to(self._seen.numpy(), (self._n_rows, len(self._seen)))
            refuse_empty_columns(seen, first.name, first.columns)
        for array in self._arrays.values():
            array.close()
        if self._classes:
            self._sort_classes()
        return {
            "arrays": list(self._arrays),
            "encoding": first.encoding.to_config(),
            "columns": first.columns,
            "classes": sorted(self._classes) or None,
            "image_shape": first.image_shape,
            "named": dict(first.named),
            "notes": self._said(),
        }

    def _sort_classes(self) -> None:
        """Number the classes in the order of their names, as in one file."""
        order = sorted(self._classes)
        place = np.array([*(order.index(name) for name in self._classes), UNKNOWN_LABEL])
        labels = np.load(self._folder / "labels.npy", mmap_mode="r+")
        for start in range(0, len(labels), _BLOCK):
            block = labels[start : start + _BLOCK]
            block[...] = place[np.where(block == UNKNOWN_LABEL, -1, block)]
        labels.flush()
