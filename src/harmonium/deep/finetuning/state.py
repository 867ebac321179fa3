"""Fine-tuning between two updates, and one update of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults
from harmonium.arguments import check_count, check_number, check_type
from harmonium.datasets import Data, Minibatches
from harmonium.deep.finetuning.judging import Watch
from harmonium.deep.layers import Dropout, Layer
from harmonium.deep.network import Network
from harmonium.gradient import GradientCheck
from harmonium.optimization import check_learning_rate, check_optimizer, make_schedule
from harmonium.rng import Lane, Stream
from harmonium.training import Best, Learner, Patience
from harmonium.training.learner import check_hidden_differ, finish_, not_finite
from harmonium.training.stopping import copy_parameters_


@dataclass
class FinetuningState(Learner):
    """The complete state of fine-tuning; resuming from a saved copy gives bit-identical results.

    Attributes
    ----------
    network
        The network being trained; the stack whose layers it shares changes with it.
    head_updates
        Number of initial updates that train only the last layer.
    dropout, max_norm
        Regularisers: dropout, and the upper limit for weight norms.
    stream
        Random numbers for dropout.
    patience
        When to stop; None trains to the end.
    best
        The best model so far; None until held-out rows have been evaluated (`judge`).
    optimizer, schedule, seed, update
        As in `training.Learner`.
    loss_sum, loss_rows
        Losses since the last row of numbers: their sum, float64 of shape (), and the number of
        rows, or the sum of their weights.
    check
        On CUDA, the deferred check for finite values, which avoids synchronisation; not part of a
        checkpoint.
    """

    called = "network"

    network: Network
    optimizer: Optimizer
    dropout: Dropout
    max_norm: float | None
    stream: Stream
    seed: int
    loss_sum: Tensor
    schedule: LRScheduler | None = None
    patience: Patience | None = None
    best: Best[Network] | None = None
    head_updates: int = 0
    update: int = 0
    loss_rows: float = 0
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
        head_updates: int = 0,
        patience: Patience | None = None,
        seed: int = defaults.SEED,
    ) -> FinetuningState:
        """Create the state at the start of fine-tuning.

        Parameters
        ----------
        network
            A `Classifier`, `Regressor` or `Autoencoder`.
        learning_rate, momentum, weight_decay
            For plain stochastic gradient descent; not used if an optimiser is given. Weight decay
            applies to weights, not to biases.
        optimizer
            Any `torch.optim` optimiser over ``network.parameters()`` that needs no closure.
        schedule
            Creates a scheduler that is stepped after each update, e.g. ``lambda optimizer:
            training.linear_to_zero(optimizer, n_updates)``.
        dropout
            None by default.
        max_norm
            Upper limit for the norm of the weights into each unit of every layer; larger norms are
            scaled down after each update (Srivastava et al., 2014). None for no limit.
        head_updates
            Number of initial updates that train only the last layer, so that random outputs do not
            distort the pretrained stack. Helps when labels are few (Kumar et al., 2022,
            "Fine-tuning can distort pretrained features"). If you pass fused SGD with momentum, put
            the last layer into a separate parameter group.
        patience
            Early stopping, which needs held-out rows; None trains to the end.
        seed
            Random seed.

        Raises
        ------
        TypeError
            If an option has the wrong type, such as a name for an optimiser.
        ValueError
            If an option is out of range.
        """
        check_type("network", network, Network, "Classifier(dbn, n_classes) or another Network")
        if dropout is not None:
            check_type("dropout", dropout, Dropout, "Dropout(inputs=0.2, hidden=0.5)")
        if patience is not None:
            check_type("patience", patience, Patience, "Patience(updates), or None")
        if max_norm is not None:
            check_number("max_norm", max_norm, "a positive number, or None")
        if max_norm is not None and not (math.isfinite(max_norm) and max_norm > 0):
            raise ValueError(f"max_norm is {max_norm}; pass a positive number, or None")
        check_count("head_updates", head_updates, 0)
        if optimizer is None:
            optimizer = _sgd(network, learning_rate, momentum, weight_decay, head_updates)
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
            head_updates=head_updates,
            stream=Lane.DROPOUT.stream(seed),
            seed=seed,
            loss_sum=torch.zeros((), dtype=torch.float64, device=network.device),
            schedule=make_schedule(optimizer, schedule),
            patience=patience,
        )

    @property
    def model(self) -> Network:
        """The network to test and to save: the best by held-out rows, if they were evaluated."""
        return self.network if self.best is None else self.best.network

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        if self.patience is None:
            return False
        improved = 0 if self.best is None else self.best.improved
        return self.update >= self.patience.until(improved)

    @property
    def device_check(self) -> GradientCheck | None:  # noqa: D102
        return self.check

    def targets(self, batches: Minibatches) -> Tensor | None:  # noqa: D102
        data = batches.data
        check_type("batches.data", data, Data, "Minibatches of Data")
        assert isinstance(data, Data)
        self.network.check(data)
        return self.network.targets(data)

    def learn_(  # noqa: D102
        self, batch: Tensor, targets: Tensor | None, batch_size: int, weights: Tensor | None
    ) -> None:
        update(self, batch, targets, batch_size, weights)

    def watch(  # noqa: D102
        self,
        batches: Minibatches,
        last: int,
        every: int | None = None,
        held_out: Data | None = None,
        monitor: None = None,
    ) -> Watch:
        if held_out is not None:
            check_type("held_out", held_out, Data, "Data, such as a part of what it learns from")
        if monitor is not None:
            raise ValueError("a network is judged by held-out rows; pass held_out, and no monitor")
        return Watch(self, batches, held_out, every or len(batches), last)

    def take_mean_loss(self) -> float:
        """Mean loss of the training rows since the last call."""
        loss = self.loss_sum.item() / (self.loss_rows or 1)
        self.loss_sum.zero_()
        self.loss_rows = 0
        return loss

    @torch.no_grad()
    def take_best_(self) -> None:
        """Set the network, and the stack whose layers it shares, to the best parameters so far."""
        if self.best is not None:
            copy_parameters_(self.best.network, self.network)


def _sgd(
    network: Network,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    head_updates: int,
) -> Optimizer:
    check_learning_rate(learning_rate, momentum)
    check_number("weight_decay", weight_decay, "0 or a positive number")
    if weight_decay < 0:
        raise ValueError(f"weight_decay is {weight_decay}; pass 0 or a positive number")
    groups = parameter_groups(network, weight_decay)
    if head_updates:
        # torch's fused step cannot start with some momenta of a group and add others later
        groups = _apart(groups, network.last)
    # momentum, decay and step in one pass over memory
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, fused=True)


def _apart(groups: list[dict[str, Any]], layer: Layer) -> list[dict[str, Any]]:
    """The same groups, with the parameters of one layer moved to separate groups."""
    own = {id(parameter) for parameter in layer.parameters()}
    parts = [
        {**group, "params": [p for p in group["params"] if (id(p) in own) == is_own]}
        for group in groups
        for is_own in (False, True)
    ]
    return [part for part in parts if part["params"]]


def parameter_groups(network: Network, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups of an optimiser, with decay for weights and none for biases."""
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
    """Make one update from a mini-batch.

    Parameters
    ----------
    state
        Changed in place.
    v
        Visible states, shape (rows, n_columns).
    targets
        The entries of `Network.targets` for these rows; None if rows are their own targets.
    batch_size
        Rows of a full batch. A shorter batch then counts for less, so that every row of an epoch
        has the same weight; None treats this batch as full.
    weights
        Weight of each row, shape (rows,); a row of weight 2 counts as two rows. None gives every
        row weight 1.

    Raises
    ------
    TypeError
        If the rows are not a tensor.
    ValueError
        If they have the wrong width; or, before the first update, if all units of a hidden layer
        are identical because their weights were neither drawn nor learned.
    FloatingPointError
        If the loss or a gradient is not finite; names the update (the first is 1). The parameters
        are then as before that update. On CUDA, `settle` raises this.
    """
    network = state.network
    first_to_learn = -1 if state.update < state.head_updates else 0
    network.check_width(v)
    if state.update == 0:
        for layer in network.all_layers[:-1]:
            remedy = "pretrain the network, or deep.init_randomly_"
            check_hidden_differ(layer.weights, layer.units, remedy)
    v = v.to(network.dtype)
    state.optimizer.zero_grad()
    with torch.enable_grad():
        inputs = network.inputs(v, state.dropout.draws(state.stream), first_to_learn)
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
        _shorten_(network.all_layers[first_to_learn:], state.max_norm)
    state.loss_sum += loss.detach()
    state.loss_rows += len(v) if weights is None else weights.sum().item()
    finish_(state)


def _refuse_non_finite(state: FinetuningState, loss: Tensor) -> None:
    """Check the loss and sums of the biases' gradients.

    A non-finite gradient of a layer makes the gradient of its bias non-finite, which is cheap to
    check.
    """
    grads = (layer.units.bias.grad for layer in state.network.all_layers)
    sums = (grad.sum().item() for grad in grads if grad is not None)
    if not math.isfinite(loss.item() + sum(sums)):
        raise not_finite(state, state.update + 1)


@torch.no_grad()
def _shorten_(layers: Sequence[Layer], longest: float) -> None:
    for layer in layers:
        lengths = torch.linalg.vector_norm(layer.weights, dim=0)
        layer.weights.mul_((longest / lengths).clamp_(max=1))
