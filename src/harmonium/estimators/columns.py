"""Features of several kinds, with holes, as states of visible units and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets.narrowing import rounded_columns
from harmonium.estimators.visible import PRECISION
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Units

KINDS = ("binary", "gaussian", "categorical")

_ORDER = {kind: place for place, kind in enumerate(KINDS)}


@dataclass(frozen=True, eq=False)
class ColumnStates:
    """How the values of each feature become states of its unit.

    Parameters
    ----------
    kinds
        Kind of each feature, one of `KINDS`.
    categories
        Its categories, ascending; empty for Gaussian units.
    shift, scale
        Mean and standard deviation of Gaussian features; 0 and 1 for the others. A constant has a
        scale of 0.
    """

    kinds: tuple[str, ...]
    categories: tuple[NDArray[np.float64], ...]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        X: NDArray[np.float64],
        observed: NDArray[np.bool_],
        kinds: Sequence[str | None],
        names: Sequence[object] | None = None,
    ) -> ColumnStates:
        """Determine the encoding from the observed values of each feature.

        Parameters
        ----------
        X, observed
            Values and which of them are observed, at least one in each feature.
        kinds
            Kind of each feature; None takes binary units for zeros and ones, else Gaussian ones.
        names
            Names of the features, for messages; None for their numbers.

        Raises
        ------
        ValueError
            If a binary feature has more than two values.
        """
        n = X.shape[1]
        found, categories = [], []
        shift, scale = np.zeros(n), np.ones(n)
        for number, kind in enumerate(kinds):
            values = X[observed[:, number], number]
            states = np.unique(values)
            if kind is None:
                kind = "binary" if np.array_equal(states, [0, 1]) else "gaussian"
            if kind == "gaussian":
                shift[number], scale[number] = values.mean(), values.std()
                if scale[number] <= _ROUNDING * np.abs(states).max():
                    shift[number], scale[number] = states[0], 0.0
                states = states[:0]
            elif len(states) > 2 and kind == "binary":
                raise ValueError(
                    f"feature {number if names is None else repr(names[number])} has "
                    f"{len(states)} values, but binary units take two; pass kinds with "
                    "'categorical' or 'gaussian' for it"
                )
            elif len(states) < 2 and kind == "binary":
                # a constant beside a state that never occurs
                states = np.array([0.0, 1.0]) if states[0] in (0, 1) else states[[0, 0]]
            elif len(states) < 2:
                states = states[[0, 0]]
            found.append(kind)
            categories.append(states)
        return cls(tuple(found), tuple(categories), shift, scale)

    @property
    def order(self) -> list[int]:
        """Features in the order of their units: binary, Gaussian and categorical ones."""
        return sorted(range(len(self.kinds)), key=lambda number: _ORDER[self.kinds[number]])

    def width(self, number: int) -> int:
        """State columns of a feature."""
        return len(self.categories[number]) if self.kinds[number] == "categorical" else 1

    def units(self) -> Units:
        """New visible units for these features."""
        n_binary, n_gaussian = (self.kinds.count(kind) for kind in ("binary", "gaussian"))
        parts: list[Units] = []
        if n_binary:
            parts.append(Binary(n_binary))
        if n_gaussian:
            parts.append(Gaussian(n_gaussian, precision=PRECISION, learn_precision=True))
        for number in self.order:
            if self.kinds[number] == "categorical":
                parts.append(Categorical(1, self.width(number)))
        return Mixed(*parts) if len(parts) > 1 else parts[0]

    def encode(self, X: NDArray[np.float64], observed: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
        """States of values, and which of their columns are observed, shape (rows, n_columns).

        What is not observed gets a state of its unit.
        """
        states, are_observed = [], []
        for number in self.order:
            values, there = X[:, number], observed[:, number]
            if self.kinds[number] == "gaussian":
                divisor = self.scale[number] or 1.0
                own = ((values - self.shift[number]) / divisor)[:, None]
            else:
                place = np.searchsorted(self.categories[number], np.where(there, values, -np.inf))
                own = place[:, None].astype(np.float64)
                if self.kinds[number] == "categorical":
                    own = np.eye(self.width(number))[place]
            states.append(np.where(there[:, None], own, 0.0 if own.shape[1] == 1 else own))
            are_observed.append(np.repeat(there[:, None], own.shape[1], axis=1))
        return torch.from_numpy(np.hstack(states)), torch.from_numpy(np.hstack(are_observed))

    def decode(self, states: Tensor) -> NDArray[np.float64]:
        """Values of states; of probabilities, those of the likeliest category."""
        found = np.empty((len(states), len(self.kinds)))
        array, first = states.double().cpu().numpy(), 0
        for number in self.order:
            own = array[:, first : first + self.width(number)]
            first += self.width(number)
            if self.kinds[number] == "gaussian":
                found[:, number] = own[:, 0] * self.scale[number] + self.shift[number]
                continue
            is_binary = self.kinds[number] == "binary"
            place = (own[:, 0] > 0.5).astype(np.intp) if is_binary else own.argmax(1)
            found[:, number] = self.categories[number][place]
        return found

    def rounded(self, X: NDArray[np.float64], observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The Gaussian features whose states float32 cannot tell apart, shape (n_features,)."""
        found = np.zeros(len(self.kinds), np.bool_)
        for number, kind in enumerate(self.kinds):
            if kind == "gaussian" and self.scale[number]:
                values = X[observed[:, number], number, None]
                states = (values - self.shift[number]) / self.scale[number]
                found[number] = len(rounded_columns(states)) > 0
        return found

    def unknown(
        self, X: NDArray[np.float64], observed: NDArray[np.bool_]
    ) -> tuple[int, int] | None:
        """Row and feature of the first value that is none of its categories; None if all are."""
        for number, states in enumerate(self.categories):
            if len(states):
                wrong = observed[:, number] & ~np.isin(X[:, number], states)
                if wrong.any():
                    return int(wrong.argmax()), number
        return None


# Rounding of a computed constant, relative to its size
_ROUNDING = 1e-12


def kinds_of(kinds: Any, n_features: int, names: Sequence[str] | None = None) -> list[str | None]:
    """The kind of each feature as the user gave them; None for "auto".

    Raises
    ------
    ValueError
        If a kind is unknown, if there is not one for each feature, or a name is none of theirs.
    """
    if isinstance(kinds, Mapping):
        found: list[str | None] = [None] * n_features
        for key, kind in kinds.items():
            found[_place(key, n_features, names)] = _kind(kind)
        return found
    if isinstance(kinds, str):
        return [_kind(kinds)] * n_features
    each = list(kinds)
    if len(each) != n_features:
        raise ValueError(
            f"kinds has {len(each)} kinds, but X has {n_features} features; pass one for each, one "
            "for all, or a dict of some"
        )
    return [_kind(kind) for kind in each]


def _kind(kind: Any) -> str | None:
    if kind not in ("auto", *KINDS):
        raise ValueError(f"kinds holds {kind!r}; pass 'auto', {', '.join(map(repr, KINDS))}")
    return None if kind == "auto" else str(kind)


def _place(key: Any, n_features: int, names: Sequence[str] | None) -> int:
    if names is not None and key in names:
        return list(names).index(key)
    if isinstance(key, int | np.integer) and -n_features <= key < n_features:
        return int(key) % n_features
    known = "numbers" if names is None else f"names ({', '.join(names[:5])}, ...) or numbers"
    raise ValueError(f"kinds names the feature {key!r}, which X does not have; pass {known} of its")
