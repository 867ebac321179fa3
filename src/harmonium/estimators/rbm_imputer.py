"""`RBMImputer`: missing values filled in by an RBM over all features."""

from __future__ import annotations

import copy
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils.validation import check_is_fitted, validate_data

from harmonium import defaults, training
from harmonium.datasets import Data, Mask, MaskedRows, Minibatches
from harmonium.estimators.checks import (
    check_booleans,
    check_integers,
    check_numbers,
    refuse_text,
    seed_of,
    width_of,
)
from harmonium.estimators.columns import ColumnStates, kinds_of
from harmonium.estimators.holding import ModelHolder
from harmonium.estimators.precision import refuse_rounded
from harmonium.gradient import Penalties
from harmonium.imputation import complete_rows
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.training import TrainingState
from harmonium.units import Binary

_UPDATES = 3000
"""Updates by default."""

_FEWEST_EPOCHS = 5

_MOST_DECAY = 0.01


@dataclass(eq=False, repr=False)
class RBMImputer(OneToOneFeatureMixin, TransformerMixin, ModelHolder):  # type: ignore[misc]
    """Fill in missing values given all that is observed of their row, by one RBM.

    The RBM is trained on incomplete rows as they are: values are taken to be missing at random, and
    the gradient is that of the log-likelihood of what was observed. Features of zeros and ones get
    binary units, others Gaussian units, standardised by what was observed.

    Parameters
    ----------
    n_components : int, default=100
        Hidden units.
    kinds : str, array-like of shape (n_features,), or dict, default="auto"
        Kind of each feature, or of all: "binary", "gaussian", "categorical", or "auto", which takes
        binary units for zeros and ones and Gaussian units for everything else. A dict names some
        features, by name or number; the others are "auto".
    missing_values : number, NaN, None or pandas' NA, default=NaN
        What stands for a missing value. NaN, None and NA are one.
    sample : bool, default=False
        Whether missing values are drawn from their distribution given what is observed, anew in
        each call, as multiple imputation needs them. Otherwise they are the mean of Gaussian
        features, and the likeliest category of others.
    n_draws : int, default=20
        Draws of each row, over which means are taken where they are not exact.
    n_sweeps : int, default=None
        Sweeps of the chains of rows whose distribution is not exact. None takes as many as it needs
        until chains agree, from 64 to 1,024.
    add_indicator : bool, default=False
        Whether to append a column of zeros and ones for each feature with missing values in `fit`,
        as `sklearn.impute.MissingIndicator` makes them.
    keep_empty_features : bool, default=False
        Whether features without any value in `fit` are kept, and filled with 0. Otherwise they are
        left out.
    learning_rate : float, default=0.01
        Learning rate of Adam, which falls to zero over the epochs.
    batch_size : int, default=64
        Rows per mini-batch.
    n_iter : int, default=None
        Epochs; None makes about 3,000 updates.
    n_chains : int, default=100
        Persistent chains.
    penalties : harmonium.Penalties, default=None
        Weight decay and sparsity. None means a weight decay of 1 / n_samples, at most 0.01: that of
        a normal prior of variance 1 for each weight.
    weight_std : float, default=None
        Standard deviation of the initial weights; None chooses them wide (Glorot and Bengio, 2010).
    random_state, device, dtype
        As for `BernoulliRBM`.

    Attributes
    ----------
    model_ : harmonium.RBM
        The model itself. Its visible units are those of binary, then Gaussian, then categorical
        features.
    kinds_ : tuple of str
        Kind of each feature that is not left out.
    indicator_ : sklearn.impute.MissingIndicator
        The indicator, if there is one.
    n_iter_ : int
        Epochs of the last `fit`.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from harmonium.estimators import RBMImputer
    >>> X = np.random.RandomState(0).randint(2, size=(40, 3)).astype(float)
    >>> X[:, 2] = X[:, 0]
    >>> X[0, 2] = np.nan
    >>> RBMImputer(n_components=4, random_state=0).fit_transform(X)[0, 2] == X[0, 0]
    True
    """

    n_components: int = 100
    _: KW_ONLY
    kinds: Any = "auto"
    missing_values: Any = np.nan
    sample: bool = False
    n_draws: int = defaults.IMPUTATION_DRAWS
    n_sweeps: int | None = None
    add_indicator: bool = False
    keep_empty_features: bool = False
    learning_rate: float = 0.01
    batch_size: int = 64
    n_iter: int | None = None
    n_chains: int = 100
    penalties: Penalties | None = None
    weight_std: float | None = None
    random_state: Any = None
    device: str | torch.device = "cpu"
    dtype: Any = "float32"

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the RBM on rows with missing values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Present for consistency.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_parameters()
        X = self._checked(X, reset=True)
        observed = self._observed(X)
        self._is_kept = np.atleast_1d(observed.any(0))
        if not self._is_kept.any():
            raise ValueError("all values of X are missing; a model needs rows with some values")
        names = getattr(self, "feature_names_in_", None)
        kinds = kinds_of(self.kinds, X.shape[1], None if names is None else names.tolist())
        values, there = X[:, self._is_kept].astype(np.float64), observed[:, self._is_kept]
        of_kept = [kind for kind, is_kept in zip(kinds, self._is_kept, strict=True) if is_kept]
        of_features = np.arange(X.shape[1]) if names is None else names
        kept_names = of_features[self._is_kept].tolist()
        self._columns = ColumnStates.of(values, there, of_kept, kept_names)
        if self._checked_dtype() == torch.float32:
            refuse_rounded(self._columns.rounded(values, there), kept_names, "once it is scaled")
        self.kinds_ = self._columns.kinds
        self.indicator_ = None
        if self.add_indicator:
            stands_for_it = np.nan if _is_nan(self.missing_values) else self.missing_values
            self.indicator_ = MissingIndicator(
                missing_values=stands_for_it, error_on_new=False
            ).fit(X)
        self._train(*self._columns.encode(values, there))
        return self

    def _train(self, states: torch.Tensor, observed: torch.Tensor) -> None:
        seed, device = seed_of(self.random_state), self._checked_device()
        data = Data("X", states.to(torch.float32), mask=Mask.of(observed)).to(device)
        n_rows = len(data)
        batches = Minibatches(data, min(int(self.batch_size), n_rows))
        n_iter = self.n_iter
        if n_iter is None:
            n_iter = max(_FEWEST_EPOCHS, round(_UPDATES / len(batches)))
        rbm = RBM(self._columns.units(), Binary(int(self.n_components)))
        rbm.to(device, self._checked_dtype()).init_from_data_(
            batches, seed, width_of(self.weight_std)
        )
        learned = [parameter for parameter in rbm.parameters() if parameter.requires_grad]
        penalties = self.penalties
        if penalties is None:
            penalties = Penalties(l2=min(_MOST_DECAY, 1 / n_rows))
        state = TrainingState.create(
            rbm,
            n_chains=int(self.n_chains),
            optimizer=torch.optim.Adam(learned, lr=float(self.learning_rate), fused=True),
            schedule=lambda optimizer: training.linear_to_zero(
                optimizer, max(1, int(n_iter) * len(batches))
            ),
            penalties=copy.deepcopy(penalties),
            seed=seed,
        )
        for _ in training.updates(state, batches, int(n_iter)):
            pass
        training.settle(state)
        self.model_, self.n_iter_ = state.model, int(n_iter)
        self._seed = seed
        self._stream = Lane.IMPUTED.stream(seed)

    def transform(self, X: Any) -> NDArray[Any]:
        """Fill in the missing values of rows; observed ones stay as they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_out)
            Complete rows, float32 if they came so, else float64.

        Raises
        ------
        ValueError
            If a value is none of the categories of its feature in `fit`.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        observed = self._observed(X)
        values, there = X[:, self._is_kept].astype(np.float64), observed[:, self._is_kept]
        self._refuse_unknown(values, there)
        filled = values.astype(X.dtype)
        gaps = np.flatnonzero(~there.all(1))
        if len(gaps):
            missing = ~there[gaps]
            found = self._completed(values[gaps], there[gaps])
            filled[gaps] = np.where(missing, found, values[gaps]).astype(X.dtype)
        if self.keep_empty_features:
            whole = np.zeros_like(X)
            whole[:, self._is_kept] = filled
            is_given = observed & ~self._is_kept
            filled = np.where(is_given, X, whole)
        if self.indicator_ is not None:
            filled = np.hstack([filled, self.indicator_.transform(X).astype(X.dtype)])
        return np.asarray(filled)

    def _completed(
        self, values: NDArray[np.float64], observed: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        states, are_observed = self._columns.encode(values, observed)
        like = self.model_.weights
        rows = MaskedRows(states.to(like), are_observed.to(like.device))
        stream: Stream = self._stream if self.sample else Lane.IMPUTED.stream(self._seed)
        n_draws = 1 if self.sample else int(self.n_draws)
        found = complete_rows(self.model_, rows, max(2, n_draws), self.n_sweeps, stream)
        return self._columns.decode(found.draws[:, 0] if self.sample else found.means)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns of the result.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the features; None takes those of `fit`, or x0, x1, ...

        Returns
        -------
        names : ndarray of str objects
            Names of features, then of indicators.
        """
        check_is_fitted(self)
        names = np.asarray(super().get_feature_names_out(input_features))
        kept = names if self.keep_empty_features else names[self._is_kept]
        if self.indicator_ is None:
            return np.asarray(kept, dtype=object)
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)]).astype(object)

    # Checks

    def _checked(self, X: Any, *, reset: bool) -> NDArray[Any]:
        refuse_text(X)
        is_nan = _is_nan(self.missing_values)
        checked: NDArray[Any] = validate_data(
            self, X, reset=reset, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan"
        )
        if not is_nan and np.isnan(checked).any():
            raise ValueError(
                f"X contains NaN, but missing_values is {self.missing_values!r}; pass "
                "missing_values=np.nan, and NaN in place of all missing values"
            )
        return checked

    def _observed(self, X: NDArray[Any]) -> NDArray[np.bool_]:
        if _is_nan(self.missing_values):
            return np.asarray(~np.isnan(X), dtype=np.bool_)
        return np.asarray(np.not_equal(X, self.missing_values), dtype=np.bool_)

    def _refuse_unknown(self, values: NDArray[np.float64], observed: NDArray[np.bool_]) -> None:
        wrong = self._columns.unknown(values, observed)
        if wrong is None:
            return
        row, number = wrong
        name = self.get_feature_names_out()[number]
        known = ", ".join(f"{value:g}" for value in self._columns.categories[number][:10])
        raise ValueError(
            f"row {row} has {values[row, number]:g} in feature {name}, whose values in fit were "
            f"{known}; mark it as missing, or fit to rows that have it"
        )

    def _check_parameters(self) -> None:
        check_integers(self, n_components=1, batch_size=1, n_chains=1, n_draws=2)
        check_integers(self, or_none=True, n_iter=0, n_sweeps=16)
        check_numbers(self, learning_rate=0.0)
        check_numbers(self, or_none=True, weight_std=0.0)
        is_number = isinstance(self.missing_values, Real) and not isinstance(
            self.missing_values, bool
        )
        if not is_number and not _is_nan(self.missing_values):
            raise ValueError(
                f"missing_values is {self.missing_values!r}; pass np.nan, which also stands for "
                "None and pandas' NA, or a number"
            )
        check_booleans(self, "sample", "add_indicator", "keep_empty_features")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = _is_nan(self.missing_values)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _is_nan(value: Any) -> bool:
    """Whether this is what NaN, None and pandas' NA become in an array of numbers."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
