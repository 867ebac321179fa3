"""`AutoencoderTransformer`: codes of a deep autoencoder."""

from __future__ import annotations

from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import defaults
from harmonium.datasets import Data, Minibatches
from harmonium.deep import DBN, Autoencoder, FinetuningState, Network
from harmonium.estimators.amounts import (
    unrolled_epochs_for,
    unrolled_pretraining_epochs_for,
)
from harmonium.estimators.base import (
    ScoringTransformer,
    check_choice,
    seed_of,
)
from harmonium.estimators.convergence import some_rows, warn_of_the_mean_row
from harmonium.estimators.finetuned import FinetunedEstimator
from harmonium.gradient import Gradient, Penalties
from harmonium.sampling import Sampler


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
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names that are strings.

    Notes ----- `score_samples` is minus the loss of fine-tuning: for binary features, the
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

    network_: Autoencoder

    _adaptive_rate = 0.01
    _adaptive_decay = 0.0
    """Codes are few, and have to move further than the outputs of a classifier."""

    def __init__(
        self,
        layers: Any = (256, 64, 30),
        *,
        codes: str = "linear",
        visible: str = "auto",
        scale: bool = False,
        pretraining_epochs: Any = None,
        pretraining_rate: Any = None,
        pretraining_batch_size: Any = None,
        n_chains: Any = "batch_size",
        sampler: Sampler | None = None,
        gradient: Gradient | None = None,
        penalties: Penalties | None = None,
        features: str = "drawn",
        weight_std: float | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        momentum: float = defaults.MOMENTUM,
        schedule: str = "linear",
        weight_decay: float | None = None,
        dropout: float = 0.0,
        dropout_features: float = 0.0,
        max_norm: float | None = None,
        patience: int | None = None,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        verbose: int = 0,
        device: str | torch.device = "cpu",
        dtype: Any = "float32",
    ) -> None:
        super().__init__(
            layers,
            visible=visible,
            scale=scale,
            pretraining_epochs=pretraining_epochs,
            pretraining_rate=pretraining_rate,
            pretraining_batch_size=pretraining_batch_size,
            n_chains=n_chains,
            sampler=sampler,
            gradient=gradient,
            penalties=penalties,
            features=features,
            weight_std=weight_std,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            momentum=momentum,
            schedule=schedule,
            weight_decay=weight_decay,
            dropout=dropout,
            dropout_features=dropout_features,
            max_norm=max_norm,
            patience=patience,
            validation_fraction=validation_fraction,
            random_state=random_state,
            verbose=verbose,
            device=device,
            dtype=dtype,
        )
        self.codes = codes

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit from scratch: pretraining, then fine-tuning for reconstruction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Sparse rows become dense ones of bytes or float32.
        y : Ignored
            Present for consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, in both pretraining and fine-tuning: a row of weight 2 counts as two
            rows of weight 1. Only ratios matter; rows of weight 0 are ignored.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X, weights = self._counted(X, sample_weight, reset=True)
        scaling = self._fitting_scaling(X, weights, reset=True)
        data = self._data(X, scaling, self._checked_device())
        dbn, network, state = self._fit_network(data, weights, seed_of(self.random_state))
        self._keep(dbn, network, state, scaling)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Make one fine-tuning update, with all rows as one mini-batch.

        The step is ``learning_rate`` times the mean over the rows, whatever their number. The first
        call starts with random weights, unless the estimator is fitted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A mini-batch. The first one determines the scaling of features, unless the estimator is
            fitted.
        y : Ignored
            Present for consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows within this mini-batch.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        begins = not hasattr(self, "network_")
        X, weights = self._counted(X, sample_weight, reset=begins)
        scaling = self._fitting_scaling(X, weights, reset=begins)
        if begins:
            data = self._data(X[:1], scaling, self._checked_device())
            self._begin_untrained(data, scaling, None)
        else:
            self._scaling = self._scaling_after(X)
        v = torch.cat(list(self._rows(X, self._scaling).blocks()))
        self._update(v, None, weights)
        return self

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
            stacklevel=5,
        )

    def _default_pretraining_epochs(self, n_rows: int, batch_size: int) -> int:
        return unrolled_pretraining_epochs_for(n_rows, batch_size)

    def _epochs(self, batches: Minibatches) -> int:
        if self.epochs is not None:
            return self.epochs
        return unrolled_epochs_for(len(batches.data), batches.batch_size)

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

    def transform(self, X: Any) -> NDArray[Any]:
        """Codes of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        codes : ndarray of shape (n_samples, layers[-1])
            Float64 if X is, else float32.
        """
        X, rows = self._fitted_rows(X)
        return self._by_block(rows, self.network_.encode, self._n_features_out, X)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Reconstruct features from codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, layers[-1])
            Codes.

        Returns
        -------
        v : ndarray of shape (n_samples, n_features)
            Float64 if X is, else float32.
        """
        return self._features_of(X, lambda codes: self.network_.decode(codes))

    def score_samples(self, X: Any) -> NDArray[Any]:
        """Minus the loss of each row's reconstruction; higher is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Float64 if X is, else float32.
        """
        X, rows = self._fitted_rows(X)
        network = self.network_
        return self._by_block(rows, lambda v: -network.losses(network.inputs(v), v), None, X)
