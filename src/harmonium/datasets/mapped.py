"""Rows that stay on disk: `.npy` files whose pages the operating system reads as they are used.

A tensor over such a file is a tensor like any other, and so are its slices. This module recognises
them by their address, and does what keeps a process small that goes through more rows than there is
memory: it takes rows in pieces, gives pages back that have been used, asks for those that come
next, and remembers beside the cache what a pass over all rows has found.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import math
import mmap
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets.downloads import Progress, quiet
from harmonium.datasets.npy import npy_header
from harmonium.files import write_json

BUFFER_BYTES = 1 << 26
"""Rows that are shuffled together, and so may be in memory at a time."""

_PIECE_BYTES = 1 << 25  # of rows that a pass goes through before it gives their pages back
_PAGE = mmap.PAGESIZE
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # on Linux; Python 3.11 has no name for it

_open: weakref.WeakSet[_Pages]
_shown: ContextVar[Progress] = ContextVar("shown", default=quiet)


def cache_folder() -> Path:
    """Return the folder of fetched data sets: ``HARMONIUM_DATA``, or the platform's default."""
    own = os.environ.get("HARMONIUM_DATA")
    return Path(own) if own else platformdirs.user_cache_path("harmonium", appauthor=False)


def rows_folder() -> Path:
    """The folder of what is kept about rows on disk, and of rows converted to be there."""
    return cache_folder() / "rows"


class _Pages(mmap.mmap):
    """A private mapping of a whole file: what is written to it goes to memory, not to the file."""

    path: Path
    stat: os.stat_result
    address: int
    file: int  # its descriptor
    written: list[tuple[int, int]]  # bytes from here to there are no longer those of the file
    held: _Held | None

    def release(self) -> None:
        """Give back the pages that still are those of the file."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        start = 0
        for first, last in [*self.written, (len(self), len(self))]:
            stop = first if first == len(self) else first // _PAGE * _PAGE
            if stop > start:
                self.madvise(mmap.MADV_DONTNEED, start, stop - start)
            start = -(-last // _PAGE) * _PAGE

    def refuse_change(self) -> None:
        """Refuse a file that was written to; one that was replaced is still there as it was.

        Raises
        ------
        ValueError
            If it has changed.
        """
        with suppress(FileNotFoundError):
            now, was = self.path.stat(), self.stat
            if now.st_ino == was.st_ino and _size_and_time(now) != _size_and_time(was):
                raise ValueError(
                    f"{self.path} has changed while its rows were in use (it had "
                    f"{was.st_size:,} bytes and has {now.st_size:,}); restore it and resume, or "
                    "start a new run"
                )

    @property
    def notes_path(self) -> Path:
        """Where what was found out about these rows is kept."""
        # another file may have been moved here with the size and the time of this one
        own = [str(self.path.resolve()), *_size_and_time(self.stat), self.stat.st_ctime_ns]
        return rows_folder() / f"{digest_of(own)}.json"


_open = weakref.WeakSet()
_last: weakref.ref[_Pages] | None = None  # the one that was asked for last


def digest_of(content: Any) -> str:
    """SHA-256 of what JSON makes of some content, hexadecimal."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _size_and_time(of: os.stat_result) -> tuple[int, int]:
    return of.st_size, of.st_mtime_ns


# Opening


def map_array(path: Path) -> NDArray[Any]:
    """An array over the bytes of a `.npy` file, of which nothing is read before it is used.

    Raises
    ------
    ValueError
        If the file is damaged, or shorter than its header says.
    """
    with path.open("rb") as file:
        shape, transposed, dtype = npy_header(file, path.name)
        start, n_bytes = file.tell(), math.prod(shape) * dtype.itemsize
        stat = os.fstat(file.fileno())
        if stat.st_size < start + n_bytes:
            raise ValueError(
                f"{path.name} is cut off: its header promises {n_bytes} bytes of numbers, and "
                f"{stat.st_size - start} are there"
            )
        if os.name == "nt":
            pages = _Pages(file.fileno(), 0, access=mmap.ACCESS_COPY)
        else:
            flags = mmap.MAP_PRIVATE | (_NO_RESERVE if os.uname().sysname == "Linux" else 0)
            pages = _Pages(file.fileno(), 0, flags, mmap.PROT_READ | mmap.PROT_WRITE)
        pages.file = os.dup(file.fileno())
        weakref.finalize(pages, os.close, pages.file)
    flat = np.frombuffer(pages, dtype, math.prod(shape), start)
    pages.path, pages.stat, pages.written, pages.held = path, stat, [], None
    pages.address = flat.__array_interface__["data"][0] - start
    _open.add(pages)
    return flat.reshape(shape, order="F" if transposed else "C")


