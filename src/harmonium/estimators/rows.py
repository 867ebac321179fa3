"""Rows of NumPy arrays and sparse matrices, which become states of units a batch at a time.

Nothing is converted as a whole: a dense array is shared, a sparse matrix stays sparse, and only
the rows that are asked for become floating-point states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets.data import moments
from harmonium.rng import Stream

# Roundings by which scalers to 0 ... 1 leave that range
_ROUNDING = 4

_BLOCK = 1000  # rows worked on at a time: 3 MB of states where a row has 784 columns


@dataclass(frozen=True, eq=False)
class Scaling:
    """A linear map of each feature to the states of a unit, ``(value - shift) / scale``.

    Parameters
    ----------
    shift, scale
        Float64, shape (n_features,); every scale is above zero.
    clip
        Whether states are held between 0 and 1.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    clip: bool = False

    @classmethod
    def of_range(cls, X: Any) -> Scaling:
        """The range of each feature to 0 ... 1; a constant gets the state 0."""
        low, high = range_of(X)
        return cls(low, np.where(high > low, high - low, 1.0), clip=True)

    @classmethod
    def of_moments(cls, X: Any, weights: Tensor | None = None) -> Scaling:
        """To mean 0 and variance 1 in rows that count by weight; a constant gets the state 0."""
        mean, var = (x.numpy() for x in ArrayRows(X, dtype=torch.float64).moments(weights))
        # what rounding leaves of the variance of a constant is no variance
        noise = (16 * np.finfo(np.float64).eps * np.abs(mean)) ** 2
        return cls(mean, np.where(var > noise, np.sqrt(var), 1.0))

    def encode(self, values: Tensor) -> Tensor:
        """States of values, float64, shape (rows, n_features)."""
        shift, scale = (torch.from_numpy(x).to(values.device) for x in (self.shift, self.scale))
        states = values.double().sub(shift).div_(scale)
        return states.clamp_(0, 1) if self.clip else states

    def decode(self, states: Tensor) -> Tensor:
        """Values of states, or of means of states."""
        shift, scale = (torch.from_numpy(x).to(states.device) for x in (self.shift, self.scale))
        return states.double() * scale + shift


class ArrayRows:
    """Rows as training takes them (`harmonium.datasets.Rows`).

    Parameters
    ----------
    X
        Dense array or CSR matrix of numbers, shape (n_rows, n_features), as scikit-learn has
        checked it.
    scaling
        How values become states; None takes them as they are.
    dtype, device
        Of the states.
    labels
        Class of each row and number of classes, where states end with the class, one-hot.
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
        is_dense = isinstance(X, np.ndarray)
        self._dense = as_tensor(X).to(self.device) if is_dense else None
        self._sparse = None if is_dense else X

    def __len__(self) -> int:
        return int(self._n_rows)

    @property
    def n_columns(self) -> int:
        """Columns of the states: one a feature, and one a class."""
        return int(self._n_features) + self._n_classes

    def rows(self, index: Tensor, stream: Stream | None = None) -> Tensor:
        """States of some rows, shape (len(index), n_columns), new memory; nothing is drawn."""
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
        """Mean and variance of every column, float64; rows count by weight."""
        return moments(self.blocks(), weights)

    def _states(self, values: Tensor, place: Tensor | slice) -> Tensor:
        if self.scaling is not None:
            values = self.scaling.encode(values)
        values = values.to(self.dtype)
        if self._labels is None:
            return values
        classes = values.new_zeros(len(values), self._n_classes)
        classes.scatter_(1, self._labels.to(self.device)[place].unsqueeze(1), 1.0)
        return torch.cat([values, classes], 1)

    def _from_sparse(self, place: Any) -> Tensor:
        assert self._sparse is not None
        return torch.from_numpy(self._sparse[place].toarray()).to(self.device)


def as_tensor(array: NDArray[Any]) -> Tensor:
    """The array's memory where torch can take it, else a copy."""
    array = np.ascontiguousarray(array)
    # torch has no read-only tensors
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def range_of(X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest value of each feature, float64."""
    ends = [X.min(0), X.max(0)]
    if not isinstance(X, np.ndarray):
        ends = [np.asarray(end.todense()).ravel() for end in ends]
    low, high = (end.astype(np.float64) for end in ends)
    return low, high


def is_in_unit_range(X: Any) -> bool:
    """Whether all values lie from 0 to 1, but for the rounding of a scaler."""
    low, high = (float(end) for end in (X.min(), X.max()))
    rounding = _ROUNDING * float(np.finfo(X.dtype).eps) if X.dtype.kind == "f" else 0.0
    return low >= -rounding and high <= 1 + rounding


def check_unit_range(X: Any, remedy: str) -> None:
    """Refuse features that are no probabilities of binary units.

    Raises
    ------
    ValueError
        Says what the range is; ``remedy`` is the option that helps.
    """
    if not is_in_unit_range(X):
        raise ValueError(
            f"X has values from {X.min():g} to {X.max():g}, but binary units take values from 0 "
            f"to 1; pass {remedy}, put MinMaxScaler(clip=True) before this step, or take Gaussian "
            "units"
        )
