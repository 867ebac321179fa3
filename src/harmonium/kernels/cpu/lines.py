"""Sums of lines: products of states that name rows, a line of 64 columns at a time.

A one-hot row times a matrix is a sum of some of its rows. So is a row of two-valued states, of the
rows of a table that holds, for every ``k`` units, the sums over all their ``2**k`` states (the
"method of the four Russians": V. Arlazarov, E. Dinic, M. Kronrod and I. Faradžev, 1970, Soviet
Math. Dokl. 11, 1209). A line stays in registers while others are added to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from harmonium.kernels.cpu.common import serial

LINE = 64
"""Columns of a line: four vector registers of 512 bits, or eight of 256."""

# ns on one core: adding a line of a table, and making one (docs/decisions/0035-one-hot-rows.md).
ADDED_LINE = 3.5
MADE_LINE = 8.0

_MOST_IN_A_GROUP = 8
_TABLE = 1_400_000  # bytes of a table, about as much as a core's own cache holds


def fold(builder: Any, n: Any, start: list[Any], step: Callable[..., list[Any]]) -> list[Any]:
    """Generate a loop: the values after ``values = step(i, *values)`` for i = 0 ... n - 1.

    They stay in registers, which those of Numba's own loops over arrays do not.
    """
    integer, before = ir.IntType(64), builder.block
    loop, done = builder.append_basic_block(), builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">", n, integer(0)), loop, done)
    builder.position_at_end(loop)
    i, values = builder.phi(integer), [builder.phi(value.type) for value in start]
    later = [builder.add(i, integer(1)), *step(i, *values)]
    for phi, first, then in zip((i, *values), (integer(0), *start), later, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    builder.cbranch(builder.icmp_signed("<", later[0], n), loop, done)
    builder.position_at_end(done)
    results = [builder.phi(value.type) for value in start]
    for phi, first, then in zip(results, start, later[1:], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, loop)
    return results


class Rows:
    """In generated code, an array whose rows of 64 numbers are loaded and stored whole."""

    def __init__(self, context: Any, builder: Any, kind: Any, argument: Any) -> None:
        self._builder = builder
        array = context.make_array(kind)(context, builder, argument)
        number = context.get_data_type(kind.dtype)
        self.type, self._align = ir.VectorType(number, LINE), kind.dtype.bitwidth // 8
        self.n = builder.extract_value(array.shape, 0)
        self.stride = builder.extract_value(array.strides, 0)
        self.start = builder.ptrtoint(array.data, ir.IntType(64))
        self.numbers = array.data

    def _place(self, offset: Any) -> Any:
        address = self._builder.add(self.start, offset)
        return self._builder.inttoptr(address, self.type.as_pointer())

    def load(self, offset: Any) -> Any:
        """The row so many bytes from the start."""
        return self._builder.load(self._place(offset), align=self._align)

    def store(self, row: Any, offset: Any) -> None:
        """Write a row so many bytes from the start."""
        self._builder.store(row, self._place(offset), align=self._align)


def _generate(context, builder, signature, arguments):
    integer = ir.IntType(64)
    total, lines, names = (
        Rows(context, builder, kind, argument)
        for kind, argument in zip(signature.args[:3], arguments[:3], strict=True)
    )
    step = builder.mul(arguments[3], lines.stride)

    def add(i, partial, group):
        name = builder.zext(builder.load(builder.gep(names.numbers, [i])), integer)
        line = lines.load(builder.add(group, builder.mul(name, lines.stride)))
        return [builder.fadd(partial, line), builder.add(group, step)]

    start = [total.load(integer(0)), integer(0)]
    total.store(fold(builder, names.n, start, add)[0], integer(0))
    return context.get_dummy_value()


def _add_lines(context, total, lines, names, size):
    return types.void(total, lines, names, types.int64), _generate


# Add lines[names[0]], lines[size + names[1]], lines[2 * size + names[2]], ... to ``total``, where
# ``size`` is that of a group of lines: float32 of shape (LINE,) and (lines, LINE), uint8. Numba's
# own loop loads and stores the total for every line, which takes twice as long.
add_lines: Any = intrinsic(_add_lines)


def groups(rows: int, n_units: int) -> tuple[int, int]:
    """How many units form a group, and how many groups a table, for sums over so many rows."""
    k = min(
        range(1, _MOST_IN_A_GROUP + 1),
        key=lambda k: -(-n_units // k) * (ADDED_LINE * rows + MADE_LINE * 2**k),
    )
    n_groups = -(-n_units // k)
    n_tables = -(-n_groups * 4 * LINE * 2**k // _TABLE)
    return k, -(-n_groups // n_tables)


@serial
def fill_table(table, rows, k, low):
    """Write the sums of each group's rows over all its states: bit i of a state is unit i's.

    ``table`` has shape (groups, 2**k, LINE), ``rows`` (units, LINE), with as many units as there
    are or fewer. A unit's states are ``low`` and 1.
    """
    gap = rows.dtype.type(1) - low
    for group in range(table.shape[0]):
        sums = table[group]
        own = rows[k * group : k * group + k]
        first = sums[0]
        first[:] = 0
        for i in range(own.shape[0]):
            row = own[i]
            for j in range(LINE):
                first[j] += low * row[j]
        for i in range(own.shape[0]):
            row = own[i]
            for state in range(1 << i):
                lower, upper = sums[state], sums[state + (1 << i)]
                for j in range(LINE):
                    upper[j] = lower[j] + gap * row[j]


@serial
def name_states(states, low, k, names, start, stop):
    """Write each group's state, bit i of which is unit i's; returns whether all are low or 1.

    ``states`` has shape (rows, units), ``names`` (rows, groups).
    """
    n = states.shape[1]
    one = states.dtype.type(1)
    is_on = np.zeros(k * names.shape[1], np.uint8)
    others = 0
    for row in range(start, stop):
        x, named = states[row], names[row]
        for j in range(n):
            is_on[j] = x[j] == one
            others += x[j] != one and x[j] != low
        for group in range(named.size):
            own, state = is_on[k * group : k * (group + 1)], 0
            for i in range(k):
                state |= own[i] << i
            named[group] = state
    return others == 0
