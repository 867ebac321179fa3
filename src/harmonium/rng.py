"""Counter-based random streams: the whole randomness of a run is a few integers.

A stream is a key (the seed), a lane (what the numbers are for, and its rank among the streams
of that purpose) and a position. The bits come from Philox4x32-10 [1]_, a bijection of a 128-bit
counter under a 64-bit key, so any number of any draw can be computed by itself, on any device and
by any number of threads. Who draws from which lane is one table, `LANES`.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw (2011), "Parallel random numbers:
   as easy as 1, 2, 3", SC'11.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

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


class Lane(NamedTuple):
    """What the numbers of one purpose and rank are, and which modules draw them.

    Attributes
    ----------
    purpose, rank
        Of the streams; None is any rank.
    numbers
        What they are.
    modules
        Who draws them, as paths below the package.
    part
        The part of the positions, where several uses share a lane and keep apart in that way.
    """

    purpose: Purpose
    rank: int | None
    numbers: str
    modules: tuple[str, ...]
    part: str = ""


LANES = (
    Lane(
        Purpose.INIT,
        None,
        "weights (position 0) and biases (1) at the start; the rank is the layer of a network that "
        "begins at random",
        ("rbm.py", "deep/layers.py", "estimators/rbm_training.py"),
    ),
    Lane(
        Purpose.SPLIT,
        0,
        "the order in which rows are held out",
        ("datasets/splits.py", "estimators/rbm_classifier.py"),
    ),
    Lane(Purpose.SPLIT, 0, "the order of the bundled digits", ("datasets/digits.py",)),
    Lane(Purpose.SPLIT, 1, "the rows that are learned from, of all", ("datasets/splits.py",)),
    Lane(
        Purpose.SPLIT, 1, "the rows that an evaluation takes, of all", ("runs/answers/evaluate.py",)
    ),
    Lane(
        Purpose.SHUFFLE,
        0,
        "the order of rows in an epoch, which is the position",
        ("datasets/minibatches.py",),
    ),
    Lane(
        Purpose.ENCODE,
        0,
        "states of the rows of a minibatch; the position is its update",
        ("datasets/minibatches.py",),
    ),
    Lane(
        Purpose.ENCODE,
        1,
        "states of the rows that a training is watched by, and shown with",
        (
            "monitor.py",
            "deep/classification_rbm.py",
            "runs/pictures/figures.py",
            "runs/pictures/history.py",
            "runs/pictures/network_figures.py",
        ),
    ),
    Lane(
        Purpose.ENCODE,
        2,
        "states of rows that chains start at, or that are reconstructed; from that position on",
        ("runs/answers/trained.py",),
    ),
    Lane(
        Purpose.ENCODE,
        3,
        "states of the rows that a finished model evaluates or predicts",
        (
            "runs/answers/evaluate.py",
            "deep/network/base.py",
            "runs/classes.py",
            "runs/pictures/tuned_figures.py",
        ),
    ),
    Lane(Purpose.ENCODE, 4, "states of the rows of a diagnosis", ("runs/answers/diagnose.py",)),
    Lane(
        Purpose.ENCODE,
        5,
        "states of the rows whose columns are compared with those of samples",
        ("runs/pictures/network_figures.py", "runs/pictures/table_figures.py"),
    ),
    Lane(
        Purpose.ENCODE,
        6,
        "states of all rows, to see whether they are states of the visible units",
        ("runs/build.py",),
    ),
    Lane(
        Purpose.CHAINS,
        0,
        "chains of a training, where they start and how they move",
        ("training/learner.py",),
    ),
    Lane(
        Purpose.MONITOR,
        0,
        "which rows are watched, of training (position 0) and held out (1)",
        ("monitor.py", "deep/classification_rbm.py"),
    ),
    Lane(
        Purpose.MONITOR,
        0,
        "states of the rows of an estimator's learning curve",
        ("estimators/curves.py",),
    ),
    Lane(Purpose.MONITOR, 0, "flips of the chains of a benchmark", ("benchmark/ours.py",)),
    Lane(Purpose.MONITOR, 1, "what a look draws; the position is its update's", ("monitor.py",)),
    Lane(Purpose.MONITOR, 2, "units of the last pseudo-log-likelihood", ("monitor.py",)),
    Lane(Purpose.MONITOR, 3, "states of the rows of a verdict", ("runs/verdicts.py",)),
    Lane(
        Purpose.SAMPLE,
        0,
        "samples of a model",
        (
            "rbm.py",
            "benchmark/ours.py",
            "runs/answers/sample.py",
            "estimators/dbn_transformer.py",
            "estimators/rbm.py",
            "estimators/rbm_classifier.py",
            "runs/pictures/figures.py",
        ),
    ),
    Lane(
        Purpose.SAMPLE,
        1,
        "samples of an estimator that was given a random state for them",
        ("estimators/classification.py", "estimators/dbn_transformer.py", "estimators/rbm.py"),
    ),
    Lane(
        Purpose.SAMPLE,
        1,
        "chains from rows for the history of CD; the position is the update's",
        ("runs/pictures/history.py",),
    ),
    Lane(Purpose.SAMPLE, 2, "the film of a run", ("runs/pictures/figures.py",)),
    Lane(
        Purpose.SAMPLE,
        3,
        "samples whose columns are compared with those of rows",
        ("runs/pictures/figures.py",),
    ),
    Lane(Purpose.SAMPLE, 4, "a first draw, to see whether Numba works", ("kernels/backends.py",)),
    Lane(
        Purpose.LIKELIHOOD,
        None,
        "annealing; the rank is the block of chains",
        ("likelihood/annealing.py",),
    ),
    Lane(
        Purpose.LIKELIHOOD,
        0,
        "states on which two layers' energies are compared",
        ("likelihood/checks.py",),
    ),
    Lane(
        Purpose.LIKELIHOOD,
        None,
        "annealing back; the rank is the block of chains",
        ("likelihood/annealing.py",),
        "REVERSE",
    ),
    Lane(
        Purpose.LIKELIHOOD,
        None,
        "the pilot that places temperatures; the rank is its round",
        ("likelihood/path.py",),
        "PILOT",
    ),
    Lane(
        Purpose.LIKELIHOOD,
        0,
        "the rows that tempered chains start at",
        ("likelihood/work.py",),
        "ROWS",
    ),
    Lane(
        Purpose.LIKELIHOOD,
        0,
        "the particles that follow log Z along a training",
        ("likelihood/population.py",),
        "FOLLOW",
    ),
    Lane(Purpose.LIKELIHOOD, 0, "tempered chains", ("likelihood/tempered.py",), "TEMPERED"),
    Lane(Purpose.DIAGNOSE, 0, "chains of a diagnosis", ("diagnostics/diagnosis.py",)),
    Lane(Purpose.DIAGNOSE, 1, "the rows of a diagnosis, of all", ("runs/answers/diagnose.py",)),
    Lane(
        Purpose.DREAM,
        0,
        "samples of a deep belief network",
        ("runs/answers/sample.py", "runs/pictures/network_figures.py"),
    ),
    Lane(Purpose.DREAM, 1, "the film of a network", ("runs/pictures/network_figures.py",)),
    Lane(
        Purpose.DREAM,
        2,
        "samples of a network whose columns are compared with those of rows",
        ("runs/pictures/network_figures.py",),
    ),
    Lane(Purpose.FINETUNE, 0, "what dropout drops", ("deep/finetuning/state.py",)),
)
"""Every stream of the library that is not a caller's own.

Where a lane stands here twice, both uses get the same numbers if their seeds and positions are
alike. They make different things of them, and another rank would change the bits of what one of
them has always made; so these stay, `tests/test_lanes.py` lists them, and refuses new ones.
"""


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
        Which of the streams of this purpose, 0 to 65,535: the library's own are `LANES`.
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
    """The seed of a stack's layer, from 0: layers share no random numbers, nor do other seeds.

    That of the first is the seed itself, so that one out of range is refused there.
    """
    return (seed + layer * _BETWEEN_LAYERS) % _MAX_SEED if layer else seed
