"""`BernoulliRBM`: a drop-in replacement for scikit-learn's estimator of the same name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from harmonium.estimators.pseudo_likelihood import PseudoLikelihood
from harmonium.estimators.rbm import RBMEstimator
from harmonium.estimators.rows import ArrayRows, Scaling, check_unit_range, is_in_unit_range
from harmonium.estimators.visible import clipped
from harmonium.likelihood import exact_pseudo_log_likelihood
from harmonium.units import Binary, Units


@dataclass(eq=False, repr=False, kw_only=True)
class BernoulliRBM(RBMEstimator):
    """RBM with binary visible and hidden units, trained by persistent contrastive divergence.

    A drop-in replacement for `sklearn.neural_network.BernoulliRBM`: its parameters, attributes and
    methods have the same meaning, with these differences.

    - Rows are shuffled in each epoch, training uses the centred gradient, initial weights are
      wide, and visible biases start at the data's base rates. scikit-learn does none of this.
    - The model is float32 unless ``dtype`` says otherwise. The result of `transform` still has
      the type of X, if that is floating point.
    - `score_samples` is the pseudo-log-likelihood of all units, accurate to a few per cent and
      reproducible. scikit-learn's is that of one random unit per row, times the number of units.
    - `partial_fit` weights data and chains correctly for any number of rows.
    - Values outside 0 ... 1 are an error in training. In new rows they are clipped to 0 or 1 with
      a warning, unless they are so far outside that the rows cannot have been scaled.

    Parameters
    ----------
    n_components : int, default=256
        Hidden units.
    learning_rate : float, default=0.1
        Learning rate of plain stochastic gradient descent.
    batch_size : int, default=10
        Rows per mini-batch. With 100, an epoch is several times as fast.
    n_iter : int, default=10
        Epochs.
    verbose : int, default=0
        Above 0, a line after each epoch with an estimate of the pseudo-log-likelihood.
    random_state : int, RandomState instance or None, default=None
        An integer makes fits reproducible, and is their only random seed.
    scale : bool, default=False
        Whether to map the range of each feature in the training rows to 0 ... 1, clipping values
        beyond it. `inverse_transform` and `sample` invert this.
    n_chains : int, "batch_size" or None, default="batch_size"
        Number of persistent chains; None starts chains at the rows of each mini-batch (CD).
    sampler : harmonium.sampling.Sampler, default=None
        Moves the chains; None means ``Gibbs(sweeps=1)``.
    gradient : harmonium.gradient.Gradient, default=None
        None means ``CenteredGradient()``.
    penalties : harmonium.Penalties, default=None
        Weight decay and sparsity; None means no penalties.
    momentum : float, default=0.0
        From 0 to below 1.
    schedule : {"constant", "linear"}, default="constant"
        Whether `fit` keeps the learning rate or lets it fall linearly to zero.
    average_decay : float, default=None
        Decay per update of a moving average of the parameters, which becomes the model.
    weight_std : float, default=None
        Standard deviation of the initial weights. None chooses them wide enough that hidden units
        differ from the start (Glorot and Bengio, 2010), and also varies their thresholds, so that
        features are useful after few updates, as with few rows or large batches. 0.01, with
        thresholds at the mean of the data, is scikit-learn's choice, and what Hinton (2010)
        recommends for many thousand updates.
    device : str or torch.device, default="cpu"
        Device of the model and of training, such as "cuda".
    dtype : {"float32", "float64"}, default="float32"
        Type of the model.

    Attributes
    ----------
    model_ : harmonium.RBM
        The model itself, for use with the rest of harmonium. ``model_.weights`` has the shape
        (n_features, n_components).
    components_ : ndarray of shape (n_components, n_features)
        Weights.
    intercept_hidden_ : ndarray of shape (n_components,)
        Biases of the hidden units.
    intercept_visible_ : ndarray of shape (n_features,)
        Biases of the visible units.
    h_samples_ : ndarray of shape (n_chains, n_components)
        Hidden states of the chains; missing with ``n_chains=None``.
    n_iter_ : int
        Epochs of the last `fit`; each later `partial_fit` adds 1.
    loss_curve_ : list of float
        Reconstruction error after each epoch, the mean over some training rows: cross-entropy in
        nats. It is not a likelihood, and need not decrease throughout.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Notes
    -----
    `score_samples` is the pseudo-log-likelihood (Besag, 1975), nats: the sum over
    features of the log-probability of each given all others. Values between 0 and 1 are rounded.
    With up to eight features it is exact. With more, it is an estimate: all features contribute a
    second-order Taylor approximation, and the approximation error is computed for eight features
    per row, which depend only on the row. `pseudo_log_likelihood` is always exact, but slow with
    many features.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import BernoulliRBM
    >>> X = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> BernoulliRBM(n_components=2).fit(X).transform(X).shape
    (4, 2)
    """

    scale: bool = False

    def _make_units(self, n_features: int) -> Units:
        return Binary(n_features)

    def _choose_scaling(self, X: Any, weights: Tensor | None) -> Scaling | None:
        return Scaling.of_range(X) if self.scale else None

    def _check_features(self, X: Any, scaling: Scaling | None) -> None:
        if scaling is None:
            check_unit_range(X, "scale=True")

    def _fitted_rows(self, X: Any) -> tuple[Any, ArrayRows]:
        """Checked features, and their states for the fitted model.

        New rows can be slightly outside 0 ... 1 after a scaler; they are clipped, with a warning.
        Rows that are outside by the width of the range were never scaled.
        """
        X = self._checked_fitted_X(X)
        scaling = self._scaling
        if scaling is None and not is_in_unit_range(X):
            if X.min() < -1 or X.max() > 2:
                check_unit_range(X, "scale=True")
            scaling = clipped(X, type(self).__name__)
        else:
            self._warn_of_other_units(X)
        return X, self._rows(X, scaling)

    def _scorer(self) -> Callable[[Tensor], Tensor]:
        return PseudoLikelihood(self.model_)

    def pseudo_log_likelihood(self, X: Any) -> NDArray[Any]:
        """Exact pseudo-log-likelihood of each row, which `score_samples` estimates, nats.

        It takes as long as one free energy per feature.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features; values between 0 and 1 are rounded.

        Returns
        -------
        log_p : ndarray of shape (n_samples,)
            Float64 if X is, else float32.
        """
        X, rows = self._fitted_rows(X)
        return self._by_block(rows, lambda v: exact_pseudo_log_likelihood(self.model_, v), None, X)
