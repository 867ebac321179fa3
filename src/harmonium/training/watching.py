"""Rows of numbers along a run: when they are due, their content, and their cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from harmonium import defaults, diagnostics
from harmonium.datasets import Minibatches, Rows
from harmonium.monitor import Following, Monitor
from harmonium.rbm import RBM
from harmonium.sampling import ChainState
from harmonium.training.learner import Progress, Row

if TYPE_CHECKING:
    from harmonium.training.state import TrainingState

Look = Callable[[RBM, ChainState | None, int], Row]
"""Type of a monitor: maps model, persistent chains and number of the update to numbers."""

_WATCHING_SHARE = 0.03
_PRODUCTS_PER_LOOK = 40

# For a short run: its number of evaluations, and multiplications allowed beyond their share.
_FEWEST_LOOKS = 30
_FREE = 6e10

# Share of a run's cost for tracking log Z: half to reach the model at the first evaluation, half
# for all later ones.
_FOLLOWING_SHARE = 0.03
_PRODUCTS_PER_TEMPERATURE, _PRODUCTS_PER_STEP = 2, 3
_FEWEST_TEMPERATURES = 100

# Multiplications of an annealing beyond that share, about a second: accuracy that a short run loses
# at its first evaluation is lost to all later ones.
_FREE_ANNEALING = 3e10

# How often degenerate particles may be annealed again in a run, at most.
_TIMES_ANEW = 2


class Watch(Progress):
    """Makes a row of numbers about an RBM whenever one is due.

    Parameters
    ----------
    monitor
        Evaluates the model; None reports only progress.
    every, batches, last
        As in `Progress`.
    """

    def __init__(self, monitor: Look | None, every: int, batches: Minibatches, last: int) -> None:
        super().__init__(every, batches, last)
        self._monitor = monitor
        self._weights: Tensor | None = None

    def prepare(self, state: TrainingState) -> None:  # noqa: D102
        if self.is_due(state.update + 1):
            self._weights = state.rbm.weights.detach().clone()

    def numbers(self, state: TrainingState) -> Row:  # noqa: D102
        row: Row = {}
        if self._monitor is not None:
            row |= self._monitor(state.model, state.chains, state.update)
        if isinstance(self._monitor, Monitor):
            likelihoods, state.population = self._monitor.log_likelihood(
                state.model, state.population, state.update == self._last
            )
            row |= likelihoods
        if self._weights is not None:
            ratio = diagnostics.update_ratio(self._weights, state.rbm.weights)
            if math.isfinite(ratio):
                row["update_ratio"] = ratio
        return row

    def rates(self, state: TrainingState, per_second: float) -> Row:  # noqa: D102
        n_chains = self._batches.batch_size if state.chains is None else len(state.chains)
        sweeps = state.sampler.config().get("sweeps", 1)
        row = {"sweeps_per_second": per_second * n_chains * sweeps}
        if state.chains is not None and state.chains.replicas is not None:
            row |= state.chains.replicas.row()
        return row


def default_every(
    batches: Minibatches, state: TrainingState | None = None, n_updates: int | None = None
) -> int:
    """Updates from one evaluation to the next, for thirty or more evaluations in a run.

    Long runs are evaluated after whole epochs, and 500 updates or more. Shorter runs are evaluated
    more often: after whole epochs if there are at least thirty, and as often as costs a few per
    cent of the training, or a second or two.

    Parameters
    ----------
    batches
        The training data.
    state, n_updates
        The run, and its total number of updates; without them the run is assumed to be long.
    """
    n_batches = len(batches)
    every = -(-defaults.MIN_UPDATES_PER_ROW // n_batches) * n_batches
    if state is None or n_updates is None or n_updates >= _FEWEST_LOOKS * every:
        return every
    rbm = state.rbm
    affordable = max(
        _WATCHING_SHARE * n_updates * _products(state, batches), _FREE / rbm.weights.numel()
    )
    per_look = _PRODUCTS_PER_LOOK * min(defaults.MONITOR_ROWS_LEAST, len(batches.data))
    n_looks = max(1, min(_FEWEST_LOOKS, int(affordable / per_look)))
    n_epochs = n_updates // n_batches // n_looks
    return n_epochs * n_batches or max(1, n_updates // n_looks)


def default_monitor(
    state: TrainingState,
    batches: Minibatches,
    held_out: Rows | None,
    every: int,
    n_updates: int,
) -> Monitor:
    """Make a monitor that costs a few per cent of the training.

    The cost is counted in rows times matrix products. An update makes two for each row of the
    mini-batch; for each chain, two per sweep and one more. An evaluation makes about twenty for
    each row, of both training and held-out data. Tracking log Z (`Following`) costs as much again.
    With few updates only few annealing steps are affordable, and the standard error of log Z
    reflects that. Each annealing, at the first evaluation, at the end and when the particles
    degenerate, costs half of that, or a second more.

    Parameters
    ----------
    state, batches, held_out
        The run, its training data, and the held-out rows to evaluate on.
    every
        Updates from one evaluation to the next.
    n_updates
        Total number of updates of the run.
    """
    per_update = _products(state, batches)
    affordable = int(_WATCHING_SHARE * every * per_update / _PRODUCTS_PER_LOOK)
    n_rows = min(max(affordable, defaults.MONITOR_ROWS_LEAST), defaults.MONITOR_ROWS_MOST)
    per_particle = _FOLLOWING_SHARE / 2 * per_update / defaults.PARTICLES
    free = _FREE_ANNEALING / (defaults.PARTICLES * state.rbm.weights.numel())
    n_temperatures = int((per_particle * n_updates + free) / _PRODUCTS_PER_TEMPERATURE)
    n_steps = int(per_particle * every / _PRODUCTS_PER_STEP)
    following = Following(
        n_temperatures=min(
            max(n_temperatures, _FEWEST_TEMPERATURES), defaults.PARTICLE_TEMPERATURES
        ),
        n_steps=min(max(n_steps, 1), defaults.PARTICLE_STEPS),
        n_looks=max(1, -(-n_updates // (every * _TIMES_ANEW))),
    )
    return Monitor(batches.data, held_out, n_rows, state.seed, following, state.missing)


def _products(state: TrainingState, batches: Minibatches) -> int:
    """Rows times matrix products of an update."""
    n_chains = batches.batch_size if state.chains is None else len(state.chains)
    # the first sampler's, so that a resumed run looks as often and at the same rows
    first = state.phases[0][1] if state.phases else state.sampler
    sweeps = first.config().get("sweeps", 1)
    return int(2 * batches.batch_size + (2 * sweeps + 1) * n_chains)
