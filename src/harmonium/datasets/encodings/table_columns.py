"""Columns of a mixed table: what units a column gets, and how its cells become values and back.

A *value* is a number: that of a category, counted from 0, or the user's own number.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import numpy as np
from numpy.typing import NDArray

from harmonium.arguments import meant

Kind = Literal["binary", "categorical", "ordinal", "binned", "gaussian", "binomial", "poisson"]
"""What a column can be."""

KINDS: tuple[Kind, ...] = get_args(Kind)

OTHER = "other"
"""The category of rare words."""

Category = str | float | bool


@dataclass(frozen=True)
class TableColumn(ABC):
    """One column of a mixed table.

    Parameters
    ----------
    name
        Its name, or its number from 0 if columns have no names.
    dtype
        The type of the user's cells: that of a NumPy array, or ``"str"`` or ``"category"``.
    """

    name: str
    dtype: str

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """The kind of its units."""

    @property
    def n_states(self) -> int:
        """Columns of states: one, or one for each category of a one-hot unit."""
        return 1

    def fault(self, values: NDArray[np.float64]) -> NDArray[np.bool]:
        """True for each value that the column cannot hold; by default, what is not finite."""
        return np.asarray(~np.isfinite(values))

    def wanted(self) -> str:
        """What the column holds, for messages, such as "whole numbers from 0 to 3"."""
        return "finite numbers"

    def cells(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """The user's cells, in the user's type; NaN stands for a missing value."""
        return in_type(values, self.dtype)

    @final
    def to_config(self) -> dict[str, Any]:
        """Describe the column in JSON types; `column_of` restores it exactly."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is not None
        }
        return {"kind": self.kind, **{name: _as_json(value) for name, value in fields.items()}}


