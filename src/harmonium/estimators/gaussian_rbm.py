"""`GaussianRBM`: real-valued features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import defaults
from harmonium.diagnostics import reconstruction_error
from harmonium.estimators.precision import check_precision
from harmonium.estimators.rbm import RBMEstimator
from harmonium.estimators.rows import Scaling
from harmonium.gradient import Gradient, Penalties
from harmonium.likelihood import LogLikelihood
from harmonium.sampling import Sampler
from harmonium.units import Gaussian, Units

_LEARNING_RATE = 0.01
"""A tenth of the rate for binary units: Gaussian states are unbounded (Hinton, 2010)."""


class GaussianRBM(RBMEstimator):
    """RBM with Gaussian visible and binary hidden units, for real-valued features.

    Features are standardised internally: in the model, each has mean 0 and variance 1 over the
    training rows. `inverse_transform` and `sample` return the features' own units.

    Parameters
    ----------
    n_components : int, default=256
        Hidden units.
    learning_rate : float, default=0.01
        Learning rate of plain stochastic gradient descent. Gaussian units need a smaller rate than
        binary units.
    batch_size : int, default=10
        Rows per mini-batch. With 100, an epoch is several times as fast.
    n_iter : int, default=10
        Epochs.
    verbose : int, default=0
        Above 0, a line after each epoch with the reconstruction error of some rows.
    random_state : int, RandomState instance or None, default=None
        An integer makes fits reproducible, and is their only random seed.
    standardize : bool, default=True
        Whether features are standardised with their moments in the training rows (`partial_fit`: in
        the rows of its first call). Otherwise they are used unchanged.
    learn_precision : bool, default=False
        Whether the precision of each feature's noise is learned, starting from that of the training
        rows; otherwise it is 1. The learned precision shows how much of a feature the hidden units
        leave unexplained.
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
        differ from the start (Glorot and Bengio, 2010), and also varies their thresholds, as tables
        with few rows need. Hinton (2010) recommends 0.01, with thresholds at the mean of the data,
        for many thousand updates.
    device : str or torch.device, default="cpu"
        Device of the model and of training, such as "cuda".
    dtype : {"float32", "float64"}, default="float32"
        Type of the model.

    Attributes
    ----------
    model_ : harmonium.RBM
        The model itself, for standardised features.
    components_, intercept_hidden_, intercept_visible_, h_samples_
        As for `BernoulliRBM`, for standardised features.
    mean_, scale_ : ndarray of shape (n_features,)
        Mean and standard deviation of the training rows, used to standardise features. A constant
        feature has a scale of 0, and is divided by 1.
    precision_ : ndarray of shape (n_features,)
        Inverse variance of each standardised feature's noise.
    n_iter_ : int
        Epochs of the last `fit`; each later `partial_fit` adds 1.
    loss_curve_ : list of float
        Reconstruction error after each epoch, the mean over some training rows: the squared error
        summed over standardised features.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Notes ----- `score_samples` is minus the squared error of each row's reconstruction from its
    hidden probabilities, summed over standardised features. It is not a likelihood, and more hidden
    units nearly always raise it. For likelihoods, see `harmonium.likelihood`.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import GaussianRBM
    >>> X = np.random.RandomState(0).normal(20, 5, size=(30, 4))
    >>> GaussianRBM(n_components=2).fit(X).transform(X).shape
    (30, 2)
    """

    def __init__(
        self,
        n_components: int = 256,
        *,
        learning_rate: float = _LEARNING_RATE,
        batch_size: int = 10,
        n_iter: int = 10,
        verbose: int = 0,
        random_state: Any = None,
        standardize: bool = True,
        learn_precision: bool = False,
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
        self.standardize = standardize
        self.learn_precision = learn_precision
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

    @property
    def mean_(self) -> NDArray[np.float64]:
        """Mean of each feature, which is subtracted, shape (n_features,)."""
        return self._of_scaling("mean_").shift

    @property
    def scale_(self) -> NDArray[np.float64]:
        """Standard deviation of each feature, shape (n_features,); 0 for a constant."""
        return self._of_scaling("scale_").scale

    @property
    def precision_(self) -> NDArray[Any]:
        """Inverse variance of each standardised feature's noise, shape (n_features,)."""
        logarithm = self._parameter("precision_", "visible.log_precision")
        return np.asarray(logarithm.detach().exp().cpu().numpy())

    def _of_scaling(self, attribute: str) -> Scaling:
        if getattr(self, "_scaling", None) is None:
            raise AttributeError(
                f"this GaussianRBM has no {attribute}: it is not fitted, or does not standardise"
            )
        assert self._scaling is not None
        return self._scaling

    def evaluate_log_likelihood(
        self,
        X: Any,
        *,
        budget: float | None = None,
        random_state: Any = 0,
        sample_weight: Any = None,
    ) -> LogLikelihood:
        """Mean log-density of rows in the units of X, nats, as for `RBMEstimator`.

        The density of standardised values is corrected for the scale of each feature.
        """
        found = super().evaluate_log_likelihood(
            X, budget=budget, random_state=random_state, sample_weight=sample_weight
        )
        if self._scaling is None:
            return found
        scales = float(np.log(self._scaling.divisor).sum())
        return replace(found, lower=found.lower - scales, upper=found.upper - scales)

    def _make_units(self, n_features: int) -> Units:
        return Gaussian(n_features, learn_precision=bool(self.learn_precision))

    def _choose_scaling(self, X: Any, weights: Tensor | None) -> Scaling | None:
        return Scaling.of_moments(X, weights) if self.standardize else None

    def _make_scaling(self, X: Any, weights: Tensor | None) -> Scaling | None:
        scaling = super()._make_scaling(X, weights)
        if scaling is None:
            check_precision(X, None, self._states_dtype(), self._names())
        return scaling

    def _check_features(self, X: Any, scaling: Scaling | None) -> None:
        """Any finite number is a state."""

    def _scorer(self) -> Callable[[Tensor], Tensor]:
        return lambda states: -reconstruction_error(self.model_, states)
