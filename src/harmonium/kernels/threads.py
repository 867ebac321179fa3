"""How many threads compute: no more than cores are free, and products with the bits of one thread.

This is the one place that decides (docs/decisions/0002-threads-are-torchs.md). Inside of
`following`, torch and the compiled loops use as many threads as there are free cores, looked at
every half a second. `give` ends that: a number that somebody asked for stays.

No number depends on the choice. Our own loops round alike on any number of threads; `mm`,
`bmm` and `addmm_` see to it that torch's products do.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Multiplications below which a product takes about as long as it takes to wake another thread.
_SMALL = 1_000_000
# Multiplications above which half of the threads are tried where all of them round otherwise.
# Changing the size of the team costs some ten microseconds.
_HALVES_FROM = 8_000_000
# A product of more multiplications is made of blocks of rows, so that trying it out stays short.
_LARGE, _ROWS = 2**32, 4096

_LOOK_EVERY, _STALE = 0.5, 5.0  # seconds
# Cores that other programs may use of one that counts as free. A thread that was given up comes
# back where there is less left than that, so that the number does not go to and fro.
_TAKEN, _FREE_AGAIN = 0.4, 0.2
_STEPS = 8  # numbers of threads to choose from, so that few products have to be tried out

_BY_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

Times = tuple[float, float, float]
"""Seconds: on the clock, of all our cores by anybody, of all cores by this process."""


class _Choice:
    """What is known of the machine."""

    def __init__(self) -> None:
        self.default = torch.get_num_threads()
        self.is_given = any(os.environ.get(name) for name in _BY_USER)
        self.inside: set[int] = set()  # threads of Python
        self.before = None if self.is_given else _times()
        self.free = self.default


def give(n: int | None) -> None:
    """Compute on ``n`` threads from now on, whatever other programs do; None changes nothing."""
    if n is not None:
        torch.set_num_threads(n)
        _choice.is_given = True


def give_again(n: int) -> None:
    """Compute on the number of threads of an earlier run; free cores are followed if it is ours.

    Of the threads of a larger machine, there are as many as this one has cores.
    """
    n = min(n, max(len(_cores()), _choice.default))
    if n != _choice.default or torch.get_num_threads() != n:
        give(n)


def following() -> AbstractContextManager[None]:
    """A block that computes on as many threads as cores are free; outside, nothing is changed.

    Nothing happens where the number of threads was given, by `give`, by ``OMP_NUM_THREADS`` or by
    ``torch.set_num_threads``; what torch was told before this module was imported is the most.
    Several threads of Python that compute share the free cores. A block within a block looks again.
    """
    return _Following()


class _Following(AbstractContextManager[None]):
    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = 0
        if _choice.is_given:
            return
        before, own = torch.get_num_threads(), threading.get_ident()
        is_within = own in _choice.inside  # another block, which restores the number
        if not is_within and (before != _choice.default or before == 1):
            return
        with _lock:
            _choice.inside.add(own)
            seen = _choice.before
            if seen is not None and _clock() - seen[0] >= _LOOK_EVERY:
                _look(seen)
            n = max(1, _choice.free // len(_choice.inside))
        if not is_within:
            self._before = before
        if n != before:
            torch.set_num_threads(n)

    def __exit__(self, *_: object) -> None:
        if self._before:
            with _lock:
                _choice.inside.discard(threading.get_ident())
                seen = _choice.before
                if seen is not None and _clock() - seen[0] > _STALE:
                    _look(seen, has_computed=True)
            torch.set_num_threads(self._before)


def alone() -> AbstractContextManager[None]:
    """A block on one thread, for sums that are rounded otherwise on several."""
    return _On(1)


class _On(AbstractContextManager[None]):
    """A block on so many threads; a generator would take longer than the block."""

    __slots__ = ("_before", "_n")

    def __init__(self, n: int) -> None:
        self._n = n

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        torch.set_num_threads(self._n)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._before)


def mm(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``torch.mm``, with the bits of one thread."""
    if not a.is_cpu:
        return torch.mm(a, b, out=out)
    rows = a.shape[0]
    if rows > _ROWS and rows * a.shape[1] * b.shape[1] > _LARGE:
        found = a.new_empty(rows, b.shape[1]) if out is None else out
        for some, into in zip(a.split(_ROWS), found.split(_ROWS), strict=True):
            mm(some, b, out=into)
        return found
    n = torch.get_num_threads()
    best = 1 if n == 1 else _best(n, _mm, a, b, out)
    if best == n:
        return torch.mm(a, b, out=out)
    with _On(best):
        return torch.mm(a, b, out=out)


