"""What the one loop trains: a state that makes an update at a time, and reports its progress."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium.arguments import check_type, described, is_whole
from harmonium.datasets import Minibatches
from harmonium.gradient import CenteredGradient, Gradient, GradientCheck, Penalties
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.sampling import ChainState, Sampler, start_random
from harmonium.units import Units

Row = dict[str, Any]
"""Numbers by name, with a warning if one must not be trusted (`harmonium.metrics`)."""

# On CUDA, updates between two checks for non-finite gradients, if no row or epoch checks first.
_SETTLE_EVERY = 1_000


class Learner(ABC):
    """A training between two updates, whatever it trains; subclasses are its complete state.

    Attributes
    ----------
    optimizer
        Descends the gradient of each update.
    schedule
        Changes the learning rate after each update; None keeps it.
    stream
        Random numbers of the updates.
    seed
        Random seed that also orders and encodes the rows (`Minibatches.batch`).
    update
        Updates made so far.
    """

    called: ClassVar[str] = "model"
    """What is trained, for messages."""

    optimizer: Optimizer
    schedule: LRScheduler | None
    stream: Stream
    seed: int
    update: int

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def is_over(self) -> bool:
        """Whether early stopping has ended the training."""
        return False

    @property
    def device_check(self) -> GradientCheck | None:
        """On CUDA, what the device knows of the gradients, and the host has not asked for yet."""
        return None

    def ran_away(self) -> str | None:
        """Which parameter has run away, in words; None if none has, or none can."""
        return None

    @abstractmethod
    def targets(self, batches: Minibatches) -> Tensor | None:
        """Check that it can learn from these rows; returns their targets, if it needs any."""

    def states(self, batches: Minibatches) -> Any:
        """The rows that the next update learns from."""
        return batches.batch(self.update, self.seed)

    @abstractmethod
    def learn_(
        self, batch: Any, targets: Tensor | None, batch_size: int, weights: Tensor | None
    ) -> None:
        """Make one update from a mini-batch; a full one has ``batch_size`` rows."""

    def watch(
        self,
        batches: Minibatches,
        last: int,
        every: int | None = None,
        held_out: Any = None,
        monitor: Any = None,
    ) -> Progress:
        """What makes rows of numbers up to the last update; the arguments of `training.run`."""
        if held_out is not None or monitor is not None:
            raise ValueError(
                f"this training reports the progress of its {self.called} alone; leave held_out "
                "and monitor out"
            )
        return Progress(every or len(batches), batches, last)


class Contrastive(Learner):
    """A learner whose gradient compares rows with the chains of an RBM, or of one of its layers.

    Attributes
    ----------
    sampler
        Moves the chains of the negative phase.
    chains
        Persistent ones (PCD; Tieleman, 2008). If None, each update starts chains at the rows of its
        mini-batch (CD; Hinton, 2002). PCD and CD differ in nothing else.
    gradient, penalties
        They define what each update writes into ``.grad`` of the RBM.
    """

    sampler: Sampler
    chains: ChainState | None
    gradient: Gradient
    penalties: Penalties

    @staticmethod
    def contrast(
        rbm: RBM,
        sampler: Sampler,
        n_chains: int | None,
        gradient: Gradient | None,
        penalties: Penalties | None,
        seed: int,
    ) -> dict[str, Any]:
        """What a new state is made of, with defaults in place of None; chains start at random."""
        gradient = gradient or CenteredGradient(by_variance=True)
        penalties = penalties or Penalties()
        for name, given, kind, remedy in (
            ("sampler", sampler, Sampler, "a sampler such as Gibbs() or Tempering()"),
            ("gradient", gradient, Gradient, "CenteredGradient() or PlainGradient()"),
            ("penalties", penalties, Penalties, "Penalties(l2=1e-4), with the numbers you want"),
        ):
            check_type(name, given, kind, remedy)
        if n_chains is None and sampler.has_replicas:
            raise ValueError(
                "tempering moves replicas that have to persist, and CD starts chains anew in each "
                "update; pass n_chains, or take Gibbs"
            )
        penalties.check(rbm)
        stream = Lane.CHAINS.stream(seed)
        chains = None if n_chains is None else start_random(rbm, n_chains, stream)
        parts = {"sampler": sampler, "chains": chains, "gradient": gradient, "penalties": penalties}
        return parts | {"stream": stream, "seed": seed}


def finish_(state: Learner) -> None:
    """Count an update, after the optimiser's step."""
    if state.schedule is not None:
        state.schedule.step()
    state.update += 1
    if state.update % _SETTLE_EVERY == 0:
        settle(state)


