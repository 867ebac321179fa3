"""How the estimators of one RBM train it: from plain parameters to the one training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from harmonium import training
from harmonium.datasets import Minibatches
from harmonium.estimators.base import (
    check_choice,
    check_integers,
    check_numbers,
    check_weight_std,
    width_of,
)
from harmonium.estimators.rows import ArrayRows
from harmonium.gradient import Gradient
from harmonium.monitor import Monitor
from harmonium.rbm import RBM
from harmonium.training import Row, TrainingState
from harmonium.units import Binary, Units

_MONITORED_ROWS = 500

_TOLD = ("held_out_error", "pseudo_log_likelihood", "reconstruction_error")
_NAMES = {"pseudo_log_likelihood": "pseudo-likelihood"}


def check_training(estimator: Any) -> None:
    """Refuse parameters of training that are out of their range."""
    check_integers(estimator, n_components=1, batch_size=1, n_iter=0)
    check_numbers(estimator, learning_rate=0.0, momentum=0.0)
    check_weight_std(estimator)
    check_choice(estimator, "schedule", ("constant", "linear"))
    if isinstance(estimator.n_chains, str) and estimator.n_chains != "batch_size":
        raise ValueError(
            f"n_chains is {estimator.n_chains!r}; pass 'batch_size', an integer, or None for "
            "contrastive divergence"
        )
    if estimator.n_chains is not None and estimator.n_chains != "batch_size":
        check_integers(estimator, n_chains=1)


def begin(
    estimator: Any,
    visible: Units,
    rows: ArrayRows,
    weights: Tensor | None,
    gradient: Gradient | None,
    seed: int,
) -> TrainingState:
    """A training that has not made an update, of an RBM with binary hidden units."""
    rbm = RBM(visible, Binary(int(estimator.n_components))).to(rows.device, rows.dtype)
    moments = Minibatches(rows, len(rows), weights)
    rbm.init_from_data_(moments, seed, width_of(estimator.weight_std))
    n_chains = estimator.n_chains
    return TrainingState.create(
        rbm,
        sampler=copy.deepcopy(estimator.sampler),
        n_chains=int(estimator.batch_size) if n_chains == "batch_size" else n_chains,
        learning_rate=float(estimator.learning_rate),
        momentum=float(estimator.momentum),
        # training fills both in, and a parameter of an estimator stays as it was given
        gradient=copy.deepcopy(gradient),
        penalties=copy.deepcopy(estimator.penalties),
        average_decay=estimator.average_decay,
        seed=seed,
    )


def train(estimator: Any, state: TrainingState, batches: Minibatches) -> None:
    """Train for ``n_iter`` epochs, and say how it goes if that is wanted."""
    set_schedule(estimator, state, batches)
    if estimator.verbose:
        monitor = Monitor(batches.data, n_rows=_MONITORED_ROWS, seed=state.seed)
        for _ in told(
            estimator,
            training.run(state, batches, estimator.n_iter, every=len(batches), monitor=monitor),
        ):
            pass
    else:
        for _ in training.updates(state, batches, estimator.n_iter):
            pass
    state.schedule = None


def set_schedule(estimator: Any, state: TrainingState, batches: Minibatches) -> None:
    """Let the learning rate fall to zero over all epochs, if that is wanted."""
    n_updates = estimator.n_iter * len(batches)
    if estimator.schedule == "linear" and n_updates:
        state.schedule = training.linear_to_zero(state.optimizer, n_updates)


def set_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Go on at this rate, wherever a schedule has ended."""
    for group in optimizer.param_groups:
        group["lr"] = float(learning_rate)


def told(estimator: Any, rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows of numbers, one an epoch, after a line about each."""
    began = time.perf_counter()
    for iteration, row in enumerate(rows, start=1):
        now = time.perf_counter()
        name = next(name for name in _TOLD if name in row)
        value = f"{row[name]:.4f}" if name == "held_out_error" else f"{row[name]:.2f}"
        print(
            f"[{type(estimator).__name__}] Iteration {iteration}, "
            f"{_NAMES.get(name, name.replace('_', ' '))} = {value}, "
            f"time = {now - began:.2f}s"
        )
        began = now
        yield row
