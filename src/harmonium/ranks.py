"""Ranks: processes that train or judge one model together, by `torch.distributed`.

Every rank makes the same calls on the same rows, seeds and options, and holds all of the state.
What takes long is shared out: each rank computes its rows of a table, and all of them gather the
whole. A random number is a function of its row, and our sums over rows are made of whole columns,
so that one process and any number of ranks give the same bits. Where a product of a library rounds
rows of a share otherwise than rows of the whole (`rounds_alike`), it is not shared out.

In one process nothing here does anything.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from harmonium import defaults

# A rank takes so many rows or more, because the first of them decide how all are multiplied; and
# so many numbers, because torch rounds the last ones of a table otherwise.
LEAST_ROWS = 8
_LEAST_NUMBERS = 32

_LONGEST = 200  # characters of a reason that is quoted

WORTHWHILE_FROM = 2**25
"""Multiplications between two gathers: fewer take one process less time than the others save."""


Step = TypeVar("Step")


class Lost(ConnectionError):
    """Another rank has ended, or cannot be reached."""


class _Shared:
    """What the ranks are doing together now."""

    size, rank = 1, 0
    together = False
    whole: int | None = None  # rows of the table of which each computes its share


_now = _Shared()
_alike: dict[object, bool] = {}


def size() -> int:
    """Number of ranks; 1 where this process is alone."""
    return _now.size


def rank() -> int:
    """Number of this rank, from 0."""
    return _now.rank


def join() -> None:
    """Meet the other processes, if torchrun has started this one as one of several.

    Raises
    ------
    ConnectionError
        If they cannot be met.
    """
    n = int(os.environ.get("WORLD_SIZE", "1"))
    if n == 1 or _now.size > 1 or "RANK" not in os.environ:
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    wait = timedelta(seconds=defaults.RANKS_WAIT)
    try:
        dist.init_process_group(backend, timeout=wait)
        all_met = torch.zeros(1)
        dist.all_reduce(all_met)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        reason = next(iter(str(error).splitlines()), "")[:_LONGEST]
        if "EADDRINUSE" in str(error) or "already in use" in str(error):
            raise ConnectionError(
                f"{where}, where the processes were to meet, is in use by another program; give "
                "torchrun another port"
            ) from error
        raise ConnectionError(
            f"process {os.environ['RANK']} of {n} did not meet the others at {where} ({reason}); "
            f"see that all of them were started within {wait.total_seconds():g} seconds, and that "
            "this machine can reach that address"
        ) from error
    _now.size, _now.rank = dist.get_world_size(), dist.get_rank()


def leave() -> None:
    """Part from the other ranks, after the last thing that was done together."""
    if _now.size > 1:
        _now.size, _now.rank = 1, 0
        dist.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """A GPU of this rank's own, in place of any; other devices are the same for all."""
    if _now.size == 1 or device.type != "cuda":
        return device
    number = int(os.environ.get("LOCAL_RANK", "0"))
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


@contextmanager
def together() -> Iterator[None]:
    """While all ranks make the same calls: the work inside is shared out."""
    if _now.size == 1 or _now.together:
        yield
        return
    _now.together = True
    try:
        yield
    finally:
        _now.together = False


def are_together() -> bool:
    """Whether work is to be shared out: there are others, and they make the same calls."""
    return _now.together and _now.whole is None


@contextmanager
def share(n: int, shares: list[slice]) -> Iterator[slice]:
    """The rows of a table of ``n`` that this rank computes: its own of these ``shares``.

    Within, `whole` and `agreed` speak of the table.
    """
    if len(shares) == 1:
        yield shares[0]
        return
    _now.whole = n
    try:
        yield shares[_now.rank]
    finally:
        _now.whole = None


