"""`BernoulliRBM`: a drop-in for scikit-learn's estimator of the same name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import defaults
from harmonium.estimators.pseudo_likelihood import PseudoLikelihood
from harmonium.estimators.rbm import RBMEstimator
from harmonium.estimators.rows import ArrayRows, Scaling, check_unit_range, is_in_unit_range
from harmonium.estimators.visible import clipped
from harmonium.gradient import Gradient, Penalties
from harmonium.likelihood import exact_pseudo_log_likelihood
from harmonium.sampling import Sampler
from harmonium.units import Binary, Units


class BernoulliRBM(RBMEstimator):
    """RBM with binary visible and hidden units, trained by persistent contrastive divergence.

    A drop-in for `sklearn.neural_network.BernoulliRBM`: its parameters, attributes and methods
    mean the same, with these differences.

    - Rows are shuffled in each epoch, weights and biases follow the centred gradient, weights
      start wide, and visible biases at the data's base rates. scikit-learn does none of that.
    - The model is float32 unless ``dtype`` says otherwise. What `transform` returns still has the
      type of X, if that is floating point.
    - `score_samples` is the pseudo-log-likelihood of all units to within some hundredths of its
      size, and the same whenever it is asked for; scikit-learn's is that of one unit a row, drawn
      anew in each call, times the number of units.
    - `partial_fit` weighs data and chains right whatever the number of rows.
    - Values outside 0 ... 1 are refused in training. In new rows they are taken as 0 or 1, with a
      warning, unless they lie so far outside that the rows cannot have been scaled.

    Parameters
    ----------
    n_components : int, default=256
        Hidden units.
    learning_rate : float, default=0.1
        Of plain stochastic gradient descent.
    batch_size : int, default=10
        Rows a minibatch. 100 is several times as fast an epoch.
    n_iter : int, default=10
        Epochs.
    verbose : int, default=0
        Above 0, a line after each epoch with an estimate of the pseudo-log-likelihood.
    random_state : int, RandomState instance or None, default=None
        An integer makes fits repeatable, and is the seed of everything random in them.
    scale : bool, default=False
        Whether to map the range of each feature in the training rows to 0 ... 1, and what is
        beyond it to the ends. `inverse_transform` and `sample` go back.
    n_chains : int, "batch_size" or None, default="batch_size"
        Persistent chains; None starts chains at the rows of each minibatch (CD).
    sampler : harmonium.sampling.Sampler, default=None
        Moves the chains; None is ``Gibbs(sweeps=1)``.
    gradient : harmonium.gradient.Gradient, default=None
        None is ``CenteredGradient()``.
    penalties : harmonium.Penalties, default=None
        Decay and sparsity; None has none.
    momentum : float, default=0.0
        From 0 to below 1.
    schedule : {"constant", "linear"}, default="constant"
        Whether `fit` lets the learning rate fall to zero over its epochs.
    average_decay : float, default=None
        Decay per update of a moving average of the parameters, which is then the model.
    weight_std : float, default=None
        Standard deviation of the weights at the start. None is wide enough that hidden units
        differ from the beginning (Glorot and Bengio, 2010), and lets their thresholds differ, too,
        so that features are of use after few updates, of few rows or large batches. 0.01, with
        thresholds at the mean of the data, is scikit-learn's, and what Hinton (2010) advises for
        many thousand updates.
    device : str or torch.device, default="cpu"
        Where the model lives and learns, such as "cuda".
    dtype : {"float32", "float64"}, default="float32"
        Of the model.

    Attributes
    ----------
    model_ : harmonium.RBM
        The model itself, on which all of harmonium works. ``model_.weights`` has the shape
        (n_features, n_components).
    components_ : ndarray of shape (n_components, n_features)
        Weights.
    intercept_hidden_ : ndarray of shape (n_components,)
        Biases of the hidden units.
    intercept_visible_ : ndarray of shape (n_features,)
        Biases of the visible units.
    h_samples_ : ndarray of shape (n_chains, n_components)
        Hidden states of the chains; none with ``n_chains=None``.
    n_iter_ : int
        Epochs of the last `fit`; each `partial_fit` after it adds 1.
    loss_curve_ : list of float
        Reconstruction error after each of them, the mean over some training rows: cross-entropy
        in nats. It is no likelihood, and need not fall to the end.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has names that are text.

    Notes
    -----
    `score_samples` is the pseudo-log-likelihood (Besag, 1975), nats: the sum over features of the
    log-probability of each given all others. Values between 0 and 1 are rounded for it. With up to
    eight features it is exact. With more it is an estimate: all features count by the second order
    of a Taylor series, and what that misses is computed for eight features a row, which the row
    itself decides on. `pseudo_log_likelihood` is exact always, and slow with many features.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import BernoulliRBM
    >>> X = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> BernoulliRBM(n_components=2).fit(X).transform(X).shape
    (4, 2)
    """

    def __init__(
        self,
        n_components: int = 256,
        *,
        learning_rate: float = 0.1,
        batch_size: int = 10,
        n_iter: int = 10,
        verbose: int = 0,
        random_state: Any = None,
        scale: bool = False,
        n_chains: Any = "batch_size",
        sampler: Sampler | None = None,
        gradient: Gradient | None = None,
        penalties: Penalties | None = None,
        momentum: float = defaults.MOMENTUM,
        schedule: str = "constant",
        average_decay: float | None = defaults.AVERAGE_DECAY,
        weight_std: float | None = None,
        device: str | torch.device = "cpu",
        dtype: Any = "float32",
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.verbose = verbose
        self.random_state = random_state
        self.scale = scale
        self.n_chains = n_chains
        self.sampler = sampler
        self.gradient = gradient
        self.penalties = penalties
        self.momentum = momentum
        self.schedule = schedule
        self.average_decay = average_decay
        self.weight_std = weight_std
        self.device = device
        self.dtype = dtype

    def _make_units(self, n_features: int) -> Units:
        return Binary(n_features)

    def _choose_scaling(self, X: Any, weights: Tensor | None) -> Scaling | None:
        return Scaling.of_range(X) if self.scale else None

    def _check_features(self, X: Any, scaling: Scaling | None) -> None:
        if scaling is None:
            check_unit_range(X, "scale=True")

    def _fitted_rows(self, X: Any) -> tuple[Any, ArrayRows]:
        """Checked features, and the states that they are to the fitted model.

        Rows that are new to a scaler lie a little outside 0 ... 1: they are held at the ends, not
        in silence. Those that lie as far outside as the range is wide were never scaled.
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

        It takes the time of as many free energies as there are features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features; values between 0 and 1 are rounded.

        Returns
        -------
        log_p : ndarray of shape (n_samples,)
            Float64 where X is, else float32.
        """
        X, rows = self._fitted_rows(X)
        return self._by_block(rows, lambda v: exact_pseudo_log_likelihood(self.model_, v), None, X)