def settle(state: Learner) -> None:
    """Wait for the device and check the updates so far, and that no parameter has run away.

    It is called at each row of numbers, at the end of each epoch, before a checkpoint is written,
    and after every thousand updates.

    Raises
    ------
    FloatingPointError
        If, on CUDA, the gradient of an update was not finite; the message names the first one. The
        parameters are as they were before it, but ``state`` has counted the updates since, and
        everything else (chains, optimiser, schedule) has made them. Or if a parameter has run away;
        the message names its unit.
    """
    n_bad = 0 if state.device_check is None else state.device_check.undo()
    if n_bad:
        raise not_finite(state, state.update - n_bad + 1)
    away = state.ran_away()
    if away is not None:
        raise diverged(state, f"{away} by update {state.update}")


def not_finite(state: Learner, update: int) -> FloatingPointError:
    """The error to raise where the gradient of this update is not finite."""
    what = f"the gradient of update {update} is not finite"
    away = state.ran_away()
    what += "" if away is None else f": {away}"
    return diverged(state, f"{what}; the {state.called} is as it was before it")


def diverged(state: Learner, what: str) -> FloatingPointError:
    """The error to raise where a training went wrong in this way; says what helps."""
    return FloatingPointError(
        f"{what}. The learning rate, {state.learning_rate:g}, is probably too large: go on from "
        "the last checkpoint or start again with a smaller one"
    )


class Progress:
    """Makes a row of numbers whenever one is due; by itself only of progress.

    Parameters
    ----------
    every
        Updates from one row to the next.
    batches
        The training data.
    last
        Number of the run's last update, which always gets a row, as one does where it ends sooner.
    """

    def __init__(self, every: int, batches: Minibatches, last: int) -> None:
        check_every(every)
        self._every, self._batches, self._last = every, batches, last
        self._since: tuple[float, int] | None = None

    def is_due(self, update: int) -> bool:
        """Whether a row follows this update."""
        return update % self._every == 0 or update == self._last

    def __call__(self, state: Any) -> Row | None:
        """Call after every update, and once before the first; returns a row when one is due."""
        row = None
        if self._since is None or state.update == self._since[1]:
            self._since = (time.perf_counter(), state.update)
        elif self.is_due(state.update) or state.is_over:
            settle(state)  # before the time is measured: the updates must have finished
            row = self._row(state, *self._since)
            self._since = (time.perf_counter(), state.update)
        self.prepare(state)
        return row

    def _row(self, state: Any, began: float, first: int) -> Row:
        per_second = (state.update - first) / (time.perf_counter() - began)
        rows_per_update = len(self._batches.data) / len(self._batches)
        return {
            "update": state.update,
            "epoch": round(state.update / len(self._batches), 6),
            "learning_rate": state.learning_rate,
            **self.numbers(state),
            "rows_per_second": per_second * rows_per_update,
            **self.rates(state, per_second),
        }

    def prepare(self, state: Any) -> None:
        """Called after every update, for what has to be remembered from before the next."""
        return

    def numbers(self, state: Any) -> Row:
        """What the row says of the model."""
        return {}

    def rates(self, state: Any, per_second: float) -> Row:
        """What else the row says of the speed, given the updates per second."""
        return {}


def check_every(every: int) -> None:
    """Refuse anything but a positive number of updates between evaluations."""
    if not is_whole(every):
        raise TypeError(f"every is {described(every)}; pass a whole number of updates, 1 or more")
    if every < 1:
        raise ValueError(f"every is {every}; pass 1 or more updates")


def check_hidden_differ(weights: Tensor, hidden: Units, remedy: str) -> None:
    """Refuse to train identical hidden units, because they would stay identical.

    Parameters
    ----------
    weights
        Weights that lead to the units, shape (n_columns below, hidden.n_columns).
    hidden
        The units.
    remedy
        Code that draws the weights, for the message.

    Raises
    ------
    ValueError
        If there are two or more, and all have the same weights and biases.
    """
    bias = hidden.bias
    if len(bias) > 1 and bool((bias == bias[0]).all()) and bool((weights == weights[:, :1]).all()):
        zero = "zero" if not bool(weights.any()) else "the same"
        raise ValueError(
            f"all {len(bias)} hidden units are alike: their weights are {zero}, so that every "
            f"update would change them alike; draw the weights first: {remedy}"
        )