def shares(n: int, *widths: int, work: int) -> list[slice]:
    """The rows of each rank, of a table of ``n``; a single share of all if it is not shared out.

    Parameters
    ----------
    n
        Rows of the table.
    widths
        Columns of what is computed of a row.
    work
        Multiplications that are made of all rows.
    """
    step = max(LEAST_ROWS, *(_LEAST_NUMBERS // math.gcd(_LEAST_NUMBERS, w) for w in widths))
    n_steps = n // step
    if not are_together() or n_steps < _now.size or work < WORTHWHILE_FROM:
        return [slice(0, n)]
    ends = [n_steps * k // _now.size * step for k in range(_now.size)]
    return [slice(first, last) for first, last in zip(ends, [*ends[1:], n], strict=True)]


def lines(n: int, work: int) -> list[slice]:
    """The lines of each rank, of a table of ``n`` that takes so many multiplications; or all."""
    if not are_together() or n < _now.size or work < WORTHWHILE_FROM:
        return [slice(0, n)]
    return [slice(n * k // _now.size, n * (k + 1) // _now.size) for k in range(_now.size)]


def each_together(steps: Iterable[Step]) -> Iterator[Step]:
    """The same steps, each of them `together`, and what is done between them not."""
    return _each(iter(steps), together)


def each_of_share(steps: Iterator[Step], n: int, shares: list[slice]) -> Iterator[Step]:
    """The same steps, each of them within `share`."""
    return _each(steps, partial(share, n, shares))


def _each(
    steps: Iterator[Step], within: Callable[[], AbstractContextManager[Any]]
) -> Iterator[Step]:
    while True:
        with within():
            try:
                step = next(steps)
            except StopIteration:
                return
        yield step


def whole(n: int) -> int:
    """Rows of the table of which these ``n`` are a share, or ``n`` itself."""
    return n if _now.whole is None else _now.whole


def agreed(is_so: Any, *, by_first: bool = False) -> bool:
    """Whether it is so for the shares of all ranks, or, ``by_first``, for that of the first."""
    if _now.whole is None:
        return bool(is_so)
    return all_of(bool(is_so) or (by_first and _now.rank > 0))


def all_of(is_so: bool) -> bool:
    """Whether it is so on every rank."""
    return not others_than(is_so)


def others_than(is_so: bool) -> list[int]:
    """The ranks on which it is not so."""
    if _now.size == 1:
        return [] if is_so else [0]
    flags = torch.ones(_now.size, dtype=torch.int32)
    flags[_now.rank] = int(is_so)
    with _told():
        dist.all_reduce(flags, dist.ReduceOp.MIN)
    return [number for number, flag in enumerate(flags.tolist()) if not flag]


def as_first(text: str) -> list[int]:
    """The ranks whose text is not that of the first."""
    if _now.size == 1:
        return []
    digest = torch.frombuffer(bytearray(sha256(text.encode()).digest()), dtype=torch.uint8)
    of_first = digest.clone()
    with _told():
        dist.broadcast(of_first, 0)
    return others_than(torch.equal(digest, of_first))


def of_first(number: float) -> float:
    """The number that the first rank has, such as a time, while they are `together`."""
    if not _now.together:
        return number
    shared = torch.tensor([number], dtype=torch.float64)
    with _told():
        dist.broadcast(shared, 0)
    return float(shared.item())


def gather_(*tables: tuple[Tensor, list[slice]]) -> None:
    """Fill tables with the rows that the other ranks have computed, all tables at once.

    Parameters
    ----------
    tables
        Contiguous, each with the rows of each rank.
    """
    with _told():
        works = [
            dist.broadcast(table[rows], source, async_op=True)
            for table, slices in tables
            if len(slices) > 1
            for source, rows in enumerate(slices)
        ]
        for work in works:
            work.wait()


def rounds_alike(key: object, is_so: Callable[[], bool]) -> bool:
    """Whether a share of this kind of product rounds as in the whole, tried once on each rank."""
    if key not in _alike:
        _alike[key] = all_of(is_so())
    return _alike[key]


@contextmanager
def _told() -> Iterator[None]:
    """Put a broken connection into words."""
    try:
        yield
    except RuntimeError as error:
        _now.together, _now.whole = False, None
        raise Lost(
            "another process of this run has ended, or cannot be reached "
            f"({next(iter(str(error).splitlines()), '')[:_LONGEST]})"
        ) from error
