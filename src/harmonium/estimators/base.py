"""Base classes of all estimators: input checks, seeds, devices, and portable pickles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from harmonium import defaults
from harmonium.estimators.checks import check_hidden, refuse_text, seed_of, weighted_mean
from harmonium.estimators.holding import ModelHolder
from harmonium.estimators.precision import check_precision
from harmonium.estimators.ranges import Ranges
from harmonium.estimators.rows import ArrayRows, Scaling
from harmonium.rng import Lane, Stream
from harmonium.sampling import SamplingSchedule

# Types that are kept; everything else becomes float64, the first. Integers have up to 64 bits, of
# which float32 would keep 24, so they are scaled before they are rounded.
_KEPT_DTYPES = (
    *(np.float64, np.float32),
    *(np.uint8, np.bool_, np.int8, np.int16, np.int32, np.int64),
)


class Estimator(ModelHolder, ABC):
    """An estimator of rows that a `Scaling` makes states of."""

    random_state: Any

    _scaling: Scaling | None
    _ranges: Ranges | None = None  # None in older pickles

    # Implemented by each estimator

    @abstractmethod
    def _choose_scaling(self, X: Any, weights: Tensor | None) -> Scaling | None:
        """How values become states, determined from the first training rows."""

    @abstractmethod
    def _check_features(self, X: Any, scaling: Scaling | None) -> None:
        """Reject values that are not valid states of the visible units."""

    @abstractmethod
    def _weights(self) -> Tensor:
        """Some weights of the fitted model, which show its type and device."""

    def _states_dtype(self) -> torch.dtype:
        """Type in which states are stored."""
        return self._checked_dtype()

    # Parameters and features in

    def _checked_X(self, X: Any, *, reset: bool) -> Any:
        """Features as a dense array or CSR matrix of numbers, checked by scikit-learn."""
        refuse_text(X)
        return validate_data(self, X, reset=reset, accept_sparse="csr", dtype=_KEPT_DTYPES)

    def _checked_X_y(self, X: Any, y: Any, *, reset: bool, **options: Any) -> Any:
        """The same, with equally many targets."""
        refuse_text(X)
        return validate_data(
            self, X, y, reset=reset, accept_sparse="csr", dtype=_KEPT_DTYPES, **options
        )

    def _make_scaling(self, X: Any, weights: Tensor | None) -> Scaling | None:
        """How values become states; rejects values that cannot, naming their columns."""
        self._ranges = Ranges.of(X)
        scaling = self._choose_scaling(X, weights)
        if scaling is not None:
            check_precision(X, scaling, self._states_dtype(), self._names())
        return scaling

    def _scaling_after(self, X: Any) -> Scaling | None:
        """The scaling of a fitted estimator that continues to learn from these rows."""
        return None if self._scaling is None else self._scaling.after(X)

    def _names(self) -> Sequence[str] | None:
        return getattr(self, "feature_names_in_", None)

    def _fitted_rows(self, X: Any) -> tuple[Any, ArrayRows]:
        """Checked features, and their states for the fitted model."""
        X = self._checked_fitted_X(X)
        self._check_features(X, self._scaling)
        self._warn_of_other_units(X)
        return X, self._rows(X, self._scaling)

    def _warn_of_other_units(self, X: Any) -> None:
        if self._ranges is not None:
            self._ranges.warn_of_other_units(X, type(self).__name__)

    def _checked_fitted_X(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._checked_X(X, reset=False)

    def _rows(self, X: Any, scaling: Scaling | None) -> ArrayRows:
        like = self._weights()
        return ArrayRows(X, scaling, dtype=like.dtype, device=like.device)

    # Values out

    def _values(self, states: Tensor) -> Tensor:
        return states if self._scaling is None else self._scaling.decode(states)

    def _values_type(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Type of returned values: float64 if this type would round them too much."""
        is_fine = self._scaling is not None and self._scaling.is_fine
        return np.dtype(np.float64 if is_fine else dtype)

    def _drawn_values(self, states: Tensor) -> NDArray[Any]:
        """Values of drawn states, in the type of the model or wider."""
        dtype = to_numpy(self._weights()[:0]).dtype
        return to_numpy(self._values(states), self._values_type(dtype))

    @torch.no_grad()
    def _by_block(
        self,
        rows: ArrayRows,
        compute: Callable[[Tensor], Tensor],
        width: int | None,
        like: Any,
        dtype: np.dtype[Any] | None = None,
    ) -> NDArray[Any]:
        """Compute an array block by block, so that only the result is large.

        Parameters
        ----------
        rows
            Source of the blocks.
        compute
            Function of a block.
        width
            Number of columns of the result; None for one number per row.
        like
            The features as passed: the result has their type,
        dtype
            unless another one is given.
        """
        shape = (len(rows),) if width is None else (len(rows), width)
        result = np.empty(shape, float_type(like) if dtype is None else dtype)
        start = 0
        for block in rows.blocks():
            result[start : start + len(block)] = to_numpy(compute(block))
            start += len(block)
        return result

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class ScoringTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):  # type: ignore[misc]
    """Unsupervised estimators: means of hidden units as features, and a score of each row."""

    # Implemented by each estimator

    @abstractmethod
    def _encode(self, v: Tensor) -> Tensor:
        """Features of rows of states, shape (rows, n_features_out)."""

    @abstractmethod
    def _decode(self, h: Tensor) -> Tensor:
        """Mean states of the visible units given features."""

    @abstractmethod
    def _scorer(self) -> Callable[[Tensor], Tensor]:
        """A function that scores rows of states, shape (rows,)."""

    @property
    @abstractmethod
    def _n_features_out(self) -> int:
        """Number of columns of the result of `transform`, as scikit-learn requires."""

    # Quantities computed by a fitted model

    def transform(self, X: Any) -> NDArray[Any]:
        """Means of the highest hidden units given X: probabilities of binary ones, or codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        h : ndarray of shape (n_samples, n_features_out)
            One column for each hidden unit; float64 if X is, else float32.
        """
        X, rows = self._fitted_rows(X)
        return self._by_block(rows, self._encode, self._n_features_out, X)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Mean of the features given means or states of the highest hidden units.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            As returned by `transform`.

        Returns
        -------
        v : ndarray of shape (n_samples, n_features)
            Float64 if X is, else float32.
        """
        check_is_fitted(self)
        X = check_hidden(X, self._n_features_out)
        return self._by_block(
            self._rows(X, None),
            lambda h: self._values(self._decode(h)),
            self.n_features_in_,
            X,
            self._values_type(X.dtype),
        )

    def score_samples(self, X: Any) -> NDArray[Any]:
        """Score of each row; higher is better. See the class for what it measures.

        A row has the same score whatever the other rows are.

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
        return self._by_block(rows, self._scorer(), None, X)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean of `score_samples`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.
        y : Ignored
            Present for consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.

        Returns
        -------
        score : float
            The score that grid searches maximise.
        """
        return weighted_mean(self.score_samples(X), sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class SamplingTransformer(ScoringTransformer):
    """One with a generative model, from which rows can be drawn."""

    _stream: Stream

    @abstractmethod
    def _draw(self, n_samples: int, schedule: SamplingSchedule, stream: Stream) -> Tensor:
        """States of rows, each from its own chain that starts at noise."""

    def sample(
        self,
        n_samples: int = 1,
        *,
        n_sweeps: int = defaults.SAMPLE_WARMUP,
        random_state: Any = None,
    ) -> NDArray[Any]:
        """Draw rows from the model, each from its own chain that starts at noise.

        A deep belief network runs the chains in its top RBM, and draws downwards once from each.

        Parameters
        ----------
        n_samples : int, default=1
            Rows.
        n_sweeps : int, default=1000
            Burn-in sweeps of Gibbs sampling before a row is drawn. Slowly mixing models need more.
        random_state : int, RandomState instance or None, default=None
            None continues the estimator's random stream, so each call gives new draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Values in the units of the training data, in the type of the model.
        """
        check_is_fitted(self)
        stream = stated_stream(random_state, self._stream)
        return self._drawn_values(self._draw(n_samples, SamplingSchedule(n_sweeps, 1, 1), stream))


def stated_stream(random_state: Any, own: Stream) -> Stream:
    """The stream of draws: an estimator's own, which goes on, unless a seed is stated."""
    return own if random_state is None else Lane.STATED_SAMPLES.stream(seed_of(random_state))


def float_type(X: Any) -> np.dtype[Any]:
    """Type of results for X: its own if it is floating point, else float32."""
    return np.dtype(X.dtype if X.dtype.kind == "f" else np.float32)


def to_numpy(tensor: Tensor, dtype: Any = None) -> NDArray[Any]:
    """The same numbers as an array; shares memory with a CPU tensor of the same type."""
    array = tensor.detach().cpu().numpy()
    return array if dtype is None else array.astype(dtype, copy=False)
