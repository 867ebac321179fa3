"""`RBMClassifier`: one RBM over features and classes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from harmonium import defaults, sampling, training
from harmonium.classification import HybridGradient, class_columns, class_log_probabilities
from harmonium.datasets import Minibatches
from harmonium.deep.classification_rbm import EarlyStopping
from harmonium.estimators.amounts import (
    UPDATES_BEFORE_PATIENCE,
    batch_size_for,
    classification_epochs_for,
)
from harmonium.estimators.base import (
    check_choice,
    check_integers,
    check_numbers,
    seed_of,
    to_numpy,
    weights_of,
    with_weight,
)
from harmonium.estimators.convergence import some_rows, warn_of_class_frequencies
from harmonium.estimators.curves import LossCurve
from harmonium.estimators.labels import (
    ProbabilisticClassifier,
    all_classes,
    check_classes,
    numbers_of,
)
from harmonium.estimators.rbm_training import (
    begin,
    check_training,
    set_rate,
    set_schedule,
    told,
    train,
)
from harmonium.estimators.rows import ArrayRows, Scaling
from harmonium.estimators.visible import PRECISION, VISIBLE, VisibleEstimator
from harmonium.gradient import Gradient, Penalties
from harmonium.kernels import permutation
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, Clamp, Sampler, SamplingSchedule, start_random
from harmonium.training import Row, TrainingState
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Units

_ADAPTIVE_RATE = 0.03
"""Of Adam; falls to zero over the epochs."""

_RATE = 0.05


class RBMClassifier(ProbabilisticClassifier, VisibleEstimator):
    """Classification RBM: an RBM over features and their class, with the exact p(class | X).

    It learns p(class | X) and, with a small weight, p(X, class), which regularises it (Larochelle
    and Bengio, 2008).

    Parameters
    ----------
    n_components : int, default=256
        Hidden units.
    generative_weight : float or None, default=0.01
        Weight of the generative part. 0 is discriminative training, without chains; None is
        generative training alone.
    dropout : float, default=0.0
        Share of hidden units that are left out of each row at random in what learns p(class | X).
    learning_rate : float, default=None
        Of plain stochastic gradient descent. None takes Adam, whose steps adapt to each weight;
        with ``momentum`` it is 0.05.
    batch_size : int, default=None
        Rows a minibatch; None is 64, or all rows where these are fewer.
    n_iter : int, default=None
        Epochs. None makes two updates for every three rows of X, from 250 up to 25,000.
    visible : {"auto", "binary", "gaussian"}, default="auto"
        What the features are: probabilities from 0 to 1, or real numbers, which are standardised
        inside by their moments in the training rows. "auto" decides by the training rows: binary
        units see zeros and ones, and shades of grey from 0 to a white that columns share (1, 16,
        255); Gaussian units see everything else.
    scale : bool, default=False
        For binary ones, whether to map the range of each feature in the training rows to 0 ... 1,
        and what is beyond it to the ends. Without it, values outside 0 ... 1 are refused in
        training, and taken as 0 or 1 in what follows, with a warning.
    n_chains : int, "batch_size" or None, default="batch_size"
        Persistent chains of the generative part; None starts chains at the rows of each
        minibatch (CD).
    sampler : harmonium.sampling.Sampler, default=None
        Moves the chains; None is ``Gibbs(sweeps=1)``.
    penalties : harmonium.Penalties, default=None
        Decay and sparsity; None has none.
    momentum : float, default=0.0
        From 0 to below 1.
    schedule : {"constant", "linear"}, default="linear"
        Whether `fit` lets the learning rate fall to zero over its epochs.
    average_decay : float, default=None
        Decay per update of a moving average of the parameters, which is then the model.
    weight_std : float or None, default=0.1
        Standard deviation of the weights at the start; None is as of `DBNTransformer`.
    patience : int, default=None
        Epochs without fewer errors on held-out rows after which `fit` stops; the best model is
        kept. None goes on to the end and holds no rows out.
    validation_fraction : float, default=0.1
        Share of the rows that is held out where there is patience.
    verbose : int, default=0
        Above 0, a line after each epoch.
    random_state : int, RandomState instance or None, default=None
        An integer makes fits repeatable, and is the seed of everything random in them.
    device : str or torch.device, default="cpu"
        Where the model lives and learns, such as "cuda".
    dtype : {"float32", "float64"}, default="float32"
        Of the model.

    Attributes
    ----------
    model_ : harmonium.RBM
        The model itself; its visible layer is mixed, of the features and of the class.
    classes_ : ndarray of shape (n_classes,)
        The labels, of any type.
    visible_ : {"binary", "gaussian"}
        What the features were taken for.
    n_iter_ : int
        Epochs of the last `fit`; each `partial_fit` after it adds 1.
    loss_curve_ : list of float
        Minus the log-probability of the class, nats, the mean over some training rows after each
        of them.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has names that are text.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import RBMClassifier
    >>> X = np.random.RandomState(0).randint(2, size=(40, 6))
    >>> y = np.where(X[:, 0] == 1, "one", "other")
    >>> RBMClassifier(n_components=8, random_state=0).fit(X, y).predict(X).shape
    (40,)
    """

    model_: RBM
    _training: TrainingState
    _stream: Stream

    def __init__(
        self,
        n_components: int = 256,
        *,
        generative_weight: float | None = defaults.GENERATIVE_WEIGHT,
        dropout: float = 0.0,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        n_iter: int | None = None,
        visible: str = "auto",
        scale: bool = False,
        n_chains: Any = "batch_size",
        sampler: Sampler | None = None,
        penalties: Penalties | None = None,
        momentum: float = defaults.MOMENTUM,
        schedule: str = "linear",
        average_decay: float | None = defaults.AVERAGE_DECAY,
        weight_std: float | None = 0.1,
        patience: int | None = None,
        validation_fraction: float = 0.1,
        verbose: int = 0,
        random_state: Any = None,
        device: str | torch.device = "cpu",
        dtype: Any = "float32",
    ) -> None:
        self.n_components = n_components
        self.generative_weight = generative_weight
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.visible = visible
        self.scale = scale
        self.n_chains = n_chains
        self.sampler = sampler
        self.penalties = penalties
        self.momentum = momentum
        self.schedule = schedule
        self.average_decay = average_decay
        self.weight_std = weight_std
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.verbose = verbose
        self.random_state = random_state
        self.device = device
        self.dtype = dtype

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from X and y anew.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,)
            Class of each row, of any type that can be sorted.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts: one of weight 2 as much as two rows of weight 1. Only ratios
            matter; a row of weight 0 is as if it were not there.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X, y = self._checked_X_y(X, y, reset=True)
        self._check_parameters()
        weights, X, y = with_weight(weights_of(sample_weight, X.shape[0]), X, y)
        classes, numbers = check_classes(y)
        seed = seed_of(self.random_state)
        held_out = None
        if self.patience is not None:
            kept, held = self._split(len(numbers), seed)
            held_out = (X[held], numbers[held])
            X, numbers = X[kept], numbers[kept]
            weights = None if weights is None else weights[kept]
        scaling = self._make_scaling(X, weights)
        self._check_features(X, scaling)
        state, rows = self._begun(X, numbers, len(classes), scaling, weights, seed)
        batches = Minibatches(rows, self._batch_size(len(rows)), weights)
        n_iter = self.n_iter
        if n_iter is None:
            n_iter = classification_epochs_for(len(rows), batches.batch_size)
        model: RBM | None = None
        if held_out is None:
            train(self, state, batches, n_iter)
        else:
            self._check_features(held_out[0], scaling)
            judged = self._labelled(held_out[0], held_out[1], len(classes), scaling)
            model = self._train_patiently(state, batches, n_iter, judged)
        self._remember(state, scaling, classes)
        if model is not None:
            self._take_best(model)
        if n_iter:
            self._warn_if_nothing_was_learnt(rows, numbers)
        return self

    def _warn_if_nothing_was_learnt(self, rows: ArrayRows, numbers: NDArray[np.int64]) -> None:
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
            "batch_size, learning_rate and weight_std out takes what suits the rows. Where that "
            "does not help either, the features may say nothing of the classes.",
            stacklevel=4,
        )

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one update of the parameters from all rows, as one minibatch.

        The step is ``learning_rate`` times the mean over the rows, however many they are. The first
        call begins a model from its rows, unless the estimator is fitted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A minibatch.
        y : array-like of shape (n_samples,)
            Class of each row.
        classes : array-like of shape (n_classes,), default=None
            All classes there are, which the first call needs; later ones may leave it out.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts within this minibatch.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        begins = not hasattr(self, "_training")
        X, y = self._checked_X_y(X, y, reset=begins)
        self._check_parameters()
        weights, X, y = with_weight(weights_of(sample_weight, X.shape[0]), X, y)
        known = all_classes(classes, None if begins else self.classes_)
        numbers = numbers_of(y, known)
        scaling = self._make_scaling(X, weights) if begins else self._scaling
        self._check_features(X, scaling)
        if begins:
            seed = seed_of(self.random_state)
            state, rows = self._begun(X, numbers, len(known), scaling, weights, seed)
        else:
            state, rows = self._training, self._labelled(X, numbers, len(known), scaling)
            set_rate(state.optimizer, self._rate())
        training.update(state, torch.cat(list(rows.blocks())), weights=weights)
        training.settle(state)
        if begins:
            self._remember(state, scaling, known)
            self.n_iter_, self.loss_curve_ = 0, []
        else:
            self._scaling = self._scaling_after(X)
        curve = LossCurve(rows, self._losses)
        curve.look(state.model)
        self.n_iter_ += 1
        self.loss_curve_ += curve.values
        return self

    def _check_parameters(self) -> None:
        check_training(self, optional=("learning_rate", "batch_size", "n_iter"))
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
        return batch_size_for(n_rows) if self.batch_size is None else min(self.batch_size, n_rows)

    @property
    def _is_adaptive(self) -> bool:
        """Whether steps adapt to each weight: where no rate was given, nor momentum."""
        return self.learning_rate is None and not self.momentum

    def _rate(self) -> float:
        if self.learning_rate is not None:
            return float(self.learning_rate)
        return _ADAPTIVE_RATE if self._is_adaptive else _RATE

    def _losses(self, model: RBM, states: Tensor) -> Tensor:
        """Minus the log-probability of each row's class, for `loss_curve_`."""
        columns = class_columns(model)
        log_p = class_log_probabilities(model, states[:, : columns.start])
        return -(log_p * states[:, columns]).sum(1)

    def _remember(
        self, state: TrainingState, scaling: Scaling | None, classes: NDArray[Any]
    ) -> None:
        self._training, self.model_ = state, state.model
        self._scaling = scaling
        self._stream = Stream(state.seed, Purpose.SAMPLE)
        self.classes_ = classes

    # Early stopping

    def _split(self, n_rows: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the rows to learn from, and of those held out."""
        n_held_out = min(max(1, round(self.validation_fraction * n_rows)), n_rows - 1)
        order = permutation(n_rows, Stream(seed, Purpose.SPLIT)).numpy()
        return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])

    def _train_patiently(
        self, state: TrainingState, batches: Minibatches, n_iter: int, held_out: ArrayRows
    ) -> RBM | None:
        assert self.patience is not None
        stopping = EarlyStopping(self.patience)
        set_schedule(self, state, batches, n_iter)
        look, curve = _HeldOut(held_out), LossCurve(batches.data, self._losses)
        rows = training.run(state, batches, n_iter, every=len(batches), monitor=look)
        for row in told(self, rows) if self.verbose else rows:
            stopping.look(state.model, row)
            curve.look(state.model)
            if stopping.is_over and state.update >= UPDATES_BEFORE_PATIENCE:
                break
        state.schedule = None
        self.n_iter_, self.loss_curve_ = len(curve.values), curve.values
        return stopping.model

    @torch.no_grad()
    def _take_best(self, best: RBM) -> None:
        for model in (self.model_, self._training.rbm):
            for parameter, kept in zip(model.parameters(), best.parameters(), strict=True):
                parameter.copy_(kept)

    # What a fitted model computes

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Log-probability of each class, exactly, nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; float64 where X is, else float32.
        """
        X, rows = self._fitted_rows(X)
        return self._by_block(
            rows, lambda x: class_log_probabilities(self.model_, x), len(self.classes_), X
        )

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probability of each class, exactly.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; float64 where X is, else float32.
        """
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def sample(
        self,
        n_samples: int | None = None,
        y: Any = None,
        *,
        n_sweeps: int = defaults.SAMPLE_WARMUP,
        random_state: Any = None,
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw rows with their classes, each by a chain of its own that starts at noise.

        A model that was trained with ``generative_weight=0`` tells classes apart, but has not
        learnt what rows look like.

        Parameters
        ----------
        n_samples : int, default=None
            Rows; None is one for each label in ``y``, or one.
        y : label or array-like of shape (n_samples,), default=None
            Class of all rows, or of each, which is held while the features are sampled. None
            draws classes together with the features.
        n_sweeps : int, default=1000
            Sweeps of Gibbs sampling before a row is taken. A model that mixes slowly needs more.
        random_state : int, RandomState instance or None, default=None
            None goes on with the estimator's own random numbers, so that each call draws anew.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Values as those that were learnt from, in the type of the model.
        y : ndarray of shape (n_samples,)
            The class of each row, of the type of ``classes_``.
        """
        check_is_fitted(self)
        numbers = None if y is None else self._numbers_of_labels(y, n_samples)
        if n_samples is None:
            n_samples = 1 if numbers is None else len(numbers)
        model, stream = self.model_, self._stream
        if random_state is not None:
            stream = Stream(seed_of(random_state), Purpose.SAMPLE, rank=1)
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
        """Number of the class of each row to be drawn; refuses labels that are none."""
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


class _HeldOut:
    """Judges a model by rows that are not trained on."""

    def __init__(self, rows: ArrayRows) -> None:
        self._blocks = list(rows.blocks())

    def __call__(self, rbm: RBM, chains: ChainState | None, update: int) -> Row:
        wrong, loss, n_rows = 0, 0.0, 0
        for v in self._blocks:
            n_classes = rbm.visible.groups[-1][1].n_columns
            target = v[:, -n_classes:].argmax(1, keepdim=True)
            log_p = class_log_probabilities(rbm, v[:, :-n_classes])
            wrong += int((log_p.argmax(1, keepdim=True) != target).sum())
            loss -= log_p.gather(1, target).sum().item()
            n_rows += len(v)
        return {"held_out_error": wrong / n_rows, "held_out_log_loss": loss / n_rows}
