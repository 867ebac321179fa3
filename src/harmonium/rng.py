"""Counter-based random streams: the whole randomness of a run is a few integers.

A stream is a key (the seed), a lane (what the numbers are for, and its rank among the streams
of that purpose) and a position. The bits come from Philox4x32-10 [1]_, a bijection of a 128-bit
counter under a 64-bit key, so any number of any draw can be computed by itself, on any device and
by any number of threads. What is drawn from which lane is one table, `Lane`.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw (2011), "Parallel random numbers:
   as easy as 1, 2, 3", SC'11.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
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


class Lane(Enum):
    """The library's own streams: purpose, rank, what their numbers are, and where they begin.

    A rank of None is one that the caller says. Where purpose, rank and beginning stand here twice,
    both uses get the same numbers if their seeds and positions are alike. They make different
    things of them, and another rank would change the bits of what one of them has always made; so
    these stay, `tests/test_lanes.py` lists them, and refuses new ones.
    """

    WEIGHTS = (
        Purpose.INIT,
        None,
        "weights (position 0) and biases (1) at the start; the rank is the layer of a network that "
        "begins at random",
    )
    HELD_OUT = Purpose.SPLIT, 0, "the order in which rows are held out"
    DIGITS = Purpose.SPLIT, 0, "the order of the bundled digits"
    LEARNED_ROWS = Purpose.SPLIT, 1, "the rows that are learned from, of all"
    EVALUATED_ROWS = Purpose.SPLIT, 1, "the rows that an evaluation takes, of all"
    EPOCH = Purpose.SHUFFLE, 0, "the order of rows in an epoch, which is the position"
    BLOCKS = (
        Purpose.SHUFFLE,
        1,
        "the order of rows of blocks on disk that are shuffled together; the position counts them",
    )
    BATCH = Purpose.ENCODE, 0, "states of the rows of a minibatch; the position is its update"
    WATCHED = Purpose.ENCODE, 1, "states of the rows that a training is watched by, and shown with"
    STARTS = (
        Purpose.ENCODE,
        2,
        "states of rows that chains start at, or that are reconstructed; from that position on",
    )
    USED = Purpose.ENCODE, 3, "states of the rows that a finished model evaluates or predicts"
    DIAGNOSED = Purpose.ENCODE, 4, "states of the rows of a diagnosis"
    COMPARED = (
        Purpose.ENCODE,
        5,
        "states of the rows whose columns are compared with those of samples",
    )
    CHECKED = (
        Purpose.ENCODE,
        6,
        "states of all rows, to see whether they are states of the visible units",
    )
    HALVES = Purpose.ENCODE, 16, "which words of documents are known, and which are predicted"
    CHAINS = Purpose.CHAINS, 0, "chains of a training, where they start and how they move"
    WATCHED_ROWS = (
        Purpose.MONITOR,
        0,
        "which rows are watched, of training (position 0) and held out (1)",
    )
    CURVE = Purpose.MONITOR, 0, "states of the rows of an estimator's learning curve"
    FLIPS = Purpose.MONITOR, 0, "flips of the chains of a benchmark"
    LOOK = Purpose.MONITOR, 1, "what a look draws; the position is its update's"
    LAST_LOOK = Purpose.MONITOR, 2, "units of the last pseudo-log-likelihood"
    VERDICT = Purpose.MONITOR, 3, "states of the rows of a verdict"
    SAMPLES = Purpose.SAMPLE, 0, "samples of a model"
    STATED_SAMPLES = (
        Purpose.SAMPLE,
        1,
        "samples of an estimator that was given a random state for them",
    )
    HISTORY = (
        Purpose.SAMPLE,
        1,
        "chains from rows for the history of CD; the position is the update's",
    )
    FILM = Purpose.SAMPLE, 2, "the film of a run"
    COMPARED_SAMPLES = Purpose.SAMPLE, 3, "samples whose columns are compared with those of rows"
    FIRST_DRAW = Purpose.SAMPLE, 4, "a first draw, to see whether Numba works"
    IMPUTED = Purpose.SAMPLE, 5, "what is missing of rows, drawn given what is observed"
    COMPLETED = (
        Purpose.SAMPLE,
        6,
        "missing values of rows that are shown or diagnosed; from the first row's number on",
    )
    ANNEALING = Purpose.LIKELIHOOD, None, "annealing; the rank is the block of chains"
    ENERGIES = Purpose.LIKELIHOOD, 0, "states on which two layers' energies are compared"
    REVERSE = Purpose.LIKELIHOOD, None, "annealing back; the rank is the block of chains", 1 << 36
    PILOT = (
        Purpose.LIKELIHOOD,
        None,
        "pilots that place temperatures; the rank is the round",
        2 << 36,
    )
    TEMPERED_ROWS = Purpose.LIKELIHOOD, 0, "the rows that tempered chains start at", 3 << 36
    PARTICLES = Purpose.LIKELIHOOD, 0, "the particles that follow log Z along a training", 4 << 36
    TEMPERED = Purpose.LIKELIHOOD, 0, "tempered chains", 5 << 36
    CLAMPED = (
        Purpose.LIKELIHOOD,
        None,
        "annealing of what is missing of rows; the rank is the round",
        6 << 36,
    )
    COMPLETIONS = (
        Purpose.CHAINS,
        1,
        "missing values of the rows of a training, where they start and how they move",
    )
    LENGTHS = Purpose.LIKELIHOOD, 0, "annealing over the lengths of documents, upwards", 8 << 36
    LENGTHS_BACK = Purpose.LIKELIHOOD, 0, "and downwards", 9 << 36
    WATCHED_COMPLETIONS = (
        Purpose.MONITOR,
        4,
        "missing values of rows that are watched; the position is the update's",
    )
    DIAGNOSIS = Purpose.DIAGNOSE, 0, "chains of a diagnosis"
    DIAGNOSED_ROWS = Purpose.DIAGNOSE, 1, "the rows of a diagnosis, of all"
    COMPARED_SAMPLE_ROWS = Purpose.DIAGNOSE, 2, "the rows that samples are compared with, of all"
    TRIPLES = Purpose.DIAGNOSE, 3, "the triples of columns whose moments are compared"
    THINNED = Purpose.DIAGNOSE, 5, "the rows that are kept, of some with weights"
    PAIRWISE = Purpose.DIAGNOSE, 4, "chains of a pairwise model that is being fitted"
    DREAM = Purpose.DREAM, 0, "samples of a deep belief network"
    DREAM_FILM = Purpose.DREAM, 1, "the film of a network"
    COMPARED_DREAM = (
        Purpose.DREAM,
        2,
        "samples of a network whose columns are compared with those of rows",
    )
    DROPOUT = Purpose.FINETUNE, 0, "what dropout drops"

    def __init__(self, purpose: Purpose, rank: int | None, numbers: str, begins: int = 0) -> None:
        self.purpose, self.rank, self.numbers, self.begins = purpose, rank, numbers, begins

    def stream(self, seed: int, position: int = 0, *, rank: int = 0) -> Stream:
        """The stream of a seed, at a position from the lane's beginning."""
        if rank and self.rank is not None:
            raise ValueError(f"the rank of {self} is {self.rank}; leave it out")
        return Stream(seed, self.purpose, self.rank or rank, self.begins + position)


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
        Which of the streams of this purpose, 0 to 65,535: the library's own are in `Lane`.
    position
        Number of draws already taken, 0 to 2**40 - 1.
    """

    seed: int
    purpose: Purpose
    rank: int = 0
    position: int = 0

    # not a field: it belongs to a call, and no file keeps it
    first_row = 0

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
        stream = Stream(self.seed, self.purpose, self.rank, position)
        stream.first_row = self.first_row
        return stream

    def of_rows(self, first: int) -> Stream:
        """The same stream for the rows from number ``first`` on of a table: it gives their numbers.

        It does not move this one; whoever has drawn takes over its position.
        """
        stream = self.at(self.position)
        stream.first_row += first
        return stream

    def take(self) -> tuple[int, int, Word, Word]:
        """Take one draw: Philox key words 0, 1 and counter words 2, 3; advances the position.

        Counter words 0 and 1 are left to the draw (column group and row). Purpose, rank and
        the position's high bits share word 3, so that lanes are disjoint by construction. Above
        its 32 bits stands the number of the first row (`of_rows`), which the draw adds to its own.
        """
        position = self.position
        if position >= _MAX_POSITION:
            raise OverflowError(f"this stream gave all its {_MAX_POSITION} draws; take a new seed")
        self.position = position + 1
        lane = (self.purpose << 24) | (self.rank << 8) | (position >> 32) | self.first_row << 32
        return self.seed & 0xFFFFFFFF, self.seed >> 32, position & 0xFFFFFFFF, lane


def seed_of_layer(seed: int, layer: int) -> int:
    """The seed of a stack's layer, from 0: layers share no random numbers, nor do other seeds.

    That of the first is the seed itself, so that one out of range is refused there.
    """
    return (seed + layer * _BETWEEN_LAYERS) % _MAX_SEED if layer else seed
