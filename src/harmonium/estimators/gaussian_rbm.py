"""`GaussianRBM`: real-valued features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harmonium.diagnostics import reconstruction_error
from harmonium.estimators.precision import check_precision
from harmonium.estimators.rbm import RBMEstimator
from harmonium.estimators.rows import Scaling
from harmonium.likelihood import LogLikelihood
from harmonium.units import Gaussian, Units


@dataclass(eq=False, repr=False, kw_only=True)
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
    weight_std : float, default=None
        Standard deviation of the initial weights. None chooses them wide enough that hidden units
        differ from the start (Glorot and Bengio, 2010), and also varies their thresholds, as tables
        with few rows need. Hinton (2010) recommends 0.01, with thresholds at the mean of the data,
        for many thousand updates.
    n_chains, sampler, gradient, penalties, momentum, schedule, average_decay, device, dtype
        As for `BernoulliRBM`.

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

    Notes
    -----
    `score_samples` is minus the squared error of each row's reconstruction from its
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

    learning_rate: float = 0.01  # Gaussian states are unbounded (Hinton, 2010)
    standardize: bool = True
    learn_precision: bool = False

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

    def _in_own_units(self, found: LogLikelihood) -> LogLikelihood:
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
