"""Categories as one-hot groups of states, for whole rows and for the class at the end of a row."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from harmonium.datasets import mapped
from harmonium.datasets.encodings.base import Encoding
from harmonium.rng import Stream


@final
@dataclass(frozen=True)
class OneHot(Encoding):
    """One-hot encoding: a value among q categories becomes q states, one of them 1, the others 0.

    The q states of the first value come first: value i, category k is column ``i * q + k``.

    Parameters
    ----------
    n_categories
        Number of categories q, 2 or more.
    categories
        The values of the categories, ascending, such as the ratings 1 to 5; None means the integers
        0 … q − 1.
    letters
        The letters of the categories 0 … q − 1 of an alignment, such as ``"ACGU-"``. They do not
        affect the states.
    """

    n_categories: int
    categories: tuple[float, ...] | None = None
    letters: str | None = None

    def __post_init__(self) -> None:
        if self.n_categories < 2:
            raise ValueError(f"n_categories is {self.n_categories}; pass 2 or more")
        if self.letters is not None and not (
            len(self.letters) == len(set(self.letters)) == self.n_categories
        ):
            raise ValueError(
                f"letters are {self.letters!r}; pass {self.n_categories} different ones, one for "
                "each category"
            )
        if self.categories is None:
            return
        if self.letters is not None:
            raise ValueError("letters are those of the categories 0 … q − 1; leave categories out")
        own = tuple(map(_as_number, self.categories))
        if len(own) != self.n_categories or list(own) != sorted(set(own)):
            raise ValueError(
                f"categories are {_listed(own)}; pass {self.n_categories} different numbers in "
                "ascending order"
            )
        counted = own == tuple(range(len(own)))
        object.__setattr__(self, "categories", None if counted else own)

    @classmethod
    def of(cls, categories: Iterable[float]) -> OneHot:
        """The encoding for these values, in any order and with repetitions.

        Raises
        ------
        ValueError
            If there are fewer than two, or not all are finite.
        """
        own = sorted(set(map(_as_number, categories)))
        if len(own) < 2 or not all(map(math.isfinite, own)):
            raise ValueError(
                f"the categories are {_listed(own) or 'none'}; pass two or more finite numbers"
            )
        return cls(len(own), tuple(own))

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Set one state of each group."""
        rows, columns = values.shape
        states = torch.zeros(
            (rows, columns, self.n_categories), dtype=torch.float32, device=values.device
        )
        return states.scatter_(2, self._numbers(values).unsqueeze(2), 1.0).flatten(1)

    def decode(self, states: Tensor) -> Tensor:
        """Return the most probable category of each group, in the user's values.

        They are int64, or float64 if not all categories are whole numbers.
        """
        best = states.reshape(*states.shape[:-1], -1, self.n_categories).argmax(-1)
        if self.categories is None:
            return best
        whole = all(isinstance(category, int) for category in self.categories)
        dtype = torch.int64 if whole else torch.float64
        return torch.tensor(self.categories, dtype=dtype, device=states.device)[best]

    def states_config(self) -> dict[str, Any]:
        """All but the letters."""
        return dataclasses.replace(self, letters=None).to_config()

    def n_columns(self, n: int) -> int:
        """One group of units per value."""
        return n * self.n_categories

    def spread(self, of_values: Tensor) -> Tensor:
        """The same for all columns of a group."""
        return of_values.repeat_interleave(self.n_categories, 1)

    def check(self, values: Tensor) -> None:
        """Reject values outside the categories; names the first."""
        if self.categories is None:
            least, most = mapped.bounds(values)
            if least >= 0 and most < self.n_categories and is_integral(values):
                return
            raise ValueError(
                f"values range from {least:g} to {most:g}, but {self.n_categories} categories are "
                f"the integers from 0 to {self.n_categories - 1}; pass such values, or a fitting "
                "n_categories"
            )
        known = self._known(values)
        start = 0
        for block in _comparable(values).split(1000):
            place = torch.searchsorted(known, block).clamp_(max=len(known) - 1)
            unknown = (known[place] != block).nonzero()
            if len(unknown):
                row, column = unknown[0].tolist()
                raise ValueError(
                    f"row {start + row}, column {column} holds {block[row, column].item():g}, "
                    f"which is none of the categories {_listed(self.categories)} (counted from 0); "
                    "name all of them, or leave such rows out"
                )
            start += len(block)

    def _numbers(self, values: Tensor) -> Tensor:
        """The numbers of the categories, 0 … q − 1, int64."""
        if self.categories is None:
            return values.long()
        return torch.searchsorted(self._known(values), _comparable(values).contiguous())

    def _known(self, values: Tensor) -> Tensor:
        """The categories, in the type used for comparison with values."""
        assert self.categories is not None
        wide = torch.tensor(self.categories, dtype=torch.float64)
        return wide.to(values.device, _comparable(values[:0]).dtype)


