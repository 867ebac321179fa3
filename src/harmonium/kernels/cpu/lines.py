"""Sums of lines: products of states that name rows, a line of 64 columns at a time.

A one-hot row times a matrix is a sum of some of its rows. So is a row of two-valued states, of the
rows of a table that holds, for every ``k`` units, the sums over all their ``2**k`` states (the
"method of the four Russians": V. Arlazarov, E. Dinic, M. Kronrod and I. Faradžev, 1970, Soviet
Math. Dokl. 11, 1209). A line stays in registers while others are added to it.
"""

from __future__ import annotations

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


def _generate(context, builder, signature, arguments):
    integer, line = ir.IntType(64), ir.VectorType(ir.FloatType(), LINE)
    total, lines, names = (
        context.make_array(kind)(context, builder, argument)
        for kind, argument in zip(signature.args[:3], arguments[:3], strict=True)
    )
    n = builder.extract_value(names.shape, 0)
    stride = builder.extract_value(lines.strides, 0)
    step = builder.mul(arguments[3], stride)
    base = builder.ptrtoint(lines.data, integer)
    place = builder.bitcast(total.data, line.as_pointer())
    before = builder.block
    start = builder.load(place, align=4)
    loop, done = builder.append_basic_block(), builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">", n, integer(0)), loop, done)
    builder.position_at_end(loop)
    k, partial, group = builder.phi(integer), builder.phi(line), builder.phi(integer)
    row = builder.zext(builder.load(builder.gep(names.data, [k])), integer)
    address = builder.inttoptr(builder.add(group, builder.mul(row, stride)), line.as_pointer())
    added = builder.fadd(partial, builder.load(address, align=4))
    following, next_group = builder.add(k, integer(1)), builder.add(group, step)
    for phi, first, later in (
        (k, integer(0), following), (partial, start, added), (group, base, next_group)
    ):  # fmt: skip
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, n), loop, done)
    builder.position_at_end(done)
    result = builder.phi(line)
    result.add_incoming(start, before)
    result.add_incoming(added, loop)
    builder.store(result, place, align=4)
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
