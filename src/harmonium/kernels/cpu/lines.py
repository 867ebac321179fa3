"""Sums of lines: products of states that name rows, a line of 64 columns at a time.

A one-hot row times a matrix is a sum of some of its rows. So is a row of two-valued states, of the
rows of a table that holds, for every ``k`` units, the sums over all their ``2**k`` states (the
"method of the four Russians": V. Arlazarov, E. Dinic, M. Kronrod and I. Faradžev, 1970, Soviet
Math. Dokl. 11, 1209). A line stays in registers while others are added to it.
"""

from __future__ import annotations

from typing import Any

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
    total, lines, index = (
        context.make_array(kind)(context, builder, argument)
        for kind, argument in zip(signature.args, arguments, strict=True)
    )
    n = builder.extract_value(index.shape, 0)
    stride = builder.extract_value(lines.strides, 0)
    base = builder.ptrtoint(lines.data, integer)
    place = builder.bitcast(total.data, line.as_pointer())
    before = builder.block
    start = builder.load(place, align=4)
    loop, done = builder.append_basic_block(), builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">", n, integer(0)), loop, done)
    builder.position_at_end(loop)
    k, partial = builder.phi(integer), builder.phi(line)
    row = builder.zext(builder.load(builder.gep(index.data, [k])), integer)
    address = builder.inttoptr(builder.add(base, builder.mul(row, stride)), line.as_pointer())
    added = builder.fadd(partial, builder.load(address, align=4))
    following = builder.add(k, integer(1))
    k.add_incoming(integer(0), before)
    k.add_incoming(following, loop)
    partial.add_incoming(start, before)
    partial.add_incoming(added, loop)
    builder.cbranch(builder.icmp_signed("<", following, n), loop, done)
    builder.position_at_end(done)
    result = builder.phi(line)
    result.add_incoming(start, before)
    result.add_incoming(added, loop)
    builder.store(result, place, align=4)
    return context.get_dummy_value()


def _add_lines(context, total, lines, index):
    return types.void(total, lines, index), _generate


# Add lines[index[0]], then lines[index[1]], ... to ``total``: float32 of shape (LINE,), (n, LINE);
# uint32. Numba's own loop loads and stores the total for every line, which takes twice as long.
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
def name_states(states, low, k, per_table, index, start, stop):
    """Write which lines of the tables each row needs; returns whether all states are low or 1.

    ``index`` has shape (rows, groups); numbers begin again with each table of ``per_table`` groups.
    """
    others = 0
    n = states.shape[1]
    one = states.dtype.type(1)
    for row in range(start, stop):
        x, names = states[row], index[row]
        for group in range(names.size):
            own = x[k * group : min(k * group + k, n)]
            state = 0
            for i in range(own.size):
                state |= int(own[i] == one) << i
                others += own[i] != one and own[i] != low
            names[group] = ((group % per_table) << k) + state
    return others == 0
