"""The state of fine-tuning: the network, its optimiser, random numbers and the best model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults
from harmonium.arguments import check_count, check_number, check_type
from harmonium.deep.finetuning.patience import Best, Patience
from harmonium.deep.layers import Dropout, Layer
from harmonium.deep.network import Network
from harmonium.gradient import GradientCheck
from harmonium.optimization import check_learning_rate, check_optimizer, make_schedule
from harmonium.rng import Purpose, Stream


@dataclass
class FinetuningState:
    """The complete state of fine-tuning; resuming from a saved copy gives bit-identical results.

    Attributes
    ----------
    network
        The network being trained; the stack whose layers it shares changes with it.
    optimizer
        Descends the gradient that each update computes.
    head_updates
        Number of initial updates that train only the last layer.
    dropout, max_norm
        Regularisers: dropout, and the upper limit for weight norms.
    stream
        Random numbers for dropout.
    seed
        Random seed; also for the order and the encoding of rows (`Minibatches.batch`).
    schedule
        Changes the learning rate after each update; None keeps it.
    patience
        When to stop; None trains to the end.
    best
        The best model so far; None until held-out rows have been evaluated (`judge`).
    update
        Updates made so far.
    loss_sum, loss_rows
        Losses since the last row of numbers: their sum, float64 of shape (), and the number of
        rows.
    check
        On CUDA, the deferred check for finite values, which avoids synchronisation; not part of a
        checkpoint.
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
    head_updates: int = 0
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
            stream=Stream(seed, Purpose.FINETUNE),
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


@torch.no_grad()
def copy_parameters_(source: Network, target: Network) -> None:
    """Overwrite a network's parameters with those of another network of the same shape."""
    for mine, other in zip(target.parameters(), source.parameters(), strict=True):
        mine.copy_(other)
