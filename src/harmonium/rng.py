"""Counter-based random streams: the whole randomness of a run is a few integers.

A stream is a key (the seed), a lane (what the numbers are for, and on which rank) and a
position. The bits come from Philox4x32-10 [1]_, a bijection of a 128-bit counter under a
64-bit key, so any number of any draw can be computed by itself, on any device and by any
number of threads.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw (2011), "Parallel random numbers:
   as easy as 1, 2, 3", SC'11.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from numbers import Integral
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

_MAX_SEED = 2**64
_MAX_RANK = 2**16
_MAX_POSITION = 2**40
_BETWEEN_LAYERS = 2**32


# Of Philox' key or counter: a number, or one that is kept on a device, int64 of shape ().
Word: TypeAlias = "int | Tensor"


class Purpose(IntEnum):
    """What a stream's numbers are for; two purposes never share bits.

    The values are part of the checkpoint format: new ones are appended, none is ever reused.
    """

    INIT = 0
    SPLIT = 1
    SHUFFLE = 2
    ENCODE = 3
    CHAINS = 4
    MONITOR = 5
    SAMPLE = 6
    LIKELIHOOD = 7
    DIAGNOSE = 8
    DREAM = 9
    FINETUNE = 10


@dataclass
class Stream:
    """A stream of random numbers: a key, a lane and a position.

    Every draw, whatever its shape, advances ``position`` by one. Number ``(row, column)`` of a
    draw depends on the stream, the position, the row, the column and the number of columns,
    and on nothing else: a chain's numbers stay the same when other chains are added.

    Parameters
    ----------
    seed
        0 to 2**64 - 1; the Philox key.
    purpose
        What the numbers are for.
    rank
        Which of several processes or replicas, 0 to 65,535.
    position
        Number of draws already taken, 0 to 2**40 - 1.
    """

    seed: int
    purpose: Purpose
    rank: int = 0
    position: int = 0

    def __post_init__(self) -> None:
        """Refuse what does not fit into key and counter."""
        for name, value, bound in (
            ("seed", self.seed, _MAX_SEED),
            ("rank", self.rank, _MAX_RANK),
            ("position", self.position, _MAX_POSITION),
        ):
            if type(value) is not int:
                if not isinstance(value, Integral):
                    raise TypeError(f"{name} is {value!r}; pass an integer from 0 to {bound - 1}")
                setattr(self, name, int(value))  # NumPy's overflow, and do not go into JSON
            if not 0 <= value < bound:
                raise ValueError(f"{name} is {value}; pass an integer from 0 to {bound - 1}")
        self.purpose = Purpose(self.purpose)

    def at(self, position: int) -> Stream:
        """The same stream at an absolute position (random access; this one does not move)."""
        return Stream(self.seed, self.purpose, self.rank, position)

    def take(self) -> tuple[int, int, Word, Word]:
        """Take one draw: Philox key words 0, 1 and counter words 2, 3; advances the position.

        Counter words 0 and 1 are left to the draw (column group and row). Purpose, rank and
        the position's high bits share word 3, so that lanes are disjoint by construction.
        """
        position = self.position
        if position >= _MAX_POSITION:
            raise OverflowError(f"this stream gave all its {_MAX_POSITION} draws; take a new seed")
        self.position = position + 1
        lane = (self.purpose << 24) | (self.rank << 8) | (position >> 32)
        return self.seed & 0xFFFFFFFF, self.seed >> 32, position & 0xFFFFFFFF, lane


def seed_of_layer(seed: int, layer: int) -> int:
    """The seed of a stack's layer, from 0: layers share no random numbers, nor do other seeds."""
    return (seed + layer * _BETWEEN_LAYERS) % _MAX_SEED
