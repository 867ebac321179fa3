"""`RBMClassifier`: one RBM over features and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import defaults, training
from harmonium.classification import HybridGradient, class_log_probabilities
from harmonium.datasets import Minibatches, Rows
from harmonium.estimators.amounts import CLASSIFICATION, classification_batch_size_for
from harmonium.estimators.checks import seed_of, weights_of, with_weight
from harmonium.estimators.classification import ClassificationEstimator, HeldOut
from harmonium.estimators.convergence import some_rows, warn_of_class_frequencies
from harmonium.estimators.curves import LossCurve
from harmonium.estimators.labels import (
    all_classes,
    check_classes,
    known_labels,
    numbers_of,
    with_label,
)
from harmonium.estimators.rbm_training import RBMParameters, begin, set_rate, train
from harmonium.estimators.rows import ArrayRows, Scaling
from harmonium.estimators.visible import PRECISION
from harmonium.gradient import Gradient, Incomplete, lone_units
from harmonium.kernels import permutation
from harmonium.kernels.threads import following
from harmonium.rng import Lane
from harmonium.training import TrainingState
from harmonium.training.stopping import copy_parameters_
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Units

_ADAPTIVE_RATE = 0.06
"""Learning rate of Adam; falls to zero over the epochs."""

_RATE = 0.05


@dataclass(eq=False, repr=False, kw_only=True)
class RBMClassifier(RBMParameters, ClassificationEstimator):
    """Classification RBM: an RBM over features and their class, with the exact p(class | X).

    It learns p(class | X) and, with a small weight, p(X, class) as a regulariser (Larochelle and
    Bengio, 2008).

    Parameters
    ----------
    n_components : int, default=256
        Hidden units.
    generative_weight : float or None, default=0.01
        Weight of the generative part. 0 means purely discriminative training, without chains; None
        means purely generative training.
    dropout : float, default=0.0
        Dropout probability of the hidden units in the discriminative part, p(class | X).
    learning_rate : float, default=None
        Learning rate of plain stochastic gradient descent. None uses Adam, which adapts the step
        size of each weight; with ``momentum``, None means 0.05. With few labels among many binary
        rows, 10 with ``momentum=0.5`` is better than Adam.
    batch_size : int, default=None
        Rows per mini-batch. None means a quarter of all rows, but from 64 to 128; all rows if there
        are fewer than 64.
    n_iter : int, default=None
        Epochs. None makes one update per row of X up to 220 rows and one per two rows beyond, but
        at least 100 and at most 25,000 updates.
    visible, scale
        As for `DBNTransformer`.
    n_chains : int, "batch_size" or None, default="batch_size"
        Number of persistent chains of the generative part; None starts chains at the rows of each
        mini-batch (CD).
    weight_std : float or None, default=0.1
        Standard deviation of the initial weights; None is as for `DBNTransformer`.
    patience : int, default=None
        Early stopping: epochs without improvement on held-out rows after which `fit` stops; the
        best model is kept. None trains to the end without held-out rows.
    validation_fraction : float, default=0.1
        Fraction of the rows held out for early stopping.
    verbose : int, default=0
        Above 0, a line after each epoch.
    sampler, penalties, momentum, schedule, average_decay, random_state, device, dtype
        As for `BernoulliRBM`, but the schedule is "linear" by default.

    Attributes
    ----------
    model_ : harmonium.RBM
        The model itself; its visible layer combines the features and the class.
    classes_ : ndarray of shape (n_classes,)
        The labels, of any type.
    visible_ : {"binary", "gaussian"}
        The type of visible units used for the features.
    n_labelled_ : int
        Rows of the last `fit` or `partial_fit` that had a label.
    n_iter_ : int
        Epochs of the last `fit`; each later `partial_fit` adds 1.
    loss_curve_ : list of float
        Minus the log-probability of the class, nats, the mean over some training rows after each
        epoch.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import RBMClassifier
    >>> X = np.random.RandomState(0).randint(2, size=(40, 6))
    >>> y = np.where(X[:, 0] == 1, "one", "other")
    >>> RBMClassifier(n_components=8, random_state=0).fit(X, y).predict(X).shape
    (40,)
    """

    generative_weight: float | None = defaults.GENERATIVE_WEIGHT
    dropout: float = 0.0
    learning_rate: float | None = None
    batch_size: int | None = None
    n_iter: int | None = None
    visible: str = "auto"
    scale: bool = False
    schedule: str = "linear"
    weight_std: float | None = 0.1
    patience: int | None = None
    validation_fraction: float = 0.1

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit from scratch.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,)
            Class of each row, of any type that can be sorted. NaN, None and, beside two or more
            other classes, -1 stand for no label. Such rows train the generative part alone, with
            their class summed out; with ``generative_weight=0`` they are left out.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows: a row of weight 2 counts as two rows of weight 1. Only ratios matter;
            rows of weight 0 are ignored.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X, y, known = self._checked_labels(X, y, reset=True)
        self._check_parameters()
        weights, X, y, known = with_weight(weights_of(sample_weight, X.shape[0]), X, y, known)
        classes, _ = check_classes(y[known])
        numbers = numbers_of(y, classes, known)
        seed = seed_of(self.random_state)
        held_out = None
        if self.patience is not None:
            kept, held = self._split(known, seed)
            held_out = (X[held], numbers[held])
            of_held_out = None if weights is None else weights[held]
            X, numbers = X[kept], numbers[kept]
            weights = None if weights is None else weights[kept]
        scaling = self._make_scaling(X, weights)
        self._check_features(X, scaling)
        judged = with_label(X, numbers, weights)
        if self.generative_weight == 0:  # rows without a label teach nothing
            X, numbers, weights = judged
        state, rows = self._begun(X, numbers, len(classes), scaling, weights, seed)
        batches = Minibatches(rows, self._batch_size(len(rows)), weights)
        of_curve = batches
        if rows.mask is not None:
            labelled = self._labelled(*judged[:2], len(classes), scaling)
            of_curve = Minibatches(labelled, len(labelled), judged[2])
        n_iter = self.n_iter
        if n_iter is None:
            n_iter = CLASSIFICATION.epochs(len(rows), batches.batch_size)
        look = None
        if held_out is not None:
            self._check_features(held_out[0], scaling)
            look = HeldOut(self._labelled(*held_out, len(classes), scaling), of_held_out)
        best = train(self, state, batches, n_iter, look, of_curve)
        self._remember(state, scaling, classes)
        self.n_labelled_ = len(judged[1])
        if best is not None:
            for model in (self.model_, state.rbm):
                copy_parameters_(best, model)
        if n_iter:
            self._warn_if_nothing_was_learnt(of_curve.data, judged[1])
        return self

    def _warn_if_nothing_was_learnt(self, rows: Rows, numbers: NDArray[np.int64]) -> None:
        index = some_rows(len(rows))
        states = rows.rows(index.to(rows.device))
        log_p = class_log_probabilities(
            self.model_, states[:, : rows.n_columns - len(self.classes_)]
        )
        updates = (
            f"{self._training.update:,} updates at the learning rate {self._rate():g} were made"
        )
        warn_of_class_frequencies(
            type(self).__name__,
            log_p.cpu(),
            torch.from_numpy(numbers)[index],
            f"{updates}. Pass more epochs (n_iter), or another learning_rate; leaving n_iter, "
            "batch_size, learning_rate and weight_std out takes what suits the rows. If that "
            "does not help either, the features may carry no information about the classes.",
        )

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one update of the parameters, with all rows as one mini-batch.

        The step is ``learning_rate`` times the mean over the rows, whatever their number. The first
        call initialises a model from its rows, unless the estimator is fitted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A mini-batch.
        y : array-like of shape (n_samples,)
            Class of each row, or no label, as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes; required in the first call, optional later.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows within this mini-batch.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        begins = not hasattr(self, "_training")
        told = classes if begins else self.classes_
        X, y, has_label = self._checked_labels(X, y, reset=begins, classes=told)
        self._check_parameters()
        weights, X, y, has_label = with_weight(
            weights_of(sample_weight, X.shape[0]), X, y, has_label
        )
        known = all_classes(classes, None if begins else self.classes_)
        numbers = numbers_of(y, known, has_label)
        scaling = self._make_scaling(X, weights) if begins else self._scaling
        self._check_features(X, scaling)
        if begins:
            seed = seed_of(self.random_state)
            state, rows = self._begun(X, numbers, len(known), scaling, weights, seed)
        else:
            state, rows = self._training, self._labelled(X, numbers, len(known), scaling)
            set_rate(state.optimizer, self._rate())
        whole = rows.masked_rows(torch.arange(len(rows), device=rows.device))
        missing, _ = lone_units(state.rbm.visible, whole.observed)
        batch = Incomplete(whole.states, tuple(missing)) if missing else whole.states
        with following():
            training.update(state, batch, weights=weights)
            training.settle(state)
        if begins:
            self._remember(state, scaling, known)
            self.n_iter_, self.loss_curve_ = 0, []
        else:
            self._scaling = self._scaling_after(X)
        self.n_iter_ += 1
        X, numbers, weights = with_label(X, numbers, weights)
        self.n_labelled_ = len(numbers)
        if not len(numbers):
            self.loss_curve_.append(float("nan"))
            return self
        rows = self._labelled(X, numbers, len(known), scaling)
        curve = LossCurve(rows, self._losses, weights)
        with following():
            curve.look(state.model)
        self.loss_curve_ += curve.values
        return self

    def _checked_labels(self, X: Any, y: Any, *, reset: bool, classes: Any = None) -> Any:
        """Checked features and labels, and whether each row has a label."""
        y, known = known_labels(y, None if classes is None else np.asarray(classes))
        X, y = self._checked_X_y(X, y, reset=reset)
        return X, y, np.ones(len(y), np.bool_) if known is None else known

    def _begun(
        self,
        X: Any,
        numbers: NDArray[np.int64],
        n_classes: int,
        scaling: Scaling | None,
        weights: Tensor | None,
        seed: int,
    ) -> tuple[TrainingState, ArrayRows]:
        rows = self._labelled(X, numbers, n_classes, scaling)
        features: Units = Binary(X.shape[1])
        if self.visible_ == "gaussian":
            features = Gaussian(X.shape[1], precision=PRECISION)
        gradient: Gradient | None = None
        if self.generative_weight is not None:
            gradient = HybridGradient(float(self.generative_weight), dropout=float(self.dropout))
        visible = Mixed(features, Categorical(1, n_classes))
        state = begin(
            self,
            visible,
            rows,
            weights,
            gradient,
            seed,
            learning_rate=self._rate(),
            batch_size=self.batch_size or self._batch_size(len(rows)),
            adaptive=self._is_adaptive,
        )
        return state, rows

    def _batch_size(self, n_rows: int) -> int:
        if self.batch_size is None:
            return classification_batch_size_for(n_rows)
        return min(self.batch_size, n_rows)

    @property
    def _is_adaptive(self) -> bool:
        """Whether step sizes adapt to each weight: if neither rate nor momentum is given."""
        return self.learning_rate is None and not self.momentum

    def _rate(self) -> float:
        if self.learning_rate is not None:
            return float(self.learning_rate)
        return _ADAPTIVE_RATE if self._is_adaptive else _RATE

    def _remember(
        self, state: TrainingState, scaling: Scaling | None, classes: NDArray[Any]
    ) -> None:
        self._training, self.model_ = state, state.model
        self._scaling = scaling
        self._stream = Lane.SAMPLES.stream(state.seed)
        self.classes_ = classes

    # Early stopping

    def _split(
        self, known: NDArray[np.bool_], seed: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of the training rows, and of those held out, which have a label."""
        labelled, others = np.flatnonzero(known), np.flatnonzero(~known)
        n_rows = len(labelled)
        n_held_out = min(max(1, round(self.validation_fraction * n_rows)), n_rows - 1)
        order = permutation(n_rows, Lane.HELD_OUT.stream(seed)).numpy()
        kept, held_out = labelled[order[n_held_out:]], labelled[order[:n_held_out]]
        return np.sort(np.concatenate([kept, others])), np.sort(held_out)
