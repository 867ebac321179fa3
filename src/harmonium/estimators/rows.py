"""Rows of NumPy arrays and sparse matrices, converted to states of units batch by batch.

A dense array is shared, a sparse matrix stays sparse, and only requested rows become floating-point
states; the states of small tables are cached between epochs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets import Mask, MaskedRows
from harmonium.datasets.data import moments
from harmonium.rng import Stream

# Rounding errors by which scalers to 0 ... 1 exceed that range
_ROUNDING = 4

# Rounding steps in float64 by which a feature may vary and still count as constant
_ROUNDING_OF_CONSTANTS = 16

# Rounding of float32, and the fraction of a feature's scale that it may reach
_FLOAT32_ROUNDING = 2.0**-24
_LEAST_LOSS = 1e-4

# States that are cached: 16 MB of float32. For larger tables, conversion is not the bottleneck.
_KEPT = 2**22

_BLOCK = 1000  # rows processed at a time: 3 MB of states for 784 columns


@dataclass(frozen=True, eq=False)
class Scaling:
    """A linear map of each feature to the states of a unit, ``(value - shift) / scale``.

    All computations use float64: in float32, numbers such as Unix timestamps would lose their
    differences, and scaling could not restore them.

    Parameters
    ----------
    shift, scale
        Float64, shape (n_features,). A constant feature has a scale of 0: its value is encoded as
        state 0, every state is decoded to that value, and other values are encoded as if the scale
        were 1.
    clip
        Whether states are clipped to 0 ... 1.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    clip: bool = False

    @classmethod
    def of_range(cls, X: Any) -> Scaling:
        """Map the range of each feature to 0 ... 1; a constant gets the state 0."""
        low, high = range_of(X)
        with np.errstate(over="ignore"):  # the caller rejects infinity
            scale = high - low
        return cls(low, np.where(scale > _noise(X, low, high), scale, 0.0), clip=True)

    @classmethod
    def of_moments(cls, X: Any, weights: Tensor | None = None) -> Scaling:
        """Scale to mean 0 and variance 1 over weighted rows; a constant gets the state 0."""
        mean, var = (x.numpy() for x in ArrayRows(X, dtype=torch.float64).moments(weights))
        std = np.sqrt(var)
        return cls(mean, np.where(std > _noise(X, mean, mean), std, 0.0))

    @property
    def divisor(self) -> NDArray[np.float64]:
        """The divisor of differences to the shift: the scale, or 1 where it is 0."""
        return np.where(self.scale == 0, 1.0, self.scale)

    @property
    def is_fine(self) -> bool:
        """Whether float32 would round values by a relevant fraction of their scale."""
        rounding = np.abs(self.shift) * _FLOAT32_ROUNDING
        return bool((rounding > np.where(self.scale == 0, 1.0, _LEAST_LOSS * self.scale)).any())

    def after(self, X: Any) -> Scaling:
        """The scaling that also decodes values in ``X`` of features that were constant so far.

        Their states are differences to the shift, and are decoded as such from now on.
        """
        same = np.flatnonzero(self.scale == 0)
        if not len(same):
            return self
        low, high = range_of(X[:, same])
        shift = self.shift[same]
        far = np.maximum(np.abs(low - shift), np.abs(high - shift))
        varies = same[far > _noise(X, low, high)]
        scale = self.scale.copy()
        scale[varies] = 1.0
        return dataclasses.replace(self, scale=scale)

    def encode(self, values: Tensor) -> Tensor:
        """States of values, float64, shape (rows, n_features)."""
        shift, scale = (torch.from_numpy(x).to(values.device) for x in (self.shift, self.divisor))
        states = values.double().sub(shift).div_(scale)
        return states.clamp_(0, 1) if self.clip else states

    def decode(self, states: Tensor) -> Tensor:
        """Values of states, or of means of states, float64."""
        shift, scale = (torch.from_numpy(x).to(states.device) for x in (self.shift, self.scale))
        return states.double() * scale + shift


