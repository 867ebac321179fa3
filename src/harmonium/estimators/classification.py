"""The classification RBM apart from its training: parameters, probabilities and samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from harmonium import defaults, sampling
from harmonium.classification import class_columns, class_log_probabilities
from harmonium.deep.classification_rbm import mean_losses
from harmonium.estimators.base import stated_stream, to_numpy
from harmonium.estimators.checks import check_choice, check_integers, check_numbers
from harmonium.estimators.labels import ProbabilisticClassifier, known_labels
from harmonium.estimators.rbm_training import check_training
from harmonium.estimators.rows import ArrayRows, Scaling
from harmonium.estimators.visible import VISIBLE, VisibleEstimator
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Clamp, SamplingSchedule, start_random
from harmonium.training import Row


class ClassificationEstimator(ProbabilisticClassifier, VisibleEstimator):
    """Base of estimators with one RBM over features and their class, the last visible unit."""

    generative_weight: float | None
    dropout: float
    patience: int | None
    validation_fraction: float

    model_: RBM
    _stream: Stream

    def _check_parameters(self) -> None:
        check_training(self, or_none=True)
        check_choice(self, "visible", VISIBLE)
        if self.generative_weight is not None:
            check_numbers(self, generative_weight=0.0)
        check_numbers(self, dropout=0.0)
        if self.dropout >= 1:
            raise ValueError(
                f"dropout is {self.dropout}; pass a share from 0 to below 1, such as 0.5"
            )
        if self.dropout and self.generative_weight is None:
            raise ValueError(
                f"dropout is {self.dropout}, but generative training alone (generative_weight="
                "None) has none; pass dropout=0, or a generative_weight such as 0.01"
            )
        if self.patience is not None:
            check_integers(self, patience=1)
            if not 0 < self.validation_fraction < 1:
                raise ValueError(
                    f"validation_fraction is {self.validation_fraction}; pass a share of the rows "
                    "between 0 and 1"
                )

    def _weights(self) -> Tensor:
        return self.model_.weights

    def _labelled(
        self, X: Any, numbers: NDArray[np.int64], n_classes: int, scaling: Scaling | None
    ) -> ArrayRows:
        return ArrayRows(
            X,
            scaling,
            dtype=self._checked_dtype(),
            device=self._checked_device(),
            labels=(torch.from_numpy(numbers), n_classes),
        )

    def _losses(self, model: RBM, states: Tensor) -> Tensor:
        """Minus the log-probability of each row's class, for `loss_curve_`."""
        columns = class_columns(model)
        log_p = class_log_probabilities(model, states[:, : columns.start])
        return -(log_p * states[:, columns]).sum(1)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of right classes among the rows that have a label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.
        y : array-like of shape (n_samples,)
            Class of each row, or no label, as in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.

        Returns
        -------
        score : float
            From 0 to 1.

        Raises
        ------
        ValueError
            If no row has a label.
        """
        check_is_fitted(self)
        y, known = known_labels(y, self.classes_)
        if known is not None:
            if not known.any():
                raise ValueError("y holds no label at all; pass the classes of some rows")
            rows = np.flatnonzero(known)
            X, y = _safe_indexing(X, rows), y[rows]
            if sample_weight is not None:
                sample_weight = np.asarray(sample_weight)[rows]
        return float(super().score(X, y, sample_weight))

    def _log_probabilities(self, x: Tensor) -> Tensor:
        return class_log_probabilities(self.model_, x)

    def sample(
        self,
        n_samples: int | None = None,
        y: Any = None,
        *,
        n_sweeps: int = defaults.SAMPLE_WARMUP,
        random_state: Any = None,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw rows with their classes, each from its own chain that starts at noise.

        A model trained with ``generative_weight=0`` can classify, but has not learned the
        distribution of rows.

        Parameters
        ----------
        n_samples : int, default=None
            Number of rows; None means one for each label in ``y``, or one.
        y : label or array-like of shape (n_samples,), default=None
            Class of all rows, or of each row, which is held fixed while the features are sampled.
            None samples classes together with the features.
        n_sweeps : int, default=1000
            Burn-in sweeps of Gibbs sampling before a row is drawn. Slowly mixing models need more.
        random_state : int, RandomState instance or None, default=None
            None continues the estimator's random stream, so each call gives new draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Values in the units of the training data, in the type of the model.
        y : ndarray of shape (n_samples,)
            The class of each row, with the type of ``classes_``.
        """
        check_is_fitted(self)
        numbers = None if y is None else self._numbers_of_labels(y, n_samples)
        if n_samples is None:
            n_samples = 1 if numbers is None else len(numbers)
        model, stream = self.model_, stated_stream(random_state, self._stream)
        columns = class_columns(model)
        clamp = None
        if numbers is not None:
            held = model.weights.new_zeros(n_samples, model.visible.n_columns)
            held[:, columns] = torch.eye(len(self.classes_)).to(held)[numbers]
            clamp = Clamp(torch.arange(held.shape[1], device=held.device) >= columns.start, held)
        chains = start_random(model, n_samples, stream)
        for _ in sampling.sample(model, chains, SamplingSchedule(n_sweeps, 1, 1), stream, clamp):
            pass
        X = self._values(chains.visible[:, : columns.start])
        drawn = to_numpy(chains.visible[:, columns].argmax(1))
        return to_numpy(X, to_numpy(model.weights[:0]).dtype), self.classes_[drawn]

    def _numbers_of_labels(self, y: Any, n_samples: int | None) -> Tensor:
        """Index of the class of each row to draw; rejects unknown labels."""
        labels = np.asarray(y)
        if labels.ndim == 0:
            labels = np.full(1 if n_samples is None else n_samples, labels)
        if labels.ndim != 1 or n_samples not in (None, len(labels)):
            raise ValueError(
                f"y has shape {labels.shape}, and n_samples is {n_samples}; pass one label for all "
                "rows, or one a row"
            )
        unknown = labels[~np.isin(labels, self.classes_)]
        if len(unknown):
            raise ValueError(
                f"y holds {unknown.tolist()[0]!r}, which is none of the classes "
                f"{self.classes_.tolist()}; pass classes that the estimator was fitted to"
            )
        return torch.from_numpy(np.searchsorted(self.classes_, labels))


class HeldOut:
    """Evaluates a model on held-out rows, which count by weight."""

    def __init__(self, rows: ArrayRows, weights: Tensor | None = None) -> None:
        self._blocks, self._weights = list(rows.blocks()), weights

    def __call__(self, rbm: RBM, chains: ChainState | None, update: int) -> Row:
        """Fraction of wrong classes, and the mean of minus log p(class), nats."""
        error, log_loss = mean_losses(rbm, self._blocks, self._weights)
        return {"held_out_error": error, "held_out_log_loss": log_loss}
