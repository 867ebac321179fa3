"""`LearningEstimator`: `fit` and `partial_fit`, the same for all but the classification RBM."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor

from harmonium.estimators.base import Estimator
from harmonium.estimators.checks import weights_of, with_weight
from harmonium.kernels.threads import following


class LearningEstimator(Estimator):
    """An estimator that learns from weighted rows, from all of them or by mini-batch."""

    _target_checks: Mapping[str, Any] | None = None
    """How scikit-learn checks y; None if it is ignored."""

    @abstractmethod
    def _check_parameters(self) -> None:
        """Reject parameters that nothing could be trained with."""

    @abstractmethod
    def _fit(self, X: Any, y: Any, weights: Tensor | None) -> None:
        """Fit from scratch to checked rows."""

    @abstractmethod
    def _learn(self, X: Any, y: Any, weights: Tensor | None, begins: bool) -> None:
        """Make one update from checked rows, of a new model if it begins."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit from scratch.

        Stacks of RBMs are trained greedily, layer by layer; networks are then fine-tuned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Stacks make dense rows of sparse ones, of bytes or float32.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            A classifier needs the class of each row, of any type that can be sorted, and a
            regressor its targets. All other estimators ignore it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows, in the initialisation and in all training: a row of weight 2 counts as
            two rows of weight 1. Every row still occurs once per epoch, so only ratios matter; rows
            of weight 0 are ignored.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._fit(*self._counted(X, y, sample_weight, reset=True))
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Make one update of the parameters, with all rows of X as one mini-batch.

        The step is the learning rate times the mean over the rows, whatever their number. The first
        call starts a model with random weights, unless the estimator is fitted: then the update
        continues from the fitted model and its chains. A network is fine-tuned, without
        pretraining. In a stack, each layer is updated, from the lowest upwards, with the current
        features of the layers below. All layers therefore learn at the same time, and what upper
        layers learn first is soon outdated.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A mini-batch. The first one determines the scaling of features, and of targets, unless
            the estimator is fitted.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            As for `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows within this mini-batch.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        begins = self._begins
        counted = self._counted(X, y, sample_weight, reset=begins)
        with following():
            self._learn(*counted, begins)
        return self

    @property
    def _begins(self) -> bool:
        """Whether the first `partial_fit` is still to come."""
        return not hasattr(self, "_training")

    def _counted(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Any, Any, Tensor | None]:
        """Checked features of the rows that count, with their targets and weights."""
        if self._target_checks is None:
            X, y = self._checked_X(X, reset=reset), None
        else:
            X, y = self._checked_X_y(X, y, reset=reset, **self._target_checks)
        self._check_parameters()
        weights, X, y = with_weight(weights_of(sample_weight, X.shape[0]), X, y)
        return X, y, weights
