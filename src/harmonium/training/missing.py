"""What a training does where values of its rows are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from harmonium.autograd import without_autograd
from harmonium.datasets.masks import Mask, Masked, MaskedRows
from harmonium.missing_states import draw_by_column, move_missing
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.units import Units

Missing = Literal["random", "observed"]
"""What is assumed of missing values.

``"random"``: they are missing at random, and are unknown states of their units, which each update
draws given what is known of the row. ``"observed"``: a row is one of the model of its own observed
columns, which shares weights and biases with those of other rows (Salakhutdinov, Mnih and Hinton,
2007).
"""

_BLOCK = 1000  # rows processed at a time


@dataclass
class Completions:
    """The missing values of the training rows, as states: one persistent draw a row.

    The log-likelihood of what is observed of a row has the gradient of the energy, averaged over
    the missing states given the observed ones, minus that under the model. The hidden units do not
    make that average exact, because they are not independent of each other once visible units are
    summed out. So it is sampled, as the model's is by persistent chains: whenever a mini-batch
    holds a row, block Gibbs sweeps in which the observed states are clamped move its missing ones.

    Only the missing states are kept: one-hot units by the number of the state, units with finitely
    many whole states by the state, both in as few bytes as they fit in, and all others as float32.

    Attributes
    ----------
    kept
        For each group of the visible units (`Units.groups`), the states of all missing units, row
        by row, shape (n_missing, 1), or (n_missing, width) for other units of several columns.
    first
        For each group, where in ``kept`` a row begins, int64, shape (n_rows,). The mask says it, so
        that checkpoints do not keep it: empty until `find_` finds it.
    stream
        Random numbers of the draws.
    mask
        Of the rows whose places ``first`` has.
    """

    kept: list[Tensor]
    stream: Stream
    first: list[Tensor] = field(default_factory=list)
    mask: Mask | None = field(default=None, repr=False)

    @classmethod
    @torch.no_grad()
    def begin(cls, visible: Units, data: Masked, seed: int) -> Completions:
        """Draw every missing state from what is observed of its column.

        Raises
        ------
        ValueError
            If some columns of a unit are missing, and others are not.
        """
        moments, stream = data.moments(), Lane.COMPLETIONS.stream(seed)
        numbers, kept = [], []
        for missing in _missing_units(visible, data):
            drawn = draw_by_column(visible, moments, len(missing[0]), stream)
            numbers.append([of_group.sum(1) for of_group in missing])
            kept.append(
                [
                    _packed(units, _by_unit(units, drawn[:, columns])[of_group])
                    for (columns, units), of_group in zip(visible.groups, missing, strict=True)
                ]
            )
        states = [torch.cat(parts) for parts in zip(*kept, strict=True)]
        return cls(states, stream, _starts(numbers), data.mask)

    def find_(self, visible: Units, data: Masked) -> None:
        """Find the rows of these data in completions that a checkpoint has kept.

        Raises
        ------
        ValueError
            If they are of other rows.
        """
        blocks = _missing_units(visible, data)
        numbers = [[of_group.sum(1) for of_group in missing] for missing in blocks]
        there = [sum(int(x.sum()) for x in of_group) for of_group in zip(*numbers, strict=True)]
        if there != [*map(len, self.kept)]:
            raise ValueError(
                f"the training has completed {sum(map(len, self.kept)):,} missing units, but "
                f"{data.name} has {sum(there):,}; go on with the rows that it began with"
            )
        self.first, self.mask = _starts(numbers), data.mask

    @without_autograd
    def complete_(self, rbm: RBM, index: Tensor, rows: MaskedRows, sweeps: int) -> Tensor:
        """Move the completions of some rows, and return the rows with their missing states.

        Parameters
        ----------
        rbm
            The model that is sampled.
        index
            Numbers of the rows, int64.
        rows
            Their states, and which are observed.
        sweeps
            Block Gibbs sweeps: the hidden units given all visible ones, then the missing visible
            ones given the hidden ones.
        """
        states = rows.states.to(rbm.weights.dtype)
        holes = (~rows.observed).any(1).nonzero()[:, 0]
        if not len(holes):
            return states
        index, observed = index[holes], rows.observed[holes]
        v, places = states[holes], []
        groups = zip(rbm.visible.groups, self.kept, self.first, strict=True)
        for (columns, units), kept, first in groups:
            missing = ~_by_unit(units, observed[:, columns]).any(2)
            number = first[index].unsqueeze(1) + missing.cumsum(1) - 1
            places.append((missing, number[missing]))
            by_unit = _by_unit(units, v[:, columns])
            by_unit[missing] = _unpacked(units, kept[number[missing]]).to(v)
        v = move_missing(rbm, v, observed, sweeps, self.stream)
        for (columns, units), kept, (missing, number) in zip(
            rbm.visible.groups, self.kept, places, strict=True
        ):
            kept[number] = _packed(units, _by_unit(units, v[:, columns])[missing])
        completed: Tensor = states.index_copy(0, holes, v)
        return completed


def check_missing(missing: str, n_chains: int | None) -> None:
    """Refuse what is assumed of missing values where it is unknown, or does not fit.

    Raises
    ------
    ValueError
        If there is no such assumption, or if rows of their own observed columns were to be compared
        with persistent chains.
    """
    if missing not in get_args(Missing):
        raise ValueError(f"missing is {missing!r}; pass 'random' or 'observed'")
    if missing == "observed" and n_chains is not None:
        raise ValueError(
            "with missing='observed' every row has a model of its own, of its observed columns, "
            "and chains that persist belong to none of them; start chains at the rows: "
            "n_chains=None"
        )


def check_vanishing(visible: Units) -> None:
    """Refuse visible units whose statistics, held at zero, are not those of units that are gone.

    Raises
    ------
    ValueError
        Naming the type.
    """
    zero = torch.zeros_like(visible.bias).unsqueeze(0)
    for columns, units in visible.groups:
        if any(x.count_nonzero() for x in units.statistics(zero[:, columns]).values()):
            raise ValueError(
                f"missing='observed' takes a missing unit for one at zero, where a "
                f"{type(units).__name__} unit has statistics that are not zero; take "
                "missing='random'"
            )


def _by_unit(units: Units, x: Tensor) -> Tensor:
    """A view of columns by unit, shape (rows, n, width)."""
    return x.view(len(x), units.n, units.width)


def _missing_units(visible: Units, data: Masked) -> Iterator[list[Tensor]]:
    """For blocks of rows: whether each unit of each group is missing, bool, shape (rows, n)."""
    for index in torch.arange(len(data), device=data.device).split(_BLOCK):
        observed, of_groups = data.observed(index), []
        visible.check_width(observed, "visible")
        for columns, units in visible.groups:
            by_unit = _by_unit(units, observed[:, columns])
            if (by_unit.any(2) != by_unit.all(2)).any():
                raise ValueError(
                    f"in {data.name}, some of the {units.width} columns of a unit are missing, "
                    "and others are not; mark all columns of a unit, or none"
                )
            of_groups.append(~by_unit.any(2))
        yield of_groups


def _starts(numbers: list[list[Tensor]]) -> list[Tensor]:
    """Where each row begins, of how many units of each group are missing in each row of blocks."""
    of_groups = (torch.cat(blocks) for blocks in zip(*numbers, strict=True))
    return [of_rows.cumsum(0) - of_rows for of_rows in of_groups]


def _kept_type(units: Units) -> torch.dtype:
    """The smallest type that holds the states of such units."""
    states = units.states
    if states is None or not bool((states == states.round()).all()):
        return torch.float32
    if not units.is_one_hot and units.width > 1:
        return torch.float32
    least, most = (0, len(states) - 1) if units.is_one_hot else map(int, states.aminmax())
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        if torch.iinfo(dtype).min <= least and most <= torch.iinfo(dtype).max:
            return dtype
    return torch.float32


def _packed(units: Units, states: Tensor) -> Tensor:
    """States of units, shape (n, width), as they are kept."""
    if units.is_one_hot:
        states = states.argmax(1, keepdim=True)
    return states.to(_kept_type(units))


def _unpacked(units: Units, kept: Tensor) -> Tensor:
    """States of units, shape (n, width), from what is kept of them."""
    if units.is_one_hot:
        return functional.one_hot(kept[:, 0].long(), units.width)
    return kept
