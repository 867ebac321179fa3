"""`DBNTransformer`: features learned by a deep belief network."""

from __future__ import annotations

from typing import Any, Self

import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from harmonium import defaults, training
from harmonium.datasets import Minibatches
from harmonium.deep import DBN
from harmonium.diagnostics.reconstruction import error_given_inputs
from harmonium.estimators.base import (
    ScoringTransformer,
    seed_of,
    width_of,
)
from harmonium.estimators.convergence import some_rows, warn_of_constant_features
from harmonium.estimators.curves import LossCurve
from harmonium.estimators.deep import DeepEstimator
from harmonium.estimators.rows import ArrayRows, Scaling
from harmonium.gauge import Gauge
from harmonium.gradient import Gradient, Penalties
from harmonium.rng import Lane, Stream, seed_of_layer
from harmonium.sampling import Sampler, SamplingSchedule, start_random
from harmonium.training import TrainingState


class DBNTransformer(ScoringTransformer, DeepEstimator):
    """A deep belief network as a transformer: RBMs stacked by greedy pretraining.

    Each RBM learns from the features of the one below it (Hinton, Osindero and Teh, 2006).

    Parameters
    ----------
    layers : sequence of int, default=(256, 64)
        Hidden units of each layer, from the features upwards.
    visible : {"auto", "binary", "gaussian"}, default="auto"
        Type of the visible units: binary for probabilities from 0 to 1, or Gaussian for real
        numbers, which are standardised internally with their moments in the training rows. "auto"
        decides from the training rows: binary units for zeros and ones, and for grey values from 0
        to a white that all columns share (1, 16, 255); Gaussian units for everything else.
    scale : bool, default=False
        For binary units, whether to map the range of each feature in the training rows to 0 ... 1,
        clipping values beyond it. Otherwise, values outside 0 ... 1 are an error in training, and
        later are clipped to 0 or 1 with a warning.
    pretraining_epochs : int, None or sequence, default=None
        Passes over the rows for each layer; None means 16, or as many as 50 updates take if that is
        more. This parameter and the next six take one value for all layers, or a list or tuple with
        one per layer.
    pretraining_rate : float, None or sequence, default=None
        Learning rate; None means 0.1, but 0.01 above Gaussian features.
    pretraining_batch_size : int, None or sequence, default=None
        Rows per mini-batch; None means 64, or all rows if there are fewer.
    n_chains : int, "batch_size", None or sequence, default="batch_size"
        Number of persistent chains; None starts chains at the rows of each mini-batch (CD).
    sampler : harmonium.sampling.Sampler or sequence, default=None
        Moves the chains; None means ``Gibbs(sweeps=1)``.
    gradient : harmonium.gradient.Gradient or sequence, default=None
        None means ``CenteredGradient()``.
    penalties : harmonium.Penalties or sequence, default=None
        Weight decay and sparsity; None means no penalties.
    features : {"drawn", "mean"}, default="drawn"
        Input of upper layers: states of the layer below, drawn again in each epoch, or their means.
    weight_std : float, default=None
        Standard deviation of the initial weights. None chooses them wide enough that hidden units
        differ from the start (Glorot and Bengio, 2010), as tables with few rows need; Hinton (2010)
        recommends 0.01 for many thousand updates.
    random_state : int, RandomState instance or None, default=None
        An integer makes fits reproducible, and is their only random seed.
    verbose : int, default=0
        Above 0, print the progress of each layer.
    device : str or torch.device, default="cpu"
        Device of the model and of training, such as "cuda".
    dtype : {"float32", "float64"}, default="float32"
        Type of the model. Features of layers are stored in float32.

    Attributes
    ----------
    model_ : harmonium.deep.DBN
        The network itself, for use with the rest of harmonium.
    visible_ : {"binary", "gaussian"}
        The type of visible units used for the features.
    n_iter_ : int
        Epochs of the last `fit`, of all layers together; each later `partial_fit` adds 1.
    loss_curve_ : list of float
        Reconstruction error of the layer in training after each epoch, one layer after the other:
        the mean over some rows of its training data, cross-entropy in nats for binary features,
        else squared error. After `partial_fit`, the error of the whole stack.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has names that are strings.

    Notes ----- `score_samples` is minus the error of each row's reconstruction from its top
    features, with means passed up and down: cross-entropy in nats for binary features, else the
    squared error summed over standardised features. It is not a likelihood.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import DBNTransformer
    >>> X = np.random.RandomState(0).randint(2, size=(30, 6))
    >>> DBNTransformer(layers=(4, 3), random_state=0).fit(X).transform(X).shape
    (30, 3)
    """

    _keeps_curve = True

    model_: DBN
    _stream: Stream
    _training: tuple[TrainingState, ...]

    def __init__(
        self,
        layers: Any = (256, 64),
        *,
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
        random_state: Any = None,
        verbose: int = 0,
        device: str | torch.device = "cpu",
        dtype: Any = "float32",
    ) -> None:
        self.layers = layers
        self.visible = visible
        self.scale = scale
        self.pretraining_epochs = pretraining_epochs
        self.pretraining_rate = pretraining_rate
        self.pretraining_batch_size = pretraining_batch_size
        self.n_chains = n_chains
        self.sampler = sampler
        self.gradient = gradient
        self.penalties = penalties
        self.features = features
        self.weight_std = weight_std
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit from scratch, layer by layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Sparse rows become dense ones of bytes or float32.
        y : Ignored
            Present for consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows: a row of weight 2 counts as two rows of weight 1. Only ratios matter;
            rows of weight 0 are ignored.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X, weights = self._counted(X, sample_weight, reset=True)
        scaling = self._fitting_scaling(X, weights, reset=True)
        seed = seed_of(self.random_state)
        dbn = self._make_dbn(X.shape[1])
        self._pretrain(dbn, self._data(X, scaling, dbn.top.weights.device), weights, seed)
        self.model_, self._scaling = dbn, scaling
        self._training = self._begun(seed, X.shape[0])
        self._stream = Lane.SAMPLES.stream(seed)
        self._warn_of_constants(self._rows(X, scaling))
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Make one update of each layer, from the lowest upwards, with all rows as one mini-batch.

        Each layer learns from the current features of the layers below. Layers therefore learn at
        the same time, not one after the other, and what upper layers learn first is soon outdated.

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
        begins = not hasattr(self, "_training")
        X, weights = self._counted(X, sample_weight, reset=begins)
        scaling = self._fitting_scaling(X, weights, reset=begins)
        if begins:
            self._begin_untrained(X, scaling, weights)
        else:
            self._scaling = self._scaling_after(X)
        rows = self._rows(X, self._scaling)
        v = torch.cat(list(rows.blocks()))
        curve = LossCurve(rows, lambda _, states: -self._score_rows(states), weights)
        for rbm, state in zip(self.model_.stack, self._training, strict=True):
            training.update(state, v, weights=weights)
            training.settle(state)
            v = rbm.hidden.mean(rbm.inputs_h_from_v(v)).detach()
        curve.look(self.model_.stack[0])
        self.n_iter_ += 1
        self.loss_curve_ += curve.values
        return self

    @torch.no_grad()
    def _warn_of_constants(self, rows: ArrayRows) -> None:
        some = v = rows.rows(some_rows(len(rows)).to(rows.device))
        layers = []
        for rbm in self.model_.stack:
            v = rbm.mean_h_from_v(v)
            layers.append(v)
        warn_of_constant_features(
            type(self).__name__,
            some,
            layers,
            "Its weights have not grown: pass weight_std=None, more pretraining_epochs, a larger "
            "pretraining_rate, or a smaller pretraining_batch_size",
        )

    def _begin_untrained(self, X: Any, scaling: Scaling | None, weights: Tensor | None) -> None:
        """Initial weights, and visible biases of the first layer from its rows."""
        seed = seed_of(self.random_state)
        dbn = self._make_dbn(X.shape[1])
        rows = ArrayRows(X, scaling, dtype=dbn.top.weights.dtype, device=dbn.top.weights.device)
        for layer, rbm in enumerate(dbn.stack):
            if layer == 0:
                below: Any = Minibatches(rows, len(rows), weights)
            else:
                below = rbm.visible.mean(rbm.weights.new_zeros(1, rbm.visible.n_columns)).detach()
            rbm.init_from_data_(below, seed_of_layer(seed, layer), width_of(self.weight_std))
        self.model_, self._scaling = dbn, scaling
        self.n_iter_, self.loss_curve_ = 0, []
        self._training = self._begun(seed, len(rows))
        self._stream = Lane.SAMPLES.stream(seed)

    def _begun(self, seed: int, n_rows: int) -> tuple[TrainingState, ...]:
        """Training states from which `partial_fit` continues."""
        options = self._layer_options(self.model_, n_rows)
        return tuple(
            of_layer.begin(rbm, seed_of_layer(seed, layer), n_batches=1)
            for layer, (rbm, of_layer) in enumerate(zip(self.model_.stack, options, strict=True))
        )

    def _check_parameters(self) -> None:
        self._check_layers()
        if not self._widths():
            raise ValueError("layers is empty; pass numbers of hidden units, such as (100, 100)")
        if 0 in self._of_each_layer("pretraining_epochs"):
            raise ValueError("pretraining_epochs is 0, and nothing else is trained; pass 1 or more")

    def _weights(self) -> Tensor:
        return self.model_.top.weights

    @property
    def _n_features_out(self) -> int:
        return int(self.model_.top.hidden.n)

    def transform(self, X: Any) -> NDArray[Any]:
        """Means of the top hidden units given X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        h : ndarray of shape (n_samples, layers[-1])
            Float64 if X is, else float32.
        """
        X, rows = self._fitted_rows(X)
        return self._by_block(rows, self.model_.mean_up, self._n_features_out, X)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Mean of the features given means or states of the top hidden units.

        Parameters
        ----------
        X : array-like of shape (n_samples, layers[-1])
            As returned by `transform`.

        Returns
        -------
        v : ndarray of shape (n_samples, n_features)
            Float64 if X is, else float32.
        """
        return self._features_of(X, lambda h: self.model_.mean_down(h))

    def sample(
        self,
        n_samples: int = 1,
        *,
        n_sweeps: int = defaults.SAMPLE_WARMUP,
        random_state: Any = None,
    ) -> NDArray[Any]:
        """Draw rows from the network: chains of the top RBM, and one draw downwards from each.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, each from its own chain that starts at noise.
        n_sweeps : int, default=1000
            Burn-in sweeps of Gibbs sampling in the top RBM before a row is drawn.
        random_state : int, RandomState instance or None, default=None
            None continues the estimator's random stream, so each call gives new draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Values in the units of the training data, in the type of the model.
        """
        check_is_fitted(self)
        stream = self._stream
        if random_state is not None:
            stream = Lane.STATED_SAMPLES.stream(seed_of(random_state))
        dbn = self.model_
        chains = start_random(dbn.top, n_samples, stream)
        (dream,) = dbn.sample(chains, SamplingSchedule(n_sweeps, 1, 1), stream)
        return self._drawn_values(dream.visible)

    def score_samples(self, X: Any) -> NDArray[Any]:
        """Minus the reconstruction error of each row; higher is better.

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
        return self._by_block(rows, self._score_rows, None, X)

    def _score_rows(self, v: Tensor) -> Tensor:
        dbn = self.model_
        h = dbn.mean_up(v)
        for rbm in reversed(dbn.stack[1:]):
            h = rbm.mean_v_from_h(h)
        gauge = Gauge.of(dbn.stack[0])
        inputs = gauge.rbm.inputs_v_from_h(gauge.enter_hidden(h))
        return -error_given_inputs(gauge.rbm.visible, inputs, gauge.enter(v))