@final
@dataclass(frozen=True)
class Categories(TableColumn):
    """Words, booleans or a few numbers; a value is the number of a category.

    Two categories make a binary unit, whose state is the value; more make a one-hot unit.

    Parameters
    ----------
    categories
        The user's cells, in the order of their numbers.
    ordered
        Whether the order has a meaning: a distribution is then told by its median, else by its
        most probable category.
    pools
        Whether the last category stands for all rare words.
    """

    categories: tuple[Category, ...]
    ordered: bool = False
    pools: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", tuple(self.categories))
        if len(self.categories) < 2 or len(set(self.categories)) < len(self.categories):
            raise ValueError(
                f"column {self.name!r} has the categories {self.categories}; pass two or more "
                "different ones"
            )

    @property
    def kind(self) -> Kind:
        """Binary, ordinal or categorical."""
        if len(self.categories) == 2:
            return "binary"
        return "ordinal" if self.ordered else "categorical"

    @property
    def n_states(self) -> int:
        """One for two categories, else one for each."""
        return 1 if len(self.categories) == 2 else len(self.categories)

    @property
    def words(self) -> tuple[str, ...]:
        """The categories as they are shown to a person."""
        return tuple(
            f"{category:g}"
            if isinstance(category, float | int) and not isinstance(category, bool)
            else str(category)
            for category in self.categories
        )

    def fault(self, values: NDArray[np.float64]) -> NDArray[np.bool]:
        """True for each value that is not the number of a category."""
        inside = (values >= 0) & (values < len(self.categories)) & (values == np.floor(values))
        return np.asarray(~inside)

    def wanted(self) -> str:
        """The numbers of the categories."""
        return f"numbers of categories, from 0 to {len(self.categories) - 1}"

    def cells(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """The categories; None for a missing word."""
        are_words = any(isinstance(category, str) for category in self.categories)
        known = ~np.isnan(values)
        numbers = np.where(known, np.rint(values), 0).astype(np.intp)
        if are_words:
            words = np.array([*self.categories, None], dtype=object)
            return words[np.where(known, numbers, len(self.categories))]
        found = np.array([float(category) for category in self.categories])[numbers]
        return in_type(np.where(known, found, math.nan), self.dtype)


@final
@dataclass(frozen=True)
class Bins(TableColumn):
    """Numbers in bins, each a category of a one-hot unit; a value is the user's number.

    Parameters
    ----------
    edges
        Ascending boundaries between bins. A value on a boundary belongs to the bin below it.
    samples
        For each bin, some training values in ascending order at equal steps of probability. A draw
        of the bin is a draw of these.
    continuous
        Whether draws lie between the samples, as for numbers that hardly ever repeat.
    decimals
        With how many decimals the user's cells are written; None for all that there are.
    """

    edges: tuple[float, ...]
    samples: tuple[tuple[float, ...], ...]
    continuous: bool = False
    decimals: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(map(float, self.edges)))
        samples = tuple(tuple(map(float, own)) for own in self.samples)
        object.__setattr__(self, "samples", samples)
        if not self.edges or list(self.edges) != sorted(set(self.edges)):
            raise ValueError(
                f"column {self.name!r} has the edges {self.edges}; pass one or more, ascending"
            )
        if len(samples) != len(self.edges) + 1 or not all(samples):
            raise ValueError(
                f"column {self.name!r} has {len(self.edges) + 1} bins, and samples of "
                f"{sum(map(bool, samples))}; pass some for each bin"
            )

    @property
    def kind(self) -> Kind:
        """Binned."""
        return "binned"

    @property
    def n_states(self) -> int:
        """One for each bin."""
        return len(self.edges) + 1

    def cells(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """Numbers with the user's decimals."""
        return in_type(_rounded(values, self.decimals), self.dtype)

    @property
    def centres(self) -> tuple[float, ...]:
        """The median training value of each bin."""
        return tuple(own[len(own) // 2] for own in self.samples)

    def drawn(self, bins: NDArray[np.intp], shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of these bins, one at each share, from 0 to below 1, of its probability."""
        most = max(map(len, self.samples))
        table = np.array([_stretched(own, most) for own in self.samples])
        if not self.continuous:
            return np.asarray(table[bins, (shares * most).astype(np.intp)])
        places = np.clip(shares * most - 0.5, 0, most - 1)
        below = np.floor(places).astype(np.intp)
        above = np.minimum(below + 1, most - 1)
        part = places - below
        return np.asarray((1 - part) * table[bins, below] + part * table[bins, above])


@final
@dataclass(frozen=True)
class RealNumbers(TableColumn):
    """Numbers of a Gaussian unit, whose state is (value − mean) / std.

    Parameters
    ----------
    mean, std
        Of the training rows in which the column is observed.
    decimals
        With how many decimals the user's cells are written; None for all that there are.
    """

    mean: float
    std: float
    decimals: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ValueError(
                f"column {self.name!r} has mean {self.mean} and standard deviation {self.std}; "
                "pass finite numbers, and a standard deviation above 0"
            )

    @property
    def kind(self) -> Kind:
        """Gaussian."""
        return "gaussian"

    def cells(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """Numbers with the user's decimals."""
        return in_type(_rounded(values, self.decimals), self.dtype)


@final
@dataclass(frozen=True)
class Counts(TableColumn):
    """Counts of a Poisson unit, or of a binomial unit; the state is the value.

    Parameters
    ----------
    trials
        The largest possible count, of a binomial unit; None for a Poisson unit.
    """

    trials: int | None = None

    @property
    def kind(self) -> Kind:
        """Poisson or binomial."""
        return "poisson" if self.trials is None else "binomial"

    def fault(self, values: NDArray[np.float64]) -> NDArray[np.bool]:
        """Whatever is no whole number in the range."""
        most = math.inf if self.trials is None else self.trials
        inside = np.isfinite(values) & (values >= 0) & (values <= most)
        return np.asarray(~(inside & (values == np.floor(values))))

    def wanted(self) -> str:
        """The range."""
        most = "" if self.trials is None else f" to {self.trials}"
        return f"whole numbers from 0{most or ' upwards'}"


def column_of(config: Mapping[str, Any]) -> TableColumn:
    """The column that `TableColumn.to_config` described.

    Raises
    ------
    ValueError
        For anything else.
    """
    fields = dict(config)
    kind = fields.pop("kind", None)
    if kind not in _TYPES:
        raise ValueError(
            f"there is no kind of column {kind!r}; {meant(str(kind), KINDS, ', '.join(KINDS))}"
        )
    try:
        column: TableColumn = _TYPES[kind](**fields)
    except TypeError as error:
        raise ValueError(f"not a column's description: {dict(config)}: {error}") from None
    return column


def in_type(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Numbers in the user's type; floating-point numbers if one of them is missing (NaN)."""
    wanted = np.dtype(float if dtype in ("str", "category") else dtype)
    if wanted.kind == "f":
        return values.astype(wanted)
    if np.isnan(values).any():
        return values
    if wanted.kind == "b":
        return values >= 0.5
    ends = np.iinfo(wanted)
    return np.clip(np.rint(values), ends.min, ends.max).astype(wanted)


def _rounded(values: NDArray[np.float64], decimals: int | None) -> NDArray[np.float64]:
    return values if decimals is None else np.round(values, decimals)


def _stretched(own: Sequence[float], n: int) -> list[float]:
    """``n`` values at equal steps of probability, of ``own``, which are fewer or as many."""
    return [own[place * len(own) // n] for place in range(n)]


def _as_json(value: Any) -> Any:
    return [_as_json(item) for item in value] if isinstance(value, tuple) else value


_TYPES: dict[str | None, type[Any]] = {
    "binary": Categories,
    "categorical": Categories,
    "ordinal": Categories,
    "binned": Bins,
    "gaussian": RealNumbers,
    "binomial": Counts,
    "poisson": Counts,
}
