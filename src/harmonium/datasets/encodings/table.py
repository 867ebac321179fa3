"""`TableEncoding`: a table of mixed columns as states of a mixed layer, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets.encodings.base import Encoding
from harmonium.datasets.encodings.table_columns import (
    Bins,
    Categories,
    Counts,
    Kind,
    RealNumbers,
    TableColumn,
    column_of,
)
from harmonium.kernels import uniform
from harmonium.rng import Stream

_BLOCK = 10_000  # rows checked at a time


class Group(NamedTuple):
    """Columns whose units are of one type, side by side in the states.

    Attributes
    ----------
    kind
        ``"binary"``, ``"categorical"`` (also of ordinal and binned columns), ``"gaussian"``,
        ``"binomial"`` or ``"poisson"``.
    places
        The numbers of the columns, in the order of their units.
    width
        Columns of states of each unit.
    trials
        Of binomial units.
    start
        The first column of the states.
    """

    kind: Kind
    places: tuple[int, ...]
    width: int
    trials: int | None
    start: int

    @property
    def states(self) -> slice:
        """The columns of the states."""
        return slice(self.start, self.start + len(self.places) * self.width)


@final
@dataclass(frozen=True)
class TableEncoding(Encoding):
    """Columns of several kinds, each with units of its own.

    The states are those of a `Mixed` layer of `groups`: binary units first, then one-hot units by
    their number of categories, then Gaussian, binomial and Poisson units. Within a group the
    columns keep their order.

    Parameters
    ----------
    columns
        The columns of the values, in their order; or their descriptions.

    Raises
    ------
    ValueError
        If there are none, or two have the same name.
    """

    columns: tuple[TableColumn, ...]

    def __post_init__(self) -> None:
        own = tuple(column_of(one) if isinstance(one, Mapping) else one for one in self.columns)
        object.__setattr__(self, "columns", own)
        names = self.names
        if not own or len(set(names)) < len(names):
            raise ValueError(
                f"the columns are {', '.join(map(repr, names)) or 'none'}; pass one or more, each "
                "with its own name"
            )

    def __repr__(self) -> str:
        return f"TableEncoding({len(self.columns)} columns)"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The units of the layer, type by type."""
        places: dict[tuple[int, int, Kind], list[int]] = {}
        for place, column in enumerate(self.columns):
            places.setdefault(_order(column), []).append(place)
        groups, start = [], 0
        for rank, size, kind in sorted(places):
            own = tuple(places[rank, size, kind])
            width = size if kind == "categorical" else 1
            trials = size if kind == "binomial" else None
            groups.append(Group(kind, own, width, trials, start))
            start += len(own) * width
        return tuple(groups)

    @cached_property
    def value_of_state(self) -> tuple[int, ...]:
        """The number of the column that each column of the states belongs to."""
        return tuple(
            place for group in self.groups for place in group.places for _ in range(group.width)
        )

    @property
    def words(self) -> list[tuple[str, ...] | None]:
        """The categories of each column by their numbers; None for a column of numbers."""
        return [column.words if isinstance(column, Categories) else None for column in self.columns]

    def state_names(self) -> list[str]:
        """The meaning of each column of states: "age", "sex = Male", "hours ≤ 35"."""
        return [
            name
            for group in self.groups
            for place in group.places
            for name in _state_names(self.columns[place])
        ]

    # Values and states

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """One group of units after the other."""
        states = torch.zeros(
            (len(values), len(self.value_of_state)), dtype=torch.float32, device=values.device
        )
        for group, constants in zip(self.groups, self._constants(values.device), strict=True):
            own, target = values[:, constants["places"]], states[:, group.states]
            if group.kind == "categorical":
                numbers = self._numbers(own, constants)
                flat = numbers + group.width * torch.arange(own.shape[1], device=own.device)
                target.scatter_(1, flat, 1.0)
            elif group.kind == "gaussian":
                target.copy_((own.double() - constants["mean"]) / constants["std"])
            else:
                target.copy_(own)
        return states

    def decode(self, states: Tensor) -> Tensor:
        """Values, float64; of means, the probability of the second of two categories.

        Among more categories it is the most probable one, or the median if they have an order; of
        bins it is the median of the training values in the median bin.
        """
        return self._decoded(states, None)

    def decode_draws(self, states: Tensor, stream: Stream) -> Tensor:
        """Values of drawn states, float64: as `decode`, but the values of a bin are drawn, too.

        Parameters
        ----------
        states
            Shape (rows, n_columns).
        stream
            Advances by one draw.
        """
        return self._decoded(states, stream)

    def _decoded(self, states: Tensor, stream: Stream | None) -> Tensor:
        rows = states.shape[:-1]
        flat = states.reshape(-1, states.shape[-1])
        values = torch.empty(
            (len(flat), len(self.columns)), dtype=torch.float64, device=flat.device
        )
        shares = None
        if stream is not None:
            shares = uniform((len(flat), len(self.columns)), stream, device=flat.device).double()
        for group, constants in zip(self.groups, self._constants(flat.device), strict=True):
            own = flat[:, group.states].double()
            if group.kind == "categorical":
                own = self._of_one_hot(group, own.unflatten(1, (-1, group.width)), shares)
            elif group.kind == "gaussian":
                own = own * constants["std"] + constants["mean"]
            values[:, constants["places"]] = own
        return values.unflatten(0, rows) if len(rows) != 1 else values

    def _of_one_hot(self, group: Group, p: Tensor, shares: Tensor | None) -> Tensor:
        values = torch.empty(p.shape[:2], dtype=torch.float64, device=p.device)
        for place, number in enumerate(group.places):
            column, own = self.columns[number], p[:, place]
            if isinstance(column, Categories) and not column.ordered:
                values[:, place] = own.argmax(1).double()
                continue
            # the first category with at least half of the probability up to and including it
            reached = own.cumsum(1) >= 0.5 * own.sum(1, keepdim=True)
            values[:, place] = reached.to(torch.uint8).argmax(1).double()
            if isinstance(column, Bins):
                bins = values[:, place].long()
                if shares is None:
                    centres = torch.tensor(column.centres, dtype=torch.float64, device=p.device)
                    values[:, place] = centres[bins]
                else:
                    drawn = column.drawn(bins.cpu().numpy(), shares[:, number].cpu().numpy())
                    values[:, place] = torch.from_numpy(drawn).to(p.device)
        return values

    def _numbers(self, own: Tensor, constants: Mapping[str, Tensor]) -> Tensor:
        """The numbers of categories and bins, int64."""
        numbers = own.long()
        if "binned" in constants:
            binned = own[:, constants["binned"]].double()
            numbers[:, constants["binned"]] = (binned.unsqueeze(2) > constants["edges"]).sum(2)
        return numbers

    def _constants(self, device: torch.device) -> list[dict[str, Tensor]]:
        """What each group computes with, on a device."""
        kept: dict[torch.device, list[dict[str, Tensor]]] = self.__dict__.setdefault("_kept", {})
        if device not in kept:
            kept[device] = [
                {
                    name: torch.tensor(numbers, dtype=dtype, device=device)
                    for name, (numbers, dtype) in self._of_group(group).items()
                }
                for group in self.groups
            ]
        return kept[device]

    def _of_group(self, group: Group) -> dict[str, tuple[Any, torch.dtype]]:
        columns = [self.columns[place] for place in group.places]
        found: dict[str, tuple[Any, torch.dtype]] = {"places": (group.places, torch.int64)}
        real = [column for column in columns if isinstance(column, RealNumbers)]
        if real:
            found["mean"] = [column.mean for column in real], torch.float64
            found["std"] = [column.std for column in real], torch.float64
        bins = {k: column for k, column in enumerate(columns) if isinstance(column, Bins)}
        if bins:
            found["binned"] = list(bins), torch.int64
            found["edges"] = [column.edges for column in bins.values()], torch.float64
        return found

    # Contract of encodings

    def states_config(self) -> dict[str, Any]:
        """What determines the states: without types of cells and draws within bins."""
        columns = [column.to_config() for column in self.columns]
        for column in columns:
            for name in ("dtype", "samples", "continuous", "decimals"):
                column.pop(name, None)
        return {"kind": type(self).__name__, "columns": columns}

    def n_columns(self, n: int) -> int:
        """State columns of all units; -1 if there are not as many values as columns."""
        return len(self.value_of_state) if n == len(self.columns) else -1

    def spread(self, of_values: Tensor) -> Tensor:
        """Repeat the entry of each value for all state columns of its unit, in their order."""
        return of_values[:, torch.tensor(self.value_of_state, device=of_values.device)]

    def check(self, values: Tensor) -> None:
        """Reject another number of columns, and values that a column cannot hold."""
        if values.shape[1] != len(self.columns):
            raise ValueError(
                f"the data have {values.shape[1]} columns, but this table has "
                f"{len(self.columns)}; pass data of the same columns"
            )
        for start in range(0, len(values), _BLOCK):
            block = values[start : start + _BLOCK].double().cpu().numpy()
            for place, column in enumerate(self.columns):
                wrong = np.flatnonzero(column.fault(block[:, place]))
                if len(wrong):
                    raise ValueError(
                        f"row {start + wrong[0]}, column {column.name!r} holds "
                        f"{block[wrong[0], place]:g}, and {column.kind} columns hold "
                        f"{column.wanted()} (rows counted from 0)"
                    )

    # The user's own cells

    def to_frame(self, values: Tensor | NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Values as the user's own columns: a dictionary that pandas and polars make frames of.

        Parameters
        ----------
        values
            Shape (rows, columns), such as `decode` gives; NaN is a missing value.

        Returns
        -------
        dict
            One array a column, by name: words as objects, booleans as bool, numbers in the type of
            the user's. Missing words are None. Numbers are floating-point numbers in a column with
            missing ones.
        """
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        wide = np.asarray(array, np.float64)
        return {
            column.name: column.cells(wide[:, place]) for place, column in enumerate(self.columns)
        }


def _order(column: TableColumn) -> tuple[int, int, Kind]:
    """The rank of a column's group, its categories or trials, and the type of its units."""
    if column.kind == "binary":
        return 0, 0, "binary"
    if column.n_states > 1:
        return 1, column.n_states, "categorical"
    if isinstance(column, Counts):
        return (4, 0, "poisson") if column.trials is None else (3, column.trials, "binomial")
    return 2, 0, "gaussian"


def _state_names(column: TableColumn) -> list[str]:
    if isinstance(column, Categories):
        names = [f"{column.name} = {category}" for category in column.words]
        return names[1:] if column.n_states == 1 else names
    if isinstance(column, Bins):
        above = [f"{column.name} ≤ {edge:g}" for edge in column.edges]
        return [*above, f"{column.name} > {column.edges[-1]:g}"]
    return [column.name]
