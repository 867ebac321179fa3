"""Products of one-hot rows: sums of the rows of the other factor that their categories name.

A row may be one-hot times a factor, which is its weight; a row of zeros has the weight zero.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from harmonium import ranks
from harmonium.kernels.cpu.common import array, find, parallel, run, serial
from harmonium.kernels.cpu.lines import LINE, add_lines

_scratch = threading.local()

_MOST_CATEGORIES = 256  # are named by a byte
_MOST_ROWS = 2**16  # are numbered by two

# Below this many multiplications, calls cost more than they save.
_WORTHWHILE_FROM = 4_000_000


@serial
def _name_rows(x, q, names, factors, start, stop):
    """Find the categories and factors of some rows; returns whether all rows have them."""
    is_on = np.zeros((x.shape[1] + 7) // 8 * 8, np.uint8)
    index, values = np.empty(x.shape[1], np.int32), np.empty(x.shape[1], x.dtype)
    for row in range(start, stop):
        n, named, bad = find(x[row], is_on, index, values), names[row], 0
        if n == 0:
            named[:], factors[row] = 0, 0
            continue
        if n != named.size:
            return False
        factors[row] = values[0]
        for unit in range(n):
            category = index[unit] - unit * q
            bad += (category < 0) or (category >= q) or (values[unit] != values[0])
            named[unit] = category
        if bad != 0:
            return False
    return True


@parallel
def _name_blocks(x, q, names, factors, n_blocks):
    are_one_hot = np.zeros(n_blocks, np.bool_)
    for b in prange(n_blocks):
        start, stop = len(x) * b // n_blocks, len(x) * (b + 1) // n_blocks
        are_one_hot[b] = _name_rows(x, q, names, factors, start, stop)
    return are_one_hot.all()


@parallel
def sum_rows(names, q, panels, out, n_blocks):
    """Overwrite ``out`` with the sums of the rows that the names tell, a panel at a time."""
    rows, width = out.shape
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        total = np.empty(LINE, np.float32)
        for p in range(panels.shape[0]):
            lines = panels[p]
            for row in range(start, stop):
                total[:] = 0
                add_lines(total, lines, names[row], q)
                part = out[row, LINE * p : min(LINE * (p + 1), width)]
                for j in range(part.size):
                    part[j] = total[j]


@serial
def _order_by_category(names, order, ends):
    """Sort the numbers of the rows by category, in order within each; ``ends`` of each category."""
    ends[:] = 0
    for row in range(names.size):
        ends[names[row] + 1] += 1
    for k in range(1, ends.size):
        ends[k] += ends[k - 1]
    at = ends.copy()
    for row in range(names.size):
        order[at[names[row]]] = row
        at[names[row]] += 1


@serial
def _add_moments(out, mean, names, factors, panels, q, scale, start, stop):
    """Add ``scale`` times the moments of some units, and write the means of their columns."""
    rows = len(names)
    order, ends = (
        np.empty((stop - start, rows), np.uint16),
        np.empty((stop - start, q + 1), np.int64),
    )
    for unit in range(start, stop):
        own, until = order[unit - start], ends[unit - start]
        _order_by_category(names[:, unit], own, until)
        for k in range(q):
            weight = 0.0
            for row in own[until[k] : until[k + 1]]:
                weight += factors[row]
            mean[unit * q + k] = weight / rows
    total = np.empty(LINE, np.float32)
    for p in range(panels.shape[0]):
        lines, columns = panels[p], slice(LINE * p, min(LINE * (p + 1), out.shape[1]))
        for unit in range(start, stop):
            own, until = order[unit - start], ends[unit - start]
            for k in range(q):
                total[:] = 0
                add_lines(total, lines, own[until[k] : until[k + 1]], 0)
                part = out[unit * q + k, columns]
                for j in range(part.size):
                    part[j] += scale * total[j]


@parallel
def _moments(
    out,
    q,
    names,
    factors,
    panels,
    mean,
    scale,
    names_b,
    factors_b,
    panels_b,
    mean_b,
    scale_b,
    first,
    last,
    n_blocks,
):
    n = last - first
    for b in prange(n_blocks):
        start, stop = first + n * b // n_blocks, first + n * (b + 1) // n_blocks
        out[start * q : stop * q] = 0
        _add_moments(out, mean, names, factors, panels, q, scale, start, stop)
        _add_moments(out, mean_b, names_b, factors_b, panels_b, q, scale_b, start, stop)


def _named(x: Any, q: int) -> tuple[Any, Any] | None:
    """Categories and factors of rows; None if they are not one-hot."""
    names, factors = np.empty((len(x), x.shape[1] // q), np.uint8), np.empty(len(x), np.float32)
    n_threads = torch.get_num_threads()
    return (
        (names, factors) if run(n_threads, _name_blocks, x, q, names, factors, n_threads) else None
    )


def kept(name: str, shape: tuple[int, ...]) -> Tensor:
    """Memory of this thread for this purpose, reused; its lines begin at cache lines."""
    found: Tensor | None = getattr(_scratch, name, None)
    if found is None or found.shape != shape:
        found = torch.zeros(shape)
        setattr(_scratch, name, found)
    return found


def _shape(x: Tensor) -> tuple[int, ...]:
    return -(-x.shape[1] // LINE), len(x), LINE


def in_panels(x: Tensor, out: Tensor) -> Tensor:
    """Copy rows into panels of 64 columns, each with lines of its own."""
    for panel, columns in zip(out, x.detach().split(LINE, 1), strict=True):
        panel[:, : columns.shape[1]] = columns
    return out


def _can_be_named(states: Tensor, others: tuple[Tensor, ...], q: int) -> bool:
    """Whether types and sizes are what these loops are for."""
    tensors = (states, *others)
    return (
        q <= _MOST_CATEGORIES
        and states.shape[1] % q == 0
        and ranks.whole(len(states)) * states.shape[1] * others[0].shape[1] >= _WORTHWHILE_FROM
        and all(x.dtype == torch.float32 and x.is_cpu and x.is_contiguous() for x in tensors)
    )


def one_hot_product(states: Tensor, weights: Tensor, q: int, out: Tensor) -> bool:
    """Overwrite ``out`` with ``states @ weights``, if the states are one-hot; else do nothing."""
    if ranks.whole(len(states)) < q or not _can_be_named(states, (weights, out), q):
        return False  # packing the weights would take as long
    named = _named(array(states), q)
    if not ranks.agreed(named is not None and bool((named[1] == 1).all())):
        return False
    assert named is not None
    panels = in_panels(weights, kept("panels", _shape(weights))).numpy()
    n_threads = torch.get_num_threads()
    run(n_threads, sum_rows, named[0], q, panels, array(out), n_threads)
    return True


def one_hot_moments_(
    out: Tensor, data: tuple[Tensor, Tensor], chains: tuple[Tensor, Tensor], scale: float, q: int
) -> tuple[Any, Any] | None:
    """Overwrite ``out`` with the moments of `moments_`, if both phases are one-hot.

    Returns the means of the visible columns of both phases; None if nothing was done.
    """
    phases: list[Any] = []
    for (v, h), sign in ((data, -1), (chains, 1)):
        if len(v) > _MOST_ROWS or not _can_be_named(v, (h, out), q):
            return None
        named = _named(array(v), q)
        if named is None:
            return None
        mean = np.empty(v.shape[1], np.float32)
        weighted = h * torch.from_numpy(named[1]).unsqueeze(1)
        panels = in_panels(weighted, kept(f"phase {sign}", _shape(h))).numpy()
        phases += [*named, panels, mean, np.float32(sign * scale / len(v))]
    n_threads = torch.get_num_threads()
    units = ranks.lines(len(out) // q, out.numel() * (len(data[0]) + len(chains[0])) // q)
    own = units[min(ranks.rank(), len(units) - 1)]
    run(n_threads, _moments, array(out), q, *phases, own.start, own.stop, n_threads)
    means = phases[3], phases[8]
    lines = [slice(q * some.start, q * some.stop) for some in units]
    ranks.gather_(*((table, lines) for table in (out, *map(torch.from_numpy, means))))
    return means