def _noise(X: Any, *sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounding error of values of about that size; 0 for integers."""
    if X.dtype.kind != "f":
        return np.zeros_like(sizes[0])
    # a float32 constant that was computed in two ways; in float64, with more steps
    steps = 1 if X.dtype == np.float32 else _ROUNDING_OF_CONSTANTS
    eps: float = np.finfo(X.dtype).eps
    noise: NDArray[np.float64] = steps * eps * np.abs(sizes).max(0)
    return noise


class ArrayRows:
    """Rows in the form for training (`harmonium.datasets.Rows`).

    Parameters
    ----------
    X
        Dense array or CSR matrix of numbers, shape (n_rows, n_features), checked by scikit-learn.
    scaling
        How values become states; None uses them unchanged.
    dtype, device
        Of the states.
    labels
        Class of each row and number of classes, if states end with the one-hot class. A class of -1
        is missing.

    Attributes
    ----------
    mask
        Whether the class of each row is observed, one column; None if all are.
    """

    name = "X"

    def __init__(
        self,
        X: Any,
        scaling: Scaling | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        labels: tuple[Tensor, int] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.dtype = dtype
        self.scaling = scaling
        self._n_rows, self._n_features = X.shape
        self._labels = None if labels is None else labels[0]
        self._n_classes = 0 if labels is None else labels[1]
        self.mask: Mask | None = None
        if self._labels is not None and bool((self._labels < 0).any()):
            self.mask = Mask.of(self._labels.unsqueeze(1) >= 0)
        is_dense = isinstance(X, np.ndarray)
        self._dense = as_tensor(X).to(self.device) if is_dense else None
        self._sparse = None if is_dense else X
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return int(self._n_rows)

    @property
    def n_columns(self) -> int:
        """Number of columns of the states: one per feature, and one per class."""
        return int(self._n_features) + self._n_classes

    def rows(self, index: Tensor, stream: Stream | None = None) -> Tensor:
        """States of some rows, shape (len(index), n_columns), new memory; nothing is drawn.

        Raises
        ------
        ValueError
            If classes are missing; then take `masked_rows`.
        """
        if self.mask is not None:
            raise ValueError(f"classes of {self.name} are missing; take masked_rows")
        return self._encoded(index)

    def masked_rows(self, index: Tensor, stream: Stream | None = None) -> MaskedRows:
        """The states of some rows, and which of them are observed."""
        return MaskedRows(self._encoded(index), self.observed(index))

    def observed(self, index: Tensor) -> Tensor:
        """Whether each state column of some rows is observed, bool."""
        observed = torch.ones(len(index), self.n_columns, dtype=torch.bool, device=self.device)
        if self.mask is not None:
            observed[:, int(self._n_features) :] = self.mask.observed(index.cpu()).to(self.device)
        return observed

    def _encoded(self, index: Tensor) -> Tensor:
        if self._is_kept:
            if self._kept is None:
                self._kept = torch.cat(list(self.blocks()))
            return self._kept.index_select(0, index)
        if self._dense is not None:
            values = self._dense.index_select(0, index)
        else:
            values = self._from_sparse(index.cpu().numpy())
        return self._states(values, index)

    def blocks(self, size: int = _BLOCK) -> Iterator[Tensor]:
        """States of all rows in order, ``size`` rows at a time; to be read only."""
        for start in range(0, len(self), size):
            place = slice(start, start + size)
            dense = self._dense
            yield self._states(self._from_sparse(place) if dense is None else dense[place], place)

    def moments(self, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Weighted mean and variance of every column, float64; of classes that are there."""
        mean, var = moments(self.blocks(), weights)
        if self.mask is None or self._labels is None:
            return mean, var
        known = self._labels >= 0
        of_known = None if weights is None else weights.cpu()[known]
        counted = self._labels[known].bincount(of_known, minlength=self._n_classes).to(mean)
        share = counted / counted.sum()
        mean[self._n_features :], var[self._n_features :] = share, share * (1 - share)
        return mean, var

    @property
    def _is_kept(self) -> bool:
        """Whether to cache states: for small tables whose states differ from their values."""
        is_small = len(self) * self.n_columns <= _KEPT
        return is_small and (self.scaling is not None or self._labels is not None)

    def _states(self, values: Tensor, place: Tensor | slice) -> Tensor:
        if self.scaling is not None:
            values = self.scaling.encode(values)
        values = values.to(self.dtype)
        if self._labels is None:
            return values
        classes = values.new_zeros(len(values), self._n_classes)
        numbers = self._labels.to(self.device)[place].clamp_min(0)
        classes.scatter_(1, numbers.unsqueeze(1), 1.0)
        return torch.cat([values, classes], 1)

    def _from_sparse(self, place: Any) -> Tensor:
        assert self._sparse is not None
        return torch.from_numpy(self._sparse[place].toarray()).to(self.device)


def as_tensor(array: NDArray[Any]) -> Tensor:
    """A tensor that shares the array's memory if torch can, else a copy."""
    array = np.ascontiguousarray(array)
    # torch has no read-only tensors
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def range_of(X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest value of each feature, float64."""
    ends = [X.min(0), X.max(0)]
    if not isinstance(X, np.ndarray):
        ends = [np.asarray(end.todense()).ravel() for end in ends]
    low, high = (end.astype(np.float64) for end in ends)
    return low, high


def is_in_unit_range(X: Any) -> bool:
    """Whether all values are from 0 to 1, up to the rounding of a scaler."""
    low, high = (float(end) for end in (X.min(), X.max()))
    rounding = _ROUNDING * float(np.finfo(X.dtype).eps) if X.dtype.kind == "f" else 0.0
    return low >= -rounding and high <= 1 + rounding


def check_unit_range(X: Any, remedy: str) -> None:
    """Reject features that are not probabilities of binary units.

    Raises
    ------
    ValueError
        States the range; ``remedy`` is the option that helps.
    """
    if not is_in_unit_range(X):
        raise ValueError(
            f"X has values from {X.min():g} to {X.max():g}, but binary units take values from 0 "
            f"to 1; pass {remedy}, put MinMaxScaler(clip=True) before this step, or take Gaussian "
            "units"
        )
