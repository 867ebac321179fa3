"""Shared by the estimators of fine-tuned networks: pretraining, then backpropagation."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from harmonium import defaults, training
from harmonium.datasets import Data, Minibatches
from harmonium.deep import DBN, Dropout, FinetuningState, Network, Patience, finetuning
from harmonium.deep.layers import init_randomly_
from harmonium.estimators.amounts import (
    BATCH_SIZE,
    DECAYING_UPDATES,
    FINETUNING,
    FINETUNING_DECAY,
    PRETRAINING,
    UPDATES_BEFORE_PATIENCE,
)
from harmonium.estimators.checks import check_choice, check_integers, check_numbers, seed_of
from harmonium.estimators.deep import DeepEstimator, DeepParameters
from harmonium.estimators.rows import Scaling

_ADAPTIVE_RATE = 0.01
"""Learning rate of AdamW for a few hundred units; falls to zero over the epochs."""


@dataclass(eq=False, repr=False, kw_only=True)
class FinetuningParameters(DeepParameters):
    """Parameters of all fine-tuned networks, which `DBNClassifier` describes."""

    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    momentum: float = defaults.MOMENTUM
    schedule: str = "linear"
    weight_decay: float | None = None
    dropout: float = 0.0
    dropout_features: float = 0.0
    max_norm: float | None = None
    patience: int | None = None
    validation_fraction: float = 0.1


class FinetunedEstimator(FinetuningParameters, DeepEstimator):
    """A stack that is pretrained, then fine-tuned as a network with outputs."""

    _HELD = ("model_", "network_", "_training")
    _pretraining = PRETRAINING
    _finetuning = FINETUNING
    _most_rows = BATCH_SIZE

    _adaptive_rate = _ADAPTIVE_RATE
    _adaptive_decay = FINETUNING_DECAY

    network_: Network
    _training: FinetuningState

    @abstractmethod
    def _make_network(self, dbn: DBN | None, data: Data, weights: Tensor | None) -> Network:
        """A network on the stack, for such rows; the stack is None without hidden layers."""

    def _warn_if_nothing_was_learnt(
        self, network: Network, data: Data, state: FinetuningState
    ) -> None:
        """Warn if the outputs are no better than without the features."""
        return

    def _remedy(self, state: FinetuningState) -> str:
        """Why fine-tuning learned nothing, as far as its parameters show, and what to change."""
        if not self._rate():
            return "learning_rate is 0; leave it out, or pass a positive number."
        how = f"{state.update:,} updates at the learning rate {self._rate():g} were made"
        if self.patience is not None:
            how += f", with a patience of {self.patience} epochs on held-out rows"
        return (
            f"{how}. Pass more epochs, or another learning_rate; leaving out epochs, batch_size, "
            "learning_rate and the parameters of pretraining uses defaults that suit the rows. "
            "If that does not help either, the features may carry no information about the "
            "targets."
        )

    def _check_parameters(self) -> None:
        self._check_layers()
        check_integers(self, or_none=True, epochs=0, batch_size=1, patience=1)
        check_numbers(self, or_none=True, learning_rate=0.0, weight_decay=0.0)
        check_numbers(self, momentum=0.0)
        check_choice(self, "schedule", ("constant", "linear"))

    def _fit(self, X: Any, y: Tensor | None, weights: Tensor | None) -> None:
        scaling = self._fitting_scaling(X, weights, reset=True)
        data, held_out = self._taught(X, y, scaling), None
        seed = seed_of(self.random_state)
        if self.patience is not None:
            data, held_out, weights = _split(data, self.validation_fraction, weights, seed)
        dbn = self._make_dbn(data.n_columns) if self._widths() else None
        # report errors in fine-tuning parameters before the time is spent on pretraining
        self._begin(self._make_network(dbn, data, weights), seed)
        if dbn is not None:
            self._pretrain_or_draw(dbn, data, weights, seed)
        network = self._make_network(dbn, data, weights)
        batches = Minibatches(data, self._batch_size(len(data)), weights)
        state = self._begin(network, seed, batches)
        self._finetune(state, batches, held_out)
        state.take_best_()
        if self._epochs(batches):
            self._warn_if_nothing_was_learnt(network, data, state)
        state.schedule = state.patience = state.best = None
        self._keep(dbn, network, state, scaling)

    def _taught(self, X: Any, y: Tensor | None, scaling: Scaling | None) -> Data:
        data = self._data(X, scaling, self._checked_device())
        return data if y is None else self._with_targets(data, y.to(data.device))

    def _with_targets(self, data: Data, y: Tensor) -> Data:
        """The rows with what is to be predicted of them; an autoencoder predicts the rows."""
        return data

    def _pretrain_or_draw(self, dbn: DBN, data: Data, weights: Tensor | None, seed: int) -> None:
        """Pretrain all layers, or draw weights for training without pretraining."""
        without = [epochs == 0 for epochs in self._of_each_layer("pretraining_epochs")]
        if not all(without):
            if any(without):
                raise ValueError(
                    f"pretraining_epochs is {self.pretraining_epochs}; pass 0 for all layers, or "
                    "for none"
                )
            self._pretrain(dbn, data, weights, seed)
            self._warn_of_constants(
                dbn,
                data,
                f"the pretrained {type(self).__name__}",
                "Pass more pretraining_epochs or another pretraining_rate, or leave out both and "
                "weight_std, which uses defaults that suit the rows; pretraining_epochs=0 skips "
                "pretraining.",
            )
        else:
            init_randomly_(dbn.stack, seed)

    def _batch_size(self, n_rows: int) -> int:
        return min(n_rows, self._most_rows if self.batch_size is None else self.batch_size)

    def _epochs(self, batches: Minibatches) -> int:
        if self.epochs is not None:
            return self.epochs
        return self._finetuning.epochs(len(batches.data), batches.batch_size)

    @property
    def _is_adaptive(self) -> bool:
        """Whether step sizes adapt to each weight: if neither rate nor momentum is given."""
        return self.learning_rate is None and not self.momentum

    def _rate(self) -> float:
        if self.learning_rate is not None:
            return float(self.learning_rate)
        return self._adaptive_rate if self._is_adaptive else defaults.FINETUNING_RATE

    def _decay(self, n_updates: int | None) -> float:
        """Weight decay; the default has the same total effect in longer training.

        More rows give more updates, and outweigh the prior on the weights.
        """
        if self.weight_decay is not None:
            return float(self.weight_decay)
        if not self._is_adaptive or n_updates is None:
            return 0.0
        return self._adaptive_decay * min(1.0, DECAYING_UPDATES / n_updates)

    def _begin(
        self, network: Network, seed: int, batches: Minibatches | None = None
    ) -> FinetuningState:
        """The state at the start of fine-tuning; without batches, no end is known."""
        schedule = patience = n_updates = None
        if batches is not None:
            n_updates = max(1, self._epochs(batches) * len(batches))
            if self.schedule == "linear":
                schedule = partial(training.linear_to_zero, n_updates=n_updates)
            if self.patience is not None:
                patience = Patience(
                    at_least=UPDATES_BEFORE_PATIENCE, after_best=self.patience * len(batches)
                )
        decay, optimizer = self._decay(n_updates), None
        if self._is_adaptive:
            # one group takes half the time of two
            groups: Any = network.parameters()
            if decay:
                groups = finetuning.parameter_groups(network, decay)
            optimizer = torch.optim.AdamW(groups, lr=self._rate(), weight_decay=0.0, fused=True)
            decay = 0.0
        return FinetuningState.create(
            network,
            learning_rate=self._rate(),
            momentum=float(self.momentum),
            weight_decay=decay,
            optimizer=optimizer,
            schedule=schedule,
            dropout=Dropout(inputs=self.dropout_features, hidden=self.dropout),
            max_norm=self.max_norm,
            patience=patience,
            seed=seed,
        )

    def _finetune(
        self, state: FinetuningState, batches: Minibatches, held_out: Data | None
    ) -> None:
        self.loss_curve_ = losses = []
        for row in finetuning.run(state, batches, self._epochs(batches), held_out=held_out):
            losses.append(row["loss"])
            if self.verbose:
                told = ", ".join(
                    f"{name.replace('_', '-')} = {value:.4g}"
                    for name, value in row.items()
                    if "loss" in name or "error" in name
                )
                self._say(f"fine-tuning, epoch {row['epoch']:g}, {told}")
        self.n_iter_ = len(losses)

    def _keep(
        self, dbn: DBN | None, network: Network, state: FinetuningState, scaling: Scaling | None
    ) -> None:
        self.model_, self.network_, self._training = dbn, network, state
        self._scaling = scaling

    def _learn(self, X: Any, y: Tensor | None, weights: Tensor | None, begins: bool) -> None:
        scaling = self._fitting_scaling(X, weights, reset=begins)
        if begins:
            self._begin_untrained(self._taught(X, y, scaling), scaling, weights)
        else:
            self._scaling = self._scaling_after(X)
        v = torch.cat(list(self._rows(X, self._scaling).blocks()))
        self._update(v, None if y is None else y.to(v.device), weights)

    def _begin_untrained(self, data: Data, scaling: Scaling | None, weights: Tensor | None) -> None:
        """A network with random weights, with sizes taken from rows."""
        seed = seed_of(self.random_state)
        dbn = self._make_dbn(data.n_columns) if self._widths() else None
        if dbn is not None:
            init_randomly_(dbn.stack, seed)
        network = self._make_network(dbn, data, weights)
        self._keep(dbn, network, self._begin(network, seed), scaling)
        self.n_iter_, self.loss_curve_ = 0, []

    def _weights(self) -> Tensor:
        return self.network_.last.weights

    def _update(self, v: Tensor, targets: Tensor | None, weights: Tensor | None) -> None:
        """One update of a fitted network, from one mini-batch."""
        state = self._training
        for group in state.optimizer.param_groups:
            group["lr"] = self._rate()
        finetuning.update(state, v, targets, weights=weights)
        finetuning.settle(state)
        self.n_iter_ += 1
        self.loss_curve_.append(state.take_mean_loss())


def _split(
    data: Data, held_out: float, weights: Tensor | None, seed: int
) -> tuple[Data, Data, Tensor | None]:
    """Training rows, rows for early stopping, and the weights of the training rows."""
    if weights is not None:
        data = dataclasses.replace(data, weights=weights.double().to(data.device))
    train, held = data.split_randomly(held_out, seed)
    return train, held, train.weights
