"""Fine-tuning of a network: the one loop for classifiers, regressors and autoencoders.

It is the shape of `harmonium.training`: a state that is everything, one update, a generator of
updates and a generator of rows. Saving, plotting and stopping are lines of the caller's loop.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults
from harmonium.datasets import Data, Minibatches
from harmonium.deep.layers import Dropout
from harmonium.deep.network import Network
from harmonium.gradient import GradientCheck
from harmonium.optimization import check_optimizer
from harmonium.rng import Purpose, Stream

Row = dict[str, float]

# On CUDA, where nobody looks at rows or epochs, a loss that is not finite is told by then.
_SETTLE_EVERY = 1_000


@dataclass(frozen=True)
class Patience:
    """How many updates are made before fine-tuning stops for want of improvement.

    Held-out rows are looked at now and then (`judge`). After the last improvement, at update u,
    training goes on to update ``max(at_least, growth * u, u + after_best)``.

    Parameters
    ----------
    at_least
        Updates that are made in any case.
    after_best
        Updates without improvement that are waited for.
    growth
        By what factor an improvement lengthens the training, 1 or more.
    threshold
        What counts as an improvement is a score below this share of the best one so far. The best
        model is kept whether it counts or not.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    at_least: int = 0
    after_best: int = 0
    growth: float = 1.0
    threshold: float = 1.0

    def __post_init__(self) -> None:
        for name in ("at_least", "after_best"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; pass 0 or more updates")
        if not (math.isfinite(self.growth) and self.growth >= 1):
            raise ValueError(f"growth is {self.growth}; pass 1 or more")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; pass a share above 0, up to 1")
        if not self.at_least and not self.after_best:
            raise ValueError("at_least and after_best are both 0: nothing would be trained")

    @classmethod
    def of_epochs(cls, n: int, batches: Minibatches) -> Self:
        """Stop after ``n`` epochs without improvement."""
        return cls(after_best=n * len(batches))

    @classmethod
    def classic(cls, at_least: int = 5_000, growth: float = 2.0, threshold: float = 0.995) -> Self:
        """The rule of the deep learning tutorials of Montréal (LISA lab, 2010), with its numbers.

        5,000 minibatches, and twice as many as have been seen at each improvement by half a
        per cent. The tutorials look at the held-out rows once an epoch, or after ``at_least / 2``
        minibatches where that is less.
        """
        return cls(at_least=at_least, growth=growth, threshold=threshold)

    def until(self, improved: int) -> int:
        """The update after which training stops, if the last improvement was at ``improved``."""
        return max(self.at_least, math.ceil(self.growth * improved), improved + self.after_best)


@dataclass
class Best:
    """The best model so far, by held-out rows.

    Attributes
    ----------
    network
        A copy of it.
    score
        Its `Network.criterion`; lower is better.
    update
        When it was.
    improved
        When the score was last lowered by as much as counts for `Patience`.
    """

    network: Network
    score: float
    update: int
    improved: int


@dataclass
class FinetuningState:
    """Everything that fine-tuning is: saving it and going on changes no bit.

    Attributes
    ----------
    network
        What is trained; the stack whose layers it shares moves with it.
    optimizer
        Descends the gradient that each update writes.
    dropout, max_norm
        What keeps units from relying on each other, and their weights from growing.
    stream
        Random numbers of the dropout.
    seed
        Also orders the rows and encodes them (`Minibatches.batch`).
    schedule
        Changes the learning rate after each update; None keeps it.
    patience
        When to stop; None goes on to the end.
    best
        The best model so far; None until held-out rows have been looked at (`judge`).
    update
        Updates made so far.
    loss_sum, loss_rows
        Losses since the last row of numbers: their sum, float64 of shape (), and of how many rows.
    check
        On CUDA, what spares the host waiting for the device; no part of a checkpoint.
    """

    network: Network
    optimizer: Optimizer
    dropout: Dropout
    max_norm: float | None
    stream: Stream
    seed: int
    loss_sum: Tensor
    schedule: LRScheduler | None = None
    patience: Patience | None = None
    best: Best | None = None
    update: int = 0
    loss_rows: int = 0
    check: GradientCheck | None = field(default=None, repr=False, compare=False)

    @classmethod
    def create(
        cls,
        network: Network,
        *,
        learning_rate: float = defaults.FINETUNING_RATE,
        momentum: float = defaults.MOMENTUM,
        weight_decay: float = 0.0,
        optimizer: Optimizer | None = None,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        dropout: Dropout | None = None,
        max_norm: float | None = None,
        patience: Patience | None = None,
        seed: int = defaults.SEED,
    ) -> FinetuningState:
        """Begin to fine-tune.

        Parameters
        ----------
        network
            A `Classifier`, `Regressor` or `Autoencoder`.
        learning_rate, momentum, weight_decay
            Of plain stochastic gradient descent; not used if an optimiser is given. The decay
            pulls weights towards zero, and leaves biases alone.
        optimizer
            Any `torch.optim` optimiser over ``network.parameters()`` that needs no closure.
        schedule
            Makes a scheduler that is stepped after each update, e.g.
            ``lambda optimizer: training.linear_to_zero(optimizer, n_updates)``.
        dropout
            None by default.
        max_norm
            Largest length of the weights into one unit, of every layer: longer ones are shortened
            after each update (Srivastava et al., 2014). None for any.
        patience
            When to stop early, which needs held-out rows; None to go on to the end.
        seed
            Of everything that is random.

        Raises
        ------
        ValueError
            If an option is out of its range.
        """
        if max_norm is not None and not (math.isfinite(max_norm) and max_norm > 0):
            raise ValueError(f"max_norm is {max_norm}; pass a positive number, or None")
        if optimizer is None:
            optimizer = _sgd(network, learning_rate, momentum, weight_decay)
        else:
            check_optimizer(
                optimizer,
                network,
                called="network",
                why_no_lbfgs="LBFGS asks for losses along a line, which an update does not know",
            )
            if weight_decay:
                raise ValueError(
                    f"weight_decay is {weight_decay}, but an optimizer came too; give it to that"
                )
        return cls(
            network=network,
            optimizer=optimizer,
            dropout=dropout or Dropout(),
            max_norm=max_norm,
            stream=Stream(seed, Purpose.FINETUNE),
            seed=seed,
            loss_sum=torch.zeros((), dtype=torch.float64, device=network.device),
            schedule=schedule(optimizer) if schedule else None,
            patience=patience,
        )

    @property
    def model(self) -> Network:
        """The network to judge and to keep: the best one, where held-out rows have told it."""
        return self.network if self.best is None else self.best.network

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        if self.patience is None:
            return False
        improved = 0 if self.best is None else self.best.improved
        return self.update >= self.patience.until(improved)

    @torch.no_grad()
    def take_best_(self) -> None:
        """Give the network, and so the stack whose layers it shares, the best parameters so far."""
        if self.best is not None:
            _copy_(self.best.network, self.network)


def _sgd(network: Network, learning_rate: float, momentum: float, weight_decay: float) -> Optimizer:
    for name, value in (("learning_rate", learning_rate), ("weight_decay", weight_decay)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} is {value}; pass 0 or a positive number")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}; pass a number from 0 to below 1")
    # momentum, decay and step in one pass over the memory
    return torch.optim.SGD(
        parameter_groups(network, weight_decay), lr=learning_rate, momentum=momentum, fused=True
    )