# Using


def _pages_of(values: Tensor) -> _Pages | None:
    if not _open or values.device.type != "cpu":
        return None
    global _last
    place, last = values.data_ptr(), None if _last is None else _last()
    if last is not None and last.address <= place < last.address + len(last):
        return last
    found = next((p for p in _open if p.address <= place < p.address + len(p)), None)
    if found is not None:
        _last = weakref.ref(found)
    return found


def is_mapped(values: Tensor) -> bool:
    """Whether a tensor lies over a file that `map_array` opened, or over a part of one."""
    return _pages_of(values) is not None


def is_large(values: Tensor) -> bool:
    """Whether rows are on disk, and more than are shuffled together."""
    return values.nbytes > BUFFER_BYTES and is_mapped(values)


def release(values: Tensor) -> None:
    """Give back the pages of the file of these rows, if they are on disk."""
    if (pages := _pages_of(values)) is not None:
        pages.release()


def pieces(values: Tensor, size: int, doing: str = "reading") -> Iterator[Tensor]:
    """The rows in order, ``size`` at a time, as `Tensor.split` gives them; pages are given back."""
    pages = _pages_of(values)
    if pages is None:
        yield from values.split(size)
        return
    progress, used, done = _shown.get(), 0, 0
    pages.refuse_change()
    for piece in values.split(size):
        yield piece
        used += piece.nbytes
        if used >= _PIECE_BYTES:
            done, used = done + used, 0
            pages.release()
            pages.refuse_change()
            progress(f"{doing} {pages.path.name}", done, values.nbytes)
    pages.release()
    pages.refuse_change()


