"""Base classes of all estimators: input checks, seeds, devices, and portable pickles."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from harmonium.estimators.holding import ModelHolder
from harmonium.estimators.precision import check_precision
from harmonium.estimators.ranges import Ranges
from harmonium.estimators.rows import ArrayRows, Scaling

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
    """Mixin for unsupervised estimators: hidden units as features, and a score of each row."""

    @abstractmethod
    def score_samples(self, X: Any) -> NDArray[Any]:
        """Score of each row, shape (n_samples,); higher is better."""

    @property
    @abstractmethod
    def _n_features_out(self) -> int:
        """Number of columns of the result of `transform`, as scikit-learn requires."""

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

    def _features_of(self, X: Any, decode: Callable[[Tensor], Tensor]) -> NDArray[Any]:
        """Features from hidden states or means, with ``decode`` giving the visible states."""
        check_is_fitted(self)
        X = check_hidden(X, self._n_features_out)
        return self._by_block(
            self._rows(X, None),
            lambda h: self._values(decode(h)),
            self.n_features_in_,
            X,
            self._values_type(X.dtype),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def seed_of(random_state: Any) -> int:
    """The seed for harmonium's streams: an integer itself, or a draw from a `RandomState`.

    None draws from NumPy's global state, as everywhere in scikit-learn.
    """
    if isinstance(random_state, Integral) and not isinstance(random_state, bool):
        seed = int(random_state)
        if not 0 <= seed < 2**32:
            raise ValueError(
                f"random_state is {seed}; pass an integer from 0 to 4294967295, a "
                "numpy.random.RandomState or None"
            )
        return seed
    return int(check_random_state(random_state).randint(2**32, dtype=np.uint64))


def weights_of(sample_weight: Any, n_rows: int) -> NDArray[np.float64] | None:
    """Weights of rows, float64, shape (n_rows,); None if all are equal."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, but X has {n_rows} rows; pass one weight a "
            f"row, shape ({n_rows},)"
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = int(np.flatnonzero(~np.isfinite(weights) | (weights < 0))[0])
        raise ValueError(
            f"sample_weight holds {weights[bad]:g} at row {bad}; pass finite weights, none of them "
            "below 0"
        )
    if not weights.any():
        raise ValueError(
            "sample_weight is zero for all rows, and nothing is left to learn from; pass weights "
            "of which one at least is not zero"
        )
    return weights


def with_weight(
    weights: NDArray[np.float64] | None, *arrays: Any
) -> tuple[Tensor | None, *tuple[Any, ...]]:
    """The weights and arrays without the rows of weight zero, which are ignored."""
    if weights is None:
        return (None, *arrays)
    kept = np.flatnonzero(weights)
    if len(kept) < len(weights):
        weights, arrays = weights[kept], tuple(array[kept] for array in arrays)
    return (torch.tensor(weights), *arrays)


def check_integers(estimator: Any, **least: int) -> None:
    """Reject parameters that are not integers, or below their minimum."""
    for name, bound in least.items():
        check_integer(name, getattr(estimator, name), bound)


def check_integer(name: str, value: Any, least: int) -> None:
    """Reject a value that is not an integer, or below the minimum."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name} is {value!r}; pass an integer, {least} or more")


def check_numbers(estimator: Any, **least: float) -> None:
    """Reject parameters that are not finite numbers, or below their minimum."""
    for name, bound in least.items():
        value = getattr(estimator, name)
        good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if not good or float(value) < bound:
            raise ValueError(f"{name} is {value!r}; pass a number, {bound:g} or more")


def check_weight_std(estimator: Any) -> None:
    """Reject an initial weight width that is neither None nor a finite positive number."""
    if estimator.weight_std is not None:
        check_numbers(estimator, weight_std=0.0)


def width_of(weight_std: Any) -> float | None:
    """The parameter ``weight_std`` in the form for training."""
    return None if weight_std is None else float(weight_std)


def check_choice(estimator: Any, name: str, choices: Iterable[str]) -> None:
    """Reject a parameter that is not among the choices."""
    value = getattr(estimator, name)
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; pass {' or '.join(map(repr, choices))}")


def float_type(X: Any) -> np.dtype[Any]:
    """Type of results for X: its own if it is floating point, else float32."""
    return np.dtype(X.dtype if X.dtype.kind == "f" else np.float32)


def to_numpy(tensor: Tensor, dtype: Any = None) -> NDArray[Any]:
    """The same numbers as an array; shares memory with a CPU tensor of the same type."""
    array = tensor.detach().cpu().numpy()
    return array if dtype is None else array.astype(dtype, copy=False)


def check_booleans(estimator: Any, *names: str) -> None:
    """Reject parameters that are neither True nor False."""
    for name in names:
        value = getattr(estimator, name)
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} is {value!r}; pass True or False")


def weighted_mean(scores: NDArray[Any], sample_weight: Any) -> float:
    """Weighted mean score of rows, in float64."""
    weights = weights_of(sample_weight, len(scores))
    return float(np.average(scores.astype(np.float64), weights=weights))


def check_hidden(X: Any, n_columns: int) -> NDArray[Any]:
    """Hidden states or means as an array of numbers, with the right width."""
    X = check_array(X, dtype=(np.float32, np.float64), input_name="X")
    if X.shape[1] != n_columns:
        raise ValueError(
            f"X has {X.shape[1]} columns, but there are {n_columns} hidden units; pass what "
            "transform returned"
        )
    return np.asarray(X)


def refuse_text(X: Any) -> None:
    """Reject text columns of a pandas data frame; names them."""
    if not hasattr(X, "iloc") or not hasattr(X, "columns"):
        return
    for position, name in enumerate(X.columns):
        column = X.iloc[:, position]
        if getattr(column.dtype, "kind", "O") != "O":
            continue
        text = next((value for value in column if isinstance(value, str)), None)
        try:
            float(text or 0)  # scikit-learn accepts numbers written as text
        except ValueError as error:
            raise ValueError(
                f"X holds text in the column {name!r} ({text!r}, ...), and models learn from "
                "numbers; encode it, such as by sklearn.preprocessing.OneHotEncoder, or leave it "
                "out"
            ) from error
