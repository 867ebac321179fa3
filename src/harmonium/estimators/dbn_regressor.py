"""`DBNRegressor`: a deep belief network with a linear layer on top."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from torch import Tensor

from harmonium.datasets import Data
from harmonium.datasets.data import moments
from harmonium.deep import DBN, FinetuningState, Network, Regressor
from harmonium.estimators.amounts import LARGE_BATCH_SIZE, REGRESSION, REGRESSION_DECAY
from harmonium.estimators.convergence import some_rows, warn_of_the_mean_target
from harmonium.estimators.finetuned import FinetunedEstimator
from harmonium.units import Gaussian


class DBNRegressor(RegressorMixin, FinetunedEstimator):  # type: ignore[misc]
    """Linear regressor on a deep belief network: pretrained greedily, then fine-tuned as one.

    Targets, one or more per row, are standardised internally with their moments in the training
    rows.

    Parameters
    ----------
    layers : sequence of int, default=(256, 64)
        Hidden units of each layer, from the features upwards. Empty means linear regression.
    visible, scale, pretraining_rate, pretraining_batch_size, n_chains, sampler, gradient, \
penalties, features, weight_std
        As for `DBNTransformer`.
    pretraining_epochs : int or sequence of int, default=None
        As for `DBNClassifier`; 0 skips pretraining and fine-tunes from random weights.
    epochs : int, default=None
        Passes over the rows in fine-tuning. None makes one update per two rows of X, but at least
        150 and at most 25,000 updates.
    batch_size : int, default=None
        Rows per mini-batch in fine-tuning; None means 128, or all rows if there are fewer.
    weight_decay : float, default=None
        As for `DBNClassifier`; with AdamW, None means 0.5 instead of 0.3.
    learning_rate, momentum, schedule, dropout, dropout_features, max_norm, patience, \
validation_fraction
        For fine-tuning, as for `DBNClassifier`.
    random_state, verbose, device, dtype
        As for `DBNClassifier`.

    Attributes
    ----------
    model_ : harmonium.deep.DBN
        The fine-tuned stack. None if there are no layers.
    network_ : harmonium.deep.Regressor
        The network, which shares the stack's upward weights; ``network_.to_sequential()`` is a copy
        in plain ``torch.nn``.
    visible_, n_iter_, loss_curve_, n_features_in_, feature_names_in_
        As for `DBNClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import DBNRegressor
    >>> X = np.random.RandomState(0).rand(40, 6)
    >>> DBNRegressor(layers=(8,), random_state=0).fit(X, X.sum(1)).predict(X).shape
    (40,)
    """

    _finetuning = REGRESSION
    _most_rows = LARGE_BATCH_SIZE
    _adaptive_rate = 0.006
    _adaptive_decay = REGRESSION_DECAY
    """Noise in targets is overfitted sooner than overlapping classes."""

    _target_checks = MappingProxyType({"multi_output": True, "y_numeric": True})

    network_: Regressor

    def _fit(self, X: Any, y: Any, weights: Tensor | None) -> None:
        super()._fit(X, _as_table(y), weights)
        self._one_target = y.ndim == 1

    def _learn(self, X: Any, y: Any, weights: Tensor | None, begins: bool) -> None:
        targets = _as_table(y)
        if not begins and targets.shape[1] != len(self.network_.mean):
            raise ValueError(
                f"y has {targets.shape[1]} targets a row, but this regressor predicts "
                f"{len(self.network_.mean)}; pass as many as it began with"
            )
        super()._learn(X, targets, weights, begins)
        if begins:
            self._one_target = y.ndim == 1

    def _update(self, v: Tensor, targets: Tensor | None, weights: Tensor | None) -> None:
        assert targets is not None
        standard = (targets - self.network_.mean) / self.network_.std
        super()._update(v, standard.to(self.network_.dtype), weights)

    def _with_targets(self, data: Data, y: Tensor) -> Data:
        return dataclasses.replace(data, targets=y)

    def _warn_if_nothing_was_learnt(
        self, network: Network, data: Data, state: FinetuningState
    ) -> None:
        assert isinstance(network, Regressor)
        index = some_rows(len(data)).to(data.device)
        targets = network.targets(data)[index]
        # of these rows: if targets vary only in other rows, these show nothing
        variance = float(targets.var(0, correction=0).mean())
        if not variance:
            return
        with torch.no_grad():
            inputs = network.inputs(data.rows(index).to(network.dtype))
            loss = float(network.losses(inputs, targets.to(inputs)).mean())
        warn_of_the_mean_target(type(self).__name__, loss / variance, self._remedy(state))

    def _make_network(self, dbn: DBN | None, data: Data, weights: Tensor | None) -> Network:
        assert data.targets is not None
        mean, var = moments([data.targets], weights)
        if dbn is not None:
            return Regressor(dbn.stack, mean, var.sqrt())
        visible = Gaussian(data.n_columns).to(data.device, self._checked_dtype())
        return Regressor((), mean, var.sqrt(), visible)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the targets of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            As many targets as in training; float64 if X is, or if float32 would round away
            differences between targets, else float32.
        """
        X, rows = self._fitted_rows(X)
        network = self.network_
        # also float64 if float32 would round away differences between targets
        dtype = np.dtype(np.float64) if network.mean.dtype == torch.float64 else None
        predicted = self._by_block(rows, network, len(network.mean), X, dtype)
        return predicted[:, 0] if self._one_target else predicted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _as_table(y: NDArray[Any]) -> Tensor:
    """Targets, float64, shape (n_rows, n_targets)."""
    return torch.from_numpy(np.array(y.reshape(len(y), -1), dtype=np.float64))