def bmm(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
    """``torch.bmm``, with the bits of one thread."""
    n = torch.get_num_threads()
    if n > 1 and a.is_cpu:
        best = _best(n, _bmm, a, b, out)
        if best != n:
            with _On(best):
                return torch.bmm(a, b, out=out)
    return torch.bmm(a, b, out=out)


def addmm_(out: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``out.addmm_(a, b)``, with the bits of one thread; with ``beta`` 0 old numbers are lost."""
    n = torch.get_num_threads()
    if n > 1 and out.is_cpu:
        best = _best(n, _add if beta else _add_first, a, b, out)
        if best != n:
            with _On(best):
                return out.addmm_(a, b, beta=beta, alpha=alpha)
    return out.addmm_(a, b, beta=beta, alpha=alpha)


def matmul(x: Tensor, weights: Tensor) -> Tensor:
    """``x @ weights``, with derivatives; it and they have the bits of one thread."""
    if x.dim() != 2 or not x.is_cpu or torch.get_num_threads() == 1:
        return x @ weights
    if not torch.is_grad_enabled():
        return mm(x, weights)
    product: Tensor = _Product.apply(x, weights)  # type: ignore[no-untyped-call]
    return product


class _Product(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weights: Tensor) -> Tensor:
        return mm(x, weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def jvp(ctx: Any, *changes: Tensor | None) -> Tensor:
        (x, weights), (of_x, of_weights) = ctx.saved_tensors, changes
        change: Any = 0
        if of_x is not None:
            change = matmul(of_x, weights)
        if of_weights is not None:
            change = change + matmul(x, of_weights)
        moved: Tensor = change
        return moved

    @staticmethod
    def backward(ctx: Any, *by_output: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The products that autograd makes, which depend on how the factors lie in memory."""
        (x, weights), (by_product,) = ctx.saved_tensors, by_output
        by_x, by_weights = None, None
        if ctx.needs_input_grad[0]:
            if _is_turned(x):
                by_x = matmul(weights, by_product.T).T
            else:
                by_x = matmul(by_product, weights.T)
        if ctx.needs_input_grad[1]:
            if _is_turned(weights):
                by_weights = matmul(by_product.T, x).T
            else:
                by_weights = matmul(x.T, by_product)
        return by_x, by_weights


def _is_turned(x: Tensor) -> bool:
    """Whether a matrix is stored column by column."""
    return x.stride() == (1, x.shape[0])


def _mm(a: Tensor, b: Tensor, out: Tensor | None) -> Tensor:
    return torch.mm(a, b, out=out)


def _bmm(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    return torch.bmm(a, b, out=out)


def _add_first(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    return out.addmm_(a, b, beta=0)


def _add(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    return out.addmm_(a, b)


_known: dict[tuple[Any, ...], int] = {}


def _best(n: int, product: Any, a: Tensor, b: Tensor, out: Tensor | None) -> int:
    """The most threads, up to ``n``, on which such a product has the bits of one thread.

    A product of random numbers tells, once for each shape. Where a library shares out a product's
    terms otherwise, hardly any of its numbers stay the same.
    """
    work = a.numel() * b.shape[-1]
    if work < _SMALL:
        return 1
    key = (n, product, *((x.dtype, x.shape, x.stride()) for x in (a, b, out) if x is not None))
    found = _known.get(key)
    if found is None:
        found = _known[key] = _tried(n, work, product, (a, b, out))
    return found


@torch.no_grad()
def _tried(n: int, work: int, product: Any, operands: tuple[Tensor | None, ...]) -> int:
    generator = torch.Generator().manual_seed(0)
    drawn: list[Tensor | None] = []
    for x in operands:
        if x is not None:
            size = 1 + sum((n - 1) * step for n, step in zip(x.shape, x.stride(), strict=True))
            memory = torch.empty(size, dtype=x.dtype).uniform_(-1, 1, generator=generator)
            x = memory.as_strided(x.shape, x.stride())
        drawn.append(x)
    *factors, out = drawn
    start = None if out is None or product is not _add else out.clone()
    try:
        torch.set_num_threads(1)
        expected = product(*factors, out).clone()
        tried = n
        while tried > 1:
            if out is not None and start is not None:
                out.copy_(start)
            torch.set_num_threads(tried)
            if torch.equal(product(*factors, out), expected):
                return tried
            tried = tried // 2 if work >= _HALVES_FROM else 1
        return 1
    finally:
        torch.set_num_threads(n)


def _look(before: Times, has_computed: bool = False) -> None:
    """Count the cores that other programs have left free since the last look.

    A long time says little about now, unless it is that of a block that ``has_computed`` so long.
    """
    now = _choice.before = _times()
    if now is None:
        return
    elapsed, by_all, by_us = (b - a for a, b in zip(before, now, strict=True))
    if elapsed > _STALE and not has_computed:
        return
    free = len(_cores()) - max(0.0, by_all - by_us) / elapsed
    n = max(int(free + _FREE_AGAIN), min(_choice.free, int(free + _TAKEN)))
    most, step = min(_choice.default, _quota()), max(1, _choice.default // _STEPS)
    _choice.free = most if n >= most else max(1, n // step * step)


def _cores() -> set[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _times() -> Times | None:
    """What the system counts; None where it does not, and then all cores count as free."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        names = {f"cpu{core}" for core in _cores()}
        ticks = 0
        for name, *counts in (line.split() for line in lines if line.startswith("cpu")):
            if name in names:
                user, nice, system, _, _, *interrupts = map(int, counts)
                ticks += user + nice + system + sum(interrupts[:3])
        return _clock(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time()
    except (OSError, ValueError):
        return None


def _quota() -> int:
    """The cores' worth of time that a container may use."""
    try:
        most, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(most) // int(period))
    except (OSError, ValueError):
        return _choice.default


_clock = time.perf_counter
_lock = threading.Lock()
_choice = _Choice()
