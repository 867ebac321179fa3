"""Training for the estimators of one RBM: from plain parameters to the training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from harmonium import defaults, kernels, training
from harmonium.datasets import Minibatches
from harmonium.estimators.amounts import UPDATES_BEFORE_PATIENCE
from harmonium.estimators.checks import check_choice, check_integers, check_numbers, width_of
from harmonium.estimators.curves import LossCurve
from harmonium.estimators.rows import ArrayRows
from harmonium.gauge import Moments
from harmonium.gradient import Gradient, Penalties
from harmonium.monitor import Monitor
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.sampling import Sampler
from harmonium.training import EarlyStopping, Look, Progress, Row, TrainingState, Watch
from harmonium.units import Binary, Units

_MONITORED_ROWS = 500

_TOLD = ("held_out_error", "pseudo_log_likelihood", "reconstruction_error")
_NAMES = {"pseudo_log_likelihood": "pseudo-likelihood"}


@dataclass(eq=False, repr=False)
class RBMParameters:
    """Parameters of every estimator of one RBM, each of which describes them."""

    n_components: int = 256
    _: KW_ONLY
    learning_rate: Any = 0.1
    batch_size: Any = 10
    n_iter: Any = 10
    verbose: int = 0
    random_state: Any = None
    n_chains: Any = "batch_size"
    sampler: Sampler | None = None
    penalties: Penalties | None = None
    momentum: float = defaults.MOMENTUM
    schedule: str = "constant"
    average_decay: float | None = defaults.AVERAGE_DECAY
    weight_std: float | None = None
    device: str | torch.device = "cpu"
    dtype: Any = "float32"


def check_training(estimator: RBMParameters, *, or_none: bool = False) -> None:
    """Reject training parameters that are out of range.

    With ``or_none``, the learning rate, the batch size and the epochs may be None.
    """
    check_integers(estimator, n_components=1)
    check_integers(estimator, or_none=or_none, batch_size=1, n_iter=0)
    check_numbers(estimator, or_none=or_none, learning_rate=0.0)
    check_numbers(estimator, momentum=0.0)
    check_numbers(estimator, or_none=True, weight_std=0.0)
    check_choice(estimator, "schedule", ("constant", "linear"))
    if estimator.n_chains == "batch_size":
        return
    if isinstance(estimator.n_chains, str):
        raise ValueError(
            f"n_chains is {estimator.n_chains!r}; pass 'batch_size', an integer, or None for "
            "contrastive divergence"
        )
    check_integers(estimator, or_none=True, n_chains=1)


def begin(
    estimator: Any,
    visible: Units,
    rows: ArrayRows,
    weights: Tensor | None,
    gradient: Gradient | None,
    seed: int,
    *,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    adaptive: bool = False,
) -> TrainingState:
    """The state at the start of training an RBM with binary hidden units.

    Parameters
    ----------
    learning_rate, batch_size
        Given if they differ from the estimator's parameters.
    adaptive
        Whether to use Adam instead of plain gradient descent.
    """
    rate = float(estimator.learning_rate if learning_rate is None else learning_rate)
    rbm = RBM(visible, Binary(int(estimator.n_components))).to(rows.device, rows.dtype)
    moments = Moments(*Minibatches(rows, len(rows), weights).moments())
    rbm.init_from_data_(moments, seed, width_of(estimator.weight_std))
    if estimator.weight_std is None:
        _spread_thresholds_(rbm, moments.var, seed)
    n_chains = estimator.n_chains
    if n_chains == "batch_size":
        n_chains = int(estimator.batch_size if batch_size is None else batch_size)
    optimizer = None
    if adaptive:
        learned = [parameter for parameter in rbm.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(learned, lr=rate, fused=True)
    return TrainingState.create(
        rbm,
        sampler=copy.deepcopy(estimator.sampler),
        n_chains=n_chains,
        learning_rate=rate,
        momentum=float(estimator.momentum),
        optimizer=optimizer,
        # training completes both, but a parameter of an estimator must not change
        gradient=copy.deepcopy(gradient),
        penalties=copy.deepcopy(estimator.penalties),
        average_decay=estimator.average_decay,
        seed=seed,
    )


@torch.no_grad()
def _spread_thresholds_(rbm: RBM, var: Tensor, seed: int) -> None:
    """Spread the thresholds of hidden units over data of this variance, not all at the mean.

    Features that all change sign at the mean are odd functions there: no sum of them separates a
    ring from the ring around it. Biases vary by as much as the data vary the inputs, and by at
    least 1, because a logistic function is nearly linear over less.
    """
    spread = (var.to(rbm.weights) @ rbm.weights.square()).sqrt().clamp(min=1)
    drawn = kernels.normal((1, len(spread)), Lane.WEIGHTS.stream(seed, 1), dtype=spread.dtype)
    rbm.hidden.bias.add_(drawn[0] * spread)


def train(
    estimator: Any,
    state: TrainingState,
    batches: Minibatches,
    n_iter: int | None = None,
    held_out: Look | None = None,
    judged: Minibatches | None = None,
) -> RBM | None:
    """Train for ``n_iter`` epochs, printing progress if requested.

    With ``held_out``, which judges a model, training stops early and the best model is returned.
    ``judged`` are the rows that `loss_curve_` is about; None for the training rows.
    """
    n_iter = int(estimator.n_iter if n_iter is None else n_iter)
    judged = batches if judged is None else judged
    curve = LossCurve(judged.data, estimator._losses, judged.row_weights)
    every, last = len(batches), n_iter * len(batches)
    if estimator.schedule == "linear" and last:
        state.schedule = training.linear_to_zero(state.optimizer, last)
    look = held_out
    if held_out is None and estimator.verbose:
        look = Monitor(judged.data, n_rows=_MONITORED_ROWS, seed=state.seed)
    watch = Progress(every, batches, last) if look is None else Watch(look, every, batches, last)
    stopping = None if held_out is None else EarlyStopping(estimator.patience)
    rows = training.watched(state, batches, n_iter, watch)
    for row in told(estimator, rows) if estimator.verbose else rows:
        curve.look(state.model)
        if stopping is not None:
            stopping.look(state.model, row)
            if stopping.is_over and state.update >= UPDATES_BEFORE_PATIENCE:
                break
    state.schedule = None
    estimator.n_iter_, estimator.loss_curve_ = len(curve.values), curve.values
    return None if stopping is None else stopping.model


def set_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Continue at this rate, wherever a schedule has ended."""
    for group in optimizer.param_groups:
        group["lr"] = float(learning_rate)


def told(estimator: Any, rows: Iterator[Row]) -> Iterator[Row]:
    """Pass on the rows of numbers, one per epoch, printing a line about each."""
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
