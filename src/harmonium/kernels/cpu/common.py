"""Shared parts of the compiled loops: running on torch's threads, and bit operations."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import torch
from numba import int32, njit, types, uint64
from numba.core import event
from numba.extending import intrinsic
from torch import Tensor

# Below this many numbers, waking other threads costs more than they save
# (docs/decisions/0001-one-fused-draw.md).
_PARALLEL_FROM = 8_192

# Numba's portable threading layer must not be entered from two threads at once.
_one_parallel_region = threading.Lock()

# For each thread, the number of threads on which Numba runs its loops. Asking Numba takes as long
# as setting the number, and an update has several loops.
_set_last = threading.local()

serial = njit(cache=True, nogil=True, error_model="numpy")
parallel = njit(cache=True, nogil=True, error_model="numpy", parallel=True)


def _count_trailing_zeros(context, x):
    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


# Index of the lowest set bit of a non-zero 64-bit word.
trailing_zeros: Any = intrinsic(_count_trailing_zeros)


@serial
def find(row, is_on, index, factors):
    """List the indices and values of a row's non-zero entries; returns their number.

    ``is_on`` has a byte for each entry, padded with zeros to a whole word.
    """
    for j in range(row.size):
        is_on[j] = row[j] != 0
    words = is_on.view(np.uint64)
    n = 0
    for k in range(words.size):
        word = words[k]
        while word != 0:
            j = 8 * k + int32(trailing_zeros(word) >> uint64(3))
            index[n], factors[n] = j, row[j]
            n += 1
            word &= word - uint64(1)
    return n


class _Listener(event.Listener):
    """Reports only the first compilation."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def on_start(self, event: Any) -> None:
        if self._tell is not None:
            tell, self._tell = self._tell, None
            tell()

    def on_end(self, event: Any) -> None:
        pass


def when_compiling(tell: Callable[[], None]) -> None:
    """Call ``tell`` once if a kernel has to be compiled, rather than loaded from the disk cache."""
    event.register("numba:compile", _Listener(tell))


def worthwhile_threads(n_numbers: int) -> int:
    """Number of threads that torch uses for its products, or one if there is little to do."""
    return torch.get_num_threads() if n_numbers >= _PARALLEL_FROM else 1


def run(n_threads: int, loop: Any, *arguments: Any) -> Any:
    """Run a parallel loop on ``n_threads`` threads, without waking the others in vain."""
    with _one_parallel_region:
        if getattr(_set_last, "n_threads", 0) != n_threads:
            of_torch = torch.get_num_threads()
            most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
            numba.set_num_threads(min(n_threads, most))
            _set_last.n_threads = n_threads
            if torch.get_num_threads() != of_torch:
                # the first call has started OpenMP's threads, which torch shares, in Numba's number
                torch.set_num_threads(of_torch)
        return loop(*arguments)


def in_blocks(
    rows: Any, blocks: Any, arguments: tuple[Any, ...], n: int, n_numbers: int, *last: Any
) -> Any:
    """Run a loop over ``n`` rows on this thread, or blocks of it on as many as torch would use."""
    n_blocks = min(worthwhile_threads(n_numbers), n)
    if n_blocks <= 1:
        return rows(*arguments, 0, n, *last)
    return run(n_blocks, blocks, *arguments, *last, n_blocks)


def array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The tensor's memory as a NumPy array; detaches only if needed, which takes as long."""
    memory: np.ndarray[Any, Any] = (tensor.detach() if tensor.requires_grad else tensor).numpy()
    return memory


def row_major(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The tensor's numbers as a row-major NumPy array; copies unless contiguous."""
    return array(tensor.contiguous())