@final
@dataclass(frozen=True)
class Labelled(Encoding):
    """One-hot encoding of the class, the last value of a row; another encoding handles the rest.

    A row of states then fits a layer ``Mixed(units, Categorical(1, n_classes))``.
    """

    columns: Encoding
    n_classes: int

    def __post_init__(self) -> None:
        if self.n_classes < 2:
            raise ValueError(f"n_classes is {self.n_classes}; pass 2 or more")
        if isinstance(self.columns, Labelled):
            raise ValueError("the rest of a row has a class already; pass its own encoding")

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Encode all values except the last, and set one state of the class."""
        states = self.columns.encode(values[:, :-1], stream)
        return torch.cat([states, OneHot(self.n_classes).encode(values[:, -1:])], 1)

    def decode(self, states: Tensor) -> Tensor:
        """Return the values and the most probable class, float32."""
        columns, classes = states[..., : -self.n_classes], states[..., -self.n_classes :]
        label = OneHot(self.n_classes).decode(classes)
        return torch.cat([self.columns.decode(columns).to(states.dtype), label.to(states)], -1)

    def states_config(self) -> dict[str, Any]:
        """Those of the other encoding, and one for each class."""
        return {**self.to_config(), "columns": self.columns.states_config()}

    def n_columns(self, n: int) -> int:
        """The groups of the other encoding, and one for the class."""
        return self.columns.n_columns(n - 1) + self.n_classes

    def spread(self, of_values: Tensor) -> Tensor:
        """As the other encoding does, and repeat the entry of the class for all its columns."""
        of_class = of_values[:, -1:].expand(-1, self.n_classes)
        return torch.cat([self.columns.spread(of_values[:, :-1]), of_class], 1)

    def check(self, values: Tensor) -> None:
        """Reject a last value that is not a class, and what the other encoding rejects."""
        if values.shape[1] < 2:
            raise ValueError("the data have one column; pass values and, behind them, the class")
        self.columns.check(values[:, :-1])
        OneHot(self.n_classes).check(values[:, -1:])


def is_integral(values: Tensor) -> bool:
    """Whether all values are whole numbers."""
    # In blocks, because torch.floor of all data would be a second copy.
    return not values.is_floating_point() or all(
        bool((block == block.floor()).all()) for block in mapped.pieces(values, 1000)
    )


def _comparable(values: Tensor) -> Tensor:
    """Bytes cannot hold negative or fractional categories."""
    return values if values.is_floating_point() else values.to(torch.float32)


def _as_number(category: float) -> float:
    """An int if it is whole, so that 1 and 1.0 describe the same category."""
    number = float(category)
    return int(number) if number.is_integer() else number


def _listed(categories: Sequence[float]) -> str:
    shown = [f"{category:g}" for category in categories]
    return ", ".join(shown if len(shown) <= 12 else [*shown[:10], "...", shown[-1]])
