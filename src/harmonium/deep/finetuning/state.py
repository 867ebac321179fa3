"""What fine-tuning is: the network, what moves it, its random numbers and the best one so far."""

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
    """Everything that fine-tuning is: saving it and going on changes no bit.

    Attributes
    ----------
    network
        What is trained; the stack whose layers it shares moves with it.
    optimizer
        Descends the gradient that each update writes.
    head_updates
        So many updates at first are those of the last layer alone.
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
        head_updates
            So many updates at first train the last layer alone, and leave the stack as pretraining
            has made it: it does not move for the sake of outputs that are still random. Pays where
            labels are few (Kumar et al., 2022, "Fine-tuning can distort pretrained features"). An
            optimiser of your own that is fused SGD with momentum wants the last layer in a
            parameter group of its own.
        patience
            When to stop early, which needs held-out rows; None to go on to the end.
        seed
            Of everything that is random.

        Raises
        ------
        TypeError
            If an option is of another type, such as a name for an optimiser.
        ValueError
            If an option is out of its range.
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
        # torch's fused step cannot begin with some momenta of a group and go on with others
        groups = _apart(groups, network.last)
    # momentum, decay and step in one pass over the memory
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, fused=True)


def _apart(groups: list[dict[str, Any]], layer: Layer) -> list[dict[str, Any]]:
    """The same groups, but for the parameters of a layer, which have groups of their own."""
    own = {id(parameter) for parameter in layer.parameters()}
    parts = [
        {**group, "params": [p for p in group["params"] if (id(p) in own) == is_own]}
        for group in groups
        for is_own in (False, True)
    ]
    return [part for part in parts if part["params"]]


def parameter_groups(network: Network, weight_decay: float) -> list[dict[str, Any]]:
    """What an optimiser takes so that it pulls weights towards zero, and leaves biases alone."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def copy_parameters_(source: Network, target: Network) -> None:
    """Overwrite a network's parameters with those of another of the same shape."""
    for mine, other in zip(target.parameters(), source.parameters(), strict=True):
        mine.copy_(other)