def parameter_groups(network: Network, weight_decay: float) -> list[dict[str, Any]]:
    """What an optimiser takes so that it pulls weights towards zero, and leaves biases alone."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def update(
    state: FinetuningState,
    v: Tensor,
    targets: Tensor | None = None,
    batch_size: int | None = None,
    weights: Tensor | None = None,
) -> None:
    """Learn from one minibatch.

    Parameters
    ----------
    state
        Changed in place.
    v
        Visible states, shape (rows, n_columns).
    targets
        Those of `Network.targets` that belong to the rows; None where rows are their own targets.
    batch_size
        Rows of a full batch. A shorter one then counts for less, so that every row of an epoch
        has the same weight; None takes this batch for a full one.
    weights
        How much each row counts, shape (rows,): one of weight 2 as much as two rows. None counts
        every row once.

    Raises
    ------
    FloatingPointError
        If the loss or a gradient is not finite, naming the update (the first is 1); the
        parameters are then as they were before it. On CUDA `settle` raises this.
    """
    network = state.network
    v = v.to(network.dtype)
    state.optimizer.zero_grad()
    with torch.enable_grad():
        inputs = network.inputs(v, state.dropout.draws(state.stream))
        losses = network.losses(inputs, v if targets is None else targets)
        if weights is not None:
            weights = weights.to(losses)
            losses = weights * losses
        loss = losses.sum()
        (loss / (batch_size or (len(v) if weights is None else weights.sum()))).backward()
    if state.check is None and loss.is_cuda:
        state.check = GradientCheck(p for p in network.parameters() if p.requires_grad)
    if state.check is None:
        _refuse_non_finite(state, loss)
    else:
        state.check()
    state.optimizer.step()
    if state.max_norm is not None:
        _shorten_(network, state.max_norm)
    if state.schedule is not None:
        state.schedule.step()
    state.update += 1
    state.loss_sum += loss.detach()
    state.loss_rows += len(v)
    if state.update % _SETTLE_EVERY == 0:
        settle(state)


def _refuse_non_finite(state: FinetuningState, loss: Tensor) -> None:
    """Look at the loss and at sums of the biases' gradients.

    A layer's gradient that is bad makes that of its bias bad, which costs little to look at.
    """
    grads = (layer.units.bias.grad for layer in state.network.all_layers)
    sums = (grad.sum().item() for grad in grads if grad is not None)
    if not math.isfinite(loss.item() + sum(sums)):
        raise _not_finite(state, state.update + 1)


def _not_finite(state: FinetuningState, update: int) -> FloatingPointError:
    return FloatingPointError(
        f"the gradient of update {update} is not finite; the network is as it was before it. The "
        f"learning rate, {state.learning_rate:g}, is probably too large: go on from the last "
        "checkpoint or start again with a smaller one"
    )


@torch.no_grad()
def _shorten_(network: Network, longest: float) -> None:
    for layer in network.all_layers:
        lengths = torch.linalg.vector_norm(layer.weights, dim=0)
        layer.weights.mul_((longest / lengths).clamp_(max=1))


def settle(state: FinetuningState) -> None:
    """Wait for the device's verdict on the updates so far; on CPU there is nothing to wait for.

    Raises
    ------
    FloatingPointError
        If the gradient of an update was not finite, naming the first. The parameters are then
        as they were before it, but ``state`` has counted the updates since.
    """
    n_bad = 0 if state.check is None else state.check.undo()
    if n_bad:
        raise _not_finite(state, state.update - n_bad + 1)


def updates(state: FinetuningState, batches: Minibatches, epochs: int) -> Iterator[int]:
    """Train until ``epochs`` epochs have been seen in all, or patience runs out.

    Yields after every update. Patience is asked before the next one, so that the caller's loop can
    look at held-out rows (`judge`) before that.

    Raises
    ------
    ValueError
        Before the first update, for rows or targets that the network cannot learn from.
    """
    data = batches.data
    assert isinstance(data, Data), "fine-tuning learns from Data"
    state.network.check(data)
    targets = state.network.targets(data)
    while state.update < epochs * len(batches) and not state.is_over:
        number = state.update
        weights = batches.weights(number, state.seed)
        if targets is None:
            v, wanted = batches.batch(number, state.seed), None
        else:
            v, wanted = batches.batch_with(targets, number, state.seed)
        update(state, v, wanted, batches.batch_size, weights)
        if state.update % len(batches) == 0:
            settle(state)
        yield state.update


@torch.no_grad()
def evaluate(network: Network, data: Data) -> dict[str, float]:
    """Judge a network by rows of data: the means of its `Network.scores`.

    Raises
    ------
    ValueError
        For rows that the network cannot take, or without the labels or targets that it needs.
    """
    network.check(data)
    return _mean_scores(network, data, network.targets(data))


@torch.no_grad()
def _mean_scores(network: Network, data: Data, targets: Tensor | None) -> dict[str, float]:
    sums: dict[str, Tensor] = {}
    start = 0
    for v in network.blocks(data):
        wanted = v if targets is None else targets[start : start + len(v)].to(v.device)
        for name, scores in network.scores(network.inputs(v), wanted).items():
            total = scores.sum(dtype=torch.float64)
            sums[name] = sums[name] + total if name in sums else total
        start += len(v)
    return {name: total.item() / len(data) for name, total in sums.items()}


def judge(state: FinetuningState, held_out: Data) -> Row:
    """Look at rows that are not trained on, and keep the network if it is the best so far.

    Returns
    -------
    dict
        `Network.scores`, means over the rows, as ``held_out_...``, and ``best_update``.

    Raises
    ------
    ValueError
        For rows or targets that the network cannot judge.
    """
    return _judge(state, held_out, state.network.targets(held_out))


def _judge(state: FinetuningState, held_out: Data, targets: Tensor | None) -> Row:
    settle(state)
    scores = _mean_scores(state.network, held_out, targets)
    score, best = scores[state.network.criterion], state.best
    if best is None:
        state.best = Best(copy.deepcopy(state.network), score, state.update, state.update)
    elif score < best.score:
        threshold = 1.0 if state.patience is None else state.patience.threshold
        if score < threshold * best.score:
            best.improved = state.update
        best.score, best.update = score, state.update
        _copy_(state.network, best.network)
    assert state.best is not None
    named: Row = {f"held_out_{name}": value for name, value in scores.items()}
    return named | {"best_update": state.best.update}


@torch.no_grad()
def _copy_(source: Network, target: Network) -> None:
    for mine, other in zip(target.parameters(), source.parameters(), strict=True):
        mine.copy_(other)


class Watch:
    """Makes a row of numbers whenever one is due, and judges the network then.

    Parameters
    ----------
    batches
        What is trained on.
    held_out
        Rows to judge by; None for none.
    every
        Updates from one row to the next.
    last
        Number of the run's last update, which gets a row whatever ``every`` is.

    Raises
    ------
    ValueError
        If ``every`` is none, or the network cannot judge the held-out rows.
    """

    def __init__(
        self,
        state: FinetuningState,
        batches: Minibatches,
        held_out: Data | None,
        every: int,
        last: int,
    ) -> None:
        if every < 1:
            raise ValueError(f"every is {every}; pass 1 or more updates")
        if held_out is None and state.patience is not None:
            raise ValueError(
                "patience looks at rows that are not trained on, and there are none; pass held_out,"
                " or leave patience out"
            )
        self._targets = None
        if held_out is not None:
            state.network.check(held_out)
            self._targets = state.network.targets(held_out)
        self._batches, self._held_out = batches, held_out
        self._every, self._last = every, last
        self._since = (time.perf_counter(), state.update)

    def __call__(self, state: FinetuningState) -> Row | None:
        """Call after every update; returns a row when one is due."""
        if state.update % self._every and state.update != self._last and not state.is_over:
            return None
        settle(state)
        began, first = self._since
        seconds = time.perf_counter() - began
        row: Row = {
            "update": state.update,
            "epoch": round(state.update / len(self._batches), 6),
            "learning_rate": state.learning_rate,
        }
        if state.loss_rows:
            row["loss"] = state.loss_sum.item() / state.loss_rows
            state.loss_sum.zero_()
            state.loss_rows = 0
        if self._held_out is not None:
            row |= _judge(state, self._held_out, self._targets)
        rows_per_update = len(self._batches.data) / len(self._batches)
        row["rows_per_second"] = (state.update - first) / seconds * rows_per_update
        self._since = (time.perf_counter(), state.update)
        return row


def run(
    state: FinetuningState,
    batches: Minibatches,
    epochs: int,
    every: int | None = None,
    held_out: Data | None = None,
) -> Iterator[Row]:
    """Train, and yield a row of numbers every so many updates.

    Parameters
    ----------
    state
        Trained in place; a state that has seen some epochs goes on from there.
    batches
        What to learn from: rows with labels (`Data.labels`) for a classifier, with targets
        (`Data.targets`) for a regressor, rows alone for an autoencoder.
    epochs
        Epochs in all, those that ``state`` has already seen included; patience may end it sooner.
    every
        Updates from one row to the next; by default an epoch.
    held_out
        Rows that choose the best model (`FinetuningState.model`) and tell when to stop.

    Yields
    ------
    dict
        ``update``, ``epoch``, ``learning_rate``, ``loss`` (mean `Network.losses` of the rows since
        the last one, each with its dropout and before its update), what `judge` returns, and
        ``rows_per_second`` of training.

    Raises
    ------
    ValueError
        Before the first update, for data that the network cannot learn from or be judged by.
    """
    watch = Watch(state, batches, held_out, every or len(batches), last=epochs * len(batches))
    for _ in updates(state, batches, epochs):
        row = watch(state)
        if row is not None:
            yield row