def hold(values: Tensor, block: int, now: Tensor, soon: Tensor) -> None:
    """Read blocks of rows into memory in place of those before, and ask for those that come next.

    Pages of a mapping would do, but the kernel may map megabytes around each row that is touched.

    Parameters
    ----------
    values
        All rows.
    block
        Rows of a block.
    now, soon
        Numbers of blocks.

    Raises
    ------
    ValueError
        If the file has changed.
    """
    pages = _pages_of(values)
    if pages is None or not hasattr(os, "preadv"):
        return
    pages.refuse_change()
    pages.release()
    pages.held = None
    shifts = torch.full((-(-len(values) // block),), -len(values) - 1)
    shifts[now] = (torch.arange(len(now)) - now) * block
    rows = torch.empty((len(now) * block, values.shape[1]), dtype=values.dtype)
    for slot, number in enumerate(now.tolist()):
        part = values[number * block : (number + 1) * block]
        _read(pages, part, rows[slot * block : slot * block + len(part)])
    pages.held = _Held(values.data_ptr(), block, shifts, rows)
    if hasattr(os, "posix_fadvise"):
        for number in soon.tolist():
            start, row = _place(pages, values[number * block :])
            os.posix_fadvise(pages.file, start, block * row, os.POSIX_FADV_WILLNEED)


def take(values: Tensor, index: Tensor) -> Tensor:
    """Some rows by number, in new memory, as `Tensor.index_select`; many of them stay on disk.

    Raises
    ------
    ValueError
        If their file has changed.
    """
    pages = _pages_of(values)
    if pages is None:
        return values.index_select(0, index)
    pages.refuse_change()  # where a file has been cut off, its pages would end the process
    if values.dim() != 2 or values.nbytes <= BUFFER_BYTES or not hasattr(os, "preadv"):
        return values.index_select(0, index)
    held = pages.held
    if held is not None and held.address == values.data_ptr():
        places = index + held.shifts[index // held.block]
        if not len(index) or int(places.min()) >= 0:
            return held.rows.index_select(0, places)
    rows = torch.empty((len(index), values.shape[1]), dtype=values.dtype)
    if not len(index):
        return rows
    breaks = ((index.diff() != 1).nonzero()[:, 0] + 1).tolist()  # neighbours are read at once
    begins, ends = [0, *breaks], [*breaks, len(index)]
    for begin, end, first in zip(begins, ends, index[begins].tolist(), strict=True):
        _read(pages, values[first : first + end - begin], rows[begin:end])
    return rows


@dataclass(frozen=True)
class _Held:
    """Blocks of rows in memory, and what each block's rows are moved by; far below 0 for others."""

    address: int
    block: int
    shifts: Tensor
    rows: Tensor


def _read(pages: _Pages, values: Tensor, rows: Tensor) -> None:
    """Read neighbouring rows of a file, or from memory what was written there."""
    start, row = _place(pages, values)
    stop, width = start + len(values) * row, values.shape[1] * values.element_size()
    at = bisect.bisect_right(pages.written, (start, stop))
    nearby = pages.written[max(0, at - 1) : at + 1]
    if row != width or any(first < stop and start < last for first, last in nearby):
        rows.copy_(values)
    elif (
        os.preadv(pages.file, [rows.numpy().reshape(-1).view(np.uint8).data], start) != stop - start
    ):
        raise ValueError(f"{pages.path} is shorter than when it was opened; restore it and resume")


def _place(pages: _Pages, values: Tensor) -> tuple[int, int]:
    """The byte of the file at which rows begin, and the bytes from one row to the next."""
    return values.data_ptr() - pages.address, values.stride(0) * values.element_size()


def mark_written(values: Tensor, index: Tensor) -> None:
    """Keep the pages of rows that were changed in memory: they are not in the file."""
    pages = _pages_of(values)
    if pages is None or not len(index):
        return
    first, row = _place(pages, values)
    ordered = index.sort().values
    breaks = (ordered.diff() > max(1, _PAGE // row)).nonzero()[:, 0] + 1
    for run in torch.tensor_split(ordered, breaks):
        pages.written.append((first + int(run[0]) * row, first + (int(run[-1]) + 1) * row))
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(pages.written):
        if joined and begin <= joined[-1][1] + _PAGE:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    pages.written, pages.held = joined, None


# Remembering


@contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Show the progress of passes over rows on disk."""
    token = _shown.set(progress)
    try:
        yield
    finally:
        _shown.reset(token)


def remembered(values: Tensor, what: str, find: Callable[[], Any]) -> Any:
    """What ``find`` says of all these rows; for rows on disk, what it once said of them.

    Parameters
    ----------
    values
        The rows.
    what
        What is asked, with everything else that the answer depends on.
    find
        Goes through the rows; returns what JSON can hold.
    """
    pages = _pages_of(values)
    if pages is None:
        return find()
    place = [values.data_ptr() - pages.address, *values.shape, *values.stride(), pages.written]
    key, path = digest_of([what, str(values.dtype), place]), pages.notes_path
    with suppress(OSError, ValueError):
        known = json.loads(path.read_bytes())
        if key in known:
            return known[key]
    answer = find()
    with suppress(OSError):  # a folder that cannot be written costs another pass next time
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {}
        with suppress(OSError, ValueError):
            known = json.loads(path.read_bytes())
        write_json(path, {**known, key: answer})
    return answer


def column_bounds(values: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest and the largest value of each column."""
    if not is_mapped(values):
        return values.aminmax(dim=0)
    ends = [block.aminmax(dim=0) for block in pieces(values, _rows_of(values))]
    low, high = (torch.stack(side) for side in zip(*ends, strict=True))
    return low.amin(0), high.amax(0)


def _rows_of(values: Tensor) -> int:
    return max(1, (1 << 22) // values[:1].nbytes)


def bounds(values: Tensor) -> tuple[float, float]:
    """The smallest and the largest value; NaN for both if one is NaN."""

    def find() -> list[str]:
        ends = torch.stack([torch.stack(block.aminmax()) for block in pieces(values, rows)])
        return [str(float(ends[:, 0].min())), str(float(ends[:, 1].max()))]  # JSON has no NaN

    if not is_mapped(values):
        least, most = values.aminmax()
        return float(least), float(most)
    rows = _rows_of(values)
    least, most = remembered(values, "bounds", find)
    return float(least), float(most)
