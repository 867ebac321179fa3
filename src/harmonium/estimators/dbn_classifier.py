"""`DBNClassifier`: a deep belief network with a softmax layer on top."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor

from harmonium.datasets import Data
from harmonium.deep import DBN, Classifier, FinetuningState, Network
from harmonium.estimators.convergence import some_rows, warn_of_class_frequencies
from harmonium.estimators.finetuned import FinetunedEstimator
from harmonium.estimators.labels import (
    ProbabilisticClassifier,
    all_classes,
    check_classes,
    numbers_of,
)
from harmonium.kernels.threads import following
from harmonium.units import Gaussian


class DBNClassifier(ProbabilisticClassifier, FinetunedEstimator):
    """Softmax classifier on a deep belief network: pretrained greedily, then fine-tuned as one.

    Parameters
    ----------
    layers : sequence of int, default=(256, 64)
        Hidden units of each layer, from the features upwards. Empty means multinomial logistic
        regression.
    visible, scale, pretraining_rate, pretraining_batch_size, n_chains, sampler, gradient, \
penalties, features, weight_std
        As for `DBNTransformer`.
    pretraining_epochs : int or sequence of int, default=None
        As for `DBNTransformer`, but None makes 4 passes if there are many rows; 0 skips pretraining
        and fine-tunes from random weights.
    epochs : int, default=None
        Passes over the rows in fine-tuning. None makes one update per row of X up to 250 rows and
        one per two rows beyond, but at least 120 and at most 25,000 updates.
    learning_rate : float, default=None
        Learning rate of stochastic gradient descent in fine-tuning. None uses AdamW, which adapts
        the step size of each weight; with ``momentum``, None means 0.1.
    batch_size : int, default=None
        Rows per mini-batch in fine-tuning; None means 64, or all rows if there are fewer.
    momentum : float, default=0.0
        From 0 to below 1.
    schedule : {"constant", "linear"}, default="linear"
        Whether the learning rate of fine-tuning stays constant or falls linearly to zero.
    weight_decay : float, default=None
        Weight decay: each update shrinks the weights by the learning rate times this number. None
        means 0.3 with AdamW, less for more than 250 updates, and 0 with plain gradient descent.
    dropout, dropout_features : float, default=0.0
        Dropout probabilities of hidden units and of features.
    max_norm : float, default=None
        Upper limit for the norm of the weights into each unit.
    patience : int, default=None
        Early stopping: epochs without improvement on held-out rows after which fine-tuning stops,
        but not before 100 updates; the best network is kept. None trains to the end without
        held-out rows.
    validation_fraction : float, default=0.1
        Fraction of the rows held out for early stopping.
    random_state : int, RandomState instance or None, default=None
        An integer makes fits reproducible, and is their only random seed.
    verbose : int, default=0
        Above 0, print progress.
    device : str or torch.device, default="cpu"
        Device of the network and of training, such as "cuda".
    dtype : {"float32", "float64"}, default="float32"
        Type of the network. Features of layers are stored in float32.

    Attributes
    ----------
    model_ : harmonium.deep.DBN
        The fine-tuned stack. None if there are no layers.
    network_ : harmonium.deep.Classifier
        The network, which shares the stack's upward weights; ``network_.to_sequential()`` is a copy
        in plain ``torch.nn``.
    classes_ : ndarray of shape (n_classes,)
        The labels, of any type.
    visible_ : {"binary", "gaussian"}
        The type of visible units used for the features.
    n_iter_ : int
        Epochs of fine-tuning in the last `fit`; each later `partial_fit` adds 1.
    loss_curve_ : list of float
        Mean loss of the training rows in each epoch, each row before its update.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import DBNClassifier
    >>> X = np.random.RandomState(0).randint(2, size=(40, 6))
    >>> y = np.where(X[:, 0] == 1, "one", "other")
    >>> DBNClassifier(layers=(8,), random_state=0).fit(X, y).predict(X).shape
    (40,)
    """

    _target_checks = MappingProxyType({})

    network_: Classifier

    def _fit(self, X: Any, y: Any, weights: Tensor | None) -> None:
        classes, numbers = check_classes(y)
        self._classes = range(len(classes))
        super()._fit(X, torch.from_numpy(numbers), weights)
        self.classes_ = classes

    def partial_fit(  # type: ignore[override]
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Make one fine-tuning update, with all rows as one mini-batch.

        The step is ``learning_rate`` times the mean over the rows, whatever their number. The first
        call starts with random weights, unless the estimator is fitted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A mini-batch. The first one determines the scaling of features, unless the estimator is
            fitted.
        y : array-like of shape (n_samples,)
            Class of each row.
        classes : array-like of shape (n_classes,), default=None
            All classes; required in the first call, optional later.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows within this mini-batch.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        begins = self._begins
        X, y, weights = self._counted(X, y, sample_weight, reset=begins)
        known = all_classes(classes, None if begins else self.classes_)
        numbers = torch.from_numpy(numbers_of(y, known))
        self._classes = range(len(known))
        with following():
            self._learn(X, numbers, weights, begins)
        self.classes_ = known
        return self

    def _with_targets(self, data: Data, y: Tensor) -> Data:
        return dataclasses.replace(data, labels=y)

    def _warn_if_nothing_was_learnt(
        self, network: Network, data: Data, state: FinetuningState
    ) -> None:
        assert isinstance(network, Classifier) and data.labels is not None
        index = some_rows(len(data)).to(data.device)
        with torch.no_grad():
            log_p = network.log_probabilities(data.rows(index).to(network.dtype))
        warn_of_class_frequencies(
            type(self).__name__, log_p, data.labels[index], self._remedy(state)
        )

    def _make_network(self, dbn: DBN | None, data: Data, weights: Tensor | None) -> Network:
        if dbn is not None:
            return Classifier(dbn.stack, self._classes)
        visible = Gaussian(data.n_columns).to(data.device, self._checked_dtype())
        return Classifier((), self._classes, visible)

    def _log_probabilities(self, x: Tensor) -> Tensor:
        return self.network_.log_probabilities(x)
