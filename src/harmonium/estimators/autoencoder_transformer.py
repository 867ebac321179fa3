"""`AutoencoderTransformer`: codes of a deep autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
from torch import Tensor

from harmonium.datasets import Data
from harmonium.deep import DBN, Autoencoder, FinetuningState, Network
from harmonium.estimators.amounts import UNROLLED, UNROLLED_PRETRAINING
from harmonium.estimators.base import ScoringTransformer
from harmonium.estimators.checks import check_choice
from harmonium.estimators.convergence import some_rows, warn_of_the_mean_row
from harmonium.estimators.finetuned import FinetunedEstimator


@dataclass(eq=False, repr=False)
class AutoencoderTransformer(ScoringTransformer, FinetunedEstimator):
    """A deep autoencoder as a transformer: a stack of RBMs, unrolled and fine-tuned.

    The stack is pretrained greedily and copied into an encoder and a decoder, which are fine-tuned
    for reconstruction (Hinton and Salakhutdinov, 2006).

    Parameters
    ----------
    layers : sequence of int, default=(256, 64, 30)
        Hidden units of each layer, from the features to the codes. Hinton and Salakhutdinov used
        thirty codes for digits; ``(256, 64, 2)`` gives two-dimensional codes for plotting.
    codes : {"linear", "binary"}, default="linear"
        Type of the codes: real numbers (Gaussian units) or probabilities (binary units).
    visible, scale, pretraining_batch_size, n_chains, sampler, gradient, penalties, features, \
weight_std
        As for `DBNTransformer`.
    pretraining_rate : float, None or sequence, default=None
        Learning rate; None means 0.1, but 0.01 above Gaussian features and 0.001 below linear
        codes.
    pretraining_epochs : int, None or sequence, default=None
        As for `DBNTransformer`, except that None means an update per ten rows, and at least 25; 0
        skips pretraining and fine-tunes from random weights.
    weight_decay : float, default=None
        Weight decay; None means no decay.
    batch_size, momentum, schedule, dropout, dropout_features, max_norm, patience, \
validation_fraction
        For fine-tuning, as for `DBNClassifier`.
    epochs : int, default=None
        Passes over the rows in fine-tuning; None means two updates per five rows, and at least 90.
    learning_rate : float, default=None
        Learning rate of fine-tuning. None means 0.01 with AdamW, which adapts the step size of each
        weight; a number is the rate of stochastic gradient descent. The loss is a sum over
        features, so many features need a small rate.
    random_state, verbose, device, dtype
        As for `DBNClassifier`.

    Attributes
    ----------
    model_ : harmonium.deep.DBN
        The pretrained stack; the network has copies of its weights.
    network_ : harmonium.deep.Autoencoder
        Encoder and decoder; ``network_.to_sequential()`` is a copy in plain ``torch.nn``.
    visible_ : {"binary", "gaussian"}
        The type of visible units used for the features.
    n_iter_ : int
        Epochs of fine-tuning in the last `fit`; each later `partial_fit` adds 1.
    loss_curve_ : list of float
        Mean loss of the training rows in each epoch, each row before its update; the loss is minus
        `score_samples`.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Notes
    -----
    `score_samples` is minus the loss of fine-tuning: for binary features, the
    cross-entropy of the reconstruction in nats; otherwise, the squared error summed over
    standardised features.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import AutoencoderTransformer
    >>> X = np.random.RandomState(0).randint(2, size=(40, 6))
    >>> AutoencoderTransformer(layers=(8, 2), random_state=0).fit(X).transform(X).shape
    (40, 2)
    """

    _pretraining = UNROLLED_PRETRAINING
    _finetuning = UNROLLED
    _adaptive_rate = 0.01
    _adaptive_decay = 0.0
    """Codes are few, and have to move further than the outputs of a classifier."""

    layers: Any = (256, 64, 30)
    _: KW_ONLY
    codes: str = "linear"

    network_: Autoencoder = field(init=False)

    @torch.no_grad()
    def _warn_if_nothing_was_learnt(
        self, network: Network, data: Data, state: FinetuningState
    ) -> None:
        v = data.rows(some_rows(len(data)).to(data.device)).to(network.dtype)
        warn_of_the_mean_row(
            type(self).__name__,
            (network(v) - v).square().sum().item(),
            (v - v.mean(0)).square().sum().item(),
            f"{state.update:,} updates at the learning rate {self._rate():g} were made. Pass more "
            "epochs or another learning_rate, or leave both out; where columns do not depend on "
            "each other, it takes more codes, the last of layers",
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice(self, "codes", ("linear", "binary"))
        if not self._widths():
            raise ValueError("layers is empty; pass numbers of hidden units, such as (100, 2)")

    def _make_network(self, dbn: DBN | None, data: Data, weights: Tensor | None) -> Network:
        assert dbn is not None
        return Autoencoder(dbn.stack)

    @property
    def _n_features_out(self) -> int:
        return int(self.network_.encoder[-1].units.n)

    def _encode(self, v: Tensor) -> Tensor:
        return self.network_.encode(v)

    def _decode(self, h: Tensor) -> Tensor:
        return self.network_.decode(h)

    def _scorer(self) -> Callable[[Tensor], Tensor]:
        network = self.network_
        return lambda v: -network.losses(network.inputs(v), v)
