"""`DBNTransformer`: features learned by a deep belief network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harmonium import training
from harmonium.datasets import Minibatches
from harmonium.deep import DBN
from harmonium.diagnostics.reconstruction import error_given_inputs
from harmonium.estimators.base import SamplingTransformer
from harmonium.estimators.checks import seed_of, width_of
from harmonium.estimators.curves import LossCurve
from harmonium.estimators.deep import DeepEstimator
from harmonium.estimators.rows import ArrayRows, Scaling
from harmonium.gauge import Gauge
from harmonium.rng import Lane, Stream, seed_of_layer
from harmonium.sampling import SamplingSchedule, start_random
from harmonium.training import TrainingState


class DBNTransformer(SamplingTransformer, DeepEstimator):
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
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Notes
    -----
    `score_samples` is minus the error of each row's reconstruction from its top
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

    def _fit(self, X: Any, y: Any, weights: Tensor | None) -> None:
        scaling = self._fitting_scaling(X, weights, reset=True)
        seed = seed_of(self.random_state)
        dbn = self._make_dbn(X.shape[1])
        self._pretrain(dbn, self._data(X, scaling, dbn.top.weights.device), weights, seed)
        self.model_, self._scaling = dbn, scaling
        self._training = self._begun(seed, X.shape[0])
        self._stream = Lane.SAMPLES.stream(seed)
        self._warn_of_constants(
            dbn,
            self._rows(X, scaling),
            type(self).__name__,
            "Its weights have not grown: pass weight_std=None, more pretraining_epochs, a larger "
            "pretraining_rate, or a smaller pretraining_batch_size",
        )

    def _learn(self, X: Any, y: Any, weights: Tensor | None, begins: bool) -> None:
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

    def _encode(self, v: Tensor) -> Tensor:
        return self.model_.mean_up(v)

    def _decode(self, h: Tensor) -> Tensor:
        return self.model_.mean_down(h)

    def _draw(self, n_samples: int, schedule: SamplingSchedule, stream: Stream) -> Tensor:
        chains = start_random(self.model_.top, n_samples, stream)
        (dream,) = self.model_.sample(chains, schedule, stream)
        return dream.visible

    def _scorer(self) -> Callable[[Tensor], Tensor]:
        return self._score_rows

    def _score_rows(self, v: Tensor) -> Tensor:
        dbn = self.model_
        h = dbn.mean_up(v)
        for rbm in reversed(dbn.stack[1:]):
            h = rbm.mean_v_from_h(h)
        gauge = Gauge.of(dbn.stack[0])
        inputs = gauge.rbm.inputs_v_from_h(gauge.enter_hidden(h))
        return -error_given_inputs(gauge.rbm.visible, inputs, gauge.enter(v))
